"""Workflows of FantasyTalking."""

from ...models.weights.published import WEIGHTS
from .core_models import DISTILLED, WAN_MODELS, links
from .parts import PORTRAIT_FILE, SPEECH_FILE, Draft, NodeDraft, files_needed, find_faces, group, note

FANTASY_KEYS = ("fantasytalking.audio", "fantasytalking.wav2vec2")
NEEDS = (*FANTASY_KEYS, "fantasytalking.wan")
OWN = "your_own.safetensors"  # nobody published a file for these nodes
SIZE = f"{sum(WEIGHTS[key].megabytes for key in FANTASY_KEYS) / 1000 + sum(model.gigabytes for model in WAN_MODELS):.0f} GB"
FANTASY = f"""## FantasyTalking on ComfyUI's own Wan2.1

{files_needed(FANTASY_KEYS)}
{links(WAN_MODELS)}

Any form of Wan2.1-I2V-14B that core loads will do. 23 frames per second; 81 frames
(3.5 s) at once are what the weights know. For longer sound put core's *WAN Context Windows* between *Apply* and *Guidance*.

Published settings: 30 steps, cfg 5, audio_cfg 4.5 to 5."""
NEGATIVE = "人物静止不动，静止，色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"


def _fantasy() -> Draft:
    nodes = {
        "1": NodeDraft("LoadImage", {"image": PORTRAIT_FILE}, (40, 80), (300, 360)),
        "2": NodeDraft("LoadAudio", {"audio": SPEECH_FILE}, (40, 560), (300, 140)),
        "3": NodeDraft("UNETLoader", {"unet_name": "wan2.1_i2v_720p_14B_fp16.safetensors",
        "weight_dtype": "default"}, (420, 80)),
        "4": NodeDraft("TalkingPortraitLoadFantasyTalking", {"file": "fantasytalking_model.ckpt"},
        (420, 220)),
        "5": NodeDraft(
            "TalkingPortraitSpeechEncoder",
            {"speech_encoder": "wav2vec2-base-960h", "speech_encoder.file": "wav2vec2-base-960h.safetensors"}, (420, 840),
        ),
        "6": NodeDraft(
            "CLIPLoader", {"clip_name": "umt5_xxl_fp8_e4m3fn_scaled.safetensors", "type": "wan",
            "device": "default"}, (420, 440)
        ),
        "7": NodeDraft("VAELoader", {"vae_name": "wan_2.1_vae.safetensors"}, (420, 610)),
        "8": NodeDraft("CLIPVisionLoader", {"clip_name": "clip_vision_h.safetensors"}, (420, 720)),
        "9": NodeDraft("TalkingPortraitFantasyTalkingPicture", {"image": ["1", 0], "longest_edge": 512},
        (800, 80)),
        "10": NodeDraft("CLIPVisionEncode", {"clip_vision": ["8", 0], "image": ["9", 0], "crop": "none"},
        (800, 240)),
        "11": NodeDraft("CLIPTextEncode", {"clip": ["6", 0], "text": "A woman is talking."}, (800, 370),
        (340, 120)),
        "12": NodeDraft("CLIPTextEncode", {"clip": ["6", 0], "text": NEGATIVE}, (800, 540), (340, 160)),
        "13": NodeDraft(
            "TalkingPortraitFantasyTalkingAudio",
            {
                "fantasytalking": ["4", 0], "audio_encoder": ["5", 0], "audio": ["2", 0],
                "positive": ["11", 0], "frames": 81,
                "fps": 23.0, "fit": "pad with silence", "start_frame": 0,
            },
            (800, 760),
        ),
        "14": NodeDraft(
            "WanImageToVideo",
            {
                "positive": ["13", 0], "negative": ["12", 0], "vae": ["7", 0], "width": ["9", 1],
                "height": ["9", 2],
                "length": ["13", 1], "batch_size": 1, "clip_vision_output": ["10", 0],
                "start_image": ["9", 0],
            },
            (1200, 80),
        ),
        "15": NodeDraft(
            "TalkingPortraitApplyFantasyTalking",
            {"model": ["3", 0], "fantasytalking": ["4", 0], "audio_scale": 1.0, "masked": True}, (1200, 380),
        ),
        "16": NodeDraft(
            "TalkingPortraitFantasyTalkingGuidance",
            {"model": ["15", 0], "audio_cfg": 4.5, "audio_cfg_end": 4.5}, (1200, 560)
        ),
        "17": NodeDraft("TalkingPortraitFantasyTalkingSigmas", {"steps": 30, "shift": 5.0}, (1200, 720)),
        "18": NodeDraft("KSamplerSelect", {"sampler_name": "euler"}, (1200, 850)),
        "19": NodeDraft(
            "SamplerCustom",
            {
                "model": ["16", 0], "add_noise": True, "noise_seed": 1111, "cfg": 5.0, "positive": ["14", 0],
                "negative": ["14", 1],
                "sampler": ["18", 0], "sigmas": ["17", 0], "latent_image": ["14", 2],
            },
            (1580, 80),
        ),
        "20": NodeDraft("VAEDecode", {"samples": ["19", 0], "vae": ["7", 0]}, (1580, 420)),
        "21": NodeDraft("CreateVideo", {"images": ["20", 0], "fps": 23.0, "audio": ["13", 2]}, (1580, 520)),
        "22": NodeDraft(
            "SaveVideo", {"video": ["21", 0], "filename_prefix": "video/fantasytalking", "format": "auto",
            "codec": "auto"},
            (1940, 80), (340, 0),
        ),
    }  # fmt: skip
    return Draft(
        nodes,
        [note("Files and settings", FANTASY)],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 720)),
            group("Models", "face", (400, 20), (340, 820)),
            group("What it sees, reads and hears", "motion", (780, 20), (380, 1000)),
            group("Wan2.1 with audio", "render", (1180, 20), (360, 900)),
            group("Sampling and film", "render", (1560, 20), (860, 620)),
        ],
        f"31 FantasyTalking ({SIZE})",
        "FantasyTalking",
        needs=NEEDS,
    )


