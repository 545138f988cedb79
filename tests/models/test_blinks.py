"""Blinks: soon, never long apart, at the asked rate, irregular, from the seed alone, for any length of time."""

import numpy as np
import pytest
import torch
from talking_portrait.models.face_motion import CONTROLS
from talking_portrait.models.face_motion.blinks import BLINK_SECONDS, CLOCK, Blinks, blink_times, gap_bounds

from .shipped_engines import moved, sample, shipped_builtin, shipped_takin

HOUR = 3600 * CLOCK


def speaking(count: int, kind: str) -> np.ndarray:
    """1 in pauses: never, always, or by turns of five seconds."""
    return {
        "speech": np.zeros(count),
        "silence": np.ones(count),
        "turns": (np.arange(count) // 500 % 2).astype(float),
    }[kind]


@pytest.mark.parametrize("kind", ["speech", "silence", "turns"])
@pytest.mark.parametrize("per_minute", [9.0, 18.0, 40.0])
def test_one_comes_within_three_seconds_and_none_later_than_eight_after_the_last(per_minute, kind):
    for seed in range(20):
        times = blink_times(120.0, per_minute, speaking(120 * CLOCK, kind), np.random.default_rng(seed))
        assert (
            times[0] + BLINK_SECONDS[-1] < 3 and np.diff(times).max() <= 8.0 + 1e-6 and 120 - times[-1] < 8.4
        )


def test_a_film_of_a_second_and_a_half_has_one():
    firsts = [blink_times(1.5, 18.0, np.zeros(150), np.random.default_rng(seed)) for seed in range(40)]
    assert all(len(times) == 1 for times in firsts) and np.ptp(np.concatenate(firsts)) > 0.5


@pytest.mark.parametrize("kind", ["speech", "silence", "turns"])
@pytest.mark.parametrize("per_minute", [2.0, 9.0, 18.0, 40.0])
def test_the_rate_is_kept_and_the_gaps_are_irregular(per_minute, kind):
    times = blink_times(3600.0, per_minute, speaking(HOUR, kind), np.random.default_rng(1))
    assert len(times) == pytest.approx(60 * per_minute, rel=0.1)
    assert np.diff(times).std() > 0.15 * np.diff(times).mean()


def test_fewer_than_nine_a_minute_stretch_the_longest_gap():
    assert gap_bounds(9.0)[1] == 8.0 and gap_bounds(3.0)[1] == pytest.approx(24.0)
    times = blink_times(1200.0, 3.0, np.zeros(1200 * CLOCK), np.random.default_rng(0))
    assert np.diff(times).max() <= 24.0 + 1e-6


def test_some_come_in_twos_and_never_in_threes():
    gaps = np.diff(blink_times(3600.0, 18.0, np.zeros(HOUR), np.random.default_rng(4)))
    twins = gaps < 0.7
    assert 0.04 < twins.mean() < 0.11 and not (twins[1:] & twins[:-1]).any()
    assert gaps.min() > BLINK_SECONDS[-1], "the eye opens between them"


def test_none_are_none():
    assert len(blink_times(60.0, 0.0, np.zeros(6000), np.random.default_rng(0))) == 0


def test_they_are_the_same_however_time_is_cut_and_go_on_for_days():
    pause = (np.random.default_rng(2).random(HOUR // 4) < 0.3).astype(float)
    whole = Blinks(18.0, np.random.default_rng(5)).go_on(pause)
    blinks, random, start, found = Blinks(18.0, np.random.default_rng(5)), np.random.default_rng(3), 0, []
    while start < len(pause):
        size = int(random.integers(1, 900))
        found.append(blinks.go_on(pause[start : start + size]))
        start += size
    np.testing.assert_array_equal(np.concatenate(found), whole)
    blinks.ticks += 5 * 24 * HOUR
    assert len(blinks.go_on(np.zeros(6000))) >= 6


@pytest.fixture(scope="module", params=["built-in", "Takin-ADA"])
def engine(request):
    return shipped_builtin() if request.param == "built-in" else shipped_takin()


@pytest.mark.parametrize("seed", [7, 0, 123])
def test_the_first_film_is_alive(engine, seed):
    """7 is the seed of every shipped workflow; the sound is the shipped voice."""
    with torch.inference_mode():
        motion = moved(engine, sample(), seed)
    lids = motion.controls[:, CONTROLS.index("eyeBlinkLeft")]
    assert motion.source["blinks"][0] < 3 and lids[:75].max() > 0.7, "no blink is seen within three seconds"
