"""Clicks and seconds from starting ComfyUI to the first film, in its real page, with an artist's own picture and voice.

    python3 run.py python benchmarks/first_film.py [PICTURES_FOLDER]

The shipped sample as it is; and a phone's photo of 12 megapixels with ten seconds of voice, uploaded at the nodes (two
clicks a file: the button, and the file in the system's window). Writes benchmarks/results/first_film.json; screenshots
of every step go into PICTURES_FOLDER, if named.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import comfy.cli_args
import numpy as np
import psutil
from PIL import Image
from scipy.io import wavfile

comfy.cli_args.args.cpu = True
from talking_portrait.tools.comfy_server import ComfyServer
from talking_portrait.tools.graph_page import choose_style, open_page

ROOT = Path(__file__).resolve().parent.parent
PHONE, VOICE_SECONDS = (3024, 4032), 10
TEMPLATE = "01 Talking portrait (no download)"


class Session:
    """One artist: clicks are counted, steps can be photographed."""

    def __init__(self, server: ComfyServer, page: Any, pictures: Path | None):
        self.server, self.page, self.pictures, self.clicks = server, page, pictures, 0

    def click(self, what: Any, wait: str | None = None) -> None:
        what.click()
        self.clicks += 1
        if wait:
            self.page.wait_for_selector(wait)
        if self.pictures:
            self.page.wait_for_timeout(1500)
            self.page.screenshot(path=self.pictures / f"{self.clicks}.png")

    def open_template(self) -> None:
        page = self.page
        self.click(page.get_by_text("Templates", exact=True).first, "text=talking_portrait")
        self.click(page.get_by_text("talking_portrait", exact=True).last, f"text={TEMPLATE}")
        self.click(page.get_by_text(TEMPLATE, exact=True).first)
        page.wait_for_function("() => app.graph._nodes.some((one) => one.comfyClass === 'SaveVideo')")

    def upload(self, node: str, file: Path) -> None:
        """Put a file of one's own into a node."""
        number = self.page.evaluate(
            "(type) => app.graph._nodes.find((one) => one.comfyClass === type).id", node
        )
        self.page.locator(f'[data-node-id="{number}"] input[type=file]').set_input_files(file)
        self.clicks += 2
        self.page.wait_for_function(
            "([id, name]) => app.graph.getNodeById(id).widgets.some((widget) => widget.value === name)",
            arg=[number, file.name],
        )

    def run(self) -> tuple[float, float]:
        """Seconds until the film is there, and the server's largest memory in GB meanwhile."""
        process, largest, started = psutil.Process(self.server.process.pid), 0.0, time.perf_counter()
        self.click(self.page.get_by_test_id("queue-button"))
        while not list((self.server.base / "output" / "video").glob("*.mp4")):
            largest = max(largest, process.memory_info().rss / 1e9)
            time.sleep(0.2)
        return time.perf_counter() - started, largest


def phone_photo(folder: Path) -> Path:
    """The shipped portrait at the size of a phone's photo."""
    path = folder / "phone_photo.jpg"
    sample = Image.open(ROOT / "samples" / "talking_portrait_astronaut.png").convert("RGB")
    sample.resize((PHONE[0], PHONE[0]), Image.Resampling.LANCZOS).crop((0, 0, *PHONE)).save(path)
    return path


def voice(folder: Path) -> Path:
    """Ten seconds of the shipped voice."""
    rate, wave = wavfile.read(ROOT / "samples" / "talking_portrait_speech.wav")
    path = folder / "voice.wav"
    wavfile.write(path, rate, np.resize(wave, VOICE_SECONDS * rate))
    return path


def first_film(pictures: Path | None, own: tuple[Path, Path] | None) -> dict[str, Any]:
    """From the start of the server to a film, with the sample or with a picture and a voice of one's own."""
    started = time.perf_counter()
    with ComfyServer(Path(os.environ["COMFYUI_PATH"])) as server, open_page(server) as page:
        ready = time.perf_counter() - started
        choose_style(page, "Nodes 2.0")
        artist = Session(server, page, pictures)
        artist.open_template()
        if own:
            for node, file in zip(("LoadImage", "LoadAudio"), own, strict=True):
                artist.upload(node, file)
        opened = time.perf_counter() - started - ready
        ran, memory = artist.run()
        return {
            "clicks": artist.clicks,
            "seconds until the page is there": ready,
            "seconds of choosing, as fast as the page allows": opened,
            "seconds from Run to the film": ran,
            "server's memory, GB": memory,
        }


def main() -> None:
    pictures = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as folder:
        own = phone_photo(Path(folder)), voice(Path(folder))
        rows = {
            "the sample, 7.4 s at 512x512": first_film(pictures, None),
            "a photo of 3024x4032, 10 s": first_film(None, own),
        }
    rows["processes that waited for the two cores, on average"] = os.getloadavg()[0]
    print(json.dumps(rows, indent=1))
    target = ROOT / "benchmarks" / "results" / "first_film.json"
    target.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
