"""The contracts of the stages: what a part must have to take a stage's place, and how it gets into our menus.

An object that has these members works in every node, whoever made it: no import of this pack is needed. Where
a motion or a portrait is to be given, a plain mapping will do too (FaceMotion.of, Portrait.of).
docs/engine_pack/ is a pack that brings both.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from .engine import MotionSettings, Speech
from .face_motion import FaceMotion, ResolvedMotion
from .media.pixels import Box
from .options import Option
from .portrait import FaceLandmarks478, Portrait
from .progress import Progress
from .sampling.schedule import DiffusionSchedule

if TYPE_CHECKING:
    from .liveportrait.motion_extractor import KeypointMotion

STREAMED_FPS = Fraction(25)


class MotionEngine(Protocol):
    """Speech in, face motion out. The same seed gives the same motion.

    id: what it is called in messages. native_fps: None if it works at any frame rate, else the only one it is
    asked for.
    reads: names of the MotionSettings that change its motion; a node refuses the others by name.
    It may have `hears`: kinds of speech encoders (speech/encoding.py) whose output it takes in Speech.encoded.
    """

    id: str
    native_fps: Fraction | None
    reads: frozenset[str]

    def generate(
        self, speech: Speech, fps: Fraction, seed: int, settings: MotionSettings, progress: Progress,
        portrait: Portrait | None = None,
    ) -> FaceMotion | Mapping[str, Any]:  # fmt: skip
        """Motion of frame_count(speech.seconds, fps) frames. `progress` is called in every loop and may raise
        to cancel.

        ValueError in words if the sound cannot be used, or if there must be a portrait and is none.
        """
        ...


class SpokenMotion(Protocol):
    """One live voice, from its first sound on: the state that travels from run to run.

    latency: seconds from a sound to the frame that shows it, at worst, without computing.
    """

    @property
    def latency(self) -> float: ...

    def push(self, speech: Speech, last: bool = False) -> FaceMotion | Mapping[str, Any] | None:
        """The next sound -> the frames at the engine's rate that are final, None if there are none yet.

        last: the voice ends here; gives all frames that are left.
        """
        ...

    def branch(self) -> "SpokenMotion":
        """A copy that goes on without changing this one, so that a state can be used twice."""
        ...


class StreamingEngine(MotionEngine, Protocol):
    """A motion engine that moves before it has heard the end: at its native_fps, or at STREAMED_FPS if that is None.

    look_ahead: seconds behind the start of a frame of `stream` that the frame may depend on; no later sound changes it.
    """

    @property
    def look_ahead(self) -> float: ...

    def stream(
        self, speech: Speech, seed: int, settings: MotionSettings, progress: Progress
    ) -> Iterator[FaceMotion | Mapping[str, Any]]:
        """The motion of a clip, as many frames as `generate` gives at that rate, piece by piece: the same, or, where
        `generate` knows the whole clip, nearly the same."""
        ...

    def begin(self, seed: int, settings: MotionSettings) -> SpokenMotion:
        """A new live voice; ValueError in words if this engine, as it was loaded, cannot hear one."""
        ...


class PortraitRenderer(Protocol):
    """Motion in, pictures out. A motion without any change gives back the photo. id: what it is called in messages."""

    id: str

    def prepare(
        self, image: Tensor, face: FaceLandmarks478, person_mask: Tensor | None = None
    ) -> Portrait | Mapping[str, Any]:
        """Once per picture: image [H,W,3] in 0..1 on the CPU, optional person mask [H,W] in 0..1. ValueError
        in words if this face cannot be drawn."""
        ...

    def frames_per_batch(self, portrait: Portrait, device: torch.device) -> int:
        """Frames that `render` may be given at once without a large memory."""
        ...

    def render(self, portrait: Portrait, motion: ResolvedMotion, device: torch.device) -> Tensor:
        """Frames [n,H,W,3] float32 in 0..1 of all n frames of `motion`, whatever else is drawn at once."""
        ...


class PartRenderer(PortraitRenderer, Protocol):
    """A renderer whose frames are the portrait's picture outside of one rectangle: a large picture costs little."""

    def part(self, portrait: Portrait) -> Box:
        """The rectangle that it changes at most."""
        ...

    def render_part(self, portrait: Portrait, motion: ResolvedMotion, device: torch.device) -> Tensor:
        """That rectangle [n,h,w,3] of the frames that `render` gives."""
        ...


class FilmRenderer(PartRenderer, Protocol):
    """A renderer that does once a film what is the same for all of its frames: loading networks, moving data."""

    def film(self, portrait: Portrait, motion: ResolvedMotion, device: torch.device) -> Iterator[Tensor]:
        """That rectangle of all frames in turn, [n,h,w,3] batch by batch, where they were drawn."""
        ...


class EachRenderer(PartRenderer, Protocol):
    """A renderer that draws a frame each of many pictures at once, as a film that is dubbed needs it."""

    def prepare_each(self, images: Sequence[Tensor], faces: Sequence[FaceLandmarks478]) -> list[Portrait]:
        """What `prepare` gives for each picture [H,W,3] and its face."""
        ...

    def draw_each(
        self, portraits: Sequence[Portrait], motions: Sequence[ResolvedMotion], device: torch.device
    ) -> list[Tensor]:
        """The part [h,w,3] of each portrait with its own motion of one frame, as `render_part` gives it."""
        ...


