"""Prepare what ACTalker learns from films of people, with its published small networks and SVD's VAE.

    python3 run.py python -m talking_portrait.training.actalker.prepare_films FILMS OUT --vae svd_xt.safetensors \\
        --models COMFYUI/models [--short-side 576]

FILMS is a folder of films with sound, one face each. Each is cut into clips of 14 frames at 12.5 per second; clips
with a frame without a face, or with several, are left out. A film becomes a file in OUT with a row for each clip:
`latents` [14,4,h,w], what is known of its first frame (`portrait` [4,h,w], `identity` [1,1024], `pose` [320,h,w]),
tokens of what is heard and seen (`audio` [14,32,1024], `motion` [14,1,1024]) and of nothing (`no_audio`, `no_motion`),
and who has which part of the first frame, `mouth` and `rest` [8h,8w]; in half precision, 6 MB a clip of 576x576. What
is there already is not made again. The models folder holds ACTalker's files where its nodes look for them
(docs/WEIGHTS.md).
"""

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import comfy.cli_args
import numpy as np
import torch
from torch import Tensor, nn

comfy.cli_args.args.cpu = not torch.cuda.is_available()

import comfy.sd
import comfy.utils

from ...models.actalker.conditioning import Stream
from ...models.actalker.geometry import working_size
from ...models.actalker.parts import PARTS
from ...models.actalker.pictures import (
    expression_picture,
    face_box,
    face_box_picture,
    head_box,
    head_picture,
    identity_picture,
    portrait_picture,
    region_mask,
)
from ...models.actalker.streams import motion_stream, speech_stream
from ...models.face.regions import FACE_OVAL, MOUTH_AREA, draw_region, hull
from ...models.progress import silent
from ...models.speech.encoding import weights_name
from ...models.speech.whisper import build_whisper, heard_pieces, whisper_state
from ...models.weights.published import WEIGHTS
from ...tools.check.files import found_file, published_state
from ...tools.golden_cases.actalker_pipeline import LATENT_SCALE
from ..data.face_track import track
from ..data.film_motion import check_same_encoder, prepare
from ..data.film_reader import read_frames, read_sound

FRAMES, EVERY = 14, 2  # of a clip at 12.5 per second, and of how many frames at 25 one is taken
FEATHER = 16.0
WHISPER = "actalker.whisper"
VAE_PREFIX = "first_stage_model."  # in a checkpoint


@dataclass(frozen=True)
class Encoders:
    """latents: a picture [1,3,H,W] in 0..1 -> [1,4,h,w] as the VAE makes them; the others are ACTalker's networks."""

    latents: Callable[[Tensor], Tensor]
    whisper: Any
    parts: dict[str, Any]
    device: torch.device

    def heard(self, wave: Tensor) -> Stream:
        """Tokens of a film's sound at 12.5 per second; ValueError if it is too short."""
        pieces = heard_pieces(self.whisper, wave, self.device)
        return speech_stream(pieces, len(wave), self.parts["audio"], self.device, silent)

    def seen(self, frames: list[np.ndarray], points: list[np.ndarray]) -> Stream:
        """Tokens of faces and heads; ValueError if a face is smaller than two pixels."""
        box = head_box(points[0], *frames[0].shape[:2])
        pictures = (
            (expression_picture(frame, there), head_picture(frame, box))
            for frame, there in zip(frames, points, strict=True)
        )
        networks = (self.parts[name] for name in ("expression", "head", "motion"))
        return motion_stream(*networks, pictures, len(frames), self.device, silent)  # type: ignore[call-arg]


def clips_of(film: Path) -> Iterator[list[np.ndarray]]:
    """Runs of 14 frames at 12.5 per second, one behind the other; what is left at the end is left out."""
    frames = read_frames(film)
    while len(clip := list(islice(frames, FRAMES * EVERY))) == FRAMES * EVERY:
        yield clip[::EVERY]


