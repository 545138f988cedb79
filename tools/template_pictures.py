"""Pictures of the workflows for the Templates browser: faces, with what the workflow is about in large letters."""

from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageFont, ImageOps

from .comfy_server import PACK

SIDE = 480
PORTRAIT = PACK / "samples" / "talking_portrait_astronaut.png"
MOMENTS = (0.12, 0.38)  # of a film
BACKGROUND = "#16222e"
BAND = 150  # pixels at the picture's foot for the words


def pictures(files: list[Path]) -> list[Image.Image]:
    """One or two pictures of a workflow's results: frames of its film, or its images; else the portrait."""
    for file in files:
        if file.suffix == ".mp4":
            with av.open(str(file)) as container:
                frames = [frame.to_image() for frame in container.decode(video=0)]
            return [frames[round(part * (len(frames) - 1))] for part in MOMENTS]
    return [Image.open(file).convert("RGB") for file in files[:2]] or [Image.open(PORTRAIT).convert("RGB")]


def cover(tiles: list[Image.Image], words: str) -> Image.Image:
    """The pictures beside each other, a wide one alone, over the words in lines, as large as fit."""
    if tiles[0].width > 1.8 * tiles[0].height:
        tiles = tiles[:1]
    sheet = Image.new("RGB", (SIDE, SIDE), BACKGROUND)
    width = SIDE // len(tiles)
    for index, tile in enumerate(tiles):
        part = ImageOps.fit(tile, (width, SIDE - BAND), Image.Resampling.LANCZOS, centering=(0.5, 0.2))
        sheet.paste(part, (index * width, 0))
    draw = ImageDraw.Draw(sheet)
    size = 74
    while True:
        size -= 2
        font = ImageFont.load_default(size)
        left, top, right, bottom = draw.multiline_textbbox((0, 0), words, font=font, spacing=4)
        if size <= 20 or (right - left <= SIDE - 24 and bottom - top <= BAND - 24):
            break
    place = ((SIDE - left - right) / 2, SIDE - BAND / 2 - (top + bottom) / 2)
    draw.multiline_text(place, words, fill="white", font=font, spacing=4, align="center")
    return sheet
