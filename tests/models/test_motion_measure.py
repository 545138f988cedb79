"""Measure Motion Intensity: one person's face and body, an honest scale, and no number for what was not measured."""

import numpy as np
import pytest
from talking_portrait.models.fantasytalking.motion_measure import (
    BODY,
    FACE,
    RIGID,
    Reference,
    body_intensity,
    face_intensity,
    seen_joints,
)  # fmt: skip
from talking_portrait.models.fantasytalking.people import body_of_face
from talking_portrait.nodes.fantasytalking_extras import MeasureMotionIntensity

from .made_faces import make_face, make_landmarks

# joints about the middle of a face
HEAD = {0: (0, 0), 14: (-5, -6), 15: (5, -6), 16: (-12, -3), 17: (12, -3)}


def face(open_by: float = 0.0) -> np.ndarray:
    """478 points of a face with the points that matter where a face has them."""
    points = np.random.default_rng(0).uniform(100, 200, (478, 2))
    for index, place in zip(
        RIGID, ((110, 130), (135, 130), (165, 130), (190, 130), (150, 125), (150, 140)), strict=True
    ):
        points[index] = place
    points[[0, 17, 61, 291]] += np.array([0, open_by])
    return points


def moved(points: np.ndarray, turn: float, size: float, shift: float) -> np.ndarray:
    c, s = np.cos(turn), np.sin(turn)
    return size * points @ np.array([[c, s], [-s, c]]) + shift


def person(x: float, y: float = 60.0, sway: float = 0.0, width: float = 100.0) -> dict:
    """OpenPose's joints of somebody whose head is at x, y; everything below moves by sway in pixels."""
    joints = np.zeros((18, 3))
    for joint, (dx, dy) in HEAD.items():
        joints[joint] = x + dx, y + dy, 0.9
    for joint, dx, dy in (
        (1, 0, 50),
        (2, -width / 2, 55),
        (5, width / 2, 55),
        (3, -width / 2, 110),
        (6, width / 2, 110),
    ):
        joints[joint] = x + dx + sway, y + dy, 0.9
    return {"pose_keypoints_2d": joints.flatten().tolist()}


def poses(*frames: list[dict], size: tuple[int, int] = (120, 600)) -> list[dict]:
    return [{"people": people, "canvas_height": size[0], "canvas_width": size[1]} for people in frames]


def measured(landmarks: dict, *rest) -> tuple[float, float, str]:
    return MeasureMotionIntensity.execute(landmarks, *rest).result


def test_head_motion_is_no_expression():
    still = [moved(face(), 0.02 * i, 1 + 0.01 * i, 3.0 * i) for i in range(10)]
    lively = [moved(face(open_by=4.0 * (i % 2)), 0.02 * i, 1 + 0.01 * i, 3.0 * i) for i in range(10)]
    more = [face(open_by=8.0 * (i % 2)) for i in range(10)]
    assert face_intensity(still) < 1e-12 < face_intensity(lively)
    assert face_intensity(more) == pytest.approx(
        4 * face_intensity([face(open_by=4.0 * (i % 2)) for i in range(10)])
    )
    assert face_intensity([3 * f for f in more]) == pytest.approx(face_intensity(more))
    assert face_intensity([more[0], None, *more[1:]]) == pytest.approx(face_intensity(more))
    with pytest.raises(ValueError, match="found in 1 of 2 frames"):
        face_intensity([face(), None])
    with pytest.raises(ValueError, match="the eyes in face_landmarks lie 0.00 pixels apart"):
        face_intensity([np.zeros((478, 2)), np.zeros((478, 2))])


def test_a_body_is_measured_in_shoulders():
    joints = np.concatenate([np.random.default_rng(1).uniform(0, 100, (18, 2)), np.ones((18, 1))], 1)
    frames = [joints + [i % 2, 0, 0] for i in range(8)]
    width = np.linalg.norm(joints[2, :2] - joints[5, :2])
    assert body_intensity(frames) == pytest.approx(0.25 / width**2)
    hidden = [frame * [1, 1, 0] if i == 3 else frame for i, frame in enumerate(frames)]
    with pytest.raises(ValueError, match="both shoulders"):
        body_intensity(hidden)
    wrist = [frame.copy() for frame in frames]
    wrist[3][4, 2] = 0.1
    assert seen_joints([None, *wrist]).sum() == 17
    with pytest.raises(ValueError, match="the shoulders in keypoints lie 0.00 pixels apart"):
        body_intensity([np.ones((18, 3)), np.ones((18, 3))])


