"""What FantasyTalking's paper has beyond its published weights: identity branch, motion intensity, and its measure."""

import folder_paths
import numpy as np
import torch
from comfy_api.latest import io

from ..models.face_following import follow_face
from ..models.face_landmarks import select_face
from ..models.fantasytalking.carrier import Identity
from ..models.fantasytalking.face import aligned_face
from ..models.fantasytalking.identity import SCALE, build_identity, identity_state
from ..models.fantasytalking.intensity import (
    NEUTRAL,
    Reference,
    body_intensity,
    build_intensity,
    face_intensity,
    intensity_state,
)  # fmt: skip
from ..models.fantasytalking.patch import with_identity, with_intensity
from .actalker_parts import actalker_part
from .fantasytalking import CATEGORY, casting
from .gates import Node
from .loading import load_shared
from .portrait import check_same_size, single_picture
from .registry import chosen_file, chosen_fingerprint, weights_fingerprint

IDENTITY_NODE, INTENSITY_NODE, MEASURE = "FantasyTalking Identity", "FantasyTalking Intensity", "Measure Motion Intensity"
UNPUBLISHED = "The authors published no such weights; tools/train_fantasytalking_extras.py makes them."
# 5th and 95th percentile of raw intensities, measured by tools/measure_intensity_reference.py (see there of what).
FACE, BODY = Reference(low=4.87e-5, high=9.09e-4), Reference(low=1.58e-6, high=1.49e-4)


def extras_file() -> io.Combo.Input:
    """Which file holds the trained parts."""
    return io.Combo.Input(
        "file", options=folder_paths.get_filename_list("model_patches"), tooltip=f"In models/model_patches/. {UNPUBLISHED}"
    )


class FantasyTalkingIdentity(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitFantasyTalkingIdentity",
            display_name=IDENTITY_NODE,
            category=CATEGORY,
            description=f"Keeps the person: every block sees the face's identity (the paper's section 3.3). {UNPUBLISHED}",
            is_experimental=True,
            inputs=[
                io.Model.Input("model", tooltip="From Apply FantasyTalking."),
                extras_file(),
                io.Image.Input("image", tooltip="The portrait; one picture."),
                io.Custom("FACE_LANDMARKS").Input(
                    "face_landmarks", tooltip="From Detect Face Landmarks (MediaPipe) for the same picture."
                ),
                io.Int.Input("face_index", default=0, min=0, max=63, tooltip="Which face, 0 is the first."),
                io.Float.Input(
                    "strength", default=SCALE, min=0.0, max=2.0, step=0.05, tooltip="Its factor: 0.5 in the paper, 0 nothing."
                ),
            ],
            outputs=[io.Model.Output(tooltip="For FantasyTalking Guidance or core's samplers.")],
        )

    @classmethod
    def execute(cls, model, file: str, image, face_landmarks, face_index: int, strength: float) -> io.NodeOutput:
        picture = single_picture(image, IDENTITY_NODE)
        check_same_size(picture, face_landmarks, IDENTITY_NODE)
        points = select_face(face_landmarks, face_index)
        path = chosen_file("model_patches", file, "file", IDENTITY_NODE)
        branch = load_shared(
            "fantasytalking identity", path, torch.float32, casting(build_identity), IDENTITY_NODE, identity_state, exact=True
        )
        arcface = actalker_part("arcface", IDENTITY_NODE)
        vector = arcface.ready()(aligned_face(picture, points).to(arcface.device))
        tokens = branch.ready().identity_proj(vector.to(branch.device)).float().cpu()
        return io.NodeOutput(with_identity(model, Identity(tokens, branch.patcher, strength)))

    @classmethod
    def fingerprint_inputs(cls, file: str, **given) -> list:
        return chosen_fingerprint([("model_patches", file)]) + weights_fingerprint(["actalker.arcface"])


class FantasyTalkingIntensity(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        def amount(name: str) -> io.Float.Input:
            return io.Float.Input(
                name, default=NEUTRAL, min=0.0, max=1.0, step=0.05,
                tooltip="0.1 subtle, 0.5 natural (nothing is added), 1 intense; Measure Motion Intensity gives those of a video.",
            )  # fmt: skip

        return io.Schema(
            node_id="TalkingPortraitFantasyTalkingIntensity",
            display_name=INTENSITY_NODE,
            category=CATEGORY,
            description=f"How strongly face and body move (the paper's section 3.4). {UNPUBLISHED} On released weights audio_scale "
            "(expression), audio_cfg (lips) and the prompt (body) act.",
            is_experimental=True,
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
            "fantasytalking intensity", path, torch.float32, casting(build_intensity), INTENSITY_NODE, intensity_state, exact=True
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
            description="How strongly a face (by landmarks) and a body (by joints) move in a video, 0 to 1.",
            search_aliases=["motion bucket", "subject dynamics"],
            inputs=[
                io.Custom("FACE_LANDMARKS").Input(
                    "face_landmarks", tooltip="From Detect Face Landmarks (MediaPipe) for all frames of the video."
                ),
                io.Int.Input("face_index", default=0, min=0, max=63, tooltip="Which face of the first frame, 0 is the first."),
                io.Custom("POSE_KEYPOINT").Input(
                    "keypoints", optional=True, tooltip="From core's SDPose nodes, for the same frames; without it body is 0.5."
                ),
            ],
            outputs=[
                io.Float.Output(display_name="expression", tooltip="0 calm, 1 very lively."),
                io.Float.Output(display_name="body", tooltip="0 still, 1 very lively; 0.5 without keypoints."),
                io.String.Output(display_name="report", tooltip="Both with the raw values."),
            ],
        )

    @classmethod
    def execute(cls, face_landmarks, face_index: int, keypoints=None) -> io.NodeOutput:
        try:
            face = face_intensity(follow_face(face_landmarks, face_index))
            body = None if keypoints is None else body_intensity(first_person(keypoints))
        except ValueError as problem:
            raise ValueError(f"{MEASURE}: {problem}.") from None
        expression = FACE.coefficient(face)
        whole = NEUTRAL if body is None else BODY.coefficient(body)
        raw = "not measured" if body is None else f"variance {body:.2e} of shoulder width squared"
        report = f"expression {expression:.2f} (variance {face:.2e} of eye distance squared), body {whole:.2f} ({raw})"
        return io.NodeOutput(expression, whole, report)


def first_person(frames: list[dict]) -> list[np.ndarray | None]:
    """OpenPose frames -> joints [18,3] of the first person in each, None where nobody is."""
    found = []
    for frame in frames:
        people = frame.get("people") or []
        found.append(np.array(people[0]["pose_keypoints_2d"], np.float64).reshape(-1, 3) if people else None)
    return found


NODES = [FantasyTalkingIdentity, FantasyTalkingIntensity, MeasureMotionIntensity]
