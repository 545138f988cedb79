"""What is usual for a voice, kept as it runs, is what the whole recording says; however sound is cut, the
same is heard."""

import numpy as np
import pytest
import torch
from talking_portrait.models.speech.features import loudest, speech_features, voiced_mean
from talking_portrait.models.speech.listening import Heard, Listener
from talking_portrait.models.speech.running_voice import RunningVoice
from talking_portrait.models.speech.silence import LOUD_REACH_DB

from .shipped_engines import RATE, clips, noise

SPOKEN = np.ones(20_000, np.float32)


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


def features(sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return speech_features(sound[None], RATE)


def long_speech() -> np.ndarray:
    return np.concatenate([clip["wave"] for clip in clips("rms").values()])


def heard(listener: Listener, sound: np.ndarray, sizes: list[int]) -> list[Heard]:
    mel, loudness = features(sound)
    found, start, number = [], 0, 0
    while start < len(mel):
        stop = start + sizes[number % len(sizes)]
        found += listener.push(mel[start:stop], loudness[start:stop], last=stop >= len(mel))
        start, number = stop, number + 1
    return found


@pytest.mark.parametrize("voice", ["rms", "espeak", "festival"])
def test_the_running_voice_is_that_of_the_whole_recording(voice):
    mel, loudness = features(np.concatenate([clip["wave"] for clip in clips(voice).values()]))
    running = RunningVoice()
    for start in range(0, len(mel), 37):
        piece = slice(start, start + 37)
        running.hear(mel[piece], loudness[piece], SPOKEN[: len(mel[piece])])
    assert (
        np.abs(running.mean - voiced_mean(mel)).max() < 0.35
        and np.abs(running.mean - voiced_mean(mel)).mean() < 0.12
    )
    assert running.loudest == pytest.approx(loudest(loudness, LOUD_REACH_DB), abs=1.0)


def test_what_is_no_speech_does_not_count():
    mel, loudness = features(long_speech())
    alone, among = RunningVoice(), RunningVoice()
    alone.hear(mel, loudness, SPOKEN[: len(mel)])
    among.hear(*features(noise(30, -5)), 0 * SPOKEN[:3000])
    among.hear(mel, loudness, SPOKEN[: len(mel)])
    np.testing.assert_array_equal(among.mean, alone.mean)
    assert among.loudest == alone.loudest


def test_a_new_microphone_is_known_after_a_while():
    mel, loudness = features(long_speech())
    running = RunningVoice()
    running.hear(mel, loudness, SPOKEN[: len(mel)])
    before = running.loudest
    for _ in range(12):
        running.hear(mel - 4.6, loudness - 20, SPOKEN[: len(mel)])
    assert running.loudest == pytest.approx(before - 20, abs=1.5)


def test_an_unknown_voice_is_taken_for_a_usual_one():
    running = RunningVoice()
    assert running.loudest == -np.inf and np.isfinite(running.mean).all()
    mel, loudness = features(long_speech())
    running.hear(mel[100:130], loudness[100:130], SPOKEN[:30])
    assert (
        np.abs(running.mean - voiced_mean(mel)).mean()
        < np.abs(mel[100:130].mean(0) - voiced_mean(mel)).mean()
    )


@pytest.mark.parametrize(("block", "warm_up"), [(20, 0), (100, 500)], ids=["live", "whole clip"])
@pytest.mark.parametrize("sizes", [[1], [7, 160, 33], [100_000]])
def test_the_same_is_heard_however_sound_is_cut(block, warm_up, sizes):
    sound = np.concatenate([noise(1, -50), clips("rms_000")["rms_000"]["wave"], noise(1.2345, -50)])
    whole, cut = (heard(Listener(-38.0, block, warm_up), sound, pieces) for pieces in ([73], sizes))
    assert (
        [part.start for part in whole]
        == [part.start for part in cut]
        == list(range(0, len(whole) * block, block))
    )
    assert sum(len(part.gate) for part in cut) == -(-len(sound) // 160)
    for one, other in zip(whole, cut, strict=True):
        np.testing.assert_allclose(other.mel, one.mel, atol=1e-4)
        np.testing.assert_allclose(other.gate, one.gate, atol=1e-4)


def test_nothing_later_than_the_look_ahead_changes_what_is_heard():
    sound = long_speech()[: 12 * RATE]
    shout = sound.copy()
    shout[11 * RATE :] = np.clip(30 * sound[:RATE], -1, 1)
    for block, warm_up in ((20, 0), (100, 500)):
        listener = Listener(-38.0, block, warm_up)
        calm, loud = (heard(Listener(-38.0, block, warm_up), one, [50]) for one in (sound, shout))
        early = [k for k, part in enumerate(calm) if part.start + listener.look_ahead <= 1099]
        assert len(early) * block > 900
        for k in early:
            np.testing.assert_array_equal(calm[k].mel, loud[k].mel)
            np.testing.assert_array_equal(calm[k].gate, loud[k].gate)
        assert np.abs(calm[-1].mel - loud[-1].mel).max() > 0.1
