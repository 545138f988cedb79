"""The built-in face detector against MediaPipe 0.10.21's own answers, and on pictures that are hard to read."""

from functools import cache
from pathlib import Path

import comfy.model_management
import numpy as np
import pytest
import torch
from comfy_extras.mediapipe.face_landmarker import BLENDSHAPE_NAMES
from comfy_extras.nodes_mediapipe import (
    MediaPipeFaceLandmarker,
    MediaPipeFaceMask,
    MediaPipeFaceMeshVisualize,
)
from PIL import Image
from safetensors.torch import save_file
from talking_portrait.models.face import weights
from talking_portrait.models.face.weights import (
    FACE_WEIGHTS,
    load_face_detector,
    load_face_weights,
    load_person_segmenter,
)

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = ROOT / "tests" / "data"


@pytest.fixture(autouse=True)
def _inference():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def detector():
    return load_face_detector()


@cache
def picture(name: str) -> np.ndarray:
    """[512,512,3] uint8: the example portrait, the same turned by 17 degrees, or the whole photograph."""
    if name == "full":
        return np.array(Image.open(DATA / "face_full.png").convert("RGB"))
    portrait = Image.open(ROOT / "samples" / "talking_portrait_astronaut.png").convert("RGB")
    return np.array(
        portrait.rotate(17, Image.BICUBIC, fillcolor=(120, 120, 120)) if name == "rotated" else portrait
    )


def as_image(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.copy()).float()[None] / 255


@pytest.mark.parametrize("name", ["crop", "full", "rotated"])
def test_landmarks_are_mediapipes(detector, name):
    golden = np.load(DATA / "face_mediapipe.npz")[name]
    (face,) = detector.detect_batch([picture(name)], 1, 0.5, "short")[0]
    error = np.linalg.norm(face["landmarks_xy"] - golden[:, :2], axis=1)
    assert face["landmarks_xy"].shape == (478, 2)
    assert error.mean() < 0.1 and error.max() < 0.3, f"mean {error.mean():.3f} px, max {error.max():.3f} px"


def test_landmark_mistakes_would_be_seen():
    golden = np.load(DATA / "face_mediapipe.npz")
    assert np.linalg.norm(golden["crop"] - golden["rotated"], axis=1).mean() > 10


@pytest.mark.parametrize("variant", ["short", "full", "both"])
def test_core_nodes_run_on_it(detector, variant):
    image = as_image(picture("crop"))
    landmarks, boxes = MediaPipeFaceLandmarker.execute(detector, image, variant, 1, 0.5, "empty").result
    (face,) = landmarks["frames"][0]
    assert face["transformation_matrix"].shape == (4, 4) and np.isfinite(face["transformation_matrix"]).all()
    assert boxes[0][0]["width"] == pytest.approx(185, abs=8)
    mask = MediaPipeFaceMask.execute(landmarks, {"regions": "all"}).result[0]
    assert mask[0, 250, 256] == 1 and mask[0, 20, 20] == 0 and 0.08 < mask.mean() < 0.16
    choice = {"connections": "custom", "tesselation": True}
    drawn = MediaPipeFaceMeshVisualize.execute(landmarks, choice, "#00ff00", 1, 2, image).result[0]
    assert (drawn != image).any(-1).float().mean() > 0.03


@pytest.mark.parametrize("degrees", [120, 180, 225])
def test_a_face_on_its_head_is_found_as_it_lies(detector, degrees):
    """The mesh was laid upright over it before, and the face called turned too far aside."""
    scene = Image.fromarray(picture("full"))
    plain = detector.detect_batch([np.array(scene)], 1, 0.5, "short")[0][0]["landmarks_xy"]
    turned = np.array(scene.rotate(degrees, Image.BICUBIC, fillcolor=(120, 120, 120)))
    (face,) = detector.detect_batch([turned], 1, 0.3, "short")[0]
    turn = np.deg2rad(-degrees)
    middle = np.array([scene.width / 2 - 0.5, scene.height / 2 - 0.5])
    wanted = (plain - middle) @ np.array(
        [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    ) + middle
    assert face["presence"] > 15
    assert np.linalg.norm(face["landmarks_xy"] - wanted, axis=1).mean() < 0.02 * np.ptp(plain, axis=0).max()
    x0, y0, x1, y1 = (float(value) for value in face["bbox_xyxy"])
    box = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}
    (boxed,) = detector.landmarks_from_boxes([turned], [[box]])[0]
    assert np.linalg.norm(boxed["landmarks_xy"] - wanted, axis=1).mean() < 0.03 * np.ptp(plain, axis=0).max()


def test_head_turn_shows_in_the_matrix(detector):
    def roll(name: str) -> float:
        matrix = MediaPipeFaceLandmarker.execute(
            detector, as_image(picture(name)), "short", 1, 0.5, "empty"
        ).result[0]["frames"][0][0]["transformation_matrix"]
        return float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))

    assert roll("rotated") - roll("crop") == pytest.approx(17, abs=2)


def test_box_finds_what_the_detector_finds(detector):
    box = {"x": 170, "y": 150, "width": 175, "height": 195}
    (face,) = detector.landmarks_from_boxes([picture("crop")], [[box]])[0]
    golden = np.load(DATA / "face_mediapipe.npz")["crop"]
    assert np.linalg.norm(face["landmarks_xy"] - golden[:, :2], axis=1).mean() < 3
    assert face["presence"] > 5


def test_presence_is_low_where_there_is_no_face(detector):
    (face,) = detector.landmarks_from_boxes(
        [picture("crop")], [[{"x": 0, "y": 0, "width": 90, "height": 90}]]
    )[0]
    assert face["presence"] < 0


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 700, 3), (64, 64, 4), (64, 64, 1)])
def test_empty_pictures_hold_no_face(detector, shape):
    blank = np.full(shape, 90, np.uint8)
    for variant in ("short", "full"):
        assert detector.detect_batch([blank, blank], 0, 0.5, variant) == [[], []]


