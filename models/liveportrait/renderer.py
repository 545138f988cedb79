"""LivePortrait as a portrait renderer: the picture is encoded once, every frame is warped, drawn and pasted back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..face_motion import ResolvedMotion
from ..media.pixels import Box, laid_on, to_bytes, warp_affine
from ..portrait import FaceLandmarks478, Portrait
from .animation import AnimationOptions, Source, driven_keypoints
from .appearance import AppearanceExtractor
from .crop import SIZE, SOURCE_CROP, crop_matrix, crop_picture, face_box, network_input
from .generator import SpadeGenerator
from .motion_extractor import MotionExtractor
from .paste import PastePlan, pasted_part, plan_paste
from .retargeting import Retargeting
from .source import face_frame, openings, picture_tensor
from .warping import WarpingModule, WarpSource

LEAST_FACE = 32  # pixels of the crop's side: below it 512 drawn pixels would come from almost none
LARGEST_BATCH = 32  # on a CPU it is one: two frames leave its cache and are slower
SHARE = 3  # of a device's memory, that part at most is asked for the frames of a batch
# activations of one frame
FRAME_BYTES = {torch.float32: 900_000_000, torch.float16: 500_000_000, torch.bfloat16: 500_000_000}


class Networks(Protocol):
    """The five networks, loaded when they are asked for; `dtype` is the type that F, W and G compute in, on
    `device` (where their weights lie is the memory manager's business)."""

    dtype: torch.dtype
    device: torch.device

    def memory(self) -> tuple[int, int]:
        """Bytes of `device` that are free now, and that it has in all."""
        ...

    def encoders(self) -> tuple[AppearanceExtractor, MotionExtractor]:
        """Appearance extractor and motion extractor (in float32)."""
        ...

    def drawers(self, memory: int) -> tuple[WarpingModule, SpadeGenerator]:
        """Warping module and generator, with room for `memory` bytes of activations."""
        ...

    def retargeting(self) -> Retargeting:
        """Stitching and retargeting, in float32."""
        ...


@dataclass(frozen=True)
class LivePortraitFeatures:
    """What is known of one face: its warp source and keypoints, its place in the picture (None: the crop is
    the picture)."""

    warp: WarpSource
    source: Source
    to_picture: np.ndarray
    plan: PastePlan | None
    options: AnimationOptions


@dataclass(frozen=True)
class Framing:
    """The part of a picture that is drawn: matrix [3,3] from the picture to 512x512, and the networks' input
    [256,256,3] bytes."""

    matrix: np.ndarray
    pixels: Tensor


def upright_square(image: Tensor, points: np.ndarray) -> Framing:
    """LivePortrait's square around landmarks [478,2], turned upright, of a picture [H,W,3] in bytes."""
    matrix = crop_matrix(face_box(points, *SOURCE_CROP))
    return Framing(matrix, network_input(crop_picture(image, matrix)))


class LivePortraitRenderer:
    """Draws 512x512 around the face and pastes it back into the whole picture."""

    def __init__(
        self,
        networks: Networks,
        name: str = "LivePortrait",
        frame: Callable[[Tensor, np.ndarray], Framing] = upright_square,
    ):
        self.networks, self.id, self.frame = networks, name, frame

    def prepare(self, image: Tensor, face: FaceLandmarks478, person_mask: Tensor | None = None) -> Portrait:
        """See PortraitRenderer; the mask is not needed. ValueError if the face is too small."""
        (portrait,) = self.prepare_each([image], [face])
        return portrait

    def prepare_each(self, images: Sequence[Tensor], faces: Sequence[FaceLandmarks478]) -> list[Portrait]:
        """See EachRenderer. ValueError if a face is too small."""
        framings = [
            self.framing(image, face.points[:, :2]) for image, face in zip(images, faces, strict=True)
        ]
        pixels = torch.cat([picture_tensor(framing.pixels) for framing in framings])
        appearance, motion = self.networks.encoders()
        device = self.networks.device
        volumes = appearance(pixels.to(device, self.networks.dtype))
        found = motion(pixels.to(device))
        warping, _ = self.networks.drawers(0)
        portraits = []
        for number, (image, face, framing) in enumerate(zip(images, faces, framings, strict=True)):
            own = slice(number, number + 1)
            source = Source(found.canonical[own].cpu(), face_frame(found, number), *openings(face.points))
            warp = moved(warping.prepare(volumes[own], source.keypoints.to(device)), torch.device("cpu"))
            to_picture = np.linalg.inv(framing.matrix)
            plan = plan_paste(to_picture, image.shape[1], image.shape[0])
            features = LivePortraitFeatures(warp, source, to_picture, plan, AnimationOptions())
            portraits.append(Portrait(image, face, source.motion, self.id, features))
        return portraits

    def framing(self, image: Tensor, points: np.ndarray) -> Framing:
        """The part that is drawn of a picture whose face is landmarks [478,2]; ValueError if it is too small."""
        box = face_box(points, *SOURCE_CROP)
        if box.side < LEAST_FACE:
            raise ValueError(
                f"the face in image is about {box.side / SOURCE_CROP[0]:.0f} pixels wide; LivePortrait needs "
                f"{LEAST_FACE / SOURCE_CROP[0]:.0f} and looks well from 200. Enlarge the picture, or choose "
                "a larger face."
            )
        return self.frame(to_bytes(image), points)

    def frames_per_batch(self, portrait: Portrait, device: torch.device) -> int:
        """See PortraitRenderer: as many as the memory holds that is free now."""
        if device.type == "cpu":
            return 1
        return self._batch(self.networks.memory()[0])

    def part(self, portrait: Portrait) -> Box:
        """See PartRenderer."""
        plan = portrait.features.plan
        return (0, 0, SIZE, SIZE) if plan is None else plan.box

    def render(self, portrait: Portrait, motion: ResolvedMotion, device: torch.device) -> Tensor:
        """See PortraitRenderer. ValueError when half precision overflows."""
        return laid_on(portrait.image, self.part(portrait), self.render_part(portrait, motion, device))

    def render_part(self, portrait: Portrait, motion: ResolvedMotion, device: torch.device) -> Tensor:
        """See PartRenderer. ValueError when half precision overflows."""
        return torch.cat([*self.film(portrait, motion, device)])

    def film(self, portrait: Portrait, motion: ResolvedMotion, device: torch.device) -> Iterator[Tensor]:
        """See FilmRenderer. ValueError when half precision overflows.

        The networks are asked for once, and what stays the same is moved once. Whether a batch holds numbers alone is
        read when the next one is on its way, so that the device never waits.
        """
        features: LivePortraitFeatures = portrait.features
        keypoints = self._keypoints(features, motion).float()
        device = self.networks.device
        asked = 1 if device.type == "cpu" else self._batch(self.networks.memory()[1] // SHARE)
        warping, generator = self.networks.drawers(asked * FRAME_BYTES[self.networks.dtype])
        batch = min(asked, self.frames_per_batch(portrait, device))
        source = moved(features.warp, device)
        plan = None if features.plan is None else features.plan.to(device)
        picture = portrait.image.to(device)
        drawn_before: Tensor | None = None
        for start in range(0, len(keypoints), batch):
            faces = generator(warping(source, keypoints[start : start + batch])).float()
            numbers = torch.isfinite(faces).all()
            self._check(drawn_before)
            drawn_before = numbers
            yield pasted(faces, picture, plan)
        self._check(drawn_before)

    def draw_each(
        self, portraits: Sequence[Portrait], motions: Sequence[ResolvedMotion], device: torch.device
    ) -> list[Tensor]:
        """See EachRenderer. ValueError when half precision overflows."""
        known: list[LivePortraitFeatures] = [portrait.features for portrait in portraits]
        keypoints = [self._keypoints(one, motion).float() for one, motion in zip(known, motions, strict=True)]
        device = self.networks.device
        warping, generator = self.networks.drawers(len(known) * FRAME_BYTES[self.networks.dtype])
        source = moved(WarpSource.joined([one.warp for one in known]), device)
        faces = generator(warping(source, torch.cat(keypoints))).float()
        self._check(torch.isfinite(faces).all())
        return [
            pasted(face[None], portrait.image.to(device), plan and plan.to(device))[0]
            for face, portrait, plan in zip(faces, portraits, (one.plan for one in known), strict=True)
        ]

    def _batch(self, memory: int) -> int:
        return int(min(max(1, memory // FRAME_BYTES[self.networks.dtype]), LARGEST_BATCH))

    def _check(self, numbers: Tensor | None) -> None:
        """ValueError if a batch was drawn whose values are not all numbers."""
        if numbers is not None and not numbers:
            raise ValueError(
                f"{self.id}: the drawn face has values that are not numbers in "
                f"{str(self.networks.dtype).removeprefix('torch.')}. Choose precision fp32 in Load Portrait "
                "Renderer; some older GPUs need it."
            )

    def _keypoints(self, features: LivePortraitFeatures, motion: ResolvedMotion) -> Tensor:
        options = features.options
        needed = (
            options.stitching or options.close_lips or options.eyes is not None or options.lips is not None
        )
        network = self.networks.retargeting() if needed else None
        device = self.networks.device
        return driven_keypoints(features.source.to(device), motion.to(device), options, network)


def pasted(faces: Tensor, picture: Tensor, plan: PastePlan | None) -> Tensor:
    """Drawn faces [n,3,512,512] as a renderer's frames [n,h,w,3]; no plan: the faces are the frames."""
    return faces.permute(0, 2, 3, 1).contiguous() if plan is None else pasted_part(faces, picture, plan)


def moved(source: WarpSource, device: torch.device) -> WarpSource:
    """A warp source on another device."""
    return WarpSource(*(value.to(device) for value in (source.volume, source.compressed, source.keypoints)))


def with_options(portrait: Portrait, options: AnimationOptions) -> Portrait:
    """The same portrait, animated with other options."""
    return replace(portrait, features=replace(portrait.features, options=options))


def face_alone(portrait: Portrait) -> Portrait:
    """The same face with its 512x512 crop as the whole picture, as KDTalker publishes its films."""
    features: LivePortraitFeatures = portrait.features
    crop = warp_affine(portrait.image, np.linalg.inv(features.to_picture), SIZE, SIZE)
    return replace(portrait, image=crop, features=replace(features, plan=None))
