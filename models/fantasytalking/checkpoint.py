"""The published file in its editions: the original .ckpt, its safetensors form, and kijai's flat safetensors."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

ATTENTION = re.compile(r"blocks\.(\d+)\.cross_attn\.(?:processor\.)?([kv])_proj\.weight$")
PROJECTION = ("proj_model.proj.weight", "proj_model.norm.weight", "proj_model.norm.bias")
PREFIXES = ("audio_processor.", "diffusion_model.", "model.diffusion_model.")


def fantasytalking_state(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Any edition -> the network's keys. ValueError that counts what is missing or left over."""
    flat: dict[str, Tensor] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": tensor for inner, tensor in value.items()}
        else:
            flat[key] = value
    state, left_over = {}, []
    for key, value in flat.items():
        name = key
        for prefix in PREFIXES:
            name = name.removeprefix(prefix)
        found = ATTENTION.match(name)
        own = f"blocks.{found[1]}.{found[2]}_proj.weight" if found else key
        if (found or key in PROJECTION) and own not in state:
            state[own] = value
        else:
            left_over.append(key)
    check_complete(state, left_over)
    return state


def check_complete(state: Mapping[str, Tensor], left_over: list[str]) -> None:
    """ValueError unless all keys and values of all blocks, and the projection, are there, and nothing else."""
    pairs = {
        part: {int(key.split(".")[1]) for key in state if key.endswith(f".{part}_proj.weight")}
        for part in "kv"
    }
    missing = [key for key in PROJECTION if key not in state]
    count = max(len(pairs["k"]), len(pairs["v"]), 1)
    missing += [
        f"blocks.{i}.{part}_proj.weight" for part in "kv" for i in range(count) if i not in pairs[part]
    ]
    if missing or left_over:
        raise ValueError(
            f"it is not FantasyTalking's file: {len(pairs['k']) + len(pairs['v'])} attention tensors were "
            f"found (80 in the published one), missing are {', '.join(missing[:3]) or 'none'}, left over are "
            f"{', '.join(left_over[:3]) or 'none'}"
        )