CONTINUED = """## Longer than 81 frames: one part after the other

The second part starts from the last picture of the first and hears the sound from frame 80 on, so lips stay in time at the seam.
The joined film leaves that picture out once. For a third part copy the second group, with start_frame 160.

Core's *WAN Context Windows* on one long latent is the other way."""


def _fantasy_continued() -> Draft:
    first = _fantasy()
    nodes = dict(first.nodes)
    nodes["30"] = NodeDraft(
        "ImageFromBatch", {"image": ["20", 0], "batch_index": 80, "length": 1}, (1940, 700)
    )
    nodes["31"] = NodeDraft(
        "CLIPVisionEncode", {"clip_vision": ["8", 0], "image": ["30", 0], "crop": "none"}, (1940, 830)
    )
    audio = {**nodes["13"].inputs, "start_frame": 80}
    nodes["32"] = NodeDraft("TalkingPortraitFantasyTalkingAudio", audio, (2300, 700))
    image = {**nodes["14"].inputs, "positive": ["32", 0], "length": ["32", 1]}
    image |= {"clip_vision_output": ["31", 0], "start_image": ["30", 0]}
    nodes["33"] = NodeDraft("WanImageToVideo", image, (2300, 1000))
    sample = {
        **nodes["19"].inputs,
        "positive": ["33", 0],
        "negative": ["33", 1],
        "latent_image": ["33", 2],
        "noise_seed": 1112,
    }
    nodes["34"] = NodeDraft("SamplerCustom", sample, (2680, 700))
    nodes["35"] = NodeDraft("VAEDecode", {"samples": ["34", 0], "vae": ["7", 0]}, (2680, 1040))
    nodes["36"] = NodeDraft(
        "ImageFromBatch", {"image": ["35", 0], "batch_index": 1, "length": 80}, (2680, 1140)
    )
    nodes["37"] = NodeDraft("ImageBatch", {"image1": ["20", 0], "image2": ["36", 0]}, (2680, 1280))
    sound = {"audio": ["2", 0], "start_index": 0.0, "duration": 7.0}  # 161 frames at 23
    nodes["38"] = NodeDraft("TrimAudioDuration", sound, (3060, 700))
    nodes["21"] = NodeDraft(
        "CreateVideo", {"images": ["37", 0], "fps": 23.0, "audio": ["38", 0]}, (3060, 840)
    )
    nodes["22"] = NodeDraft("SaveVideo", nodes["22"].inputs, (3060, 980), (340, 0))
    return Draft(
        nodes,
        [note("Files and settings", FANTASY),
            note("Two parts", CONTINUED)],
        [*first.groups[:-1], group("First part", "render", (1560, 20), (340, 480)),
         group("Second part, from the last picture", "render", (1920, 640), (1080, 840)),
         group("The whole film", "proof", (3040, 640), (500, 760))],
        f"32 FantasyTalking, longer films ({SIZE})",
        "FantasyTalking\nlonger films",
        needs=NEEDS,
    )  # fmt: skip


