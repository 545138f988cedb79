"""Distance of two clouds of features, as of normal distributions (Heusel et al. 2017): FID with a network of pictures,
FVD with one of films."""

import numpy as np
from scipy.linalg import sqrtm

SMALL = 1e-6


def frechet_distance(first: np.ndarray, second: np.ndarray, official_film: bool = False) -> float:
    """Features [n,D] and [m,D] of two sets -> 0 for equal means and covariances, without an upper end.

    Under the root a small number is added to the diagonals where their product has none; `official_film`: always,
    as ACTalker's script of films does. ValueError unless both have two or more rows of one width.
    """
    if min(len(first), len(second)) < 2 or first.shape[1] != second.shape[1]:
        raise ValueError(
            f"features of {len(first)}x{first.shape[-1]} and {len(second)}x{second.shape[-1]} cannot be compared: two "
            "or more of each set are needed, of one network."
        )
    sets = [features.astype(np.float64) for features in (first, second)]
    away = np.square(sets[0].mean(0) - sets[1].mean(0)).sum()
    a, b = (np.atleast_2d(np.cov(features, rowvar=False)) for features in sets)
    offset = SMALL * np.eye(first.shape[1])
    root = sqrtm((a + offset) @ (b + offset)) if official_film else sqrtm(a @ b)
    if not np.isfinite(root).all():
        root = sqrtm((a + offset) @ (b + offset))
    return float(away + np.trace(a) + np.trace(b) - 2 * np.trace(root).real)
