"""Which stages answer golden data, and how exactly."""

from .fantasytalking import CASES as FANTASYTALKING
from .joyvasa import CASES as JOYVASA
from .kdtalker import CASES as KDTALKER
from .liveportrait import CASES as LIVEPORTRAIT

CASES = {**LIVEPORTRAIT, **KDTALKER, **JOYVASA, **FANTASYTALKING}
FINISHED_STAGES = {"kdtalker", "joyvasa"}  # folders of golden data of which every file must be covered
SAMPLED = ("kd_sampler", "kd_pipeline", "kd_pipeline_relative", "ft_cfg", "jv_sampler", "jv_audio", "jv_pipeline")
ANGLES = ("pitch", "yaw", "roll")  # degrees


def tolerance(case: str, output: str) -> tuple[float, float]:
    """(absolute, relative) tolerance of one output, as the golden data's notes give it."""
    if output.startswith(("crop", "net_", "pasted")):
        return 3.0, 0.0  # bytes of OpenCV's fixed-point sampling
    if output == "paste_mask":
        return 3 / 255, 0.0
    if output == "image_uint8":
        return 1.0, 0.0  # truncation to bytes
    if case == "jv_pipeline" and output in ANGLES:
        return 5e-3, 1e-3
    return (1e-3, 1e-3) if case in SAMPLED else (1e-4, 1e-4)
