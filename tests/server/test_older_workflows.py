"""What was saved before the loaders' menus had options of their own still loads and still means the same:
files and prompts."""

import json
from pathlib import Path

import pytest

from .prompts import failure, talking_prompt, video_facts, write_wav
from .test_takin import RATE, voice

ROOT = Path(__file__).resolve().parent.parent.parent
SAVED = json.loads((ROOT / "tests" / "data" / "older_workflow.json").read_text())
LISTED = {
    "steps": 0, "guidance": 2, "head_smoothing": 0, "official_timing": False, "emotion": "neutral",
    "emotion_intensity": 1,
    "emotion_mix": "", "takin_file": "shipped (tiny)", "speech_encoder": "built-in", "audio_guidance": 1.5,
    "emotion_guidance": 1,
}  # fmt: skip
MEANT = {
    "1": {**LISTED, "engine": "built-in"}, "2": {**LISTED, "engine": "KDTalker"},
    "3": {**LISTED, "engine": "JoyVASA"},
    "4": {**LISTED, "engine": "Takin-ADA"}, "5": {**LISTED, "engine": "KDTalker", "steps": 10},
    "6": {"renderer": "built-in warp", "renderer.style": "auto"},  # which was not there then
    "7": {"renderer": "LivePortrait", "renderer.precision": "auto", "renderer.framing": "LivePortrait"},
    "8": {
        **LISTED, "engine": "Takin-ADA", "steps": 6, "emotion": "fear", "emotion_intensity": 0.7,
        "audio_guidance": 2.5,
        "emotion_guidance": 1.5, "head": ["10", 0],
    },
    "9": {"renderer": "LivePortrait", "renderer.precision": "bf16", "renderer.framing": "KDTalker"},
}  # fmt: skip


PUBLISHED = {
    "appearance": "appearance_feature_extractor.safetensors", "motion": "motion_extractor.safetensors",
    "warping": "warping_module.safetensors", "generator": "spade_generator.safetensors",
    "stitching": "stitching_retargeting_module.safetensors",
}  # fmt: skip


def loaders(prompt: dict) -> dict:
    return {key: node["inputs"] for key, node in prompt.items() if key in MEANT}


def test_saved_files_mean_the_same_without_a_page(server):
    assert loaders(server.to_prompt(SAVED)) == MEANT


@pytest.mark.slow
def test_saved_files_mean_the_same_in_the_page(server, page):
    drawn = page.evaluate(
        "async (g) => { await app.loadGraphData(g); return (await app.graphToPrompt()).output }", SAVED
    )
    found = loaders(drawn)
    for key in ("7", "9"):  # menus that were not there then start with the published files
        files = {name: found[key].pop(name) for name in list(found[key]) if name.endswith("_file")}
        assert files == {f"renderer.{part}_file": name for part, name in PUBLISHED.items()}
    assert found == MEANT


@pytest.fixture
def prompt(server, tmp_path):
    """A film of a fifth of a second, from a picture and a voice, with the loaders' inputs as prompts of then
    had them."""
    image = server.add_input(ROOT / "samples" / "talking_portrait_astronaut.png")
    audio = server.add_input(write_wav(tmp_path / "voice.wav", voice(0.2), RATE))

    def with_loaders(renderer: dict, **engine) -> dict:
        graph = talking_prompt(image, audio)
        graph["engine"] = {
            "class_type": "TalkingPortraitLoadMotionEngine",
            "inputs": {**LISTED, "engine": "built-in", **engine},
        }
        graph["renderer"]["inputs"] = {"renderer": "built-in warp", **renderer}
        return graph

    return with_loaders


@pytest.mark.slow
def test_prompts_of_then_make_a_film(server, prompt):
    graph = prompt(
        {"precision": "auto", "framing": "LivePortrait"}, engine="Takin-ADA", steps=2, emotion="fear"
    )
    (video,) = server.output_files(server.run(graph))
    assert video_facts(video)["frames"].shape == (5, 512, 512, 3)


@pytest.mark.parametrize(("renderer", "engine", "reason"), [
    ({"precision": "bf16"}, {}, "precision is set, but built-in warp does not read it"),
    ({"renderer.framing": "KDTalker"}, {},
    "framing is set, but built-in warp does not read it: it reads style"),
    ({"renderer": "LivePortrait", "renderer.precison": "bf16"}, {},
    "precison is set, but LivePortrait does not read it: it reads"),
    ({"renderer": "gone"}, {}, "renderer is 'gone', which is not in its menu; choose one of: built-in warp, "
    "LivePortrait"),
    ({"precison": "auto"}, {}, "there is no input called precison"),
    ({}, {"emotion": "sad"}, "emotion is sad, but built-in does not read it"),
])  # fmt: skip
def test_what_would_be_ignored_is_refused(server, prompt, renderer, engine, reason):
    assert reason in failure(server, prompt(renderer, **engine))
