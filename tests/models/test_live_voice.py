"""The built-in engine on a live voice: the same frames however it is cut, none by what is still to come, and nearly
those of the whole clip."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from talking_portrait.models.builtin.live_voice import LIVE, QUICK
from talking_portrait.models.builtin.motion_engine import BuiltinMotionEngine
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.face_motion import CONTROLS
from talking_portrait.models.face_motion.time import joined
from talking_portrait.models.progress import silent

from .remembering import remembering_ear
from .shipped_engines import RATE, clips

JAW, CLOSE = CONTROLS.index("jawOpen"), CONTROLS.index("mouthClose")
SETTINGS = MotionSettings()


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def engine() -> BuiltinMotionEngine:
    return BuiltinMotionEngine(remembering_ear)


def voice(seconds: float) -> np.ndarray:
    return np.tile(clips("rms_000")["rms_000"]["wave"], 3)[: int(seconds * RATE)]


def speech(wave: np.ndarray) -> Speech:
    return Speech(torch.from_numpy(np.ascontiguousarray(wave, np.float32))[None], RATE)


def told(live, wave: np.ndarray, size: int):
    pieces = [wave[start : start + size] for start in range(0, len(wave), size)]
    parts = [live.push(speech(piece), piece is pieces[-1]) for piece in pieces]
    return joined([part for part in parts if part is not None])


@pytest.mark.parametrize("pace", [LIVE, QUICK])
@pytest.mark.parametrize("size", [517, 16000])
def test_pieces_give_the_frames_of_the_whole(engine, size, pace):
    wave = voice(4.2)
    whole, cut = (told(engine.begin(3, SETTINGS, pace), wave, count) for count in (len(wave), size))
    assert len(whole) == len(cut) == 105
    assert (whole.controls - cut.controls).abs().max() < 0.01
    assert (whole.pose - cut.pose).abs().max() < 0.01
    assert whole.source["blinks"] == cut.source["blinks"] and whole.source["blinks"]


@pytest.mark.parametrize("pace", [LIVE, QUICK])
def test_what_is_still_to_come_changes_no_frame(engine, pace):
    calm = voice(5.0)
    shout = calm.copy()
    shout[3 * RATE :] = np.clip(30 * calm[: 2 * RATE], -1, 1)
    first, second = (told(engine.begin(3, SETTINGS, pace), wave, 1600) for wave in (calm, shout))
    known = int((3.0 - engine.begin(3, SETTINGS, pace).latency) * 25)
    assert known > 40
    torch.testing.assert_close(first.controls[:known], second.controls[:known], rtol=0, atol=0)
    torch.testing.assert_close(first.pose[:known], second.pose[:known], rtol=0, atol=0)
    assert (first.controls[75:] - second.controls[75:]).abs().max() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("pace, most", [(LIVE, 0.6), (QUICK, 0.44)])
def test_no_frame_is_later_than_the_latency_says(engine, pace, most):
    live, wave = engine.begin(3, SETTINGS, pace), voice(6.0)
    given = 0
    for start in range(0, len(wave), 800):
        motion = live.push(speech(wave[start : start + 800]))
        given += 0 if motion is None else len(motion)
        assert (start + 800) / RATE - given / 25 <= live.latency
    assert given > 100 and live.latency < most


@pytest.mark.slow
def test_a_state_can_be_used_twice(engine):
    wave, live = voice(5.0), engine.begin(3, SETTINGS)
    live.push(speech(wave[: 3 * RATE]))
    branch = live.branch()
    ends = [part.push(speech(wave[3 * RATE :]), True) for part in (branch, live)]
    torch.testing.assert_close(ends[0].controls, ends[1].controls, rtol=0, atol=0)


@pytest.mark.slow
def test_the_mouth_is_nearly_that_of_the_whole_clip(engine):
    wave = voice(8.0)
    whole = engine.generate(speech(wave), Fraction(25), 3, SETTINGS, silent)
    streamed = joined(list(engine.stream(speech(wave), 3, SETTINGS)))
    for motion, least in (
        (streamed, 0.9),
        (told(engine.begin(3, SETTINGS), wave, 3200), 0.85),
        (told(engine.begin(3, SETTINGS, QUICK), wave, 3200), 0.75),
    ):
        assert len(motion) == len(whole) == 200
        for control in (JAW, CLOSE):
            both = np.corrcoef(motion.controls[:, control], whole.controls[:, control])
            assert both[0, 1] > least


@pytest.mark.slow
def test_a_live_face_lives_in_silence_with_a_mouth_at_rest(engine):
    quiet = (np.random.default_rng(0).standard_normal(8 * RATE) * 1e-3).astype(np.float32)
    motion = told(engine.begin(3, SETTINGS), quiet, 4000)
    assert motion.controls[:, JAW].max() < 0.05
    assert motion.pose.std(0).min() > 0.1
    assert motion.controls[:, CONTROLS.index("gazeX")].std() > 0.02
    assert len(motion.source["blinks"]) >= 1


@pytest.mark.slow
def test_memory_does_not_grow_with_the_voice(engine):
    live = engine.begin(3, SETTINGS)
    sizes = []
    for _ in range(5):
        live.push(speech(voice(2.0)))
        sizes.append(
            sum(len(part) for part in (live.heard, live.loud, live.mouth, live.still, live.visemes.wave))
        )
    assert max(sizes[2:]) <= max(sizes[:2]) * 1.5
