"""One face over a film: missing where it is not there, never somebody else, and a cut is named."""

import time

import numpy as np
import pytest
from talking_portrait.models.face.following import follow_face, missing_text

from .made_faces import make_face, make_landmarks


def places(landmarks: dict, index: int = 0, box=None) -> list[int | None]:
    """x of the followed face's middle in every frame, None where it is missing."""
    return [
        None if p is None else round(float(p[:, 0].min() + p[:, 0].max()) / 2)
        for p in follow_face(landmarks, index, box)
    ]


def film(*paths, trembling: float = 0.01) -> dict:
    """Landmarks of faces that move along paths (x by frame, None: not seen), listed in this order; a real one
    is never still."""
    rows = enumerate(zip(*paths, strict=True))
    frames = [
        [make_face(x + trembling * (-1) ** number) for x in row if x is not None] for number, row in rows
    ]
    return make_landmarks(*frames, size=(120, 2000))


def test_an_unseen_face_is_missing_though_somebody_else_is_there():
    """The fault: the other person's face was taken, and the frames counted as found."""
    first, second = [100] * 4 + [None] * 4 + [104] * 4, [300] * 12
    landmarks = film(first, second)
    assert places(landmarks) == [100] * 4 + [None] * 4 + [104] * 4
    found = follow_face(landmarks, 0)
    assert missing_text(found, landmarks) == (
        "the face is missing in 4 of 12 frames: 4-7 (the first is 0), though other faces are there in 4-7"
    )


def test_a_newcomer_beside_the_missing_face_is_somebody_else():
    """With one face per frame the detector shows the second person only while the first is gone."""
    first, second = [100] * 4 + [None] * 4 + [100] * 4, [None] * 4 + [210] * 4 + [None] * 4
    assert places(film(first, second)) == first


def test_the_detector_s_order_does_not_matter():
    left, right = [100 + 2 * i for i in range(10)], [300 - 2 * i for i in range(10)]
    landmarks = film(left, right)
    landmarks["frames"] = [
        faces[:: -1 if number % 3 == 1 else 1] for number, faces in enumerate(landmarks["frames"])
    ]
    assert places(landmarks) == left
    assert places(landmarks, index=1) == right


@pytest.mark.parametrize("hidden", [0, 1, 3])
@pytest.mark.parametrize("speed", [4, 9, 20, 30])
def test_two_who_cross_keep_who_they_are(speed, hidden):
    """Each goes on past the other; around the meeting the one behind is not seen for some frames."""
    left, right = ([600 + way * (speed * (i - 12) + 1) for i in range(24)] for way in (1, -1))
    seen = [None if 2 * abs(i - 12) < hidden else x for i, x in enumerate(left)]
    assert places(film(seen, right)) == seen


def test_a_fast_head_is_followed():
    """Up to nine tenths of its size from frame to frame, there and back."""
    path = [300.0]
    for step in [10, 25, 40, 45, 45, 45, 30, 0, -30, -45, -45, -45, -20, 0, 0]:
        path.append(path[-1] + step)
    assert places(film(path)) == [round(x) for x in path]


def test_a_shaken_head_is_followed():
    path = [300 + 25 * np.sin(2 * np.pi * i / 6) for i in range(30)]
    assert places(film(path)) == [round(x) for x in path]


def test_a_zoom_is_followed_past_another_face():
    frames = [
        [make_face(300, 300, 20 * 1.06**i), make_face(300 + 120 * 1.06**i, 300, 20 * 1.06**i)]
        for i in range(40)
    ]
    assert places(make_landmarks(*frames)) == [300] * 40


def test_a_face_of_another_size_in_the_same_place_is_somebody_else():
    """Who stands in front hides the one behind."""
    far, near = make_face(100, radius=20), make_face(104, radius=45)
    found = follow_face(make_landmarks([far], [far], [near], [near], [near], [far], [far]), 0)
    assert [points is None for points in found] == [False, False, True, True, True, False, False]


