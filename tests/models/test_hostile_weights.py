"""Weights whose names and sizes are another network's, or none's: a sentence, before any memory is taken."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from talking_portrait.models.joyvasa.checkpoint import joyvasa_state
from talking_portrait.models.joyvasa.network import build_joyvasa
from talking_portrait.models.liveportrait.checkpoint import FILES
from talking_portrait.models.speech.hubert import layer_total
from talking_portrait.nodes.catalogue.loading import converted, load_shared
from talking_portrait.tools.random_joyvasa import SMALL, model_state
from talking_portrait.tools.random_weights import liveportrait_states

NODE = "Load Motion Engine"
CHANGES = {
    "missing": lambda value: None,
    "no numbers": lambda value: value.new_zeros(0, *value.shape[1:]),
    "flat": lambda value: value.flatten()[:1],
    "no size": lambda value: value.new_zeros(()),
    "one more": lambda value: torch.cat([value, value[:1]]),
    "wide": lambda value: value.new_zeros(1).expand(1, 60_000).clone(),
    "long": lambda value: value.new_zeros(1).expand(60_000, 1).clone(),
}

JOYVASA_TELLING = [  # sizes are read from these
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
HOURGLASS = "dense_motion_network.hourglass"
LIVEPORTRAIT_TELLING = {
    "appearance": ["first.conv.bias", "down_blocks.0.conv.bias", "down_blocks.1.conv.bias",
        "resblocks_3d.3dr0.conv1.bias", "second.bias"],
    "motion": ["detector.downsample_layers.0.0.weight", "detector.downsample_layers.3.1.weight"],
    "warping": ["dense_motion_network.compress.weight", "third.conv.weight",
        f"{HOURGLASS}.encoder.down_blocks.0.conv.bias", f"{HOURGLASS}.encoder.down_blocks.4.conv.bias",
        f"{HOURGLASS}.decoder.up_blocks.0.conv.bias", f"{HOURGLASS}.decoder.up_blocks.4.conv.bias"],
    "generator": ["fc.weight", "G_middle_0.norm_0.mlp_shared.0.bias", "up_0.conv_1.bias", "up_1.conv_1.bias"],
}  # fmt: skip


@dataclass(frozen=True)
class Network:
    """Right weights of one, what builds and converts it, and the tensors that its sizes are read from."""

    state: dict
    build: Any
    convert: Any
    telling: list


SMALL_FACES = liveportrait_states(small=True)
NETWORKS = {
    "JoyVASA": Network(
        {key: value.clone() for key, value in model_state(SMALL).items()},
        build_joyvasa,
        joyvasa_state,
        JOYVASA_TELLING,
    ),
    **{
        f"LivePortrait's {part}": Network(
            SMALL_FACES[FILES[part].safetensors], FILES[part].build, FILES[part].convert, telling
        )
        for part, telling in LIVEPORTRAIT_TELLING.items()
    },
}


def load(path, state, network=NETWORKS["JoyVASA"]):
    """What loading a state dict as this network's says, and the devices that it was built on."""
    devices = []

    def build(*given, device=None, **options):
        devices.append(str(device))
        return network.build(*given, device=device, **options)

    save_file({key: value.contiguous() for key, value in state.items() if value is not None}, path)
    try:
        load_shared("network", path, torch.float32, build, NODE, network.convert)
    except ValueError as error:
        return str(error), devices
    return "", devices


@pytest.mark.parametrize("name", NETWORKS)
def test_the_right_weights_are_read(tmp_path, name):
    network = NETWORKS[name]
    assert load(tmp_path / "good.safetensors", network.state, network) == ("", ["meta", "cpu"])


def test_whole_numbers_are_numbers(tmp_path):
    whole = {
        key: value.to(torch.int8) if key == "audio_feature_map.bias" else value
        for key, value in NETWORKS["JoyVASA"].state.items()
    }
    assert load(tmp_path / "whole.safetensors", whole)[0] == ""


@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name, network in NETWORKS.items() for key in network.telling]
)
def test_one_tensor_of_another_size_is_a_sentence(tmp_path, name, key):
    network = NETWORKS[name]
    assert key in network.state
    for number, change in enumerate(CHANGES):
        path = tmp_path / f"{number}.safetensors"
        text, devices = load(path, {**network.state, key: CHANGES[change](network.state[key])}, network)
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
