"""A motion as a picture: curves over seconds, drawn with Pillow alone."""

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .container import FaceMotion
from .rig import CONTROLS

SIZE = (1280, 720)
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, GAP, MARGIN_BOTTOM = 70, 150, 34, 22, 46
PAPER, INK, GRID = (250, 250, 248), (40, 40, 44), (222, 222, 220)
PALETTE = ((196, 62, 54), (44, 104, 178), (58, 140, 72), (214, 140, 30), (124, 78, 164), (80, 150, 160))
PANELS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("mouth", "0..1", ("jawOpen", "mouthClose", "mouthPucker", "mouthStretch", "mouthRollLower")),
    ("eyes and brows", "-1..1", ("eyeBlinkLeft", "eyeBlinkRight", "browInnerUp", "gazeX", "mouthSmile")),
    ("head", "degrees", ("pitch", "yaw", "roll")),
)


def of_length(waveform: Tensor, samples: int) -> Tensor:
    """[C,T] cut, or filled with silence, to `samples`."""
    return torch.nn.functional.pad(waveform, (0, max(0, samples - waveform.shape[-1])))[:, : max(samples, 1)]


def envelope(waveform: Tensor, columns: int) -> np.ndarray:
    """[columns] largest absolute sample of a [C,T] waveform in each column, 0..1 of the whole."""
    mono = waveform.abs().amax(0)
    edges = np.linspace(0, len(mono), columns + 1).astype(int)
    spans = zip(edges[:-1], edges[1:], strict=True)
    peaks = np.array([float(mono[a : max(b, a + 1)].max()) if a < len(mono) else 0.0 for a, b in spans])
    return peaks / max(peaks.max(), 1e-6)


def plot_motion(motion: FaceMotion, waveform: Tensor | None = None, sample_rate: int = 0) -> Tensor:
    """[720,1280,3] picture of a motion's curves; with a waveform [C,T] its outline lies behind the mouth at
    its own times.

    Raises ValueError if the motion has no frames.
    """
    if len(motion) == 0:
        raise ValueError("face_motion has 0 frames, so there is nothing to draw.")
    if waveform is not None and sample_rate:
        waveform = of_length(waveform, round(motion.seconds * sample_rate))
    picture = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(picture)
    font, small = ImageFont.load_default(15), ImageFont.load_default(13)
    title = f"{motion.source.get('producer', 'face motion')}: {len(motion)} frames, {motion.seconds:.2f} s"
    title += f" at {float(motion.fps):g} fps"
    draw.text((MARGIN_LEFT, 8), title, INK, font)
    height = (SIZE[1] - MARGIN_TOP - MARGIN_BOTTOM - GAP * (len(PANELS) - 1)) // len(PANELS)
    for index, (name, unit, tracks) in enumerate(PANELS):
        top = MARGIN_TOP + index * (height + GAP)
        box = (MARGIN_LEFT, top, SIZE[0] - MARGIN_RIGHT, top + height)
        values = {track: values_of(motion, track) for track in tracks}
        draw_panel(
            draw, box, f"{name} ({unit})", values, motion.seconds, small, waveform if index == 0 else None
        )
    draw.text(((MARGIN_LEFT + SIZE[0] - MARGIN_RIGHT) // 2 - 30, SIZE[1] - 20), "seconds", INK, small)
    return torch.from_numpy(np.asarray(picture, np.float32) / 255)


def values_of(motion: FaceMotion, track: str) -> np.ndarray:
    """One curve [N]."""
    if track in CONTROLS:
        return motion.controls[:, CONTROLS.index(track)].numpy()
    return motion.pose[:, ("pitch", "yaw", "roll").index(track)].numpy()


def draw_panel(
    draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], title: str, values: dict[str, np.ndarray],
    seconds: float,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont, waveform: Tensor | None,
) -> None:  # fmt: skip
    """One set of axes with its curves and legend."""
    x0, y0, x1, y1 = box
    everything = np.concatenate([*values.values(), [0.0]])
    low, high = float(np.floor(everything.min() * 10) / 10), float(np.ceil(everything.max() * 10) / 10)
    high = max(high, low + (1.0 if "degrees" not in title else 2.0))
    draw.rectangle(box, outline=GRID)
    if waveform is not None:
        middle, half = (y0 + y1) / 2, (y1 - y0) / 2
        for column, peak in enumerate(envelope(waveform, x1 - x0)):
            draw.line((x0 + column, middle - half * peak, x0 + column, middle + half * peak), (233, 229, 216))
    for level in np.linspace(low, high, 3):
        y = y1 - (level - low) / (high - low) * (y1 - y0)
        draw.line((x0, y, x1, y), GRID)
        draw.text((x0 - 48, y - 8), f"{level:.1f}", INK, font)
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 1800, seconds) if seconds / s <= 12)
    for tick in np.arange(0, seconds + 1e-6, step):
        x = x0 + tick / seconds * (x1 - x0)
        draw.line((x, y0, x, y1), GRID)
        draw.text((x - 8, y1 + 3), f"{tick:g}", INK, font)
    draw.text((x0 + 4, y0 + 2), title, INK, font)
    for index, (name, track) in enumerate(values.items()):
        colour = PALETTE[index % len(PALETTE)]
        chosen = np.unique(np.linspace(0, len(track) - 1, min(len(track), 4 * (x1 - x0))).astype(int))
        x = x0 + (chosen + 0.5) / len(track) * (x1 - x0)
        y = y1 - (track[chosen] - low) / (high - low) * (y1 - y0)
        draw.line(list(zip(x.tolist(), y.tolist(), strict=True)), colour, 2)
        draw.line((x1 + 8, y0 + 12 + 20 * index, x1 + 26, y0 + 12 + 20 * index), colour, 3)
        draw.text((x1 + 32, y0 + 4 + 20 * index), name, INK, font)
