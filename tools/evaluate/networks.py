"""What is measured with networks whose files somebody put into ComfyUI's models folder, or whose package is there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ...models.face.aligned import aligned_face
from ...models.face.arcface import ArcFace
from ...models.footage.watching import groups
from ...models.measures.evaluation import Values
from ...models.measures.even_frames import even_frames
from ...models.measures.faces_of_film import FaceSeen, FilmSeen
from ...models.measures.frechet import Cloud, cloud_distance
from ...models.measures.head_motion import FRAME_LIMIT, bin_diversity, degree_diversity
from ...models.measures.hopenet import Hopenet, degrees, head_picture, hopenet_state
from ...models.measures.identity import boxed_face, cosines
from ...models.measures.inception import FeatureInception
from ...models.measures.sync_of_face import sync_values
from ...models.measures.syncnet import SyncNet
from ...models.media.pixels import rounded_bytes
from ...models.progress import silent
from ...models.speech.viseme_heads import build_heads
from ...models.speech.viseme_hearing import hear_recording
from ...models.speech.visemes import VISEMES
from ...models.speech.whisper_tiny_en import build_encoder, encoder_state
from ...models.weights.int8 import in_float
from ...models.weights.published import WEIGHTS, weight_path
from ..check.files import published_state
from .films import Given

EVERY = 5  # of how many frames one is looked at for identity, LPIPS and FID
PACKAGES = {"lpips": ("lpips",), "dlib": ("dlib", "face_recognition_models")}


@dataclass
class Sets:
    """Features of all films and of all references of one call, each film once."""

    films: Cloud = field(default_factory=Cloud)
    references: Cloud = field(default_factory=Cloud)
    known: set[tuple[str, Path]] = field(default_factory=set)

    def add(self, kind: str, path: Path, cloud: Cloud) -> None:
        """kind: films or references."""
        if (kind, path) not in self.known:
            self.known.add((kind, path))
            getattr(self, kind).join(cloud)

    def values(self) -> Values:
        """FID of the one set to the other; none where there is but one film."""
        if sum(kind == "films" for kind, _ in self.known) < 2:
            return {}
        return {"fid": cloud_distance(self.films, self.references)}


@dataclass(frozen=True)
class Asked:
    """What a measure with a network is given. reference: None without one. sets: what adds up over all films."""

    given: Given
    seen: FilmSeen
    faces: list[FaceSeen | None]
    reference: Given | None
    reference_faces: list[FaceSeen | None] | None
    detector: Any
    models: Path
    device: torch.device
    official: bool
    sets: Sets = field(default_factory=Sets)


def filled(network: nn.Module, state: dict[str, Tensor], device: torch.device) -> Any:
    """The network with these weights, in float32. ValueError if they are another's."""
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"its file is of another network: {str(error).splitlines()[-1].strip()}") from None
    return network.float().eval().requires_grad_(False).to(device)


def weights(key: str, models: Path) -> dict[str, Tensor]:
    """What a published file holds. ValueError says what to get."""
    state, _ = published_state(key, models)
    if state is None:
        weight = WEIGHTS[key]
        raise ValueError(
            f"{weight.file} (licence: {weight.licence}) is not in {models / weight.folder}. Get it from {weight.url} "
            "and put it there, or give --models."
        )
    return state


def own_ear(device: torch.device) -> Callable[[np.ndarray, int], np.ndarray]:
    """Probability of p, b or m at 100 Hz, by the networks that ship."""
    encoder, heads = (load_file(weight_path(WEIGHTS[key])) for key in ("whisper_tiny_en", "viseme_heads"))
    encoder, heads = encoder_state(encoder), in_float(heads)
    networks = (
        filled(build_encoder(encoder, {}), encoder, device),
        filled(build_heads(heads, {}), heads, device),
    )

    def hears(wave: np.ndarray, rate: int) -> np.ndarray:
        return hear_recording(networks, wave, rate, device)[0][:, VISEMES.index("PP")]

    return hears


def syncnet(asked: Asked) -> Values:
    """LSE-C, LSE-D and offset of the longest track of a face, cropped as published but for the detector."""
    network = filled(SyncNet(), weights("measures.syncnet", asked.models), asked.device)
    given = asked.given
    return sync_values(network, given.film, asked.seen, given.sound, asked.detector, asked.official, silent)


def hopenet(asked: Asked) -> Values:
    """KDTalker's diversity and the same in degrees, of its first 200 frames."""
    network = filled(Hopenet(), hopenet_state(weights("measures.hopenet", asked.models)), asked.device)
    frames = zip(even_frames(asked.given.film, asked.seen.fps), asked.faces, strict=False)
    rows = []
    for pixels, face in islice(frames, FRAME_LIMIT):
        if face is not None:
            picture = head_picture(rounded_bytes(pixels).numpy(), box_of(face))
            rows.append(network(picture[None].to(asked.device)).cpu())
    if not rows:
        raise ValueError(f"no face is in the first {FRAME_LIMIT} frames, which Hopenet looks at.")
    bins = torch.cat(rows)
    return {
        "hopenet_bins": bin_diversity([bins.numpy()])["overall"],
        "hopenet_degrees": degree_diversity([degrees(bins).numpy()])["overall"],
    }


