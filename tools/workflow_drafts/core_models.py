"""Weight files of ComfyUI's own loaders that the drafts name, with where they come from."""

from dataclasses import dataclass

WAN = "https://huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged/resolve/main/split_files/"


@dataclass(frozen=True)
class CoreModel:
    """One file. folder: ComfyUI's model folder. gigabytes: its size."""

    file: str
    folder: str
    url: str
    gigabytes: float


FILM_NET = CoreModel(
    "film_net_fp16.safetensors", "frame_interpolation",
    "https://huggingface.co/Comfy-Org/frame_interpolation/resolve/main/frame_interpolation/film_net_fp16.safetensors", 0.1,
)  # fmt: skip
WAN_MODELS = [
    CoreModel(file, folder, f"{WAN}{folder}/{file}", gigabytes)
    for file, folder, gigabytes in (
        ("wan2.1_i2v_720p_14B_fp16.safetensors", "diffusion_models", 32.8),
        ("umt5_xxl_fp8_e4m3fn_scaled.safetensors", "text_encoders", 6.7),
        ("clip_vision_h.safetensors", "clip_vision", 1.3),
        ("wan_2.1_vae.safetensors", "vae", 0.3),
    )
]
DISTILLED = CoreModel(
    "lightx2v_I2V_14B_480p_cfg_step_distill_rank64_bf16.safetensors", "loras",
    "https://huggingface.co/Kijai/WanVideo_comfy/resolve/main/Lightx2v/lightx2v_I2V_14B_480p_cfg_step_distill_rank64_bf16.safetensors",
    0.7,
)  # fmt: skip
CORE_MODELS = {model.file: model for model in (FILM_NET, *WAN_MODELS, DISTILLED)}


def links(models: list[CoreModel]) -> str:
    """Lines for a note, as files_needed writes them."""
    return "\n".join(
        f"- [{model.file}]({model.url}) into `{model.folder}/` ({model.gigabytes:g} GB)" for model in models
    )
