"""People who act themselves: what is read off a clip by landmarks moves one calm frame of it, and is read again.

    python3 run.py python benchmarks/capture.py NAME=FILE[@START+SECONDS] ... [--sheets FOLDER]

The shipped sample, and real people's clips that are named by path. r is how the drawn film follows the clip, gain how
far it goes where the clip goes by one. Writes benchmarks/results/capture.json; sheets of the clip above the drawn film
go into a folder, if one is named. The clips of the figures: see benchmarks/dub.py; besides, of LivePortrait's
assets/examples/driving, the first 8 seconds of d9 ("man 2"), d6 ("woman 4"), d3 ("woman 5") and d0 ("woman 6").
"""

import argparse
import json
from pathlib import Path
from typing import Any

import comfy.cli_args
import numpy as np
import torch
from PIL import Image

comfy.cli_args.args.cpu = True
from dub import SAMPLE, film_at
from talking_portrait.models.builtin.landmark_motion import (
    Measures,
    calm_frames,
    landmark_motion,
    measures_of,
)
from talking_portrait.models.builtin.warp import WarpRenderer
from talking_portrait.models.face.head_pose import poses_of
from talking_portrait.models.face.weights import load_face_detector
from talking_portrait.models.face_motion import resolve
from talking_portrait.models.portrait import FaceLandmarks478

RESULT = Path(__file__).resolve().parent / "results" / "capture.json"
CPU = torch.device("cpu")
AT_ONCE, SHOWN, SIDE = 8, 10, 240


def found_in(detector: Any, pictures: list[np.ndarray]) -> list[dict | None]:
    """The face of every picture, or None."""
    found = []
    for start in range(0, len(pictures), AT_ONCE):
        for faces in detector.detect_batch(pictures[start : start + AT_ONCE], 1, 0.3, "short"):
            found.append(faces[0] if faces else None)
    return found


def tracks_of(faces: list[dict], shape: np.ndarray) -> dict[str, np.ndarray]:
    """What is compared, by name; shape: landmarks [478,3] from which the head is turned."""
    measures = measures_of(faces)
    pose = poses_of(shape, measures.points).degrees()
    return {
        "opening": measures.opening, "width": measures.width, "corners": corners_of(measures.points, shape),
        "right lid": measures.lids["eyeBlinkRight"], "left lid": measures.lids["eyeBlinkLeft"],
        "gaze": measures.gaze, "brow": measures.brow,
        "pitch": pose[:, 0], "yaw": pose[:, 1], "roll": pose[:, 2],
    }  # fmt: skip


def corners_of(points: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """[n] how high the mouth's corners are, in its widths."""
    corners = poses_of(shape, points).align(points)[:, [61, 291], 1].mean(1)
    return -corners / np.linalg.norm(shape[61] - shape[291])


def follows(clip: np.ndarray, drawn: np.ndarray) -> dict[str, float]:
    """r, gain, and how much the clip itself moves (5th to 95th percentile)."""
    r, spread = np.corrcoef(clip, drawn)[0, 1], np.ptp(np.quantile(clip, [0.05, 0.95]))
    return {
        "r": round(float(r), 3), "gain": round(float(r * drawn.std() / clip.std()), 2),
        "clip moves": round(float(spread), 3),
    }  # fmt: skip


def row(name: str, place: str, sheets: Path | None) -> dict[str, Any]:
    """All figures of one clip."""
    film, detector, renderer = film_at(place), load_face_detector(), WarpRenderer()
    pictures = [(255 * frame.pixels).round().byte().numpy() for frame in film.frames()]
    faces = found_in(detector, pictures)
    known = [number for number, face in enumerate(faces) if face is not None]
    seen = measures_of([face for face in faces if face is not None])
    own = presentable(seen)
    picture, points = pictures[known[own]], seen.points[own]
    portrait = renderer.prepare(torch.from_numpy(picture).float() / 255, FaceLandmarks478(np.float32(points)))
    motion = resolve(landmark_motion(faces, film.fps), portrait.motion, portrait.policy)
    drawn = [(255 * frame).round().byte().numpy() for frame in renderer.render(portrait, motion, CPU)]
    again = found_in(detector, drawn)
    both = [n for n in known if again[n] is not None]
    clip, film_of_it = (tracks_of([one[n] for n in both], points) for one in (faces, again))  # type: ignore[misc]
    if sheets is not None:
        chosen = np.linspace(0, len(drawn) - 1, SHOWN).astype(int)
        rows = [np.concatenate([small(of[n]) for n in chosen], 1) for of in (pictures, drawn)]
        Image.fromarray(np.concatenate(rows)).save(sheets / f"{name.replace(' ', '_')}.jpg", quality=90)
    return {
        "frames": len(pictures), "with a face": len(known), "drawn ones with a face": len(both),
        "portrait, frame": known[own],
        **{track: follows(clip[track], film_of_it[track]) for track in clip},
    }  # fmt: skip


def presentable(seen: Measures) -> int:
    """The frame that somebody would take as the portrait, of those with a face: shut lips, open eyes, a usual pose."""
    lids = sum(seen.lids.values()) / 2
    pose = poses_of(seen.points[calm_frames(seen)[0]], seen.points).degrees()
    turned = np.linalg.norm(pose - np.median(pose, 0), axis=1)
    sleepy = (np.quantile(lids, 0.8) - lids).clip(min=0)
    return int(
        np.argmin(
            seen.opening / 0.02
            + abs(seen.width / np.median(seen.width) - 1) / 0.1
            + sleepy / 0.05
            + turned / 5
        )
    )


def small(picture: np.ndarray) -> np.ndarray:
    """One height for sheets."""
    width = round(SIDE * picture.shape[1] / picture.shape[0])
    return np.asarray(Image.fromarray(picture).resize((width, SIDE)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="*", metavar="NAME=FILE[@START+SECONDS]")
    parser.add_argument("--sheets", type=Path)
    given = parser.parse_args()
    if given.sheets:
        given.sheets.mkdir(parents=True, exist_ok=True)
    found = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    clips = {"the shipped sample": str(SAMPLE)} | dict(text.split("=", 1) for text in given.clips)
    with torch.inference_mode():
        for name, place in clips.items():
            found[name] = row(name, place, given.sheets)
            print(name, json.dumps(found[name]), flush=True)
            RESULT.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
