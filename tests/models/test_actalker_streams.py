"""From sound and pictures to ACTalker's tokens: seams, rates, crops."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from talking_portrait.models.actalker import streams
from talking_portrait.models.actalker.pictures import (
    expression_picture,
    face_box,
    face_box_picture,
    frames_at,
    head_box,
    head_picture,
    identity_picture,
    portrait_picture,
    region_mask,
)  # fmt: skip
from talking_portrait.models.actalker.projectors import AudioProjector
from talking_portrait.models.speech import whisper
from talking_portrait.tools.golden_cases.actalker_pipeline import speech_windows

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def inference():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


def hears(wave, begin=0):
    """In the encoder's place: rows of 50 per second that say where in the whole sound they are; 1500 for
    every piece."""
    return (float(wave[0]) / 320 + torch.arange(1500.0))[:, None, None].expand(-1, 5, 2)


@pytest.mark.parametrize("seconds", [0.04, 0.1, 29.96, 30.0, 30.04, 61.0, 95.3])
def test_pieces_join_as_if_all_had_been_heard_at_once(monkeypatch, seconds):
    monkeypatch.setattr(whisper, "hidden_states", lambda encoder, piece: hears(piece))
    samples = round(seconds * 16000)
    wave = torch.arange(samples, dtype=torch.float64).float()  # each sample is its own index
    taken = []

    def project(projector, windows, device):
        taken.append(windows)
        return torch.zeros(len(windows), 1, 1)

    monkeypatch.setattr(streams, "project", project)
    pieces = whisper.heard_pieces(None, wave, CPU)
    result = streams.speech_stream(pieces, samples, None, CPU, lambda done, total: None)
    length = samples // 640
    whole = torch.arange(1500.0 * -(-samples // 480000))[:, None, None].expand(-1, 5, 2)
    wanted = speech_windows(whole, length)
    assert len(result.tokens) == len(wanted) == -(-length // 2)
    assert torch.allclose(torch.cat(taken[:-1]), wanted, atol=0.01)
    assert (taken[-1] == 0).all()


def test_too_short_a_sound_is_refused():
    with pytest.raises(ValueError, match="0.020 s; at least 0.04 s"):
        streams.speech_stream([], 320, None, CPU, lambda done, total: None)


def test_silence_has_tokens_of_its_own():
    projector = AudioProjector(10 * 5 * 2, 8, 4, 6)
    for parameter in projector.parameters():
        parameter.normal_()
    tokens = streams.project(projector, torch.zeros(3, 10, 5, 2), CPU)
    assert tokens.shape == (3, 4, 6) and tokens.abs().max() > 0


@pytest.mark.parametrize(("fps", "count", "wanted"), [
    (25, 7, [0, 2, 4, 6]), (Fraction(25, 2), 3, [0, 1, 2]), (Fraction(30000, 1001), 8, [0, 2, 5, 7]),
    (60, 1, [0]),
    (10, 3, [0, 1, 2, 2]),
])  # fmt: skip
def test_driving_frames_are_taken_by_time(fps, count, wanted):
    assert frames_at(count, Fraction(fps)) == wanted


def picture(height=120, width=160):
    return (np.arange(height * width * 3) * 7 % 251).astype(np.uint8).reshape(height, width, 3)


def points(x=40.0, y=30.0, size=50.0):
    random = np.random.default_rng(0)
    return (random.random((478, 2)) * size + (x, y)).astype(np.float32)


def test_pictures_have_the_networks_sizes_and_ranges():
    image, face = picture(), points()
    assert portrait_picture(image, 64).shape == (1, 3, 64, 64) and portrait_picture(
        picture(90, 200), 128
    ).shape == (1, 3, 128, 256)
    identity = identity_picture(image, face_box(face))
    assert identity.shape == (1, 3, 112, 112) and identity.min() < -0.5 and identity.max() > 0.5
    expression, head = expression_picture(image, face), head_picture(image, head_box(face, 120, 160))
    assert expression.shape == head.shape == (1, 3, 256, 256) and expression.min() >= 0 and head.min() < -0.5
    box = face_box_picture(image, face_box(face), 64)
    assert box.shape == (1, 3, 64, 64) and 0 < box.mean() < 1
    assert region_mask(torch.ones(120, 160), 64, 64).min() == 1


def test_a_face_at_the_edge_is_filled_with_black():
    crop = expression_picture(np.full((100, 100, 3), 255, np.uint8), points(-20.0, -20.0))
    assert crop[..., 0, 0].max() == 0 and crop[..., -1, -1].min() == 1
    with pytest.raises(ValueError, match="smaller than two pixels"):
        expression_picture(picture(), np.full((478, 2), 5.0))
