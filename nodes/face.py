"""Faces: the built-in detector on core's socket, landmarks from a box, masks of the regions of a face."""

import numpy as np
import torch
from comfy_api.latest import io

from ..models.face_regions import MISSING_MODES, boxes_per_frame, frame_numbers, region_masks
from .face_models import load_face_detector
from .progress import ticker

CATEGORY = "talking portrait/face"
DetectorType = io.Custom("FACE_DETECTION_MODEL")
LandmarksType = io.Custom("FACE_LANDMARKS")


class LoadFaceDetector(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitLoadFaceDetector",
            display_name="Load Face Detector (built-in)",
            category=CATEGORY,
            description="MediaPipe's face detectors and 478-point mesh, shipped with this pack. Works with ComfyUI's own "
            "MediaPipe nodes in place of a downloaded model.",
            search_aliases=["mediapipe", "face mesh", "landmarks"],
            inputs=[],
            outputs=[DetectorType.Output(tooltip="For Detect Face Landmarks (MediaPipe) and Face Landmarks from Box.")],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        return io.NodeOutput(load_face_detector())


class FaceLandmarksFromBox(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitFaceFromBox",
            display_name="Face Landmarks from Box",
            category=CATEGORY,
            description="Landmarks of a face that you box yourself, for faces that the detector does not find: drawings, "
            "side views, tiny faces.",
            inputs=[
                DetectorType.Input("face_detection_model", tooltip="From Load Face Detector (built-in)."),
                io.Image.Input("image", tooltip="One or more pictures."),
                io.BoundingBox.Input(
                    "face_box",
                    tooltip="Box around the face from brows to chin, in pixels; one for all pictures or one per picture.",
                ),
            ],
            outputs=[
                LandmarksType.Output(display_name="face_landmarks", tooltip="As from Detect Face Landmarks (MediaPipe)."),
            ],
        )

    @classmethod
    def execute(cls, face_detection_model, image, face_box) -> io.NodeOutput:
        if not hasattr(face_detection_model, "landmarks_from_boxes"):
            raise ValueError("Face Landmarks from Box: face_detection_model must come from Load Face Detector (built-in).")
        pictures = list(image[..., :3].clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy())
        boxes = boxes_per_frame(face_box, len(pictures), "Face Landmarks from Box")
        if missing := [number for number, box in enumerate(boxes) if not box]:
            raise ValueError(f"Face Landmarks from Box: face_box has no box for picture {frame_numbers(missing)}.")
        tick, frames = ticker(), []
        for done, (picture, box) in enumerate(zip(pictures, boxes, strict=True), 1):
            frames += face_detection_model.landmarks_from_boxes([np.ascontiguousarray(picture)], [[box]])
            tick(done, len(pictures))
        size = tuple(image.shape[1:3])
        sets = face_detection_model.connection_sets
        return io.NodeOutput({"frames": frames, "image_size": size, "connection_sets": sets})


class FaceRegionMasks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitFaceRegionMasks",
            display_name="Face Region Masks",
            category=CATEGORY,
            description="Masks of a face: the whole of it, the part that speech moves, and the part that expression moves.",
            inputs=[
                LandmarksType.Input("face_landmarks", tooltip="From Detect Face Landmarks (MediaPipe)."),
                io.Int.Input("face_index", default=0, min=0, max=63, tooltip="Which face: 0 is the detector's surest."),
                io.Float.Input(
                    "feather", default=8.0, min=0.0, max=512.0, step=0.5, tooltip="Width of the soft edge, in pixels."
                ),
                io.Float.Input(
                    "grow",
                    default=0.0,
                    min=-512.0,
                    max=512.0,
                    step=0.5,
                    tooltip="Moves the edge outward, in pixels; negative moves it inward.",
                ),
                io.Combo.Input(
                    "missing_face",
                    options=list(MISSING_MODES),
                    tooltip="Frames without the face: error names them; hold repeats the last face; interpolate goes between.",
                ),
                io.BoundingBox.Input(
                    "face_box", optional=True, tooltip="Instead of the index: the face that overlaps this box most, in pixels."
                ),
            ],
            outputs=[
                io.Mask.Output(display_name="face", tooltip="The whole face."),
                io.Mask.Output(display_name="mouth", tooltip="Lips, jaw and chin: what speech (audio) moves."),
                io.Mask.Output(display_name="expression", tooltip="The face without the mouth: eyes, brows, cheeks (motion)."),
                io.String.Output(display_name="missed_frames", tooltip="Numbers of the frames in which the face was not found."),
            ],
        )

    @classmethod
    def execute(cls, face_landmarks, face_index, feather, grow, missing_face, face_box=None) -> io.NodeOutput:
        masks = region_masks(face_landmarks, face_index, face_box, feather, grow, missing_face, "Face Region Masks")
        return io.NodeOutput(masks.face, masks.mouth, masks.expression, frame_numbers(masks.missed))


NODES = [LoadFaceDetector, FaceLandmarksFromBox, FaceRegionMasks]
