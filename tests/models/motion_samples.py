"""Random face motions of every kind, for tests."""

from dataclasses import replace
from fractions import Fraction

import torch
from talking_portrait.models.face_motion import CONTROLS, FaceFrame, FaceMotion
from talking_portrait.models.face_motion.rig import SIGNED

FPS = Fraction(25)
OWN = FaceFrame(
    torch.full((21, 3), 0.02), torch.tensor([4.0, -6.0, 2.0]), torch.tensor([0.1, 0.2, 0.0]), 1.5,
    torch.linspace(0, 0.3, len(CONTROLS)),
)  # fmt: skip


def random_controls(count: int, seed: int = 0) -> torch.Tensor:
    controls = torch.rand(count, len(CONTROLS), generator=torch.Generator().manual_seed(seed))
    signed = [CONTROLS.index(name) for name in SIGNED]
    controls[:, signed] = 2 * controls[:, signed] - 1
    return controls


def change(count: int = 50, seed: int = 0) -> FaceMotion:
    """A motion of changes, as the built-in engine makes."""
    generator = torch.Generator().manual_seed(seed + 100)
    pose = 5 * torch.randn(count, 3, generator=generator).cumsum(0) / max(count, 1) ** 0.5
    shift = 0.01 * torch.randn(count, 3, generator=generator)
    scale = 1 + 0.02 * torch.randn(count, generator=generator)
    return FaceMotion.from_controls(
        random_controls(count, seed), pose, shift, scale, FPS, source={"producer": "test"}
    )


def absolute(count: int = 50, seed: int = 0) -> FaceMotion:
    """A motion of absolute values, as KDTalker or a video give; more moves than the rig shows."""
    base = change(count, seed)
    beyond = 0.004 * torch.randn(21, 3, generator=torch.Generator().manual_seed(seed + 200))
    return FaceMotion.from_expression(
        base.expression + 0.01 + beyond, base.pose + torch.tensor([3.0, 10.0, -2.0]), base.translation + 0.1,
        base.scale + 0.6, FPS,
        source={"producer": "driver"},
    )  # fmt: skip


def driven(count: int = 50, seed: int = 0) -> FaceMotion:
    """The same about one of its own frames, as Face Motion from Video gives it."""
    motion = absolute(count, seed)
    return replace(motion, reference=motion.frame(count // 3))


def same(a: FaceMotion, b: FaceMotion, tolerance: float = 1e-5) -> bool:
    names = ("expression", "pose", "translation", "scale", "controls")
    return len(a) == len(b) and all((getattr(a, n) - getattr(b, n)).abs().max() <= tolerance for n in names)
