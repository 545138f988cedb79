"""What the shipped workflows hold: nodes, their places, notes. tools/make_workflows.py draws them in the page."""

from dataclasses import dataclass, field
from typing import Any

from ..models.published_weights import KDTALKER_KEYS, LIVEPORTRAIT_KEYS, WEIGHTS, page_models

PORTRAIT_FILE = "talking_portrait_astronaut.png"
SPEECH_FILE = "talking_portrait_speech.wav"
DRIVING_FILE = "talking_portrait_driving.mp4"
COLOURS = {"inputs": "#3f789e", "face": "#88A", "motion": "#8A8", "render": "#b58b2a", "proof": "#a1309b"}


@dataclass(frozen=True)
class NodeDraft:
    """One node: class, inputs as in an API prompt, place in pixels; `models` are its downloads for the page."""

    class_type: str
    inputs: dict[str, Any]
    pos: tuple[int, int]
    size: tuple[int, int] = (300, 0)
    title: str = ""
    models: list[dict[str, str]] = field(default_factory=list)

    def place(self) -> dict[str, Any]:
        """What the page needs to lay the node out."""
        place: dict[str, Any] = {"pos": self.pos, "width": self.size[0], "height": self.size[1]}
        return place | ({"title": self.title} if self.title else {}) | ({"models": self.models} if self.models else {})


@dataclass(frozen=True)
class Draft:
    """One workflow; node ids are numbers as text."""

    nodes: dict[str, NodeDraft]
    notes: list[dict[str, Any]]
    groups: list[dict[str, Any]]

    @property
    def neural(self) -> bool:
        """Whether it needs weight files that do not ship, so that its own result cannot be its picture."""
        wanted = {"LivePortrait", "fantasytalking_model.ckpt"}
        return any(wanted & {value for value in node.inputs.values() if isinstance(value, str)} for node in self.nodes.values())

    def prompt(self) -> dict[str, Any]:
        """The draft as an API prompt."""
        return {key: {"class_type": node.class_type, "inputs": node.inputs} for key, node in self.nodes.items()}


def note(title: str, text: str, pos: tuple[int, int], size: tuple[int, int]) -> dict[str, Any]:
    """A MarkdownNote."""
    return {"title": title, "text": text, "pos": pos, "size": size}


def group(title: str, colour: str, pos: tuple[int, int], size: tuple[int, int]) -> dict[str, Any]:
    """A coloured frame around nodes."""
    return {"title": title, "color": COLOURS[colour], "pos": pos, "size": size}


def find_face(column: int = 420) -> dict[str, NodeDraft]:
    """Picture -> landmarks: nodes 1 to 3."""
    return {
        "1": NodeDraft("LoadImage", {"image": PORTRAIT_FILE}, (40, 80), (300, 360)),
        "2": NodeDraft("TalkingPortraitLoadFaceDetector", {}, (column, 80)),
        "3": NodeDraft(
            "MediaPipeFaceLandmarker",
            {
                "face_detection_model": ["2", 0], "image": ["1", 0], "detector_variant": "both", "num_faces": 4,
                "min_confidence": 0.5, "missing_frame_fallback": "empty",
            },
            (column, 190),
        ),
    }  # fmt: skip


def speak() -> dict[str, NodeDraft]:
    """Voice -> motion: nodes 4 to 6."""
    return {
        "4": NodeDraft("LoadAudio", {"audio": SPEECH_FILE}, (40, 560), (300, 140)),
        "5": NodeDraft("TalkingPortraitLoadMotionEngine", {"engine": "built-in"}, (420, 560)),
        "6": NodeDraft(
            "TalkingPortraitGenerateMotion",
            {
                "motion_engine": ["5", 0], "audio": ["4", 0], "fps": 25.0, "seed": 7, "mouth_amount": 1.0,
                "head_amount": 1.0, "blink_rate": 18.0, "brow_amount": 1.0, "silence_threshold": -38.0,
            },
            (420, 680),
        ),
    }  # fmt: skip


