"""An actor's landmarks as a motion: what is measured, from which calm face, how far the head is let turn."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from comfy_api.latest import InputImpl
from PIL import Image
from scipy.spatial.transform import Rotation
from talking_portrait.models.builtin.landmark_extractor import LandmarkExtractor
from talking_portrait.models.builtin.landmark_motion import Amounts, landmark_motion, measures_of
from talking_portrait.models.builtin.warp import WarpRenderer
from talking_portrait.models.face.head_pose import poses_of
from talking_portrait.models.face.weights import load_face_detector
from talking_portrait.models.face_motion import CONTROLS, FaceMotion, resolve
from talking_portrait.models.portrait import FaceLandmarks478

from .film_samples import ROOT, closed, face_dict, opened, portrait

FPS = Fraction(25)
index = CONTROLS.index


@pytest.fixture(autouse=True)
def _inference():
    with torch.inference_mode():
        yield


def turned(points: np.ndarray, *degrees: float) -> np.ndarray:
    middle = points.mean(0)
    return (points - middle) @ Rotation.from_euler("xyz", degrees, degrees=True).as_matrix().T + middle


def speaking(count: int = 60) -> list[np.ndarray]:
    return [opened(portrait()[1], 0.15 * max(0.0, np.sin(0.5 * number))) for number in range(count)]


def moved(faces: list[np.ndarray | None], **options) -> FaceMotion:
    return landmark_motion(
        [None if points is None else face_dict(points) for points in faces], FPS, **options
    )


def test_a_still_face_gives_nothing():
    noise = np.random.default_rng(1)
    faces = [closed(portrait()[1]) + noise.normal(0, 0.02, (478, 3)) for _ in range(40)]
    motion = moved(faces)
    assert motion.controls.abs().max() < 0.05 and motion.pose.abs().max() < 0.3
    assert not motion.absolute and motion.valid.all()


def test_the_jaw_follows_the_opening_and_lips_press_where_it_is_shut():
    faces = speaking()
    motion = moved(faces, amounts=Amounts(smoothing=0))
    opening = measures_of([face_dict(points) for points in faces]).opening
    jaw, close = motion.controls[:, index("jawOpen")].numpy(), motion.controls[:, index("mouthClose")].numpy()
    assert np.corrcoef(jaw, opening)[0, 1] > 0.999 and 0.2 < jaw.max() < 1
    assert close[opening < 0.005].min() > 0.5 and close[opening > 0.05].max() == 0
    twice = moved(faces, amounts=Amounts(mouth=2.0, smoothing=0)).controls[:, index("jawOpen")].numpy()
    assert np.allclose(twice, np.clip(2 * jaw, 0, 1.2), atol=1e-5)
    assert not moved(faces, amounts=Amounts(mouth=0.0)).controls[:, :6].any()


def test_each_lid_the_gaze_and_the_brows_are_found():
    faces = [closed(portrait()[1]) for _ in range(40)]
    for number in range(10, 14):  # the picture's left eye, which is the subject's right one
        faces[number][159, 1] = faces[number][145, 1] - 0.5
    for number in range(20, 24):
        faces[number][[468, 473], 0] += 2.0
    for number in range(30, 36):
        faces[number][[105, 334], 1] -= 4.0
    controls = moved(faces, amounts=Amounts(smoothing=0)).controls
    assert controls[11, index("eyeBlinkRight")] > 0.8 and controls[11, index("eyeBlinkLeft")] < 0.05
    assert controls[22, index("gazeX")] > 0.5 and controls[33, index("browInnerUp")] > 0.5
    assert controls[5].abs().max() < 0.05
    off = moved(faces, amounts=Amounts(eyes=0.0)).controls
    assert not off[:, [index("eyeBlinkRight"), index("gazeX"), index("browInnerUp")]].any()


def test_a_smile_is_read_as_it_is_and_rounded_lips_that_pout_are_none():
    picture = np.array(Image.open(ROOT / "tests" / "data" / "face_full.png").convert("RGB"))
    frame = torch.from_numpy(picture).float() / 255
    points = measures_of(found_in(frame[None])).points[0].astype(np.float32)
    renderer = WarpRenderer()
    own = renderer.prepare(frame, FaceLandmarks478(points))
    controls = torch.zeros(4, len(CONTROLS))
    controls[:, index("mouthSmile")] = torch.tensor([0.0, 0.5, 0.9, 0.0])
    controls[3, index("jawOpen")] = 0.6
    still = torch.zeros(4, 3)
    motion = FaceMotion.from_controls(controls, still, still, torch.ones(4), FPS, source={})
    faces = found_in(renderer.render(own, resolve(motion, own.motion, own.policy), torch.device("cpu")))
    read = landmark_motion(faces, FPS, "frame number", 0, Amounts(smoothing=0)).controls
    _, half, whole, speaking = read[:, index("mouthSmile")].tolist()
    assert 0.3 < half < 0.6 < whole < 1 and abs(speaking) < 0.25
    assert read[2, index("mouthStretch")] < 0.2
    pouting = [closed(portrait()[1]) for _ in range(3)]
    middle = pouting[0][[61, 291]].mean(0)
    pouting[1][[61, 291]] = middle + 0.8 * (pouting[1][[61, 291]] - middle) - [0, 4, 0]
    pout = landmark_motion([face_dict(one) for one in pouting], FPS, "frame number", 0, Amounts(smoothing=0))
    assert pout.controls[1, index("mouthSmile")] == 0 and pout.controls[1, index("mouthPucker")] > 0.5


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_head_is_turned_as_the_actor_turns_it(axis):
    base = closed(portrait()[1])
    degrees = [18 * np.sin(0.3 * number) for number in range(60)]
    faces = [turned(base, *(degree if axis == one else 0.0 for one in range(3))) for degree in degrees]
    pose = moved(faces, amounts=Amounts(smoothing=0)).pose.numpy()
    change = pose[:, axis] - pose[0, axis]
    assert np.abs(change - degrees).max() < 0.3
    held = moved(faces, amounts=Amounts(limit=10.0, smoothing=0)).pose
    assert 7 < held.norm(dim=1).max() <= 10
    half = moved(faces, amounts=Amounts(head=0.5, smoothing=0)).pose.numpy()
    assert np.allclose(half, 0.5 * pose, atol=1e-3)


def test_a_chosen_frame_is_the_calm_one():
    faces = speaking()
    wide = int(np.argmax(measures_of([face_dict(points) for points in faces]).opening))
    motion = moved(faces, neutral="frame number", neutral_frame=wide)
    assert motion.controls[:, index("jawOpen")].max() < 0.02
    with pytest.raises(ValueError, match="neutral_frame is 60, but there are 60 frames"):
        moved(faces, neutral="frame number", neutral_frame=60)
    with pytest.raises(ValueError, match="neutral_frame is 3, which has no face"):
        moved([*faces[:3], None, *faces[4:]], neutral="frame number", neutral_frame=3)


def test_frames_without_the_face_are_bridged_and_not_valid():
    faces: list = speaking()
    whole = moved(faces, amounts=Amounts(smoothing=0))
    faces[5] = None
    motion = moved(faces, amounts=Amounts(smoothing=0))
    assert motion.valid.sum() == 59 and not motion.valid[5] and len(motion) == 60
    assert (
        motion.controls[5, index("jawOpen")]
        == (motion.controls[4, index("jawOpen")] + motion.controls[6, index("jawOpen")]) / 2
    )
    assert torch.allclose(motion.controls[20:], whole.controls[20:], atol=0.02)
    with pytest.raises(ValueError, match="no face in any frame"):
        moved([None, None])


@pytest.mark.slow
def test_a_film_s_own_face_acts_as_it_did():
    """What is read off the shipped film moves one of its calm frames, and looks alike."""
    video = InputImpl.VideoFromFile(str(ROOT / "samples" / "talking_portrait_driving.mp4"))
    frames = video.get_components().images
    faces = found_in(frames)
    before = measures_of(faces)
    calm = int(np.argmin(before.opening))
    renderer = WarpRenderer()
    own = renderer.prepare(frames[calm], FaceLandmarks478(before.points[calm].astype(np.float32)))
    motion = resolve(landmark_motion(faces, FPS), own.motion, own.policy)
    after = measures_of(found_in(renderer.render(own, motion, torch.device("cpu"))))
    assert corr(before.opening, after.opening) >= 0.95
    assert all(corr(before.lids[name], after.lids[name]) >= 0.9 for name in before.lids)
    poses, others = (poses_of(before.points[calm], one.points).degrees() for one in (before, after))
    assert corr(poses[:, 1], others[:, 1]) >= 0.95 and corr(poses[:, 2], others[:, 2]) >= 0.95


def found_in(frames: torch.Tensor) -> list[dict]:
    """The face of every frame."""
    detector, faces = load_face_detector(), []
    for start in range(0, len(frames), 8):
        pictures = [(frame * 255).round().byte().numpy() for frame in frames[start : start + 8]]
        faces += [found[0] for found in detector.detect_batch(pictures, 1, 0.3, "short")]
    return faces


def corr(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first, second)[0, 1])


def test_a_known_gaze_is_read_as_it_is():
    picture, points = portrait()
    renderer = WarpRenderer()
    own = renderer.prepare(torch.from_numpy(picture).float() / 255, FaceLandmarks478(points))
    controls = torch.zeros(3, len(CONTROLS))
    controls[:, index("gazeX")] = torch.tensor([0.0, -0.6, 0.6])
    still = torch.zeros(3, 3)
    motion = FaceMotion.from_controls(controls, still, still, torch.ones(3), FPS, source={})
    frames = renderer.render(own, resolve(motion, own.motion, own.policy), torch.device("cpu"))
    read = landmark_motion(found_in(frames), FPS, "frame number", 0, Amounts(smoothing=0))
    _, left, right = read.controls[:, index("gazeX")].tolist()
    assert left < -0.35 and right > 0.35 and right - left == pytest.approx(1.2, abs=0.3)


def test_the_extractor_tells_an_open_mouth_and_a_turned_head():
    extractor = LandmarkExtractor(load_face_detector())
    picture, points = portrait()
    renderer = WarpRenderer()
    own = renderer.prepare(torch.from_numpy(picture).float() / 255, FaceLandmarks478(points))
    controls = torch.zeros(3, len(CONTROLS))
    controls[1, index("jawOpen")] = 0.8
    pose = torch.tensor([[0.0, 0, 0], [0, 0, 0], [0, 0, 8.0]])
    motion = FaceMotion.from_controls(controls, pose, torch.zeros(3, 3), torch.ones(3), FPS, source={})
    frames = renderer.render(own, resolve(motion, own.motion, own.policy), torch.device("cpu"))
    found = extractor.ready()(frames.movedim(-1, 1))
    read = FaceMotion.from_expression(
        found.expression, torch.cat([found.pitch, found.yaw, found.roll], 1), found.translation, found.scale[:, 0], FPS,
        source={},
    )  # fmt: skip
    assert read.controls[1, index("jawOpen")] > read.controls[0, index("jawOpen")] + 0.2
    assert read.pose[2, 2] - read.pose[0, 2] == pytest.approx(8, abs=2.5)
    assert read.pose[0].abs().max() < 20
