"""What FantasyTalking's paper has beyond its published weights: identity branch, motion intensity, and its measure."""

import folder_paths
import numpy as np
import torch
from comfy_api.latest import io

from ..models.face.aligned import aligned_face
from ..models.face.following import follow_face
from ..models.face.landmarks import select_face
from ..models.fantasytalking.carrier import Identity
from ..models.fantasytalking.identity import SCALE, build_identity, identity_state
from ..models.fantasytalking.intensity import NEUTRAL, build_intensity, intensity_state
from ..models.fantasytalking.motion_measure import BODY, FACE, body_intensity, face_intensity, seen_joints
from ..models.fantasytalking.patch import with_identity, with_intensity
from ..models.fantasytalking.people import body_of_face
from . import sockets
from .actalker_parts import actalker_part, part_menu
from .catalogue.files_node import NodeWithFiles
from .catalogue.loading import load_shared
from .catalogue.weight_files import chosen_file, chosen_fingerprint
from .fantasytalking_loaders import CATEGORY, casting
from .gates import Node
from .portrait import check_same_size, single_picture

IDENTITY_NODE, INTENSITY_NODE, MEASURE = (
    "FantasyTalking Identity",
    "FantasyTalking Intensity",
    "Measure Motion Intensity",
)
UNPUBLISHED = "The authors published no such weights, and this pack has none: see docs/TRAINING.md."


def extras_file() -> io.Combo.Input:
    """Which file holds the trained parts."""
    return io.Combo.Input(
        "file",
        options=folder_paths.get_filename_list("model_patches"),
        tooltip=f"In models/model_patches/. {UNPUBLISHED}",
    )


class FantasyTalkingIdentity(NodeWithFiles):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitFantasyTalkingIdentity",
            display_name=IDENTITY_NODE,
            category=CATEGORY,
            description="Keeps the person: every block sees the face's identity (the paper's section 3.3). "
            f"{UNPUBLISHED}",
            is_experimental=True,
            search_aliases=["face id", "keep identity", "arcface", "q-former"],
            inputs=[
                io.Model.Input("model", tooltip="From Apply FantasyTalking."),
                extras_file(),
                io.Image.Input("image", tooltip="The portrait; one picture."),
                sockets.FaceLandmarks.Input(
                    "face_landmarks", tooltip="From Detect Face Landmarks (MediaPipe) for the same picture."
                ),
                io.Int.Input("face_index", default=0, min=0, max=63, tooltip="Which face, 0 is the largest."),
                io.Float.Input(
                    "strength",
                    default=SCALE,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    tooltip="Its factor: 0.5 in the paper, 0 nothing.",
                ),
                part_menu("arcface", "The network that knows the person."),
            ],
            outputs=[io.Model.Output(tooltip="For FantasyTalking Guidance or core's samplers.")],
        )

    @classmethod
    def execute(
        cls,
        model,
        file: str,
        image,
        face_landmarks,
        face_index: int,
        strength: float,
        arcface_file: str | None = None,
    ) -> io.NodeOutput:
        picture = single_picture(image, IDENTITY_NODE)
        check_same_size(picture, face_landmarks, IDENTITY_NODE)
        points = select_face(face_landmarks, face_index)
        path = chosen_file("model_patches", file, "file", IDENTITY_NODE)
        branch = load_shared(
            "fantasytalking identity",
            path,
            torch.float32,
            casting(build_identity),
            IDENTITY_NODE,
            identity_state,
            exact=True,
        )
        arcface = actalker_part("arcface", IDENTITY_NODE, arcface_file)
        vector = arcface.ready()(aligned_face(picture, points).to(arcface.device))
        tokens = branch.ready().identity_proj(vector.to(branch.device)).float().cpu()
        return io.NodeOutput(with_identity(model, Identity(tokens, branch.patcher, strength)))

    @classmethod
    def fingerprint_inputs(cls, file: str, **given) -> list:
        return chosen_fingerprint([("model_patches", file)]) + super().fingerprint_inputs(**given)


