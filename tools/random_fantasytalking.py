"""Write a tiny Wan2.1, its VAE, and FantasyTalking's files for it, with random numbers, as
tools/random_actalker.py does.

    python3 run.py python -m talking_portrait.tools.random_fantasytalking COMFYUI_MODELS_FOLDER

The speech encoder has its full size, since core tells encoders by their sizes.
"""

import argparse
import json
from pathlib import Path

import comfy.cli_args
import torch
from safetensors.torch import save_file

comfy.cli_args.args.cpu = not torch.cuda.is_available()

import comfy.ops
from comfy.ldm.wan.model import WanModel
from comfy.ldm.wan.vae import WanVAE

from ..models.face.arcface import ArcFace
from ..models.fantasytalking.identity import IdentityBranch, published_names
from ..models.fantasytalking.intensity import PREFIX, MotionIntensity
from ..models.fantasytalking.network import FantasyTalking
from .goldens import COPIES
from .random_state import random_state, random_tensor

LORA = {"up": (128, 4), "down": (4, 128)}


def write(models: Path) -> None:
    """All files, where core's and the pack's loaders look for them."""
    for folder in ("diffusion_models", "model_patches", "audio_encoders", "vae", "loras", "actalker"):
        (models / folder).mkdir(parents=True, exist_ok=True)
    with torch.device("meta"):
        wan = WanModel(
            "i2v",
            in_dim=36,
            dim=128,
            ffn_dim=256,
            num_heads=1,
            num_layers=2,
            operations=comfy.ops.disable_weight_init,
        )
        vae = WanVAE(dim=16, z_dim=16, temperal_downsample=[False, True, True])
        arcface = ArcFace()
    save_file(random_state(wan, 1), models / "diffusion_models" / "tiny_wan.safetensors")
    lora = {
        f"diffusion_model.blocks.0.cross_attn.q.lora_{way}.weight": torch.ones(size)
        for way, size in LORA.items()
    }
    save_file(lora, models / "loras" / "tiny_wan_lora.safetensors")
    save_file(random_state(vae, 4), models / "vae" / "tiny_wan_vae.safetensors")
    torch.save(random_state(arcface, 8), models / "actalker" / "backbone.pth")
    write_adapter(models / "model_patches" / "fantasytalking_model.ckpt")
    write_extras(models / "model_patches" / "extras.safetensors")
    write_encoders(models / "audio_encoders")


def write_adapter(path: Path) -> None:
    """The audio weights under the names of the published file."""
    with torch.device("meta"):
        adapter = FantasyTalking(768, 2048, 128, 2)
    nested: dict[str, dict] = {"proj_model": {}, "audio_processor": {}}
    for key, value in random_state(adapter, 2).items():
        parts = key.split(".")
        if parts[0] == "proj_model":
            nested["proj_model"][".".join(parts[1:])] = value
        else:
            nested["audio_processor"][f"blocks.{parts[1]}.cross_attn.processor.{parts[2]}.{parts[3]}"] = value
    torch.save(nested, path)


def write_extras(path: Path) -> None:
    """Identity branch and motion intensity in one file."""
    with torch.device("meta"):
        identity, intensity = IdentityBranch(2, 128, 64, queries=4, layers=1), MotionIntensity(128, 32)
    identity.load_state_dict(random_state(identity, 5), assign=True)
    extras = {f"{PREFIX}{key}": value for key, value in random_state(intensity, 6).items()}
    save_file({**published_names(identity), **extras}, path)


def write_encoders(folder: Path) -> None:
    """wav2vec2-base-960h, and another encoder of its sizes, which must be refused."""
    random = torch.Generator().manual_seed(3)
    shapes = json.loads((COPIES / "fantasytalking" / "wav2vec2_base_960h.manifest.json").read_text())["keys"]
    encoder = {key: random_tensor(key, torch.empty(shape), random) for key, shape in shapes.items()}
    encoder["lm_head.weight"], encoder["lm_head.bias"] = torch.zeros(32, 768), torch.zeros(32)
    save_file(encoder, folder / "wav2vec2-base-960h.safetensors")
    del encoder["lm_head.weight"]
    save_file(
        {**encoder, "quantizer.codevectors": torch.zeros(1)}, folder / "chinese-wav2vec2-base.safetensors"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Write a tiny Wan and FantasyTalking's files with random numbers."
    )
    parser.add_argument("models", type=Path, help="ComfyUI's models folder, or any other")
    write(parser.parse_args().models)
