"""KDTalker's 70 numbers per frame: to and from LivePortrait's motion, with the published statistics."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..face_motion.kalman import smooth
from ..weights.safe_files import Damaged, Unreadable, load_npz, numbers

ORDER = (("scale", 1), ("yaw", 1), ("pitch", 1), ("roll", 1), ("t", 3), ("exp", 63))
STATISTICS = tuple(f"{name}_{kind}" for name, _ in (*ORDER, ("kp", 63)) for kind in ("mean", "std"))
POSE = 7  # numbers of a frame before its expression
SMOOTHED = ("pitch", "yaw", "roll", "t", "exp")  # scale is left as it is
LARGEST = 10_000  # bytes of one array in norm.npz
PROCESS, OBSERVATION = 0.05, 0.001  # variances of the published smoothing


@dataclass(frozen=True)
class MotionStatistics:
    """Mean and standard deviation of every number, [n] float32 each, under the names of norm.npz.

    points: the keypoints that a network moves, of 21; the others stay at their mean. None: all.
    """

    values: Mapping[str, Tensor]
    points: tuple[int, ...] | None = None

    def normalise(self, name: str, value: Tensor) -> Tensor:
        """[B,n] -> [B,n]."""
        return (value - self.values[f"{name}_mean"]) / self.values[f"{name}_std"]

    def moved(self, keypoints: Tensor) -> Tensor:
        """The network's keypoints [B,3P] of all [B,63]."""
        if self.points is None:
            return keypoints
        return keypoints.unflatten(-1, (-1, 3))[..., list(self.points), :].flatten(-2)

    def all_points(self, keypoints: Tensor) -> Tensor:
        """All keypoints [B,63] of the network's [B,3P], normalised."""
        if self.points is None:
            return keypoints
        every = keypoints.new_zeros(*keypoints.shape[:-1], len(self.values["exp_mean"]) // 3, 3)
        every[..., list(self.points), :] = keypoints.unflatten(-1, (-1, 3))
        return every.flatten(-2)

    def canonical(self, keypoints: Tensor) -> Tensor:
        """Canonical keypoints [B,63] -> [B,3P], normalised."""
        return self.moved(self.normalise("kp", keypoints))

    def vector(self, motion: Mapping[str, Tensor]) -> Tensor:
        """Parts [B,n] by name -> [B,7+3P], normalised."""
        parts = {name: self.normalise(name, motion[name]) for name, _ in ORDER}
        return torch.cat([self.moved(part) if name == "exp" else part for name, part in parts.items()], -1)

    def parts(self, vector: Tensor) -> dict[str, Tensor]:
        """[B,7+3P] -> parts [B,n] in degrees and keypoint units."""
        split = [*vector.split([*(size for _, size in ORDER[:-1]), vector.shape[-1] - POSE], -1)]
        split[-1] = self.all_points(split[-1])
        return {
            name: value * self.values[f"{name}_std"] + self.values[f"{name}_mean"]
            for (name, _), value in zip(ORDER, split, strict=True)
        }


def smoothed(parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published Kalman smoothing over the whole clip, in float64; [N,n] each."""
    result = dict(parts)
    for name in SMOOTHED:
        result[name] = torch.from_numpy(smooth(parts[name].double().numpy(), PROCESS, OBSERVATION)).float()
    return result


def read_statistics(path: Path, node: str) -> MotionStatistics:
    """norm.npz, read without pickle; ValueError in `node`'s name when it is damaged or another file."""
    sizes = dict((*ORDER, ("kp", 63)))
    try:
        arrays = load_npz(path, STATISTICS, LARGEST)
        values = {name: torch.from_numpy(numbers(array).reshape(-1)) for name, array in arrays.items()}
    except (Unreadable, Damaged) as error:
        reason = error.reason if isinstance(error, Unreadable) else f"a number is {error}"
        raise ValueError(f"{node}: {path} is not KDTalker's norm.npz ({reason}). Get it again.") from None
    for name, value in values.items():
        size = sizes[name.rsplit("_", 1)[0]]
        if value.numel() != size or (name.endswith("_std") and not (value > 0).all()):
            raise ValueError(
                f"{node}: {path}: {name} must be {size} finite numbers, standard deviations above 0."
            )
    return MotionStatistics(values)
