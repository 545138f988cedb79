"""A voice that comes in pieces is heard alike however it is cut, and never by what is still to come."""

import numpy as np
import pytest
import torch
from talking_portrait.models.speech.sound_stream import Listening
from talking_portrait.models.speech.viseme_hearing import hear_visemes
from talking_portrait.models.speech.viseme_stream import VisemeStream

from .remembering import remembering_ear
from .shipped_engines import RATE, clips


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def networks():
    return remembering_ear()


def voice() -> np.ndarray:
    return clips("rms_000")["rms_000"]["wave"]


def streamed(networks, wave: np.ndarray, size: int) -> np.ndarray:
    stream = VisemeStream(lambda: networks)
    pieces = [stream.push(wave[start : start + size]) for start in range(0, len(wave), size)]
    return np.concatenate([*pieces, stream.finish()])


@pytest.mark.parametrize("size", [37, 1600, 7777])
def test_pieces_are_heard_as_the_whole_is(networks, size):
    wave = voice()[: 2 * RATE + 371]
    whole, cut = streamed(networks, wave, len(wave)), streamed(networks, wave, size)
    assert len(whole) == len(cut) == -(-len(wave) // 160)
    assert np.abs(whole - cut).max() < 0.01


def test_nothing_behind_the_look_ahead_changes_what_was_told(networks):
    wave = np.tile(voice(), 2)[: 4 * RATE]
    shout = wave.copy()
    shout[3 * RATE :] = np.clip(30 * wave[:RATE], -1, 1)
    calm, loud = (streamed(networks, sound, 1600) for sound in (wave, shout))
    known = 300 // Listening().block * Listening().block - Listening().ahead - Listening().block
    np.testing.assert_array_equal(calm[:known], loud[:known])
    assert np.abs(calm[300:] - loud[300:]).max() > 0.1
    assert VisemeStream(lambda: networks).look_ahead < 0.42


def test_live_it_hears_nearly_what_it_hears_in_the_whole_clip(networks):
    wave = np.tile(voice(), 2)[: 6 * RATE]
    live, whole = streamed(networks, wave, 3200), hear_visemes(networks, wave, torch.device("cpu"))
    assert (live.argmax(1) == whole.argmax(1)).mean() > 0.85


@pytest.mark.slow
def test_memory_is_that_of_a_few_seconds(networks):
    stream = VisemeStream(lambda: networks)
    for _ in range(12):
        stream.push(np.zeros(RATE, np.float32))
    assert len(stream.wave) < 6.5 * RATE


@pytest.mark.parametrize("wave", [np.zeros((2, 5)), np.array([np.nan])])
def test_sound_that_cannot_be_is_explained(networks, wave):
    with pytest.raises(ValueError, match="one row of finite samples"):
        VisemeStream(lambda: networks).push(wave)
