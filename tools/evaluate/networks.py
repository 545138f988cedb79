"""What is measured with networks whose files somebody put into ComfyUI's models folder, or whose package is there."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ...models.face.arcface import ArcFace
from ...models.measures.evaluation import Values, tried
from ...models.measures.faces_of_film import FaceSeen, FilmSeen
from ...models.measures.frechet import Cloud
from ...models.measures.hopenet import Hopenet, hopenet_state
from ...models.measures.i3d import FeatureI3D, i3d_state
from ...models.measures.inception import FeatureInception, inception_state
from ...models.measures.lpips_network import lpips_network, lpips_state
from ...models.measures.network_values import (
    Shown,
    against_first,
    arcface_values,
    box_of,
    clip_cloud,
    fid_values,
    fvd_values,
    hopenet_values,
    lpips_values,
    picture_cloud,
)
from ...models.measures.packages import check_package
from ...models.measures.sync_of_face import sync_values
from ...models.measures.syncnet import SyncNet
from ...models.media.film_reader import Film
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

DISTANCES: dict[str, Callable[[Cloud, Cloud], Values]] = {"fid": fid_values, "fvd": fvd_values}


@dataclass
class Sets:
    """Features of all films and of all references of one call, each film once, by measure: fid, fvd."""

    clouds: dict[tuple[str, str], Cloud] = field(default_factory=lambda: defaultdict(Cloud))
    known: set[tuple[str, str, Path]] = field(default_factory=set)

    def add(self, kind: str, side: str, path: Path, cloud: Cloud) -> None:
        """kind: of DISTANCES; side: films or references."""
        if (kind, side, path) not in self.known:
            self.known.add((kind, side, path))
            self.clouds[kind, side].join(cloud)

    def values(self) -> Values:
        """Distances of the one set to the other; none where there is but one film. What cannot be told is left out."""
        found: Values = {}
        for kind, distance in DISTANCES.items():
            if sum(one[:2] == (kind, "films") for one in self.known) > 1:
                tried(
                    found,
                    [],
                    lambda k=kind, d=distance: d(self.clouds[k, "films"], self.clouds[k, "references"]),
                )
        return found


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

    @property
    def shown(self) -> Shown:
        """The film with its face."""
        return Shown(self.given.film, self.seen.fps, self.faces)

    @property
    def beside(self) -> Shown:
        """The reference with its face; the film itself where there is none."""
        if self.reference is None or self.reference_faces is None:
            return self.shown
        return Shown(self.reference.film, self.reference.film.fps, self.reference_faces)


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
    """KDTalker's diversity and the same in degrees."""
    network = filled(Hopenet(), hopenet_state(weights("measures.hopenet", asked.models)), asked.device)
    return hopenet_values(network, asked.shown, asked.device)


def arcface(asked: Asked) -> Values:
    """Mean cosine with the reference's first face; without a reference, with the film's."""
    network = filled(ArcFace(), weights("actalker.arcface", asked.models), asked.device)
    return arcface_values(network, asked.shown, asked.beside, asked.official, asked.device)


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

    first, others = against_first(asked.shown, asked.beside, vector)
    return {"identity_dlib": float(np.mean([np.linalg.norm(one - first) for one in others]))}


def wanted_reference(asked: Asked) -> Given:
    """ValueError without one."""
    if asked.reference is None:
        raise ValueError("it compares with a reference. Give --reference.")
    return asked.reference


def lpips(asked: Asked) -> Values:
    """Mean over frames, with the library's own weights over AlexNet's from a file."""
    check_package("lpips")
    reference = wanted_reference(asked)
    state = lpips_state(weights("measures.alexnet", asked.models))
    network = filled(lpips_network(), state, asked.device)
    return lpips_values(network, asked.given.film, reference.film, asked.seen.fps, asked.device)


def clouds(asked: Asked, kind: str, cloud_of: Callable[[Film], Cloud]) -> tuple[Cloud, Cloud]:
    """Features of the film and of its reference, which also go to the sets of `kind`."""
    sides = (("films", asked.given), ("references", wanted_reference(asked)))
    found = [cloud_of(given.film) for _, given in sides]
    for (side, given), cloud in zip(sides, found, strict=True):
        asked.sets.add(kind, side, given.path, cloud)
    return found[0], found[1]


def inception(asked: Asked) -> Values:
    """FID of the frames of both films."""
    wanted_reference(asked)
    network = filled(
        FeatureInception(), inception_state(weights("measures.inception", asked.models)), asked.device
    )
    return fid_values(*clouds(asked, "fid", lambda film: picture_cloud(network, film, asked.device)))


def i3d(asked: Asked) -> Values:
    """FVD of the clips of both films."""
    wanted_reference(asked)
    network = filled(FeatureI3D(), i3d_state(weights("measures.i3d", asked.models)), asked.device)
    return fvd_values(*clouds(asked, "fvd", lambda film: clip_cloud(network, film, asked.device)))


NETWORKS: dict[str, Callable[[Asked], Values]] = {
    "syncnet": syncnet, "hopenet": hopenet, "arcface": arcface, "dlib": dlib, "lpips": lpips, "inception": inception,
    "i3d": i3d,
}  # fmt: skip
