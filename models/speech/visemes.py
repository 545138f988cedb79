"""Visemes, what the mouth does for each, and how neighbours share it.

Coarticulation by dominance (Cohen and Massaro 1993): each sound pulls the mouth towards its target with a strength of
its own, and the mouth is where all of them together pull it.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d

VISEMES = ("sil", "PP", "FF", "TH", "DD", "SS", "KK", "CH", "RR", "AA", "EH", "II", "OH", "OU")
ARTICULATION = ("jaw", "close", "round", "wide", "tuck", "teeth")
SILENCE = VISEMES.index("sil")

# viseme -> (strength, jaw, close, round, wide, tuck, teeth); our own table, after the usual phonetic
# descriptions.
TARGETS: dict[str, tuple[float, ...]] = {
    "sil": (0.7, 0.00, 0.35, 0.00, 0.00, 0.00, 0.00),
    "PP": (3.0, 0.00, 1.00, 0.00, 0.00, 0.00, 0.00),
    "FF": (2.2, 0.08, 0.00, 0.00, 0.10, 1.00, 0.60),
    "TH": (1.1, 0.20, 0.00, 0.00, 0.15, 0.10, 0.50),
    "DD": (0.8, 0.20, 0.00, 0.00, 0.25, 0.00, 0.50),
    "SS": (1.3, 0.08, 0.00, 0.00, 0.45, 0.00, 0.90),
    "KK": (0.6, 0.25, 0.00, 0.00, 0.20, 0.00, 0.20),
    "CH": (1.4, 0.12, 0.00, 0.60, 0.00, 0.00, 0.70),
    "RR": (0.9, 0.20, 0.00, 0.40, 0.00, 0.00, 0.30),
    "AA": (1.2, 0.85, 0.00, 0.00, 0.20, 0.00, 0.20),
    "EH": (1.0, 0.50, 0.00, 0.00, 0.50, 0.00, 0.30),
    "II": (1.0, 0.22, 0.00, 0.00, 0.80, 0.00, 0.50),
    "OH": (1.2, 0.60, 0.00, 0.70, 0.00, 0.00, 0.00),
    "OU": (1.4, 0.25, 0.00, 1.00, 0.00, 0.00, 0.00),
}
SPREAD = 5.0  # frames at 100 Hz: deviation of the Gaussian over which sounds pull


def articulation(probabilities: np.ndarray) -> np.ndarray:
    """Viseme probabilities [T,14] at 100 Hz -> articulation [T,6] in 0..1, each sound pulling as likely as it is."""
    table = np.array([TARGETS[name] for name in VISEMES], np.float32)
    pull = probabilities * table[:, 0]
    around = gaussian_filter1d(
        np.concatenate([pull @ table[:, 1:], pull.sum(1, keepdims=True)], 1), SPREAD, axis=0
    )
    return around[:, :-1] / around[:, -1:]
