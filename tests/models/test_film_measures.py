"""Whole films in figures: every value is described, frames come one by one, and worse films are told from better."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from talking_portrait.models.face.weights import load_face_detector
from talking_portrait.models.measures.descriptions import MEASURES, markdown_table, shown
from talking_portrait.models.measures.evaluation import compare, film_measures
from talking_portrait.models.measures.even_frames import even_frames
from talking_portrait.models.measures.faces_of_film import watch
from talking_portrait.models.measures.moving_face import closures, heard_closures, jerk
from talking_portrait.models.measures.sync_of_face import sync_values
from talking_portrait.models.media.film_reader import FilmFrame
from talking_portrait.models.progress import silent
from talking_portrait.models.weights.published import WEIGHTS

from .film_samples import Told, closed, film, opened, portrait, talking, told

FPS = Fraction(25)
COUNT = 60


def with_canonical(detector: Told) -> Told:
    detector.canonical_data = load_face_detector().canonical_data  # type: ignore[attr-defined]
    return detector


def looked(people, count=COUNT, every=5):
    made = film(count)
    return watch(even_frames(made, FPS), FPS, with_canonical(told(*people)), silent, every=every)


def mouths(count: int = COUNT) -> np.ndarray:
    """How far a mouth is open, 0 to 1, that repeats nothing."""
    slow = gaussian_filter1d(np.random.default_rng(5).normal(size=count), 1.5)
    return np.maximum(0, slow) / slow.max()


def voice(late: int = 0, rate: int = 16000) -> tuple[torch.Tensor, int]:
    """Noise that is loud where such a mouth is open, some frames late."""
    samples = np.repeat(np.roll(mouths(), late), rate // 25)
    noise = np.random.default_rng(0).normal(size=len(samples))
    return torch.from_numpy((0.2 * samples + 1e-3) * noise).float()[None], rate


@pytest.mark.slow
def test_every_value_is_described_and_shown_with_its_range():
    values, _ = film_measures(looked([talking(COUNT)]), voice(), lambda wave, rate: np.zeros(100))
    assert set(values) <= set(MEASURES) and values["face_found"] == 1
    assert all(MEASURES[name].span in shown(name, value) for name, value in values.items())
    assert "pbm_closed" not in values and values["pbm_spoken"] == 0, "no share of nothing"
    still, notes = film_measures(looked([[portrait()[1]] * COUNT]), voice(), None)
    assert "beat_alignment" not in still and any("mouth never moves" in note for note in notes)
    assert all(name in markdown_table() for name in MEASURES)
    assert {one.weight for one in MEASURES.values()} - {""} <= set(WEIGHTS)


@pytest.mark.parametrize("late", [0, 4])
def test_lips_are_late_by_as_much_as_the_sound_is_early(late):
    people = [opened(portrait()[1], 0.12 * amount) for amount in mouths()]
    values, _ = film_measures(looked([people]), voice(-late), None)
    assert values["lip_lag"] == pytest.approx(late, abs=1.2) and values["lip_correlation"] > 0.6


def test_a_film_without_sound_says_so_and_a_face_that_is_not_there_is_named():
    seen = looked([talking(COUNT)])
    values, notes = film_measures(seen, None, None)
    assert "lip_lag" not in values and "no sound" in notes[-1]
    with pytest.raises(ValueError, match="face_index is 3, but at most 1 faces"):
        film_measures(seen, None, None, 3)
    with pytest.raises(ValueError, match="no sound, so SyncNet"):
        sync_values(None, film(2), seen, None, None, False, silent)  # type: ignore[arg-type]


def test_blinks_and_missing_faces_are_counted():
    people = talking(COUNT)
    for start in (10, 40):
        for number in range(start, start + 3):
            shut = people[number].copy()
            for up, low in ((159, 145), (386, 374)):
                shut[up] = shut[low]
            people[number] = shut
    people[20] = None
    values, _ = film_measures(looked([people]), None, None)
    assert values["blinks_per_minute"] == pytest.approx(2 * 60 * 25 / 59)
    assert values["face_found"] == pytest.approx(59 / 60)


def test_closures_are_found_where_the_lips_meet():
    base = portrait()[1]
    people = [closed(base) if number in (20, 21) else opened(base, 0.1) for number in range(COUNT)]
    faces = looked([people]).followed()
    found = closures(faces, 25, np.array([20.5, 50]) / 25)
    assert (found.spoken, found.closed, found.share) == (2, 1, 0.5)


def test_the_ear_s_sounds_are_counted_once_each():
    heard = np.zeros(200)
    heard[20:25], heard[26:28], heard[100:104] = 0.9, 0.7, 0.6
    assert heard_closures(heard).tolist() == [0.2, 1.0]


def test_jerk_is_none_for_a_parabola_and_spans_no_gap():
    steps = [np.array([0.5 * n**2]) for n in range(9)]
    assert jerk(steps, 25) == pytest.approx(0, abs=1e-6)
    assert jerk([np.array([n**3 / 6]) for n in range(9)], 10) == pytest.approx(1000)
    assert np.isnan(jerk([steps[0], None] * 9, 25))


def test_a_film_beside_itself_is_no_distance_away():
    made = film(COUNT)
    frames = told(talking(COUNT)).frames
    pairs = [frame for start in range(0, COUNT, 8) for frame in frames[start : start + 8] * 2]
    detector = with_canonical(Told(pairs))
    found = compare(even_frames(made, FPS), even_frames(made, FPS), FPS, detector, silent)
    values, notes = found.values()
    assert values["psnr"] == float("inf") and values["ssim"] == pytest.approx(1) and not notes
    assert values["m_lmd"] == values["pose_distance"] == values["expression_distance"] == 0
    assert values["mouth_correlation"] == pytest.approx(1)


def test_films_of_different_sizes_and_lengths_say_what_was_left_out():
    small = film(20)
    small = type(small)(small.images[:, ::2, ::2], FPS)
    frames = told(talking(COUNT)).frames
    order = [frame for start in range(0, COUNT, 8) for frame in (
        frames[start : min(start + 8, 20)] if start < 20 else []) + frames[start : start + 8]]  # fmt: skip
    found = compare(
        even_frames(small, FPS), even_frames(film(COUNT), FPS), FPS, with_canonical(Told(order)), silent
    )
    values, notes = found.values()
    assert "psnr" not in values and "m_lmd" in values
    assert "20 frames and reference 60" in notes[0] and "80x80 and reference 160x160" in notes[1]


def test_frames_are_not_kept():
    alive = 0

    class Counted:
        clock, fps = Fraction(1, 25), FPS

        def frames(self, since=None):
            for number in range(200):
                yield FilmFrame(torch.full((40, 40, 3), 0.5), number)

    class Watching(Told):
        def detect_batch(self, images, *rest):
            nonlocal alive
            alive = max(alive, len(images))
            return super().detect_batch(images, *rest)

    detector = with_canonical(Watching([[]] * 200))
    seen = watch(even_frames(Counted(), FPS), FPS, detector, silent, every=100)
    assert len(seen) == 200 and alive == 8


@pytest.mark.parametrize("rate, count", [(25, 10), (50, 20), (Fraction(25, 2), 5)])
def test_frames_at_another_rate_are_those_that_are_shown(rate, count):
    frames = list(even_frames(film(10, change=5), Fraction(rate)))
    assert abs(len(frames) - count) <= 1
    light = [float(frame.mean()) for frame in frames]
    assert len(set(np.round(light[: count // 2 - 1], 3))) == 1 and light[0] != pytest.approx(light[-1])


def test_a_film_without_frames_is_an_error():
    with pytest.raises(ValueError, match="0 frames"):
        list(even_frames(film(0), FPS))
