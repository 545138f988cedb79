"""The training loop of the tiny proofs."""

import time
from collections.abc import Callable

import comfy.model_management
import numpy as np
import torch
from torch import Tensor, nn

SHOWN = 50  # steps from one printed loss to the next


def train(parameters: list[Tensor], loss_of: Callable[[], Tensor], steps: int, rate: float, name: str) -> list[float]:
    """Adam with a cosine fall; the mean loss of every 50 steps."""
    comfy.model_management.in_training = True  # core's fused rotations have no gradient
    optimizer = torch.optim.AdamW(parameters, rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=0.1)
    curve, recent, begun = [], [], time.monotonic()
    for step in range(1, steps + 1):
        loss = loss_of()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        recent.append(loss.item())
        if step % SHOWN == 0:
            curve.append(round(float(np.mean(recent)), 4))
            recent = []
            print(f"{name} {step}/{steps} loss {curve[-1]:.4f}, {time.monotonic() - begun:.0f} s", flush=True)
    return curve