def test_a_face_is_found_again_farther_away_the_longer_it_was_gone():
    assert places(film([100] * 5 + [None] + [170] * 5, [900] * 11))[6:] == [None] * 5
    assert places(film([100] * 5 + [None] * 8 + [170] * 5, [900] * 18))[13:] == [170] * 5
    assert places(film([100] * 5 + [None] * 80 + [260] * 5, [900] * 90))[85:] == [None] * 5


def test_a_known_person_is_not_taken_for_the_missing_one_however_long():
    first, second = [100] * 5 + [None] * 60, [180] * 65
    assert places(film(first, second)) == first


def test_a_slow_walk_out_and_in_again():
    path = [100 + 5 * i for i in range(10)] + [None] * 5 + [150 + 5 * i for i in range(5)]
    assert places(film(path)) == path


@pytest.mark.parametrize("there", [400, 130])
def test_a_cut_to_another_place_is_named(there):
    """The same person after a cut and another one look alike to landmarks: an error says so, far away and near."""
    calm = [100 + (i % 2) for i in range(12)] + [there + (i % 2) for i in range(12)]
    with pytest.raises(
        ValueError, match=r"frame 12 of face_landmarks.*: a cut, or another person.*bboxes.*face_box"
    ):
        follow_face(film(calm), 0)


def test_a_cut_for_all_faces_is_named():
    with pytest.raises(
        ValueError, match="from frame 9 of face_landmarks on there are only faces that were not there before"
    ):
        follow_face(film([100] * 9 + [600] * 9, [300] * 9 + [800] * 9), 0)


def test_shot_and_countershot_leave_frames_missing():
    shot, countershot = [100] * 6 + [None] * 6 + [100] * 6, [None] * 6 + [500] * 6 + [None] * 6
    assert places(film(shot, countershot)) == shot


def test_one_who_leaves_while_another_stays_is_missing_to_the_end():
    assert places(film([100] * 6 + [None] * 6, [500] * 12)) == [100] * 6 + [None] * 6


def test_a_passing_mistake_of_the_detector_is_no_cut():
    """A poster that looks like a face for one frame after the person has gone."""
    assert places(film([100] * 6 + [None] * 9, [None] * 10 + [700] + [None] * 4)) == [100] * 6 + [None] * 9


def test_lively_motion_and_frozen_frames_are_no_cut():
    lively = [300 + 24 * (-1) ** i * (1 - 0.05 * (i % 4)) for i in range(20)]
    assert None not in places(film(lively))
    assert None not in places(film([x for x in lively for _ in range(2)]))
    frozen = [100 + i for i in range(8)] + [107] * 10 + [150 + i for i in range(8)]
    assert None not in places(film(frozen, trembling=0.0))


def test_two_stills_of_one_framing_are_no_cut():
    assert places(film([100, 125])) == [100, 125]


def test_a_box_for_every_frame_chooses_whoever_it_is():
    landmarks = film([100] * 6, [400] * 6)
    boxes = [{"x": x - 20, "y": 40, "width": 40, "height": 40} for x in (100, 100, 400, 400, 100, 100)]
    assert (
        places(landmarks, box=[[box] for box in boxes])
        == places(landmarks, box=boxes)
        == [100, 100, 400, 400, 100, 100]
    )
    holes = [[box] if number != 3 else [] for number, box in enumerate(boxes)]
    assert places(landmarks, box=holes) == [100, 100, 400, None, 100, 100]


def test_one_box_chooses_once_and_the_face_is_followed_out_of_it():
    path = [400 - 20 * i for i in range(16)]
    box = {"x": 380, "y": 40, "width": 40, "height": 40}
    assert places(film([500] * 16, path), box=box) == path
    comes = [None] * 3 + path
    assert places(film([700] * 19, comes), box=box) == comes


def test_earlier_sightings_of_the_chosen_face_count():
    """The second face of the first frame with two was there before, alone."""
    landmarks = film([None] * 3 + [100] * 5, [400] * 8)
    assert places(landmarks, index=1) == [400] * 8


def test_a_long_film_takes_no_time_to_speak_of():
    landmarks = film([100 + 3 * np.sin(i / 5) for i in range(2000)], [400 + i % 3 for i in range(2000)])
    start = time.process_time()
    assert None not in places(landmarks)
    assert time.process_time() - start < 5
