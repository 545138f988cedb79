"""A live voice in pieces: the same motion however it is cut, states that can be used twice, a quiet mouth in
silence."""

from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.face_motion import CONTROLS
from talking_portrait.models.face_motion.time import joined
from talking_portrait.models.takin.engine import TakinEngine
from talking_portrait.models.takin.live_motion import LiveMotion

from .shipped_engines import shipped_takin

ROOT = Path(__file__).resolve().parent.parent.parent
RATE = 16000
JAW, CLOSE = CONTROLS.index("jawOpen"), CONTROLS.index("mouthClose")


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def engine() -> TakinEngine:
    return shipped_takin()


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    return librosa.load(ROOT / "samples" / "talking_portrait_speech.wav", sr=RATE)[0]


def speech(wave: np.ndarray) -> Speech:
    return Speech(torch.from_numpy(np.ascontiguousarray(wave, np.float32))[None], RATE)


def told(live: LiveMotion, wave: np.ndarray, sizes: list[int]):
    """Push a wave in pieces of these sizes, over and over; the last ends it."""
    parts, start, number = [], 0, 0
    while start < len(wave):
        size = sizes[number % len(sizes)]
        part = live.push(speech(wave[start : start + size]), last=start + size >= len(wave))
        parts += [] if part is None else [part]
        start, number = start + size, number + 1
    return joined(parts)


def test_pieces_make_the_same_motion_as_the_whole(engine, voice):
    whole = told(LiveMotion(engine, 3, MotionSettings()), voice, [len(voice)])
    pieces = told(LiveMotion(engine, 3, MotionSettings()), voice, [16000, 4800, 12345])
    assert len(whole) == len(pieces) == round(len(voice) / RATE * 25)
    for name in ("pose", "translation", "scale"):
        torch.testing.assert_close(getattr(whole, name), getattr(pieces, name), atol=1e-4, rtol=0)
    opened, cut = whole.controls[:, JAW], pieces.controls[:, JAW]
    # silence is told from what was heard so far
    assert torch.corrcoef(torch.stack([opened, cut]))[0, 1] > 0.95


@pytest.mark.slow
def test_live_lips_follow_as_the_whole_clip_s_do(engine, voice):
    live = told(LiveMotion(engine, 3, MotionSettings()), voice, [8000])
    offline = joined(list(engine.stream(speech(voice), 3, MotionSettings())))
    assert torch.corrcoef(torch.stack([live.controls[:, JAW], offline.controls[:, JAW]]))[0, 1] > 0.8


@pytest.mark.slow
def test_a_stream_gives_its_first_frames_before_its_end_and_is_the_whole(engine, voice):
    ticks, long = [], speech(np.tile(voice, 2))
    pieces = engine.stream(long, 3, MotionSettings(), lambda done, total: ticks.append(done / total))
    first = next(pieces)
    assert len(first) < 0.5 * float(long.seconds) * 25 and ticks[-1] < 0.6
    whole = engine.generate(long, 25, 3, MotionSettings(), lambda done, total: None)
    again = joined([first, *pieces])
    assert torch.equal(again.controls, whole.controls) and torch.equal(again.pose, whole.pose)


def test_a_state_can_be_gone_on_from_twice(engine, voice):
    live = LiveMotion(engine, 3, MotionSettings())
    live.push(speech(voice[:48000]))
    one, two = (live.branch().push(speech(voice[48000:80000])) for _ in range(2))
    assert torch.equal(one.controls, two.controls) and torch.equal(one.pose, two.pose)
    assert torch.equal(live.push(speech(voice[48000:80000])).controls, one.controls)


def test_silence_closes_the_mouth(engine, voice):
    quiet = np.concatenate([voice[:48000], np.zeros(64000, np.float32)])
    motion = told(LiveMotion(engine, 3, MotionSettings()), quiet, [16000])
    assert motion.controls[-50:, JAW].abs().max() < 0.05 and motion.controls[:75, JAW].max() > 0.2


def test_too_short_a_first_piece_gives_nothing_yet(engine, voice):
    live = LiveMotion(engine, 3, MotionSettings())
    assert live.push(speech(voice[:8000])) is None and 1.5 < live.latency < 2.5
