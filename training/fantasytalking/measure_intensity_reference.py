"""What the scale of Measure Motion Intensity is laid over: the tremble of the face detector, and natural speech.

    python3 run.py python -m talking_portrait.training.fantasytalking.measure_intensity_reference

Stills: the sample picture with the noise of a camera or a codec, and moved by parts of a pixel. Films: the
shipped speech, made by the built-in engine and drawn by the built-in renderer for made-up people, with its
expression from 0 to 2 times the natural one and the head always natural. Printed: how far the points move,
root mean square in eye distances, as the node reports it. There are no films of bodies here, so nothing is
measured of those.
"""

import json
from fractions import Fraction
from pathlib import Path

import comfy.cli_args
import librosa
import numpy as np
import torch
from PIL import Image

comfy.cli_args.args.cpu = not torch.cuda.is_available()

from ...models.builtin.motion_engine import BuiltinMotionEngine
from ...models.engine import MotionSettings, Speech
from ...models.face.weights import load_face_detector
from ...models.face_motion import FaceMotion, resolve
from ...models.face_motion.intensity import scale_intensity
from ...models.fantasytalking.motion_measure import face_intensity
from ..data.talking_faces import Person, WarpRenderer, people
from ..speech_net.shipped import shipped_networks

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "samples" / "talking_portrait_astronaut.png"
SECONDS, PEOPLE, STILLS = 2.5, 3, 12
NOISE, FACTORS = (1, 3, 6), (0.0, 0.25, 0.5, 1.0, 2.0)  # grey levels of 255; times the natural expression


def motion_of(pictures: list[np.ndarray]) -> float:
    """How far the face's points move over pictures [H,W,3], in eye distances."""
    faces = load_face_detector().detect_batch(pictures, 1, 0.3, "short")
    return face_intensity([np.asarray(found[0]["landmarks_xy"]) if found else None for found in faces]) ** 0.5


def stills(random: np.random.Generator) -> dict[str, float]:
    """The tremble on pictures in which nothing moves."""
    picture = Image.open(PICTURE).convert("RGB")
    values, result = np.asarray(picture, np.float64), {}
    for noise in NOISE:
        noisy = [values + random.normal(0, noise, values.shape) for _ in range(STILLS)]
        result[f"noise {noise}"] = motion_of(
            [np.clip(each, 0, 255).round().astype(np.uint8) for each in noisy]
        )
    shifts = random.uniform(-8, 8, (STILLS, 2))
    placed = [
        picture.transform(picture.size, Image.Transform.AFFINE, (1, 0, x, 0, 1, y), Image.Resampling.BILINEAR)
        for x, y in shifts
    ]
    return {**result, "moved by parts of a pixel": motion_of([np.asarray(each) for each in placed])}


def drawn(who: Person, motion: FaceMotion) -> list[np.ndarray]:
    """A film [H,W,3] of bytes."""
    resolved, pictures = resolve(motion, who.portrait.motion), []
    for start in range(0, len(motion), 2):
        frames = WarpRenderer().render(who.portrait, resolved.slice(start, start + 2), torch.device("cpu"))
        pictures += list((frames * 255).round().to(torch.uint8).numpy())
    return pictures


def films() -> dict[str, list[float]]:
    """By factor of the expression, of each person."""
    networks = shipped_networks()
    engine = BuiltinMotionEngine(lambda: networks)
    wave = torch.from_numpy(librosa.load(ROOT / "samples" / "talking_portrait_speech.wav", sr=16000)[0])
    result: dict[str, list[float]] = {f"expression x {factor:g}": [] for factor in FACTORS}
    for number, who in enumerate(people(PEOPLE)):
        part = wave[None, number * 16000 : number * 16000 + round(SECONDS * 16000)]
        motion = engine.generate(
            Speech(part, 16000), Fraction(25), number, MotionSettings(), lambda done, total: None
        )
        for factor in FACTORS:
            result[f"expression x {factor:g}"].append(
                motion_of(drawn(who, scale_intensity(motion, factor, 1.0)))
            )
    return result


def main() -> None:
    with torch.no_grad():
        found = {"stills": stills(np.random.default_rng(0)), "films": films()}
    rounded = json.loads(json.dumps(found), parse_float=lambda text: round(float(text), 4))
    print(json.dumps(rounded, indent=1))


if __name__ == "__main__":
    main()
