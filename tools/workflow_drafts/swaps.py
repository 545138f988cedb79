"""Workflows that show a stage swapped: two of it side by side. What needs files is muted, with a note."""

from typing import Any

from ...models.weights.published import KDTALKER_KEYS, LIVEPORTRAIT_KEYS
from .parts import SPEECH_FILE, Draft, NodeDraft, files_needed, find_face, group, note

SECONDS = 3.0
ENCODERS = f"""## Two audio encoders

**Above**, with nothing to download: *Load Speech Encoder* hears for Takin-ADA, and *Encode Speech* hears the clip **once** for two films,
calm and happy. Change a seed or a mood and press Run: the clip is not heard again.

**Below**, muted: Wav2Lip hears for KDTalker. Put its files in place, select the group, press Ctrl+M and Run.

{files_needed(KDTALKER_KEYS + ["liveportrait.motion"])}

Each system takes the encoder that it was trained on; the wrong one is refused by name."""
SAMPLERS = """## Two samplers

One network, one voice, one seed. **Left** as the engine samples by itself: DDIM, 10 steps. **Right** by *Motion Sampler*: DPM-Solver++, 5
steps. The two look nearly alike, as they should. KDTalker and JoyVASA take the same node.

*ddim* and *ddpm* are the engines' own, exact; the others are those of diffusers, on the engine's own noise levels."""
RENDERERS = f"""## Two renderers

One motion, two pictures. **Above** the built-in warp bends the photo, with nothing to download. **Below**, muted, LivePortrait draws the face
anew. Put its files in place, select the group, press Ctrl+M and Run.

{files_needed(LIVEPORTRAIT_KEYS)}"""
AMOUNTS: dict[str, Any] = {
    "fps": 25.0, "seed": 7, "control_after_generate": "fixed", "mouth_amount": 1.0, "head_amount": 1.0,
    "blink_rate": 18.0, "brow_amount": 1.0, "silence_threshold": -38.0,
}  # fmt: skip
TAKIN = {
    "engine": "Takin-ADA", "engine.steps": 10, "engine.emotion": "neutral", "engine.emotion_intensity": 1.0,
}  # fmt: skip


def given() -> dict[str, NodeDraft]:
    """Picture, face and some seconds of voice: nodes 1 to 5."""
    nodes = find_face()
    nodes["4"] = NodeDraft("LoadAudio", {"audio": SPEECH_FILE}, (40, 560), (300, 140))
    cut = {"audio": ["4", 0], "start_index": 0.0, "duration": SECONDS}
    return nodes | {"5": NodeDraft("TrimAudioDuration", cut, (40, 760))}


def prepared(
    number: int, renderer: dict[str, Any], place: tuple[int, int], **how: Any
) -> dict[str, NodeDraft]:
    """A renderer and the portrait that it draws: nodes `number` and the next."""
    x, y = place
    portrait = {
        "renderer": [str(number), 0], "image": ["1", 0], "face_landmarks": ["3", 0], "face_index": 0,
    }  # fmt: skip
    return {
        str(number): NodeDraft("TalkingPortraitLoadRenderer", renderer, (x, y), **how),
        str(number + 1): NodeDraft(
            "TalkingPortraitPrepare",
            portrait,
            (x, y + (360 if len(renderer) > 1 else 140)),
            muted=how.get("muted", False),
        ),
    }


def stitched(number: int, left: str, right: str, file: str, place: tuple[int, int]) -> dict[str, NodeDraft]:
    """The images of two nodes side by side as a saved film: three nodes from `number` on."""
    x, y = place
    pair = {
        "image1": [left, 0], "image2": [right, 0], "direction": "right", "match_image_size": True, "spacing_width": 0,
        "spacing_color": "white",
    }  # fmt: skip
    film = {"images": [str(number), 0], "fps": [left, 1], "audio": ["5", 0]}
    video = {
        "video": [str(number + 1), 0], "filename_prefix": f"video/{file}", "format": "auto", "codec": "auto",
    }  # fmt: skip
    return {
        str(number): NodeDraft("ImageStitch", pair, (x, y)),
        str(number + 1): NodeDraft("CreateVideo", film, (x, y + 240)),
        str(number + 2): NodeDraft("SaveVideo", video, (x + 340, y), (340, 0)),
    }


def saved(number: int, portrait: str, motion: str, file: str, place: tuple[int, int], muted: bool = False):
    """A motion drawn and saved: two nodes from `number` on."""
    x, y = place
    film = {"portrait": [portrait, 0], "face_motion": [motion, 0], "audio": ["5", 0], "crf": 16.0}
    video = {
        "video": [str(number), 0], "filename_prefix": f"video/{file}", "format": "auto", "codec": "auto",
    }  # fmt: skip
    return {
        str(number): NodeDraft("TalkingPortraitRenderVideo", film, (x, y), (300, 380), muted=muted),
        str(number + 1): NodeDraft("SaveVideo", video, (x + 340, y), (340, 0), muted=muted),
    }


def generated(engine: str, **more: Any) -> dict[str, Any]:
    """Inputs of Generate Face Motion."""
    return {"motion_engine": [engine, 0], "audio": ["5", 0], **AMOUNTS, **more}


