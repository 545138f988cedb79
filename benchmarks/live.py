"""A live face for a minute in real time, and what its look-ahead costs: python3 run.py python benchmarks/live.py

The sample speech, again and again, is given as a microphone would, 20 ms at a time, to the built-in engine and renderer
at 512x512. Counts frames shown and dropped, by delay; nothing is shown late. Also how nearly each pace hears what
`generate` hears of the whole clip: on the test clips and the sample. --page measures in Chromium, whose microphone is
the file, from the sound's capture to the drawn frame. Writes benchmarks/results/live.json; the parts that were not
measured this time stay.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from fractions import Fraction

import comfy.cli_args
import numpy as np
import psutil

comfy.cli_args.args.cpu = True
import torch
from talking_portrait.models.builtin.live_voice import FILM, LIVE, QUICK, LiveVoice
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.face_motion import CONTROLS
from talking_portrait.models.face_motion.time import joined, slice_motion
from talking_portrait.models.progress import silent
from talking_portrait.tools.comfy_server import PACK
from talking_portrait.tools.graph_page import CHROMIUM, CHROMIUM_FLAGS
from talking_portrait.tools.live.__main__ import COMPUTING
from talking_portrait.tools.live.face import AT_ONCE, RATE, LiveFace
from talking_portrait.tools.live.parts import DrawnPortrait, builtin_engine
from talking_portrait.tools.live.sound import read_sound

RESULT = PACK / "benchmarks/results/live.json"
SPEECH = PACK / "samples/talking_portrait_speech.wav"
PICTURE = PACK / "samples/talking_portrait_astronaut.png"
PACES = {"film": FILM, "calm": LIVE, "quick": QUICK}
PARTS = ["cost", "paces", "paper quick", "paper calm", "quick", "calm", "page"]
FPS, PIECE, SIZE = Fraction(25), RATE // 50, 512
JAW, CLOSE = CONTROLS.index("jawOpen"), CONTROLS.index("mouthClose")
SETTLED = 12  # frames: before them a live voice knows nothing yet


def machine(load: float) -> dict:
    """What else goes on here."""
    return {
        "cores": os.cpu_count(),
        "load_at_start": round(load, 2),
        "load_at_end": round(os.getloadavg()[0], 2),
    }


def minute(pace: str, seconds: float) -> dict:
    """The report of so many seconds, and what they cost."""
    drawn, engine, load = DrawnPortrait(PICTURE, SIZE), builtin_engine(), os.getloadavg()[0]
    sound = np.resize(read_sound(SPEECH, RATE), int(seconds * RATE))
    delay = PACES[pace].look_ahead + COMPUTING[pace]
    voice = engine.begin(0, MotionSettings(), PACES[pace])
    face: LiveFace

    def show(frame) -> None:  # what the page's server does: it waits, and sends
        face.report.show(max(frame.due, face.now()) - frame.spoken)

    face = LiveFace(engine, voice, drawn.jpegs, delay, show, FPS)
    spent = psutil.Process().cpu_times()
    with face:
        began = time.monotonic()
        for start in range(0, len(sound), PIECE):
            piece = sound[start : start + PIECE]
            time.sleep(max(0.0, began + (start + len(piece)) / RATE - time.monotonic()))
            face.hear(piece)
        time.sleep(delay)
    now = psutil.Process().cpu_times()
    told = face.report.told()
    return {
        "look_ahead": round(PACES[pace].look_ahead, 3), "delay": round(delay, 3), "seconds": seconds, **told,
        "frames_a_second": round(told["shown"] / seconds, 2),
        "cpu_seconds_a_second": round((now.user + now.system - spent.user - spent.system) / seconds, 2),
        **machine(load),
    }  # fmt: skip


@torch.inference_mode()
def on_paper(pace: str, seconds: float) -> dict:
    """The same where hearing and drawing have a core each to themselves: told from the CPU time that each step took
    here, so whoever else was at work does not count, but for what they did to the caches. Not by the clock."""
    drawn, engine, load = DrawnPortrait(PICTURE, SIZE), builtin_engine(), os.getloadavg()[0]
    sound = np.resize(read_sound(SPEECH, RATE), int(seconds * RATE))
    delay, voice = PACES[pace].look_ahead + COMPUTING[pace], engine.begin(0, MotionSettings(), PACES[pace])
    begin, mark, number = 0.0, 0.0, 0
    heard = drew = 0.0  # when each core is free again
    face = LiveFace(
        engine, voice, drawn.jpegs, delay, lambda frame: face.report.show(max(frame.due, face.now()) - frame.spoken),
        FPS, lambda: begin + time.thread_time() - mark,
    )  # fmt: skip
    for start in range(0, len(sound), PIECE):
        piece = sound[start : start + PIECE]
        arrived = (start + len(piece)) / RATE
        face.clock.heard(len(piece), arrived)
        spent = time.thread_time()
        motion = voice.push(speech(piece))
        heard = max(heard, arrived) + time.thread_time() - spent
        if motion is not None:
            face.motions.put((motion, number))
            face.motions.put(None)
            begin, mark, number = max(heard, drew), time.thread_time(), number + len(motion)
            face._draw()
            drew = face.now()
    told = face.report.told()
    return {
        "look_ahead": round(PACES[pace].look_ahead, 3), "delay": round(delay, 3), "seconds": seconds, **told,
        "frames_a_second": round(told["shown"] / seconds, 2), **machine(load),
    }  # fmt: skip


@torch.inference_mode()
def cost() -> dict:
    """CPU seconds that a second of live face takes: hearing by pace, drawing with its JPEG; one thread each."""
    drawn, engine, found = DrawnPortrait(PICTURE, SIZE), builtin_engine(), {}
    sound = np.resize(read_sound(SPEECH, RATE), 12 * RATE)
    motions = []
    for pace in ("quick", "calm"):
        voice, spent = engine.begin(0, MotionSettings(), PACES[pace]), time.thread_time()
        motions = [voice.push(speech(sound[k : k + PIECE])) for k in range(0, len(sound), PIECE)]
        found[f"hearing, {pace}"] = round((time.thread_time() - spent) / 12, 3)
    motion = joined([part for part in motions if part is not None])
    frames = [slice_motion(motion, k, k + AT_ONCE) for k in range(0, 150, AT_ONCE)]
    drawn.jpegs(frames[0])
    spent = time.thread_time()
    for frame in frames:
        drawn.jpegs(frame)
    found["drawing, 25 frames"] = round((time.thread_time() - spent) / 6, 3)
    return {**found, "load": round(os.getloadavg()[0], 2)}


def waves() -> dict[str, np.ndarray]:
    """The test clips and the sample, mono at 16 kHz."""
    data, found = np.load(PACK / "tests/data/speech_clips.npz"), {"sample": read_sound(SPEECH, RATE)}
    for key in data.files:
        name, field = key.rsplit(".", 1)
        if field == "wave":
            x = data[key] / 255 * 2 - 1
            found[name] = (np.sign(x) * (256 ** np.abs(x) - 1) / 255).astype(np.float32)
    return found


def speech(wave: np.ndarray) -> Speech:
    return Speech(torch.from_numpy(np.ascontiguousarray(wave, np.float32))[None], RATE)


@torch.inference_mode()
def paces() -> dict:
    """How nearly each pace moves jaw and closed lips as the whole clip has them."""
    engine, settings, found = builtin_engine(), MotionSettings(), {}
    clips = waves()
    whole = {
        name: engine.generate(speech(wave), FPS, 3, settings, silent).controls.numpy()
        for name, wave in clips.items()
    }
    for pace, how in PACES.items():
        jaws, lips, kept, total, fastest = [], [], 0, 0, 0.0
        for name, wave in clips.items():
            voice = LiveVoice(engine, 3, settings, how)
            pieces = range(0, len(wave), 2 * PIECE)
            parts = [voice.push(speech(wave[k : k + 2 * PIECE]), k == pieces[-1]) for k in pieces]
            moved = joined([part for part in parts if part is not None]).controls.numpy()[SETTLED:]
            wanted = whole[name][SETTLED : SETTLED + len(moved)]
            jaws.append(np.corrcoef(moved[:, JAW], wanted[:, JAW])[0, 1])
            lips.append(np.corrcoef(moved[:, CLOSE], wanted[:, CLOSE])[0, 1])
            shut = np.flatnonzero(wanted[:, CLOSE] > 0.9)
            kept += sum(moved[max(0, k - 1) : k + 2, CLOSE].max() > 0.8 for k in shut)
            total, fastest = total + len(shut), max(fastest, float(np.abs(np.diff(moved[:, JAW])).max()))
        found[pace] = {
            "look_ahead": round(how.look_ahead, 3), "jaw_r": round(float(np.mean(jaws)), 3),
            "jaw_r_worst": round(float(np.min(jaws)), 3), "lips_r": round(float(np.mean(lips)), 3),
            "frames_of_closed_lips_kept": f"{kept} of {total}", "fastest_jaw_a_frame": round(fastest, 2),
        }  # fmt: skip
    return {"clips": len(clips), **found}


def in_the_page(seconds: float) -> dict:
    """From the microphone to the drawn frame, by the page's own clock."""
    from playwright.sync_api import sync_playwright

    load, profile = os.getloadavg()[0], tempfile.mkdtemp(prefix="talking-portrait-page-")
    command = [sys.executable, "-m", "talking_portrait.tools.live", str(PICTURE), "--size", str(SIZE)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().split()[1]
    flags = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
             f"--use-file-for-fake-audio-capture={SPEECH}"]  # fmt: skip
    with sync_playwright() as driver:
        browser = driver.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=[*CHROMIUM_FLAGS, *flags], permissions=["microphone"]
        )
        page = browser.pages[0]
        page.goto(address)
        page.click("#speak")
        page.wait_for_timeout(1000 * seconds)
        told = page.evaluate("() => window.live")
        browser.close()
    shutil.rmtree(profile, ignore_errors=True)
    process.send_signal(signal.SIGINT)
    process.wait(60)
    delays = np.array(told["delays"])
    return {
        "seconds": seconds, "drawn": told["shown"], "dropped": told["report"]["dropped"],
        "skipped_seconds": told["report"]["skipped_seconds"],
        "delay_median": round(float(np.median(delays)), 3), "delay_95": round(float(np.quantile(delays, 0.95)), 3),
        "delay_worst": round(float(delays.max()), 3), **machine(load),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument(
        "--parts", nargs="+", default=["cost", "paces", "paper quick", "paper calm", "quick", "calm", "page"]
    )
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    for part in asked.parts:
        if part in ("cost", "paces"):
            found[part] = cost() if part == "cost" else paces()
        elif part.startswith("paper "):
            found[part] = on_paper(part.removeprefix("paper "), asked.seconds)
        else:
            found[part] = in_the_page(asked.seconds) if part == "page" else minute(part, asked.seconds)
        print(part, json.dumps(found[part]), flush=True)
        RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
