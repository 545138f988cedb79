"""The face that Takin-ADA's tiny network learns from: speech with known phone times -> motion in
LivePortrait's keypoints.

Phones give the mouth by coarticulation (training/speech_net/labels.py), loudness its opening, nods and brows;
blinks, gaze and head are drawn at random. All values are changes from a neutral face, so nothing in them
belongs to any person.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch

from ...models.builtin.mouth import at_frames, mouth_controls, mouth_frames
from ...models.face_motion import CONTROLS, controls_to_expression
from ...models.face_motion.blinks import blink_times, blink_track
from ...models.face_motion.procedural import head_and_brows, noise
from ...models.speech.features import HOP, log_mel_block
from ...models.speech.silence import silence_gate
from ...models.speech.visemes import VISEMES
from ...models.takin.config import ANGLES, EXPRESSION, FPS, MOTION, SCALE, TRANSLATION
from ..speech_net.labels import label_tracks

ANTICIPATION_SECONDS = 0.02
SILENCE_DB = -38.0
BLINKS_PER_MINUTE = 22.0
GAZE, SCALING = 0.2, 0.012  # deviation of the gaze control, and of the head's size


@dataclass(frozen=True)
class RuleMotion:
    """motion [N,70] of a neutral face in units, closure of its lids [N]."""

    motion: np.ndarray
    lids: np.ndarray


def frames_of(wave: np.ndarray) -> int:
    """Whole video frames of a 16 kHz wave."""
    return len(wave) * FPS // 16000


def rule_motion(
    wave: np.ndarray, parts: list[tuple[str, float, float]], random: np.random.Generator
) -> RuleMotion:
    """The motion that belongs to a clean 16 kHz wave with these segments (viseme, start, end; seconds)."""
    frames, fps = frames_of(wave), Fraction(FPS)
    ticks = -(-len(wave) // HOP)
    classes, articulation = label_tracks(parts, ticks)
    _, loudness = log_mel_block(wave.astype(np.float32), 0, ticks)
    gate, level = silence_gate(loudness, SILENCE_DB)
    mouth = mouth_controls(np.eye(len(VISEMES), dtype=np.float32)[classes], articulation, gate, level, 1.0)
    controls = mouth_frames(mouth, frames, fps, ANTICIPATION_SECONDS)
    pose, shift, brow = head_and_brows(level * gate, random)
    controls[:, CONTROLS.index("browInnerUp")] = at_frames(brow[:, None], frames, fps)[:, 0]
    for name in ("gazeX", "gazeY"):
        controls[:, CONTROLS.index(name)] = (
            GAZE * at_frames(noise(ticks, 0.5, random)[:, None], frames, fps)[:, 0]
        )
    blinks = blink_times(len(wave) / 16000, BLINKS_PER_MINUTE, 1 - gate, random)
    lids = blink_track(blinks, (np.arange(frames) + 0.5) / FPS).astype(np.float32)
    controls[:, CONTROLS.index("eyeBlinkLeft")] = controls[:, CONTROLS.index("eyeBlinkRight")] = lids
    motion = np.zeros((frames, MOTION), np.float32)
    motion[:, :EXPRESSION] = controls_to_expression(torch.from_numpy(controls)).flatten(1).numpy()
    motion[:, SCALE] = 1 + SCALING * at_frames(noise(ticks, 0.15, random)[:, None], frames, fps)[:, 0]
    motion[:, TRANSLATION.start : TRANSLATION.start + 2] = at_frames(shift, frames, fps)
    motion[:, ANGLES] = at_frames(pose, frames, fps)
    return RuleMotion(motion, lids)
