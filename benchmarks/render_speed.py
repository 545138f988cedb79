"""What a second of the built-in film costs, all in: hearing and motion, drawing, encoding, at three sizes of picture.

    python3 run.py python benchmarks/render_speed.py [THREADS]

Prints seconds of CPU time per second of film at 25 fps and writes benchmarks/results/render_speed.json, with the
machine's load at that time. THREADS (1) are what torch may use. The picture is the sample, enlarged, whose head's
rectangle fills it: pictures with more background cost less.
"""

import json
import os
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import comfy.cli_args
import numpy as np
import torch
from PIL import Image

comfy.cli_args.args.cpu = True
from talking_portrait.models.builtin.motion_engine import BuiltinMotionEngine
from talking_portrait.models.builtin.warp import WarpRenderer
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.face.landmarks import landmarks_in_pixels
from talking_portrait.models.face.weights import load_face_detector, load_person_segmenter
from talking_portrait.models.face_motion import FaceMotion
from talking_portrait.models.face_motion.time import slice_motion
from talking_portrait.models.media.video_stream import VideoStreamWriter
from talking_portrait.models.portrait import FaceLandmarks478
from talking_portrait.models.rendering import Canvas, drawn_part, render_bytes
from talking_portrait.training.speech_net.shipped import shipped_networks
from talking_portrait.training.speech_net.synthesisers import read_wav

ROOT = Path(__file__).resolve().parent.parent
FPS, CPU = Fraction(25), torch.device("cpu")
SIZES = {"512x512": 184, "1080x1920": 75, "3000x4000": 25}  # width x height, frames
FIRST_FRAME = 1
FACE_MIDDLE = 0.44  # of the sample's width


def picture(width: int, height: int) -> Image.Image:
    """The sample enlarged until it covers that size, cut around the face."""
    sample = Image.open(ROOT / "samples" / "talking_portrait_astronaut.png").convert("RGB")
    scale = max(width / sample.width, height / sample.height)
    large = sample.resize(
        (round(sample.width * scale), round(sample.height * scale)), Image.Resampling.LANCZOS
    )
    left = min(max(0, int(FACE_MIDDLE * large.width) - width // 2), large.width - width)
    return large.crop((left, 0, left + width, height))


def spoken() -> tuple[FaceMotion, float]:
    """The motion of the sample speech, and seconds of CPU time per second of it, nothing kept from before."""
    waveform = read_wav(ROOT / "samples" / "talking_portrait_speech.wav").astype(np.float32) / 32768
    speech = Speech(torch.from_numpy(waveform)[None], 16000)
    networks = shipped_networks()
    engine = BuiltinMotionEngine(lambda: networks)
    spent = []
    for gain in (1.0, 0.99):
        louder = Speech(gain * speech.waveform, 16000)  # another sound: hearing is kept for the same one
        started = time.process_time()
        motion = engine.generate(louder, FPS, 7, MotionSettings(), lambda done, total: None)
        spent.append(time.process_time() - started)
    return motion, spent[1] / float(speech.seconds)


def film(width: int, height: int, motion: FaceMotion) -> dict[str, float]:
    """Seconds of CPU time per second of film for drawing and encoding, and of the clock for both."""
    pixels = np.array(picture(width, height))
    image = torch.from_numpy(pixels).float() / 255
    points = landmarks_in_pixels(load_face_detector().detect_batch([pixels], 1, 0.4, "short")[0][0])
    renderer = WarpRenderer()
    started = time.process_time()
    portrait = renderer.prepare(image, FaceLandmarks478(points), load_person_segmenter().mask(image))
    prepared, drawing = time.process_time() - started, 0.0
    canvas = Canvas(portrait.image, drawn_part(renderer, portrait))
    first = slice_motion(motion, 0, 1)
    next(render_bytes(renderer, portrait, first, CPU))  # the first of a process loads compiled code
    with tempfile.TemporaryDirectory() as folder:
        whole, clock = time.process_time(), time.monotonic()
        with VideoStreamWriter(Path(folder) / "film.mp4", FPS, None, 0, crf=16.0) as writer:
            started = time.thread_time()
            for parts in render_bytes(renderer, portrait, motion, CPU):
                drawing += time.thread_time() - started
                for part in parts:
                    writer.write(canvas.lay(part)[None])
                started = time.thread_time()
        whole, clock = time.process_time() - whole, time.monotonic() - clock
    seconds = float(len(motion) / FPS)
    left, top, right, bottom = drawn_part(renderer, portrait)
    return {
        "drawing": drawing / seconds, "the rest, encoding": (whole - drawing) / seconds,
        "both": whole / seconds, "by the clock": clock / seconds, "prepare, once, s": prepared,
        "share of the picture that is drawn": (right - left) * (bottom - top) / (width * height),
    }  # fmt: skip


def main(threads: int) -> None:
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    load = os.getloadavg()[0]
    motion, heard = spoken()
    rows = {"threads": threads, "load at the start": load, "motion": heard}
    for size, frames in SIZES.items():
        width, height = (int(side) for side in size.split("x"))
        found = film(width, height, slice_motion(motion, FIRST_FRAME, FIRST_FRAME + frames))
        rows[size] = {**found, "all in, CPU s per s of film": found["both"] + heard}
    rows["load at the end"] = os.getloadavg()[0]
    print(json.dumps(rows, indent=1))
    target = ROOT / "benchmarks" / "results" / "render_speed.json"
    target.parent.mkdir(exist_ok=True)
    kept = json.loads(target.read_text()) if target.is_file() else {}
    kept[f"{threads} thread{'s' * (threads > 1)}"] = rows
    target.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
