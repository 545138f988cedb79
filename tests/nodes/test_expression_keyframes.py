"""Expressions over time, and an expression that was measured in a photo: what the editor's node makes of them."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image
from talking_portrait.models.face_motion import CONTROLS
from talking_portrait.models.face_motion.rotation import rotation_matrix
from talking_portrait.models.liveportrait.expression_copy import copied_values, with_copied
from talking_portrait.models.liveportrait.expression_keyframes import NAMES, parse_keyframes
from talking_portrait.models.liveportrait.expression_presets import PRESETS
from talking_portrait.models.liveportrait.expression_sliders import limits
from talking_portrait.nodes.expression_editor import ExpressionEditor
from talking_portrait.nodes.portrait import PreparePortrait

from ..models.motion_samples import change
from .good_inputs import ROOT, Bench

SMILE, JAW = CONTROLS.index("mouthSmile"), CONTROLS.index("jawOpen")
STILL = dict.fromkeys(NAMES, 0.0)


@pytest.fixture(scope="module")
def bench(models):
    with torch.inference_mode():
        yield Bench(models)


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    """The node's own preview goes here."""
    monkeypatch.setattr("folder_paths.temp_directory", str(tmp_path))


def edited(bench, **given):
    with torch.inference_mode():
        return ExpressionEditor.execute(portrait=bench.portrait, **{**STILL, **given}).result


def test_without_keyframes_there_is_one_frame_as_before(bench):
    image, motion = edited(bench, smile=0.5)
    assert len(motion) == 1 and motion.fps == 25 and not motion.absolute
    assert motion.controls[0, SMILE] == 0.5 and image.shape == bench.image.shape


def test_keyframes_go_smoothly_from_one_to_the_next(bench):
    image, motion = edited(bench, keyframes="2: smile=0.2\n\n0:\n 1: smile=1, yaw=10 ", fps=50.0)
    assert len(motion) == 100 and motion.fps == 50
    smile, yaw = motion.controls[:, SMILE], motion.pose[:, 1]
    assert smile[0] < 0.01 and abs(smile[50] - 1) < 0.01 and abs(smile[-1] - 0.2) < 0.01
    assert smile.diff().abs().max() < 0.04 and yaw.max() > 9.9 and abs(yaw[-1]) < 0.1
    assert (smile[:50].diff() > 0).all() and (smile[51:].diff() < 0).all()
    assert torch.allclose(image, bench.image, atol=1e-6), "the picture shows the sliders, which are 0"


def test_one_keyframe_is_one_expression(bench):
    _, motion = edited(bench, keyframes="0: aaa=45")
    assert len(motion) == 1 and motion.controls[0, JAW] == 1


def test_keyframes_are_laid_on_a_motion_and_the_last_one_is_held(bench):
    spoken = change(60)
    _, motion = edited(bench, keyframes="0:\n1: smile=1", face_motion=spoken)
    assert len(motion) == 60 and motion.fps == spoken.fps
    added = (motion.controls - spoken.controls)[:, SMILE]
    assert added[0] < 0.05 and torch.allclose(added[-20:], torch.ones(20), atol=1e-4)


def test_another_rate_than_the_motions_is_refused(bench):
    with pytest.raises(
        ValueError, match="Expression Editor: fps is 30, but face_motion has 25 frames per second"
    ):
        edited(bench, face_motion=change(3), fps=30.0)


@pytest.mark.parametrize(("text", "reason"), [
    ("smile=1", "has no time"), ("x: smile=1", "'x' in 'x: smile=1' is no number"), ("-1: smile=1", "is at -1 s"),
    ("601: smile=1", "0 to 600 s"), ("1: frown=1", "'frown=1' in .* is no slider=value; the sliders are smile"),
    ("1: smile=big", "'big' in .* is no number"), ("1: smile=nan", "is no number"),
    ("1: smile=9", "smile=9 .* -0.3 to 1.3"), ("1: yaw=21", "-20 to 20"), ("1: smile=1, smile=1", "names smile twice"),
    ("1: smile=1\n1.0: aaa=3", "two lines for 1 s"), ("0:\n" * 1001, "1001 lines"), ("1: smile", "no slider=value"),
])  # fmt: skip
def test_a_wrong_line_is_shown_with_its_reason(bench, text, reason):
    with pytest.raises(ValueError, match=f"(?s)^Expression Editor: keyframes.*{reason}"):
        edited(bench, keyframes=text)


