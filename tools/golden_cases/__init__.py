"""Which stages answer golden data, and how exactly."""

from dataclasses import dataclass

from torch import Tensor

from .actalker import CASES as ACTALKER
from .fantasytalking import CASES as FANTASYTALKING
from .joyvasa import CASES as JOYVASA
from .kdtalker import CASES as KDTALKER
from .liveportrait import CASES as LIVEPORTRAIT

CASES = {**LIVEPORTRAIT, **KDTALKER, **JOYVASA, **FANTASYTALKING, **ACTALKER}
# folders whose every file must be covered
FINISHED_STAGES = {"kdtalker", "joyvasa", "fantasytalking", "actalker"}
SAMPLED = (
    "kd_sampler",
    "kd_pipeline",
    "kd_pipeline_relative",
    "ft_cfg",
    "jv_sampler",
    "jv_audio",
    "jv_pipeline",
)
ANGLES = ("pitch", "yaw", "roll")  # degrees
# 1e-5 for the modules
ACTALKER_LIMITS = {"unet_tiny": 2e-5, "unet_tiny_longmem": 2e-5, "pipeline_tiny": 1e-4}


@dataclass(frozen=True)
class Tolerance:
    """How far a value may be off: so much, and a part of itself, and a part of the output's largest value."""

    absolute: float = 0.0
    relative: float = 0.0
    of_largest: float = 0.0

    def of(self, values: Tensor) -> Tensor:
        """Allowed error of each value."""
        return self.absolute + self.relative * values.abs() + self.of_largest * values.abs().max()

    def __str__(self) -> str:
        parts = [f"{self.absolute:g}"] if self.absolute else []
        parts += [f"{self.relative:g}*|value|"] if self.relative else []
        return " + ".join(parts + ([f"{self.of_largest:g}*largest"] if self.of_largest else []))


def tolerance(case: str, output: str) -> Tolerance:
    """The tolerance of one output, as the golden data's notes give it."""
    if case in ACTALKER:
        return Tolerance(of_largest=ACTALKER_LIMITS.get(case, 1e-5))
    if output.startswith(("crop", "net_", "pasted")):
        return Tolerance(3.0)  # bytes of OpenCV's fixed-point sampling
    if output == "paste_mask":
        return Tolerance(3 / 255)
    if output == "image_uint8":
        return Tolerance(1.0)  # truncation to bytes
    if case == "jv_pipeline" and output in ANGLES:
        return Tolerance(5e-3, 1e-3)
    return Tolerance(1e-3, 1e-3) if case in SAMPLED else Tolerance(1e-4, 1e-4)
