"""Workflows about the motion between voice and picture, with nothing to download: edit, keep, blend, stream."""

from typing import Any

from .parts import MOTION_FILE, SPEECH_FILE, Draft, NodeDraft, find_face, group, note, render, speak
from .swaps import TAKIN

EDITOR = """## An expression by sliders

Press **Run** once. Then drag the sliders in *Expression Editor*: the face follows at once. Press **Run** again, and the whole speech
is spoken with that expression.

Take the link of *face_motion* out to get the expression as a picture alone."""

KEPT = """## Keep a motion, and mix two

*Save Face Motion* keeps what the voice made in `output/motion/`; *Load Face Motion* reads such a file, here one that comes with this
pack. *Blend Face Motion* takes the lips from the voice and head, eyes and brows from the file.

A kept motion moves any portrait, drawn by any renderer."""

STREAMED = """## Drawn while it listens

*Stream Talking Portrait* is *Generate Face Motion* and *Render Portrait Video* in one: the first frames appear while the rest of the
speech is not yet heard. For Takin-ADA. Lips and moods are the same as in one go."""

LIVE = """## A live voice, piece by piece

*Generate Face Motion (live)* takes the next piece of a voice and gives the frames that are final, and a **state** from which the next
piece goes on without a seam. Here a speech is cut in two, as a program would get it from a microphone; **last** is on at the second.

The first piece must last 1.9 s, later ones 0.7 s."""


def _editor() -> Draft:
    nodes = {**find_face(), **speak(), **render("11", 1560)}
    nodes["7"] = NodeDraft("TalkingPortraitLoadRenderer", {"renderer": "built-in warp"}, (420, 1300))
    nodes["8"] = NodeDraft("TalkingPortraitPrepare", nodes["8"].inputs, (420, 1440))
    nodes["11"] = NodeDraft(
        "TalkingPortraitExpressionEditor",
        {"portrait": ["8", 0], "face_motion": ["6", 0]},
        (790, 80),
        (700, 0),
    )
    nodes["9"] = NodeDraft(
        "TalkingPortraitRenderVideo", {**nodes["9"].inputs, "face_motion": ["11", 1]}, (1560, 80), (300, 420)
    )
    return Draft(
        nodes,
        [note("Sliders", EDITOR)],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 720)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Speech to motion", "motion", (400, 490), (340, 720)),
            group("Portrait", "face", (400, 1240), (340, 500)),
            group("Expression", "motion", (770, 20), (740, 900)),
            group("Motion to video", "render", (1540, 20), (860, 640)),
        ],
        "03 Expression editor (no download)",
        "Expression\neditor",
    )


def _kept() -> Draft:
    nodes = {**find_face(), **speak(), **render("12", 1160)}
    nodes["11"] = NodeDraft("TalkingPortraitLoadFaceMotion", {"file": MOTION_FILE}, (790, 80))
    mixed = {
        "motion_a": ["11", 0], "motion_b": ["6", 0], "weight": 1.0, "lips": True, "eyes": False, "rest_of_face": False,
        "head": False, "lengths": "fit motion_b",
    }  # fmt: skip
    nodes["12"] = NodeDraft("TalkingPortraitBlendFaceMotion", mixed, (790, 260))
    nodes["13"] = NodeDraft(
        "TalkingPortraitSaveFaceMotion",
        {"face_motion": ["6", 0], "filename_prefix": "motion/face_motion", "format": "safetensors"},
        (790, 700),
    )
    return Draft(
        nodes,
        [note("Keep and mix", KEPT)],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 720)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Speech to motion", "motion", (400, 490), (340, 720)),
            group("Lips of one, head of the other", "motion", (770, 20), (360, 600)),
            group("Keep", "proof", (770, 650), (360, 300)),
            group("Motion to video", "render", (1140, 20), (860, 640)),
        ],
        "05 Save, load and blend motions (no download)",
        "Save, load,\nblend",
    )


