"""Prepare Portrait: one face of one picture, at a size that can be drawn, ready to be moved by any renderer."""

from dataclasses import dataclass

import numpy as np
import torch
from comfy_api.latest import io
from torch import Tensor

from ..models.contracts import PortraitRenderer
from ..models.face.landmarks import others_found, select_face
from ..models.face.weights import load_person_segmenter
from ..models.media.pixels import resize_antialiased
from ..models.portrait import FaceLandmarks478, Portrait
from . import sockets
from .gates import Node
from .progress import tell

CATEGORY = "talking portrait/portrait"
PREPARE = "Prepare Portrait"
LONGEST_EDGE = 1280  # pixels: what a phone's film has


@dataclass(frozen=True)
class PreparedPortrait:
    """What travels on a PORTRAIT socket: the portrait, the renderer that can draw it, a mask [H,W] of the person."""

    renderer: PortraitRenderer
    portrait: Portrait
    person: Tensor | None = None


class PreparePortrait(Node):
    line = staticmethod(tell)

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitPrepare",
            display_name="Prepare Portrait",
            category=CATEGORY,
            description="Makes one face of a picture ready to be moved. Done once per picture, however long the film.",
            search_aliases=["source portrait", "source image", "avatar", "photo", "crop face", "max size"],
            inputs=[
                sockets.PortraitRenderer.Input("renderer", tooltip="From Load Portrait Renderer."),
                io.Image.Input(
                    "image",
                    tooltip="One picture, any size; the whole picture stays in the video, smaller if max_size says so.",
                ),
                sockets.FaceLandmarks.Input(
                    "face_landmarks",
                    tooltip="From Detect Face Landmarks (MediaPipe) or Face Landmarks from Box, for the same picture.",
                ),
                io.Int.Input(
                    "face_index",
                    default=0,
                    min=0,
                    max=63,
                    tooltip="Which face, if there are several: 0 is the largest.",
                ),
                # a socket only: the page's own widget would always hold some box
                sockets.BoundingBox.Input(
                    "face_box",
                    extra_dict={"forceInput": True},
                    optional=True,
                    tooltip="Instead of the index: the face that overlaps this box most, in pixels.",
                ),
                io.Mask.Input(
                    "person_mask",
                    optional=True,
                    tooltip="White where the person is; background stays still behind the head. Made for you "
                    "when empty.",
                ),
                io.Int.Input(
                    "max_size",
                    default=LONGEST_EDGE,
                    min=0,
                    max=16384,
                    step=16,
                    optional=True,
                    tooltip="Longest edge of the video in pixels: a larger picture is made smaller. 0 keeps its own "
                    "size; a phone's photo then takes some ten times as long.",
                ),
            ],
            outputs=[sockets.Portrait.Output(tooltip="For Render Portrait and Render Portrait Video.")],
        )

    @classmethod
    def execute(
        cls,
        renderer,
        image,
        face_landmarks,
        face_index,
        face_box=None,
        person_mask=None,
        max_size=LONGEST_EDGE,
    ) -> io.NodeOutput:
        picture = single_picture(image)
        check_same_size(picture, face_landmarks)
        points = select_face(face_landmarks, face_index, face_box)
        others = others_found(face_landmarks["frames"][0], points)
        mask = None if person_mask is None else white_on_face(single_mask(person_mask, picture), points)
        picture, points, mask, size = fitted(picture, points, mask, max_size)
        if mask is None:
            mask = load_person_segmenter().mask(picture)
        face = FaceLandmarks478(points)
        portrait = Portrait.of(renderer.prepare(picture, face, mask), picture, face, renderer.id)
        tell("; ".join(filter(None, [size, others, *portrait.notes])))
        return io.NodeOutput(PreparedPortrait(renderer, portrait, mask))


def fitted(
    picture: Tensor, points: np.ndarray, mask: Tensor | None, max_size: int
) -> tuple[Tensor, np.ndarray, Tensor | None, str]:
    """Picture [H,W,3], landmarks [478,3] and mask [H,W] with a longest edge of at most max_size pixels (0: any), and
    that in words; a smaller picture has even sides, as films want them."""
    height, width = picture.shape[:2]
    size = f"{width}x{height}"
    if not 0 < max_size < max(height, width):
        return picture, points, mask, f"drawn at {size}"
    rows, columns = (max(2, 2 * int(max_size * side / max(height, width) / 2)) for side in (height, width))
    scale = np.array([columns / width, rows / height, max(rows, columns) / max(height, width)], points.dtype)
    smaller = resize_antialiased(picture, columns, rows)
    return (
        smaller,
        points * scale,
        None if mask is None else resize_antialiased(mask[..., None], columns, rows)[..., 0],
        f"{size} drawn at {columns}x{rows} (max_size {max_size})",
    )


def single_picture(image: Tensor, node: str = PREPARE) -> Tensor:
    """[1,H,W,C] -> [H,W,3] float32 on the CPU; ValueError for a batch or for values that are no numbers."""
    if image.shape[0] != 1:
        raise ValueError(
            f"{node}: image holds {image.shape[0]} pictures; it takes one. Choose one with Get Image from Batch."
        )
    picture = image[0].float().cpu()
    picture = picture.expand(-1, -1, 3) if picture.shape[-1] == 1 else picture[..., :3]
    if not torch.isfinite(picture).all():
        raise ValueError(
            f"{node}: image has values that are not numbers (NaN); look at the node that made it."
        )
    return picture.clamp(0, 1).contiguous()


def single_mask(mask: Tensor, picture: Tensor, name: str = "person_mask", node: str = PREPARE) -> Tensor:
    """[1,h,w] or [h,w] -> [H,W]; ValueError if it is of another size than the picture."""
    mask = mask.reshape(-1, *mask.shape[-2:])[0].float().cpu()
    if mask.shape != picture.shape[:2]:
        raise ValueError(
            f"{node}: {name} is {mask.shape[1]}x{mask.shape[0]}, but image is "
            f"{picture.shape[1]}x{picture.shape[0]}; they must be of one size."
        )
    return mask


def check_same_size(picture: Tensor, face_landmarks: dict, node: str = PREPARE) -> None:
    """ValueError if the landmarks were found in a picture of another size."""
    height, width = face_landmarks["image_size"]
    if (height, width) != tuple(picture.shape[:2]):
        raise ValueError(
            f"{node}: face_landmarks were found in a {width}x{height} picture, but image is "
            f"{picture.shape[1]}x{picture.shape[0]}; detect the landmarks in the same picture."
        )


def white_on_face(mask: Tensor, points: np.ndarray) -> Tensor:
    """The person's mask [H,W], if it is white where the face [478,3] is; ValueError if it is the wrong way round."""
    height, width = mask.shape
    x = torch.from_numpy(points[:, 0]).long().clamp(0, width - 1)
    y = torch.from_numpy(points[:, 1]).long().clamp(0, height - 1)
    if mask[y, x].mean() < 0.5:
        raise ValueError(
            "person_mask is black where the face is; it must be white where the person is. Use Invert Mask: "
            "the mask of Load Image, for one, is white where the picture is transparent."
        )
    return mask


NODES = [PreparePortrait]
