"""Every engine that streams keeps the contract: as many frames as in one go, and none by what comes later than its
look-ahead."""

import numpy as np
import pytest
import torch
from scipy.signal import resample_poly
from talking_portrait.models.contracts import STREAMED_FPS, StreamingEngine, members
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.face_motion.time import joined
from talking_portrait.models.progress import silent

from . import engine_samples
from .shipped_engines import RATE, decibels, sample

FIELDS = ("controls", "expression", "pose", "translation", "scale")
STREAMING = {
    name: engine
    for name, engine in engine_samples.ENGINES.items()
    if all(hasattr(engine(), member) for member in members(StreamingEngine))
}


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


def clip(wave: np.ndarray, rate: int = RATE) -> Speech:
    return Speech(torch.from_numpy(np.ascontiguousarray(wave, np.float32))[None], rate)


def test_these_stream():
    assert set(STREAMING) >= {"built-in", "JoyVASA", "Takin-ADA"}


@pytest.mark.parametrize("name", STREAMING)
def test_motion_never_depends_on_what_is_later_than_the_look_ahead(name):
    engine = STREAMING[name]()
    fps = engine.native_fps or STREAMED_FPS
    change = engine.look_ahead + 4.0
    calm = decibels(-12) * np.tile(sample(), 5)[: int((change + 2) * RATE)]
    shouted = calm.copy()
    shouted[int(change * RATE) :] = np.clip(40 * calm[: len(calm) - int(change * RATE)], -1, 1)
    first, second = (
        joined(list(engine.stream(clip(wave), 3, MotionSettings(), silent))) for wave in (calm, shouted)
    )
    known = int((change - engine.look_ahead) * fps)
    assert known >= 99 and len(first) == len(second) == clip(calm).checked(fps)
    for field in FIELDS:
        assert torch.equal(getattr(first, field)[:known], getattr(second, field)[:known]), field
    ends = [
        torch.cat([motion.controls[known:].flatten(), motion.expression[known:].flatten()])
        for motion in (first, second)
    ]
    assert not torch.equal(*ends), "what changed is not heard at all"


@pytest.mark.parametrize("name", STREAMING)
@pytest.mark.parametrize("rate", [16000, 44100])
def test_a_stream_has_the_frames_of_the_whole_at_any_rate(name, rate):
    engine = STREAMING[name]()
    fps = engine.native_fps or STREAMED_FPS
    speech = clip(resample_poly(sample()[: int(5.13 * 16000)], rate // 100, 160), rate)
    streamed = joined(list(engine.stream(speech, 3, MotionSettings(), silent)))
    assert len(streamed) == speech.checked(fps)
    whole = engine.generate(speech, fps, 3, MotionSettings(), silent)
    if name != "built-in":
        torch.testing.assert_close(streamed.expression, whole.expression, rtol=0, atol=0)
    assert np.corrcoef(streamed.controls[:, 0], whole.controls[:, 0])[0, 1] > 0.97
