"""Takin-ADA in the real server: a film in a mood, short sound, wrong moods, and stop."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile
from talking_portrait.tools.comfy_server import PromptError

from .prompts import chosen, talking_prompt, video_facts, write_wav

# The engine is in the tests of the models, too.
pytestmark = pytest.mark.slow

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
        return talking_prompt(image, audio, engine=chosen("engine", "Takin-ADA", **{"steps": 2} | options))

    return prompt


def hears_all(prompt: dict) -> dict:
    """The same prompt with the built-in engine."""
    prompt["engine"]["inputs"] = {"engine": "built-in"}
    return prompt


def film(server, prompt) -> np.ndarray:
    return video_facts(server.output_files(server.run(prompt))[0])["frames"].astype(np.float32)


def test_a_film_in_a_mood(server, takin):
    plain, happy = film(server, takin(0.6)), film(server, takin(0.6, emotion="happy", emotion_intensity=1.0))
    assert plain.shape == happy.shape == (15, 512, 512, 3)
    assert np.abs(plain - happy)[5:, 150:330, 170:340].mean() > 1, "the mood is not to be seen"


def with_sampler(prompt: dict, **steps) -> dict:
    """The same prompt with a node Motion Sampler on the engine's socket."""
    inputs = {"sampler": "ddim", "sampler.eta": 1.0, "steps": 3, "window": 25}
    prompt["sampler"] = {"class_type": "TalkingPortraitMotionSampler", "inputs": inputs}
    prompt["engine"]["inputs"] = chosen("engine", "Takin-ADA", sampler=["sampler", 0], **steps)
    return prompt


def test_a_motion_sampler_on_the_socket_draws_the_film(server, takin):
    assert len(film(server, with_sampler(takin(0.6)))) == 15
    with pytest.raises(PromptError, match="steps is 2, but sampler is connected.*Set steps here back to 10"):
        server.run(with_sampler(takin(0.6), steps=2))


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
        if (
            kind == "progress"
            and data.get("node") == "motion"
            and data["value"] >= 0.15 * data["max"]
            and not pressed
        ):
            pressed["at"] = time.monotonic()
            threading.Thread(target=server.post, args=("/interrupt", {})).start()

    with pytest.raises(PromptError, match="interrupted"):
        server.run(prompt, watch)
    assert time.monotonic() - pressed["at"] < 5


def stream_prompt(prompt: dict, **inputs) -> dict:
    """The same film by one node that draws while it listens."""
    graph = {key: node for key, node in prompt.items() if key not in ("motion", "video")}
    graph["video"] = {
        "class_type": "TalkingPortraitStream",
        "inputs": {
            "portrait": ["portrait", 0], "motion_engine": ["engine", 0], "audio": ["audio", 0], "seed": 0,
            "mouth_amount": 1.0,
            "head_amount": 1.0, "blink_rate": 18.0, "crf": 16.0, **inputs,
        },
    }  # fmt: skip
    return graph


def test_a_stream_is_the_same_film_and_is_seen_before_all_was_heard(server, takin):
    prompt = takin(12.0)
    whole = film(server, prompt)
    seen = []

    def watch(kind, data):
        if kind == "preview":
            seen.append(seen_at[-1])
        elif kind == "progress" and data.get("node") == "video":
            seen_at.append(data["value"] / data["max"])

    seen_at = [0.0]
    (video,) = server.output_files(server.run(stream_prompt(prompt), watch))
    streamed = video_facts(video)["frames"].astype(np.float32)
    assert len(streamed) == len(whole) == 300
    assert np.abs(streamed - whole).mean() < 1.0
    assert seen and seen[0] < 0.2, "no preview came before a fifth of the film was drawn"


def test_the_built_in_engine_s_stream_says_what_the_film_of_the_whole_clip_says(server, takin, tmp_path):
    """With the head held still, which goes ways of its own since it knows less of the clip: the mouth is as dark at the
    same times."""
    prompt = hears_all(takin(2.0))
    _, said = wavfile.read(ROOT / "samples" / "talking_portrait_speech.wav")
    said = write_wav(tmp_path / "said.wav", said[: 2 * RATE] / 32768, RATE)
    prompt["audio"]["inputs"]["audio"] = server.add_input(said)
    prompt["motion"]["inputs"]["head_amount"] = 0.0
    (video,) = server.output_files(server.run(stream_prompt(prompt, head_amount=0.0)))
    streamed = video_facts(video)["frames"].astype(np.float32)
    whole = film(server, prompt)
    assert len(streamed) == len(whole) == 50
    streamed, whole = (frames[:, 275:315, 215:290].mean((1, 2, 3)) for frames in (streamed, whole))
    assert np.corrcoef(streamed, whole)[0, 1] > 0.98


def test_a_live_voice_goes_on_from_its_state(server, takin):
    prompt = takin(3.0)
    live = {
        "motion_engine": ["engine", 0],
        "seed": 1,
        "mouth_amount": 1.0,
        "head_amount": 1.0,
        "blink_rate": 18.0,
    }
    graph = {
        key: prompt[key]
        for key in ("engine", "audio", "image", "detector", "landmarks", "renderer", "portrait")
    }
    graph |= {
        "first": {"class_type": "TalkingPortraitGenerateMotionLive",
        "inputs": {**live, "audio": ["audio", 0], "last": False}},
        "second": {
            "class_type": "TalkingPortraitGenerateMotionLive",
            "inputs": {**live, "audio": ["audio", 0], "last": True, "state": ["first", 1]},
        },
    }  # fmt: skip
    counts = []
    for name in ("first", "second"):
        graph["video"] = {
            "class_type": "TalkingPortraitRenderVideo",
            "inputs": {"portrait": ["portrait", 0], "face_motion": [name, 0], "crf": 16.0},
        }
        graph["save"] = {
            "class_type": "SaveVideo",
            "inputs": {
                "video": ["video", 0],
                "filename_prefix": f"video/{name}",
                "format": "auto",
                "codec": "auto",
            },
        }
        counts.append(len(film(server, graph)))
    assert 0 < counts[0] < 75 and sum(counts) == 150
    graph["first"]["inputs"]["audio"] = ["short", 0]
    graph["short"] = {
        "class_type": "TrimAudioDuration",
        "inputs": {"audio": ["audio", 0], "start_index": 0.0, "duration": 0.5},
    }
    with pytest.raises(PromptError, match="audio is 0.50 s long, too short for a frame to be final"):
        server.run(graph)


def test_an_emotion_on_the_built_in_engine_s_motion(server, takin):
    graph = hears_all(takin(1.0))
    calm = film(server, graph)
    graph["emotion"] = {
        "class_type": "TalkingPortraitEmotion",
        "inputs": {
            "face_motion": ["motion", 0],
            "emotion": "surprise",
            "intensity": 1.0,
            "intensity_curve": "0:0, 0.9:1",
        },
    }
    graph["video"]["inputs"]["face_motion"] = ["emotion", 0]
    moved = film(server, graph)
    change = np.abs(moved - calm).mean((1, 2, 3))
    assert len(moved) == len(calm) and change[-1] > 5 * change[0] and change[-1] > 0.5
    graph["emotion"]["inputs"] |= {"emotion": "neutral", "mix": "glad 1"}
    with pytest.raises(PromptError, match="there is no emotion 'glad'"):
        server.run(graph)
