"""The nodes that read an actor's face without downloads: from landmarks, and by the keypoint extractor's socket."""

from types import SimpleNamespace

import pytest
import torch
from talking_portrait.models.contracts import KEYPOINT_EXTRACTORS
from talking_portrait.models.face_motion.exemplar import exemplar_change
from talking_portrait.nodes.capture import FaceMotionFromLandmarks
from talking_portrait.nodes.catalogue.renderers import with_keypoints
from talking_portrait.nodes.keypoints import LoadKeypointExtractor, PortraitKeypoints
from talking_portrait.nodes.liveportrait import FaceMotionFromVideo

from ..models.film_samples import SIDE, face_dict, opened, portrait, talking

USUAL = {
    "fps": 29.97, "face_index": 0, "missing_face": "error", "neutral": "calmest frames", "neutral_frame": 0,
    "mouth_amount": 1.0, "eyes_amount": 1.0, "head_amount": 1.0, "head_limit": 10.0, "smoothing": 5,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _inference():
    with torch.inference_mode():
        yield


def landmarks(faces: list) -> dict:
    frames = [[] if points is None else [face_dict(points)] for points in faces]
    return {"frames": frames, "image_size": (SIDE, SIDE), "connection_sets": {}}


def test_landmarks_become_changes_at_the_film_s_exact_rate():
    motion, missed = FaceMotionFromLandmarks.execute(landmarks(talking(30)), **USUAL).result
    assert motion.fps == 30000 / 1001 or float(motion.fps) == pytest.approx(29.97, abs=1e-3)
    assert len(motion) == 30 and not motion.absolute and missed == "" and motion.reference is None
    assert motion.controls[:, 0].max() > 0.15


def test_missing_faces_stop_or_are_bridged():
    faces: list = talking(30)
    faces[7] = faces[8] = None
    with pytest.raises(
        ValueError, match=r"Face Motion from Landmarks: the face is missing in 2 of 30 frames: 7-8.*bridge"
    ):
        FaceMotionFromLandmarks.execute(landmarks(faces), **USUAL)
    motion, missed = FaceMotionFromLandmarks.execute(
        landmarks(faces), **{**USUAL, "missing_face": "bridge"}
    ).result
    assert missed == "7, 8" and motion.valid.tolist().count(False) == 2


def test_the_head_is_left_to_the_portrait_s_own_limit():
    (limit,) = (one for one in FaceMotionFromLandmarks.define_schema().inputs if one.id == "head_limit")
    assert limit.default == 0


def test_what_would_be_ignored_is_refused():
    with pytest.raises(ValueError, match="neutral_frame is 4, but neutral is calmest frames"):
        FaceMotionFromLandmarks.execute(landmarks(talking(30)), **{**USUAL, "neutral_frame": 4})


def test_two_landmarked_pictures_are_an_emotion_s_exemplar():
    calm, mood = opened(portrait()[1], 0.0), opened(portrait()[1], 0.2)
    motion = FaceMotionFromLandmarks.execute(
        landmarks([calm, mood]), **{**USUAL, "neutral": "frame number", "smoothing": 0}
    ).result[0]
    change, _ = exemplar_change(motion)
    assert change[19, 1] > 0.01, "the lower lip goes down"


def test_the_built_in_extractor_is_first_in_the_menu_and_needs_no_file():
    assert next(iter(KEYPOINT_EXTRACTORS)) == "built-in landmarks"
    assert LoadKeypointExtractor.validate_inputs(extractor="built-in landmarks") is True
    extractor = LoadKeypointExtractor.execute({"extractor": "built-in landmarks"}).result[0]
    picture, points = portrait()
    image = torch.from_numpy(picture).float()[None] / 255
    motion = PortraitKeypoints.execute(extractor, image, landmarks([points]), 0).result[0]
    assert motion.source["producer"] == "landmarks" and motion.controls[0, 0] > 0.1, (
        "she smiles with open lips"
    )
    film = image.expand(3, -1, -1, -1)
    moved = FaceMotionFromVideo.execute(
        images=film, face_landmarks=landmarks([points] * 3), fps=25.0, face_index=0, missing_face="error",
        smoothing=0.3, animal=False, keypoint_extractor=extractor,
    ).result[0]  # fmt: skip
    assert len(moved) == 3 and (moved.controls[2] - moved.controls[0]).abs().max() < 0.02
    with pytest.raises(
        ValueError, match="keypoint_extractor is built-in landmarks, which gives no keypoints, and X"
    ):
        with_keypoints(extractor, "X")
    other = SimpleNamespace(ready=None, device=None)
    assert with_keypoints(other, "X") is other