def regions_of(points: np.ndarray, shape: tuple[int, int], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Mouth and rest of the face [8h,8w] of a picture [H,W], by its landmarks [478,2]."""
    face, mouth = torch.zeros(shape), torch.zeros(shape)
    draw_region(face, points[list(FACE_OVAL)], FEATHER, 0.0)
    draw_region(mouth, hull(points[list(MOUTH_AREA)]), FEATHER, 0.0)
    mouth = torch.minimum(mouth, face)
    return region_mask(mouth, *size)[0, 0], region_mask(face - mouth, *size)[0, 0]


@torch.inference_mode()
def prepared_clip(
    frames: list[np.ndarray], audio: Stream, first: int, encoders: Encoders, short_side: int
) -> dict[str, Tensor] | None:
    """The tensors of a clip that begins at frame `first` of the film's tokens; None if a frame has no face or
    several, or the sound is over."""
    points = [there for there in track(iter(frames)).points if there is not None]
    heard = audio.tokens[first : first + FRAMES]
    if len(points) < FRAMES or len(heard) < FRAMES:
        return None
    picture, (height, width) = frames[0], frames[0].shape[:2]
    motion, box = encoders.seen(frames, points), face_box(points[0])
    raw = torch.cat([encoders.latents(portrait_picture(frame, short_side)) for frame in frames])
    parts, device = encoders.parts, encoders.device
    identity = parts["identity"](parts["arcface"](identity_picture(picture, box).to(device)))
    pose = parts["pose"](face_box_picture(picture, box, short_side).to(device))
    mouth, rest = regions_of(points[0], (height, width), working_size(width, height, short_side))
    found = {
        "latents": LATENT_SCALE * raw, "portrait": raw[0], "identity": identity.reshape(1, -1), "pose": pose[0],
        "audio": heard, "motion": motion.tokens, "no_audio": audio.none, "no_motion": motion.none,
        "mouth": mouth, "rest": rest,
    }  # fmt: skip
    return {name: value.half().cpu() for name, value in found.items()}


def all_clips(film: Path, encoders: Encoders, short_side: int) -> dict[str, Tensor]:
    """All clips of a film, stacked; ValueError if there are none."""
    with torch.inference_mode():
        audio = encoders.heard(torch.from_numpy(read_sound(film)))
    clips = [
        clip
        for number, frames in enumerate(clips_of(film))
        if (clip := prepared_clip(frames, audio, number * FRAMES, encoders, short_side)) is not None
    ]
    if not clips:
        raise ValueError(f"no run of {FRAMES} frames at 12.5 per second with one face and sound in each")
    found = {name: torch.stack([clip[name] for clip in clips]) for name in clips[0]}
    return found | {"frames": torch.ones(len(clips), dtype=torch.long)}


def network_of(key: str, models: Path, build: Callable[..., nn.Module], convert: Callable) -> nn.Module:
    """A published file's network in float32; ValueError that says what to get, or that it is another's."""
    weight = WEIGHTS[key]
    content, name = published_state(key, models)
    if content is None:
        raise ValueError(f"{weight.file} is not in {models / weight.folder}; get it from {weight.url}")
    try:
        state = convert(content)
        network = build(state, {})
        network.load_state_dict({key: value.float() for key, value in state.items()})
    except (KeyError, RuntimeError, ValueError) as error:
        raise ValueError(f"{name} cannot be used: {str(error).splitlines()[-1].strip()}") from None
    return network.eval().requires_grad_(False)


def read_encoders(models: Path, vae_file: Path, device: torch.device) -> Encoders:
    """From a models folder and SVD's checkpoint, or its VAE alone; ValueError if something is missing or another's."""
    state: dict[str, Tensor] = comfy.utils.load_torch_file(str(vae_file))  # type: ignore[assignment]
    inner = {
        key.removeprefix(VAE_PREFIX): value for key, value in state.items() if key.startswith(VAE_PREFIX)
    }
    vae = comfy.sd.VAE(sd=inner or state)
    vae.throw_exception_if_invalid()
    parts = {
        name: network_of(part.weight, models, part.build, part.convert).to(device)
        for name, part in PARTS.items()
    }
    whisper = network_of(WHISPER, models, build_whisper, whisper_state).to(device)
    return Encoders(lambda picture: vae.encode(picture.movedim(1, -1)).float(), whisper, parts, device)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("films", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--vae", type=Path, required=True, help="SVD XT's checkpoint, or its VAE alone")
    default = Path(os.environ.get("COMFYUI_PATH", ".")) / "models"
    parser.add_argument("--models", type=Path, default=default, help="ComfyUI's models folder")
    parser.add_argument("--short-side", type=int, default=576)
    options = parser.parse_args()
    try:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        encoders = read_encoders(options.models, options.vae, device)
        path = found_file(WEIGHTS[WHISPER], options.models)
        assert path is not None  # it was read
        name = weights_name("whisper-tiny", path)
        check_same_encoder(options.out, name)
        prepare(
            options.films, options.out, lambda film: all_clips(film, encoders, options.short_side),
            lambda film: {"encoder": name},
        )  # fmt: skip
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