def render(motion: str, column: int) -> dict[str, NodeDraft]:
    """Landmarks and motion -> saved video: nodes 7 to 10; `motion` is the id of the node that gives FACE_MOTION."""
    return {
        "7": NodeDraft("TalkingPortraitLoadRenderer", {"renderer": "built-in warp"}, (column, 80)),
        "8": NodeDraft(
            "TalkingPortraitPrepare",
            {"renderer": ["7", 0], "image": ["1", 0], "face_landmarks": ["3", 0], "face_index": 0},
            (column, 200),
        ),
        "9": NodeDraft(
            "TalkingPortraitRenderVideo",
            {"portrait": ["8", 0], "face_motion": [motion, 0], "audio": ["4", 0], "crf": 16.0},
            (column, 420),
            (300, 420),
        ),
        "10": NodeDraft(
            "SaveVideo",
            {"video": ["9", 0], "filename_prefix": "video/talking_portrait", "format": "auto", "codec": "auto"},
            (column + 360, 80),
            (460, 560),
        ),
    }


START = """## Talking portrait, nothing to download

1. Choose your picture in **Load Image**: one face, seen more or less from the front.
2. Choose your voice in **Load Audio**: speech, any sample rate.
3. Press **Run**. The face appears in *Render Portrait Video* while it is drawn; stop it when you like.

Swap a stage by changing one loader: *Load Motion Engine* is what listens, *Load Portrait Renderer* is what draws.

If no face is found, draw a box around it and use *Face Landmarks from Box*.
Select a node and press the (i) button for its help."""

CONTROL = """## How much, and whose head

- **Face Motion Intensity**: expression and head apart. 0 is still, 1 as generated, 2 twice as far.
- **Head Motion**: *hold* keeps the head as in the photo while the face goes on speaking; *scale* and *smoothing* calm it;
  *follow* takes the head of another motion.
- **Plot Face Motion** shows the curves over the sound, **Lip-Sync Check** says how many frames the lips are late.
  It compares mouth opening with loudness; it is not LSE."""

REGIONS = """## Landmarks and masks

The built-in detector works with ComfyUI's own MediaPipe nodes. *Face Region Masks* gives the whole face, the part that
speech moves and the part that expression moves; engines with region control (and your own inpainting) take them.

With a video: *missing_face* says what happens in frames without a face, and *missed_frames* lists them."""


def files_needed(keys: list[str]) -> str:
    """A table of weight files for a note."""
    rows = ["| file | ComfyUI/models/ | licence |", "|---|---|---|"]
    for key in keys:
        weight = WEIGHTS[key]
        rows.append(f"| [{weight.file}]({weight.url.split(' ')[0]}) | {weight.folder}/ | {weight.licence} |")
    return "\n".join(rows)


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

Frames without a face stop the run and are named; choose *bridge* to fill them."""

MIXED = f"""## Lips from speech, head and eyes from a video

KDTalker speaks, the driving video gives head and eyes: *Blend Face Motion* takes lips (and the rest of the face) from one,
eyes and head from the other, and fits the lengths.