def test_alpha_and_grey_pictures_hold_the_face(detector):
    crop = picture("crop")
    opaque = np.dstack([crop, np.full(crop.shape[:2], 255, np.uint8)])
    grey = crop.mean(-1, keepdims=True).astype(np.uint8)
    plain, alpha, single = (detector.detect_batch([p], 1, 0.5, "short")[0][0] for p in (crop, opaque, grey))
    assert np.array_equal(plain["landmarks_xy"], alpha["landmarks_xy"])
    assert np.linalg.norm(plain["landmarks_xy"] - single["landmarks_xy"], axis=1).mean() < 4


def test_huge_picture_gives_the_same_face(detector):
    size = 8000
    huge = np.array(Image.fromarray(picture("crop")).resize((size, size), Image.BILINEAR))
    (face,) = detector.detect_batch([huge], 1, 0.5, "short")[0]
    found = (face["landmarks_xy"] + 0.5) * 512 / size - 0.5
    assert np.linalg.norm(found - np.load(DATA / "face_mediapipe.npz")["crop"][:, :2], axis=1).mean() < 1


def test_broken_pixels_do_not_stop_core_node(detector):
    image = as_image(picture("crop"))
    image[:, :40, :40] = float("nan")
    landmarks = MediaPipeFaceLandmarker.execute(detector, image, "short", 1, 0.5, "empty").result[0]
    assert len(landmarks["frames"][0]) == 1


def test_two_faces_and_the_limit(detector):
    pair = np.concatenate([picture("crop"), picture("crop")[:, ::-1]], 1)
    both = detector.detect_batch([pair], 0, 0.5, "short")[0]
    assert sorted(round(float(f["bbox_xyxy"][0]) / 512) for f in both) == [0, 1]
    assert both[0]["score"] >= both[1]["score"]
    assert len(detector.detect_batch([pair], 1, 0.5, "short")[0]) == 1


def test_small_face_is_found_by_full(detector):
    scene = np.full((512, 512, 3), 128, np.uint8)
    scene[200:328, 200:328] = np.array(Image.fromarray(picture("crop")).resize((128, 128), Image.LANCZOS))
    (face,) = detector.detect_batch([scene], 1, 0.5, "full")[0]
    golden = np.load(DATA / "face_mediapipe.npz")["crop"][:, :2] / 4 + 200
    assert np.linalg.norm(face["landmarks_xy"] - golden, axis=1).mean() < 1.5


def test_blendshapes_claim_only_what_is_measured(detector):
    (face,) = detector.detect_batch([picture("crop")], 1, 0.5, "short")[0]
    shapes = face["blendshapes"]
    assert tuple(shapes) == BLENDSHAPE_NAMES and all(0 <= v <= 1 for v in shapes.values())
    assert {name for name, v in shapes.items() if v} <= {
        "jawOpen",
        "mouthPucker",
        "eyeBlinkLeft",
        "eyeBlinkRight",
    }
    assert shapes["jawOpen"] > 0.1, "the example smiles with parted lips"


def test_person_mask_is_mediapipes():
    segmenter = load_person_segmenter()
    mask = segmenter.mask(as_image(picture("crop"))[0]) > 0.5
    golden = torch.from_numpy(np.load(DATA / "face_mediapipe.npz")["person"])
    assert (mask & golden).sum() / (mask | golden).sum() > 0.98


def test_the_segmenter_is_loaded_and_pushed_out_by_comfyui():
    """It kept its memory whatever ComfyUI asked for."""
    segmenter = load_person_segmenter()
    segmenter.mask(as_image(picture("crop"))[0])
    assert any(loaded.model is segmenter.patcher for loaded in comfy.model_management.current_loaded_models)
    comfy.model_management.unload_all_models()
    assert not any(
        loaded.model is segmenter.patcher for loaded in comfy.model_management.current_loaded_models
    )
    assert load_person_segmenter() is segmenter


@pytest.mark.parametrize("shape", [(1, 1, 3), (40, 300, 4), (33, 20, 1)])
def test_person_mask_takes_any_picture(shape):
    image = torch.rand(shape)
    image[0, 0] = float("nan")
    mask = load_person_segmenter().mask(image)
    assert mask.shape == shape[:2] and mask.isfinite().all() and mask.min() >= 0 and mask.max() <= 1


def test_missing_and_truncated_weights_are_explained(tmp_path):
    with pytest.raises(ValueError, match="face_nets.safetensors.*part of this node pack.*again"):
        load_face_weights(path=tmp_path / "face_nets.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(FACE_WEIGHTS.read_bytes()[:100_000])
    with pytest.raises(ValueError, match="cut.safetensors cannot be read"):
        load_face_weights(path=cut)


def test_a_whole_file_of_other_tensors_is_explained(tmp_path, monkeypatch):
    save_file({"person.stem.weight": torch.zeros(1)}, tmp_path / "face_nets.safetensors")
    monkeypatch.setattr(weights, "FACE_WEIGHTS", tmp_path / "face_nets.safetensors")
    monkeypatch.setattr(weights.load_face_weights, "__defaults__", ("", tmp_path / "face_nets.safetensors"))
    monkeypatch.setattr(weights, "_alive", {})
    for load in (load_face_detector, load_person_segmenter):
        with pytest.raises(
            ValueError, match="^/.*face_nets.safetensors cannot be read .*install or clone the pack again"
        ):
            load()


def test_weights_stay_small():
    assert FACE_WEIGHTS.stat().st_size < 4.5e6
