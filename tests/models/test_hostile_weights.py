"""Weights whose names and sizes are another network's, or none's: a sentence, before any memory is taken."""

import pytest
import torch
from safetensors.torch import save_file
from talking_portrait.models.joyvasa.checkpoint import joyvasa_state
from talking_portrait.models.joyvasa.network import build_joyvasa
from talking_portrait.models.speech.hubert import layer_total
from talking_portrait.nodes.catalogue.loading import converted, load_shared
from talking_portrait.tools.random_joyvasa import SMALL, model_state

NODE = "Load Motion Engine"
STATE = {key: value.clone() for key, value in model_state(SMALL).items()}
CHANGES = {
    "missing": lambda value: None,
    "no numbers": lambda value: value.new_zeros(0, *value.shape[1:]),
    "flat": lambda value: value.flatten()[:1],
    "no size": lambda value: value.new_zeros(()),
    "one more": lambda value: torch.cat([value, value[:1]]),
    "wide": lambda value: value.new_zeros(1).expand(1, 60_000).clone(),
    "long": lambda value: value.new_zeros(1).expand(60_000, 1).clone(),
}


TELLING = [  # sizes are read from these
    "denoising_net.motion_dec.0.weight",
    "denoising_net.PE.pe",
    "start_motion_feat",
    "null_audio_feat",
    "audio_feature_map.weight",
    "diffusion_sched.betas",
    "denoising_net.transformer.layers.0.linear1.weight",
    "denoising_net.feature_proj.weight",
    "audio_encoder.feature_extractor.conv_layers.0.conv.weight",
    "audio_encoder.feature_extractor.conv_layers.3.conv.weight",
    "audio_encoder.encoder.layers.0.feed_forward.intermediate_dense.weight",
    "audio_encoder.encoder.pos_conv_embed.conv.weight_v",
]


def load(path, state):
    """What loading a state dict as JoyVASA's says, and the devices that the network was built on."""
    devices = []

    def build(*given, device=None, **options):
        devices.append(str(device))
        return build_joyvasa(*given, device=device, **options)

    save_file({key: value.contiguous() for key, value in state.items() if value is not None}, path)
    try:
        load_shared("joyvasa", path, torch.float32, build, NODE, joyvasa_state)
    except ValueError as error:
        return str(error), devices
    return "", devices


def test_the_right_weights_are_read(tmp_path):
    assert load(tmp_path / "good.safetensors", STATE) == ("", ["meta", "cpu"])
    whole = {
        key: value.to(torch.int8) if key == "audio_feature_map.bias" else value
        for key, value in STATE.items()
    }
    assert load(tmp_path / "whole.safetensors", whole)[0] == "", "numbers of another kind are numbers"


@pytest.mark.parametrize("key", TELLING)
def test_one_tensor_of_another_size_is_a_sentence(tmp_path, key):
    assert key in STATE
    for number, change in enumerate(CHANGES):
        path = tmp_path / f"{number}.safetensors"
        text, devices = load(path, {**STATE, key: CHANGES[change](STATE[key])})
        if not text and change in ("missing", "one more", "no numbers"):
            continue  # tables that follow from others may be absent, or of any length
        assert text.startswith(f"{NODE}: ") and path.name in text and len(text) < 600, (change, text)
        assert not any(
            word in text for word in ("Error", "object", "unpack", "index", "NoneType", "<class")
        ), (change, text)
        assert "cpu" not in devices, f"{change}: memory was taken before the sizes were compared"


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (["l.999999999.a"], "l.0"),
        (["l.0.a", "l.2.a"], "l.1"),
        ([], "l.0"),
        (["l.x.a"], "l.0"),
        (["l.-1.a"], "l.0"),
        (["l.00.a"], "l.0"),
        (["l." + "9" * 5000 + ".a"], "l.0"),
        (["l.\u0660.a"], "l.0"),
    ],
)
def test_layers_are_counted_not_believed(names, first):
    with pytest.raises(KeyError, match=f"'{first}'"):
        layer_total(dict.fromkeys(names), "l.")
    assert layer_total({"l.0.a": 1, "l.1.a": 1, "l.1.b": 1}, "l.") == 2


@pytest.mark.parametrize(
    "content",
    [
        {"model": 3},
        {"model": torch.ones(2)},
        {"a": {"b": torch.ones(1)}},
        {"generator": [1]},
        {"x": None},
        {},
    ],
)
def test_a_converter_never_fails_in_its_own_words(tmp_path, content):
    def careless(given):
        return {key: value["a"][0].removeprefix("x") for key, value in given["model"].items()}

    with pytest.raises(
        ValueError,
        match=r"cannot be used: its parts have not the names and sizes of this network's\. Put the right",
    ):
        converted(content, careless, tmp_path / "x.pth", NODE)
    with pytest.raises(ValueError, match="a in it is no tensor"):
        converted({"a": 5}, None, tmp_path / "x.pth", NODE)
