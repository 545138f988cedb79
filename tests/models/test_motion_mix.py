"""Two motions in one, of every pair of kinds: a voice gives changes, a driving video absolute values about a
reference."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest
import torch
from talking_portrait.models.face_motion import (
    CONTROL_GROUPS,
    CONTROLS,
    GROUPS,
    KEYPOINTS,
    FaceMotion,
    ResolvedMotion,
    resolve,
)
from talking_portrait.models.face_motion.head import head_motion
from talking_portrait.models.face_motion.mix import blend, concat
from talking_portrait.models.face_motion.time import slice_motion
from talking_portrait.models.liveportrait.animation import motion_policy

from .motion_samples import OWN, absolute, change, driven, same

KINDS = {"voice": change, "video": driven, "voice about its middle": absolute}
POLICIES = {
    "default": None, "relative": motion_policy(True), "published": motion_policy(False),
    "lips alone": motion_policy(False, "lip"),
    "as it is": dict.fromkeys(GROUPS, "absolute"),
}  # fmt: skip
PAIRS = list(product(KINDS, KINDS))


def part(resolved: ResolvedMotion, group: str) -> list[torch.Tensor]:
    """What a renderer reads of one group, of either kind of renderer."""
    if group in KEYPOINTS:
        return [
            resolved.expression[:, list(KEYPOINTS[group])],
            resolved.controls[:, list(CONTROL_GROUPS[group])],
        ]
    if group == "pose":
        return [resolved.rotation, resolved.pose_delta]
    return [
        getattr(resolved, group),
        getattr(resolved, "scale_ratio" if group == "scale" else "translation_delta"),
    ]


def distance(one: ResolvedMotion, other: ResolvedMotion, group: str) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(part(one, group), part(other, group), strict=True))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("kind", "other"), PAIRS)
def test_each_region_is_what_its_own_motion_would_show_alone(kind, other, policy):
    first, second, rules = KINDS[kind](50, 1), KINDS[other](50, 2), POLICIES[policy]
    alone = resolve(first, OWN, rules), resolve(second, OWN, rules)
    for groups in (("lips",), ("eyes", "rest"), ("pose", "translation", "scale"), GROUPS):
        shown = resolve(blend(first, second, 1.0, groups), OWN, rules)
        for group in GROUPS:
            assert distance(shown, alone[group in groups], group) < 1e-5, (groups, group)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("kind", "other"), PAIRS)
def test_a_blend_has_no_step_anywhere(kind, other, policy):
    first, second, rules = KINDS[kind](50, 1), KINDS[other](50, 2), POLICIES[policy]
    ends = [resolve(motion, OWN, rules) for motion in (first, second)]
    assert same(blend(first, second, 0.0), first, 0)
    for one, near in ((0.0, 0.001), (0.999, 1.0), (0.5, 0.501)):
        shown = [resolve(blend(first, second, weight), OWN, rules) for weight in (one, near)]
        for group in GROUPS:
            assert distance(*shown, group) <= 0.002 * distance(*ends, group) + 1e-4, (group, one)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("kind", "other"), PAIRS)
def test_half_a_blend_lies_in_the_middle(kind, other, policy):
    first, second, rules = KINDS[kind](50, 1), KINDS[other](50, 2), POLICIES[policy]
    ends = [resolve(motion, OWN, rules) for motion in (first, second)]
    shown = resolve(blend(first, second, 0.5), OWN, rules)
    if policy == "published" and (kind == "voice") != (other == "voice"):
        return  # what this mode leaves out of one and shows of the other has no middle
    for group in ("lips", "eyes", "rest", "translation"):
        wanted = [(a + b) / 2 for a, b in zip(*(part(end, group) for end in ends), strict=True)]
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(part(shown, group), wanted, strict=True))


def test_weights_may_change_from_frame_to_frame():
    first, second = change(50, 0), driven(50, 1)
    ramp = blend(first, second, torch.linspace(0, 1, 50))
    relative = motion_policy(True)
    shown, start, end = (resolve(motion, OWN, relative) for motion in (ramp, first, second))
    assert all(distance(shown.slice(0, 1), start.slice(0, 1), group) < 1e-4 for group in GROUPS)
    assert all(distance(shown.slice(49, 50), end.slice(49, 50), group) < 1e-4 for group in GROUPS)


@pytest.mark.parametrize(("kind", "other"), PAIRS)
def test_one_after_the_other(kind, other):
    first, second = KINDS[kind](40, 1), KINDS[other](30, 2)
    joined, relative = concat(first, second, 10), motion_policy(True)
    shown = resolve(joined, OWN, relative)
    assert len(joined) == 60
    for group in ("eyes", "rest", "pose", "translation", "scale"):
        assert distance(shown.slice(0, 30), resolve(first, OWN, relative).slice(0, 30), group) < 1e-4
        assert distance(shown.slice(40, 60), resolve(second, OWN, relative).slice(10, 30), group) < 1e-4


def test_slices_join_again():
    motion = change()
    assert same(concat(slice_motion(motion, 0, 20), slice_motion(motion, 20, 50)), motion, 0)
    faded = concat(motion, change(30, 1), crossfade=10)
    assert len(faded) == 70 and same(slice_motion(faded, 0, 40), slice_motion(motion, 0, 40), 0)


def test_regions_are_taken_apart_in_both_views():
    lips = blend(change(50, 0), change(50, 1), 1.0, ("lips",))
    jaw, blink = CONTROLS.index("jawOpen"), CONTROLS.index("eyeBlinkLeft")
    assert torch.equal(lips.controls[:, jaw], change(50, 1).controls[:, jaw])
    assert torch.equal(lips.controls[:, blink], change(50, 0).controls[:, blink])
    assert torch.equal(lips.expression[:, 19], change(50, 1).expression[:, 19])
    assert torch.equal(lips.expression[:, 11], change(50, 0).expression[:, 11]) and torch.equal(
        lips.pose, change(50, 0).pose
    )


@pytest.mark.parametrize(("other", "reason"), [
    (change(49), "one motion has 50 frames, the other 49"),
    (replace(change(), fps=Fraction(30)), "25 frames per second, the other 30"),
])  # fmt: skip
def test_motions_that_do_not_fit_are_refused_with_both_numbers(other, reason):
    with pytest.raises(ValueError, match=reason):
        blend(change(), other, 0.5)


def licensed(motion: FaceMotion, producer: str, licence: str) -> FaceMotion:
    return replace(motion, source={"producer": producer, "licence": licence, "seed": 3})


def test_a_mixed_motion_names_all_its_producers_and_licences():
    voice, video = licensed(change(), "voice", "non-commercial"), licensed(driven(), "video", "MIT")
    other = licensed(change(), "other", "Apache-2.0")
    mixed = blend(blend(video, voice, 1.0, ("lips",)), voice, 0.5, ("eyes",))
    assert mixed.source["licence"] == "MIT"
    assert mixed.source["also_from"] == [{"producer": "voice", "licence": "non-commercial"}]
    led = head_motion(other, "follow", leader=mixed)
    assert [part["producer"] for part in led.source["also_from"]] == ["video", "voice"]
    assert "also_from" not in blend(video, video, 1.0).source
