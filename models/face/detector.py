"""The built-in face detector: what travels on core's FACE_DETECTION_MODEL socket, made of the weights that ship here.

Core's detectors run as they are; the landmark network is the attention mesh, which core has no class for. Core's nodes
(landmarks, mask, mesh drawing) use the object without knowing the difference.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import comfy.model_management
import comfy.model_patcher
import numpy as np
import torch
from torch import Tensor, nn

from ..core_parts import BLAZEFACE, core_part
from ..threads import one_thread
from .mesh import INPUT_SIZE, FaceMeshNet
from .sampling import as_rgb, sample_square, shrink, shrink_factor

Rect = tuple[float, float, float, float]  # centre x, centre y, side in pixels, angle in radians
CONTOURS = ("face_oval", "left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "lips")
CANONICAL = ("canonical_vertices", "procrustes_indices", "procrustes_weights")
BOX_SCALE = 1.5  # the mesh wants half as much again around a detector's box
SIDE_LIMIT = 1e5
MESH_BATCH = 8  # faces that the mesh sees at once
# The mesh's logit of a face: 20 to 36 where it lies in its rectangle as it should, seldom above 10 where it
# is turned otherwise.
DOUBTFUL, CERTAIN = 10.0, 15.0


class BuiltinFaceLandmarker(nn.Module):
    """Core's detector with the attention mesh behind it. ValueError where this ComfyUI has no such detector."""

    def __init__(self, variant: str):
        super().__init__()
        self.core = core_part(*BLAZEFACE).FaceLandmarker(
            dtype=torch.float32, operations=None, detector_variant=variant
        )
        # of its networks only the detector is used; for blendshapes see `measured_blendshapes`
        self.core.mesh, self.core.blendshapes = nn.Identity(), nn.Identity()
        self.mesh = FaceMeshNet()

    def detect_batch(
        self, images_rgb_uint8: list[np.ndarray], num_faces: int = 1, score_thresh: float = 0.5
    ) -> list[list[dict]]:
        """Faces of each [H,W,C] picture (1, 3 or 4 channels), best first, as core's face dicts; `num_faces` 0: all."""
        images_rgb_uint8 = [as_rgb(image) for image in images_rgb_uint8]
        factors = [shrink_factor(image) for image in images_rgb_uint8]
        small = [shrink(image, factor) for image, factor in zip(images_rgb_uint8, factors, strict=True)]
        with one_thread(self.mesh.stem.weight.device):
            _, placements, sizes, detections = self.core.run_detector_batch(small, score_thresh=score_thresh)
        found = []
        for (cx, cy, size), (height, width), rows in zip(placements, sizes, detections, strict=True):
            rows = rows[: num_faces or None].copy()
            rows[:, 0:16:2] = (cx - size / 2 + size * rows[:, 0:16:2]) / width
            rows[:, 1:16:2] = (cy - size / 2 + size * rows[:, 1:16:2]) / height
            found.append([(square_rect(row, width, height), float(row[16])) for row in rows])
        scaled = [
            [((x * k, y * k, side * k, angle), score) for (x, y, side, angle), score in group]
            for k, group in zip(factors, found, strict=True)
        ]
        results = self.landmarks_in(images_rgb_uint8, scaled)
        return [
            [self.looked_at_again(image, *box, face) for box, face in zip(boxes, faces, strict=True)]
            for image, boxes, faces in zip(images_rgb_uint8, scaled, results, strict=True)
        ]

    def looked_at_again(self, image: np.ndarray, rect: Rect, score: float, face: dict) -> dict:
        """The face, or where it is doubtful what the mesh sees in its rectangle turned by quarters, if that
        certainly is one.

        The detectors know upright faces; of one that lies or stands on its head they give a wrong turn, and
        the mesh then lays upright points over it. Each quarter is looked at twice, the second time placed by
        the eyes found.
        """
        if face["presence"] >= DOUBTFUL:
            return face
        cx, cy, side, angle = rect
        quarters = [((cx, cy, side, angle + quarter * math.pi / 2), score) for quarter in range(4)]
        first = self.landmarks_in([image], [quarters])[0]
        second = self.landmarks_in([image], [[(rect_of_face(each), score) for each in first]])[0]
        best = max(second, key=lambda each: each["presence"])
        return best if best["presence"] > CERTAIN else face

    def landmarks_in(
        self, images: Sequence[np.ndarray], rects: Sequence[Sequence[tuple[Rect, float]]]
    ) -> list[list[dict]]:
        """Face dicts for given (rectangle, score) lists, one list per [H,W,C] uint8 picture."""
        places = [(number, *box) for number, boxes in enumerate(rects) for box in boxes]
        results: list[list[dict]] = [[] for _ in rects]
        with one_thread(self.mesh.stem.weight.device):
            for start in range(0, len(places), MESH_BATCH):
                group = places[start : start + MESH_BATCH]
                points, presence = self.mesh(
                    self._crops([(images[number], rect) for number, rect, _ in group])
                )
                for (number, rect, score), xyz, logit in zip(
                    group, points.cpu().numpy(), presence.tolist(), strict=True
                ):
                    results[number].append(face_dict(xyz, logit, rect, score))
        return results

    def _crops(self, places: Sequence[tuple[np.ndarray, Rect]]) -> Tensor:
        """[N,3,192,192] in 0..1, in the order of memory in which a CPU's depthwise convolutions are quickest."""
        device = self.mesh.stem.weight.device
        crops = [
            sample_square(
                torch.from_numpy(np.require(as_rgb(image), requirements=["C", "W"])).permute(2, 0, 1),
                *rect, INPUT_SIZE, device,
            )
            for image, rect in places
        ]  # fmt: skip
        return (torch.stack(crops) / 255).contiguous(memory_format=torch.channels_last)


