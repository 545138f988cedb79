"""Write ACTalker's weight files, and a VAE of SVD's kind, with random numbers, as tools/random_weights.py
does for other stages.

    python3 run.py python -m talking_portrait.tools.random_actalker COMFYUI_MODELS_FOLDER \\
        [--channels 320] [--context 1024]

`--channels 64 --context 64` makes a denoiser that a CPU runs in seconds; the smaller networks then fit its tokens.
"""

import argparse
from pathlib import Path

import comfy.cli_args
import torch
from safetensors.torch import save_file

comfy.cli_args.args.cpu = not torch.cuda.is_available()

from comfy.ldm.models.autoencoder import AutoencodingEngine

from ..models.actalker.face_encoders import HeadExpression, HeadPose
from ..models.actalker.projectors import AudioProjector, ExpressionProjector, IdentityProjector, PoseGuider
from ..models.actalker.unet import ACTalkerUNet, unet_config
from ..models.face.arcface import ArcFace
from ..models.speech.whisper import WhisperTiny
from .random_state import random_state

VAE_SIZES = {
    "double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 128,
    "ch_mult": [1, 2, 4, 4],
    "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0,
}  # fmt: skip


def svd_vae() -> torch.nn.Module:
    """The VAE of Stable Video Diffusion, as core builds it."""
    core = "comfy.ldm.models.autoencoder.DiagonalGaussianRegularizer"
    return AutoencodingEngine(
        regularizer_config={"target": core},
        encoder_config={"target": "comfy.ldm.modules.diffusionmodules.model.Encoder", "params": VAE_SIZES},
        decoder_config={
            "target": "comfy.ldm.modules.temporal_ae.VideoDecoder",
            "params": {**VAE_SIZES, "video_kernel_size": [3, 1, 1], "alpha": 0.0},
        },
    )


def write(models: Path, channels: int = 320, context: int = 1024) -> None:
    """All files, where core's and the pack's loaders look for them."""
    for folder in ("actalker", "audio_encoders", "diffusion_models", "vae"):
        (models / folder).mkdir(parents=True, exist_ok=True)
    with torch.device("meta"):
        vae = svd_vae()
        small = {
            "audio_linear-136000.pth": AudioProjector(hidden=context, outputs=context),
            "id_proj_model-136000.pth": IdentityProjector(hidden=context, outputs=context),
            "vasa_linear-136000.pth": ExpressionProjector(outputs=context - 6),
            "pose_guider-136000.pth": PoseGuider(channels),
            "backbone.pth": ArcFace(),
        }
        drivers = HeadExpression(), HeadPose()
        whisper = WhisperTiny()
    unet = ACTalkerUNet(**unet_config(channels, context), device="meta")
    for seed, (name, network) in enumerate(small.items()):
        torch.save(random_state(network, seed), models / "actalker" / name)
    expression, pose = (random_state(network, 10 + seed) for seed, network in enumerate(drivers))
    generator = {f"expression_model.{key}": value for key, value in expression.items()}
    torch.save({"generator": generator, "pose_model": pose}, models / "actalker" / "MX31c_32k.ckpt")
    state = {f"model.{key}": value for key, value in random_state(whisper, 12).items()}
    save_file(state, models / "audio_encoders" / "whisper-tiny.safetensors")
    halved = {key: value.half() for key, value in random_state(vae, 13).items()}
    save_file(halved, models / "vae" / "svd_vae.safetensors")
    state = {f"model.diffusion_model.{key}": value.half() for key, value in random_state(unet, 14).items()}
    save_file(state, models / "diffusion_models" / "actalker.safetensors")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write ACTalker's files with random numbers.")
    parser.add_argument("models", type=Path, help="ComfyUI's models folder, or any other")
    parser.add_argument("--channels", type=int, default=320)
    parser.add_argument("--context", type=int, default=1024)
    arguments = parser.parse_args()
    write(arguments.models, arguments.channels, arguments.context)
