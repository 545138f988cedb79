"""How well a mouth follows speech whose sounds are known: what is heard, and what an artist would see.

At 25 frames per second: viseme accuracy; correlation r of each articulation with its target; then of the finished
motion the share of p, b, m at which the lips meet (mouthClose above 0.8, jawOpen below 0.1 within one frame), of f, v
at which the lower lip tucks (mouthRollLower above 0.5), of frames that close the lips further than two frames from any
p, b, m or pause, and of frames inside pauses at which the jaw is shut.
"""

from collections.abc import Callable, Iterable
from fractions import Fraction

import numpy as np
from scipy.ndimage import binary_dilation

from ...models.builtin.mouth import limit_speed, mouth_controls, mouth_frames
from ...models.engine import MotionSettings
from ...models.face_motion import CONTROLS
from ...models.speech.silence import silence_gate
from ...models.speech.visemes import ARTICULATION, VISEMES
from .ipa import Segment
from .labels import label_tracks

FPS = 25
BLOCK = 4  # frames of 10 ms in one of a film
CLOSED, SHUT_JAW, TUCKED, AT_REST = 0.8, 0.1, 0.5, 0.05
INSIDE = 0.08  # seconds within a pause from which on the mouth should be shut
# wave [T] at 16 kHz -> visemes [N,14], articulation [N,6], how much is speech [N] 0..1, loudness [N] in dB
Hears = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]


def video_rate(track: np.ndarray) -> np.ndarray:
    """Mean over each 40 ms."""
    count = len(track) // BLOCK
    return track[: count * BLOCK].reshape(count, BLOCK, -1).mean(1)


def shown(heard: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """[N,12] controls at 25 frames per second, as the built-in engine makes them of what was heard."""
    visemes, moves, spoken, loudness = heard
    settings = MotionSettings()
    gate, level = silence_gate(loudness, settings.silence_threshold, spoken)
    mouth = mouth_controls(visemes, moves, gate, level, settings.mouth_amount)
    controls = mouth_frames(mouth, len(mouth) // BLOCK, Fraction(FPS), settings.lip_lead / 1000)
    limit_speed(controls, Fraction(FPS))
    return controls


def hits(parts: list[Segment], viseme: str, reached: np.ndarray) -> np.ndarray:
    """For every sound of that viseme, whether `reached` [N] holds within one frame of its middle."""
    middles = [int((start + end) / 2 * FPS) for name, start, end in parts if name == viseme]
    return np.array([reached[max(0, m - 1) : m + 2].any() for m in middles], bool)


def inside(parts: list[Segment], names: tuple[str, ...], count: int, margin: float) -> np.ndarray:
    """[count] which frames lie in sounds of these names, `margin` seconds within (or, below 0, around) them."""
    times, found = (np.arange(count) + 0.5) / FPS, np.zeros(count, bool)
    for name, start, end in parts:
        if name in names:
            found |= (times > start + margin) & (times < end - margin)
    return found


def seen(controls: np.ndarray, parts: list[Segment]) -> dict[str, np.ndarray]:
    """What controls [N,12] at 25 frames per second show of a clip in which `parts` are said."""
    jaw, close, tuck = (
        controls[:, CONTROLS.index(name)] for name in ("jawOpen", "mouthClose", "mouthRollLower")
    )
    due = inside(parts, ("PP", "sil"), len(jaw), -1 / FPS)
    return {
        "pbm_closed": hits(parts, "PP", (close > CLOSED) & (jaw < SHUT_JAW)),
        "fv_tucked": hits(parts, "FF", tuck > TUCKED),
        "needless_closed": (close > CLOSED) & np.logical_not(binary_dilation(due, iterations=2)),
        "shut_in_pauses": jaw[inside(parts, ("sil",), len(jaw), INSIDE)] < AT_REST,
        "shown_jaw": jaw,
    }


def clip_scores(hears: Hears, wave: np.ndarray, parts: list[Segment]) -> dict[str, np.ndarray]:
    """What was heard and shown of a clip (float32, 16 kHz) and what was due, frame by frame."""
    heard = hears(wave)
    classes, target = label_tracks(parts, len(heard[0]))
    return {
        "guess": video_rate(heard[0]).argmax(1), "truth": video_rate(np.eye(len(VISEMES))[classes]).argmax(1),
        "moves": video_rate(heard[1]), "target": video_rate(target), **seen(shown(heard), parts),
    }  # fmt: skip


def joined(scores: Iterable[dict[str, np.ndarray]]) -> dict[str, float]:
    """All measures over clips; what never occurs in them is left out."""
    found = list(scores)
    all_of = {key: np.concatenate([score[key] for score in found]) for key in found[0]}
    result: dict[str, float] = {
        "seconds": round(len(all_of["truth"]) / FPS, 1),
        "viseme": float((all_of["guess"] == all_of["truth"]).mean()),
    }
    for index, name in enumerate(ARTICULATION):
        result[name] = float(np.corrcoef(all_of["moves"][:, index], all_of["target"][:, index])[0, 1])
    result["shown_jaw"] = float(np.corrcoef(all_of["shown_jaw"], all_of["target"][:, 0])[0, 1])
    for name in ("pbm_closed", "fv_tucked", "needless_closed", "shut_in_pauses"):
        if len(all_of[name]):
            result[name] = float(all_of[name].mean())
    result |= {"pbm": len(all_of["pbm_closed"]), "fv": len(all_of["fv_tucked"])}
    return {name: round(value, 3) for name, value in result.items()}
