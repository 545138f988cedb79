"""`run.py live` in a real Chromium whose microphone is a file: the face speaks, in time, and everything stops clean."""

import shutil
import signal
import subprocess
import sys
import tempfile

import pytest
from talking_portrait.tools.comfy_server import PACK
from talking_portrait.tools.graph_page import CHROMIUM, CHROMIUM_FLAGS
from talking_portrait.tools.live.__main__ import arguments_of

SPEECH = PACK / "samples" / "talking_portrait_speech.wav"
SPEAKS = [
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    f"--use-file-for-fake-audio-capture={SPEECH}",
]
PIXELS = """() => {
  const canvas = document.getElementById('face');
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  for (let k = 0; k < data.length; k += 4) sum += data[k] * ((k >> 2) % 97);
  return [canvas.width, canvas.height, sum];
}"""


@pytest.fixture
def live():
    """The command with a small picture, until it says its address; gives the process and the address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "talking_portrait.tools.live", "--size", "256", "--delay", "3"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("Open http://127.0.0.1:"), line
    yield process, line.split()[1]
    if process.poll() is None:
        process.kill()
    process.wait()


@pytest.mark.slow
def test_a_face_speaks_along_with_the_microphone(playwright, live):
    process, address = live
    profile = tempfile.mkdtemp(prefix="talking-portrait-page-")
    browser = playwright.chromium.launch_persistent_context(
        profile, executable_path=CHROMIUM, args=[*CHROMIUM_FLAGS, *SPEAKS], permissions=["microphone"]
    )
    try:
        page = browser.pages[0]
        page.goto(address)
        page.click("#speak")
        page.wait_for_function("() => window.live.shown > 5 || window.live.error", timeout=60_000)
        seen = set()
        for _ in range(5):
            page.wait_for_timeout(400)
            width, height, sum_of_pixels = page.evaluate(PIXELS)
            seen.add(sum_of_pixels)
        page.wait_for_function("() => window.live.report?.shown > 25", timeout=60_000)
        told = page.evaluate("() => window.live")
    finally:
        browser.close()
        shutil.rmtree(profile, ignore_errors=True)
    assert told["error"] is None and (width, height) == (256, 256)
    assert len(seen) > 2, "the picture does not move"
    delays = sorted(told["delays"])
    assert 2.8 < delays[len(delays) // 2] < 3.4
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[0]
    assert process.returncode == 0 and "frames shown" in said


@pytest.mark.slow
def test_what_is_no_picture_is_refused_in_a_sentence():
    command = [sys.executable, "-m", "talking_portrait.tools.live", str(SPEECH)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert ended.returncode == 2 and "cannot be read as a picture" in ended.stderr


@pytest.mark.parametrize(
    ("given", "words"), [(["--delay", "0.1"], "more than 0.43 s"), (["--size", "9000"], "from 64 to 4096")]
)
def test_a_number_out_of_its_range_is_refused_in_a_sentence(capsys, given, words):
    with pytest.raises(SystemExit) as ended:
        arguments_of(given)
    assert ended.value.code == 2 and words in capsys.readouterr().err
