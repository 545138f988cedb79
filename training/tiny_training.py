"""The training loop of the tiny proofs."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import comfy.model_management
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

SHOWN = 50  # steps from one printed loss to the next
COLOURS = ("#2a6f97", "#c8553d")


def train(
    parameters: Sequence[Tensor], loss_of: Callable[[], Tensor], steps: int, rate: float, name: str
) -> list[float]:
    """Adam with a cosine fall; the mean loss of every 50 steps."""
    comfy.model_management.in_training = True  # core's fused rotations have no gradient
    try:
        return trained(parameters, loss_of, steps, rate, name)
    finally:
        comfy.model_management.in_training = False


def trained(
    parameters: Sequence[Tensor], loss_of: Callable[[], Tensor], steps: int, rate: float, name: str
) -> list[float]:
    """The loop itself."""
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


def draw_curves(curves: dict[str, list[float]], title: str, path: Path) -> None:
    """Losses over steps, on a logarithmic scale, as a small picture."""
    width, height, left, top = 640, 320, 50, 40
    picture = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(picture)
    logs = {name: np.log10(values) for name, values in curves.items()}
    low, high = min(map(min, logs.values())), max(map(max, logs.values()))
    most = max(map(len, logs.values()))

    def place(step: int, value: float) -> tuple[float, float]:
        x = left + (width - left - 20) * step / max(most - 1, 1)
        return x, top + (height - top - 40) * (high - value) / max(high - low, 1e-9)

    pen.text((left, 8), title, fill="black")
    for value in (low, high):
        pen.text((6, place(0, value)[1] - 6), f"{10**value:.2f}", fill="black")
        pen.line([place(0, value), place(most - 1, value)], fill="#dddddd")
    pen.text((left, height - 30), f"steps {SHOWN} to {SHOWN * most}", fill="black")
    for number, (name, values) in enumerate(logs.items()):
        pen.line([place(step, value) for step, value in enumerate(values)], fill=COLOURS[number % 2], width=2)
        pen.text((width - 200, 8 + 14 * number), name, fill=COLOURS[number % 2])
    picture.save(path)
