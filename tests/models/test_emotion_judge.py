"""The judge of Takin-ADA's emotions: what it sees of drawn pictures, and what it is fitted on."""

import numpy as np
import pytest
import torch
from talking_portrait.models.takin.config import EMOTIONS, EXPRESSION, MOTION, SCALE
from talking_portrait.models.takin.emotion import emotion_faces
from talking_portrait.training.data.talking_faces import people
from talking_portrait.training.takin import emotion_judge as judging
from talking_portrait.training.takin.emotion_judge import EYES, Judge, laid_over, seen, shown_face


def calm_motion(frames: int = 12) -> torch.Tensor:
    motion = torch.zeros(frames, MOTION)
    motion[:, SCALE] = 1
    return motion


def test_a_face_that_only_turned_and_came_nearer_lies_on_the_calm_one():
    random = np.random.default_rng(0)
    calm = random.normal(0, 30, (478, 2)) + 100
    turn = np.array([[np.cos(0.3), np.sin(0.3)], [-np.sin(0.3), np.cos(0.3)]])
    assert np.abs(laid_over(1.4 * calm @ turn + [7, -3], calm) - calm).max() < 1e-9
    spoken = calm.copy()
    spoken[13] += [0, 5]
    found = laid_over(1.4 * spoken @ turn + [7, -3], calm) - calm
    assert 13 not in EYES and np.allclose(found[13], [0, 5]) and np.abs(np.delete(found, 13, 0)).max() < 1e-9


def test_a_judge_tells_apart_what_it_was_fitted_on_and_nothing_else():
    random = np.random.default_rng(1)
    centres, labels = random.normal(0, 1, (len(EMOTIONS), 20)), np.repeat(np.arange(len(EMOTIONS)), 30)

    def rows() -> np.ndarray:
        return centres[labels] + random.normal(0, 0.3, (len(labels), 20))

    judge = Judge.fitted(rows(), labels)
    assert np.mean([judge(row) == label for row, label in zip(rows(), labels, strict=True)]) > 0.95
    blind = Judge.fitted(random.normal(0, 1, (len(labels), 20)), labels)
    assert np.mean([blind(row) == label for row, label in zip(rows(), labels, strict=True)]) < 0.4


def test_a_shown_face_is_that_of_the_table_at_its_strength():
    faces, _ = emotion_faces()
    motion = shown_face(calm_motion(), EMOTIONS.index("happy"), 0.5)
    assert torch.allclose(motion[3, :EXPRESSION], 0.5 * faces[EMOTIONS.index("happy")])


@pytest.mark.slow
def test_what_is_seen_of_drawn_pictures_is_the_face_and_not_the_head():
    who = people(1, 3)[0]
    smile = shown_face(calm_motion(), EMOTIONS.index("happy"), 1.0)
    corners = [judging.SEEN.index(61), judging.SEEN.index(291)]

    def corners_down(motion: torch.Tensor) -> float:
        return float(seen(who, motion).reshape(-1, 2)[corners, 1].mean())

    assert corners_down(smile) < corners_down(calm_motion()) - 0.01
    tilted = calm_motion()
    tilted[:, MOTION - 1] = 10.0
    still, rolled = seen(who, calm_motion()), seen(who, tilted)
    assert np.abs(rolled - still).mean() < 0.25 * np.abs(seen(who, smile) - still).mean() + 0.003