LORA = f"""## LoRA and GGUF

**LoRA**: any Wan2.1 LoRA that core loads stands before *Apply FantasyTalking*. A step-distilled one (lightx2v and others) wants few
steps and cfg 1; then *FantasyTalking Guidance* makes two passes instead of three. Lower `audio_cfg` until the face keeps still.

{links([DISTILLED])}

**GGUF**: take *Unet Loader (GGUF)* of the pack ComfyUI-GGUF in place of *Load Diffusion Model*, with a Wan2.1-I2V-14B file. Its
weights stay quantised; FantasyTalking's own are kept in their own type beside them. Tried on a tiny model with Q8_0, Q5_1, Q4_0.

**fp8**: choose `fp8_e4m3fn` in *Load Diffusion Model*."""


def _fantasy_lora() -> Draft:
    first = _fantasy()
    nodes = dict(first.nodes)
    lora = {"model": ["3", 0], "lora_name": DISTILLED.file, "strength_model": 1.0}
    nodes["30"] = NodeDraft("LoraLoaderModelOnly", lora, (420, 860))
    nodes["15"] = NodeDraft(
        nodes["15"].class_type, {**nodes["15"].inputs, "model": ["30", 0]}, nodes["15"].pos
    )
    models = group("Models", "face", (400, 20), (340, 1000))
    groups = [models if item["title"] == "Models" else item for item in first.groups]
    return Draft(
        nodes,
        [*first.notes, note("LoRA, GGUF, fp8", LORA)],
        groups,
        f"33 FantasyTalking, LoRA and GGUF ({SIZE})",
        "FantasyTalking\nLoRA, GGUF",
        needs=NEEDS,
    )


ONE_SPEAKS = """## Several people, one speaks

The audio acts only inside *region*: here the face that *face_index* chooses, grown by some pixels. The others hear nothing, so
their lips rest. Draw the mask yourself where the detector finds no face. This is no part of the paper; heads that touch may share a
little of the motion, since Wan's own attention sees the whole picture."""


def _fantasy_one_speaks() -> Draft:
    first = _fantasy()
    nodes = dict(first.nodes)
    nodes["30"] = NodeDraft("TalkingPortraitLoadFaceDetector", {}, (40, 900))
    nodes["31"] = find_faces("30", ["9", 0], (40, 1010))
    nodes["32"] = NodeDraft(
        "TalkingPortraitFaceRegionMasks",
        {"face_landmarks": ["31", 0], "face_index": 0, "feather": 16.0, "grow": 24.0,
        "missing_face": "error"}, (420, 900),
    )  # fmt: skip
    nodes["15"] = NodeDraft(
        nodes["15"].class_type, {**nodes["15"].inputs, "region": ["32", 0]}, nodes["15"].pos
    )
    groups = [*first.groups, group("Who speaks", "proof", (20, 850), (740, 430))]
    groups[0] = group("Picture and voice", "inputs", (20, 20), (340, 720))
    return Draft(
        nodes,
        [*first.notes, note("One speaks", ONE_SPEAKS)],
        groups,
        f"34 FantasyTalking, one of several speaks ({SIZE})",
        "FantasyTalking\none speaks",
        needs=NEEDS,
    )


