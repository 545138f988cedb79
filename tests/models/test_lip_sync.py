"""Lip-Sync Check: finds a known lag, tells its own sound from another's, explains what cannot be measured."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from talking_portrait.models.face_motion import CONTROLS, FaceMotion
from talking_portrait.models.media.lip_sync import lip_sync, loudness_per_frame, opening_of_landmarks
from talking_portrait.nodes.measure import LipSyncCheck

from .made_faces import make_face, make_landmarks

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
    points = np.zeros((478, 2))
    points[[13, 14, 263]] = [[0, 0], [0, 1], [4, 0]]
    assert np.allclose(
        opening_of_landmarks([points, None, 0 * points]), [0.25, np.nan, np.nan], equal_nan=True
    )


def test_the_lips_are_those_of_the_followed_face():
    """The first face of each frame was measured, whoever it was."""
    wave, level = voice()
    frames = []
    for number, open_by in enumerate(level):
        speaks, listens = make_face(60), make_face(150 + 0.01 * (number % 2))
        for face, height in ((speaks, 6 * open_by), (listens, 1.0)):
            face["landmarks_xy"][[13, 14]] = face["landmarks_xy"][0] + [[0, 0], [0, height]]
        frames.append([speaks, listens] if number % 2 else [listens, speaks])
    sound, landmarks = (
        {"waveform": torch.from_numpy(wave)[None], "sample_rate": RATE},
        make_landmarks(*frames),
    )
    run = LipSyncCheck.execute
    assert run(sound, 25.0, landmarks, None, 1).result[2] > 0.7
    with pytest.raises(ValueError, match="^Lip-Sync Check: the mouth never moves"):
        run(sound, 25.0, landmarks)


def test_what_counts_and_what_does_not_is_said():
    still = torch.zeros(150, 3), torch.zeros(150, 3), torch.ones(150)
    motion = FaceMotion.from_controls(torch.rand(150, len(CONTROLS)), *still, Fraction(25), source={})
    sound = {"waveform": torch.rand(1, 1, 6 * RATE) * torch.linspace(0, 1, 6 * RATE), "sample_rate": RATE}
    assert (
        "face_motion's own 25 frames per second, not with fps (30)"
        in LipSyncCheck.execute(sound, 30.0, None, motion).result[0]
    )
    assert "not with fps" not in LipSyncCheck.execute(sound, 25.0, None, motion).result[0]
    with pytest.raises(ValueError, match="face_index is 2, but face_motion is of one face"):
        LipSyncCheck.execute(sound, 25.0, None, motion, 2)


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