def _streamed() -> Draft:
    nodes: dict[str, Any] = {**find_face(), **render("0", 800)}
    nodes["4"] = NodeDraft("LoadAudio", {"audio": SPEECH_FILE}, (40, 560), (300, 140))
    nodes["5"] = NodeDraft("TalkingPortraitMotionEngine", TAKIN, (420, 560))
    streamed = {
        "portrait": ["8", 0], "motion_engine": ["5", 0], "audio": ["4", 0], "seed": 7, "control_after_generate": "fixed",
        "mouth_amount": 1.0, "head_amount": 1.0, "blink_rate": 18.0, "crf": 16.0,
    }  # fmt: skip
    nodes["9"] = NodeDraft("TalkingPortraitStream", streamed, (800, 420), (300, 500))
    nodes["12"] = NodeDraft(
        "TalkingPortraitPlotFaceMotion", {"face_motion": ["9", 1], "audio": ["4", 0]}, (1160, 900), (340, 300)
    )
    return Draft(
        nodes,
        [note("Streaming", STREAMED)],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 720)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Takin-ADA", "motion", (400, 490), (340, 500)),
            group("Speech to video", "render", (780, 20), (860, 1300)),
        ],
        "06 Drawn while it listens, Takin-ADA (no download)",
        "Streaming\nTakin-ADA",
    )


def _live() -> Draft:
    nodes: dict[str, Any] = {**find_face(), **render("0", 420)}
    del nodes["9"], nodes["10"]
    nodes["7"] = NodeDraft("TalkingPortraitLoadRenderer", {"renderer": "built-in warp"}, (420, 560))
    nodes["8"] = NodeDraft("TalkingPortraitPrepare", nodes["8"].inputs, (420, 700))
    nodes["4"] = NodeDraft("LoadAudio", {"audio": SPEECH_FILE}, (40, 560), (300, 140))
    nodes["5"] = NodeDraft("TalkingPortraitMotionEngine", TAKIN, (40, 1000))
    amounts = {
        "motion_engine": ["5", 0], "seed": 7, "control_after_generate": "fixed", "mouth_amount": 1.0, "head_amount": 1.0,
        "blink_rate": 18.0,
    }  # fmt: skip
    for number, start, seconds, row in ((20, 0.0, 4.0, 80), (30, 4.0, 3.44, 800)):
        piece = {"audio": ["4", 0], "start_index": start, "duration": seconds}
        heard: dict[str, Any] = {**amounts, "audio": [str(number), 0], "last": start > 0}
        if start:
            heard["state"] = ["21", 1]
        drawn = {"portrait": ["8", 0], "face_motion": [str(number + 1), 0]}
        nodes |= {
            str(number): NodeDraft("TrimAudioDuration", piece, (800, row)),
            str(number + 1): NodeDraft("TalkingPortraitGenerateMotionLive", heard, (800, row + 200)),
            str(number + 2): NodeDraft("TalkingPortraitRender", drawn, (1160, row)),
        }
    nodes["40"] = NodeDraft("ImageBatch", {"image1": ["22", 0], "image2": ["32", 0]}, (1520, 80))
    nodes["41"] = NodeDraft(
        "CreateVideo", {"images": ["40", 0], "fps": ["22", 1], "audio": ["4", 0]}, (1520, 240)
    )
    video = {"video": ["41", 0], "filename_prefix": "video/live", "format": "auto", "codec": "auto"}
    nodes["42"] = NodeDraft("SaveVideo", video, (1520, 400), (340, 0))
    return Draft(
        nodes,
        [note("Live", LIVE)],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 1200)),
            group("Face and portrait", "face", (400, 20), (340, 1200)),
            group("The first 4 seconds", "motion", (780, 20), (700, 680)),
            group("What is said next", "motion", (780, 740), (700, 680)),
            group("One film", "render", (1500, 20), (400, 1200)),
        ],
        "07 Live voice in pieces, Takin-ADA (no download)",
        "Live voice\nTakin-ADA",
    )


DRAFTS = {
    "expression_editor": _editor(),
    "save_load_blend": _kept(),
    "stream": _streamed(),
    "live": _live(),
}
