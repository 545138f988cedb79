"""What the pictures are drawn with: faces in a row, curves over seconds, a few large words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

WIDTH = 480  # pixels; the page shows it at some 270
MOST_BYTES = 33_000
WORDS, GAP = 21, 4  # pixels
BACKGROUND = "#16222e"  # as of the templates' pictures
PAPER, INK, GRID, SOUND = "#fafaf8", "#28282c", "#d8d8d4", "#d5dae2"
COLOURS = ("#2c68b2", "#c43e36", "#3a8c48", "#d68c1e")
FACE = (115, 80, 400, 400)  # of the sample portrait


@dataclass(frozen=True)
class Panel:
    """One pair of axes. lines: name -> values over `seconds`, or over the share of them that `parts` names; sound: an
    outline 0..1 behind them; marks: seconds."""

    title: str
    lines: dict[str, np.ndarray]
    seconds: float
    sound: np.ndarray | None = None
    marks: Sequence[float] = ()
    parts: dict[str, tuple[float, float]] = field(default_factory=dict)
    colours: Sequence[str] = field(default=COLOURS)


def caption(text: str, width: int = WIDTH) -> Image.Image:
    """A strip with words in the middle, on as many lines as they need."""
    font, lines = ImageFont.load_default(WORDS), [""]
    for paragraph in text.split("\n"):
        for word in paragraph.split():
            longer = f"{lines[-1]} {word}".strip()
            if font.getlength(longer) <= width - 8 or not lines[-1]:
                lines[-1] = longer
            else:
                lines.append(word)
        lines.append("")
    lines = lines[:-1]
    strip = Image.new("RGB", (width, len(lines) * (WORDS + 6) + 8), BACKGROUND)
    draw = ImageDraw.Draw(strip)
    for number, line in enumerate(lines):
        place = ((width - font.getlength(line)) / 2, 3 + number * (WORDS + 6))
        draw.text(place, line, fill="white", font=font)
    return strip


def row(
    pictures: Sequence[Image.Image],
    words: Sequence[str],
    box: tuple[int, int, int, int] | None = FACE,
    shape: float | None = None,
) -> Image.Image:
    """Pictures beside each other with words below; of each the same box, in the same shape (height to width)."""
    count = len(pictures)
    width = (WIDTH - GAP * (count - 1)) // count
    tiles = [picture.convert("RGB").crop(box) if box else picture.convert("RGB") for picture in pictures]
    height = round(width * (shape or tiles[0].height / tiles[0].width))
    tiles = [ImageOps.fit(tile, (width, height), Image.Resampling.LANCZOS) for tile in tiles]
    captions = [caption(text, width) for text in words]
    sheet = Image.new("RGB", (WIDTH, height + max(strip.height for strip in captions)), BACKGROUND)
    for number, (tile, strip) in enumerate(zip(tiles, captions, strict=True)):
        sheet.paste(tile, (number * (width + GAP), 0))
        sheet.paste(strip, (number * (width + GAP), height))
    return sheet


def below(*parts: Image.Image) -> Image.Image:
    """Pictures of the same width under each other."""
    sheet = Image.new("RGB", (WIDTH, sum(part.height for part in parts)), BACKGROUND)
    top = 0
    for part in parts:
        sheet.paste(part, (0, top))
        top += part.height
    return sheet


def curves(*panels: Panel, height: int = 110, unit: str = "s") -> Image.Image:
    """Panels under each other, each under its title and the names of its lines in their colours."""
    return below(*(_panel(panel, height) for panel in panels), _axis(panels[-1].seconds, unit))


def _panel(panel: Panel, height: int) -> Image.Image:
    head = 2 * WORDS + 16 if len(panel.lines) > 1 else WORDS + 10
    sheet = Image.new("RGB", (WIDTH, head + height), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(WORDS)
    only = len(panel.lines) == 1
    draw.text((10, 4), panel.title, fill=panel.colours[0] if only else INK, font=font)
    left = 10.0
    for name, colour in zip(panel.lines, panel.colours, strict=False):
        if not only:
            draw.text((left, WORDS + 9), name, fill=colour, font=font)
            left += font.getlength(name) + 18
    box = (10, head + 4, WIDTH - 10, head + height - 4)
    draw.rectangle(box, outline=GRID)
    if panel.sound is not None:
        middle, reach = (box[1] + box[3]) / 2, (box[3] - box[1]) / 2 - 2
        for column, loud in enumerate(_over(panel.sound, box[2] - box[0])):
            place, half = box[0] + column, reach * loud
            draw.line((place, middle - half, place, middle + half), fill=SOUND)
    low, high = _span(panel.lines.values())
    for number, (name, values) in enumerate(panel.lines.items()):
        start, end = panel.parts.get(name, (0.0, 1.0))
        places = box[0] + (box[2] - box[0]) * np.linspace(start, end, len(values))
        heights = box[3] - 4 - (values - low) / (high - low) * (box[3] - box[1] - 8)
        line = [*map(tuple, np.stack([places, heights], 1).tolist())]
        seen_below = 0 if panel.parts else 3 * (len(panel.lines) - 1 - number)  # one that lies on another
        draw.line(line, fill=panel.colours[number], width=3 + seen_below, joint="curve")
    for mark in panel.marks:
        place = box[0] + (box[2] - box[0]) * mark / panel.seconds
        draw.line((place, box[1], place, box[3]), fill=INK, width=2)
    return sheet


def _over(values: np.ndarray, columns: int) -> np.ndarray:
    """The largest value of every column."""
    edges = np.linspace(0, len(values), columns + 1).astype(int)
    return np.array([values[start : max(stop, start + 1)].max() for start, stop in pairwise(edges)])


def _span(lines: Iterable[np.ndarray]) -> tuple[float, float]:
    everything = np.concatenate([*lines, [0.0]])
    low, high = float(everything.min()), float(everything.max())
    return low, max(high, low + 1e-3)


def _axis(most: float, unit: str) -> Image.Image:
    sheet = Image.new("RGB", (WIDTH, WORDS + 10), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(WORDS - 3)
    draw.text((10, 2), f"0 {unit}", fill=INK, font=font)
    last = f"{most:.3g} {unit}"
    draw.text((WIDTH - 10 - font.getlength(last), 2), last, fill=INK, font=font)
    return sheet


def save(picture: Image.Image, path: Path) -> None:
    """As a JPEG that is as good as its size allows."""
    for quality in range(88, 30, -4):
        picture.convert("RGB").save(path, quality=quality, optimize=True)
        if path.stat().st_size <= MOST_BYTES:
            return
    raise ValueError(f"{path.name} cannot be made smaller than {MOST_BYTES} bytes")
