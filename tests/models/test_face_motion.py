"""FACE_MOTION: the container, the rig in both directions, how it meets a portrait, its operations and its files."""

import pickle
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from talking_portrait.models.face_motion import (
    CONTROLS,
    GROUPS,
    FaceMotion,
    controls_to_expression,
    expression_to_controls,
    pose_degrees,
    resolve,
    rotation_matrix,
)
from talking_portrait.models.face_motion.eyes import scale_blinks
from talking_portrait.models.face_motion.head import follow_head, head_motion, smooth_head
from talking_portrait.models.face_motion.intensity import scale_intensity
from talking_portrait.models.face_motion.liveportrait_template import load_template, save_template
from talking_portrait.models.face_motion.mix import blend
from talking_portrait.models.face_motion.plot import plot_motion
from talking_portrait.models.face_motion.storage import load_motion, save_motion
from talking_portrait.models.face_motion.time import retime

from .motion_samples import FPS, OWN, absolute, change, random_controls, same

# ------------------------------------------------------------ container, rig, rotation


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("pose", torch.zeros(49, 3), r"pose has shape \(49, 3\); \(50, 3\)"),
        ("expression", torch.full((50, 21, 3), float("nan")), "expression has values that are not numbers"),
        ("scale", torch.ones(50, dtype=torch.float64), "scale is torch.float64"),
        ("fps", 25.0, "fps is 25.0"),
        ("fps", Fraction(0), "fps is"),
        ("absolute", frozenset({"ears"}), "unknown groups"),
    ],
)
def test_wrong_values_are_refused_by_name(field, value, reason):
    with pytest.raises(ValueError, match=reason):
        replace(change(), **{field: value})


def test_every_control_survives_the_rig_and_back():
    controls = random_controls(200)
    assert (expression_to_controls(controls_to_expression(controls)) - controls).abs().max() < 1e-3


@pytest.mark.parametrize("name", CONTROLS)
def test_each_control_moves_keypoints_of_its_own(name):
    controls = torch.zeros(1, len(CONTROLS))
    controls[0, CONTROLS.index(name)] = 1
    expression = controls_to_expression(controls)
    assert 0.005 < expression.norm() < 0.1
    back = expression_to_controls(
        expression + 0.0005 * torch.randn(1, 21, 3, generator=torch.Generator().manual_seed(1))
    )[0]
    assert back.abs().argmax() == CONTROLS.index(name)


def test_an_engine_with_expression_alone_drives_controls():
    motion = FaceMotion.from_expression(
        change().expression,
        torch.zeros(50, 3),
        torch.zeros(50, 3),
        torch.ones(50),
        FPS,
        source={},
        absolute=frozenset(),
    )
    assert (motion.controls - change().controls).abs().max() < 1e-3


def test_pose_convention_is_liveportraits():
    """R = (Rz Ry Rx)^T, written out here from sines and cosines."""
    pitch, yaw, roll = np.radians([10.0, 20.0, -30.0])
    rx = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    ry = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    rz = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    expected = torch.from_numpy((rz @ ry @ rx).T).float()
    assert torch.allclose(rotation_matrix(torch.tensor([10.0, 20.0, -30.0])), expected, atol=1e-6)
    poses = 60 * torch.rand(100, 3, generator=torch.Generator().manual_seed(0)) - 30
    assert (pose_degrees(rotation_matrix(poses)) - poses).abs().max() < 1e-3


# ------------------------------------------------------------ resolve


def test_no_change_gives_the_portrait():
    still = FaceMotion.from_controls(
        torch.zeros(3, 12), torch.zeros(3, 3), torch.zeros(3, 3), torch.ones(3), FPS, source={}
    )
    resolved = resolve(still, OWN)
    assert torch.allclose(resolved.expression, OWN.expression.expand(3, 21, 3))
    assert torch.allclose(resolved.rotation, rotation_matrix(OWN.pose).expand(3, 3, 3), atol=1e-6)
    assert torch.allclose(resolved.translation, OWN.translation.expand(3, 3)) and torch.allclose(
        resolved.scale, torch.tensor(1.5)
    )
    assert resolved.controls.abs().max() < 1e-6 and resolved.pose_delta.abs().max() < 1e-3
    assert torch.allclose(resolved.scale_ratio, torch.ones(3))


