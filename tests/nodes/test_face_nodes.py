"""The face nodes as an artist chains them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from comfy_extras.nodes_mediapipe import MediaPipeFaceLandmarker
from PIL import Image
from talking_portrait.models.face.landmarks import select_face
from talking_portrait.nodes import face

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "samples" / "talking_portrait_astronaut.png"
BOX = {"x": 170, "y": 150, "width": 175, "height": 195}


@pytest.fixture(autouse=True)
def _inference():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.from_numpy(np.array(Image.open(EXAMPLE).convert("RGB"))).float()[None] / 255


@pytest.fixture(scope="module")
def detector():
    return face.LoadFaceDetector.execute().result[0]


def test_loaded_once_while_in_use(detector):
    assert face.LoadFaceDetector.execute().result[0] is detector
    assert len(detector.get_models()) == 2


def test_from_picture_to_masks(detector, image):
    landmarks = MediaPipeFaceLandmarker.execute(detector, image, "short", 1, 0.5, "empty").result[0]
    whole, mouth, expression, missed = face.FaceRegionMasks.execute(landmarks, 0, 16.0, 0.0, "error").result
    assert whole.shape == mouth.shape == expression.shape == (1, 512, 512) and missed == ""
    assert mouth[0, 290, 256] > 0.9 and expression[0, 205, 256] > 0.9  # lips; between the eyes
    assert 0.02 < mouth.mean() < 0.08


@pytest.mark.parametrize("box", [BOX, [BOX], [[BOX]]])
def test_box_in_every_shape_core_has(detector, image, box):
    landmarks, boxes = face.FaceFromBox.execute(detector, image, box, 0.1).result
    (found,) = landmarks["frames"][0]
    assert landmarks["image_size"] == (512, 512) and found["transformation_matrix"].shape == (4, 4)
    assert boxes[0][0]["x"] == pytest.approx(165, abs=8) and 0.9 < boxes[0][0]["score"] <= 1


def test_one_box_serves_a_film_and_masks_follow(detector, image):
    film = torch.cat([image, image.roll(6, 2)])
    landmarks = face.FaceFromBox.execute(detector, film, BOX, 0.1).result[0]
    whole = face.FaceRegionMasks.execute(landmarks, 0, 0.0, 0.0, "error").result[0]
    columns = [float(torch.nonzero(mask.sum(0)).float().mean()) for mask in whole]
    assert columns[1] - columns[0] == pytest.approx(6, abs=1)


def test_every_box_of_a_frame_is_taken(detector, image):
    pair = torch.cat([image, image.flip(2)], 2)
    boxes = [BOX, {**BOX, "x": 1024 - BOX["x"] - BOX["width"]}]
    landmarks, found = face.FaceFromBox.execute(detector, pair, [boxes], 0.1).result
    assert len(landmarks["frames"][0]) == 2 and [round(box["x"] / 512) for box in found[0]] == [0, 1]


def test_an_upside_down_picture_is_told_to_be_turned(detector, image):
    landmarks = MediaPipeFaceLandmarker.execute(
        detector, image.flip(1).flip(2), "short", 1, 0.3, "empty"
    ).result[0]
    with pytest.raises(
        ValueError, match="^the face in face_landmarks is upside down .*Turn the picture upright"
    ):
        select_face(landmarks)


def test_alpha_grey_and_broken_pictures(detector, image):
    alpha = torch.cat([image, torch.ones_like(image[..., :1])], -1)
    for picture in (alpha, image.mean(-1, keepdim=True)):
        assert face.FaceFromBox.execute(detector, picture, BOX, 0.1).result[0]["frames"][0]
    alpha[:, :20] = float("nan")
    with pytest.raises(ValueError, match="Face Landmarks from Box: image has pixels that are not numbers"):
        face.FaceFromBox.execute(detector, alpha, BOX, 0.1)


def test_box_without_a_face_is_explained(detector, image):
    with pytest.raises(ValueError, match="no face inside face_box in any of 1 frames.*min_presence"):
        face.FaceFromBox.execute(detector, image, {"x": 0, "y": 0, "width": 90, "height": 90}, 0.1)


@pytest.mark.parametrize(
    "size, box", [((1, 1), BOX), ((512, 512), {"x": 600, "y": 0, "width": 50, "height": 50})]
)
def test_box_outside_the_picture_is_explained(detector, size, box):
    with pytest.raises(ValueError, match=r"Face Landmarks from Box: face_box .*less than 8x8 pixels of the"):
        face.FaceFromBox.execute(detector, torch.zeros(1, *size, 3), box, 0.1)


def test_other_loaders_are_explained(image):
    with pytest.raises(ValueError, match=r"Connect Load Face Detector \(built-in\)"):
        face.FaceFromBox.execute(object(), image, BOX, 0.1)


def test_every_socket_has_a_tooltip():
    for node in face.NODES:
        schema = node.define_schema()
        assert schema.node_id.startswith("TalkingPortrait") and schema.category == "talking portrait/face"
        assert all(socket.tooltip for socket in [*schema.inputs, *schema.outputs]), schema.node_id