def managed(network: nn.Module) -> Any:
    """A small network under ComfyUI's memory manager: the patcher by which it is loaded where it computes,
    and pushed out."""
    return comfy.model_patcher.CoreModelPatcher(
        network,
        load_device=comfy.model_management.text_encoder_device(),
        offload_device=comfy.model_management.text_encoder_offload_device(),
    )


def square_rect(detection: np.ndarray, width: int, height: int) -> Rect:
    """Core's rectangle around a detection, made square on its longer side as the attention mesh was trained."""
    rect = core_part(*BLAZEFACE)._detection_to_face_rect
    cx, cy, box_width, box_height, angle = rect(detection, width, height)
    return cx, cy, min(max(box_width, box_height, 1.0), SIDE_LIMIT), angle


def face_dict(points: np.ndarray, presence: float, rect: Rect, score: float) -> dict[str, Any]:
    """Core's face dict of mesh points [478,3] found in a rectangle of the picture."""
    cx, cy, side, angle = rect
    turn = (
        np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        * side
        / INPUT_SIZE
    )
    xy = ((points[:, :2] - INPUT_SIZE / 2) @ turn + [cx, cy]).astype(np.float32)
    return {
        "bbox_xyxy": np.concatenate([xy.min(0), xy.max(0)]).astype(np.float32),
        "blendshapes": measured_blendshapes(points),
        "landmarks_xy": xy,
        "landmarks_3d": points.astype(np.float32),
        "presence": presence,
        "score": score,
    }


def measured_blendshapes(points: np.ndarray) -> dict[str, float]:
    """ARKit coefficients as far as distances between landmarks give them, in 0..1; all others are 0.

    These are geometric measures, not MediaPipe's blendshape network: jawOpen and mouthPucker against the mouth's width
    and the eyes' distance, eyeBlink against the eye's own width.
    """

    def gap(a: int, b: int) -> float:
        return float(np.linalg.norm(points[a, :2] - points[b, :2])) + 1e-6

    values = dict.fromkeys(core_part(*BLAZEFACE).BLENDSHAPE_NAMES, 0.0)
    values["jawOpen"] = gap(13, 14) / (0.35 * gap(33, 263))
    values["mouthPucker"] = 1.6 * (0.52 - gap(61, 291) / gap(33, 263))
    values["eyeBlinkRight"] = 1 - gap(159, 145) / (0.28 * gap(33, 133))
    values["eyeBlinkLeft"] = 1 - gap(386, 374) / (0.28 * gap(263, 362))
    return {name: min(max(value, 0.0), 1.0) for name, value in values.items()}


