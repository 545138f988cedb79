"""Region masks, and frames without the face, on synthetic landmarks."""

import numpy as np
import pytest
import torch
from talking_portrait.models.face.regions import fill_missing, region_masks

from .made_faces import HEIGHT, WIDTH, make_face, make_landmarks


def masks(landmarks, index=0, box=None, feather=0.0, grow=0.0, missing="error"):
    return region_masks(landmarks, index, box, feather, grow, missing)


def centre(mask: torch.Tensor) -> tuple[float, float]:
    rows, columns = torch.nonzero(mask > 0.5, as_tuple=True)
    return float(columns.float().mean()), float(rows.float().mean())


@pytest.mark.parametrize("feather, grow", [(0, 0), (9, 0), (0, 6), (12, -5)])
def test_mouth_and_expression_make_up_the_face(feather, grow):
    result = masks(make_landmarks([make_face(80)]), feather=feather, grow=grow)
    assert result.face.shape == (1, HEIGHT, WIDTH)
    assert torch.allclose(result.mouth + result.expression, result.face)
    assert all(0 <= m.min() and m.max() <= 1 for m in (result.face, result.mouth, result.expression))
    assert result.mouth[0, 75, 80] > 0.9 and result.expression[0, 45, 80] > 0.9
    assert result.expression[0, 75, 80] < 0.1 and result.mouth[0, 45, 80] < 0.1


def test_grow_is_in_pixels():
    areas = [float(masks(make_landmarks([make_face(80)]), grow=g).face.sum()) for g in (-5, 0, 5)]
    assert np.sqrt(np.array(areas) / np.pi) == pytest.approx([20, 25, 30], abs=0.7)


def test_feather_is_the_width_of_the_edge():
    row = masks(make_landmarks([make_face(80)]), feather=10).face[0, 60, 80:]
    soft = torch.nonzero((row > 0.01) & (row < 0.99)).flatten()
    assert 7 <= len(soft) <= 11 and float(soft.float().mean()) == pytest.approx(25, abs=1.5)


def test_face_over_the_edge_of_the_picture():
    result = masks(make_landmarks([make_face(-5)]), feather=8, grow=3)
    assert result.face[0, 60, 0] == 1 and result.face[0, 60, 60] == 0


def test_index_and_box_choose_the_face():
    landmarks = make_landmarks([make_face(150), make_face(40)])
    assert centre(masks(landmarks, index=0).face[0])[0] == pytest.approx(150, abs=1)
    assert centre(masks(landmarks, index=1).face[0])[0] == pytest.approx(40, abs=1)
    box = {"x": 10, "y": 30, "width": 50, "height": 60}
    for shape in (box, [box], [[box]]):
        assert centre(masks(landmarks, box=shape).face[0])[0] == pytest.approx(40, abs=1)


def test_face_is_followed_when_the_order_changes():
    landmarks = make_landmarks([make_face(40), make_face(150)], [make_face(148), make_face(44)])
    result = masks(landmarks, index=0)
    assert [round(centre(m)[0] / 10) for m in result.face] == [4, 4]


def test_missing_frames_are_named():
    landmarks = make_landmarks([make_face(50)], [], [], [make_face(80)], [])
    with pytest.raises(
        ValueError, match=r"the face is missing in 3 of 5 frames: 1-2, 4 .*hold or interpolate"
    ):
        masks(landmarks)


def test_another_face_is_never_masked_instead():
    """In two frames only somebody else is there: they are missing, and filled from the followed face's own."""
    film = make_landmarks(*([make_face(40 + 0.01 * i), make_face(150)] for i in range(3)), [make_face(150)],
        [make_face(151)],
                          [make_face(44), make_face(150)])  # fmt: skip
    result = masks(film, missing="hold")
    assert result.missed == (3, 4)
    assert [centre(mask)[0] for mask in result.face] == pytest.approx([40, 40, 40, 40, 40, 44], abs=1)
    with pytest.raises(
        ValueError, match="missing in 2 of 6 frames: 3-4 .*though other faces are there in 3-4"
    ):
        masks(film)


def test_missing_frames_are_held_or_blended():
    landmarks = make_landmarks([], [make_face(50)], [], [], [make_face(80)], [])
    held, blended = masks(landmarks, missing="hold"), masks(landmarks, missing="interpolate")
    assert held.missed == blended.missed == (0, 2, 3, 5)
    assert [centre(m)[0] for m in held.face] == pytest.approx([50, 50, 50, 50, 80, 80], abs=1)
    assert [centre(m)[0] for m in blended.face] == pytest.approx([50, 50, 60, 70, 80, 80], abs=1)


def test_no_face_at_all_says_what_to_try():
    with pytest.raises(
        ValueError, match="no face in any of 2 frames.*min_confidence.*Face Landmarks from Box"
    ):
        masks(make_landmarks([], []), missing="hold")


def test_wrong_index_says_how_many_there_are():
    with pytest.raises(ValueError, match=r"face_index is 5, but 2 face\(s\) were found"):
        masks(make_landmarks([make_face(150), make_face(40)]), index=5)


def test_gaps_of_a_long_film_are_filled_at_once():
    places = [np.full((478, 2), float(number)) if number % 50 == 0 else None for number in range(20_000)]
    filled = fill_missing(places, "interpolate")
    assert filled[75][0, 0] == 75.0 and filled[-1][0, 0] == 19_950.0
    assert fill_missing(places, "hold")[75][0, 0] == 50.0