def box_of(face: FaceSeen) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 of its points."""
    x0, y0, x1, y1 = map(float, (*face.xy.min(0), *face.xy.max(0)))
    return x0, y0, x1, y1


def faces_seen(
    given: Given, faces: list[FaceSeen | None], fps: Fraction
) -> Iterator[tuple[Tensor, FaceSeen]]:
    """Some frames [H,W,3] with their face."""
    for number, (pixels, face) in enumerate(zip(even_frames(given.film, fps), faces, strict=False)):
        if face is not None and number % EVERY == 0:
            yield pixels, face


def against_reference(asked: Asked, vector: Callable[[Tensor, FaceSeen], Any]) -> tuple[Any, list[Any]]:
    """(the reference's first face, faces of the film) as a network sees them; without a reference the film's first."""
    other, faces = asked.reference or asked.given, asked.reference_faces or asked.faces
    first = next(iter(faces_seen(other, faces, other.film.fps)), None)
    if first is None:
        raise ValueError(
            "the reference shows no face in the frames that are looked at, so nobody can be compared."
        )
    return vector(*first), [vector(*one) for one in faces_seen(asked.given, asked.faces, asked.seen.fps)]


def arcface(asked: Asked) -> Values:
    """Mean cosine with the reference's first face."""
    network = filled(ArcFace(), weights("actalker.arcface", asked.models), asked.device)

    def vector(pixels: Tensor, face: FaceSeen) -> Tensor:
        if asked.official:
            picture = boxed_face(rounded_bytes(pixels).numpy(), box_of(face))[None]
        else:
            picture = aligned_face(pixels, face.xy)
        return network(picture.to(asked.device))[0].cpu()

    first, others = against_reference(asked, vector)
    return {"identity": float(cosines(torch.stack(others), first).mean())}


def dlib(asked: Asked) -> Values:
    """Mean distance of dlib's vectors to the reference's first face."""
    check_package("dlib")
    import dlib as library  # pyright: ignore[reportMissingImports]

    spec = find_spec("face_recognition_models")
    assert spec is not None and spec.submodule_search_locations  # it was found
    folder = Path(next(iter(spec.submodule_search_locations))) / "models"
    network = library.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat"))
    corners = library.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))

    def vector(pixels: Tensor, face: FaceSeen) -> np.ndarray:
        picture = rounded_bytes(pixels).numpy()
        shape = corners(picture, library.rectangle(*(round(side) for side in box_of(face))))
        return np.array(network.compute_face_descriptor(picture, shape))

    first, others = against_reference(asked, vector)
    return {"identity_dlib": float(np.mean([np.linalg.norm(one - first) for one in others]))}


def pairs(asked: Asked) -> Iterator[tuple[Tensor, Tensor]]:
    """Some frames of both films at the film's rate. ValueError without a reference, or of another size."""
    if asked.reference is None:
        raise ValueError("it compares with a reference. Give --reference.")
    films = (even_frames(one.film, asked.seen.fps) for one in (asked.given, asked.reference))
    for number, (a, b) in enumerate(zip(*films, strict=False)):
        if a.shape != b.shape:
            raise ValueError("film and reference are of different sizes; save them in one size.")
        if number % EVERY == 0:
            yield a, b


def lpips(asked: Asked) -> Values:
    """Mean over frames, with the library's own weights over AlexNet's from a file."""
    check_package("lpips")
    import lpips as library  # pyright: ignore[reportMissingImports]

    given = weights("measures.alexnet", asked.models)
    network = library.LPIPS(net="alex", pnet_rand=True, verbose=False)
    layers = {key: key.split(".") for key in network.state_dict() if key.startswith("net.slice")}
    state = {key: given[f"features.{parts[2]}.{parts[3]}"] for key, parts in layers.items()}
    network = filled(network, {**network.state_dict(), **state}, asked.device)
    scores = [
        float(network(*(2 * one.permute(2, 0, 1)[None].to(asked.device) - 1 for one in pair)).mean())
        for pair in pairs(asked)
    ]
    return {"lpips": float(np.mean(scores))}


def inception(asked: Asked) -> Values:
    """FID of the frames of both films."""
    if asked.reference is None:
        raise ValueError("it compares with a reference. Give --reference.")
    state = {f"net.{key}": value for key, value in weights("measures.inception", asked.models).items()}
    network = filled(FeatureInception(), state, asked.device)
    clouds = []
    for kind, given in (("films", asked.given), ("references", asked.reference)):
        frames = (pixels.permute(2, 0, 1) for pixels in even_frames(given.film, given.film.fps))
        clouds.append(Cloud())
        for group in groups(frames):
            clouds[-1].add(network(torch.stack(group).to(asked.device)).cpu().numpy())
        asked.sets.add(kind, given.path, clouds[-1])
    return {"fid": cloud_distance(*clouds)}


def check_package(measure: str) -> None:
    """ValueError, with what to install, where a measure's package is missing."""
    missing = [name for name in PACKAGES[measure] if find_spec(name) is None]
    if missing:
        raise ValueError(
            f"the Python package {' and '.join(missing)} is not installed. Install the optional group {measure} of "
            f"pyproject.toml: pip install 'talking-portrait[{measure}]'."
        )


NETWORKS: dict[str, Callable[[Asked], Values]] = {
    "syncnet": syncnet, "hopenet": hopenet, "arcface": arcface, "dlib": dlib, "lpips": lpips, "inception": inception,
}  # fmt: skip
