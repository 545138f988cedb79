"""Kalman smoothing of series that are expected to stay where they are (a random walk, seen through noise)."""

import numpy as np


def smooth(series: np.ndarray, process: float, observation: float) -> np.ndarray:
    """Rauch-Tung-Striebel smoothing over the first axis, every value on its own, in float64.

    `process` and `observation` are variances. The walk starts at the first value with variance 1, and that
    value is observed too (as pykalman does it). The gains do not depend on the data, so they are one number
    per frame.
    """
    values = np.asarray(series, np.float64)
    count = len(values)
    if count == 0:
        return values.copy()
    mean, variance = np.empty_like(values), np.empty(count)
    for i in range(count):
        before, spread = (values[0], 1.0) if i == 0 else (mean[i - 1], variance[i - 1] + process)
        gain = spread / (spread + observation)
        mean[i] = before + gain * (values[i] - before)
        variance[i] = (1 - gain) * spread
    for i in reversed(range(count - 1)):
        gain = variance[i] / (variance[i] + process)
        mean[i] += gain * (mean[i + 1] - mean[i])
    return mean
