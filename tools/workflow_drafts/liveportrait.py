"""Workflows of KDTalker and LivePortrait."""

from dataclasses import replace
from typing import Any

from ...models.weights.published import KDTALKER_KEYS, LIVEPORTRAIT_KEYS, gigabytes
from .parts import (
    DRIVING_FILE,
    Draft,
    NodeDraft,
    files_needed,
    find_face,
    find_faces,
    group,
    note,
    render,
    speak,
)

BOTH = (*KDTALKER_KEYS, *LIVEPORTRAIT_KEYS)
KDTALKER = f"""## KDTalker: a portrait from speech

One picture and a voice. KDTalker moves lips, eyes and head; LivePortrait draws the face and pastes it into the picture.

{files_needed(KDTALKER_KEYS + LIVEPORTRAIT_KEYS)}

The original `.pth` files of LivePortrait work too (folders `base_models/`, `retargeting_models/`). A file that is not there is
named when you press Run.

Swap: *Load Motion Engine* to built-in, or *Load Portrait Renderer* to built-in warp; nothing else changes.
Every seed speaks with other head motion. A GPU is needed for more than a few seconds of film."""

DRIVEN = f"""## LivePortrait: a portrait driven by a video

The face of the driving video moves the portrait. *Face Motion from Video* reads its motion, *LivePortrait Animation* says how it
is carried over: relative (changes since the first frame, start with a calm face), absolute, or a region alone.

{files_needed(LIVEPORTRAIT_KEYS)}

Frames without a face stop the run and are named; choose *bridge* to fill them.

*Load Keypoint Extractor* reads every face here; *Portrait Keypoints* gives the photo's own expression as a motion of one frame."""

MIXED = f"""## Lips from speech, head and eyes from a video

KDTalker speaks, the driving video gives head and eyes: *Blend Face Motion* takes lips (and the rest of the face) from one,
eyes and head from the other, and fits the lengths.

{files_needed(KDTALKER_KEYS + LIVEPORTRAIT_KEYS)}"""


def neural_loaders(nodes: dict[str, NodeDraft], engine: bool) -> None:
    """Turn the loaders of a draft to the neural stages, with their downloads for the page."""
    place = nodes["7"].pos
    inputs = {"renderer": "LivePortrait", "renderer.precision": "auto", "renderer.framing": "LivePortrait"}
    nodes["7"] = NodeDraft("TalkingPortraitLoadRenderer", inputs, place)
    nodes["8"] = replace(nodes["8"], pos=(place[0], place[1] + 340))  # below the menus of files
    if engine:
        nodes["5"] = NodeDraft(
            "TalkingPortraitMotionEngine", {"engine": "KDTalker", "engine.steps": 10}, nodes["5"].pos
        )
        nodes["6"].inputs["portrait"] = ["8", 0]


def animation(column: int, row: int, **changes: Any) -> NodeDraft:
    """LivePortrait Animation after Prepare Portrait (node 8)."""
    inputs = {
        "portrait": ["8", 0], "stitching": True, "motion_mode": "lips as given, rest relative", "region": "all", "multiplier": 1.0,
        "keep_proportions": False, "close_lips": False, "eyes_open": -0.05, "lips_open": -0.05,
        "official_retargeting": False,
        "output": "whole picture",
    }  # fmt: skip
    return NodeDraft("TalkingPortraitLivePortraitAnimation", {**inputs, **changes}, (column, row))


def driving_video(motion: str = "34") -> dict[str, NodeDraft]:
    """Driving video -> motion: nodes 30 to 34."""
    return {
        "30": NodeDraft("LoadVideo", {"file": DRIVING_FILE}, (40, 560), (300, 300)),
        "31": NodeDraft("GetVideoComponents", {"video": ["30", 0]}, (420, 560)),
        "33": find_faces("2", ["31", 0], (420, 700), most=1),
        motion: NodeDraft(
            "TalkingPortraitFaceMotionFromVideo",
            {
                "images": ["31", 0], "face_landmarks": ["33", 0], "fps": ["31", 2], "face_index": 0,
                "missing_face": "error",
                "smoothing": 0.3, "animal": False,
            },
            (420, 960),
        ),
    }  # fmt: skip


