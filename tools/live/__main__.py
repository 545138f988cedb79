"""A face that speaks along with a microphone or a file, in a page of this machine: `python3 run.py live [PORTRAIT]`"""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import comfy.cli_args
import torch

comfy.cli_args.args.cpu = True  # the face's networks are small, and a GPU's queue would only add to the delay

from ...models.builtin.live_voice import LIVE, QUICK
from ...models.contracts import STREAMED_FPS
from ...models.engine import MotionSettings
from ..comfy_server import PACK
from .face import RATE, LiveFace
from .parts import DrawnPortrait, builtin_engine
from .server import LivePage
from .sound import read_sound

PACES = {"quick": QUICK, "calm": LIVE}
COMPUTING = {"quick": 0.15, "calm": 0.25}  # seconds that hearing and drawing may take besides


def arguments_of(given: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="run.py live", description=__doc__)
    parser.add_argument(
        "portrait", nargs="?", type=Path, default=PACK / "samples/talking_portrait_astronaut.png"
    )
    parser.add_argument("--sound", type=Path, help="a file in the place of the microphone")
    parser.add_argument("--pace", choices=PACES, default="quick", help="calm hears better, and 0.26 s later")
    parser.add_argument(
        "--delay", type=float, help="seconds from a sound to its frame; later frames are dropped"
    )
    parser.add_argument("--size", type=int, default=512, help="longest edge of the picture in pixels")
    parser.add_argument("--seed", type=int, default=0, help="of blinks and head")
    parser.add_argument("--port", type=int, default=0, help="of the page; default: a free one")
    asked = parser.parse_args(given)
    least = PACES[asked.pace].look_ahead
    asked.delay = least + COMPUTING[asked.pace] if asked.delay is None else asked.delay
    if not least < asked.delay <= 10:
        parser.error(
            f"--delay is {asked.delay:g}; {asked.pace} needs more than {least:.2f} s, and 10 is the most."
        )
    if not 64 <= asked.size <= 4096:
        parser.error(f"--size is {asked.size}; it must be from 64 to 4096.")
    return asked


async def serve(page: LivePage, port: int, stop: asyncio.Event) -> None:
    """Until `stop`."""
    runner = await page.start(port)
    print(f"Open {page.address} in a browser. Ctrl-C ends it.", flush=True)
    try:
        await stop.wait()
    finally:
        await runner.cleanup()


async def main(given: list[str]) -> int:
    """Carry out a command line; returns the exit status."""
    asked = arguments_of(given)
    torch.set_num_threads(1)  # one core hears, one draws
    try:
        drawn = DrawnPortrait(asked.portrait, asked.size)
        sound = None if asked.sound is None else read_sound(asked.sound, RATE)
    except ValueError as error:
        print(f"run.py live: {error}", file=sys.stderr)
        return 2
    engine = builtin_engine()

    def make_face(show) -> LiveFace:
        voice = engine.begin(asked.seed, MotionSettings(), PACES[asked.pace])
        return LiveFace(engine, voice, drawn.jpegs, asked.delay, show, STREAMED_FPS)

    stop = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        try:
            asyncio.get_running_loop().add_signal_handler(sign, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(sign, lambda *_: stop.set())
    page = LivePage(make_face, asked.delay, sound)
    try:
        await serve(page, asked.port, stop)
    except OSError as error:
        print(f"run.py live: port {asked.port} cannot be used ({error.strerror}).", file=sys.stderr)
        return 2
    for report in page.reports:
        print(report.line())
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