def test_coefficients_are_logarithmic_between_the_ends():
    reference = Reference(1e-4, 1e-2)
    assert [reference.coefficient(raw) for raw in (0, 1e-5, 1e-4, 1e-3, 1e-2, 1)] == pytest.approx(
        [0, 0, 0, 0.5, 1, 1]
    )
    assert str(FACE) == "0.5 % or less counts as 0, 2 % as 0.5, 8 % or more as 1"
    assert str(BODY) == "0.5 % or less counts as 0, 5 % as 0.5, 50 % or more as 1"


@pytest.mark.parametrize("percent, wanted", [(1, 0.0), (2, 0.15), (5, 0.35), (20, 0.65), (100, 1.0)])
def test_a_sway_of_the_shoulders_has_its_place_on_the_scale(percent, wanted):
    """A sway of 2 % of the shoulders' width read 1.00, as one of 50 % did. Half of these joints sway, so half
    of it counts."""
    turn = np.sin(np.linspace(0, 2 * np.pi, 40, endpoint=False))
    landmarks = make_landmarks(*([make_face(200 + 1e-3 * i)] for i in range(40)), size=(120, 600))
    bodies = poses(*([person(200, sway=percent * s)] for s in turn))
    _, body, report = measured(landmarks, 0, bodies)
    assert body == pytest.approx(wanted, abs=0.01)
    assert f"points move by {percent / 2:.2f} % of a shoulder width" in report
    assert "over 10 joints that are always seen, in 40 of 40 frames" in report


def test_the_body_is_that_of_the_followed_face():
    """people[0] of each frame was taken, whoever it was."""
    landmarks = make_landmarks(
        *([make_face(200 + 1e-3 * i), make_face(400)] for i in range(12)), size=(120, 600)
    )
    still, waves = [person(200)] * 12, [person(400, sway=60 * (i % 2)) for i in range(12)]
    mixed = poses(*([a, b] if i % 3 else [b, a] for i, (a, b) in enumerate(zip(still, waves, strict=True))))
    assert measured(landmarks, 0, mixed)[1] == 0.0
    assert measured(landmarks, 1, mixed)[1] > 0.7
    larger = [{**pose, "canvas_height": 240, "canvas_width": 1200} for pose in mixed]
    for pose in larger:
        doubled = [
            (np.reshape(p["pose_keypoints_2d"], (18, 3)) * [2, 2, 1]).flatten().tolist()
            for p in pose["people"]
        ]
        pose["people"] = [{"pose_keypoints_2d": joints} for joints in doubled]
    assert measured(landmarks, 1, larger)[1] == pytest.approx(measured(landmarks, 1, mixed)[1])


def test_frames_without_the_face_or_its_body_are_left_out():
    faces = [make_face(200)["landmarks_xy"]] * 3 + [None]
    bodies = body_of_face(poses([person(200)], [person(500)], [], [person(200)]), faces, (120, 600))
    assert [body is None for body in bodies] == [False, True, True, True]
    with pytest.raises(ValueError, match="nobody in it whose head lies at the followed face"):
        body_of_face(poses([person(500)], [], [], []), faces, (120, 600))
    with pytest.raises(ValueError, match="keypoints covers 2 frames, but face_landmarks 4"):
        body_of_face(poses([], []), faces, (120, 600))
    with pytest.raises(ValueError, match="a person of 25 joints"):
        body_of_face(poses(*[[{"pose_keypoints_2d": [1.0] * 75}]] * 4), faces, (120, 600))


def test_what_is_not_measured_is_said():
    landmarks = make_landmarks([make_face(200)], [make_face(201)], [], [make_face(200)], size=(120, 600))
    expression, body, report = measured(landmarks, 0)
    assert body == 0.5 and "Body: not measured, for no keypoints are connected; body gives 0.5" in report
    assert (
        report.startswith("Expression: points move by 0.00 % of the distance between the eyes")
        and "in 3 of 4 frames" in report
    )
    assert expression == 0.0
