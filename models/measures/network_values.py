"""What a network says of films: each is given loaded, and the device that it computes on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..face.aligned import aligned_face
from ..footage.watching import groups
from ..media.film_reader import Film
from ..media.pixels import rounded_bytes
from .even_frames import even_frames
from .faces_of_film import FaceSeen
from .frechet import Cloud, cloud_distance
from .head_motion import FRAME_LIMIT, bin_diversity, degree_diversity
from .hopenet import degrees, head_picture
from .i3d import FRAMES, clip_picture
from .identity import boxed_face, cosines

EVERY = 5  # of how many frames one is looked at for identity and LPIPS
Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Shown:
    """A film and the followed face in every frame at `fps`, None where it is not."""

    film: Film
    fps: Fraction
    faces: list[FaceSeen | None]


def box_of(face: FaceSeen) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 of its points."""
    x0, y0, x1, y1 = map(float, (*face.xy.min(0), *face.xy.max(0)))
    return x0, y0, x1, y1


def hopenet_values(network: Network, shown: Shown, device: torch.device) -> dict[str, float]:
    """KDTalker's diversity and the same in degrees, of a film's first 200 frames. ValueError without a face there."""
    frames = zip(even_frames(shown.film, shown.fps), shown.faces, strict=False)
    rows = []
    for pixels, face in islice(frames, FRAME_LIMIT):
        if face is not None:
            picture = head_picture(rounded_bytes(pixels).numpy(), box_of(face))
            rows.append(network(picture[None].to(device)).cpu())
    if not rows:
        raise ValueError(f"no face is in the first {FRAME_LIMIT} frames, which Hopenet looks at.")
    bins = torch.cat(rows)
    return {
        "hopenet_bins": bin_diversity([bins.numpy()])["overall"],
        "hopenet_degrees": degree_diversity([degrees(bins).numpy()])["overall"],
    }


def faces_seen(shown: Shown) -> Iterator[tuple[Tensor, FaceSeen]]:
    """Some frames [H,W,3] with their face."""
    for number, (pixels, face) in enumerate(
        zip(even_frames(shown.film, shown.fps), shown.faces, strict=False)
    ):
        if face is not None and number % EVERY == 0:
            yield pixels, face


def against_first(
    shown: Shown, reference: Shown, vector: Callable[[Tensor, FaceSeen], Any]
) -> tuple[Any, list[Any]]:
    """(the reference's first face, the film's faces) as a network sees them. ValueError where there is none."""
    first = next(iter(faces_seen(reference)), None)
    if first is None:
        raise ValueError(
            "the reference shows no face in the frames that are looked at, so nobody can be compared."
        )
    others = [vector(*one) for one in faces_seen(shown)]
    if not others:
        raise ValueError(
            "the film shows no face in the frames that are looked at, so nobody can be compared."
        )
    return vector(*first), others


def arcface_values(
    network: Network, shown: Shown, reference: Shown, official: bool, device: torch.device
) -> dict[str, float]:
    """Mean cosine with the reference's first face."""

    def vector(pixels: Tensor, face: FaceSeen) -> Tensor:
        if official:
            picture = boxed_face(rounded_bytes(pixels).numpy(), box_of(face))[None]
        else:
            picture = aligned_face(pixels, face.xy)
        return network(picture.to(device))[0].cpu()

    first, others = against_first(shown, reference, vector)
    return {"identity": float(cosines(torch.stack(others), first).mean())}


def lpips_values(
    network: Callable[[Tensor, Tensor], Tensor],
    film: Film,
    reference: Film,
    fps: Fraction,
    device: torch.device,
) -> dict[str, float]:
    """Mean over some frames of both films. ValueError where they are of different sizes."""
    scores = []
    for number, (a, b) in enumerate(zip(even_frames(film, fps), even_frames(reference, fps), strict=False)):
        if a.shape != b.shape:
            raise ValueError("film and reference are of different sizes; save them in one size.")
        if number % EVERY == 0:
            pair = (2 * one.permute(2, 0, 1)[None].to(device) - 1 for one in (a, b))
            scores.append(float(network(*pair).mean()))
    return {"lpips": float(np.mean(scores))}


def picture_cloud(network: Network, film: Film, device: torch.device) -> Cloud:
    """InceptionV3's features of all frames at the film's own rate."""
    cloud = Cloud()
    for group in groups(pixels.permute(2, 0, 1) for pixels in even_frames(film, film.fps)):
        cloud.add(network(torch.stack(group).to(device)).cpu().numpy())
    return cloud


def clip_cloud(network: Network, film: Film, device: torch.device) -> Cloud:
    """I3D's features of runs of 16 frames at the film's own rate, one behind the other; what is left over at the end
    is left out."""
    cloud, pictures = Cloud(), (clip_picture(pixels) for pixels in even_frames(film, film.fps))
    while len(clip := list(islice(pictures, FRAMES))) == FRAMES:
        cloud.add(network(torch.stack(clip, 1)[None].to(device)).cpu().numpy())
    return cloud


def fid_values(first: Cloud, second: Cloud) -> dict[str, float]:
    """FID of pictures; ValueError where there are fewer than two in one of them."""
    return {"fid": cloud_distance(first, second)}


def fvd_values(first: Cloud, second: Cloud) -> dict[str, float]:
    """FVD of clips; ValueError where there are fewer than two in one of them."""
    if min(first.count, second.count) < 2:
        raise ValueError(
            f"FVD needs two clips of {FRAMES} frames or more of both films; there are {first.count} and "
            f"{second.count}. Give longer films."
        )
    return {"fvd": cloud_distance(first, second)}
