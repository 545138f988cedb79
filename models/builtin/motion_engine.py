"""The built-in engine: the speech network moves the mouth, rules move the rest. Nothing to download."""

from collections.abc import Iterator
from dataclasses import fields, replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from ..engine import MotionSettings, Speech
from ..face_motion import CONTROLS, FaceMotion
from ..face_motion.blinks import blink_times, blink_track
from ..face_motion.time import slice_motion
from ..portrait import Portrait
from ..progress import Progress, silent
from ..speech.silence import DOUBT, silence_gate, within
from ..speech.viseme_hearing import Networks, hear_recording
from ..speech.visemes import SILENCE, articulation
from .live_voice import BLINKING, FPS, LiveVoice
from .mouth import at_frames, limit_speed, mouth_controls, mouth_frames
from .rest_of_face import rest_of_face
from .styles import HEAD_STYLES

PIECE = 50  # frames that are streamed at once


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

    def stream(
        self, speech: Speech, seed: int, settings: MotionSettings, progress: Progress = silent
    ) -> Iterator[FaceMotion]:
        """See StreamingEngine: it hears a minute in a second or two, so the whole is heard before the first frame."""
        motion = self.generate(speech, Fraction(FPS), seed, settings, progress)
        for start in range(0, len(motion), PIECE):
            part = slice_motion(motion, start, min(start + PIECE, len(motion)))
            blinks = [time for time in motion.source["blinks"] if start <= time * FPS < start + PIECE]
            yield replace(part, source={**motion.source, "blinks": blinks})

    def begin(self, seed: int, settings: MotionSettings) -> LiveVoice:
        """See StreamingEngine."""
        return LiveVoice(self, seed, settings)

    def facts(self, seed: int) -> dict[str, Any]:
        """What a motion says about where it comes from."""
        return {"producer": self.id, "style": self.style, "seed": seed, "licence": "Apache-2.0"}
