"""The header of a Takin-ADA file is bounded before a network is built from it."""

import json

import pytest
from safetensors import safe_open
from talking_portrait.models.takin.config import read_config

from .hostile.headers import NUMBERS
from .test_takin_engine import WEIGHTS


@pytest.fixture(scope="module")
def shipped():
    """Tensors and words of the file that ships with the pack."""
    with safe_open(WEIGHTS, "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, json.loads(file.metadata()["takin"])


@pytest.mark.parametrize("name", ["previous", "exemplar_frames", "diffusion_steps", "width", "prediction"])
def test_words_that_no_network_has_are_refused(shipped, name):
    state, words = shipped
    for value in (*NUMBERS, "0", "-1", "1000000", "2.5"):
        header = json.dumps({**words, name: "HERE"}).replace('"HERE"', value)
        with pytest.raises(ValueError, match="Takin-ADA") as caught:
            read_config(state, {"takin": header})
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("header", ["", "[]", "5", "{}", "[" * 100_000, '{"encoder": 1}'])
def test_headers_that_are_none_are_refused(shipped, header):
    with pytest.raises(ValueError, match="no Takin-ADA network of this pack"):
        read_config(shipped[0], {"takin": header})


def test_tensors_of_other_shapes_are_refused(shipped):
    state, words = shipped
    for name in ("layer_logits", "motion_blocks.0.enter.up.weight", "motion_blocks.0.attention.content_bias"):
        for value in (state[name].new_zeros(()), state[name].new_zeros(0, 0), state[name].new_zeros(3, 3, 3)):
            with pytest.raises(ValueError, match="Takin-ADA"):
                read_config({**state, name: value}, {"takin": json.dumps(words)})


def test_the_shipped_file_is_read(shipped):
    assert (
        read_config(shipped[0], {"takin": json.dumps(shipped[1])}).diffusion_steps
        == shipped[1]["diffusion_steps"]
    )
