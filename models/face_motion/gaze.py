"""Where the eyes look: on whoever watches, and now and then away, in saccades.

Sizes and durations of saccades are those of Lee, Badler and Badler, "Eyes Alive" (SIGGRAPH 2002): a size of
-6.9 ln(P / 15.7) degrees for P uniform in percent, 25 ms and 2.4 ms per degree. Level directions are likelier than
steep ones, and who listens looks longer at the other, as there. Angles are degrees, picture right and up positive.
"""

from dataclasses import dataclass

import numpy as np

from .blinks import CLOCK
from .smooth import smoothstep

# degrees at which the controls gazeX and gazeY are 1: an iris of 12 mm radius about its centre, an eye of 30 mm
DEGREES = np.array([19.0, 8.0])
DIRECTIONS = np.arange(8) * 45.0
LIKELY = np.array([0.21, 0.07, 0.12, 0.08, 0.22, 0.09, 0.13, 0.08])  # of DIRECTIONS, 0 to the right
SMALLEST, LARGEST = 1.5, 12.0  # of looking away: beyond, a portrait would show the white of its eyes
ON_FACE = 1.3  # degrees, deviation of looking from one eye of the other to the other eye and mouth
ON_FACE_SECONDS = (0.4, 1.6)
WITH_BLINK = 6.0  # from this size on people mostly blink with a saccade
NEAR_BLINK = 1.2  # seconds by which it may wait for, or come before, the blink
COUNTER = 0.85  # how much of the head's turning the eyes undo


@dataclass(frozen=True)
class Habit:
    """Mean seconds of looking at the other, and of looking away, of who speaks or who is silent."""

    at: float
    away: float


SPEAKING, SILENT = Habit(2.6, 0.9), Habit(4.5, 0.6)


def saccade_size(random: np.random.Generator) -> float:
    """Degrees of one saccade."""
    return float(np.clip(-6.9 * np.log(random.uniform(0.5, 15.0) / 15.7), SMALLEST, LARGEST))


def look_away(random: np.random.Generator) -> np.ndarray:
    """[2] where the eyes go when they leave the other, as far up and down as lids allow."""
    angle = np.radians(random.choice(DIRECTIONS, p=LIKELY) + random.uniform(-15, 15))
    place = saccade_size(random) * np.array([np.cos(angle), np.sin(angle)])
    return np.clip(place, -0.8 * DEGREES, 0.8 * DEGREES)


def fixations(
    speaking: np.ndarray, blinks: np.ndarray, random: np.random.Generator
) -> list[tuple[float, np.ndarray]]:
    """(second at which it starts, place [2]) of each fixation over `speaking` [T] 0..1 at CLOCK; the first looks at us.

    Large ones start with one of the `blinks` (seconds) where one is near.
    """
    end, time = len(speaking) / CLOCK, 0.0
    found = [(0.0, np.zeros(2))]
    while time < end:
        habit = SPEAKING if speaking[int(time * CLOCK)] > 0.5 else SILENT
        leave = time + habit.at * random.gamma(3.0, 1 / 3)
        found += on_the_face(time, leave, random)
        place = look_away(random)
        if np.linalg.norm(place) >= WITH_BLINK:
            leave = max(beside_blink(leave, blinks), time + ON_FACE_SECONDS[0])
        time = leave + habit.away * random.gamma(3.0, 1 / 3)
        found += [(leave, place), (time, np.zeros(2))]
    return [one for one in found if one[0] < end]


def on_the_face(start: float, end: float, random: np.random.Generator) -> list[tuple[float, np.ndarray]]:
    """Small fixations about the other's face from start to end."""
    found, time = [], start + random.uniform(*ON_FACE_SECONDS)
    while time < end - ON_FACE_SECONDS[0]:
        found.append((time, ON_FACE * random.standard_normal(2) * (1.0, 0.6)))
        time += random.uniform(*ON_FACE_SECONDS)
    return found


def beside_blink(time: float, blinks: np.ndarray) -> float:
    """The start of the blink that is nearest to `time`, where one is near enough."""
    if len(blinks) == 0:
        return time
    nearest = float(blinks[np.abs(blinks - time).argmin()])
    return nearest if abs(nearest - time) <= NEAR_BLINK else time


def saccade_seconds(before: np.ndarray, place: np.ndarray) -> float:
    """How long the eyes take from one place to another, [2] in degrees."""
    return 0.025 + 0.0024 * float(np.linalg.norm(place - before))


def gaze_track(
    speaking: np.ndarray, pose: np.ndarray, blinks: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """[T,2] controls gazeX, gazeY at CLOCK, from `speaking` [T], `pose` [T,3] in degrees and the blinks' seconds.

    The eyes stay on what they fixate while the head turns.
    """
    looks = fixations(speaking, blinks, random)
    starts = [int(start * CLOCK) for start, _ in looks] + [len(speaking)]
    degrees, before = np.zeros((len(speaking), 2)), np.zeros(2)
    for (_, place), first, last in zip(looks, starts[:-1], starts[1:], strict=True):
        ticks = max(1, round(saccade_seconds(before, place) * CLOCK))
        share = smoothstep(np.arange(1, last - first + 1) / ticks)[:, None]
        degrees[first:last] = before + (place - before) * share
        before = place
    return np.clip((degrees + COUNTER * pose[:, 1::-1]) / DEGREES, -1, 1)