{files_needed(KDTALKER_KEYS + LIVEPORTRAIT_KEYS)}"""


def neural_loaders(nodes: dict[str, NodeDraft], engine: bool) -> None:
    """Turn the loaders of a draft to the neural stages, with their downloads for the page."""
    place = nodes["7"].pos
    inputs = {"renderer": "LivePortrait", "precision": "auto", "framing": "LivePortrait"}
    nodes["7"] = NodeDraft("TalkingPortraitLoadRenderer", inputs, place, models=page_models(LIVEPORTRAIT_KEYS))
    if engine:
        nodes["5"] = NodeDraft("TalkingPortraitLoadMotionEngine", {"engine": "KDTalker", "steps": 10}, nodes["5"].pos)
        nodes["6"].inputs["portrait"] = ["8", 0]


def animation(column: int, row: int, **changes: Any) -> NodeDraft:
    """LivePortrait Animation after Prepare Portrait (node 8)."""
    inputs = {
        "portrait": ["8", 0], "stitching": True, "motion_mode": "lips as given, rest relative", "region": "all", "multiplier": 1.0,
        "keep_proportions": False, "close_lips": False, "eyes_open": -0.05, "lips_open": -0.05, "official_retargeting": False,
        "output": "whole picture",
    }  # fmt: skip
    return NodeDraft("TalkingPortraitLivePortraitAnimation", {**inputs, **changes}, (column, row))


def driving_video(motion: str = "34") -> dict[str, NodeDraft]:
    """Driving video -> motion: nodes 30 to 34."""
    return {
        "30": NodeDraft("LoadVideo", {"file": DRIVING_FILE}, (40, 560), (300, 300)),
        "31": NodeDraft("GetVideoComponents", {"video": ["30", 0]}, (420, 560)),
        "33": NodeDraft(
            "MediaPipeFaceLandmarker",
            {
                "face_detection_model": ["2", 0], "image": ["31", 0], "detector_variant": "both", "num_faces": 1,
                "min_confidence": 0.5, "missing_frame_fallback": "empty",
            },
            (420, 700),
        ),
        motion: NodeDraft(
            "TalkingPortraitFaceMotionFromVideo",
            {
                "images": ["31", 0], "face_landmarks": ["33", 0], "fps": ["31", 2], "face_index": 0, "missing_face": "error",
                "smoothing": 0.3, "animal": False,
            },
            (420, 960),
        ),
    }  # fmt: skip


def _kdtalker() -> Draft:
    nodes = {**find_face(), **speak(), **render("6", 800)}
    neural_loaders(nodes, engine=True)
    nodes["11"] = animation(800, 420)
    nodes["9"] = NodeDraft(
        "TalkingPortraitRenderVideo",
        {"portrait": ["11", 0], "face_motion": ["6", 0], "audio": ["4", 0], "crf": 16.0}, (1160, 80), (300, 420),
    )  # fmt: skip
    nodes["10"] = NodeDraft("SaveVideo", nodes["10"].inputs, (1520, 80), (460, 560))
    return Draft(
        nodes,
        [note("Files and swaps", KDTALKER, (1160, 790), (820, 460))],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 720)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Speech to motion: KDTalker", "motion", (400, 490), (340, 560)),
            group("Motion to video: LivePortrait", "render", (780, 20), (1220, 740)),
        ],
    )


def _driven() -> Draft:
    nodes = {**find_face(), **driving_video(), **render("34", 800)}
    neural_loaders(nodes, engine=False)
    nodes["11"] = animation(800, 420, motion_mode="relative")
    nodes["9"] = NodeDraft(
        "TalkingPortraitRenderVideo",
        {"portrait": ["11", 0], "face_motion": ["34", 0], "audio": ["31", 1], "crf": 16.0}, (1160, 80), (300, 420),
    )  # fmt: skip
    nodes["10"] = NodeDraft("SaveVideo", nodes["10"].inputs, (1520, 80), (460, 560))
    return Draft(
        nodes,
        [note("Files and modes", DRIVEN, (1160, 790), (820, 400))],
        [
            group("Portrait", "inputs", (20, 20), (340, 440)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Driving video to motion", "motion", (20, 490), (720, 700)),
            group("Motion to video: LivePortrait", "render", (780, 20), (1220, 740)),
        ],
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
            "motion_a": ["6", 0], "motion_b": ["34", 0], "weight": 1.0, "lips": False, "eyes": True, "rest_of_face": False,
            "head": True, "lengths": "fit motion_b",
        },
        (800, 190),
    )  # fmt: skip
    nodes["11"] = animation(1240, 420)
    nodes["9"] = NodeDraft(
        "TalkingPortraitRenderVideo",
        {"portrait": ["11", 0], "face_motion": ["40", 0], "audio": ["4", 0], "crf": 16.0}, (1600, 80), (300, 420),
    )  # fmt: skip
    nodes["10"] = NodeDraft("SaveVideo", nodes["10"].inputs, (1960, 80), (460, 560))
    return Draft(
        nodes,
        [note("Who moves what", MIXED, (1600, 790), (820, 460))],
        [
            group("Picture, voice and video", "inputs", (20, 20), (340, 1080)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Lips: KDTalker", "motion", (400, 490), (340, 620)),
            group("Head and eyes: driving video", "motion", (780, 490), (360, 740)),
            group("Blend", "motion", (780, 130), (360, 320)),
            group("Motion to video: LivePortrait", "render", (1220, 20), (1220, 740)),
        ],
    )


FANTASY_KEYS = ["fantasytalking.audio", "fantasytalking.wav2vec2", "fantasytalking.wan"]
FANTASY = f"""## FantasyTalking on ComfyUI's own Wan2.1