def test_presets_are_within_the_sliders_limits():
    assert {"smile", "wink", "surprised"} <= set(PRESETS)
    for values in PRESETS.values():
        assert values and all(limits(name)[0] <= value <= limits(name)[1] for name, value in values.items())


def test_a_keyframe_of_every_preset_can_be_written():
    for values in PRESETS.values():
        (frame,) = parse_keyframes("1: " + ", ".join(f"{name}={value}" for name, value in values.items()))
        assert frame.values == values


def test_a_turned_head_is_copied_and_the_same_face_gives_nothing(bench):
    points = bench.portrait.portrait.face.points
    assert copied_values(points, points) == {}
    turn = rotation_matrix(torch.tensor([6.0, -9.0, 4.0])).numpy()
    centre = points.mean(0)
    turned = ((points - centre) @ turn * 1.7 + centre + [40, -30, 0]).astype(np.float32)
    found = copied_values(points, turned)
    assert {name: round(value) for name, value in found.items()} == {"pitch": 6, "yaw": -9, "roll": 4}


@pytest.fixture(scope="module")
def large(bench):
    """(portrait, landmarks of a picture) at the sample's own size, where landmarks are sure."""

    def found(image):
        pixels = (image[0].numpy() * 255).round().astype(np.uint8)
        faces = bench.face_detection_model.detect_batch([pixels], 1, 0.5, "short")
        return {"frames": faces, "image_size": tuple(image.shape[1:3]), "connection_sets": {}}

    picture = Image.open(ROOT / "samples" / "talking_portrait_astronaut.png").convert("RGB")
    image = torch.from_numpy(np.asarray(picture, np.float32) / 255)[None]
    prepared = PreparePortrait.execute(bench.portrait_renderer, image, found(image), 0).result[0]
    return prepared, found


@pytest.mark.parametrize(("slider", "value", "control"), [
    ("aaa", 45.0, "jawOpen"), ("woo", 10.0, "mouthPucker"), ("smile", 1.0, "mouthSmile"),
    ("wink_left", 18.0, "eyeBlinkLeft"), ("eyebrow", 12.0, "browInnerUp"),
])  # fmt: skip
def test_what_is_drawn_is_measured_again(large, slider, value, control):
    """The built-in detector looks at our own picture: the slider comes back, and stronger than all others."""
    portrait, found = large
    with torch.inference_mode():
        image = ExpressionEditor.execute(portrait=portrait, **{**STILL, slider: value}).result[0]
        motion = ExpressionEditor.execute(portrait=portrait, **STILL, copy_from=found(image)).result[1]
        half = ExpressionEditor.execute(
            portrait=portrait, **STILL, copy_from=found(image), copy_amount=0.5
        ).result[1]
    # rounding also relaxes the sample's smile, which narrows the mouth as more rounding would
    assert 0.6 < float(motion.controls[0, CONTROLS.index(control)]) < (1.6 if slider == "woo" else 1.4)
    assert CONTROLS[int(motion.controls[0].abs().argmax())] == control
    assert torch.allclose(half.controls, motion.controls / 2, atol=1e-3)


def test_copied_values_stay_within_the_sliders(bench):
    tracks = with_copied({"smile": torch.tensor([1.0, 0.0])}, {"smile": 0.6, "yaw": 30.0}, 1.0)
    assert tracks["smile"].tolist() == pytest.approx([1.3, 0.6]) and tracks["yaw"].tolist() == [20.0, 20.0]


def test_a_film_to_copy_from_is_refused_by_name(bench):
    film = {**bench.face_landmarks, "frames": bench.face_landmarks["frames"] * 2}
    with pytest.raises(ValueError, match="Expression Editor: copy_from covers 2 frames"):
        edited(bench, copy_from=film)


def test_points_that_are_no_face_are_refused(bench):
    points = bench.portrait.portrait.face.points
    with pytest.raises(ValueError, match="copy_from"), np.errstate(invalid="ignore"):
        copied_values(points, np.zeros_like(points))


def test_the_rate_of_one_frame_may_be_chosen(bench):
    assert edited(bench, fps=30.0)[1].fps == Fraction(30)
