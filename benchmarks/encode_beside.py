"""What encoding beside drawing brings: 1080p films of frames that a GPU draws, encoded in turn and in a thread.

    python3 run.py python benchmarks/encode_beside.py

The GPU is a stand-in that keeps no processor for as long as a frame is said to take. Prints milliseconds per frame of
drawing alone, encoding alone, one after the other and beside each other, and how near the last is to the larger of the
first two; writes benchmarks/results/encode_beside.json.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import comfy.cli_args
import torch

comfy.cli_args.args.cpu = True
from talking_portrait.models.media.beside import Beside
from talking_portrait.models.media.video_stream import VideoStreamWriter

RESULTS = Path(__file__).resolve().parent / "results" / "encode_beside.json"
HEIGHT, WIDTH, FRAMES = 1080, 1920, 60
DRAWN_IN = (0.02, 0.04, 0.08)  # seconds a frame


def pictures() -> list[torch.Tensor]:
    """A soft picture that drifts, in bytes."""
    rough = torch.rand(1, 3, 30, 54, generator=torch.Generator().manual_seed(0))
    wide = torch.nn.functional.interpolate(rough, (HEIGHT, WIDTH + 64), mode="bicubic").clamp(0, 1)
    whole = (255 * wide[0].permute(1, 2, 0)).byte()
    return [whole[:, shift : shift + WIDTH].contiguous()[None] for shift in range(0, 32, 4)]


def film(seconds: float, give: Callable[[torch.Tensor], object], frames: list[torch.Tensor]) -> None:
    for number in range(FRAMES):
        time.sleep(seconds)
        give(frames[number % len(frames)])


def timed(work: Callable[[], None]) -> float:
    """Milliseconds a frame."""
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started) / FRAMES


def main() -> None:
    frames, rows, load = pictures(), {}, os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:

        def written(seconds: float, beside: bool) -> None:
            with VideoStreamWriter(Path(folder) / "film.mp4", Fraction(25), None, 0) as writer:
                if not beside:
                    film(seconds, writer.write, frames)
                    return
                with Beside(writer.write) as encoding:
                    film(seconds, encoding.give, frames)

        written(0, False)
        for seconds in DRAWN_IN:
            drawing = timed(partial(film, seconds, lambda frame: None, frames))
            encoding = timed(partial(written, 0, False))
            in_turn, beside = (timed(partial(written, seconds, both)) for both in (False, True))
            rows[f"{1000 * seconds:g} ms of drawing"] = {
                "drawing alone, ms a frame": round(drawing, 1), "encoding alone, ms a frame": round(encoding, 1),
                "in turn, ms a frame": round(in_turn, 1), "beside, ms a frame": round(beside, 1),
                "beside over the larger of the two": round(beside / max(drawing, encoding), 2),
                "in turn over beside": round(in_turn / beside, 2),
            }  # fmt: skip
    result = {"size": f"{WIDTH}x{HEIGHT}", "frames": FRAMES, "load before": round(load, 2), **rows}
    print(json.dumps(result, indent=1))
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