{files_needed(FANTASY_KEYS)}

Also Wan's own umt5 text encoder, VAE and CLIP vision (ComfyUI's Wan2.1 template names them). 23 frames per second; 81 frames
(3.5 s) at once are what the weights know. For longer sound put core's *WAN Context Windows* between *Apply* and *Guidance*.

Published settings: 30 steps, cfg 5, audio_cfg 4.5 to 5."""
NEGATIVE = (
    "人物静止不动，静止，色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，"
    "多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"
)


def _fantasy() -> Draft:
    nodes = {
        "1": NodeDraft("LoadImage", {"image": PORTRAIT_FILE}, (40, 80), (300, 360)),
        "2": NodeDraft("LoadAudio", {"audio": SPEECH_FILE}, (40, 560), (300, 140)),
        "3": NodeDraft("UNETLoader", {"unet_name": "wan2.1_i2v_720p_14B_fp16.safetensors", "weight_dtype": "default"}, (420, 80)),
        "4": NodeDraft("TalkingPortraitLoadFantasyTalking", {"file": "fantasytalking_model.ckpt"}, (420, 220)),
        "5": NodeDraft("TalkingPortraitLoadSpeechEncoder", {"file": "wav2vec2-base-960h.safetensors"}, (420, 330)),
        "6": NodeDraft(
            "CLIPLoader", {"clip_name": "umt5_xxl_fp8_e4m3fn_scaled.safetensors", "type": "wan", "device": "default"}, (420, 440)
        ),
        "7": NodeDraft("VAELoader", {"vae_name": "wan_2.1_vae.safetensors"}, (420, 610)),
        "8": NodeDraft("CLIPVisionLoader", {"clip_name": "clip_vision_h.safetensors"}, (420, 720)),
        "9": NodeDraft("TalkingPortraitFantasyTalkingPicture", {"image": ["1", 0], "longest_edge": 512}, (800, 80)),
        "10": NodeDraft("CLIPVisionEncode", {"clip_vision": ["8", 0], "image": ["9", 0], "crop": "none"}, (800, 240)),
        "11": NodeDraft("CLIPTextEncode", {"clip": ["6", 0], "text": "A woman is talking."}, (800, 370), (340, 120)),
        "12": NodeDraft("CLIPTextEncode", {"clip": ["6", 0], "text": NEGATIVE}, (800, 540), (340, 160)),
        "13": NodeDraft(
            "TalkingPortraitFantasyTalkingAudio",
            {
                "fantasytalking": ["4", 0], "audio_encoder": ["5", 0], "audio": ["2", 0], "positive": ["11", 0], "frames": 81,
                "fps": 23.0, "fit": "pad with silence", "start_frame": 0,
            },
            (800, 760),
        ),
        "14": NodeDraft(
            "WanImageToVideo",
            {
                "positive": ["13", 0], "negative": ["12", 0], "vae": ["7", 0], "width": ["9", 1], "height": ["9", 2],
                "length": ["13", 1], "batch_size": 1, "clip_vision_output": ["10", 0], "start_image": ["9", 0],
            },
            (1200, 80),
        ),
        "15": NodeDraft(
            "TalkingPortraitApplyFantasyTalking",
            {"model": ["3", 0], "fantasytalking": ["4", 0], "audio_scale": 1.0, "masked": True}, (1200, 380),
        ),
        "16": NodeDraft(
            "TalkingPortraitFantasyTalkingGuidance", {"model": ["15", 0], "audio_cfg": 4.5, "audio_cfg_end": 4.5}, (1200, 560)
        ),
        "17": NodeDraft("TalkingPortraitFantasyTalkingSigmas", {"steps": 30, "shift": 5.0}, (1200, 720)),
        "18": NodeDraft("KSamplerSelect", {"sampler_name": "euler"}, (1200, 850)),
        "19": NodeDraft(
            "SamplerCustom",
            {
                "model": ["16", 0], "add_noise": True, "noise_seed": 1111, "cfg": 5.0, "positive": ["14", 0], "negative": ["14", 1],
                "sampler": ["18", 0], "sigmas": ["17", 0], "latent_image": ["14", 2],
            },
            (1580, 80),
        ),
        "20": NodeDraft("VAEDecode", {"samples": ["19", 0], "vae": ["7", 0]}, (1580, 420)),
        "21": NodeDraft("CreateVideo", {"images": ["20", 0], "fps": 23.0, "audio": ["13", 2]}, (1580, 520)),
        "22": NodeDraft(
            "SaveVideo", {"video": ["21", 0], "filename_prefix": "video/fantasytalking", "format": "auto", "codec": "auto"},
            (1940, 80), (460, 500),
        ),
    }  # fmt: skip
    return Draft(
        nodes,
        [note("Files and settings", FANTASY, (1580, 700), (820, 380))],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 720)),
            group("Models", "face", (400, 20), (340, 820)),
            group("What it sees, reads and hears", "motion", (780, 20), (380, 1000)),
            group("Wan2.1 with audio", "render", (1180, 20), (360, 900)),
            group("Sampling and film", "render", (1560, 20), (860, 620)),
        ],
    )


CONTINUED = """## Longer than 81 frames: one part after the other

