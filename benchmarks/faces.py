"""The built-in renderer on faces that nobody tuned it on: measures and a contact sheet for each picture.

    python3 run.py python benchmarks/faces.py SHEETS [LABEL]

SHEETS is a folder for the contact sheets; pictures come from installed packages and one source distribution. With a
LABEL (before, after) the figures go into benchmarks/results/faces.json. Closed lids against the cheek, brows, the
mouth's inside, the closed lip line, the chin's travel, folds of the head's map, and the background, per picture.
"""

import json
import re
import sys
import time
from pathlib import Path

import comfy.cli_args
import numpy as np
import torch
from PIL import Image, ImageDraw

comfy.cli_args.args.cpu = True
import face_measures as measures
from face_pictures import ROOT, Picture, pictures
from talking_portrait.models.builtin.warp import WarpRenderer
from talking_portrait.models.face.landmarks import landmarks_in_pixels
from talking_portrait.models.face.weights import load_face_detector, load_person_segmenter
from talking_portrait.models.media.pixels import resize_antialiased
from talking_portrait.models.portrait import FaceLandmarks478

LONGEST = 1280  # pixels: what Prepare Portrait makes of a large picture
BLINK = ("eyeBlinkLeft", "eyeBlinkRight")
STILL, HALF, SHUT, LOOK = {}, dict.fromkeys(BLINK, 0.5), dict.fromkeys(BLINK, 1.0), {"gazeX": 0.8}
MOUTHS = {
    "rest": {}, "closed": {"mouthClose": 1.0}, "jaw .2": {"jawOpen": 0.2}, "jaw .5": {"jawOpen": 0.5},
    "jaw .9": {"jawOpen": 0.9}, "round": {"jawOpen": 0.25, "mouthPucker": 0.9},
    "wide": {"jawOpen": 0.15, "mouthStretch": 0.8, "teethShow": 0.7},
    "f, v": {"mouthRollLower": 0.9, "teethShow": 0.3}, "smile": {"mouthSmile": 0.8},
}  # fmt: skip
TURNS = {"as it is": (0.0, 0.0, 0.0), "yaw 10": (0.0, 10.0, 0.0), "yaw -10": (0.0, -10.0, 0.0),
         "pitch 8": (8.0, 0.0, 0.0), "pitch -8": (-8.0, 0.0, 0.0), "roll 10": (0.0, 0.0, 10.0)}  # fmt: skip
CELL = 200


class Bench:
    """Detector and segmenter, loaded once."""

    def __init__(self) -> None:
        self.detector, self.segmenter = load_face_detector(), load_person_segmenter()

    def find(self, pixels: np.ndarray) -> np.ndarray | None:
        """Landmarks [478,3] of the largest face in [H,W,3] 0..1."""
        small = (pixels * 255).round().astype(np.uint8)
        for reach in ("short", "full"):
            faces = self.detector.detect_batch([small], 4, 0.3, reach)[0]
            if faces:
                found = [landmarks_in_pixels(face) for face in faces]
                return max(found, key=lambda points: float(np.ptp(points[:, 0])))
        return None

    def run(self, picture: Picture, pixels: np.ndarray, folder: Path) -> dict[str, float] | str:
        """All figures of one picture, and its sheet; a sentence where it is refused."""
        image = torch.from_numpy(pixels)
        points = self.find(pixels)
        if points is None:
            return "no face found"
        person = self.segmenter.mask(image)
        started = time.process_time()
        try:
            portrait = WarpRenderer().prepare(image, FaceLandmarks478(points), person)
        except ValueError as error:
            return str(error)
        prepared = time.process_time() - started
        controls = [STILL, HALF, SHUT, LOOK, *MOUTHS.values(), *[STILL] * len(TURNS), {"jawOpen": 1.0}]
        poses = [(0.0, 0.0, 0.0)] * (len(controls) - len(TURNS) - 1) + [*TURNS.values(), (0.0, 0.0, 0.0)]
        started = time.process_time()
        frames = measures.drawn(portrait, measures.motion(poses, controls))
        spent = (time.process_time() - started) / len(frames)
        contact_sheet(picture.name, frames, points).save(folder / f"{slug(picture.name)}.png")
        turned = frames[-1 - len(TURNS) : -1]
        figures = {
            "background": measures.background(portrait, turned, person.numpy(), [*TURNS.values()]),
            "jacobian": measures.jacobian(portrait),
            "prepare_s": prepared, "frame_ms": 1000 * spent,
        }  # fmt: skip
        return {**self.face_figures(frames, points), **figures}

    def face_figures(self, frames: np.ndarray, points: np.ndarray) -> dict[str, float]:
        """Figures of lids and mouth."""
        named = dict(zip(MOUTHS, frames[4:], strict=False))
        still, shut = self.find(frames[0]), self.find(frames[2])
        half, shout = self.find(named["jaw .5"]), self.find(frames[-1])
        tones = measures.lid_tone(frames[2], points)
        figures = {"lid_tone_low": min(tones), "lid_tone_high": max(tones)} if tones else {}
        figures["brow_levels"] = measures.brow_change(frames[0], frames[2], points)
        if still is not None and shut is not None:
            figures["brow_travel"] = measures.brow_travel(still, shut)
            figures["lids_shut"] = measures.lid_distance(shut) / measures.lid_distance(still)
        if half is not None:
            figures["mouth_chroma"], figures["teeth"] = measures.mouth_inside(named["jaw .5"], half)
        closed = self.find(named["closed"])
        if closed is not None:
            figures["seam_dark"], figures["seam_step"] = measures.seam(named["closed"], closed)
        if still is not None and shout is not None:
            height = np.linalg.norm(still[10, :2] - still[152, :2])
            figures["chin_travel"] = float(np.linalg.norm(shout[152, :2] - still[152, :2]) / height)
        return figures


