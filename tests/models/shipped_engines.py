"""The two engines that ship with the pack, the voices to try them on, and sounds that are no voices."""

import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from talking_portrait.models.builtin.motion_engine import BuiltinMotionEngine
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.face_motion import CONTROLS, FaceMotion
from talking_portrait.models.speech.speech_net import build_speech_net
from talking_portrait.models.takin.engine import TakinEngine, TakinOptions
from talking_portrait.training.takin.shipped import engine_of, hears_by_ear, load

from .remembering import remembering_ear

ROOT = Path(__file__).resolve().parent.parent.parent
HEARING = ROOT / "models/builtin/weights/speech.safetensors"
TAKIN = ROOT / "models/takin/weights/takin_tiny.safetensors"
RATE, FPS = 16000, Fraction(25)
JAW, CLOSE = CONTROLS.index("jawOpen"), CONTROLS.index("mouthClose")


def shipped_hearing() -> torch.nn.Module:
    """The speech network that Takin-ADA hears with, in fp32."""
    state = {key: value.float() for key, value in load_file(HEARING).items()}
    network = build_speech_net(state, {}, device="cpu", dtype=torch.float32, operations=torch.nn)
    network.load_state_dict(state)
    return network.eval()


def shipped_builtin() -> BuiltinMotionEngine:
    """The built-in engine."""
    return BuiltinMotionEngine(remembering_ear)


def shipped_takin(**options) -> TakinEngine:
    """Takin-ADA with these TakinOptions, in two steps unless told."""
    network, _ = load(TAKIN)
    assert hears_by_ear(network)
    return engine_of(network, remembering_ear()[0], TakinOptions(**({"steps": 2} | options)))


def speech(sound: np.ndarray) -> Speech:
    """A mono clip at 16 kHz."""
    return Speech(torch.from_numpy(np.ascontiguousarray(sound, np.float32))[None], RATE)


def moved(engine, sound: np.ndarray, seed: int = 0, **settings) -> FaceMotion:
    """The motion of a clip at 25 frames per second."""
    return engine.generate(speech(sound), FPS, seed, MotionSettings(**settings), lambda done, total: None)


def jaw(engine, sound: np.ndarray) -> np.ndarray:
    """[N] how far the jaw is open."""
    return moved(engine, sound).controls[:, JAW].numpy()


def sample() -> np.ndarray:
    """The voice that ships with the pack."""
    with wave.open(str(ROOT / "samples/talking_portrait_speech.wav")) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768


def clips(voice: str = "") -> dict[str, dict[str, np.ndarray]]:
    """Test clips of voices that no network heard, with what the mouth should do; the wave is decoded from mu-law."""
    data, found = np.load(ROOT / "tests/data/speech_clips.npz"), {}
    for key in data.files:
        name, field = key.rsplit(".", 1)
        if name.startswith(voice):
            found.setdefault(name, {})[field] = data[key]
    for clip in found.values():
        x = clip["wave"] / 255 * 2 - 1
        clip["wave"] = (np.sign(x) * (256 ** np.abs(x) - 1) / 255).astype(np.float32)
    return found


def decibels(level: float) -> float:
    """The factor."""
    return 10 ** (level / 20)


def noise(seconds: float, level: float, tilt: float = 0.5, seed: int = 0) -> np.ndarray:
    """Steady noise at `level` dB of full scale; tilt 0 is white, 0.5 pink, 1 brown."""
    count, random = round(seconds * RATE), np.random.default_rng(seed)
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    spectrum = (random.normal(size=len(hertz)) + 1j * random.normal(size=len(hertz))) / np.maximum(
        hertz, 40
    ) ** tilt
    sound = np.fft.irfft(spectrum, count)
    return (sound / sound.std() * decibels(level)).astype(np.float32)


def chords_and_drums(seconds: float, level: float, seed: int = 0) -> np.ndarray:
    """Three-note chords with overtones over kicks and snares at 120 beats per minute."""
    random, beat = np.random.default_rng(seed), RATE // 2
    sound = np.zeros(round(seconds * RATE) + 2 * beat, np.float32)
    for start in range(0, len(sound) - 2 * beat, beat):
        time = np.arange(beat) / RATE
        root = 220 * 2 ** (random.integers(-5, 6) / 12)
        for tone in (root, 1.26 * root, 1.5 * root):
            overtones = sum(np.sin(2 * np.pi * k * tone * time) / k**1.3 for k in range(1, 8))
            sound[start : start + beat] += overtones * np.exp(-2 * time)
        kick = 2 * np.sin(2 * np.pi * (55 * time + 3 * (1 - np.exp(-30 * time)))) * np.exp(-15 * time)
        sound[start : start + beat] += kick
        sound[start + beat // 2 : start + beat // 2 + beat] += (
            0.7 * random.normal(size=beat) * np.exp(-25 * time)
        )
    sound = sound[: round(seconds * RATE)]
    return (sound / sound.std() * decibels(level)).astype(np.float32)
