"""What counts as calm and as lively: the 5th and 95th percentile of raw motion intensities of many films.

    python3 run.py python -m talking_portrait.tools.measure_intensity_reference

Films: the shipped speech, in pieces of two seconds, made by the built-in engine and drawn by the built-in renderer for made-up
people, each with a motion factor from 0.1 to 2 (log-uniform; expression and head apart). The face is measured by the built-in
detector. The body's joints are OpenPose's head joints taken from the face, over shoulders that stand still: this renderer moves no
body, so `body` counts the head's motion in shoulder widths.
"""

import json
from fractions import Fraction
from pathlib import Path

import comfy.cli_args
import librosa
import numpy as np
import torch
from safetensors.torch import load_file

comfy.cli_args.args.cpu = not torch.cuda.is_available()

from talking_portrait.models.builtin.face.weights import load_face_detector  # noqa: E402
from talking_portrait.models.builtin.motion_engine import BuiltinMotionEngine  # noqa: E402
from talking_portrait.models.builtin.speech_net import build_speech_net  # noqa: E402
from talking_portrait.models.engine import MotionSettings, Speech  # noqa: E402
from talking_portrait.models.face_landmarks import landmarks_in_pixels  # noqa: E402
from talking_portrait.models.face_motion import resolve  # noqa: E402
from talking_portrait.models.face_motion.intensity import scale_intensity  # noqa: E402
from talking_portrait.models.fantasytalking.intensity import body_intensity, face_intensity  # noqa: E402
from talking_portrait.tools.talking_faces import Person, WarpRenderer, people  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
SECONDS, PEOPLE, FILMS = 2, 6, 72
HEAD = {0: (1,), 14: (33, 133), 15: (362, 263), 16: (234,), 17: (454,)}  # OpenPose's nose, eyes, ears of MediaPipe's points


def frames_of(who: Person, motion) -> list[np.ndarray | None]:
    """Landmarks [478,2] that the detector finds in every drawn frame."""
    resolved, found = resolve(motion, who.portrait.motion), []
    for start in range(0, len(motion), 2):
        drawn = WarpRenderer().render(who.portrait, resolved.slice(start, start + 2), torch.device("cpu"))
        pictures = [frame for frame in (drawn * 255).round().to(torch.uint8).numpy()]
        for faces in load_face_detector().detect_batch(pictures, 1, 0.3, "short"):
            found.append(landmarks_in_pixels(faces[0])[:, :2] if faces else None)
    return found


def joints(points: np.ndarray, still: np.ndarray) -> np.ndarray:
    """OpenPose's joints [18,3]: head from the face, shoulders from the face at rest, the others unseen."""
    body = np.zeros((18, 3))
    for joint, group in HEAD.items():
        body[joint] = [*points[list(group)].mean(0), 1]
    width, chin = still[454, 0] - still[234, 0], still[152]
    for joint, side in ((2, -1), (5, 1)):
        body[joint] = [chin[0] + side * width, chin[1] + 0.5 * width, 1]
    return body


def main() -> None:
    random = np.random.default_rng(0)
    state = load_file(ROOT / "models" / "builtin" / "weights" / "speech.safetensors")
    network = build_speech_net(state, {}, device="cpu", dtype=torch.float32, operations=torch.nn)
    network.load_state_dict(state)
    engine = BuiltinMotionEngine(lambda: network.float())
    wave = torch.from_numpy(librosa.load(ROOT / "samples" / "talking_portrait_speech.wav", sr=16000)[0])
    whom, raw = people(PEOPLE), {"face": [], "body": []}
    with torch.no_grad():
        for number in range(FILMS):
            start = int(random.integers(0, len(wave) - SECONDS * 16000))
            speech = Speech(wave[None, start : start + SECONDS * 16000], 16000)
            motion = engine.generate(speech, Fraction(25), number, MotionSettings(), lambda done, total: None)
            lively, turning = np.exp(random.uniform(np.log(0.1), np.log(2), 2))
            points = frames_of(whom[number % PEOPLE], scale_intensity(motion, float(lively), float(turning)))
            raw["face"].append(face_intensity(points))
            still = next(found for found in points if found is not None)
            raw["body"].append(body_intensity([None if found is None else joints(found, still) for found in points]))
    print(json.dumps({name: [float(f"{value:.3g}") for value in np.percentile(values, (5, 95))] for name, values in raw.items()}))


if __name__ == "__main__":
    main()
