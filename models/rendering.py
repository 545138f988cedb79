"""Frames of a motion from any renderer: batch by batch, and only the part of the picture that it changes."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from .contracts import (
    ByteRenderer,
    EachRenderer,
    FilmRenderer,
    MaskMover,
    PartRenderer,
    PortraitRenderer,
    members,
)
from .face_motion import FaceMotion, resolve
from .media.pixels import Box, laid_on, rounded_bytes
from .portrait import FaceLandmarks478, Portrait


def drawn_part(renderer: PortraitRenderer, portrait: Portrait) -> Box:
    """The rectangle that a renderer draws: its own part, else the whole picture."""
    if draws_parts(renderer):
        return renderer.part(portrait)  # type: ignore[attr-defined]
    height, width = portrait.image.shape[:2]
    return (0, 0, width, height)


def draws_parts(renderer: PortraitRenderer) -> bool:
    """Whether a renderer has what PartRenderer names besides."""
    return keeps(renderer, PartRenderer)


def keeps(renderer: PortraitRenderer, contract: type) -> bool:
    """Whether a renderer has all that a contract names."""
    return all(hasattr(renderer, name) for name in members(contract))


def render_parts(
    renderer: PortraitRenderer, portrait: Portrait, motion: FaceMotion, device: torch.device
) -> Iterator[Tensor]:
    """Pictures [n,h,w,3] of the drawn part in 0..1, n as the renderer's memory bound allows, of all frames in
    turn, where the renderer drew them."""
    if keeps(renderer, FilmRenderer):
        return _film(renderer, portrait, motion, device)  # type: ignore[arg-type]
    draw = renderer.render_part if draws_parts(renderer) else renderer.render  # type: ignore[attr-defined]
    return _in_batches(renderer, draw, portrait, motion, device, whole=False)


def render_bytes(
    renderer: PortraitRenderer, portrait: Portrait, motion: FaceMotion, device: torch.device
) -> Iterator[Tensor]:
    """The same in bytes."""
    if keeps(renderer, ByteRenderer):
        draw = renderer.render_bytes  # type: ignore[attr-defined]
        return _in_batches(renderer, draw, portrait, motion, device, whole=True)
    return map(rounded_bytes, render_parts(renderer, portrait, motion, device))


def prepare_each(
    renderer: PortraitRenderer, pictures: Sequence[Tensor], faces: Sequence[FaceLandmarks478]
) -> list[Portrait]:
    """Portraits of pictures [H,W,3], at once where the renderer can."""
    if keeps(renderer, EachRenderer):
        found = renderer.prepare_each(pictures, faces)  # type: ignore[attr-defined]
    else:
        found = [renderer.prepare(picture, face) for picture, face in zip(pictures, faces, strict=True)]
    return [
        Portrait.of(one, picture, face, renderer.id)
        for one, picture, face in zip(found, pictures, faces, strict=True)
    ]


def render_each(
    renderer: PortraitRenderer,
    portraits: Sequence[Portrait],
    motions: Sequence[FaceMotion],
    device: torch.device,
) -> list[Tensor]:
    """The drawn part [h,w,3] in 0..1 of every portrait with its own motion of one frame, at once where the renderer
    can."""
    if not keeps(renderer, EachRenderer):
        alone = (
            render_parts(renderer, portrait, motion, device)
            for portrait, motion in zip(portraits, motions, strict=True)
        )
        return [torch.cat([*parts])[0] for parts in alone]
    resolved = [
        resolve(motion, portrait.motion, portrait.policy)
        for portrait, motion in zip(portraits, motions, strict=True)
    ]
    pictures = renderer.draw_each(portraits, resolved, device)  # type: ignore[attr-defined]
    return [
        checked(renderer, picture, _size(renderer, portrait))
        for portrait, picture in zip(portraits, pictures, strict=True)
    ]


def at_once(renderer: PortraitRenderer, portrait: Portrait, device: torch.device) -> int:
    """Of how many pictures like this one's `render_each` is best asked together."""
    return renderer.frames_per_batch(portrait, device) if keeps(renderer, EachRenderer) else 1