class FaceDetector:
    """What core's nodes expect on FACE_DETECTION_MODEL: both detectors, each under ComfyUI's memory manager."""

    def __init__(self, state: Mapping[str, Tensor]):
        sets = {key.removeprefix("topology."): frozenset(map(tuple, value.tolist()))
                for key, value in state.items() if key.startswith("topology.")}  # fmt: skip
        sets["contours"] = frozenset().union(*(sets[name] for name in CONTOURS))
        sets["all"] = sets["contours"] | sets["irises"] | sets["nose"]
        self.connection_sets: dict[str, frozenset] = sets
        self.canonical_data = {key: state[key].numpy() for key in CANONICAL}
        self.patchers = {variant: self._patcher(state, variant) for variant in ("short", "full")}

    def _patcher(self, state: Mapping[str, Tensor], variant: str) -> Any:
        model = BuiltinFaceLandmarker(variant).eval()
        for part, name in ((model.core.detector, f"detector_{variant}."), (model.mesh, "mesh.")):
            part.load_state_dict(
                {k.removeprefix(name): v.float() for k, v in state.items() if k.startswith(name)}
            )
        return managed(model)

    def get_models(self) -> list[Any]:
        """The patchers, for ComfyUI's bookkeeping."""
        return list(self.patchers.values())

    def _loaded(self, variant: str) -> BuiltinFaceLandmarker:
        comfy.model_management.load_models_gpu([self.patchers[variant]])
        return self.patchers[variant].model

    def detect_batch(
        self, images: list[np.ndarray], num_faces: int, score_thresh: float, variant: str
    ) -> list[list[dict]]:
        """Faces of each [H,W,3] uint8 picture; `variant` is short or full."""
        return self._loaded(variant).detect_batch(images, num_faces=num_faces, score_thresh=score_thresh)

    def landmarks_from_boxes(
        self, images: list[np.ndarray], boxes: Sequence[Sequence[Mapping[str, float]]]
    ) -> list[list[dict]]:
        """Landmarks inside given boxes {x, y, width, height} (pixels), without any detection; lists per picture.

        The box should hold the face from brow to chin; the mesh looks at half as much again around it, twice: the
        second look is placed and turned by the eyes that the first one found.
        """
        model = self._loaded("short")
        first = [[(box_rect(box), 1.0) for box in group] for group in boxes]
        faces = model.landmarks_in(images, first)
        second = model.landmarks_in(
            images, [[(rect_of_face(face), 1.0) for face in group] for group in faces]
        )
        return [
            [model.looked_at_again(image, *box, face) for box, face in zip(group, found, strict=True)]
            for image, group, found in zip(images, first, second, strict=True)
        ]


def box_rect(box: Mapping[str, float]) -> Rect:
    """Upright square around a box."""
    side = max(float(box["width"]), float(box["height"]), 1.0) * BOX_SCALE
    return float(box["x"]) + float(box["width"]) / 2, float(box["y"]) + float(box["height"]) / 2, side, 0.0


def rect_of_face(face: Mapping[str, Any]) -> Rect:
    """Square around the landmarks of a face, level with its eyes."""
    xy = face["landmarks_xy"]
    (x0, y0), (x1, y1) = xy[:468].min(0), xy[:468].max(0)
    eyes = xy[263] - xy[33]
    side = float(max(x1 - x0, y1 - y0)) * BOX_SCALE
    return float(x0 + x1) / 2, float(y0 + y1) / 2, side, math.atan2(eyes[1], eyes[0])
