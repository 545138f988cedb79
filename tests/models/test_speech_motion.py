"""The rules of the built-in engine that are not the network's: silence, closures, blinks, head, frames of any rate."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from talking_portrait.models.builtin.mouth import at_frames, mouth_controls, mouth_frames
from talking_portrait.models.engine import Speech, frame_rate
from talking_portrait.models.face_motion import CONTROLS
from talking_portrait.models.face_motion.blinks import CLOCK, blink_times, blink_track
from talking_portrait.models.face_motion.procedural import head_and_brows, noise
from talking_portrait.models.speech.silence import silence_gate
from talking_portrait.models.speech.sound import frame_count
from talking_portrait.models.speech.visemes import VISEMES, articulation

JAW, CLOSE, TUCK, TEETH = (
    CONTROLS.index(n) for n in ("jawOpen", "mouthClose", "mouthRollLower", "teethShow")
)
RATES = [Fraction(10), Fraction(24000, 1001), Fraction(25), Fraction(60), Fraction(120)]


def spoken(viseme: str, ticks: int, around: int = 40) -> np.ndarray:
    """[T,12] controls of an open vowel with one sound in the middle."""
    visemes = np.zeros((2 * around + ticks, len(VISEMES)), np.float32)
    visemes[:, VISEMES.index("AA")] = 1
    visemes[around : around + ticks] = np.eye(len(VISEMES))[VISEMES.index(viseme)]
    moves = np.tile(np.array([0.8, 0, 0, 0, 0, 0], np.float32), (len(visemes), 1))
    ones = np.ones(len(visemes), np.float32)
    return mouth_controls(visemes, moves, ones, ones, 1.0)


@pytest.mark.parametrize("fps", RATES[1:])
@pytest.mark.parametrize("ticks", [3, 6, 10])
@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_a_short_p_closes_one_whole_frame(fps, ticks, shift):
    mouth = spoken("PP", ticks)[shift:]
    frames = mouth_frames(mouth, round(len(mouth) / CLOCK * fps), fps, 0.02)
    shut = frames[:, CLOSE] > 0.95
    assert shut.any() and frames[shut, JAW].max() < 0.05 and frames[shut, TEETH].max() < 0.05
    assert frames[0, JAW] > 0.5 and frames[0, CLOSE] < 0.1


def test_f_and_v_are_seen():
    frames = mouth_frames(spoken("FF", 8), 22, Fraction(25), 0.02)
    seen = frames[:, TUCK].argmax()
    assert frames[seen, TUCK] > 0.8 and frames[seen, TEETH] > 0.8 and frames[seen, JAW] < 0.5 * frames[0, JAW]


@pytest.mark.parametrize("fps", RATES[1:])
@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_a_short_f_tucks_one_whole_frame(fps, shift):
    mouth = spoken("FF", 3)[shift:]
    frames = mouth_frames(mouth, round(len(mouth) / CLOCK * fps), fps, 0.02)
    assert frames[:, TUCK].max() > 0.95 and frames[0, TUCK] < 0.1


@pytest.mark.parametrize(
    ("bilabial", "labiodental", "meets"), [(0.3, 0.6, False), (0.6, 0.3, True), (0.05, 0.1, False)]
)
def test_lips_meet_or_tuck_as_is_likelier(bilabial, labiodental, meets):
    """A p whose probability alone would close the lips does not hide an f that is likelier."""
    visemes = np.zeros((50, len(VISEMES)), np.float32)
    visemes[:, VISEMES.index("PP")], visemes[:, VISEMES.index("FF")] = bilabial, labiodental
    visemes[:, VISEMES.index("AA")] = 1 - bilabial - labiodental
    controls = mouth_controls(visemes, articulation(visemes), np.ones(50), np.ones(50), 1.0)[25]
    assert (controls[CLOSE] > 0.8, controls[TUCK] < 0.1) == (meets, meets)
    assert meets or (controls[CLOSE] < 0.1 and controls[TUCK] > 0.3)


def test_a_pause_closes_the_gate_but_the_silence_inside_a_p_does_not():
    loudness = np.full(600, -20.0)
    loudness[100:112] = -90  # 120 ms
    loudness[300:400] = -90  # 1 s
    gate, _ = silence_gate(loudness, -38.0)
    assert gate[100:112].min() > 0.95 and gate[330:370].max() < 0.01 and gate[500] > 0.99


@pytest.mark.parametrize("level", [-20.0, -45.0])
def test_the_gate_follows_the_speech_level_and_forgets_long_silence(level):
    loudness = np.full(20_000, level - 55)
    loudness[10_000:10_400] = level  # 4 s of speech in 200 s
    gate, heard = silence_gate(loudness, -38.0)
    assert gate[10_050:10_350].min() > 0.99 and heard[10_200] > 0.9 and gate[:9_900].max() < 0.01


def test_nothing_at_all_is_silence():
    gate, level = silence_gate(np.full(300, -100.0), -38.0)
    assert gate.max() == 0 and level.max() == 0


@pytest.mark.parametrize("fps", RATES)
def test_frames_share_out_the_whole_track(fps):
    random = np.random.default_rng(1)
    track = random.random((500, 2))
    frames = at_frames(track, frame_count(5, fps), fps)
    np.testing.assert_allclose(frames.mean(0), track.mean(0), atol=0.01)
    ramp = at_frames(np.arange(500.0)[:, None], frame_count(5, fps), fps)[:, 0]
    centres = (np.arange(len(ramp)) + 0.5) / float(fps) * CLOCK - 0.5
    np.testing.assert_allclose(ramp[2:-2], centres[2:-2], atol=0.1)


def test_lead_moves_the_lips_by_that_time():
    track = np.arange(500.0)[:, None]
    early = at_frames(track, 125, Fraction(25), 0.04)
    np.testing.assert_allclose(early[:-2], at_frames(track, 125, Fraction(25))[1:-1], atol=1e-3)


@pytest.mark.parametrize("per_minute", [6.0, 18.0, 60.0])
def test_blinks_per_minute_are_kept(per_minute):
    random = np.random.default_rng(5)
    pause = (np.arange(3600 * CLOCK) // 500 % 2).astype(float)
    times = blink_times(3600, per_minute, pause, random)
    assert len(times) == pytest.approx(60 * per_minute, rel=0.12)
    in_pause = pause[(times * CLOCK).astype(int)].mean()
    assert in_pause > 0.55, "people blink more when they pause"
    assert np.diff(times).min() >= 0.4


def test_a_blink_shuts_the_eye_at_every_frame_rate():
    for fps in RATES[1:]:
        for start in np.linspace(1.0, 1.04, 9):
            shut = blink_track(np.array([start]), (np.arange(int(3 * fps)) + 0.5) / float(fps))
            assert shut.max() > 0.9 and shut[0] == 0, (fps, start)


def test_head_starts_from_the_photo_and_is_band_limited():
    pose, shift, brow = head_and_brows(np.random.default_rng(0).random(6000), np.random.default_rng(0))
    assert np.abs(pose[0]).max() == 0 and np.abs(shift[0]).max() == 0 and brow[0] == 0
    assert np.abs(np.diff(pose, axis=0)).max() * CLOCK < 25, "faster than 25 degrees per second"
    spectrum = np.abs(np.fft.rfft(noise(60 * CLOCK, 0.5, np.random.default_rng(2)))) ** 2
    assert spectrum[60 * 2 :].sum() < 0.02 * spectrum.sum(), "more than 2 % of the power above 2 Hz"


@pytest.mark.parametrize("fps", [0.0, -25.0, float("nan"), float("inf"), 1e-9])
def test_a_frame_rate_that_is_none_is_explained(fps):
    with pytest.raises(ValueError, match="fps is .* above 0"):
        frame_rate(fps)


@pytest.mark.parametrize(
    ("speech", "fps", "reason"),
    [
        (Speech(torch.zeros(1, 16000), 16000), Fraction(0), "fps is 0; it must be above 0"),
        (Speech(torch.zeros(16000), 16000), Fraction(25), "shape"),
        (Speech(torch.zeros(0, 16000), 16000), Fraction(25), "shape"),
        (Speech(torch.zeros(1, 16000), 0), Fraction(25), "sample rate of 0 Hz"),
    ],
    ids=["no fps", "no channels", "zero channels", "no sample rate"],
)
def test_speech_that_cannot_be_is_explained(speech, fps, reason):
    with pytest.raises(ValueError, match=reason):
        speech.checked(fps)
