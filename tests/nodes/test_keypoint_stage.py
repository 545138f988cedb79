"""The keypoint extractor as a stage: who takes one, and a picture's own motion."""

from pathlib import Path
from types import SimpleNamespace

import folder_paths
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from talking_portrait.models.face_motion import GROUPS
from talking_portrait.models.liveportrait.motion_extractor import KeypointMotion
from talking_portrait.nodes.catalogue.file_menu import choices
from talking_portrait.nodes.face import LoadFaceDetector
from talking_portrait.nodes.keypoints import LoadKeypointExtractor, PortraitKeypoints
from talking_portrait.nodes.liveportrait import FaceMotionFromVideo

from ..models.made_faces import make_face, make_landmarks

PICTURE = torch.rand(1, 300, 280, 3, generator=torch.Generator().manual_seed(0))


class Extractor(torch.nn.Module):
    """Says of each picture how bright it is, as a yaw, and keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, pictures):
        self.seen.append(pictures)
        one = torch.ones(len(pictures), 1)
        yaw = 10 * pictures.mean((1, 2, 3))[:, None]
        return KeypointMotion(
            torch.zeros(len(pictures), 21, 3), 1.5 * one, 2 * one, yaw, 0 * one, 0.1 * one.expand(-1, 3),
            torch.full((len(pictures), 21, 3), 0.01),
        )  # fmt: skip


@pytest.fixture
def extractor():
    network = Extractor()
    with torch.inference_mode():
        yield SimpleNamespace(ready=lambda: network, device=torch.device("cpu"), network=network)


def found(size=(300, 280)) -> dict:
    return make_landmarks([make_face(140, 150, 100)], size=size)


def test_a_picture_s_own_motion_is_one_absolute_frame_about_itself(extractor):
    (motion,) = PortraitKeypoints.execute(extractor, PICTURE, found(), 0).result
    assert len(motion) == 1 and motion.absolute == frozenset(GROUPS)
    assert (
        motion.pose[0, 0] == 2
        and motion.scale[0] == 1.5
        and motion.translation[0].tolist() == pytest.approx([0.1] * 3)
    )
    assert torch.equal(motion.reference.pose, motion.pose[0]) and torch.equal(
        motion.reference.expression, motion.expression[0]
    )
    (seen,) = extractor.network.seen
    assert seen.shape == (1, 3, 256, 256) and 0 <= seen.min() and seen.max() <= 1


def test_what_is_wrong_is_said(extractor):
    with pytest.raises(ValueError, match="Portrait Keypoints: image holds 2 pictures"):
        PortraitKeypoints.execute(extractor, PICTURE.expand(2, -1, -1, -1), found(), 0)
    with pytest.raises(
        ValueError, match="Portrait Keypoints: face_landmarks were found in a 100x100 picture"
    ):
        PortraitKeypoints.execute(extractor, PICTURE, found((100, 100)), 0)
    with pytest.raises(ValueError, match="Portrait Keypoints: keypoint_extractor is"):
        PortraitKeypoints.execute("LivePortrait", PICTURE, found(), 0)


def test_face_motion_from_video_takes_it_and_refuses_animal_beside_it(extractor):
    frames = PICTURE.expand(3, -1, -1, -1) * torch.tensor([0.2, 0.6, 1.0])[:, None, None, None]
    faces = make_landmarks(*[[make_face(140, 150, 100)]] * 3, size=(300, 280))
    given = dict(
        images=frames, face_landmarks=faces, fps=25.0, face_index=0, missing_face="error", smoothing=0.0
    )
    motion = FaceMotionFromVideo.execute(**given, animal=False, keypoint_extractor=extractor).result[0]
    yaw = motion.pose[:, 1].tolist()
    assert len(motion) == 3 and yaw == sorted(yaw) and yaw[2] - yaw[0] > 1
    with pytest.raises(ValueError, match="animal is on, but keypoint_extractor says"):
        FaceMotionFromVideo.execute(**given, animal=True, keypoint_extractor=extractor)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """models/liveportrait/, empty."""
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "liveportrait", ([str(tmp_path)], set()))
    folder_paths.filename_list_cache.clear()
    yield tmp_path
    folder_paths.filename_list_cache.clear()


def test_its_menu_lists_the_folder_and_names_what_is_missing_before_the_run(folder):
    published = "motion_extractor.safetensors"
    menu = LoadKeypointExtractor.define_schema().inputs[0].options[1].inputs[0]
    assert menu.options == [] and menu.default == published
    with pytest.raises(
        ValueError, match=f"{published} .* was not found. Get it from https://.*models/liveportrait/"
    ):
        LoadKeypointExtractor.validate_inputs(extractor="LivePortrait")
    (folder / "base_models").mkdir()
    (folder / "base_models" / "motion_extractor.pth").touch()
    for name in ("mine.safetensors", "spade_generator.safetensors"):
        save_file({"other": torch.zeros(1)}, folder / name)
    folder_paths.filename_list_cache.clear()
    listed = choices("liveportrait.motion")
    assert listed[0] == published, "an older edition counts as the published one"
    assert "mine.safetensors" in listed and "spade_generator.safetensors" not in listed
    assert LoadKeypointExtractor.validate_inputs(extractor="LivePortrait") is True
    mine = {"extractor": "LivePortrait", "extractor.file": "mine.safetensors"}
    assert LoadKeypointExtractor.validate_inputs(**mine) is True
    before = LoadKeypointExtractor.fingerprint_inputs(**mine)
    assert before and "mine.safetensors" in before[0][0]
    with pytest.raises(ValueError, match="Load Keypoint Extractor: .*mine.safetensors"):
        LoadKeypointExtractor.execute(**mine)
    with pytest.raises(
        ValueError, match="file is 'gone.safetensors', which is not in its menu; choose one of: motion_ex"
    ):
        LoadKeypointExtractor.validate_inputs(**mine | {"extractor.file": "gone.safetensors"})


def test_the_real_face_of_a_photo_reaches_the_extractor_upright(extractor):
    photo = Path(__file__).resolve().parents[2] / "samples" / "talking_portrait_astronaut.png"
    picture = (
        torch.from_numpy(np.array(Image.open(photo).convert("RGB").resize((256, 256)))).float()[None] / 255
    )
    detector = LoadFaceDetector.execute().result[0]
    from comfy_extras.nodes_mediapipe import MediaPipeFaceLandmarker

    faces = MediaPipeFaceLandmarker.execute(detector, picture, "both", 1, 0.5, "empty").result[0]
    PortraitKeypoints.execute(extractor, picture, faces, 0)
    (seen,) = extractor.network.seen
    again = MediaPipeFaceLandmarker.execute(detector, seen.movedim(1, -1), "both", 1, 0.5, "empty").result[0]
    (face,) = again["frames"][0]
    eyes = np.asarray(face["landmarks_xy"])[[33, 263]]
    assert abs(eyes[0, 1] - eyes[1, 1]) < 6 and 90 < eyes.mean(0)[0] < 166, (
        "upright and in the middle of the crop"
    )
