"""The tools that label and vary the training speech: what a mouth should do, and other throats that say the same."""

import sys
from pathlib import Path

import numpy as np
import pytest
from talking_portrait.models.speech.features import speech_features
from talking_portrait.models.speech.visemes import ARTICULATION, TARGETS, VISEMES
from talking_portrait.training.speech_net.labels import CMU, label_tracks, segments, visemes_of

JAW, CLOSE, ROUND = (ARTICULATION.index(name) for name in ("jaw", "close", "round"))


def test_every_sound_has_a_target():
    assert set(TARGETS) == set(VISEMES)
    assert all(viseme in TARGETS for visemes in CMU.values() for viseme in visemes)
    with pytest.raises(KeyError):
        visemes_of("xyz", espeak=False)


@pytest.mark.parametrize(
    ("phone", "viseme"), [("oU", "OH"), ("t2", "DD"), ("tS", "CH"), ("@L", "DD"), ("'A:", "AA")]
)
def test_the_longest_espeak_name_counts(phone, viseme):
    assert visemes_of(phone, espeak=True)[0] == viseme


def test_a_vowel_opens_a_p_closes_and_neighbours_pull():
    parts = segments(["pau", "aa1", "p", "uw", "pau"], [0.2, 0.5, 0.6, 0.9, 1.1], espeak=False)
    classes, moves = label_tracks(parts, 110)
    assert VISEMES[classes[35]] == "AA" and VISEMES[classes[55]] == "PP" and VISEMES[classes[105]] == "sil"
    assert moves[35, JAW] > 0.7 and moves[55, CLOSE] > 0.7 and moves[75, ROUND] > 0.8
    assert moves[48, JAW] < moves[35, JAW] - 0.1, "the p is seen coming in the vowel"
    assert np.abs(np.diff(moves, axis=0)).max() < 0.2


def test_a_diphthong_is_two_sounds():
    assert [name for name, _, _ in segments(["ay"], [0.5], espeak=False)] == ["AA", "II"]


def test_another_throat_keeps_length_loudness_and_silence(monkeypatch):
    monkeypatch.syspath_prepend(
        str(Path(sys.modules["talking_portrait.training.speech_net.labels"].__file__).parent)
    )
    from talking_portrait.training.speech_net.hearings import revoice

    time = np.arange(32000) / 16000
    vowel = np.sin(2 * np.pi * 120 * time[:, None] * np.arange(1, 30)) @ (1 / np.arange(1, 30))
    wave = np.where((time > 0.5) & (time < 1.5), vowel * 0.1, 0)
    other = revoice(wave, np.random.default_rng(0))
    assert len(other) == len(wave) and np.isfinite(other).all()
    loudness = speech_features(other[None].astype(np.float32), 16000)[1]
    assert loudness[60:140].min() > -35 and max(loudness[:40].max(), loudness[160:].max()) < -60
    assert 0.3 < other.std() / wave.std() < 3
