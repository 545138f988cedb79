"""Losses of tiny trainings as a picture."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from .loop import REPORTED

COLOURS = ("#2a6f97", "#c8553d")


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
    pen.text((left, height - 30), f"steps {REPORTED} to {REPORTED * most}", fill="black")
    for number, (name, values) in enumerate(logs.items()):
        pen.line([place(step, value) for step, value in enumerate(values)], fill=COLOURS[number % 2], width=2)
        pen.text((width - 200, 8 + 14 * number), name, fill=COLOURS[number % 2])
    picture.save(path)