def test_changes_are_added():
    motion = change()
    resolved = resolve(motion, OWN)
    assert torch.allclose(resolved.expression, OWN.expression + motion.expression)
    assert torch.allclose(resolved.controls, motion.controls, atol=1e-6)
    assert torch.allclose(
        resolved.rotation, rotation_matrix(motion.pose) @ rotation_matrix(OWN.pose), atol=1e-6
    )
    assert torch.allclose(resolved.pose_delta, motion.pose, atol=1e-3)
    assert torch.allclose(resolved.scale, motion.scale * 1.5)


def test_absolute_motion_is_relative_but_for_the_lips():
    motion = absolute()
    reference = motion.median_frame()
    resolved = resolve(motion, OWN)
    lips, rest = [6, 12, 14, 17, 19, 20], [0, 1, 5, 11]
    assert torch.allclose(resolved.expression[:, lips], motion.expression[:, lips])
    moved = motion.expression[:, rest] - reference.expression[rest]
    assert torch.allclose(resolved.expression[:, rest], OWN.expression[rest] + moved)
    turn = rotation_matrix(motion.pose) @ rotation_matrix(reference.pose).T @ rotation_matrix(OWN.pose)
    assert torch.allclose(resolved.rotation, turn, atol=1e-5)
    assert torch.allclose(resolved.scale, motion.scale / reference.scale * 1.5)


def test_policy_takes_values_as_they_are():
    motion = absolute()
    resolved = resolve(motion, OWN, {group: "absolute" for group in GROUPS})
    assert torch.allclose(resolved.expression, motion.expression) and torch.allclose(
        resolved.scale, motion.scale
    )
    assert torch.allclose(resolved.rotation, rotation_matrix(motion.pose), atol=1e-6)


def test_slices_of_a_resolved_motion_are_its_frames():
    resolved = resolve(change(), OWN)
    part = resolved.slice(10, 13)
    assert len(part) == 3 and torch.equal(part.controls, resolved.controls[10:13]) and part.fps == FPS


# ------------------------------------------------------------ operations


@pytest.mark.parametrize("fps", [Fraction(50), Fraction(24000, 1001), Fraction(12)])
def test_retiming_keeps_the_duration(fps):
    motion = change()
    other = retime(motion, fps)
    assert other.fps == fps and abs(other.seconds - motion.seconds) <= 0.5 / float(fps) + 1e-9
    assert same(retime(motion, FPS), motion, 1e-4)


def measured(motion: FaceMotion) -> tuple[float, float]:
    """Root mean square over time of the distance from the mean: keypoint units x 1000, and degrees."""
    expression = motion.expression.var(0, unbiased=False).sum().sqrt()
    turn = pose_degrees(rotation_matrix(motion.pose) @ rotation_matrix(motion.median_frame().pose).T)
    return float(expression * 1000), float(turn.var(0, unbiased=False).sum().sqrt())


@pytest.mark.parametrize("make", [change, absolute])
def test_intensity_is_monotone_and_one_changes_nothing(make):
    motion = make()
    assert same(scale_intensity(motion, 1.0, 1.0), motion, 0)
    factors = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
    expression = [measured(scale_intensity(motion, f, 1.0))[0] for f in factors]
    head = [measured(scale_intensity(motion, 1.0, f))[1] for f in factors]
    assert expression[0] < 1e-3 and head[0] < 1e-3
    assert all(a < b for a, b in zip(expression, expression[1:], strict=False)), expression
    assert all(a < b for a, b in zip(head, head[1:], strict=False)), head
    assert abs(expression[-1] / expression[4] - 2) < 0.01 and abs(head[-1] / head[4] - 2) < 0.1
    still = scale_intensity(motion, 0.0, 1.0)
    assert torch.equal(still.pose, motion.pose), "expression moves the head"


