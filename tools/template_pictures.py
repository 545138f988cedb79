"""Pictures of the workflows for the Templates browser: faces, with what the workflow is about in large letters."""

from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageFont, ImageOps

from .comfy_server import PACK

SIDE = 480
PORTRAIT = PACK / "samples" / "talking_portrait_astronaut.png"
MOMENTS = (0.12, 0.38, 0.62, 0.88)  # of a film
BAND = 0.34  # of the picture's height, at its foot, is for the words


def pictures(files: list[Path]) -> list[Image.Image]:
    """Up to four pictures of a workflow's results: frames spread over its film, or its images; else the portrait."""
    for file in files:
        if file.suffix == ".mp4":
            with av.open(str(file)) as container:
                frames = [frame.to_image() for frame in container.decode(video=0)]
            return [frames[round(part * (len(frames) - 1))] for part in MOMENTS]
    return [Image.open(file).convert("RGB") for file in files[:4]] or [Image.open(PORTRAIT).convert("RGB")]


def cover(tiles: list[Image.Image], words: str) -> Image.Image:
    """The pictures in a square, one or four, over them the words in lines."""
    columns = 2 if len(tiles) > 1 else 1
    side = SIDE // columns
    sheet = Image.new("RGB", (SIDE, SIDE))
    for index in range(columns * columns):
        tile = ImageOps.fit(tiles[index % len(tiles)], (side, side), Image.Resampling.LANCZOS)
        sheet.paste(tile, (index % columns * side, index // columns * side))
    return with_words(sheet, words)


def with_words(sheet: Image.Image, words: str) -> Image.Image:
    """A dark band at the foot with the words as large as fit."""
    height = round(BAND * SIDE)
    shade = Image.linear_gradient("L").resize((SIDE, height)).point(lambda value: min(255, 130 + value // 2))
    sheet.paste(Image.new("RGB", (SIDE, height), "black"), (0, SIDE - height), shade)
    draw = ImageDraw.Draw(sheet)
    size = 72
    while size > 20:
        font = ImageFont.load_default(size)
        left, top, right, bottom = draw.multiline_textbbox((0, 0), words, font=font, spacing=6)
        if right - left <= SIDE - 40 and bottom - top <= height - 30:
            break
        size -= 2
    place = ((SIDE - (right - left)) / 2 - left, SIDE - height / 2 - (top + bottom) / 2)
    draw.multiline_text(place, words, fill="white", font=font, spacing=6, align="center")
    return sheet
