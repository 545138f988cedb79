"""Draws the pack's icon and banner: `python3 run.py python -m talking_portrait.tools.make_artwork`

Simple shapes and no photo, so that they belong to the pack alone. web/icon.png is square, web/banner.png 21:9.
"""

import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

WEB = Path(__file__).resolve().parent.parent / "web"
ICON, BANNER = (400, 400), (1680, 720)
FINER = 4  # drawn so many times larger, for smooth edges
TOP, BOTTOM = (36, 30, 72), (18, 62, 84)
SKIN, SHADE, HAIR, DARK = (244, 205, 178), (226, 172, 146), (70, 44, 60), (60, 24, 34)
WHITE, LIPS, TONGUE, CLOTH, VOICE = (
    (255, 252, 246),
    (196, 82, 88),
    (226, 120, 118),
    (64, 120, 150),
    (120, 220, 210),
)
WORDS = ("Talking Portrait", "One portrait and a voice in, a talking video out")

Point = tuple[float, float]


class Drawing:
    """A picture in which everything is given in pixels of the finished one."""

    def __init__(self, size: tuple[int, int]):
        self.size = size
        column = Image.new("RGB", (1, size[1] * FINER))
        for row in range(column.height):
            share = row / column.height
            column.putpixel(
                (0, row), tuple(round(a + (b - a) * share) for a, b in zip(TOP, BOTTOM, strict=True))
            )
        self.image = column.resize((size[0] * FINER, size[1] * FINER))
        self.pen = ImageDraw.Draw(self.image)

    def oval(self, centre: Point, width: float, height: float, fill: tuple[int, ...]) -> None:
        """A filled oval of this width and height."""
        (x, y), w, h = centre, width / 2, height / 2
        self.pen.ellipse([FINER * (x - w), FINER * (y - h), FINER * (x + w), FINER * (y + h)], fill)

    def bar(self, centre: Point, width: float, height: float, fill: tuple[int, ...]) -> None:
        """An upright bar with round ends."""
        (x, y), w, h = centre, width / 2, max(height, width) / 2
        box = [FINER * (x - w), FINER * (y - h), FINER * (x + w), FINER * (y + h)]
        self.pen.rounded_rectangle(box, FINER * w, fill)

    def text(self, place: Point, words: str, size: float) -> None:
        """White words in the middle of a line."""
        font = ImageFont.load_default(size * FINER)
        self.pen.text((place[0] * FINER, place[1] * FINER), words, WHITE, font, anchor="mm")

    def save(self, path: Path) -> None:
        """Write it in its own size."""
        self.image.resize(self.size, Image.Resampling.LANCZOS).save(path, optimize=True)


def face(drawing: Drawing, centre: Point, size: float, opened: float) -> None:
    """A portrait `size` pixels high whose mouth is open by 0 to 1."""
    x, y = centre

    def at(right: float, down: float) -> Point:
        return x + right * size, y + down * size

    drawing.oval(at(0, 0.62), 0.86 * size, 0.52 * size, CLOTH)
    drawing.bar(at(0, 0.34), 0.2 * size, 0.36 * size, SHADE)
    drawing.oval(at(0, -0.1), 0.7 * size, 0.78 * size, HAIR)
    drawing.oval(at(0, 0.02), 0.56 * size, 0.7 * size, SKIN)
    drawing.oval(at(0, -0.3), 0.56 * size, 0.26 * size, HAIR)
    for side in (-1, 1):
        drawing.oval(at(side * 0.12, -0.02), 0.1 * size, 0.075 * size, WHITE)
        drawing.oval(at(side * 0.12, -0.02), 0.055 * size, 0.06 * size, DARK)
        drawing.oval(at(side * 0.12, -0.1), 0.12 * size, 0.022 * size, HAIR)
    drawing.oval(at(0, 0.075), 0.06 * size, 0.05 * size, SHADE)
    height = 0.05 + 0.11 * opened
    wide = 0.22 - 0.06 * opened
    drawing.oval(at(0, 0.2), wide * size, height * size, LIPS)
    if opened > 0.1:
        drawing.oval(at(0, 0.2), (wide - 0.045) * size, (height - 0.045) * size, DARK)
        drawing.oval(at(0, 0.2 + 0.3 * height), 0.5 * wide * size, 0.25 * height * size, TONGUE)


def voice(drawing: Drawing, start: Point, step: float, count: int, height: float) -> None:
    """Bars of a sound, the loudest of them `height` pixels high."""
    for bar in range(count):
        swell = math.sin(math.pi * (bar + 0.5) / count) ** 0.6
        beat = 0.25 + 0.75 * abs(math.sin(1.7 * bar + 0.6))
        drawing.bar((start[0] + bar * step, start[1]), 0.5 * step, height * swell * beat, VOICE)


def icon() -> Drawing:
    """One face, and a voice on both sides of it."""
    drawing = Drawing(ICON)
    for left in (22, 302):
        voice(drawing, (left + 8, 250), 20, 4, 130)
    face(drawing, (200, 190), 330, 0.9)
    return drawing


def banner() -> Drawing:
    """The name, and a face in four moments of a voice."""
    drawing = Drawing(BANNER)
    voice(drawing, (30, 330), 30, 55, 200)
    for number, opened in enumerate((0.0, 0.45, 1.0, 0.25)):
        face(drawing, (300 + 360 * number, 270), 330, opened)
    drawing.pen.rectangle([0, FINER * 510, FINER * BANNER[0], FINER * BANNER[1]], BOTTOM)
    drawing.text((BANNER[0] / 2, 575), WORDS[0], 84)
    drawing.text((BANNER[0] / 2, 660), WORDS[1], 38)
    return drawing


if __name__ == "__main__":
    icon().save(WEB / "icon.png")
    banner().save(WEB / "banner.png")
