"""A cartoon face drawn from shapes: a second portrait for tests and demos that needs no photographer's licence."""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SKIN, SHADE, LIGHT = (226, 178, 148), (196, 142, 114), (240, 200, 174)
HAIR, BROW, LASH = (62, 42, 34), (72, 48, 38), (40, 28, 26)
LIP_UPPER, LIP_LOWER, LIP_LINE = (168, 86, 84), (188, 102, 98), (96, 44, 46)
SHIRT, WALL = (70, 104, 138), (206, 214, 210)
OVERSAMPLING = 3


def cartoon_face(size: int = 512, lips_apart: float = 0.0) -> Image.Image:
    """A front view of a person with closed lips, RGB, size x size pixels; lips_apart 0..1 parts them over dark."""
    canvas = Canvas(size * OVERSAMPLING)
    canvas.picture.paste(WALL, (0, 0, canvas.side, canvas.side))
    draw_body(canvas)
    draw_head(canvas)
    for side in (-1, 1):
        draw_eye(canvas, side)
    draw_nose(canvas)
    draw_mouth(canvas, lips_apart)
    grain = np.random.default_rng(0).normal(0, 2.0, (size, size, 1))
    small = np.asarray(canvas.picture.resize((size, size), Image.Resampling.LANCZOS), np.float32)
    return Image.fromarray((small + grain).clip(0, 255).astype(np.uint8))


class Canvas:
    """Shapes in a unit square, antialiased and softened by `soft` of its side."""

    def __init__(self, side: int):
        self.side = side
        self.picture = Image.new("RGB", (side, side))

    def shape(
        self,
        points: list[tuple[float, float]],
        colour: tuple[int, int, int],
        soft: float = 0.0,
        part: float = 1.0,
    ):
        """Fill a polygon; part below 1 lets what is under it shine through."""
        mask = Image.new("L", (self.side, self.side))
        ImageDraw.Draw(mask).polygon(
            [(x * self.side, y * self.side) for x, y in points], fill=int(255 * part)
        )
        if soft:
            mask = mask.filter(ImageFilter.GaussianBlur(soft * self.side))
        self.picture.paste(colour, (0, 0), mask)

    def oval(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        colour: tuple[int, int, int],
        soft: float = 0.0,
        part: float = 1.0,
    ):
        """Fill an ellipse."""
        turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
        self.shape([(x + rx * float(np.cos(t)), y + ry * float(np.sin(t))) for t in turn], colour, soft, part)


def lens(x: float, y: float, half: float, up: float, down: float) -> list[tuple[float, float]]:
    """Outline between two corners (x +- half, y): bulging up and down by the given heights."""
    t = np.linspace(-1, 1, 33)
    bow = (1 - t**2) ** 0.8
    top = [(x + half * float(a), y - up * float(b)) for a, b in zip(t, bow, strict=True)]
    bottom = [(x + half * float(a), y + down * float(b)) for a, b in zip(t[::-1], bow[::-1], strict=True)]
    return top + bottom


def draw_body(canvas: Canvas) -> None:
    """Hair behind the head, neck, shoulders."""
    canvas.oval(0.5, 0.43, 0.30, 0.36, HAIR, 0.004)
    canvas.shape(
        [(0.02, 1.0), (0.10, 0.90), (0.36, 0.82), (0.64, 0.82), (0.90, 0.90), (0.98, 1.0)], SHIRT, 0.004
    )
    canvas.shape([(0.40, 0.66), (0.60, 0.66), (0.63, 0.86), (0.5, 0.92), (0.37, 0.86)], SHADE, 0.006)


def draw_head(canvas: Canvas) -> None:
    """Ears, the face with soft shading, hair over the forehead."""
    for side in (-1, 1):
        canvas.oval(0.5 + side * 0.245, 0.50, 0.030, 0.055, SHADE, 0.003)
    t = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    width = np.where(np.sin(t) > 0, 0.238 - 0.055 * np.sin(t) ** 3, 0.238)
    outline = [
        (0.5 + float(w * np.cos(a)), 0.46 + 0.32 * float(np.sin(a))) for a, w in zip(t, width, strict=True)
    ]
    canvas.shape(outline, SKIN, 0.003)
    canvas.oval(0.5, 0.30, 0.13, 0.07, LIGHT, 0.03, 0.7)
    for side in (-1, 1):
        canvas.oval(0.5 + side * 0.125, 0.57, 0.05, 0.04, (228, 150, 128), 0.025, 0.55)
        canvas.oval(0.5 + side * 0.21, 0.56, 0.03, 0.15, SHADE, 0.025, 0.6)
    canvas.oval(0.5, 0.765, 0.10, 0.018, SHADE, 0.012, 0.6)
    fringe = [
        (0.245, 0.46),
        (0.25, 0.24),
        (0.38, 0.11),
        (0.5, 0.09),
        (0.64, 0.11),
        (0.755, 0.26),
        (0.755, 0.46),
    ]
    canvas.shape(
        fringe + [(0.73, 0.35), (0.66, 0.25), (0.54, 0.215), (0.40, 0.245), (0.29, 0.33)], HAIR, 0.004
    )


