"""Workflows of ACTalker: driven by speech, by a video, by both."""

from typing import Any

from ...models.weights.published import gigabytes
from .core_models import FILM_NET, links
from .parts import (
    DRIVING_FILE,
    PORTRAIT_FILE,
    SPEECH_FILE,
    Draft,
    NodeDraft,
    files_needed,
    find_faces,
    group,
    note,
)

SHARED_KEYS = ["actalker.unet", "actalker.svd", "actalker.identity", "actalker.pose", "actalker.arcface"]
AUDIO_KEYS, MOTION_KEYS = ["actalker.audio", "actalker.whisper"], ["actalker.motion", "actalker.driver"]
SETTINGS = f"""Published settings: euler, karras, 25 steps, image 2, audio 7.5, motion 3, windows of 25 frames that move by 7.

The film has 12.5 frames per second. For a second one with 25, by core's frame interpolation, put
the file below in place, press R, select
the group *25 frames per second* and press Ctrl+M, which wakes its nodes. KSampler's own cfg does nothing here: leave it at 1.

{links([FILM_NET])}"""


def audio_nodes(row: int) -> dict[str, NodeDraft]:
    """Voice -> tokens: nodes 10 and 11."""
    return {
        "10": NodeDraft("LoadAudio", {"audio": SPEECH_FILE}, (40, row), (300, 140)),
        "11": NodeDraft("TalkingPortraitACTalkerAudio", {"audio": ["10", 0]}, (420, row)),
    }


def motion_nodes(row: int) -> dict[str, NodeDraft]:
    """Driving video -> tokens: nodes 20 to 23."""
    return {
        "20": NodeDraft("LoadVideo", {"file": DRIVING_FILE}, (40, row), (300, 300)),
        "21": NodeDraft("GetVideoComponents", {"video": ["20", 0]}, (40, row + 350)),
        "22": find_faces("2", ["21", 0], (420, row), most=1),
        "23": NodeDraft(
            "TalkingPortraitACTalkerMotionFromVideo",
            {
                "images": ["21", 0],
                "face_landmarks": ["22", 0],
                "fps": ["21", 2],
                "face_index": 0,
                "missing_face": "error",
            },
            (420, row + 260),
        ),
    }


def film(streams: dict[str, Any], sound: list) -> dict[str, NodeDraft]:
    """Portrait and streams -> saved video: nodes 1 to 8, 30 to 33 and 50 to 53."""
    return {
        "1": NodeDraft("LoadImage", {"image": PORTRAIT_FILE}, (40, 80), (300, 360)),
        "2": NodeDraft("TalkingPortraitLoadFaceDetector", {}, (420, 80)),
        "3": find_faces("2", ["1", 0], (420, 190), most=1),
        "4": NodeDraft("TalkingPortraitLoadACTalker", {"file": "unet-136000.pth", "weight_dtype": "default"},
        (800, 80)),
        "5": NodeDraft("ImageOnlyCheckpointLoader", {"ckpt_name": "svd_xt_1_1.safetensors"}, (800, 220)),
        "6": NodeDraft(
            "TalkingPortraitACTalkerConditioning",
            {
                "vae": ["5", 2], "image": ["1", 0], "face_landmarks": ["3", 0], "face_index": 0, **streams,
                "audio_gate": 1.0,
                "motion_gate": 1.0, "regions": "each in its region", "frames": 0, "short_side": 576, "audio_gate_end": -0.05,
                "motion_gate_end": -0.05, "audio_gate_curve": "", "motion_gate_curve": "",
            },
            (800, 400), (320, 440),
        ),
        "7": NodeDraft(
            "TalkingPortraitACTalkerContextWindows",
            {"model": ["4", 0], "length": 25, "overlap": 0, "shift": 7}, (1180, 80)
        ),
        "8": NodeDraft(
            "TalkingPortraitACTalkerGuidance",
            {"model": ["7", 0], "image_cfg": 2.0, "audio_cfg": 7.5, "motion_cfg": 3.0}, (1180, 250),
        ),
        "30": NodeDraft(
            "KSampler",
            {
                "model": ["8", 0], "seed": 1111, "steps": 25, "cfg": 1.0, "sampler_name": "euler",
                "scheduler": "karras",
                "positive": ["6", 0], "negative": ["6", 1], "latent_image": ["6", 2], "denoise": 1.0,
            },
            (1180, 430), (300, 400),
        ),
        "31": NodeDraft("TalkingPortraitACTalkerDecode",
        {"samples": ["30", 0], "vae": ["5", 2], "frames": ["6", 3]}, (1540, 80)),
        "32": NodeDraft("CreateVideo", {"images": ["31", 0], "fps": ["6", 4], "audio": sound}, (1540, 220)),
        "33": NodeDraft(
            "SaveVideo", {"video": ["32", 0], "filename_prefix": "video/actalker", "format": "auto",
            "codec": "auto"},
            (1540, 360), (340, 0),
        ),
        **doubled(sound),
    }  # fmt: skip


def doubled(sound: list) -> dict[str, NodeDraft]:
    """The film again with a frame between any two: nodes 50 to 53, muted."""
    return {
        "50": NodeDraft("FrameInterpolationModelLoader", {"model_name": FILM_NET.file},
        (2060, 80), muted=True),
        "51": NodeDraft(
            "FrameInterpolate", {"interp_model": ["50", 0], "images": ["31", 0], "multiplier": 2},
            (2060, 200), muted=True
        ),
        "52": NodeDraft("CreateVideo", {"images": ["51", 0], "fps": 25.0, "audio": sound}, (2060, 340),
        muted=True),
        "53": NodeDraft(
            "SaveVideo", {"video": ["52", 0], "filename_prefix": "video/actalker_25", "format": "auto",
            "codec": "auto"},
            (2060, 500), (300, 340), muted=True,
        ),
    }  # fmt: skip


