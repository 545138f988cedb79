"""The built-in engine: the speech network moves the mouth, rules move the rest. Nothing to download."""

from collections.abc import Iterator
from dataclasses import fields
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from ..engine import MotionSettings, Speech
from ..face_motion import CONTROLS, FaceMotion
from ..face_motion.blinks import blink_times, blink_track
from ..portrait import Portrait
from ..progress import Progress, silent
from ..speech.features import HOP, frame_total, resampled_blocks
from ..speech.silence import DOUBT, silence_gate, within
from ..speech.viseme_hearing import Networks, hear_recording
from ..speech.visemes import SILENCE, articulation
from .live_voice import BLINKING, FILM, FPS, LIVE, LiveVoice, Pace
from .mouth import at_frames, limit_speed, mouth_controls, mouth_frames
from .rest_of_face import rest_of_face
from .styles import HEAD_STYLES

PIECE = 200  # frames of 10 ms that are heard at once


class BuiltinMotionEngine:
    """Motion from speech without any download; `networks` gives Whisper's encoder and the viseme heads, ready to
    run on `device`."""

    id = "built-in"
    native_fps: Fraction | None = None
    reads = frozenset(field.name for field in fields(MotionSettings))

    def __init__(self, networks: Networks, device: torch.device | None = None, style: str = "natural"):
        self.networks, self.device, self.style = networks, device or torch.device("cpu"), style

    def generate(
        self, speech: Speech, fps: Fraction, seed: int, settings: MotionSettings, progress: Progress,
        portrait: Portrait | None = None,
    ) -> FaceMotion:  # fmt: skip
        """See MotionEngine. All values are changes from the photo, whoever is on it."""
        frames = speech.checked(fps)
        visemes, loudness = hear_recording(
            self.networks(), speech.waveform.numpy(), speech.sample_rate, self.device, progress
        )
        spoken = within(1 - visemes[:, SILENCE], *DOUBT)
        gate, level = silence_gate(loudness, settings.silence_threshold, spoken)
        mouth = mouth_controls(visemes, articulation(visemes), gate, level, settings.mouth_amount)
        controls = mouth_frames(mouth, frames, fps, settings.lip_lead / 1000)
        limit_speed(controls, fps)
        blinks = blink_times(
            float(speech.seconds), settings.blink_rate, 1 - gate, np.random.default_rng([seed, BLINKING])
        )
        rest = rest_of_face(level, gate, blinks, HEAD_STYLES[self.style], settings, seed)
        for name, track in rest.controls.items():
            controls[:, CONTROLS.index(name)] += at_frames(track[:, None], frames, fps)[:, 0]
        shut = blink_track(blinks, (np.arange(frames) + 0.5) / float(fps))
        controls[:, CONTROLS.index("eyeBlinkLeft")] = shut
        controls[:, CONTROLS.index("eyeBlinkRight")] = shut * (1 - settings.blink_asymmetry)
        translation = np.zeros((frames, 3), np.float32)
        translation[:, :2] = at_frames(rest.shift, frames, fps)
        return FaceMotion.from_controls(
            torch.from_numpy(controls),
            torch.from_numpy(at_frames(rest.pose, frames, fps)).float(),
            torch.from_numpy(translation),
            torch.ones(frames),
            fps,
            source=self.facts(seed) | {"blinks": blinks.round(3).tolist()},
        )

    @property
    def look_ahead(self) -> float:
        """See StreamingEngine."""
        return FILM.look_ahead

    def stream(
        self, speech: Speech, seed: int, settings: MotionSettings, progress: Progress = silent
    ) -> Iterator[FaceMotion]:
        """See StreamingEngine. Nearly the motion of `generate`, which knows the whole clip; memory does not grow."""
        frames, done = speech.checked(Fraction(FPS)), 0
        voice = LiveVoice(self, seed, settings, FILM)
        count = frame_total(speech.waveform.shape[1], speech.sample_rate)
        for wave, first, n in resampled_blocks(speech.waveform.numpy(), speech.sample_rate):
            for start in range(first, first + n, PIECE):
                stop = min(start + PIECE, first + n)
                done += stop - start
                motion = voice.listen(wave[start * HOP : stop * HOP], frames if done == count else None)
                progress(done, count)
                if motion is not None:
                    yield motion

    def begin(self, seed: int, settings: MotionSettings, pace: Pace = LIVE) -> LiveVoice:
        """See StreamingEngine. pace: how much of what follows a frame waits for."""
        return LiveVoice(self, seed, settings, pace)

    def facts(self, seed: int) -> dict[str, Any]:
        """What a motion says about where it comes from."""
        return {"producer": self.id, "style": self.style, "seed": seed, "licence": "Apache-2.0"}
