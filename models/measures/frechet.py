"""Distance of two clouds of features, as of normal distributions (Heusel et al. 2017): FID with a network of pictures,
FVD with one of films."""

import numpy as np
from scipy.linalg import sqrtm

SMALL = 1e-6


def frechet_distance(first: np.ndarray, second: np.ndarray, official_film: bool = False) -> float:
    """Features [n,D] and [m,D] of two sets -> 0 for equal means and covariances, without an upper end.

    `official_film`: a small number is added to the diagonals under the root, as ACTalker's script of films does.
    ValueError unless both have two or more rows of one width.
    """
    if min(len(first), len(second)) < 2 or first.shape[1] != second.shape[1]:
        raise ValueError(
            f"features of {len(first)}x{first.shape[-1]} and {len(second)}x{second.shape[-1]} cannot be compared: two "
            "or more of each set are needed, of one network."
        )
    a, b = (Cloud().add(features) for features in (first, second))
    return cloud_distance(a, b, official_film)


class Cloud:
    """Mean and covariance of features that come group by group, so that a set of films of any length fits."""

    def __init__(self):
        self.count = 0
        self.mean = np.zeros(0)
        self.scatter = np.zeros((0, 0))  # sum of products of what is off the mean

    def add(self, features: np.ndarray) -> "Cloud":
        """More features [n,D] of the same network (Chan et al. 1982)."""
        if len(features):
            rows = features.astype(np.float64)
            mean = rows.mean(0)
            self._join(len(rows), mean, (rows - mean).T @ (rows - mean))
        return self

    def join(self, other: "Cloud") -> None:
        """All that another cloud holds."""
        if other.count:
            self._join(other.count, other.mean, other.scatter)

    def _join(self, count: int, mean: np.ndarray, scatter: np.ndarray) -> None:
        if self.count == 0:
            self.count, self.mean, self.scatter = count, mean, scatter
            return
        total, away = self.count + count, mean - self.mean
        self.scatter = self.scatter + scatter + np.outer(away, away) * (self.count * count / total)
        self.mean = self.mean + away * (count / total)
        self.count = total


def cloud_distance(first: Cloud, second: Cloud, official_film: bool = False) -> float:
    """As frechet_distance; ValueError where a cloud has fewer than two features."""
    if min(first.count, second.count) < 2:
        raise ValueError(
            f"{first.count} and {second.count} pictures cannot be compared: two or more of each are needed."
        )
    away = np.square(first.mean - second.mean).sum()
    a, b = (cloud.scatter / (cloud.count - 1) for cloud in (first, second))
    if official_film:
        offset = SMALL * np.eye(len(a))
        shared = np.trace(sqrtm((a + offset) @ (b + offset))).real
    else:
        shared = root_trace(a, b)
    return max(0.0, float(away + np.trace(a) + np.trace(b) - 2 * shared))


def root_trace(a: np.ndarray, b: np.ndarray) -> float:
    """Trace of the root of a @ b, of covariances [D,D]; exact also where there are fewer features than D, for which a
    general root of matrices is not."""
    return float(np.linalg.svd(symmetric_root(a) @ symmetric_root(b), compute_uv=False).sum())


def symmetric_root(a: np.ndarray) -> np.ndarray:
    """The root of a covariance; what rounding left in directions without any is taken for none."""
    values, vectors = np.linalg.eigh(a)
    none = len(a) * np.finfo(a.dtype).eps * max(values[-1], 0.0)
    return (vectors * np.sqrt(np.where(values > none, values, 0.0))) @ vectors.T
