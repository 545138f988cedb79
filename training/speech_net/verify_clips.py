"""Does a film show what was driven? Renders clips, decodes the mp4s, finds the face in every frame, and compares.

    python3 run.py python -m talking_portrait.training.speech_net.verify_clips [RESULT.json]

Clips: the shipped speech and, where flite is installed, sentences of two voices, on the photo and on the drawn cartoon.
Measured on decoded frames by the built-in detector: mouth opening against the driven jaw, p/b/m closures,
blinks, yaw and roll, and how still the background is against the same photo encoded without motion.
"""

import json
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import comfy.cli_args
import numpy as np
import torch
from PIL import Image
from scipy.ndimage import uniform_filter

from ..data.cartoon import cartoon_face

comfy.cli_args.args.cpu = True
from ...models.builtin.motion_engine import BuiltinMotionEngine
from ...models.builtin.warp import WarpRenderer
from ...models.engine import MotionSettings, Speech
from ...models.face.landmarks import landmarks_in_pixels
from ...models.face.weights import load_face_detector, load_person_segmenter
from ...models.face_motion import CONTROLS, FaceMotion, resolve
from ...models.media.video_stream import VideoStreamWriter
from ...models.portrait import FaceLandmarks478, Portrait
from .labels import segments
from .shipped import shipped_networks
from .synthesisers import read_wav

ROOT = Path(__file__).resolve().parents[2]
FPS = Fraction(25)
SENTENCES = (
    "Bob bought five maps of the big blue bay from my brother.",
    "Before the movie, we all opened a new box of apples.",
)
CLOSED = 0.03  # opening in eye distances
SHUT = 0.6  # of the median eye opening


