"""JoyVASA's published checkpoint as a state dict."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..weights.safe_files import named_tensors
from .audio_encoder import NEW_NAMES, hubert_config
from .config import JoyVASAConfig
from .network import sinusoids

State = dict[str, Tensor]
PLACES, STEPS, SCHEDULE = "denoising_net.PE.pe", "denoising_net.TE.pe", "diffusion_sched."
SIGNATURE = "denoising_net.motion_dec.0.weight"


def generator_state(content: Mapping[str, Any]) -> State:
    """The motion generator of a checkpoint (under `model`) or of a flat file; constants are checked and left out.

    ValueError if the weights are not in it, or if its tables are not the sinusoids that the network computes itself.
    """
    state = named_tensors(content.get("model", content))
    if SIGNATURE not in state:
        raise ValueError(f"it holds no weights called {SIGNATURE}, so it is not JoyVASA's motion generator")
    for key in (PLACES, STEPS):
        table = state.pop(key, None)
        if table is not None:
            check_table(key, table)
    check_schedule(state.get(f"{SCHEDULE}betas"))
    # The other tables of the schedule follow from its betas.
    state = {
        key: value
        for key, value in state.items()
        if not key.startswith(SCHEDULE) or key == f"{SCHEDULE}betas"
    }
    return {NEW_NAMES.get(key, key): value for key, value in state.items()}


def check_schedule(betas: Tensor | None) -> None:
    """ValueError unless [steps+1] betas, where there are any, are those of a diffusion."""
    if betas is not None and (betas.ndim != 1 or len(betas) < 2 or not ((betas >= 0) & (betas < 1)).all()):
        raise ValueError(f"its {SCHEDULE}betas are no noise schedule")


def joyvasa_state(content: Mapping[str, Any]) -> State:
    """The same with its audio encoder, which is not the HuBERT that others publish; ValueError if part of it
    is missing."""
    state = generator_state(content)
    try:
        JoyVASAConfig.from_state(state)
        hubert_config(state)
    except KeyError as error:
        raise ValueError(f"it is not the whole of JoyVASA's checkpoint: {error} is not in it") from None
    except (ValueError, IndexError, ArithmeticError):
        raise ValueError("its tensors have not the sizes of JoyVASA's") from None
    return state


def check_table(key: str, table: Tensor) -> None:
    """ValueError unless [1,N,C] holds sines and cosines of 0 to N - 1."""
    right = table.ndim == 3 and len(table) == 1 and table.numel() > 0
    if not right or not torch.allclose(
        table[0].float(), sinusoids(torch.arange(table.shape[1]), table.shape[2]), atol=1e-3
    ):
        raise ValueError(f"its {key} is no table of sinusoids, so it is another edition of JoyVASA")
