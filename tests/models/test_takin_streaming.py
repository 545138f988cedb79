"""Takin-ADA's stream is honest: what comes later than its look-ahead changes nothing, whichever encoder hears."""

import numpy as np
import pytest
import torch
from talking_portrait.models.engine import MotionSettings
from talking_portrait.models.face_motion.time import joined
from talking_portrait.models.speech import hubert_layers as hubert
from talking_portrait.models.speech.hubert_layers import HubertHearing
from talking_portrait.models.takin.hubert_engine import HubertTakinEngine
from talking_portrait.models.takin.live_motion import LiveMotion

from .shipped_engines import JAW, RATE, decibels, sample, shipped_takin, speech


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def engine():
    return shipped_takin(steps=1)


def calm_and_shouted(seconds: int) -> tuple[np.ndarray, np.ndarray]:
    """A quiet voice, and the same with a shout in its last second."""
    calm = decibels(-12) * np.tile(sample(), 4)[: seconds * RATE]
    shouted = calm.copy()
    shouted[-RATE:] = np.clip(40 * calm[RATE : 2 * RATE], -1, 1)
    return calm, shouted


def test_a_shout_at_the_end_changes_nothing_before_the_look_ahead(engine):
    calm, shouted = (
        joined(list(engine.stream(speech(sound), 3, MotionSettings()))) for sound in calm_and_shouted(22)
    )
    known = int((21 - engine.look_ahead) * 25)
    assert engine.look_ahead < 7 and known > 350
    for name in ("controls", "expression", "pose", "translation", "scale"):
        assert torch.equal(getattr(calm, name)[:known], getattr(shouted, name)[:known])
    assert (calm.controls - shouted.controls)[-25:, JAW].abs().max() > 0.05, "the shout is not heard at all"


def test_live_frames_are_final_when_they_are_given(engine):
    calm, shouted = (LiveMotion(engine, 3, MotionSettings()) for _ in range(2))
    early = calm.push(speech(calm_and_shouted(8)[0][: 7 * RATE]))
    again = shouted.push(speech(calm_and_shouted(8)[1][: 7 * RATE]))
    assert len(early) > 7 * 25 - 25 * calm.latency - 17 and torch.equal(early.controls, again.controls)


@pytest.mark.slow
def test_blinks_of_the_stream_are_those_of_the_clip_and_a_live_voice_has_them_too(engine):
    sound = np.tile(sample(), 2)
    stream = joined(list(engine.stream(speech(sound), 5, MotionSettings())))
    whole = engine.generate(speech(sound), 25, 5, MotionSettings(), lambda done, total: None)
    live = LiveMotion(engine, 5, MotionSettings())
    parts = [
        live.push(speech(sound[k : k + RATE]), last=k + RATE >= len(sound))
        for k in range(0, len(sound), RATE)
    ]
    spoken = joined([part for part in parts if part is not None])
    assert stream.source["blinks"] == whole.source["blinks"] and len(whole.source["blinks"]) >= 3
    np.testing.assert_allclose(spoken.source["blinks"][:3], whole.source["blinks"][:3], atol=0.3)


class LoudnessOf:
    """In place of a HuBERT: a layer that is the mean size of each frame's samples as they were given."""

    hears_normalised = True

    def __call__(self, wave: torch.Tensor) -> torch.Tensor:
        return wave.abs().unfold(1, 400, 320).mean(2)[:, :, None]


def test_a_hubert_does_not_know_how_loud_the_rest_of_the_clip_is(monkeypatch):
    monkeypatch.setattr(hubert, "BLOCK", 100)
    calm, shouted = calm_and_shouted(8)
    early, again = (HubertHearing(LoudnessOf(), sound).between(0, 200) for sound in (calm, shouted))
    assert torch.equal(early, again)
    one = HubertHearing(LoudnessOf(), calm).between(0, 100)
    assert torch.allclose(one, HubertHearing(LoudnessOf(), 0.1 * calm).between(0, 100), atol=0.02), (
        "loudness is not taken out"
    )


def test_a_hubert_s_stream_says_how_far_it_hears(engine):
    slow = HubertTakinEngine(engine.network, engine.speech_network, "hubert-x", engine.options)
    assert slow.look_ahead == pytest.approx(engine.look_ahead + 21)
