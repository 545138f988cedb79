"""How the built-in engine moves a face: head, jaw, eyes and silence in the three styles, beside a talking man's head.

    python3 run.py python benchmarks/builtin_motion.py

Half a minute of the shipped voice and twelve seconds of silence, six seeds. Writes
benchmarks/results/builtin_motion.json.
"""

import json
import wave
from fractions import Fraction
from pathlib import Path

import comfy.cli_args
import numpy as np
import torch

comfy.cli_args.args.cpu = True
from talking_portrait.models.builtin.motion_engine import BuiltinMotionEngine
from talking_portrait.models.builtin.styles import HEAD_STYLES
from talking_portrait.models.builtin.warp.curves import smoothstep
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.face_motion import CONTROLS, FaceMotion
from talking_portrait.models.generation import generate_motion
from talking_portrait.training.speech_net.shipped import shipped_networks

ROOT = Path(__file__).resolve().parent.parent
FPS, SEEDS, TIMES, SILENCE = 25, 6, 4, 12
ONE_MAN = {  # tracked in one clip, with the landmarks' jitter: a direction, no norm
    "pitch, yaw, roll: deviation, degrees": [4.0, 6.1, 7.0], "pitch, yaw, roll: rms speed, degrees/s": [41, 26, 22],
    "share of yaw's power above 1 Hz": 0.10, "opening's change in 40 ms, 19 of 20, of its maximum": 0.22,
    "opening's change in 40 ms, largest, of its maximum": 0.39,
}  # fmt: skip


def speech() -> tuple[Speech, int]:
    """The voice and its silence, and the frames of the voice."""
    with wave.open(str(ROOT / "samples" / "talking_portrait_speech.wav")) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        rate = file.getframerate()
    said = np.tile(sound, TIMES)
    whole = np.concatenate([said, np.zeros(SILENCE * rate, np.float32)])
    return Speech(torch.from_numpy(whole)[None], rate), len(said) * FPS // rate


def opening(motion: FaceMotion) -> np.ndarray:
    """The jaw as it is shown: lips that meet hold it shut."""
    jaw, close = (motion.controls[:, CONTROLS.index(name)] for name in ("jawOpen", "mouthClose"))
    return (jaw * (1 - smoothstep((close - 0.55) / 0.4))).numpy()


def figures(motion: FaceMotion, spoken: int) -> dict[str, list[float] | float]:
    """Of one motion whose first frames are spoken and whose last are silent."""
    pose, rest = motion.pose.numpy()[:spoken], motion.controls.numpy()[spoken + FPS :]
    gaze = motion.controls.numpy()[:, CONTROLS.index("gazeX")]
    power = np.abs(np.fft.rfft(pose[:, 1] - pose[:, 1].mean())) ** 2
    shown = opening(motion)[:spoken]
    step = np.abs(np.diff(shown)) / shown.max()
    values = (
        pose.std(0).tolist(), np.sqrt((np.diff(pose, axis=0) ** 2).mean(0) * FPS**2).tolist(),
        power[np.fft.rfftfreq(spoken, 1 / FPS) > 1].sum() / power.sum(), np.quantile(step, 0.95), step.max(),
    )  # fmt: skip
    return {
        **dict(zip(ONE_MAN, values, strict=True)),
        "gaze to the side, deviation while speaking": gaze[:spoken].std(),
        "gaze to the side, deviation in silence": gaze[spoken + FPS :].std(),
        "smile, deviation in silence": rest[:, CONTROLS.index("mouthSmile")].std(),
        "jaw, largest in silence": rest[:, CONTROLS.index("jawOpen")].max(),
        "share of frames with lips that meet": (
            motion.controls.numpy()[:spoken, CONTROLS.index("mouthClose")] > 0.9
        ).mean(),
    }


def main() -> None:
    networks = shipped_networks()
    sound, spoken = speech()
    rows: dict[str, dict] = {"one talking man": ONE_MAN}
    for style in HEAD_STYLES:
        engine = BuiltinMotionEngine(lambda: networks, style=style)
        made = [
            figures(
                generate_motion(engine, sound, Fraction(FPS), seed, MotionSettings(), lambda *_: None), spoken
            )
            for seed in range(SEEDS)
        ]
        rows[style] = {
            name: np.mean([one[name] for one in made], 0, np.float64).round(3).tolist() for name in made[0]
        }
    print(json.dumps(rows, indent=1))
    (ROOT / "benchmarks" / "results" / "builtin_motion.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.inference_mode():
        main()