def _film(
    renderer: FilmRenderer, portrait: Portrait, motion: FaceMotion, device: torch.device
) -> Iterator[Tensor]:
    size, done = _size(renderer, portrait), 0
    for pictures in renderer.film(portrait, resolve(motion, portrait.motion, portrait.policy), device):
        done += len(pictures)
        yield checked(renderer, pictures, (len(pictures), *size))
    if done != len(motion):
        raise ValueError(f"{renderer.id} drew {done} of {len(motion)} frames; the renderer is at fault.")


def _in_batches(
    renderer: PortraitRenderer, draw: Callable, portrait: Portrait, motion: FaceMotion, device: torch.device,
    whole: bool,
) -> Iterator[Tensor]:  # fmt: skip
    size, resolved = _size(renderer, portrait), resolve(motion, portrait.motion, portrait.policy)
    batch = renderer.frames_per_batch(portrait, device)
    for start in range(0, len(motion), batch):
        frames = resolved.slice(start, min(start + batch, len(motion)))
        yield checked(renderer, draw(portrait, frames, device), (len(frames), *size), whole)


def _size(renderer: PortraitRenderer, portrait: Portrait) -> tuple[int, int, int]:
    """Height, width and channels of the drawn part."""
    left, top, right, bottom = drawn_part(renderer, portrait)
    return bottom - top, right - left, 3


def checked(
    renderer: PortraitRenderer, pictures: Tensor, shape: tuple[int, ...], whole: bool = False
) -> Tensor:
    """The pictures; ValueError in the renderer's name if they are none of this shape, as floats or whole numbers."""
    right = isinstance(pictures, Tensor) and tuple(pictures.shape) == shape
    if not right or not (pictures.dtype == torch.uint8 if whole else pictures.is_floating_point()):
        found = tuple(pictures.shape) if isinstance(pictures, Tensor) else type(pictures).__name__
        kind = "bytes" if whole else "0..1"
        raise ValueError(
            f"{renderer.id} drew {found} where {shape} in {kind} was asked for; the renderer is at fault."
        )
    return pictures


def masks(
    renderer: PortraitRenderer, portrait: Portrait, mask: Tensor, motion: FaceMotion, device: torch.device
) -> Iterator[Tensor] | None:
    """A mask [H,W] of the portrait's picture in every frame, [n,H,W] batch by batch; None if the renderer draws the
    face anew, so that nothing of the picture moves along."""
    if not keeps(renderer, MaskMover):
        return None
    return _moved_masks(renderer, portrait, mask, motion, device)  # type: ignore[arg-type]


def _moved_masks(
    renderer: MaskMover, portrait: Portrait, mask: Tensor, motion: FaceMotion, device: torch.device
) -> Iterator[Tensor]:
    box, resolved = renderer.part(portrait), resolve(motion, portrait.motion, portrait.policy)
    batch = renderer.frames_per_batch(portrait, device)
    for start in range(0, len(motion), batch):
        frames = resolved.slice(start, min(start + batch, len(motion)))
        parts = renderer.move_mask(portrait, mask, frames, device)
        yield laid_on(mask[..., None], box, parts[..., None])[..., 0]


class Canvas:
    """The portrait's picture in bytes, kept from frame to frame; only the drawn part is laid on it anew.

    picture: [H,W,3] uint8 on the CPU, as the last `lay` left it.
    """

    def __init__(self, image: Tensor, box: Box):
        self._still, self._box = rounded_bytes(image).cpu(), box
        self.picture = self._still.clone()
        left, top, right, bottom = box
        self._part = self.picture[top:bottom, left:right]

    def with_part(self, part: Tensor) -> Tensor:
        """A picture of its own with a part [h,w,3] in bytes, while another thread may be at work on this one."""
        left, top, right, bottom = self._box
        picture = self._still.clone()
        picture[top:bottom, left:right] = part.cpu()
        return picture

    def lay(self, part: Tensor) -> Tensor:
        """The whole picture with a part [h,w,3] in bytes; it is the same memory every time."""
        self._part.copy_(part)
        return self.picture