The second part starts from the last picture of the first and hears the sound from frame 80 on, so lips stay in time at the seam.
The joined film leaves that picture out once. For a third part copy the second group, with start_frame 160.

Core's *WAN Context Windows* on one long latent is the other way."""


def _fantasy_continued() -> Draft:
    first = _fantasy()
    nodes = dict(first.nodes)
    nodes["30"] = NodeDraft("ImageFromBatch", {"image": ["20", 0], "batch_index": 80, "length": 1}, (1940, 700))
    nodes["31"] = NodeDraft("CLIPVisionEncode", {"clip_vision": ["8", 0], "image": ["30", 0], "crop": "none"}, (1940, 830))
    audio = {**nodes["13"].inputs, "start_frame": 80}
    nodes["32"] = NodeDraft("TalkingPortraitFantasyTalkingAudio", audio, (2300, 700))
    image = {**nodes["14"].inputs, "positive": ["32", 0], "length": ["32", 1]}
    image |= {"clip_vision_output": ["31", 0], "start_image": ["30", 0]}
    nodes["33"] = NodeDraft("WanImageToVideo", image, (2300, 1000))
    sample = {**nodes["19"].inputs, "positive": ["33", 0], "negative": ["33", 1], "latent_image": ["33", 2], "noise_seed": 1112}
    nodes["34"] = NodeDraft("SamplerCustom", sample, (2680, 700))
    nodes["35"] = NodeDraft("VAEDecode", {"samples": ["34", 0], "vae": ["7", 0]}, (2680, 1040))
    nodes["36"] = NodeDraft("ImageFromBatch", {"image": ["35", 0], "batch_index": 1, "length": 80}, (2680, 1140))
    nodes["37"] = NodeDraft("ImageBatch", {"image1": ["20", 0], "image2": ["36", 0]}, (2680, 1280))
    sound = {"audio": ["2", 0], "start_index": 0.0, "duration": 7.0}  # 161 frames at 23
    nodes["38"] = NodeDraft("TrimAudioDuration", sound, (3060, 700))
    nodes["21"] = NodeDraft("CreateVideo", {"images": ["37", 0], "fps": 23.0, "audio": ["38", 0]}, (3060, 840))
    nodes["22"] = NodeDraft("SaveVideo", nodes["22"].inputs, (3060, 980), (460, 420))
    return Draft(
        nodes,
        [note("Files and settings", FANTASY, (1940, 80), (700, 380)), note("Two parts", CONTINUED, (1940, 1040), (340, 420))],
        [*first.groups[:-1], group("First part", "render", (1560, 20), (340, 480)),
         group("Second part, from the last picture", "render", (1920, 640), (1080, 840)),
         group("The whole film", "proof", (3040, 640), (500, 760))],
    )  # fmt: skip


