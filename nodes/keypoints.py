"""The keypoint extractor as a stage, and a picture's own motion as it sees it."""

from fractions import Fraction

import torch
from comfy_api.latest import io

from ..models.contracts import KEYPOINT_EXTRACTORS
from ..models.face.landmarks import select_face
from ..models.face_motion import GROUPS, FaceMotion
from ..models.liveportrait.source import made_by, own_motion
from ..models.media.pixels import to_bytes
from . import sockets
from .catalogue.extractors import load_keypoint_extractor
from .catalogue.loader import About, Loader
from .catalogue.node_names import LOAD_EXTRACTOR
from .gates import Node
from .portrait import check_same_size, single_picture

CATEGORY = "talking portrait/motion"
KEYPOINTS = "Portrait Keypoints"
STILL_FPS = Fraction(25)  # of a motion of one frame, which has no rate of its own


class LoadKeypointExtractor(Loader):
    menu, choice, load = KEYPOINT_EXTRACTORS, "extractor", staticmethod(load_keypoint_extractor)
    about = About(
        "TalkingPortraitKeypointExtractor",
        LOAD_EXTRACTOR,
        CATEGORY,
        "Chooses what reads keypoints, head and expression of a picture.",
        sockets.KeypointExtractor.Output(
            tooltip="For Face Motion from Video, Portrait Keypoints, KDTalker and the LivePortrait renderer."
        ),
        ("motion extractor", "implicit keypoints"),
    )


class PortraitKeypoints(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitKeypoints",
            display_name=KEYPOINTS,
            category=CATEGORY,
            description="The pose and the expression that one face of a picture has, as a motion of one frame.",
            search_aliases=["head pose", "expression", "keypoints", "copy expression", "liveportrait"],
            inputs=[
                sockets.KeypointExtractor.Input("keypoint_extractor", tooltip=f"From {LOAD_EXTRACTOR}."),
                io.Image.Input("image", tooltip="One picture, any size."),
                sockets.FaceLandmarks.Input(
                    "face_landmarks", tooltip="From Detect Face Landmarks (MediaPipe), for the same picture."
                ),
                io.Int.Input(
                    "face_index", default=0, min=0, max=63,
                    tooltip="Which face, if there are several: 0 is the largest.",
                ),
                sockets.BoundingBox.Input(
                    "face_box", extra_dict={"forceInput": True}, optional=True,
                    tooltip="Instead of the index: the face that overlaps this box most, in pixels.",
                ),
            ],
            outputs=[
                sockets.FaceMotion.Output(
                    tooltip="One frame of absolute values, for the motion nodes; it is its own reference."
                )
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, keypoint_extractor, image, face_landmarks, face_index, face_box=None) -> io.NodeOutput:
        picture = single_picture(image, KEYPOINTS)
        check_same_size(picture, face_landmarks, KEYPOINTS)
        points = select_face(face_landmarks, face_index, face_box)
        found = own_motion(keypoint_extractor.ready(), to_bytes(picture), points, keypoint_extractor.device)
        motion = FaceMotion.from_expression(
            found.expression[None], found.pose[None], found.translation[None], torch.tensor([found.scale]), STILL_FPS,
            source=made_by(keypoint_extractor), absolute=frozenset(GROUPS), reference=found,
        )  # fmt: skip
        return io.NodeOutput(motion)


NODES = [LoadKeypointExtractor, PortraitKeypoints]
