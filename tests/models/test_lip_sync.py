"""Lip-Sync Check: finds a known lag, tells its own sound from another's, explains what cannot be measured."""

from fractions import Fraction

import numpy as np
import pytest
from talking_portrait.models.lip_sync import lip_sync, loudness_per_frame, opening_of_landmarks

FPS, RATE = Fraction(25), 16000


def voice(seconds: float = 6.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A sound whose loudness is known: wave [1,T] and its level per frame."""
    random = np.random.default_rng(seed)
    frames = int(seconds * 25)
    level = np.clip(np.convolve(random.standard_normal(frames), np.ones(4) / 2, "same") + 0.6, 0.02, 2)
    gain = np.interp(np.arange(int(seconds * RATE)) / RATE, (np.arange(frames) + 0.5) / 25, level)
    return (0.1 * gain * random.standard_normal(len(gain)))[None].astype(np.float32), level


@pytest.mark.parametrize("lag", [-4, -1, 0, 1, 3])
def test_a_known_lag_is_found(lag):
    wave, level = voice()
    result = lip_sync(np.roll(level, lag), loudness_per_frame(wave, RATE, FPS, len(level)))
    assert abs(result.lag - lag) < 0.25 and result.correlation > 0.7
    assert f"{40 * result.lag:+.0f} ms" in result.report(FPS) and "not LSE" in result.report(FPS)
    assert {-4: "early", -1: "early", 0: "in time"}.get(lag, "late") in result.report(FPS)


@pytest.mark.parametrize("lag", [-1.5, 0.5, 2.25])
def test_a_lag_between_frames_is_found(lag):
    wave, level = voice(12)
    times = np.arange(len(level))
    result = lip_sync(np.interp(times - lag, times, level), loudness_per_frame(wave, RATE, FPS, len(level)))
    assert abs(result.lag - lag) < 0.3


def test_another_sound_does_not_fit():
    wave, _ = voice(seed=1)
    _, level = voice(seed=2)
    assert lip_sync(level, loudness_per_frame(wave, RATE, FPS, len(level))).correlation < 0.4


def test_frames_without_a_face_are_left_out():
    wave, level = voice()
    opening = level.copy()
    opening[20:40] = np.nan
    assert abs(lip_sync(opening, loudness_per_frame(wave, RATE, FPS, len(level))).lag) < 0.25
    faces = [{"landmarks_xy": np.zeros((478, 2))}]
    faces[0]["landmarks_xy"][[13, 14, 263]] = [[0, 0], [0, 1], [4, 0]]
    assert np.allclose(opening_of_landmarks({"frames": [faces, []]}), [0.25, np.nan], equal_nan=True)


@pytest.mark.parametrize(
    ("opening", "loudness", "reason"),
    [
        (np.arange(5.0), np.arange(5.0), "5 frames to compare"),
        (np.ones(50), np.random.default_rng(0).random(50), "never moves"),
        (np.random.default_rng(0).random(50), np.ones(50), "never changes in loudness"),
        (np.full(50, np.nan), np.ones(50), "a face in 0 frames"),
    ],
)
def test_what_cannot_be_measured_is_explained(opening, loudness, reason):
    with pytest.raises(ValueError, match=reason):
        lip_sync(opening, loudness)
