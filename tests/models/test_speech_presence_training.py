"""The sounds and tapes from which speech is told, and that a few steps of training tell some of it."""

import numpy as np
import pytest
import torch
from talking_portrait.training.speech_net import other_sounds
from talking_portrait.training.speech_net import train_presence as training

from .shipped_engines import RATE, clips


def spoken_clip() -> dict:
    """Two vowels of half a second with a short silence between them, as a corpus has clips."""
    wave = np.round(clips("rms_000")["rms_000"]["wave"][RATE // 2 : RATE // 2 + 17600] * 32767).astype(
        np.int16
    )
    return {
        "wave": wave,
        "phones": np.array(["aa", "pau", "iy"]),
        "ends": np.array([0.5, 0.6, 1.1]),
        "espeak": False,
    }


@pytest.mark.parametrize("kind", other_sounds.SOUNDS)
def test_every_sound_is_finite_of_unit_power_and_drawn_anew(kind):
    make = other_sounds.SOUNDS[kind][0]
    first, again, other = (make(2 * RATE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert len(first) == 2 * RATE and np.isfinite(first).all() and first.std() == pytest.approx(1.0, abs=1e-3)
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_a_tape_says_where_its_speech_is():
    tape, labels = training.place_speech([spoken_clip()], np.random.default_rng(3))
    loud = np.sqrt(np.square(tape.reshape(-1, 160)).mean(1)) > 1e-6
    runs = np.diff(np.flatnonzero(np.diff(np.pad(labels.astype(int), 1))).reshape(-1, 2), axis=1)[:, 0]
    assert 0.1 < labels.mean() < 0.9 and loud[labels].mean() > 0.85, (
        "speech is said to be where there is none"
    )
    assert runs[1:-1].min() > 70, "the silence inside a word is said to be none of it"


@pytest.mark.slow
def test_some_tapes_are_empty_and_training_tells_the_rest():
    random = np.random.default_rng(0)
    torch.manual_seed(0)
    tapes = [training.tape([spoken_clip()], random) for _ in range(20)]
    empty = [not (labels == 1).any() for _, labels in tapes]
    assert 1 <= sum(empty) <= 14 and all(mel.shape == (800, 40) for mel, _ in tapes)
    network = training.train(tapes, 60, 4, random)[0].eval()
    with torch.inference_mode():
        told = network(
            torch.from_numpy(np.stack([mel for mel, _ in tapes]).astype(np.float32).transpose(0, 2, 1))
        ).numpy()
    labels = np.stack([labels for _, labels in tapes])
    assert told[labels == 1].mean() > told[labels == 0].mean() + 0.5
