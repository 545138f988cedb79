"""A face cut out of a film and pasted back: calm squares, and every pixel outside the mask as it was."""

import numpy as np
import pytest
import torch
from talking_portrait.models.face.crops import face_squares
from talking_portrait.nodes.crops import CropFaceFromVideo, PasteFaceIntoVideo

from ..models.film_samples import SIDE, face_dict, film, talking

USUAL = {
    "face_index": 0, "size": 128, "scale": 1.5, "region": "mouth", "grow": 0.0, "feather": 6.0, "smoothing": 4.0,
    "missing_face": "error",
}  # fmt: skip


def cropped(faces: list, **options):
    frames = [[] if points is None else [face_dict(points)] for points in faces]
    landmarks = {"frames": frames, "image_size": (SIDE, SIDE), "connection_sets": {}}
    images = film(len(faces)).images
    return images, CropFaceFromVideo.execute(images, landmarks, **{**USUAL, **options}).result


def test_a_round_trip_changes_nothing_outside_the_mask_and_little_inside():
    images, (crops, masks, places) = cropped(talking(8))
    assert crops.shape == (8, 128, 128, 3) and masks.shape == (8, 128, 128)
    assert 0.02 < (masks > 0.5).float().mean() < 0.4
    (back,) = PasteFaceIntoVideo.execute(images, crops, places).result
    changed = (back != images).any(-1)
    (white,) = PasteFaceIntoVideo.execute(images, torch.ones_like(crops), places).result
    touched = (white != images).any(-1)
    assert not changed[~touched].any() and 0.01 < touched.float().mean() < 0.25
    assert (back - images).abs().mean() < 0.003
    (none,) = PasteFaceIntoVideo.execute(images, crops * 0, places, torch.zeros(8, 128, 128)).result
    assert torch.equal(none, images)


def test_crops_of_another_size_and_masks_of_one_frame_fit():
    images, (crops, _, places) = cropped(talking(4))
    larger = torch.nn.functional.interpolate(crops.movedim(-1, 1), (200, 200)).movedim(1, -1)
    (back,) = PasteFaceIntoVideo.execute(images, larger, places, torch.ones(1, 50, 50)).result
    assert (back - images).abs().mean() < 0.02


def test_the_squares_go_calmly_along_with_the_face_and_over_the_edge():
    noise = np.random.default_rng(2)
    faces = [
        points[:, :2] + [2.0 * number, 0] + noise.normal(0, 1.5, 2)
        for number, points in enumerate(talking(60))
    ]
    rough, calm = face_squares(faces, 2.0, 0.0), face_squares(faces, 2.0, 6.0)
    assert np.abs(np.diff(calm[:, 0], 2)).mean() < 0.5 * np.abs(np.diff(rough[:, 0], 2)).mean()
    assert 70 < calm[-10, 0] - calm[10, 0] < 90
    images, (crops, _, places) = cropped([points - [90, 0, 0] for points in talking(4)], scale=2.5)
    assert (places.squares[:, 0] < 0).all() and torch.isfinite(crops).all()
    assert PasteFaceIntoVideo.execute(images, crops, places).result[0].shape == images.shape


def test_the_whole_face_is_a_larger_region():
    mouth, face = cropped(talking(2))[1][1], cropped(talking(2), region="face")[1][1]
    assert face.sum() > 2 * mouth.sum() and (face >= mouth - 0.5).all()


def test_what_does_not_fit_is_said():
    faces: list = talking(6)
    images, (crops, _, places) = cropped(faces)
    with pytest.raises(
        ValueError, match="Paste Face into Video: images has 5 frames .* but face_crops is of 6 frames"
    ):
        PasteFaceIntoVideo.execute(images[:5], crops, places)
    with pytest.raises(ValueError, match="crops has 5 pictures, but face_crops is of 6"):
        PasteFaceIntoVideo.execute(images, crops[:5], places)
    with pytest.raises(ValueError, match="crops is 100x128; it must be square"):
        PasteFaceIntoVideo.execute(images, crops[:, :, :100], places)
    with pytest.raises(ValueError, match="mask holds 2 masks, but there are 6 frames"):
        PasteFaceIntoVideo.execute(images, crops, places, torch.ones(2, 128, 128))
    faces[2] = None
    with pytest.raises(
        ValueError, match="Crop Face from Video: the face is missing in 1 of 6 frames: 2 .*bridge"
    ):
        cropped(faces)
    assert len(cropped(faces, missing_face="bridge")[1][0]) == 6