def _talking() -> Draft:
    return Draft(
        {**find_face(), **speak(), **render("6", 800)},
        [note("How to use", START, (1160, 700), (460, 300))],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 720)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Speech to motion", "motion", (400, 490), (340, 500)),
            group("Motion to video", "render", (780, 20), (860, 660)),
        ],
    )


def _control() -> Draft:
    nodes = {**find_face(), **speak(), **render("12", 1160)}
    nodes["11"] = NodeDraft(
        "TalkingPortraitFaceMotionIntensity",
        {"face_motion": ["6", 0], "expression": 1.2, "head": 1.0, "blink": 1.0},
        (790, 560),
    )
    nodes["12"] = NodeDraft(
        "TalkingPortraitHeadMotion",
        {"face_motion": ["11", 0], "mode": "scale", "amount": 0.6, "smoothing": 0.15, "pitch": 0.0, "yaw": 0.0, "roll": 0.0},
        (790, 740),
    )
    nodes["13"] = NodeDraft(
        "TalkingPortraitPlotFaceMotion", {"face_motion": ["12", 0], "audio": ["4", 0]}, (790, 80), (330, 380)
    )
    nodes["14"] = NodeDraft(
        "TalkingPortraitLipSyncCheck", {"audio": ["4", 0], "fps": 25.0, "face_motion": ["12", 0]}, (1520, 720), (300, 0)
    )
    nodes["15"] = NodeDraft("PreviewAny", {"source": ["14", 0]}, (1520, 900), (460, 200))
    return Draft(
        nodes,
        [note("How much", CONTROL, (40, 780), (340, 320))],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 720)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Speech to motion", "motion", (400, 490), (340, 500)),
            group("Intensity and head", "motion", (770, 490), (350, 580)),
            group("Motion to video", "render", (1140, 20), (860, 640)),
            group("Does it fit?", "proof", (1500, 670), (500, 460)),
        ],
    )


def _regions() -> Draft:
    nodes = find_face()
    nodes["20"] = NodeDraft(
        "MediaPipeFaceMeshVisualize",
        {"face_landmarks": ["3", 0], "image": ["1", 0], "connections": "all", "color": "#00ff00", "thickness": 1, "point_size": 2},
        (790, 80),
    )
    nodes["21"] = NodeDraft("PreviewImage", {"images": ["20", 0]}, (1140, 80), (340, 380))
    nodes["22"] = NodeDraft(
        "TalkingPortraitFaceRegionMasks",
        {"face_landmarks": ["3", 0], "face_index": 0, "feather": 8.0, "grow": 0.0, "missing_face": "error"},
        (420, 520),
    )
    for number, (output, column) in enumerate(((0, 790), (1, 1140), (2, 1490)), 23):
        nodes[str(number)] = NodeDraft("MaskPreview", {"mask": ["22", output]}, (column, 520), (320, 360))
    return Draft(
        nodes,
        [note("Regions", REGIONS, (40, 520), (340, 340))],
        [
            group("Face", "face", (20, 20), (740, 440)),
            group("Landmarks", "face", (770, 20), (740, 460)),
            group("Masks: face, mouth (speech), expression (motion)", "proof", (400, 480), (1430, 430)),
        ],
    )


DRAFTS: dict[str, Draft] = {
    "talking_portrait": _talking(),
    "talking_portrait_intensity_and_head": _control(),
    "face_landmarks_and_masks": _regions(),
    "kdtalker_portrait": _kdtalker(),
    "liveportrait_driven_by_video": _driven(),
    "kdtalker_lips_and_driven_head": _mixed(),
    "fantasytalking": _fantasy(),
    "fantasytalking_continued": _fantasy_continued(),
}