class FantasyTalkingIntensity(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        def amount(name: str) -> io.Float.Input:
            return io.Float.Input(
                name, default=NEUTRAL, min=0.0, max=1.0, step=0.05,
                tooltip="0.1 subtle, 0.5 natural (nothing is added), 1 intense; Measure Motion Intensity "
                "gives those of a video.",
            )  # fmt: skip

        return io.Schema(
            node_id="TalkingPortraitFantasyTalkingIntensity",
            display_name=INTENSITY_NODE,
            category=CATEGORY,
            description=f"How strongly face and body move (the paper's section 3.4). {UNPUBLISHED} On "
            "released weights audio_scale (expression), audio_cfg (lips) and the prompt (body) act.",
            is_experimental=True,
            search_aliases=["motion strength", "motion intensity"],
            inputs=[
                io.Model.Input("model", tooltip="A Wan MODEL, before or after Apply FantasyTalking."),
                extras_file(), amount("expression"), amount("body"),
            ],
            outputs=[io.Model.Output(tooltip="For FantasyTalking Guidance or core's samplers.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, model, file: str, expression: float, body: float) -> io.NodeOutput:
        path = chosen_file("model_patches", file, "file", INTENSITY_NODE)
        network = load_shared(
            "fantasytalking intensity",
            path,
            torch.float32,
            casting(build_intensity),
            INTENSITY_NODE,
            intensity_state,
            exact=True,
        )
        change = network.ready()(torch.tensor([[expression, body]], device=network.device)).float().cpu()
        return io.NodeOutput(with_intensity(model, change))

    @classmethod
    def fingerprint_inputs(cls, file: str, **given) -> list:
        return chosen_fingerprint([("model_patches", file)])


class MeasureMotionIntensity(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitMeasureMotionIntensity",
            display_name=MEASURE,
            category=CATEGORY,
            description="How strongly one person's face (by landmarks) and body (by joints) move in a video. "
            "Compare videos by it; the paper's own scale was never published.",
            search_aliases=["motion bucket", "subject dynamics", "how much it moves"],
            inputs=[
                sockets.FaceLandmarks.Input(
                    "face_landmarks",
                    tooltip="From Detect Face Landmarks (MediaPipe) for all frames of the video."
                ),
                io.Int.Input(
                    "face_index", default=0, min=0, max=63,
                    tooltip="Which face of the first frame, 0 is the first; it is followed, and its body with it.",
                ),
                sockets.PoseKeypoint.Input(
                    "keypoints", optional=True,
                    tooltip="From core's SDPose nodes, for the same frames. Without it the body is not "
                    "measured; body gives 0.5.",
                ),
                sockets.BoundingBox.Input(
                    "face_box", optional=True, extra_dict={"forceInput": True},
                    tooltip="Instead of the index: the face in this box (pixels), which is then followed. "
                    "One box for each frame chooses in each, over cuts too.",
                ),
            ],
            outputs=[
                io.Float.Output(display_name="expression",
                tooltip=f"0 to 1 by the motion in eye distances: {FACE}."),
                io.Float.Output(
                    display_name="body",
                    tooltip=f"0 to 1 by the motion in shoulder widths: {BODY}. 0.5, and the report says so, "
                    "without keypoints.",
                ),
                io.String.Output(display_name="report",
                tooltip="The measured motion first, then what it counts as."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, face_landmarks, face_index: int, keypoints=None, face_box=None) -> io.NodeOutput:
        faces = follow_face(face_landmarks, face_index, face_box)
        face = face_intensity(faces)
        expression = FACE.coefficient(face)
        lines = [
            f"Expression: {moved(face, 'the distance between the eyes')}, {found_in(faces)}: {expression:.2f} ({FACE})."
        ]
        if keypoints is None:
            lines.append(
                f"Body: not measured, for no keypoints are connected; body gives {NEUTRAL}, at which nothing "
                "is changed."
            )
            return io.NodeOutput(expression, NEUTRAL, "\n".join(lines))
        bodies = body_of_face(keypoints, faces, face_landmarks["image_size"])
        body = body_intensity(bodies)
        whole, joints = BODY.coefficient(body), int(seen_joints(bodies).sum())
        lines.append(
            f"Body: {moved(body, 'a shoulder width')}, over {joints} joints that are always seen, "
            f"{found_in(bodies)}: {whole:.2f} ({BODY})."
        )
        return io.NodeOutput(expression, whole, "\n".join(lines))


def moved(variance: float, unit: str) -> str:
    """A raw intensity in words."""
    return f"points move by {100 * variance**0.5:.2f} % of {unit} (root mean square about their mean place)"


def found_in(frames: list[np.ndarray | None]) -> str:
    """In how many frames somebody was measured."""
    return f"in {sum(points is not None for points in frames)} of {len(frames)} frames"


NODES = [FantasyTalkingIdentity, FantasyTalkingIntensity, MeasureMotionIntensity]