def test_the_head_is_held_while_the_face_goes_on():
    held = head_motion(change(), "hold")
    assert held.pose.abs().max() < 1e-3 and torch.equal(held.controls, change().controls)
    assert (held.scale - 1).abs().max() < 1e-6


def test_the_head_follows_another_motion():
    led = follow_head(change(50), retime(change(80, 5), Fraction(50)))
    assert (
        len(led) == 50
        and torch.equal(led.controls, change(50).controls)
        and not torch.equal(led.pose, change(50).pose)
    )
    mixed = follow_head(change(50), absolute(50, 3))
    assert "pose" not in mixed.absolute and mixed.pose.median(0).values.abs().max() < 1.5


def test_smoothing_calms_the_head_only():
    motion = change()
    calm = smooth_head(motion, 0.2)
    assert calm.pose.diff(dim=0).norm() < 0.6 * motion.pose.diff(dim=0).norm() and torch.equal(
        calm.controls, motion.controls
    )


def test_both_views_stay_one_under_every_operation():
    motion = change()
    changed = [
        scale_intensity(motion, 1.3, 0.4), blend(motion, change(50, 1), 0.4, ("lips", "eyes")),
        scale_blinks(motion, 0.0), retime(motion, Fraction(50)),
    ]  # fmt: skip
    for result in changed:
        # Where regions or signs of the brow are mixed, keypoints that two controls share leave a small
        # difference.
        again = expression_to_controls(result.expression)
        for name in ("jawOpen", "mouthPucker", "eyeBlinkLeft"):
            column = CONTROLS.index(name)
            assert (
                np.corrcoef(again[:, column], result.controls[:, column])[0, 1] > 0.8
                or result.controls[:, column].std() < 1e-6
            )


# ------------------------------------------------------------ files


@pytest.mark.parametrize("motion", [change(), absolute(), replace(absolute(), reference=absolute().frame(3))])
def test_a_saved_motion_comes_back_exactly(tmp_path, motion):
    save_motion(motion, tmp_path / "m.safetensors")
    loaded = load_motion(tmp_path / "m.safetensors")
    assert same(loaded, motion, 0) and (loaded.fps, loaded.absolute, loaded.source) == (
        motion.fps,
        motion.absolute,
        motion.source,
    )
    assert (loaded.reference is None) == (motion.reference is None)


def test_bad_motion_files_are_explained(tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(ValueError, match="there is no file"):
        load_motion(path)
    save_motion(change(), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="m.safetensors is damaged"):
        load_motion(path)
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="holds no face motion"):
        load_motion(path)


def test_templates_go_out_and_come_in(tmp_path):
    save_template(absolute(), tmp_path / "t.pkl")
    back = load_template(tmp_path / "t.pkl")
    assert same(back, absolute(), 1e-3) and back.absolute == frozenset(GROUPS)
    save_template(change(), tmp_path / "u.pkl")
    assert same(load_template(tmp_path / "u.pkl"), change(), 1e-3), (
        "changes of a neutral face that looks ahead"
    )


class Evil:
    def __reduce__(self):
        return (print, ("this must never be printed",))


def test_a_malicious_template_does_not_run(tmp_path, capsys):
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"motion": [Evil()]}))
    with pytest.raises(ValueError, match="builtins.print"):
        load_template(tmp_path / "evil.pkl")
    assert "never" not in capsys.readouterr().out


@pytest.mark.slow
def test_the_plot_shows_every_curve():
    picture = plot_motion(change(), torch.randn(1, 16000))
    assert picture.shape == (720, 1280, 3) and 0 <= picture.min() and picture.max() <= 1
    colours = {tuple(c) for c in (picture.reshape(-1, 3) * 255).round().int().tolist()}
    assert {(196, 62, 54), (44, 104, 178), (58, 140, 72)} <= colours
    assert plot_motion(change(1)).shape == (720, 1280, 3)