def by_guider(sound: list) -> dict[str, NodeDraft]:
    """The same film by core's SamplerCustomAdvanced: nodes 60 to 67, muted."""
    scales = {"image_cfg": 2.0, "audio_cfg": 7.5, "motion_cfg": 3.0}
    sampled = {
        "noise": ["61", 0],
        "guider": ["60", 0],
        "sampler": ["62", 0],
        "sigmas": ["63", 0],
        "latent_image": ["6", 2],
    }
    video = {
        "video": ["66", 0],
        "filename_prefix": "video/actalker_guider",
        "format": "auto",
        "codec": "auto",
    }
    entries: list[tuple[str, dict[str, Any]]] = [
        ("TalkingPortraitACTalkerGuider", {"model": ["7", 0], "positive": ["6", 0], **scales}),
        ("RandomNoise", {"noise_seed": 1111, "control_after_generate": "fixed"}),
        ("KSamplerSelect", {"sampler_name": "euler"}),
        ("BasicScheduler", {"model": ["7", 0], "scheduler": "karras", "steps": 25, "denoise": 1.0}),
        ("SamplerCustomAdvanced", sampled),
        ("TalkingPortraitACTalkerDecode", {"samples": ["64", 0], "vae": ["5", 2], "frames": ["6", 3]}),
        ("CreateVideo", {"images": ["65", 0], "fps": ["6", 4], "audio": sound}),
        ("SaveVideo", video),
    ]
    places = [(1180 + 360 * (number // 3), 1000 + 160 * (number % 3)) for number in range(len(entries))]
    return {
        str(60 + number): NodeDraft(kind, inputs, place, muted=True)
        for number, ((kind, inputs), place) in enumerate(zip(entries, places, strict=True))
    }


def groups(*signals: dict[str, Any]) -> list[dict[str, Any]]:
    """Frames around what all three share, and around the signals."""
    return [
        group("Portrait", "inputs", (20, 20), (720, 440)),
        group("ACTalker", "face", (780, 20), (360, 970)),
        group("Core's sampler", "render", (1160, 20), (340, 860)),
        group("Film", "render", (1520, 20), (500, 860)),
        group("25 frames per second", "render", (2040, 20), (340, 860)),
        *signals,
    ]


def _audio() -> Draft:
    text = f"## ACTalker: a portrait from speech\n\n{files_needed(SHARED_KEYS + AUDIO_KEYS)}\n\n{SETTINGS}"
    return Draft(
        {**film({"actalker_audio": ["11", 0]}, ["10", 0]), **audio_nodes(560), **by_guider(["10", 0])},
        [note("Files and settings", text)],
        groups(
            group("Speech", "motion", (20, 490), (720, 260)),
            group("The same by SamplerCustomAdvanced (muted)", "proof", (1160, 960), (1100, 600)),
        ),
        f"41 ACTalker, speech ({gigabytes(SHARED_KEYS + AUDIO_KEYS)})",
        "ACTalker",
        needs=(*SHARED_KEYS, *AUDIO_KEYS),
    )


def _motion() -> Draft:
    text = f"""## ACTalker: a portrait driven by a video

Expression and head come from the driving video. Any FACE_MOTION can drive too: render it with *Render Portrait* and give those
images to *ACTalker Motion from Video* (with landmarks of the same images).

{files_needed(SHARED_KEYS + MOTION_KEYS)}

{SETTINGS}"""
    return Draft(
        {**film({"actalker_motion": ["23", 0]}, ["21", 1]), **motion_nodes(560)},
        [note("Files and settings", text)],
        groups(group("Driving video", "motion", (20, 490), (720, 680))),
        f"42 ACTalker, driving video ({gigabytes(SHARED_KEYS + MOTION_KEYS)})",
        "ACTalker\ndriven by video",
        needs=(*SHARED_KEYS, *MOTION_KEYS),
    )


def _both() -> Draft:
    text = f"""## ACTalker: lips from speech, expression and head from a video

Two masks say who moves what: sound has the mouth, motion the rest of the face. Paint your own, or take them out: then
*regions* decides, and *official* lets both act everywhere, as the published script does. The gates open and close a signal, also
over time (a curve for each).

{files_needed(SHARED_KEYS + AUDIO_KEYS + MOTION_KEYS)}

{SETTINGS}"""
    nodes = {
        **film(
            {
                "actalker_audio": ["11", 0], "actalker_motion": ["23", 0], "audio_mask": ["40", 1],
                "motion_mask": ["40", 2],
            },
            ["10", 0],
        ),
        **audio_nodes(560), **motion_nodes(820),
    }  # fmt: skip
    nodes["40"] = NodeDraft(
        "TalkingPortraitFaceRegionMasks",
        {"face_landmarks": ["3", 0], "face_index": 0, "feather": 16.0, "grow": 8.0, "missing_face": "error"},
        (420, 1420),
    )  # fmt: skip
    return Draft(
        nodes,
        [note("Files, regions, gates", text)],
        groups(
            group("Speech", "motion", (20, 490), (720, 240)),
            group("Driving video", "motion", (20, 750), (720, 600)),
            group("Regions", "proof", (20, 1360), (720, 320)),
        ),
        f"43 ACTalker, speech and video ({gigabytes(SHARED_KEYS + AUDIO_KEYS + MOTION_KEYS)})",
        "ACTalker\nspeech + video",
        needs=(*SHARED_KEYS, *AUDIO_KEYS, *MOTION_KEYS),
    )


DRAFTS = {"actalker_speech": _audio(), "actalker_video": _motion(), "actalker_speech_and_video": _both()}
