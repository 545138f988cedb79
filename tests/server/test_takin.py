"""Takin-ADA in the real server: a film in a mood, short sound, wrong moods, and stop."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from talking_portrait.tools.comfy_server import PromptError

from .prompts import talking_prompt, video_facts, write_wav

ROOT = Path(__file__).resolve().parent.parent.parent
RATE = 16000


def voice(seconds: float) -> np.ndarray:
    """A voice-like sound: a buzz whose loudness changes."""
    t = np.arange(int(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 20))
    return 0.2 * buzz / np.abs(buzz).max() * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))


@pytest.fixture
def takin(server, tmp_path):
    """takin(seconds, **options of the engine) -> prompt."""
    image = server.add_input(ROOT / "samples" / "talking_portrait_astronaut.png")

    def prompt(seconds: float, **options) -> dict:
        audio = server.add_input(write_wav(tmp_path / f"voice_{seconds:g}.wav", voice(seconds), RATE))
        return talking_prompt(image, audio, engine={"engine": "Takin-ADA", "steps": 2} | options)

    return prompt


def film(server, prompt) -> np.ndarray:
    return video_facts(server.output_files(server.run(prompt))[0])["frames"].astype(np.float32)


def test_a_film_in_a_mood(server, takin):
    plain, happy = film(server, takin(0.6)), film(server, takin(0.6, emotion="happy", emotion_intensity=1.0))
    assert plain.shape == happy.shape == (15, 512, 512, 3)
    assert np.abs(plain - happy)[5:, 150:330, 170:340].mean() > 1, "the mood is not to be seen"


def test_a_fifth_of_a_second_is_five_frames(server, takin):
    assert len(film(server, takin(0.2, emotion_mix="sad 1, angry 1"))) == 5


@pytest.mark.parametrize(("options", "reason"), [
    ({"emotion_mix": "furious 1"}, "emotion_mix has 'furious', which is unknown"),
    ({"emotion_mix": "happy 0"}, "emotion_mix sum to 0"),
])  # fmt: skip
def test_a_wrong_mood_is_named(server, takin, options, reason):
    with pytest.raises(PromptError, match=reason):
        server.run(takin(0.4, **options))


def test_it_stops_in_the_middle(server, takin):
    prompt, pressed = takin(300.0), {}

    def watch(kind, data):
        if kind == "progress" and data.get("node") == "motion" and data["value"] >= 0.15 * data["max"] and not pressed:
            pressed["at"] = time.monotonic()
            threading.Thread(target=server.post, args=("/interrupt", {})).start()

    with pytest.raises(PromptError, match="interrupted"):
        server.run(prompt, watch)
    assert time.monotonic() - pressed["at"] < 5
