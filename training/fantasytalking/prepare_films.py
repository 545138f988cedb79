"""Prepare what FantasyTalking learns from films of people, with the files of Wan2.1 that ComfyUI uses.

    python3 run.py python -m talking_portrait.training.fantasytalking.prepare_films FILMS OUT \\
        --vae wan_2.1_vae.safetensors --clip-vision clip_vision_h.safetensors \\
        --text-encoder umt5_xxl_fp16.safetensors --wav2vec2 wav2vec2-base-960h.safetensors [--prompt TEXT]

FILMS is a folder of films with sound, one face each. Each is cut into clips of 81 frames at 23 per second, the longer
edge of 512 pixels; clips with a frame without a face, or with several, are left out. A film becomes a file in OUT,
with a row for each clip: `latents` [16,21,h,w], `beside` [20,21,h,w], `clip_vision` [257,1280], `text` [L,4096],
`speech` [L,768], and `lips` [21,h,w], the mouth's area of every frame (as Face Region Masks draws it) in the places of
the latent; in half precision, 11 MB a clip of a square film. What is there already is not made again.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import comfy.cli_args
import numpy as np
import torch
from torch import Tensor

comfy.cli_args.args.cpu = not torch.cuda.is_available()

import comfy.clip_vision
import comfy.latent_formats
import comfy.sd
import comfy.utils
from safetensors.torch import load_file

from ...models.face.regions import MOUTH_AREA, draw_region, hull
from ...models.fantasytalking.picture import prepared_picture
from ...models.fantasytalking.timing import FPS, MAX_FRAMES, RATE, samples_of
from ...models.speech.encoding import weights_name
from ...models.speech.wav2vec2 import check_is_960h, encode_float32, load_base_encoder, normalised
from ..data.face_track import track
from ..data.film_motion import check_same_encoder, prepare
from ..data.film_reader import read_frames, read_sound
from .dual_stage import latent_mask

LONGEST_EDGE, FEATHER = 512, 4.0  # pixels
GREY = 0.5


@dataclass(frozen=True)
class Encoders:
    """latents: pictures [N,H,W,3] in 0..1 -> [16,F,h,w] as the video model takes them; vision: [1,H,W,3] ->
    [257,1280]; speech: a wave at 16 kHz -> [L,768]; text [L,4096]: of the prompt, the same for all."""

    latents: Callable[[Tensor], Tensor]
    vision: Callable[[Tensor], Tensor]
    speech: Callable[[np.ndarray], Tensor]
    text: Tensor


def clips_of(film: Path) -> Iterator[list[np.ndarray]]:
    """Runs of 81 frames, one behind the other; what is left at the end is left out."""
    frames = read_frames(film, FPS)
    while len(clip := list(islice(frames, MAX_FRAMES))) == MAX_FRAMES:
        yield clip


def lips_of(points: list[np.ndarray], size: tuple[int, int], grid: tuple[int, int, int]) -> Tensor:
    """The mouth's area of every frame, by its landmarks [478,2], in the places [F,h,w] of the latent."""
    masks = torch.zeros(len(points), *size)
    for mask, there in zip(masks, points, strict=True):
        draw_region(mask, hull(there[list(MOUTH_AREA)]), FEATHER, 0.0)
    return latent_mask(masks, grid)


def first_picture(pictures: Tensor, encode: Callable[[Tensor], Tensor]) -> Tensor:
    """The 20 channels beside the noise: a mask that marks the first frame, and it alone before grey, encoded."""
    alone = torch.full_like(pictures, GREY)
    alone[0] = pictures[0]
    latents = encode(alone)
    marked = torch.zeros(4, *latents.shape[1:]).to(latents)
    marked[:, 0] = 1
    return torch.cat([marked, latents])


@torch.inference_mode()
def prepared_clip(frames: list[np.ndarray], wave: np.ndarray, encoders: Encoders) -> dict[str, Tensor] | None:
    """The tensors of one clip; None if a frame has no face or several."""
    pictures = torch.stack(
        [prepared_picture(torch.from_numpy(frame).float() / 255, LONGEST_EDGE) for frame in frames]
    )
    seen = track((picture * 255).byte().numpy() for picture in pictures)
    points = [there for there in seen.points if there is not None]
    if len(points) < len(frames):
        return None
    latents = encoders.latents(pictures)
    grid = (latents.shape[1], latents.shape[2], latents.shape[3])
    found = {
        "latents": latents, "beside": first_picture(pictures, encoders.latents),
        "clip_vision": encoders.vision(pictures[:1]), "text": encoders.text, "speech": encoders.speech(wave),
        "lips": lips_of(points, (pictures.shape[1], pictures.shape[2]), grid),
    }  # fmt: skip
    return {name: value.half().cpu() for name, value in found.items()}


def prepared(film: Path, encoders: Encoders) -> Iterator[dict[str, Tensor]]:
    """The clips of one film."""
    sound, length = read_sound(film), samples_of(MAX_FRAMES)
    for number, frames in enumerate(clips_of(film)):
        start = round(number * MAX_FRAMES * RATE / FPS)
        wave = sound[start : start + length]
        clip = prepared_clip(frames, np.pad(wave, (0, length - len(wave))), encoders)
        if clip is not None:
            yield clip


def all_clips(film: Path, encoders: Encoders) -> dict[str, Tensor]:
    """All clips of a film, stacked; ValueError if there are none."""
    clips = list(prepared(film, encoders))
    if not clips:
        raise ValueError(f"no run of {MAX_FRAMES} frames at {FPS} per second with one face in each")
    found = {name: torch.stack([clip[name] for clip in clips]) for name in clips[0]}
    return found | {"frames": torch.ones(len(clips), dtype=torch.long)}


def core_encoders(options: argparse.Namespace) -> Encoders:
    """From the files of Wan2.1; ValueError if wav2vec2 is another."""
    vae = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(options.vae)))
    vision: Any = comfy.clip_vision.load(str(options.clip_vision))
    if vision is None:
        raise ValueError(f"{options.clip_vision} is no CLIP vision that ComfyUI knows")
    text = comfy.sd.load_clip([str(options.text_encoder)], clip_type=comfy.sd.CLIPType.WAN)
    state = load_file(options.wav2vec2)
    check_is_960h(state)
    encoder = load_base_encoder(state)
    written = text.encode_from_tokens(text.tokenize(options.prompt))
    form = comfy.latent_formats.Wan21()
    return Encoders(
        lambda pictures: form.process_in(vae.encode(pictures))[0].cpu(),
        lambda picture: vision.encode_image(picture, crop=False)["penultimate_hidden_states"][0].cpu(),
        lambda wave: encode_float32(encoder, normalised(wave))[0], written[0].cpu(),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("films", type=Path)
    parser.add_argument("out", type=Path)
    for option in ("--vae", "--clip-vision", "--text-encoder", "--wav2vec2"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--prompt", default="A person is talking.", help="said of every film")
    options = parser.parse_args()
    try:
        encoders, name = core_encoders(options), weights_name("wav2vec2", options.wav2vec2)
        check_same_encoder(options.out, name)
        prepare(
            options.films, options.out, lambda film: all_clips(film, encoders), lambda film: {"encoder": name}
        )
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