def draw_eye(canvas: Canvas, side: int) -> None:
    """One eye with its socket, lid crease, lashes and brow; side -1 is at the picture's left."""
    x, y = 0.5 + side * 0.098, 0.445
    canvas.oval(x, y - 0.008, 0.062, 0.036, SHADE, 0.014, 0.55)
    canvas.shape(lens(x, y, 0.049, 0.023, 0.018), (236, 233, 228), 0.001)
    canvas.oval(x, y - 0.003, 0.0205, 0.0205, (92, 112, 84), 0.001)
    canvas.oval(x, y - 0.003, 0.009, 0.009, (22, 18, 18), 0.0008)
    canvas.oval(x - 0.006, y - 0.010, 0.004, 0.004, (250, 250, 250), 0.0008)
    skin_above = lens(x, y - 0.0005, 0.053, 0.040, 0.0)[:33] + lens(x, y, 0.050, 0.023, 0.0)[:33][::-1]
    canvas.shape(skin_above, (214, 164, 136), 0.001)
    canvas.shape(lens(x, y, 0.052, 0.026, 0.0)[:33] + lens(x, y, 0.050, 0.0205, 0.0)[:33][::-1], LASH, 0.0008)
    canvas.shape(lens(x, y, 0.050, 0.0, 0.020)[33:] + lens(x, y, 0.049, 0.0, 0.0178)[33:][::-1], SHADE, 0.001)
    canvas.shape(
        lens(x, y - 0.012, 0.052, 0.028, 0.0)[:33] + lens(x, y - 0.012, 0.052, 0.0255, 0.0)[:33][::-1],
        SHADE,
        0.001,
    )
    brow = [(x - side * 0.056, y - 0.062), (x - side * 0.01, y - 0.077), (x + side * 0.064, y - 0.060)]
    canvas.shape(brow + [(x - side * 0.01, y - 0.063), (x - side * 0.056, y - 0.047)], BROW, 0.002, 0.95)


def draw_nose(canvas: Canvas) -> None:
    """A bridge in light and shade, the tip and the nostrils."""
    canvas.shape([(0.488, 0.44), (0.505, 0.44), (0.512, 0.55), (0.492, 0.55)], LIGHT, 0.008, 0.8)
    canvas.shape([(0.520, 0.45), (0.530, 0.47), (0.548, 0.57), (0.520, 0.575)], SHADE, 0.010, 0.6)
    canvas.oval(0.5, 0.563, 0.034, 0.022, LIGHT, 0.010, 0.6)
    canvas.oval(0.5, 0.590, 0.040, 0.010, SHADE, 0.006, 0.8)
    for side in (-1, 1):
        canvas.oval(0.5 + side * 0.018, 0.586, 0.009, 0.0055, (112, 66, 56), 0.0025)
        canvas.oval(0.5 + side * 0.040, 0.574, 0.010, 0.014, SHADE, 0.006, 0.6)


def draw_mouth(canvas: Canvas, apart: float) -> None:
    """Closed lips with a bow; `apart` opens them over the dark of the mouth."""
    x, y, half = 0.5, 0.665, 0.078
    gap = 0.028 * apart
    t = np.linspace(-1, 1, 49)
    bow = (1 - t**2) ** 0.8
    top = [(x + half * float(a),
        y - (0.024 - 0.007 * np.exp(-((a / 0.16) ** 2))) * float(b) - 0.3 * gap * float(b))
           for a, b in zip(t, bow, strict=True)]  # fmt: skip
    line = [
        (x + half * float(a), y + 0.0035 * float(np.cos(3.1 * a)) - 0.3 * gap * float(b))
        for a, b in zip(t, bow, strict=True)
    ]
    inner = [(px, py + gap * float(b)) for (px, py), b in zip(line, bow, strict=True)]
    bottom = [(x + half * float(a), y + (0.031 + gap) * float(b)) for a, b in zip(t, bow, strict=True)]
    canvas.shape(line + inner[::-1], (52, 22, 24), 0.0005)
    canvas.shape(top + line[::-1], LIP_UPPER, 0.0012)
    canvas.shape(inner + bottom[::-1], LIP_LOWER, 0.0016)
    canvas.oval(x, y + 0.019 + gap, 0.035, 0.006, (214, 138, 132), 0.005, 0.7)
    edge = [(px, py + 0.0045) for px, py in line]
    canvas.shape(line + edge[::-1], LIP_LINE, 0.0012)
    canvas.oval(x, y + 0.052 + gap, 0.05, 0.008, SHADE, 0.008, 0.7)
    canvas.oval(x, y - 0.043, 0.008, 0.016, SHADE, 0.006, 0.45)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help="PNG to write")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--lips-apart", type=float, default=0.0)
    arguments = parser.parse_args()
    cartoon_face(arguments.size, arguments.lips_apart).save(arguments.output)


if __name__ == "__main__":
    main()
