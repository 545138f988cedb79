"""JoyVASA's two files with random numbers, in the published form: full size to load and to time, small for tests."""

import argparse
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import HubertConfig

from ..models.joyvasa.audio_encoder import NEW_NAMES
from ..models.joyvasa.config import JoyVASAConfig
from ..models.joyvasa.motion import ORDER
from ..models.joyvasa.network import JoyVASA, sinusoids
from ..models.joyvasa.sampling import alpha_bars, cosine_betas
from ..models.speech.hubert import build_hubert
from .random_state import random_state

PUBLISHED = (JoyVASAConfig(73, 10, 100, 256, 8, 1024, 768, 50), HubertConfig())
SMALL = (
    JoyVASAConfig(73, 10, 100, 32, 2, 48, 64, 6),
    HubertConfig(
        hidden_size=64, num_attention_heads=1, num_hidden_layers=2, intermediate_size=96, conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
    ),
)  # fmt: skip
Sizes = tuple[JoyVASAConfig, HubertConfig]


def model_state(sizes: Sizes) -> dict[str, Tensor]:
    """Weights and tables under the published names."""
    config, hubert = sizes
    state = random_state(JoyVASA(config, build_hubert(hubert, "meta"), "meta"), 30)
    frames, betas = config.context + config.window, cosine_betas(config.steps)
    bars = alpha_bars(betas)
    for name in ("start_motion_feat", "start_audio_feat", "null_audio_feat"):
        state[name] *= state[name][0].numel() ** 0.5
    state["denoising_net.alignment_mask"] = ~torch.eye(frames, dtype=torch.bool)
    state |= {
        f"denoising_net.{key}.pe": sinusoids(torch.arange(n), config.width)[None]
        for key, n in (("TE", 501), ("PE", 600))
    }
    state |= {
        f"diffusion_sched.{key}": value
        for key, value in (("betas", betas), ("alphas", 1 - betas), ("alpha_bars", bars))
    }
    old_names = {new: old for old, new in NEW_NAMES.items()}
    return {old_names.get(key, key): value for key, value in state.items()}


def checkpoint(sizes: Sizes) -> dict[str, Any]:
    """The published file's content: arguments of the training, weights."""
    paths = argparse.Namespace(exp_name="random", data_root=Path("data"), n_motions=sizes[0].window)
    return {"args": paths, "model": model_state(sizes), "iter": 20000}


def template() -> dict[str, np.ndarray]:
    """Statistics in the range of a speaking face."""
    middle = {"scale": 1.4, "exp": 0.0, "t": 0.0, "pitch": 0.0, "yaw": 0.0, "roll": 0.0}
    spread = {"scale": 0.1, "exp": 0.01, "t": 0.03, "pitch": 8.0, "yaw": 10.0, "roll": 6.0}
    values = {}
    for name, size in ORDER:
        whole = np.full(size, middle[name], np.float32), np.full(size, spread[name], np.float32)
        values |= {f"mean_{name}": whole[0], f"std_{name}": whole[1], f"min_{name}": whole[0] - whole[1],
                   f"max_{name}": whole[0] + whole[1]}  # fmt: skip
    return values


def write(models: Path, sizes: Sizes) -> None:
    """Both files, where the loader looks for them."""
    folder = models / "joyvasa"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint(sizes), folder / "motion_generator_hubert_chinese.pt")
    (folder / "motion_template.pkl").write_bytes(pickle.dumps(template()))
