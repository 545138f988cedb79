"""The choice of one face of one picture: by number, by box, and what is refused."""

import numpy as np
import pytest
from talking_portrait.models.face.landmarks import (
    box_groups,
    boxes_per_frame,
    check_upright,
    frame_numbers,
    others_found,
    roll,
    select_face,
)

from .made_faces import make_face, make_landmarks

PAIR = [make_face(150), make_face(40)]
BOX = {"x": 10, "y": 30, "width": 50, "height": 60}


def chosen_x(landmarks: dict, **how) -> float:
    return round(float(np.median(select_face(landmarks, **how)[:, 0])))


def test_index_and_box_choose_the_face():
    assert chosen_x(make_landmarks(PAIR)) == 150 and chosen_x(make_landmarks(PAIR), index=1) == 40
    for shape in (BOX, [BOX], [[BOX]]):
        assert chosen_x(make_landmarks(PAIR), box=shape) == 40


def test_the_largest_face_is_number_0_whatever_the_detector_thinks():
    crowd = [make_face(60, radius=12), make_face(200, radius=30), make_face(130, radius=20)]
    assert [chosen_x(make_landmarks(crowd), index=number) for number in range(3)] == [200, 130, 60]
    told = others_found(crowd, select_face(make_landmarks(crowd), index=1))
    assert told.startswith("3 faces found: number 1 (x 110 to 150") and "face_index" in told
    assert others_found(crowd[:1], select_face(make_landmarks(crowd[:1]))) == ""


def test_selected_face_has_depth_in_pixels():
    points = select_face(make_landmarks([make_face(80, radius=32)]))
    assert points.shape == (478, 3) and points.dtype == np.float32
    assert points[10, :2] == pytest.approx([80, 28], abs=1e-3)
    assert points[:, 2] == pytest.approx(np.full(478, -4.0), abs=1e-3)  # 8 mesh units at half a pixel each


def test_what_is_not_there_is_explained():
    with pytest.raises(
        ValueError, match="^face_landmarks holds no face.*detector_variant.*turn the picture upright"
    ):
        select_face(make_landmarks([]))
    with pytest.raises(ValueError, match=r"face_index is 2, but 2 face\(s\) were found"):
        select_face(make_landmarks(PAIR), index=2)


@pytest.mark.parametrize("box", [
    {"x": 0, "y": 0, "width": 20, "height": 20},
    # takes in a sliver of both faces: chosen before, without a word
    {"x": 60, "y": 30, "width": 70, "height": 60},
])  # fmt: skip
def test_a_box_beside_every_face_says_where_they_are(box):
    with pytest.raises(ValueError, match="no face lies in face_box.*x 125 to 175.*x 15 to 65"):
        select_face(make_landmarks(PAIR), box=box)


def test_a_box_around_the_person_or_on_the_mouth_chooses_the_face():
    assert chosen_x(make_landmarks(PAIR), box={"x": 0, "y": 0, "width": 90, "height": 120}) == 40
    assert chosen_x(make_landmarks(PAIR), box={"x": 35, "y": 70, "width": 10, "height": 8}) == 40


def test_a_number_and_a_box_together_are_refused():
    with pytest.raises(ValueError, match="face_index is 1, but face_box chooses the face already"):
        select_face(make_landmarks(PAIR), index=1, box=BOX)


def test_the_landmarks_of_a_film_are_no_picture_s():
    with pytest.raises(ValueError, match="face_landmarks covers 3 frames, but one picture is wanted"):
        select_face(make_landmarks(PAIR, PAIR, PAIR))


def test_several_boxes_in_a_frame_are_not_taken_in_part():
    assert box_groups([[BOX, BOX], []], 2) == [[BOX, BOX], []]
    with pytest.raises(ValueError, match="face_box holds 2 boxes in frame 1"):
        boxes_per_frame([[BOX], [BOX, BOX]], 2)


def test_box_count_must_fit():
    with pytest.raises(ValueError, match="boxes of 2 frames for 3 frames"):
        boxes_per_frame([[BOX], [BOX]], 3)


@pytest.mark.parametrize("degrees", [180, -150, 130])
def test_an_upside_down_face_is_told_to_be_turned(degrees):
    with pytest.raises(
        ValueError, match="upside down .rolled by 1.0 degrees.. Turn the picture upright"
    ) as problem:
        select_face(make_landmarks([make_face(80, degrees=degrees)]))
    assert "turned too far aside" not in str(problem.value)


@pytest.mark.parametrize("degrees", [0, 30, -90, 110])
def test_a_head_that_lies_on_its_side_is_taken(degrees):
    face = make_face(80, degrees=degrees)
    assert roll(face["landmarks_xy"]) == pytest.approx(degrees, abs=0.1)
    select_face(make_landmarks([face]))


def test_a_film_is_upside_down_where_most_of_it_is():
    upright, turned = make_face(80)["landmarks_xy"], make_face(80, degrees=180)["landmarks_xy"]
    check_upright([upright, None, upright, turned])
    with pytest.raises(ValueError, match="upside down"):
        check_upright([turned, None, turned, upright])


def test_a_face_that_the_mesh_hardly_sees_is_refused_but_for_a_drawn_box():
    hidden = make_face(80, presence=1.0)
    with pytest.raises(
        ValueError, match="turned too far aside .*, upside down, covered or small.*Turn the picture upright"
    ):
        select_face(make_landmarks([hidden]))
    select_face(make_landmarks([hidden | {"from_box": True}]))


def test_frame_numbers_read_well():
    assert frame_numbers([0, 1, 2, 5, 7, 8]) == "0-2, 5, 7-8"
    assert frame_numbers([]) == ""
