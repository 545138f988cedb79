"""One voice and its face: one thread hears, another draws, and no frame comes late: it is dropped instead."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ...models.contracts import SpokenMotion
from ...models.engine import Speech
from ...models.face_motion import FaceMotion
from ...models.face_motion.time import slice_motion
from ...models.generation import given_motion
from .clock import SoundClock
from .report import Report

RATE = 16000
LEAST_WAITING = 0.25  # seconds of sound that may wait to be heard in any case
AT_ONCE = 3  # frames: together they take three fifths of the time that they take one by one
Draw = Callable[[FaceMotion], list[bytes]]  # a motion -> its pictures as they are sent


@dataclass(frozen=True)
class Frame:
    """A picture. number: of the stream's frames. spoken, due: when its sound began, and when it is to be shown."""

    number: int
    spoken: float
    due: float
    picture: bytes


class LiveFace:
    """Give it sound, get frames; use it as a context manager.

    voice: of an engine with frames at `engine.native_fps` or 25 a second. delay: seconds from a sound to its frame, for
    all frames alike. show: called with each frame, in time, from a thread of its own. It says in `report` what it did.
    """

    def __init__(
        self, engine, voice: SpokenMotion, draw: Draw, delay: float, show: Callable[[Frame], object], fps,
        now: Callable[[], float] = time.monotonic,
    ):  # fmt: skip
        self.engine, self.voice, self.draw, self.delay, self.show = engine, voice, draw, delay, show
        self.fps, self.now = fps, now
        self.clock, self.report, self.fault = SoundClock(RATE), Report(), ""
        self.sounds: queue.SimpleQueue[tuple[np.ndarray, float] | None] = queue.SimpleQueue()
        self.motions: queue.SimpleQueue[tuple[FaceMotion, int] | None] = queue.SimpleQueue()
        # of sound: what waits longer would leave no time for drawing
        self.most_waiting = max(LEAST_WAITING, (delay - voice.latency) / 2)
        self.drawing = 0.0  # seconds that a frame took lately
        self.threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True)
            for work in (self._hear, self._draw)
        ]

    def __enter__(self) -> "LiveFace":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.sounds.put(None)
        self.motions.put(None)
        for thread in self.threads:
            thread.join()

    def hear(self, wave: np.ndarray) -> None:
        """The next sound, mono float32 at 16 kHz, as it arrives. Returns at once; RuntimeError once a thread failed."""
        if self.fault:
            raise RuntimeError(self.fault)
        self.sounds.put((wave, self.now()))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            with torch.inference_mode():
                work()
        except Exception as error:  # where a thread ends: whoever gives sound next is told
            self.fault = f"{type(error).__name__}: {error}"

    def _hear(self) -> None:
        """Push what came to the voice; hand its frames on."""
        number = 0
        while (first := self.sounds.get()) is not None:
            came = [first]
            while not self.sounds.empty():
                if (more := self.sounds.get()) is None:
                    return
                came.append(more)
            wave = self._in_time(came)
            motion = self.voice.push(Speech(torch.from_numpy(wave)[None], RATE))
            if motion is not None:
                motion = given_motion(self.engine, motion, self.fps)
                self.motions.put((motion, number))
                number += len(motion)

    def _in_time(self, came: list[tuple[np.ndarray, float]]) -> np.ndarray:
        """The sound to hear now: all that came, or the end of it where too much waits. The clock skips with it."""
        waiting = sum(len(wave) for wave, _ in came) / RATE
        if waiting > self.most_waiting:
            while waiting > self.most_waiting / 2 and len(came) > 1:
                waiting -= len(came[0][0]) / RATE
                self.report.skipped_seconds += len(came[0][0]) / RATE
                came = came[1:]
        for wave, arrived in came:
            self.clock.heard(len(wave), arrived)
        return np.concatenate([wave for wave, _ in came])

    def _draw(self) -> None:
        """Draw the frames that can still be in time, and hand each on before it is due."""
        while (given := self.motions.get()) is not None:
            motion, first = given
            place = 0
            while place < len(motion):
                stop = min(place + AT_ONCE, len(motion))
                if self.now() + self.drawing * (stop - place) > self._due(first + place):
                    self.report.dropped += 1
                    self.drawing *= 0.9  # or one slow frame would have all later ones dropped
                    place += 1
                    continue
                self._frames(slice_motion(motion, place, stop), first + place)
                place = stop

    def _due(self, number: int) -> float:
        return self.clock.spoken(float(number / self.fps)) + self.delay

    def _frames(self, motion: FaceMotion, first: int) -> None:
        """Draw all of a motion; drop what became late meanwhile."""
        started = self.now()
        pictures = self.draw(motion)
        ended = self.now()
        self.drawing = 0.7 * self.drawing + 0.3 * (ended - started) / len(motion)
        for number, picture in enumerate(pictures, first):
            due = self._due(number)
            if ended > due:
                self.report.dropped += 1
            else:
                self.show(Frame(number, due - self.delay, due, picture))
