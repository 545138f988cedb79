"""Motions of plain arrays, as packs give them that do not import this one: what is missing is neutral, what
is wrong is said."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from talking_portrait.models.face_motion import (
    CONTROLS,
    FaceFrame,
    FaceMotion,
    controls_to_expression,
    resolve,
)

from .motion_samples import change, driven, same

JAW = CONTROLS.index("jawOpen")


def test_a_named_control_alone_makes_a_motion():
    motion = FaceMotion.of({"fps": 25, "controls": {"jawOpen": [0.0, 0.5, 1.0], "eyeBlinkLeft": np.zeros(3)}})
    assert (
        len(motion) == 3
        and motion.fps == Fraction(25)
        and motion.controls[:, JAW].tolist() == [0.0, 0.5, 1.0]
    )
    assert torch.equal(motion.expression, controls_to_expression(motion.controls)) and not motion.absolute
    assert (
        not motion.pose.any()
        and not motion.translation.any()
        and (motion.scale == 1).all()
        and motion.valid.all()
    )
    moved = resolve(motion, FaceFrame())
    assert torch.allclose(moved.controls, motion.controls)


FORMS = [lambda track: track.numpy(), lambda track: track.double(), lambda track: track.tolist()]


@pytest.mark.parametrize(("motion", "views"), [
    (driven(7), ["expression"]), (driven(7), ["expression", "controls"]), (change(7), ["controls"]),
])  # fmt: skip
@pytest.mark.parametrize("form", FORMS)
def test_its_own_fields_make_it_again_in_any_form(motion, views, form):
    fields = {name: form(getattr(motion, name)) for name in ("pose", "translation", "scale", *views)}
    facts = {name: getattr(motion, name) for name in ("fps", "valid", "absolute", "source", "absolute_share")}
    if motion.reference is not None:
        facts["reference"] = {
            name: getattr(motion.reference, name) for name in (*views, "pose", "translation", "scale")
        }
    again = FaceMotion.of({**fields, **facts})
    assert same(again, motion, 1e-5) and again.absolute == motion.absolute
    assert motion.reference is None or torch.equal(again.reference.expression, motion.reference.expression)


def test_it_keeps_numbers_of_its_own():
    track = torch.zeros(4, 12)
    motion = FaceMotion.of({"fps": Fraction(24000, 1001), "controls": track})
    track += 1
    assert not motion.controls.any() and motion.fps == Fraction(24000, 1001)


STILL = {"fps": 25, "controls": {"jawOpen": [0.0, 1.0]}}


@pytest.mark.parametrize(("given", "reason"), [
    (5, "a face motion is an int"), ({}, "neither expression nor controls"),
    ({"controls": np.zeros((2, 12))}, "has no fps"),
    ({**STILL, "fps": 0}, "frames per second are 0"),
    ({**STILL, "fps": float("nan")}, "frames per second are nan"),
    ({**STILL, "fps": "25"}, "frames per second are no number"),
    ({**STILL, "exprssion": 1}, "has no field exprssion"),
    ({**STILL, "controls": {"jaw": [0.0]}}, "there is no control jaw; there are jawOpen"),
    ({**STILL, "controls": {}}, "controls by name need one track"),
    ({**STILL, "controls": None}, "controls is empty"),
    ({**STILL, "controls": {"jawOpen": [0.0], "gazeX": [0.0, 1.0]}}, "all of one length"),
    ({**STILL, "controls": np.zeros((2, 11))}, "controls has shape"),
    ({**STILL, "controls": 5}, "controls has shape"),
    ({"fps": 25, "expression": np.zeros((2, 20, 3))}, "expression has shape"),
    ({**STILL, "pose": np.zeros((3, 3))}, "pose has shape"),
    ({**STILL, "pose": "up"}, "pose is a str; numbers"),
    ({**STILL, "pose": [[0, 0], [0]]}, "pose is a list; numbers"),
    ({**STILL, "scale": [float("inf"), 1]}, "scale has values that are not numbers"),
    ({**STILL, "scale": [1j, 1]}, "scale holds"),
    ({**STILL, "valid": [1.0, 0.0]}, "valid holds torch.float32"),
    ({**STILL, "absolute": ["nose"]}, "unknown groups"),
    ({**STILL, "absolute": 3}, "absolute is an int"), ({**STILL, "absolute": [[]]}, "absolute is a list"),
    ({**STILL, "source": "me"}, "source is a str"), ({**STILL, "source": {"a": object()}}, "not plain data"),
    ({**STILL, "absolute_share": {"lips": "half"}}, "absolute_share is a dict"),
    ({**STILL, "reference": 5}, "a face is an int"),
    ({**STILL, "reference": {"pose": np.zeros(3)}}, "a face has neither"),
    ({**STILL, "reference": {"controls": np.zeros(12), "scale": [1, 2]}}, "the scale of a face has shape"),
])  # fmt: skip
def test_what_is_wrong_is_said(given, reason):
    with pytest.raises(ValueError, match=reason):
        FaceMotion.of(given)