def speak(text: str, voice: str, folder: Path) -> tuple[Speech, list[float]]:
    """A flite sentence and the middle times of its p, b and m."""
    path = folder / f"{voice}.wav"
    command = ["flite", "-voice", voice, "-psdur", "-t", text, "-o", str(path)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    phones, ends = [p.rsplit(":", 1)[0] for p in printed], [float(p.rsplit(":", 1)[1]) for p in printed]
    events = [
        (start + end) / 2 for viseme, start, end in segments(phones, ends, espeak=False) if viseme == "PP"
    ]
    return Speech(torch.from_numpy(read_wav(path).astype(np.float32) / 32768)[None], 16000), events


def prepare(picture: Image.Image) -> Portrait:
    """The portrait of a picture with one face."""
    pixels = np.array(picture.convert("RGB"))
    face = load_face_detector().detect_batch([pixels], 1, 0.3, "short")[0][0]
    image = torch.from_numpy(pixels).float() / 255
    points = FaceLandmarks478(landmarks_in_pixels(face))
    return WarpRenderer().prepare(image, points, load_person_segmenter().mask(image))


def film(portrait: Portrait, motion: FaceMotion, path: Path) -> np.ndarray:
    """Render, encode, decode: frames [n,H,W,3] uint8 as a viewer gets them."""
    resolved = resolve(motion, portrait.motion)
    with VideoStreamWriter(path, FPS, None, 0, crf=16) as writer:
        for start in range(0, len(motion), 2):
            writer.write(
                WarpRenderer().render(portrait, resolved.slice(start, start + 2), torch.device("cpu"))
            )
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """SSIM map [H,W] of two grey pictures 0..255 with 7x7 windows (Wang et al. 2004)."""
    mean_a, mean_b = uniform_filter(a, 7), uniform_filter(b, 7)
    var_a, var_b = uniform_filter(a * a, 7) - mean_a**2, uniform_filter(b * b, 7) - mean_b**2
    covariance = uniform_filter(a * b, 7) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return (
        (2 * mean_a * mean_b + c1)
        * (2 * covariance + c2)
        / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    )


def best_lag(seen: np.ndarray, driven: np.ndarray) -> tuple[int, float]:
    """Lag in frames (seen late: positive) with the highest correlation, and the correlation at lag 0."""
    scores = {lag: np.corrcoef(seen[max(lag, 0) : len(seen) + min(lag, 0)],
                               driven[max(-lag, 0) : len(driven) - max(lag, 0)])[0, 1] for lag in range(-4,
                               5)}  # fmt: skip
    return max(scores, key=lambda lag: scores[lag]), float(scores[0])


def background_ssim(portrait: Portrait, frames: np.ndarray, folder: Path) -> tuple[float, float]:
    """Mean SSIM of the background against the photo, in the film and in a film of the unmoved photo (the
    codec's floor)."""
    photo = (portrait.image.numpy() * 255).mean(-1)
    points = portrait.face.points
    x, y = points[:, 0], points[:, 1]
    centre, reach = (x.mean(), y.mean()), 1.15 * max(np.ptp(x), np.ptp(y))
    rows, columns = np.mgrid[: photo.shape[0], : photo.shape[1]]
    away = np.hypot(columns - centre[0], rows - centre[1]) > reach
    still = FaceMotion.from_controls(
        torch.zeros(25, 12), torch.zeros(25, 3), torch.zeros(25, 3), torch.ones(25), FPS, source={}
    )
    floor = film(portrait, still, folder / "still.mp4")
    scores = [
        np.mean([similarity(frame.mean(-1), photo)[away].mean() for frame in clip[::5]])
        for clip in (frames, floor)
    ]
    return float(scores[0]), float(scores[1])


def verify(
    portrait: Portrait, speech: Speech, events: list[float], seed: int, folder: Path
) -> dict[str, Any]:
    """All measures of one clip."""
    networks = shipped_networks()
    engine = BuiltinMotionEngine(lambda: networks)
    motion = engine.generate(speech, FPS, seed, MotionSettings(blink_rate=24.0), lambda done, total: None)
    frames = film(portrait, motion, folder / "clip.mp4")
    found = load_face_detector().detect_batch(list(frames), 1, 0.3, "short")
    faces = [face[0] for face in found if face]
    if len(faces) < len(frames):
        raise SystemExit(f"the face was found in {len(faces)} of {len(frames)} frames only")
    xy = np.stack([face["landmarks_xy"] for face in faces])
    eyes = np.linalg.norm(xy[:, 33] - xy[:, 263], axis=1)
    opening = np.linalg.norm(xy[:, 13] - xy[:, 14], axis=1) / eyes
    lids = np.linalg.norm(xy[:, 159] - xy[:, 145], axis=1) / np.linalg.norm(xy[:, 33] - xy[:, 133], axis=1)
    control = {name: motion.controls[:, CONTROLS.index(name)].numpy() for name in CONTROLS}
    lag, zero = best_lag(opening, control["jawOpen"])
    meets = [int(t * 25) for t in events]
    closed = [bool(opening[max(0, f - 1) : f + 2].min() < CLOSED) for f in meets]
    blinks = [int((t + 0.11) * 25) for t in motion.source["blinks"]]
    seen = [bool(lids[max(0, f - 2) : f + 3].min() < SHUT * np.median(lids)) for f in blinks]
    shut = lids < SHUT * np.median(lids)
    runs = int((np.diff(np.concatenate([[0], shut.astype(int)])) == 1).sum())
    yaw = (xy[:, 1, 0] - (xy[:, 33, 0] + xy[:, 263, 0]) / 2) / eyes
    roll = np.degrees(np.arctan2(xy[:, 263, 1] - xy[:, 33, 1], xy[:, 263, 0] - xy[:, 33, 0]))
    ssim, floor = background_ssim(portrait, frames, folder)
    return {
        "frames": len(frames), "opening_jaw_r": zero, "opening_jaw_lag": lag, "pbm": len(meets),
        "pbm_closed": sum(closed),
        "blinks_driven": len(blinks), "blinks_found": sum(seen), "eye_closures_seen": runs,
        "yaw_r": float(np.corrcoef(-yaw, motion.pose[:, 1])[0, 1]),
        "roll_r": float(np.corrcoef(roll, motion.pose[:, 2])[0, 1]),
        "background_ssim": ssim, "codec_floor_ssim": floor,
    }  # fmt: skip


def main(result: Path | None) -> None:
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    photo = Image.open(ROOT / "samples" / "talking_portrait_astronaut.png")
    portraits = {"photo": prepare(photo), "cartoon": prepare(cartoon_face(512))}
    rows = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        wave = read_wav(ROOT / "samples" / "talking_portrait_speech.wav").astype(np.float32) / 32768
        shipped = Speech(torch.from_numpy(wave)[None], 16000)
        rows["shipped speech, photo"] = verify(portraits["photo"], shipped, [], 7, folder)
        for name, portrait in portraits.items():
            for seed, (voice, text) in enumerate((v, t) for v in ("rms", "slt") for t in SENTENCES):
                speech, events = speak(text, voice, folder)
                rows[f"{voice} {seed % 2 + 1}, {name}"] = verify(portrait, speech, events, seed, folder)
    for name, row in rows.items():
        cells = (
            f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}"
            for key, value in row.items()
        )
        print(f"{name:24s}", "  ".join(cells))
    if result:
        result.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
