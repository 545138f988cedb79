"""Structural similarity of two pictures (Wang et al. 2004), with the windows that scikit-image offers."""

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

K1, K2, RANGE = 0.01, 0.03, 255.0
SIGMA, REACH = 1.5, 5  # pixels of the Gaussian window, and half of it
WIDTH = 7  # pixels of the even window
GREY = (9798, 19235, 3735)  # of 2**15: OpenCV's weights of red, green and blue


def ssim(first: np.ndarray, second: np.ndarray, width: int = WIDTH, gaussian: bool = False) -> float:
    """Pictures of one size, [H,W] or [H,W,C] with levels 0..255 -> -1..1, the mean over pixels and channels.

    width: of an even window, with the covariance of a sample; `gaussian`: a window of sigma 1.5 instead, with that of
    a population. Pixels whose window leaves the picture do not count. ValueError if the picture is smaller.
    """
    border = REACH if gaussian else width // 2
    if min(first.shape[:2]) <= 2 * border:
        raise ValueError(
            f"a picture of {first.shape[1]}x{first.shape[0]} is too small for SSIM, whose window is {2 * border + 1}."
        )
    planes = (
        [(first, second)]
        if first.ndim == 2
        else zip(np.moveaxis(first, -1, 0), np.moveaxis(second, -1, 0), strict=True)
    )
    scores = [similarity(*pair, width, gaussian)[border:-border, border:-border].mean() for pair in planes]
    return float(np.mean(scores))


def similarity(
    first: np.ndarray, second: np.ndarray, width: int = WIDTH, gaussian: bool = False
) -> np.ndarray:
    """Two planes [H,W] of levels 0..255 -> the similarity at every pixel [H,W], in float64."""
    a, b = first.astype(np.float64), second.astype(np.float64)

    def mean(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values, SIGMA, truncate=3.5) if gaussian else uniform_filter(values, width)

    sample = 1.0 if gaussian else width**2 / (width**2 - 1)
    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b, covariance = (
        sample * (mean(x * y) - m * n)
        for x, y, m, n in ((a, a, mean_a, mean_a), (b, b, mean_b, mean_b), (a, b, mean_a, mean_b))
    )
    c1, c2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
    alike = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return alike / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))


def grey(picture: np.ndarray) -> np.ndarray:
    """RGB bytes [H,W,3] -> grey bytes [H,W], rounded as OpenCV rounds."""
    total = picture.astype(np.int64) @ np.array(GREY) + (1 << 14)
    return (total >> 15).astype(np.uint8)
