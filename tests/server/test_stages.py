"""Stages swapped in the real server: a film through core's own Encode Audio, and through another keypoint extractor."""

from pathlib import Path

import numpy as np
import pytest

from .prompts import chosen, failure, talking_prompt, video_facts, write_wav
from .test_takin import RATE, voice

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def prompt(server, tmp_path_factory):
    """A film of Takin-ADA of 0.4 s, with changes by node."""
    image = server.add_input(ROOT / "samples" / "talking_portrait_astronaut.png")
    file = write_wav(tmp_path_factory.mktemp("stages") / "stages_voice.wav", voice(0.4), RATE)
    audio = server.add_input(file)

    def changed(more: dict | None = None, **changes) -> dict:
        engine = chosen("engine", "Takin-ADA", steps=2)
        graph = talking_prompt(image, audio, engine=engine)
        for title, inputs in changes.items():
            graph[title]["inputs"].update(inputs)
        return graph | (more or {})

    return changed


def encoded_by(node: str, encoder: str) -> dict:
    """A speech encoder and what it says of the audio."""
    return {
        "encoder": {"class_type": "TalkingPortraitSpeechEncoder", "inputs": {"speech_encoder": encoder}},
        "encoded": {"class_type": node, "inputs": {"audio_encoder": ["encoder", 0], "audio": ["audio", 0]}},
    }


@pytest.mark.parametrize("node", ["AudioEncoderEncode", "TalkingPortraitEncodeSpeech"])
def test_core_s_encode_audio_and_ours_give_the_film_of_the_engine_s_own_hearing(server, prompt, node):
    (alone,) = server.output_files(server.run(prompt()))
    through = prompt(
        encoded_by(node, "built-in"), motion={"audio_encoder_output": ["encoded", 0]},
        engine={"engine.audio_encoder": ["encoder", 0]},
    )  # fmt: skip
    (swapped,) = server.output_files(server.run(through))
    one, two = (video_facts(path)["frames"] for path in (alone, swapped))
    assert len(one) == 10 and np.array_equal(one, two)


def test_a_graph_of_which_a_part_lacks_files_is_refused_whole(server, prompt):
    """ComfyUI runs the part that is left and says nothing of the other; a terminal must not."""
    graph = prompt()
    graph["other"] = {
        "class_type": "TalkingPortraitSpeechEncoder",
        "inputs": {"speech_encoder": "HuBERT", "speech_encoder.file": "hubert-large-ll60k.safetensors"},
    }
    graph["heard"] = {
        "class_type": "TalkingPortraitEncodeSpeech", "inputs": {"audio_encoder": ["other", 0], "audio": ["audio", 0]},
    }  # fmt: skip
    graph["shown"] = {"class_type": "PreviewAny", "inputs": {"source": ["heard", 1]}}
    assert "hubert-large-ll60k.safetensors (~1260 MB" in failure(server, graph)


def test_a_wrong_type_on_a_loader_is_refused_by_name(server, prompt):
    graph = prompt(engine={"engine.audio_encoder": ["audio", 0]})
    assert "audio_encoder takes AUDIO_ENCODER, but AUDIO is connected to it" in failure(server, graph)


def test_files_that_are_missing_are_told_before_anything_runs(server, prompt):
    graph = prompt(encoded_by("TalkingPortraitEncodeSpeech", "Whisper-tiny"))
    graph["motion"]["inputs"]["audio_encoder_output"] = ["encoded", 0]
    path = server.models / "audio_encoders" / "whisper-tiny.safetensors"
    hidden = path.with_suffix(".hidden")
    if path.exists():
        path.rename(hidden)
    try:
        before = len(server.get("/history"))
        said = failure(server, graph)
        assert (
            "Load Speech Encoder: whisper-tiny.safetensors (151 MB" in said
            and "models/audio_encoders/" in said
        )
        assert len(server.get("/history")) == before, "it was refused, not run"
    finally:
        if hidden.exists():
            hidden.rename(path)
