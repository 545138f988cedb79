"""What an artist commands of Takin-ADA through its options: another's head, an example of a mood, how
strongly to follow."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from talking_portrait.models.engine import MotionSettings
from talking_portrait.models.face_motion import CONTROLS, FaceFrame, FaceMotion
from talking_portrait.models.takin.commands import Commands, head_track
from talking_portrait.models.takin.config import EMOTIONS
from talking_portrait.models.takin.emotion import emotion_faces
from talking_portrait.models.takin.live_motion import LiveMotion
from talking_portrait.models.takin.sampling import Guidance

from .shipped_engines import moved, sample, shipped_takin, speech

LIPS = [
    k
    for k, name in enumerate(CONTROLS)
    if name.startswith(("jaw", "mouth", "teeth")) and name != "mouthSmile"
]
RAMP = 10  # frames in which the head leaves the photo's pose


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


def led(yaw: torch.Tensor, fps: int, absolute: bool = False) -> FaceMotion:
    """A still face that turns its head; absolute: about a pose of 30 degrees."""
    count = len(yaw)
    pose = torch.zeros(count, 3)
    pose[:, 1] = yaw + (30 if absolute else 0)
    motion = FaceMotion.from_controls(
        torch.zeros(count, len(CONTROLS)), pose, torch.zeros(count, 3), torch.ones(count), Fraction(fps),
        source={"producer": "driver", "licence": "CC BY 4.0"},
    )  # fmt: skip
    rest = FaceFrame(pose=torch.tensor([0.0, 30.0, 0.0]))
    return replace(motion, absolute=frozenset({"pose"}), reference=rest) if absolute else motion


def swaying(count: int, fps: float) -> torch.Tensor:
    return 15 * torch.sin(2 * (torch.arange(count) + 0.5) / fps)


@pytest.fixture(scope="module")
def sound():
    return np.tile(sample(), 2)[: 10 * 16000]


@pytest.fixture(scope="module")
def free(sound):
    with torch.inference_mode():
        return moved(shipped_takin(steps=5), sound, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("absolute", [False, True], ids=["changes", "absolute"])
def test_a_commanded_head_is_followed_and_the_lips_stay(sound, free, absolute):
    motion = moved(shipped_takin(steps=5, head=led(swaying(300, 30), 30, absolute)), sound, seed=1)
    wanted = swaying(len(motion), 25)
    error, alone = ((each.pose[:, 1] - wanted)[RAMP:].abs().mean() for each in (motion, free))
    assert error < 3 and alone > 6, (error, alone)
    torch.testing.assert_close(motion.controls[:, LIPS], free.controls[:, LIPS], atol=1e-5, rtol=0)
    assert motion.source["also_from"] == [{"producer": "driver", "licence": "CC BY 4.0"}]


@pytest.mark.slow
def test_behind_its_end_the_head_is_the_network_s_own_without_a_jump(sound, free):
    motion = moved(shipped_takin(steps=5, head=led(swaying(100, 25), 25)), sound, seed=1)
    steps = motion.pose[:, 1].diff().abs()
    assert (motion.pose[RAMP:100, 1] - swaying(100, 25)[RAMP:]).abs().mean() < 3
    assert steps[95:110].max() < 3 and motion.pose[120:, 1].std() > 0.3 * free.pose[120:, 1].std(), (
        "it jumps, or holds still"
    )


def test_the_head_is_not_told_where_its_face_was_not_found():
    leader = led(swaying(50, 25), 25)
    leader.valid[10:20] = False
    pose, seen = head_track(leader)
    assert pose.shape == (50, 7) and (pose[:, 0] == 1).all() and not seen[10:20].any() and seen[:9].all()
    commands = Commands(18.0, 0, leader)
    told, mask = commands.head(5, 60)
    assert mask[:4].min() == 1 and mask[5:15].max() == 0 and mask[45:].max() == 0 and told[0, 5] == pose[5, 5]


@pytest.mark.slow
def test_a_live_voice_has_the_commanded_head(sound):
    def error(head: FaceMotion | None) -> torch.Tensor:
        motion = LiveMotion(shipped_takin(steps=5, head=head), 1, MotionSettings()).push(speech(sound))
        return (motion.pose[:, 1] - swaying(len(motion), 25))[RAMP:].abs().mean()

    assert error(led(swaying(300, 25), 25)) < min(4.5, 0.6 * error(None))


@pytest.mark.slow
def test_lids_go_on_for_days_in_little_memory():
    whole, pieces = Commands(18.0, 4), Commands(18.0, 4)
    gate = (np.random.default_rng(0).random(360_000) < 0.7).astype(np.float32)  # an hour
    whole.go_on(gate)
    wanted = whole.lids(0, 90_000)
    for second in range(3600):
        pieces.go_on(gate[100 * second : 100 * second + 100])
        frames = 25 * second
        assert torch.equal(pieces.lids(frames, frames + 25), wanted[frames : frames + 25])
        pieces.forget(frames)
    assert len(pieces.starts) < 10 and wanted.max() == 1
    pieces.blinks.ticks += 96 * 360_000
    pieces.go_on(np.zeros(1000, np.float32))
    assert len(pieces.starts) and np.isfinite(pieces.starts).all()


@pytest.mark.slow
def test_an_exemplar_moves_the_mean_expression_towards_it(sound, free):
    for mood in ("happy", "surprised"):
        exemplar = emotion_faces()[0][EMOTIONS.index(mood)]
        motion = moved(shipped_takin(steps=5, intensity=0.0, exemplar=exemplar), sound, seed=1)
        change = (motion.expression - free.expression).flatten(1).mean(0)
        assert torch.nn.functional.cosine_similarity(change, exemplar, dim=0) > 0.7
        assert (change - exemplar).norm() < 0.7 * exemplar.norm()


@pytest.mark.slow
def test_both_guidances_are_heard(sound):
    def drawn(speech_weight: float, emotion_weight: float):
        options = {"emotion": "happy", "intensity": 0.5, "guidance": Guidance(speech_weight, emotion_weight)}
        return moved(shipped_takin(steps=3, **options), sound, seed=1).controls

    plain, spoken, felt = drawn(1, 1), drawn(2, 1), drawn(1, 3)
    jaw, smile = CONTROLS.index("jawOpen"), CONTROLS.index("mouthSmile")
    assert (
        spoken[:, jaw].std() > 1.1 * plain[:, jaw].std()
        and felt[:, smile].mean() > plain[:, smile].mean() + 0.05
    )