class ByteRenderer(PartRenderer, Protocol):
    """A renderer that can draw bytes at once: films need no more, and they take a quarter of the memory."""

    def render_bytes(self, portrait: Portrait, motion: ResolvedMotion, device: torch.device) -> Tensor:
        """What `render_part` gives as bytes [n,h,w,3], rounded to the nearest."""
        ...


class MaskMover(PartRenderer, Protocol):
    """A renderer that moves a picture's own pixels, and so can move a mask of the picture along."""

    def move_mask(
        self, portrait: Portrait, mask: Tensor, motion: ResolvedMotion, device: torch.device
    ) -> Tensor:
        """A mask [H,W] of the portrait's picture as it lies in each frame, the drawn part of it: [n,h,w]."""
        ...


class SpeechEncoder(Protocol):
    """What hears: an object on core's AUDIO_ENCODER socket.

    Encode Speech and the engines take those that also have a `kind`: subclasses of speech/encoders.Encoder.
    """

    def encode_audio(self, audio: Tensor, sample_rate: int) -> Mapping[str, Any]:
        """One clip [1,C,T] -> core's AUDIO_ENCODER_OUTPUT: encoded_audio [1,frames,width],
        encoded_audio_all_layers (a list of those), audio_samples at 16 kHz."""
        ...


class KeypointExtractor(Protocol):
    """A picture's own motion in LivePortrait's keypoints. device: where pictures must lie."""

    @property
    def device(self) -> torch.device: ...

    def ready(self) -> "Callable[[Tensor], KeypointMotion]":
        """The network, where it computes: pictures [n,3,256,256] in 0..1 of upright faces -> n motions, angles in
        degrees."""
        ...


class MotionSampler(Protocol):
    """From noise to motion, window after window of an engine of diffusion.

    id: what it is called in messages. steps: of each window, 0 for as many as suit the engine. window: frames
    of a window, 0 for the engine's own.
    """

    @property
    def id(self) -> str: ...

    @property
    def steps(self) -> int: ...

    @property
    def window(self) -> int: ...

    def sample(
        self, predict: Callable[[Tensor, int], Tensor], latent: Tensor, schedule: DiffusionSchedule,
        noise: Callable[[int], Tensor], each: Callable[[Tensor], None],
    ) -> Tensor:  # fmt: skip
        """Noise `latent` [B,T,C] at the schedule's noisiest step -> clean motion of the same shape.

        predict(latent, step) gives what `schedule.predicts` says, of any step of the schedule. noise(n) is
        fresh noise like the latent after n steps, to be asked for once a step at most; it is the only source
        of chance. each(latent) is called after each of the `steps`. ValueError if there are not so many.
        """
        ...


@dataclass(frozen=True)
class Entry:
    """An entry of a loader's menu. id: its name there and in workflows. about: a plain sentence for artists.

    load: options by name -> the engine or renderer; ValueError in words. It gets a value for each of `options`.
    files: what it cannot work without: keys of models/weights/published.py ("key/animal" for the edition for
    animals), or (ComfyUI's model folder, file). Missing ones are told all at once before `load`. licence: of
    those files.
    """

    id: str
    about: str
    load: Callable[[Mapping[str, Any]], Any]
    options: tuple[Option, ...] = ()
    files: tuple[str | tuple[str, str], ...] = ()
    licence: str = ""


ENGINES: dict[str, Entry] = {}
RENDERERS: dict[str, Entry] = {}
SPEECH_ENCODERS: dict[str, Entry] = {}
KEYPOINT_EXTRACTORS: dict[str, Entry] = {}


def register_engine(entry: Entry) -> None:
    """Put a motion engine into Load Motion Engine; ValueError if that name is taken."""
    _register(ENGINES, entry)


def register_renderer(entry: Entry) -> None:
    """Put a renderer into Load Portrait Renderer; ValueError if that name is taken."""
    _register(RENDERERS, entry)


def register_speech_encoder(entry: Entry) -> None:
    """Put a speech encoder into Load Speech Encoder; ValueError if that name is taken."""
    _register(SPEECH_ENCODERS, entry)


def register_keypoint_extractor(entry: Entry) -> None:
    """Put a keypoint extractor into Load Keypoint Extractor; ValueError if that name is taken."""
    _register(KEYPOINT_EXTRACTORS, entry)


def _register(menu: dict[str, Entry], entry: Entry) -> None:
    if (
        not isinstance(entry, Entry)
        or not entry.id
        or not all(isinstance(option, Option) for option in entry.options)
    ):
        raise ValueError(f"{entry!r} is no entry of a menu with an id and options (models/options.py).")
    if entry.id in menu:
        raise ValueError(
            f"there is already an entry called {entry.id} in this menu; give the new one another id."
        )
    menu[entry.id] = entry


def members(contract: type) -> tuple[str, ...]:
    """Names of what an object must have to keep a contract."""
    own = [
        base
        for base in reversed(contract.__mro__)
        if getattr(base, "_is_protocol", False) and base is not Protocol
    ]
    names = (
        name for base in own for name in (*base.__annotations__, *vars(base)) if not name.startswith("_")
    )
    return tuple(dict.fromkeys(names))
