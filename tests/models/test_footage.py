"""What is learnt of a film: pose, calm mouth, shots, who is followed, which frames can be drawn, who says what when."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from talking_portrait.models.face.head_pose import poses_of
from talking_portrait.models.face_motion import CONTROLS, FaceMotion
from talking_portrait.models.footage.footage import Footage, learn
from talking_portrait.models.footage.gates import FINE, MISSING, TURNED, UNSURE, faded
from talking_portrait.models.footage.looks import look_at, opening
from talking_portrait.models.footage.neutral import find_neutral
from talking_portrait.models.footage.source import paler
from talking_portrait.models.footage.voice import line_of

from .film_samples import SIDE, closed, face_dict, film, opened, portrait, talking, told

FPS = Fraction(25)


def known(count: int = 30, **options) -> Footage:
    return learn(film(count), told(talking(count)), **options)


def motion(count: int, fps: Fraction = FPS, jaw: float = 0.5) -> FaceMotion:
    controls = torch.zeros(count, len(CONTROLS))
    controls[:, 0] = jaw * torch.linspace(0, 1, count)
    controls[:, CONTROLS.index("browInnerUp")] = 1
    still = torch.zeros(count, 3)
    return FaceMotion.from_controls(controls, still, still, torch.ones(count), fps, source={})


@pytest.mark.parametrize("pose", [(12.0, -20.0, 8.0), (-15.0, 25.0, -30.0), (0.0, 0.0, 0.0)])
def test_the_pose_of_a_turned_face_is_found_within_a_tenth_of_a_degree(pose):
    points = portrait()[1].astype(float)
    turn = Rotation.from_euler("xyz", pose, degrees=True).as_matrix()
    poses = poses_of(points, (1.3 * points @ turn.T + [20, -7, 5])[None])
    assert np.abs(poses.degrees()[0] - pose).max() < 0.1
    assert poses.scale[0] == pytest.approx(1.3) and np.allclose(
        poses.align(1.3 * points @ turn.T + [20, -7, 5]), points, atol=1e-6
    )


def test_speech_hardly_changes_the_pose():
    points = portrait()[1].astype(float)
    poses = poses_of(points, opened(points, 0.3)[None])
    assert np.abs(poses.degrees()).max() < 0.1


def test_the_neutral_mouth_is_closed_though_the_mouth_is_mostly_open():
    faces = np.stack([opened(portrait()[1], 0.0 if number % 4 == 0 else 0.2) for number in range(40)])
    neutral = find_neutral(faces, np.ones(40, bool), 25.0)
    assert opening(neutral.face[None])[0] < 0.01
    calm = neutral.moved(faces.astype(float), 0, 0.0)
    assert opening(calm).max() < 0.02, "the old speech is gone"
    above = neutral.lower == 0
    assert above.sum() > 100 and np.allclose(calm[:, above], faces[:, above]), (
        "nothing above the nose's base moves"
    )


def test_a_few_closed_frames_are_enough_for_a_closed_neutral_mouth():
    faces = np.stack([opened(portrait()[1], 0.0 if number % 20 == 0 else 0.12) for number in range(100)])
    neutral = find_neutral(faces, np.ones(100, bool), 25.0)
    assert opening(neutral.face[None])[0] < 0.01


def test_a_lasting_smile_stays_as_far_as_it_is_kept():
    faces = np.stack([closed(portrait()[1])] * 100)
    faces[50:, [61, 291], 1] -= 6.0
    neutral = find_neutral(faces, np.ones(100, bool), 25.0)
    low, half, high = (neutral.moved(faces[90:91].astype(float), 90, amount)[0] for amount in (0.0, 0.5, 1.0))
    # of the corners' six pixels, most; of the chin, nothing
    assert 3.5 < low[61, 1] - high[61, 1] < 6.5 and half[61, 1] == pytest.approx((low + high)[61, 1] / 2)
    assert abs(low[152, 1] - high[152, 1]) < 0.1


def test_a_cut_is_found_in_two_joined_films_and_none_in_one():
    assert [shot.frames for shot in known().shots] == [slice(0, 30)]
    joined = learn(film(40, change=17), told(talking(40)))
    assert [shot.frames for shot in joined.shots] == [slice(0, 17), slice(17, 40)]
    jump = talking(20) + talking(20, shift=(20, 0))
    assert [shot.frames for shot in learn(film(40), told(jump)).shots] == [slice(0, 20), slice(20, 40)]


def test_a_head_that_moves_fast_makes_no_cuts():
    """Each jump was a shot, with lips of its own that were learnt from a few frames of an open mouth."""
    moves = talking(12) + talking(9, shift=(20, 0)) + talking(10, shift=(0, 0)) + talking(9, shift=(20, 0))
    assert [shot.frames for shot in learn(film(40), told(moves)).shots] == [slice(0, 40)]


def test_a_shot_is_learnt_as_if_it_were_alone():
    alone = learn(film(20), told(talking(20)))
    other = [opened(points, 0.15) for points in talking(20, shift=(20, 4))]
    other[3] = closed(other[3])
    joined = learn(film(40), told(talking(20) + other))
    first, own = joined.shots[0], alone.shots[0]
    assert np.array_equal(joined.points[:20], alone.points)
    assert np.array_equal(first.neutral.face, own.neutral.face)
    assert first.reference.frame == own.reference.frame
    assert torch.equal(first.reference.picture, own.reference.picture)
    assert np.array_equal(joined.calm_points(7, 1.0), alone.calm_points(7, 1.0))


def test_a_shot_without_a_closed_mouth_takes_that_of_the_nearest_one():
    wide = [opened(portrait()[1] + np.array([20.0, 0, 0]), 0.1 + 0.05 * (number % 3)) for number in range(20)]
    joined = learn(film(40), told(talking(20) + wide))
    assert joined.shots[1].reference.frame < 20
    assert (joined.share[22:] == 1).all()


def test_of_two_faces_the_chosen_one_is_followed():
    left, right = talking(20, shift=(-12, 0)), [0.6 * points + [90, 60, 0] for points in talking(20)]
    both = [learn(film(20), told(left, right), index) for index in (0, 1)]
    assert np.abs(both[0].points - np.stack(left)).max() < 3
    assert np.abs(both[1].points - np.stack(right)).max() < 3
    box = {"x": 100, "y": 60, "width": 60, "height": 100}
    assert np.array_equal(learn(film(20), told(left, right), 0, box).points, both[1].points)
    with pytest.raises(ValueError, match=r"face_index is 2, but 2 face\(s\) were found"):
        learn(film(20), told(left, right), 2)


def test_frames_without_the_face_stay_as_filmed_and_are_named():
    faces: list = talking(40)
    faces[10:13] = [None] * 3
    footage = learn(film(40), told(faces))
    assert (footage.why[10:13] == MISSING).all() and (footage.share[10:13] == 0).all()
    assert footage.share[9] == footage.share[13] == pytest.approx(1 / 6) and footage.share[18] == 1
    assert "the face is not found: 3 frames (10-12)" in footage.report()
    assert len(footage.shots) == 1


def test_unsure_and_turned_frames_stay_as_filmed():
    faces = talking(60)
    detector = told(faces)
    detector.frames[5][0]["presence"] = 3.0
    middle = faces[0].mean(0)
    turn = Rotation.from_euler("xyz", (0, 45, 0), degrees=True).as_matrix()
    for number in range(40, 60):  # a shot of its own, for its eyes come closer
        detector.frames[number] = [face_dict((faces[number] - middle) @ turn.T + middle)]
    detector.frames[20] = [face_dict((faces[20] - middle) * 0.1 + middle)]
    footage = learn(film(60), detector, reference=(torch.rand(SIDE, SIDE, 3), closed(portrait()[1])))
    assert footage.why[5] == UNSURE and footage.why[20] == MISSING
    assert (footage.why[42:] == TURNED).all() and (footage.why[30:35] == FINE).all()
    assert "turned too far" in footage.report() and "mouth of the given reference" in footage.report()


def test_drawing_fades_in_over_five_frames():
    fine = np.ones(20, bool)
    fine[8] = False
    assert faded(fine)[8:15].tolist() == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])
    assert faded(fine)[0] == 1 and (faded(np.ones(3, bool)) == 1).all() and not faded(np.zeros(3, bool)).any()


def test_what_cannot_be_learnt_is_said():
    with pytest.raises(ValueError, match="video shows no face in any of 6 frames"):
        learn(film(6), told([None] * 6))
    for count in (1, 4):
        with pytest.raises(ValueError, match=rf"only {count} usable frame\(s\) of {count} .* at least 5"):
            learn(film(count), told(talking(count)))
    wide = [opened(portrait()[1], 0.1 + 0.01 * (number % 5)) for number in range(10)]
    with pytest.raises(
        ValueError, match=r"no frame with a closed mouth: the smallest opening is 0\.[01]\d\d .* reference"
    ):
        learn(film(10), told(wide))
    tiny = [0.1 * points for points in talking(10)]
    with pytest.raises(ValueError, match=r"face in video is \d+ pixels wide at most; at least 24"):
        learn(film(10), told(tiny))


def test_bright_teeth_are_seen_and_a_dark_mouth_has_none():
    picture, points = portrait()
    pixels, wide = picture.astype(float) / 255, opened(points, 0.3)
    assert look_at(pixels, closed(points)).bright is None
    rows = slice(int(wide[13, 1]), int(wide[14, 1]) + 1)
    pixels[rows] = 0.1
    upper, lower = pixels.copy(), pixels.copy()
    part = round(0.65 * (rows.stop - rows.start))
    upper[rows.start : rows.start + part], lower[rows.stop - part : rows.stop] = 0.9, 0.9
    assert look_at(upper, wide).teeth > 0
    assert look_at(lower, wide).teeth == 0, "a tongue or the lower row"
    pixels[rows] = 0.05
    assert look_at(pixels, wide).teeth == 0 and look_at(pixels, wide).bright is not None


def test_lips_that_are_taken_for_teeth_are_paler():
    red, tooth = np.array([0.55, 0.27, 0.22]), np.array([0.8, 0.75, 0.7])
    light = np.array([0.299, 0.587, 0.114])
    assert paler(red) @ light == pytest.approx(red @ light) and np.ptp(paler(red)) < 0.6 * np.ptp(red)
    assert np.allclose(paler(tooth), tooth)


def test_a_voice_that_begins_late_and_ends_early_leaves_the_rest_as_filmed():
    line = line_of(known(30), motion(10), 0.4, "as filmed", "error")
    assert line.order == list(range(30)) and line.even
    assert line.share[10:20].tolist() == [1.0] * 10
    assert line.share[9] == pytest.approx(0.8) and line.share[5] == 0 and line.share[25] == 0
    assert line.controls[10, 0] == 0 and line.controls[19, 0] == 0.5
    assert not line.controls[:, CONTROLS.index("browInnerUp")].any(), "only lips are used"
    shut = line_of(known(30), motion(10), 0.4, "mouth closed", "error")
    assert (shut.share == 1).all() and shut.controls[29, CONTROLS.index("mouthClose")] == pytest.approx(0.6)
    assert shut.controls[29, 0] == 0


def test_a_longer_voice_is_refused_or_the_film_runs_back_and_forth():
    with pytest.raises(
        ValueError, match=r"lasts 1.60 s .* footage has 1.20 s left.*if_voice_longer to ping-pong"
    ):
        line_of(known(30), motion(40), 0.0, "as filmed", "error")
    line = line_of(known(30), motion(70), 0.0, "as filmed", "ping-pong")
    assert line.order == [*range(30), *range(28, -1, -1), *range(1, 12)] and (line.share == 1).all()
    with pytest.raises(ValueError, match="start is 3 s, but footage lasts 1.20 s"):
        line_of(known(30), motion(5), 3.0, "as filmed", "ping-pong")


def test_a_motion_of_another_rate_is_refused_with_both():
    with pytest.raises(ValueError, match="face_motion has 30 frames per second, but footage 25. Connect fps"):
        line_of(known(30), motion(30, Fraction(30)), 0.0, "as filmed", "error")
    line_of(known(30), motion(30, Fraction(25001, 1000)), 0.0, "as filmed", "error")