PERSON = """## The same person, livelier or calmer

**Needs no further file:** *FantasyTalking Face Focus* shows Wan a crop of the face besides the whole picture. It is an experiment of ours
and was not tried with the published weights; strength 0 leaves it out.

**Needs weights that nobody published:** *FantasyTalking Identity* and *FantasyTalking Intensity* are the paper's sections 3.3 and 3.4.
They stand bypassed (purple) and let everything pass. Who trains them (docs/TRAINING.md) selects them and presses Ctrl+B.

*Measure Motion Intensity* says how strongly the face moves in the finished film."""


def _fantasy_person() -> Draft:
    first = _fantasy()
    nodes = dict(first.nodes)
    nodes["30"] = NodeDraft("TalkingPortraitLoadFaceDetector", {}, (40, 900))
    nodes["31"] = find_faces("30", ["9", 0], (40, 1010))
    nodes["32"] = NodeDraft(
        "ImageCrop", {"image": ["9", 0], "width": 256, "height": 256, "x": 128, "y": 64}, (420, 900)
    )
    nodes["33"] = NodeDraft(
        "CLIPVisionEncode", {"clip_vision": ["8", 0], "image": ["32", 0], "crop": "none"}, (420, 1100)
    )
    for number, conditioning, row in ((34, ["13", 0], 1200), (35, ["12", 0], 1340)):
        focus = {"conditioning": conditioning, "face": ["33", 0], "strength": 0.5}
        nodes[str(number)] = NodeDraft("TalkingPortraitFantasyTalkingFaceFocus", focus, (800, row))
    image = {**nodes["14"].inputs, "positive": ["34", 0], "negative": ["35", 0]}
    nodes["14"] = NodeDraft("WanImageToVideo", image, nodes["14"].pos)
    identity = {
        "model": ["15", 0],
        "image": ["9", 0],
        "face_landmarks": ["31", 0],
        "face_index": 0,
        "strength": 0.5,
        "file": OWN,
    }
    nodes["36"] = NodeDraft("TalkingPortraitFantasyTalkingIdentity", identity, (1200, 1000), bypassed=True)
    intensity = {"model": ["36", 0], "file": OWN, "expression": 0.5, "body": 0.5}
    nodes["37"] = NodeDraft("TalkingPortraitFantasyTalkingIntensity", intensity, (1200, 1260), bypassed=True)
    nodes["16"] = NodeDraft(
        nodes["16"].class_type, {**nodes["16"].inputs, "model": ["37", 0]}, nodes["16"].pos
    )
    nodes["38"] = find_faces("30", ["20", 0], (1580, 720))
    nodes["39"] = NodeDraft(
        "TalkingPortraitMeasureMotionIntensity", {"face_landmarks": ["38", 0], "face_index": 0}, (1580, 960)
    )
    nodes["40"] = NodeDraft("PreviewAny", {"source": ["39", 2]}, (1580, 1100), (300, 160))
    groups = [
        *first.groups,
        group("The face alone", "face", (20, 850), (740, 430)),
        group("Face focus", "motion", (780, 1150), (380, 400)),
        group("Identity and intensity (bypassed)", "proof", (1180, 950), (360, 560)),
        group("How much it moves", "proof", (1560, 660), (360, 640)),
    ]
    return Draft(
        nodes,
        [*first.notes, note("The same person", PERSON)],
        groups,
        f"35 FantasyTalking, the same person ({SIZE})",
        "FantasyTalking\nsame person",
        needs=NEEDS,
    )


DRAFTS = {
    "fantasytalking": _fantasy(),
    "fantasytalking_lora": _fantasy_lora(),
    "fantasytalking_one_speaks": _fantasy_one_speaks(),
    "fantasytalking_continued": _fantasy_continued(),
    "fantasytalking_person": _fantasy_person(),
}
