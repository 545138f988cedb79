"""Region masks, the choice of a face, and frames without one, on synthetic landmarks."""

import numpy as np
import pytest
import torch
from talking_portrait.models.face_regions import (
    FACE_OVAL,
    MOUTH_AREA,
    fill_missing,
    follow_face,
    frame_numbers,
    region_masks,
    select_face,
)

HEIGHT, WIDTH = 120, 200


def make_face(x: float, y: float = 60.0, radius: float = 25.0) -> dict:
    """A round face: the outline on a circle, the mouth's points in the lower third, all others in the middle."""
    xy = np.tile(np.array([[x, y]], np.float32), (478, 1))
    turn = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False) - np.pi / 2
    some = turn[: len(MOUTH_AREA)]
    xy[list(MOUTH_AREA)] = np.stack([x + radius * 0.5 * np.cos(some), y + radius * (0.5 + 0.3 * np.sin(some))], 1)
    xy[list(FACE_OVAL)] = np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], 1)
    three = np.concatenate([(xy - [x - radius * 1.5, y - radius * 1.5]) * 64 / radius, np.full((478, 1), -8)], 1)
    return {
        "bbox_xyxy": np.array([x - radius, y - radius, x + radius, y + radius], np.float32),
        "landmarks_xy": xy, "landmarks_3d": three, "presence": 9.0, "score": 0.9,
    }  # fmt: skip


def make_landmarks(*frames: list[dict]) -> dict:
    return {"frames": list(frames), "image_size": (HEIGHT, WIDTH), "connection_sets": {}}


def masks(landmarks, index=0, box=None, feather=0.0, grow=0.0, missing="error"):
    return region_masks(landmarks, index, box, feather, grow, missing, "Face Region Masks")


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
    with pytest.raises(ValueError, match=r"no face in 3 of 5 frames: 1-2, 4 .*hold or interpolate"):
        masks(landmarks)


def test_missing_frames_are_held_or_blended():
    landmarks = make_landmarks([], [make_face(50)], [], [], [make_face(80)], [])
    held, blended = masks(landmarks, missing="hold"), masks(landmarks, missing="interpolate")
    assert held.missed == blended.missed == (0, 2, 3, 5)
    assert [centre(m)[0] for m in held.face] == pytest.approx([50, 50, 50, 50, 80, 80], abs=1)
    assert [centre(m)[0] for m in blended.face] == pytest.approx([50, 50, 60, 70, 80, 80], abs=1)


def test_no_face_at_all_says_what_to_try():
    with pytest.raises(ValueError, match="no face in any of 2 frames.*min_confidence.*Face Landmarks from Box"):
        masks(make_landmarks([], []), missing="hold")
    with pytest.raises(ValueError, match="Prepare Portrait: face_landmarks holds no face in frame 0.*detector_variant"):
        select_face(make_landmarks([]))


def test_wrong_index_says_how_many_there_are():
    landmarks = make_landmarks([make_face(150), make_face(40)])
    with pytest.raises(ValueError, match=r"face_index is 2, but 2 face\(s\) were found"):
        select_face(landmarks, index=2)
    with pytest.raises(ValueError, match=r"face_index is 5, but 2 face\(s\) were found"):
        masks(landmarks, index=5)


def test_box_beside_every_face_says_where_they_are():
    with pytest.raises(ValueError, match="no face touches face_box.*x 125 to 175"):
        select_face(make_landmarks([make_face(150)]), box={"x": 0, "y": 0, "width": 20, "height": 20})


def test_box_count_must_fit():
    box = {"x": 10, "y": 30, "width": 50, "height": 60}
    with pytest.raises(ValueError, match="2 boxes for 3 frames"):
        follow_face(make_landmarks([], [], []), 0, [[box], [box]], "Face Region Masks")


def test_selected_face_has_depth_in_pixels():
    points = select_face(make_landmarks([make_face(80, radius=32)]))
    assert points.shape == (478, 3) and points.dtype == np.float32
    assert points[10, :2] == pytest.approx([80, 28], abs=1e-3)
    assert points[:, 2] == pytest.approx(np.full(478, -4.0), abs=1e-3)  # 8 mesh units at half a pixel each


def test_unknown_missing_mode_is_an_error():
    with pytest.raises(ValueError, match="missing_face is 'skip'"):
        fill_missing([np.zeros((478, 2))], "skip", "Face Region Masks")


def test_frame_numbers_read_well():
    assert frame_numbers([0, 1, 2, 5, 7, 8]) == "0-2, 5, 7-8"
    assert frame_numbers([]) == ""
