"""When eyes blink: at random, but as people's do never for long not, and from a seed alone, so that a live
voice needs no end.

Gaps between blinks are as irregular as can be with the wanted mean and no gap longer than LONGEST_GAP: of all
distributions between two bounds with a given mean, the exponential cut at both has the most entropy.
"""

import numpy as np

CLOCK = 100  # ticks per second
BLINK_SECONDS = np.array([0.0, 0.05, 0.09, 0.13, 0.18, 0.24, 0.32])
BLINK_SHAPE = np.array([0.0, 0.75, 1.0, 1.0, 0.6, 0.25, 0.0])  # quick down, a moment shut, slower up
FIRST_SECONDS = (0.3, 1.15)  # when the first blink starts, so that a film of 1.5 s has one
SHORTEST_GAP, LONGEST_GAP = 1.0, 8.0  # seconds from start to start
TWINS, TWIN_SECONDS = 0.08, (0.4, 0.6)  # share of blinks that another follows at once, and after how long
PAUSE_FACTOR = 2.0  # people blink more when they pause
USUAL_PAUSE, USUAL_TICKS = 0.25, 500  # share of pauses until a voice is known, and for how long that counts


def gap_bounds(per_minute: float) -> tuple[float, float]:
    """Shortest and longest gap in seconds; the longest is LONGEST_GAP, or 1.2 times the mean gap below 9
    blinks per minute."""
    mean = 60 / per_minute
    return min(SHORTEST_GAP, mean / 2), max(LONGEST_GAP, 1.2 * mean)


def cut_exponential(mean: float, span: float) -> float:
    """The rate k for which the density exp(-k x) on 0..span has this mean; negative where the mean lies
    beyond the middle."""
    low, high = -700 / span, 700 / span
    for _ in range(60):
        k = (low + high) / 2
        found = span / 2 if abs(k * span) < 1e-6 else 1 / k - span / np.expm1(k * span)
        low, high = (k, high) if found > mean else (low, k)
    return (low + high) / 2


class Blinks:
    """Start times of blinks, drawn as time goes on: the same ones however time is cut.

    One starts within the first 1.15 s, none later than LONGEST_GAP (see `gap_bounds`) after the one before; some come
    in twos; 0 per minute: none.
    """

    def __init__(self, per_minute: float, random: np.random.Generator):
        self.per_minute, self.random = per_minute, random
        self.ticks, self.weights, self.since = 0, 0.0, 0.0
        if per_minute > 0:
            self.shortest, self.longest = gap_bounds(per_minute)
            alone = (1 + TWINS) * 60 / per_minute - TWINS * float(np.mean(TWIN_SECONDS))
            self.rate = cut_exponential(alone - self.shortest, self.longest - self.shortest)
            self.twin = self.single = (
                False  # whether the next one follows the last at once, and whether it may
            )
            self.gap = float(random.uniform(*FIRST_SECONDS))
            self.last = FIRST_SECONDS[1] - self.longest  # as if: so that the first one is due by then

    def go_on(self, pause: np.ndarray) -> np.ndarray:
        """The blinks that start in the next ticks, in seconds from the beginning; likelier where `pause`
        [ticks] is 1, than 0."""
        if self.per_minute <= 0:
            return np.zeros(0)
        return np.array([self.last for paused in pause.tolist() if self._tick(paused)])

    def _tick(self, paused: float) -> bool:
        """Whether a blink starts at this tick. Its own time passes faster in pauses, and as fast as ours on
        average so far."""
        time, weight = self.ticks / CLOCK, 1 + (PAUSE_FACTOR - 1) * paused
        self.ticks, self.weights = self.ticks + 1, self.weights + weight
        usual = (1 + (PAUSE_FACTOR - 1) * USUAL_PAUSE) * USUAL_TICKS
        self.since += weight * (self.ticks + USUAL_TICKS) / (self.weights + usual) / CLOCK
        waited = time - self.last
        if self.twin:
            due = waited >= self.gap
        else:
            due = self.since >= self.gap and waited >= self.shortest or waited >= self.longest - 0.5 / CLOCK
        if due:
            self.since, self.last, self.gap = 0.0, time, self._drawn_gap()
        return due

    def _drawn_gap(self) -> float:
        part, span = self.random.random(), self.longest - self.shortest
        self.twin = self.single and part < TWINS
        if self.twin:
            self.single = False
            return TWIN_SECONDS[0] + part / TWINS * (TWIN_SECONDS[1] - TWIN_SECONDS[0])
        if self.single:
            part = (part - TWINS) / (1 - TWINS)
        self.single = True
        if abs(self.rate * span) < 1e-6:
            return self.shortest + part * span
        return self.shortest - np.log1p(part * np.expm1(-self.rate * span)) / self.rate


def blink_times(
    seconds: float, per_minute: float, pause: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Start times of the blinks that fit into `seconds`; `pause` [seconds*CLOCK] is 1 where nobody speaks.
    See Blinks."""
    times = Blinks(per_minute, random).go_on(pause)
    return times[times + BLINK_SECONDS[-1] < seconds]


def blink_track(times: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Closure 0..1 at times `at` (seconds) of blinks that start at `times`."""
    if len(times) == 0:
        return np.zeros(len(at))
    latest = np.clip(np.searchsorted(times, at, side="right") - 1, 0, None)
    return np.interp(at - times[latest], BLINK_SECONDS, BLINK_SHAPE, left=0.0, right=0.0)