def contact_sheet(name: str, frames: np.ndarray, points: np.ndarray) -> Image.Image:
    """Heads in the first row with four pairs of eyes, mouths in the second."""
    sheet = Image.new("RGB", (9 * CELL, 2 * CELL), "white")
    middle, size = points[:, :2].mean(0), float(np.ptp(points[:, :2], 0).max())
    for column, frame in enumerate(frames[-1 - len(TURNS) : -1]):
        sheet.paste(cell(frame, middle, 0.95 * size, CELL, CELL), (column * CELL, 0))
    eyes = (points[33] + points[263])[:2] / 2
    reach = 0.8 * float(np.linalg.norm(points[33, :2] - points[263, :2]))
    for place, frame in enumerate(frames[:4]):
        at = (int((6 + 1.5 * (place % 2)) * CELL), (place // 2) * CELL // 2)
        sheet.paste(cell(frame, eyes, reach, CELL * 3 // 2, CELL // 2), at)
    mouth = (points[61] + points[291] + points[14])[:2] / 3
    for column, frame in enumerate(frames[4 : 4 + len(MOUTHS)]):
        sheet.paste(cell(frame, mouth, 0.19 * size, CELL, CELL), (column * CELL, CELL))
    pen = ImageDraw.Draw(sheet)
    for column, label in enumerate(MOUTHS):
        pen.text((column * CELL + 2, CELL), label, fill="red")
    pen.text((2, 2), name, fill="red")
    return sheet


def cell(frame: np.ndarray, middle: np.ndarray, reach: float, width: int, height: int) -> Image.Image:
    """The surroundings of a place as width x height pixels, `reach` pixels to each side."""
    box = (middle[0] - reach, middle[1] - reach * height / width, middle[0] + reach,
           middle[1] + reach * height / width)  # fmt: skip
    picture = Image.fromarray((frame * 255).round().astype(np.uint8))
    box = tuple(round(float(side)) for side in box)
    return picture.crop(box).resize((width, height), Image.Resampling.LANCZOS)


def slug(name: str) -> str:
    """A file's name for a picture."""
    return re.sub(r"\W+", "-", name.lower()).strip("-")


def fitted(picture: Image.Image) -> np.ndarray:
    """[H,W,3] in 0..1, made smaller as Prepare Portrait does."""
    pixels = torch.from_numpy(np.array(picture)).float() / 255
    scale = LONGEST / max(picture.size)
    if scale < 1:
        columns, rows = (max(2, 2 * int(side * scale / 2)) for side in picture.size)
        pixels = resize_antialiased(pixels, columns, rows)
    return pixels.numpy()


def summary(rows: dict[str, dict[str, float] | str], kinds: dict[str, str]) -> dict[str, dict[str, float]]:
    """Medians and worst ends of each figure over photos and drawn pictures."""
    result = {}
    for kind in ("photo", "drawn"):
        chosen = [row for name, row in rows.items() if kinds[name] == kind and isinstance(row, dict)]
        for figure in dict.fromkeys(key for row in chosen for key in row):
            values = [row[figure] for row in chosen if figure in row]
            spread = {"least": min(values), "median": float(np.median(values)), "most": max(values)}
            result[f"{kind} {figure}"] = {key: round(value, 3) for key, value in spread.items()}
    return result


def main(folder: Path, label: str, chosen: str = "") -> None:
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    folder.mkdir(parents=True, exist_ok=True)
    bench, rows, kinds = Bench(), {}, {}
    for picture, opened in pictures():
        if not re.search(chosen, picture.name):
            continue
        row = bench.run(picture, fitted(opened), folder)
        rows[picture.name], kinds[picture.name] = row, picture.kind
        shown = row if isinstance(row, str) else "  ".join(f"{key} {value:.3g}" for key, value in row.items())
        print(f"{picture.name:28s} {shown}", flush=True)
    found = summary(rows, kinds)
    for name, values in found.items():
        print(f"{name:24s} {values}")
    if label:
        target = ROOT / "benchmarks" / "results" / "faces.json"
        kept = json.loads(target.read_text()) if target.is_file() else {}
        kept[label] = {"summary": found, "pictures": {name: compact(row) for name, row in rows.items()}}
        target.write_text(json.dumps(kept, indent=1) + "\n")


def compact(row: dict[str, float] | str) -> str:
    """A picture's figures in one line."""
    return row if isinstance(row, str) else ", ".join(f"{key} {value:.3g}" for key, value in row.items())


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:4])