def _kdtalker() -> Draft:
    nodes = {**find_face(), **speak(), **render("6", 800)}
    neural_loaders(nodes, engine=True)
    nodes["11"] = animation(800, 640)
    nodes["9"] = NodeDraft(
        "TalkingPortraitRenderVideo",
        {"portrait": ["11", 0], "face_motion": ["6", 0], "audio": ["4", 0], "crf": 16.0}, (1160, 80),
        (300, 420),
    )  # fmt: skip
    nodes["10"] = NodeDraft("SaveVideo", nodes["10"].inputs, (1520, 80), (340, 0))
    return Draft(
        nodes,
        [note("Files and swaps", KDTALKER)],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 720)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Speech to motion: KDTalker", "motion", (400, 490), (340, 760)),
            group("Motion to video: LivePortrait", "render", (780, 20), (1220, 1080)),
        ],
        f"21 KDTalker + LivePortrait ({gigabytes(BOTH)})",
        "KDTalker",
        needs=BOTH,
    )


def _driven() -> Draft:
    nodes = {**find_face(), **driving_video(), **render("34", 800)}
    neural_loaders(nodes, engine=False)
    nodes["11"] = animation(800, 640, motion_mode="relative")
    nodes["12"] = NodeDraft("TalkingPortraitKeypointExtractor", {"extractor": "LivePortrait"}, (40, 940))
    nodes["34"].inputs["keypoint_extractor"] = ["12", 0]
    own = {"keypoint_extractor": ["12", 0], "image": ["1", 0], "face_landmarks": ["3", 0], "face_index": 0}
    nodes["13"] = NodeDraft("TalkingPortraitKeypoints", own, (420, 1260))
    nodes["14"] = NodeDraft(
        "TalkingPortraitPlotFaceMotion", {"face_motion": ["13", 0]}, (40, 1260), (300, 300)
    )
    nodes["9"] = NodeDraft(
        "TalkingPortraitRenderVideo",
        {"portrait": ["11", 0], "face_motion": ["34", 0], "audio": ["31", 1], "crf": 16.0}, (1160, 80),
        (300, 420),
    )  # fmt: skip
    nodes["10"] = NodeDraft("SaveVideo", nodes["10"].inputs, (1520, 80), (340, 0))
    return Draft(
        nodes,
        [note("Files and modes", DRIVEN)],
        [
            group("Portrait", "inputs", (20, 20), (340, 440)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Driving video to motion", "motion", (20, 490), (720, 900)),
            group("Motion to video: LivePortrait", "render", (780, 20), (1220, 1080)),
        ],
        f"24 LivePortrait driven by a video ({gigabytes(LIVEPORTRAIT_KEYS)})",
        "LivePortrait\ndriven by video",
        needs=tuple(LIVEPORTRAIT_KEYS),
    )


def _mixed() -> Draft:
    nodes = {**find_face(), **speak(), **render("40", 1240)}
    neural_loaders(nodes, engine=True)
    driving = driving_video()
    for key, column, row in (("30", 40, 780), ("31", 800, 560), ("33", 800, 700), ("34", 800, 960)):
        nodes[key] = NodeDraft(driving[key].class_type, driving[key].inputs, (column, row), driving[key].size)
    nodes["40"] = NodeDraft(
        "TalkingPortraitBlendFaceMotion",
        {
            "motion_a": ["6", 0], "motion_b": ["34", 0], "weight": 1.0, "lips": False, "eyes": True,
            "rest_of_face": False,
            "head": True, "lengths": "fit motion_b",
        },
        (800, 190),
    )  # fmt: skip
    nodes["11"] = animation(1240, 640)
    nodes["9"] = NodeDraft(
        "TalkingPortraitRenderVideo",
        {"portrait": ["11", 0], "face_motion": ["40", 0], "audio": ["4", 0], "crf": 16.0}, (1600, 80),
        (300, 420),
    )  # fmt: skip
    nodes["10"] = NodeDraft("SaveVideo", nodes["10"].inputs, (1960, 80), (340, 0))
    return Draft(
        nodes,
        [note("Who moves what", MIXED)],
        [
            group("Picture, voice and video", "inputs", (20, 20), (340, 1080)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Lips: KDTalker", "motion", (400, 490), (340, 760)),
            group("Head and eyes: driving video", "motion", (780, 490), (360, 740)),
            group("Blend", "motion", (780, 130), (360, 320)),
            group("Motion to video: LivePortrait", "render", (1220, 20), (1220, 1080)),
        ],
        f"22 KDTalker lips, driven head ({gigabytes(BOTH)})",
        "KDTalker lips\ndriven head",
        needs=BOTH,
    )


DRAFTS = {
    "kdtalker_portrait": _kdtalker(),
    "liveportrait_driven_by_video": _driven(),
    "kdtalker_lips_and_driven_head": _mixed(),
}
