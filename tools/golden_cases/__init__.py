"""Which stages answer golden data, and how exactly."""

from dataclasses import dataclass

from torch import Tensor

from .actalker import CASES as ACTALKER
from .fantasytalking import CASES as FANTASYTALKING
from .joyvasa import CASES as JOYVASA
from .kdtalker import CASES as KDTALKER
from .kdtalker_training import CASES as KDTALKER_TRAINING
from .kdtalker_training import WANTED as TRAINING_WANTED
from .liveportrait import CASES as LIVEPORTRAIT
from .measures import CASES as MEASURES
from .measures import results

__all__ = ["CASES", "FINISHED_STAGES", "MEASURES", "WANTED", "Tolerance", "tolerance"]

CASES = {
    **LIVEPORTRAIT, **KDTALKER, **JOYVASA, **FANTASYTALKING, **ACTALKER, **MEASURES, **KDTALKER_TRAINING,
}  # fmt: skip
# case -> what of its file must be computed again, where that is not under `outputs`
WANTED = {**dict.fromkeys(MEASURES, results), **TRAINING_WANTED}
# folders whose every file must be covered
FINISHED_STAGES = {"kdtalker", "joyvasa", "fantasytalking", "actalker", "metrics", "training"}
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
        return " + ".join(parts + ([f"{self.of_largest:g}*largest"] if self.of_largest else [])) or "exact"


EXACT = Tolerance()
DIGITS = Tolerance(1e-9, 6e-7)  # a probe has seven digits
# of the measures, by the last part of an output's name, or by file and that part
MEASURE_LIMITS = {
    **dict.fromkeys(
        ("offset", "argmin", "rows", "box", "first_frame", "frames", "motion_beat_indices"), EXACT
    ),
    **dict.fromkeys(
        ("audio_beat_frames", "audio_beat_frames_librosa_0_11", "velocity_samples", "width_sum"), EXACT
    ),
    **dict.fromkeys(
        ("boxes", "x", "y", "s", "picture", "face_input", "vggface_input"), Tolerance(1e-6, 6e-7)
    ),
    **dict.fromkeys(
        ("ssim_channels_uniform7", "ssim_channels_gaussian", "ssim_gray_uniform7"), Tolerance(1e-6)
    ),
    **dict.fromkeys(("fid", "fvd_distance_with_offset"), Tolerance(relative=1e-6)),
    **dict.fromkeys(("yaw", "pitch", "roll", "overall"), Tolerance(relative=1e-5)),
    **dict.fromkeys(("min_distance_lse_d", "confidence_lse_c", "framewise_confidence"), Tolerance(2e-3)),
    **dict.fromkeys(("min_distance", "confidence", "mean_distance_per_offset"), Tolerance(1e-6, 1e-5)),
    **dict.fromkeys(("distances", "median_mean_distance"), Tolerance(1e-6, 1e-5)),
    "ssim_gray_uniform11": Tolerance(1e-6),
    "mfcc": Tolerance(of_largest=1e-6),
    "faces_bgr": Tolerance(1.0),
    "faces_mean_per_frame": Tolerance(0.05),
    "bins": Tolerance(1e-4),
    "std_of_bins_yaw_pitch_roll": Tolerance(1e-5),
    "cosine_to_first": Tolerance(1e-5),
    "smoothed_velocity": DIGITS,
    "onset_strength": Tolerance(1e-5, 1e-6),
    "canny_pixels": Tolerance(18),  # as much as it differs between editions of scikit-image
    "sobel_pixels": EXACT,
    "iou": Tolerance(1e-8),
}
COMPUTED = Tolerance(1e-8, 1e-8)
NETWORKS = Tolerance(of_largest=1e-5)


def measure_tolerance(output: str) -> Tolerance:
    """The tolerance of one result of a measure."""
    place, _, name = output.rpartition("/")
    if (limit := MEASURE_LIMITS.get(name)) is not None:
        return limit
    return NETWORKS if place.endswith("outputs") else COMPUTED


# of KDTalker's training, by the last part of an output's name
TRAINING_LIMITS = {
    "lr": Tolerance(relative=1e-7), "learning_rate": Tolerance(relative=1e-7),
    "effective_decay": Tolerance(relative=1e-7),
    "losses": Tolerance(relative=1e-5), "noise_pred": Tolerance(of_largest=5e-5),
    "norms": Tolerance(relative=1e-4), "gradient_norms": Tolerance(relative=1e-4),
    "change": Tolerance(relative=1e-3), "change_total": Tolerance(relative=1e-5),
    "small_change": Tolerance(relative=0.1), "small_change_total": Tolerance(relative=1e-3),
}  # fmt: skip


def tolerance(case: str, output: str) -> Tolerance:
    """The tolerance of one output, as the golden data's notes give it."""
    if case in MEASURES:
        return measure_tolerance(output)
    if case in KDTALKER_TRAINING:
        usual = Tolerance(of_largest=1e-4 if "/gradient/" in output else 1e-5)
        return TRAINING_LIMITS.get(output.split("/")[-1], usual)
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