def _encoders() -> Draft:
    nodes = given() | prepared(6, {"renderer": "built-in warp"}, (420, 560))
    heard = {"audio_encoder_output": ["11", 0]}
    nodes |= {
        "10": NodeDraft("TalkingPortraitSpeechEncoder", {"speech_encoder": "built-in"}, (800, 80)),
        "11": NodeDraft("TalkingPortraitEncodeSpeech", {"audio_encoder": ["10", 0], "audio": ["5", 0]}, (800, 200)),
        "12": NodeDraft("TalkingPortraitMotionEngine", TAKIN | {"engine.audio_encoder": ["10", 0]}, (1140, 80)),
        "13": NodeDraft(
            "TalkingPortraitMotionEngine", TAKIN | {"engine.emotion": "happy", "engine.audio_encoder": ["10", 0]}, (1140, 560),
        ),
        "14": NodeDraft("TalkingPortraitGenerateMotion", generated("12", **heard), (1480, 80)),
        "15": NodeDraft("TalkingPortraitGenerateMotion", generated("13", **heard), (1480, 560)),
        "16": NodeDraft("TalkingPortraitRender", {"portrait": ["7", 0], "face_motion": ["14", 0]}, (1820, 80)),
        "17": NodeDraft("TalkingPortraitRender", {"portrait": ["7", 0], "face_motion": ["15", 0]}, (1820, 560)),
        **stitched(18, "16", "17", "encoded_once", (2160, 80)),
        "30": NodeDraft(
            "TalkingPortraitSpeechEncoder", {"speech_encoder": "Wav2Lip", "speech_encoder.file": "wav2lip.pth"}, (800, 1200),
            muted=True,
        ),
        "31": NodeDraft("TalkingPortraitEncodeSpeech", {"audio_encoder": ["30", 0], "audio": ["5", 0]}, (800, 1360), muted=True),
        "32": NodeDraft(
            "TalkingPortraitMotionEngine", {"engine": "KDTalker", "engine.steps": 10, "engine.audio_encoder": ["30", 0]},
            (1140, 1200), muted=True,
        ),
        "33": NodeDraft(
            "TalkingPortraitGenerateMotion", generated("32", portrait=["7", 0], audio_encoder_output=["31", 0]), (1480, 1200),
            muted=True,
        ),
        **saved(34, "7", "33", "kdtalker", (1820, 1200), muted=True),
    }  # fmt: skip
    return Draft(
        nodes,
        [note("Two audio encoders", ENCODERS)],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 900)),
            group("Face and portrait", "face", (400, 20), (340, 900)),
            group("Takin-ADA, heard once", "motion", (780, 20), (2300, 1060)),
            group("KDTalker by Wav2Lip (muted: needs files)", "proof", (780, 1140), (1880, 620)),
        ],
        "09 Swap speech encoders (no download)",
        "Swap:\nencoders",
    )


def _samplers() -> Draft:
    nodes = given() | prepared(6, {"renderer": "built-in warp"}, (420, 560))
    sampler = {"sampler": "dpm-solver++", "steps": 5, "window": 0}
    nodes |= {
        "10": NodeDraft("TalkingPortraitMotionEngine", TAKIN, (1140, 80)),
        "11": NodeDraft("TalkingPortraitMotionSampler", sampler, (800, 560)),
        "12": NodeDraft("TalkingPortraitMotionEngine", TAKIN | {"engine.sampler": ["11", 0]}, (1140, 560)),
        "14": NodeDraft("TalkingPortraitGenerateMotion", generated("10"), (1480, 80)),
        "15": NodeDraft("TalkingPortraitGenerateMotion", generated("12"), (1480, 560)),
        "16": NodeDraft(
            "TalkingPortraitRender", {"portrait": ["7", 0], "face_motion": ["14", 0]}, (1820, 80)
        ),
        "17": NodeDraft(
            "TalkingPortraitRender", {"portrait": ["7", 0], "face_motion": ["15", 0]}, (1820, 560)
        ),
        **stitched(18, "16", "17", "two_samplers", (2160, 80)),
    }
    return Draft(
        nodes,
        [note("Two samplers", SAMPLERS)],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 900)),
            group("Face and portrait", "face", (400, 20), (340, 900)),
            group("One network, two samplers", "motion", (780, 20), (1020, 1060)),
            group("Side by side", "render", (1810, 20), (1280, 1060)),
        ],
        "10 Swap motion samplers (no download)",
        "Swap:\nsamplers",
    )


def _renderers() -> Draft:
    nodes = given()
    nodes |= {
        "10": NodeDraft("TalkingPortraitMotionEngine", {"engine": "built-in"}, (420, 560)),
        "11": NodeDraft("TalkingPortraitGenerateMotion", generated("10"), (420, 680)),
        **prepared(20, {"renderer": "built-in warp"}, (800, 80)),
        **saved(22, "21", "11", "warp", (1140, 80)),
        **prepared(
            30, {"renderer": "LivePortrait", "renderer.precision": "auto", "renderer.framing": "LivePortrait"}, (800, 720),
            muted=True,
        ),
        **saved(32, "31", "11", "liveportrait", (1140, 720), muted=True),
    }  # fmt: skip
    return Draft(
        nodes,
        [note("Two renderers", RENDERERS)],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 900)),
            group("Face and motion", "motion", (400, 20), (340, 1160)),
            group("Built-in warp", "render", (780, 20), (1180, 600)),
            group("LivePortrait (muted: needs files)", "proof", (780, 660), (1180, 640)),
        ],
        "11 Swap renderers (no download)",
        "Swap:\nrenderers",
    )


DRAFTS = {"swap_speech_encoders": _encoders(), "swap_samplers": _samplers(), "swap_renderers": _renderers()}
