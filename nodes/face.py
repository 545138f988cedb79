"""Finding faces: the detector that ships with the pack, landmarks inside a drawn box, and region masks."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from comfy_api.latest import io

from ..models.core_parts import FACE_GEOMETRY, core_part
from ..models.face.landmarks import box_groups, frame_numbers
from ..models.face.regions import MISSING_MODES, region_masks
from ..models.face.weights import load_face_detector
from . import sockets
from .gates import Node
from .progress import ticker

CATEGORY = "talking portrait/face"
FROM_BOX = "Face Landmarks from Box"


class LoadFaceDetector(Node):
    """The built-in face detector on core's own socket."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TalkingPortraitLoadFaceDetector",
            display_name="Load Face Detector (built-in)",
            category=CATEGORY,
            description=(
                "A face detector and a 478-point face mesh that ship with this pack: nothing to download. "
                "Connect it to Detect Face Landmarks (MediaPipe). Of the 52 blendshapes only jaw, pucker and "
                "blinks are measured."
            ),
            search_aliases=[
                "face detection",
                "face detector",
                "mediapipe",
                "face mesh",
                "landmarks",
                "blazeface",
                "insightface",
            ],
            inputs=[],
            outputs=[
                sockets.FaceDetectionModel.Output(
                    "face_detection_model",
                    tooltip="For Detect Face Landmarks (MediaPipe) and Face Landmarks from Box.",
                )
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        return io.NodeOutput(load_face_detector())


class FaceFromBox(Node):
    """The face mesh inside a box, for faces that no detector finds: drawings, masks, odd angles."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TalkingPortraitFaceFromBox",
            display_name=FROM_BOX,
            category=CATEGORY,
            description="Places the 478 face points inside a box that you give, without looking for a face first.",
            search_aliases=["face box", "manual face", "cartoon face", "landmarks from bbox"],
            inputs=[
                sockets.FaceDetectionModel.Input(
                    "face_detection_model", tooltip="From Load Face Detector (built-in)."
                ),
                io.Image.Input("image", tooltip="The picture, or all frames of a video."),
                sockets.BoundingBox.Input(
                    "face_box",
                    extra_dict={"forceInput": True},
                    tooltip="Around the face from brow to chin, pixels from the top left; one for all "
                    "frames, or for each its own, also several.",
                ),
                io.Float.Input(
                    "min_presence",
                    default=0.1,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="How sure the mesh must be that it sees a face, 0 to 1. Lower it for drawings; 0 "
                    "takes all.",
                ),
            ],
            outputs=[
                sockets.FaceLandmarks.Output(
                    "face_landmarks",
                    tooltip="478 points per frame in pixels; a frame without a face stays empty.",
                ),
                io.BoundingBox.Output("bboxes", tooltip="Box around the found points in pixels, per frame."),
            ],
        )

    @classmethod
    def execute(cls, face_detection_model, image, face_box, min_presence) -> io.NodeOutput:
        if not hasattr(face_detection_model, "landmarks_from_boxes"):
            raise ValueError(
                "face_detection_model comes from another loader, which cannot work from a box. Connect Load "
                "Face Detector (built-in)."
            )
        count, height, width = image.shape[:3]
        matrix = core_part(*FACE_GEOMETRY).transformation_matrix_from_detection
        tick = ticker()
        frames = []
        for number, boxes in enumerate(box_groups(face_box, count)):
            for box in boxes:
                check_box(box, width, height)
            found = face_detection_model.landmarks_from_boxes([to_uint8(image[number])], [boxes])[0]
            frames.append([face for face in map(with_score, found) if face["score"] >= min_presence])
            tick(number + 1, count)
        if not any(frames):
            raise ValueError(
                f"the mesh sees no face inside face_box in any of {count} frames. Fit the box to the face "
                f"from brow to chin, or lower min_presence (now {min_presence:.2f})."
            )
        for face in (face for faces in frames for face in faces):
            face["transformation_matrix"] = matrix(face, width, height, face_detection_model.canonical_data)
        landmarks = {
            "frames": frames,
            "image_size": (height, width),
            "connection_sets": face_detection_model.connection_sets,
        }
        return io.NodeOutput(landmarks, [[to_box(face) for face in faces] for faces in frames])


class FaceRegionMasks(Node):
    """Masks of the whole face, of what speech moves, and of the rest."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="TalkingPortraitFaceRegionMasks",
            display_name="Face Region Masks",
            category=CATEGORY,
            description="Draws three masks of one face: all of it, the part that speech moves, and the rest of it.",
            search_aliases=["face mask", "mouth mask", "lip mask", "expression mask"],
            inputs=[
                sockets.FaceLandmarks.Input(
                    "face_landmarks",
                    tooltip="From Detect Face Landmarks (MediaPipe) or Face Landmarks from Box."
                ),
                io.Int.Input(
                    "face_index", default=0, min=0, max=15,
                    tooltip="Which face, if there are several: 0 is the largest. It is "
                    "followed from frame to frame by its place and size.",
                ),
                io.Float.Input(
                    "feather", default=16.0, min=0.0, max=1024.0, step=1.0,
                    tooltip="Width of the soft edge in pixels, half inside and half outside; 0 gives a hard edge.",
                ),
                io.Float.Input(
                    "grow", default=0.0, min=-1024.0, max=1024.0, step=1.0,
                    tooltip="Moves the edges outwards by so many pixels; negative moves them inwards.",
                ),
                io.Combo.Input(
                    "missing_face", options=list(MISSING_MODES), default="interpolate",
                    tooltip="Frames without the face: error stops and names them, hold repeats the last "
                    "mask, interpolate moves from the frame before to the frame after.",
                ),
                sockets.BoundingBox.Input(
                    "face_box", optional=True, extra_dict={"forceInput": True},
                    tooltip="Instead of the index: the face in this box (pixels), which is then followed. "
                    "One box for each frame chooses in each, over cuts too.",
                ),
            ],
            outputs=[
                io.Mask.Output("face",
                tooltip="The whole face inside its outline, 0 to 1, one mask per frame."),
                io.Mask.Output("mouth",
                tooltip="Lips, chin and what is around them: speech moves it; 0 to 1."),
                io.Mask.Output("expression",
                tooltip="The face without the mouth part: eyes, brows, cheeks, 0 to 1."),
                io.String.Output("missed_frames", tooltip="Numbers of the frames without the face, from 0."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, face_landmarks, face_index, feather, grow, missing_face, face_box=None) -> io.NodeOutput:
        masks = region_masks(face_landmarks, face_index, face_box, feather, grow, missing_face)
        return io.NodeOutput(masks.face, masks.mouth, masks.expression, frame_numbers(masks.missed))


def to_uint8(image: torch.Tensor):
    """[H,W,C] in 0..1 with C = 1, 3 or 4 to [H,W,3] uint8 numpy."""
    rgb = image[..., :3].detach().float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return rgb.expand(-1, -1, 3).contiguous().cpu().numpy()


def check_box(box: Mapping[str, float], width: int, height: int) -> None:
    """ValueError where a box holds hardly a pixel of the picture."""
    x0, y0 = max(float(box["x"]), 0.0), max(float(box["y"]), 0.0)
    x1, y1 = min(float(box["x"] + box["width"]), width), min(float(box["y"] + box["height"]), height)
    if x1 - x0 < 8 or y1 - y0 < 8:
        raise ValueError(
            f"face_box (x {box['x']:.0f}, y {box['y']:.0f}, {box['width']:.0f}x{box['height']:.0f}) covers "
            f"less than 8x8 pixels of the {width}x{height} picture."
        )


def with_score(face: dict) -> dict:
    """The face with the mesh's own certainty, 0 to 1, as its score, since no detector gave one."""
    return face | {"score": 1 / (1 + math.exp(-max(min(face["presence"], 60.0), -60.0))), "from_box": True}


def to_box(face: dict) -> dict:
    """Core's bounding box of a face, in pixels."""
    x0, y0, x1, y1 = (float(value) for value in face["bbox_xyxy"])
    return {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0, "label": "face", "score": face["score"]}


NODES = [LoadFaceDetector, FaceFromBox, FaceRegionMasks]
