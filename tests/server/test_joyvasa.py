"""JoyVASA in the real server, with small files of random numbers in the published form."""

from pathlib import Path

import numpy as np
import pytest
import torch
from talking_portrait.tools.convert_joyvasa import convert
from talking_portrait.tools.random_joyvasa import SMALL, write

from .prompts import chosen, failure, talking_prompt, video_facts, write_wav

# Its files are in the tests of the models, too.
pytestmark = pytest.mark.slow

FILES = ("motion_generator_hubert_chinese.pt", "motion_template.pkl")


@pytest.fixture
def joyvasa(server) -> Path:
    """Both files in the server's models folder, written anew for every test."""
    write(server.models, SMALL)
    yield server.models / "joyvasa"
    for path in (server.models / "joyvasa").iterdir():
        path.unlink()


@pytest.fixture(scope="module")
def voice(server, tmp_path_factory) -> str:
    wave = 0.2 * np.sin(np.arange(16000 * 6 // 25) / 10)
    return server.add_input(write_wav(tmp_path_factory.mktemp("voice") / "six_frames.wav", wave, 16000))


def prompt(voice: str, **engine) -> dict:
    return talking_prompt(
        "talking_portrait_astronaut.png", voice, engine=chosen("engine", "JoyVASA", **engine)
    )


def test_a_film_with_the_built_in_renderer(server, joyvasa, voice):
    (video,) = server.output_files(server.run(prompt(voice)))
    facts = video_facts(video)
    assert facts["frames"].shape == (6, 512, 512, 3) and facts["fps"] == 25
    assert facts["frames"][:, 200:350, 150:350].astype(np.float32).std(0).mean() > 0.2, (
        "the face does not move"
    )


def test_options_change_the_film(server, joyvasa, voice):
    films = [video_facts(server.output_files(server.run(prompt(voice,
        **options)))[0])["frames"].astype(np.float32)
             for options in ({}, {"steps": 2}, {"guidance": 4.0}, {"official_timing": True})]  # fmt: skip
    for film in films[1:]:
        assert np.abs(film - films[0]).mean() > 0.01


def test_converted_files_do_as_well(server, joyvasa, voice, tmp_path):
    convert(*(joyvasa / name for name in FILES), server.models)
    (whole,) = server.output_files(server.run(prompt(voice)))
    for name in FILES:
        (joyvasa / name).unlink()
    (converted,) = server.output_files(server.run(prompt(voice)))
    assert "loaded motion_generator_hubert_chinese.safetensors" in server.log()
    assert np.array_equal(video_facts(whole)["frames"], video_facts(converted)["frames"])


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(server, joyvasa, voice, name):
    (joyvasa / name).unlink()
    message = failure(server, prompt(voice))
    assert (
        name in message
        and "ComfyUI/models/joyvasa/" in message
        and "licence" in message
        and "https://" in message
    )


def test_a_wrong_file_is_named(server, joyvasa, voice):
    torch.save({"state_dict": {"other": torch.ones(2)}}, joyvasa / FILES[0])
    message = failure(server, prompt(voice))
    assert FILES[0] in message and "not JoyVASA's motion generator" in message


def test_too_many_steps_are_explained(server, joyvasa, voice):
    message = failure(server, prompt(voice, steps=30))
    assert "steps is 30" in message and "trained with 6" in message
