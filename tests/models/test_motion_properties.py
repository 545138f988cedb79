"""Whatever was done to a motion, in whatever order: it owns its memory, is saved, and comes back equal."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from talking_portrait.models.engine import MotionSettings, with_amounts
from talking_portrait.models.face_motion import CONTROLS, GROUPS, FaceMotion
from talking_portrait.models.face_motion.container import TRACKS
from talking_portrait.models.face_motion.curve import Curve
from talking_portrait.models.face_motion.emotion import with_emotion
from talking_portrait.models.face_motion.emotion_presets import load_presets
from talking_portrait.models.face_motion.eyes import scale_blinks
from talking_portrait.models.face_motion.head import HEAD_MODES, LED, head_motion
from talking_portrait.models.face_motion.intensity import scale_intensity
from talking_portrait.models.face_motion.mix import add, blend, concat
from talking_portrait.models.face_motion.rest import as_changes
from talking_portrait.models.face_motion.storage import load_motion, save_motion
from talking_portrait.models.face_motion.time import retime, sample_motion, slice_motion
from talking_portrait.models.liveportrait.expression_sliders import repeated, slider_motion
from talking_portrait.models.liveportrait.video_motion import smoothed

from .motion_samples import absolute, change, driven

CHAINS, LONGEST_CHAIN = 240, 6
RATES = (Fraction(25), Fraction(24000, 1001), Fraction(30000, 1001), Fraction(25, 2), Fraction(60))
PRESETS = load_presets()
MAKERS: dict[str, Callable[[int, int], FaceMotion]] = {
    "changes": change, "absolute about its middle": absolute, "absolute about one of its frames": driven,
    "one slider": lambda count, seed: repeated(slider_motion({"smile": 0.5}, (1, 2, 3), (0, 0.1, 0.1)), count,
    Fraction(25)),
    "expanded": lambda count, seed: still(count),
    "lips absolute": lambda count, seed: as_changes(driven(count, seed), set(GROUPS) - {"lips"}),
}  # fmt: skip


def still(count: int) -> FaceMotion:
    """One row of numbers for all frames, by views of it."""
    return FaceMotion(
        torch.zeros(1, 21, 3).expand(count, -1, -1), torch.zeros(1, 3).expand(count, -1),
        torch.zeros(3).expand(count, -1),
        torch.ones(1).expand(count), torch.zeros(1, len(CONTROLS)).expand(count, -1),
        torch.ones(1, dtype=torch.bool).expand(count),
        Fraction(25), source={},
    )  # fmt: skip


def made(random: np.random.Generator) -> FaceMotion:
    """A motion from any producer: some of one frame, some with frames where no face was found, at any rate."""
    count = int(random.choice([1, 2, 7, 20]))
    motion = MAKERS[str(random.choice(list(MAKERS)))](count, int(random.integers(1000)))
    valid = torch.from_numpy(random.random(count) < random.choice([0.0, 0.6, 1.0]))
    return replace(motion, valid=valid, fps=RATES[random.integers(len(RATES))])


def like(motion: FaceMotion, random: np.random.Generator) -> FaceMotion:
    """Another motion of the same rate and length."""
    return retime(made(random), motion.fps, len(motion))


def some_groups(random: np.random.Generator) -> list[str]:
    return [group for group in GROUPS if random.random() < 0.5]


def weight(motion: FaceMotion, random: np.random.Generator) -> float | torch.Tensor:
    """0, 1, something between, or a track."""
    return (0.0, 1.0, float(random.random()), torch.linspace(0, 1, len(motion)))[random.integers(4)]


def with_head(motion: FaceMotion, random: np.random.Generator) -> FaceMotion:
    mode = str(random.choice(HEAD_MODES))
    leader = made(random) if mode in LED else None
    amount = 1.0 if mode == "hold" else float(random.uniform(0, 2))
    return head_motion(
        motion, mode, amount, float(random.choice([0, 0.2])), tuple(random.uniform(-5, 5, 3)), leader
    )


def with_mood(motion: FaceMotion, random: np.random.Generator) -> FaceMotion:
    weights = {name: Curve.constant(1) for name in random.choice(list(PRESETS), 2, replace=False)}
    return with_emotion(motion, weights, PRESETS, Curve(((0.0, 0.0), (1.0, float(random.random())))))


def cut(motion: FaceMotion, random: np.random.Generator) -> FaceMotion:
    start = int(random.integers(len(motion)))
    return slice_motion(motion, start, int(random.integers(start + 1, len(motion) + 1)))


def pick(motion: FaceMotion, random: np.random.Generator) -> FaceMotion:
    return sample_motion(
        motion, torch.from_numpy(random.uniform(-1, len(motion), int(random.integers(1, 20))))
    )


OPERATIONS: dict[str, Callable[[FaceMotion, np.random.Generator], FaceMotion]] = {
    "add": lambda motion, random: add(motion, as_changes(like(motion, random), GROUPS)),
    "amounts": lambda motion, random: with_amounts(motion, MotionSettings(*random.uniform(0, 2, 2).tolist())),
    "as changes": lambda motion, random: as_changes(motion, some_groups(random)),
    "blend": lambda motion, random: blend(
        motion, like(motion, random), weight(motion, random), some_groups(random)
    ),
    "blend into another": lambda motion, random: blend(
        like(motion, random), motion, weight(motion, random), some_groups(random)
    ),
    "blinks": lambda motion, random: scale_blinks(motion, float(random.choice([0.0, 1.0, 1.7]))),
    "concat": lambda motion, random: concat(motion, like(motion, random), int(random.integers(0, 5))),
    "cut": cut,
    "emotion": with_mood,
    "head": with_head,
    "intensity": lambda motion, random: scale_intensity(motion, *random.choice([0.0, 0.5, 1.0, 1.5], 2)),
    "kalman": lambda motion, random: smoothed(motion, float(random.choice([0.0, 3e-7]))),
    "pick": pick,
    "retime": lambda motion, random: retime(motion, RATES[random.integers(len(RATES))]),
}


def equal(one: FaceMotion, other: FaceMotion) -> bool:
    """To the bit, with all that says what the numbers mean."""
    facts = [(m.fps, m.absolute, m.absolute_share, m.source, m.reference is None) for m in (one, other)]
    if facts[0] != facts[1] or not all(
        torch.equal(getattr(one, track), getattr(other, track)) for track in TRACKS
    ):
        return False
    return one.reference is None or all(
        torch.equal(torch.as_tensor(value), torch.as_tensor(getattr(other.reference, name)))
        for name, value in vars(one.reference).items()
    )


def spoil(motion: FaceMotion) -> None:
    """Change everything in place."""
    for track in TRACKS:
        getattr(motion, track).zero_()
    for name in ("expression", "pose", "translation", "controls") if motion.reference else ():
        getattr(motion.reference, name).fill_(9)
    motion.source["spoiled"] = True
    for value in motion.source.values():
        if isinstance(value, list):
            value.append("spoiled")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_every_chain_of_operations_is_saved_and_comes_back_equal(tmp_path, seed):
    random, done = np.random.default_rng(seed), set()
    for number in range(CHAINS // 8):
        motion, steps = made(random), []
        for _ in range(random.integers(0, LONGEST_CHAIN + 1)):
            steps.append(str(random.choice(list(OPERATIONS))))
            motion = OPERATIONS[steps[-1]](motion, random)
        path = tmp_path / f"{number}.safetensors"
        save_motion(motion, path)
        assert equal(load_motion(path), motion), steps
        done |= set(steps)
    assert len(done) > len(OPERATIONS) / 2


# kalman's node made its motion itself
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "kalman"])
def test_a_result_can_be_changed_in_place_without_its_source(name):
    for seed, make in enumerate(MAKERS.values()):
        motion, kept = make(9, seed), make(9, seed)
        for trial in range(6):
            result = OPERATIONS[name](motion, np.random.default_rng(trial))
            spoil(result)
            assert equal(motion, kept), (seed, trial)


def test_a_motion_does_not_change_with_what_it_was_made_from():
    facts, pose = {"producer": "test", "blinks": [1.0]}, torch.zeros(3, 3)
    motion = replace(change(3), pose=pose, reference=change(3).frame(1), source=facts)
    pose += 5
    facts["blinks"].append(2.0)
    assert not motion.pose.any() and motion.source["blinks"] == [1.0]
    assert motion.frame(1).pose.untyped_storage().data_ptr() != motion.pose.untyped_storage().data_ptr()


def test_facts_that_no_file_can_keep_are_refused():
    with pytest.raises(ValueError, match="facts about its source are not plain data"):
        replace(change(3), source={"engine": object()})
