"""JoyVASA's published files: names old and new, foreign objects, traps, other files, and their conversion."""

import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from talking_portrait.models.joyvasa.audio_encoder import NEW_NAMES
from talking_portrait.models.joyvasa.checkpoint import joyvasa_state
from talking_portrait.models.joyvasa.motion import read_template
from talking_portrait.models.joyvasa.network import build_joyvasa
from talking_portrait.models.weights.safe_files import load_tensors
from talking_portrait.tools.convert_joyvasa import convert
from talking_portrait.tools.random_joyvasa import SMALL, checkpoint, model_state, template, write

NODE = "Load Motion Engine"


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, SMALL)
    return tmp_path / "joyvasa"


def features(state):
    network = build_joyvasa(state, {})
    network.load_state_dict(state)
    with torch.inference_mode():
        return network.eval().encode(torch.sin(torch.arange(64_000) / 20)[None])


def test_the_published_file_is_read_without_running_its_arguments(folder):
    path = folder / "motion_generator_hubert_chinese.pt"
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    content = load_tensors(path)
    assert "Namespace" not in type(content["args"]).__name__
    assert features(joyvasa_state(content)).shape == (1, 100, 32)


def test_old_and_new_names_of_the_weight_norm_are_the_same():
    old = model_state(SMALL)
    assert set(NEW_NAMES) <= set(old)
    new = {NEW_NAMES.get(key, key): value for key, value in old.items()}
    spoiled = {**new, NEW_NAMES["audio_encoder.encoder.pos_conv_embed.conv.weight_g"]: torch.zeros(1, 1, 16)}
    assert torch.equal(features(joyvasa_state({"model": old})), features(joyvasa_state({"model": new})))
    assert not torch.allclose(features(joyvasa_state(spoiled)), features(joyvasa_state(new)))


def test_a_malicious_checkpoint_does_not_run(tmp_path):
    target = tmp_path / "made"
    torch.save({**checkpoint(SMALL), "args": Trap(target)}, tmp_path / "motion.pt")
    joyvasa_state(load_tensors(tmp_path / "motion.pt"))
    assert not target.exists()
    torch.load(tmp_path / "motion.pt", weights_only=False)
    assert target.exists(), "the trap does not work, so this test proves nothing"


def test_a_malicious_template_is_refused(tmp_path):
    path, target = tmp_path / "motion_template.pkl", tmp_path / "made"
    path.write_bytes(pickle.dumps({**template(), "more": Trap(target)}))
    with pytest.raises(ValueError, match="motion_template.pkl is not JoyVASA's motion template .*mkdir"):
        read_template(path, NODE)
    assert not target.exists()


@pytest.mark.parametrize(("remove", "reason"), [
    ("denoising_net.motion_dec.0.weight", "not JoyVASA's motion generator"),
    ("diffusion_sched.betas", "diffusion_sched.betas.* is not in it"),
    ("audio_encoder.", "audio_encoder.* is not in it"),
    ("denoising_net.transformer.", "transformer.layers.0.* is not in it"),
])  # fmt: skip
def test_what_a_file_lacks_is_named(remove, reason):
    state = {key: value for key, value in model_state(SMALL).items() if not key.startswith(remove)}
    with pytest.raises(ValueError, match=reason):
        joyvasa_state({"model": state})


@pytest.mark.parametrize("content", [{"model": 3}, {"other": torch.ones(1)}, {}])
def test_another_file_is_no_joyvasa(content):
    with pytest.raises(ValueError, match="not JoyVASA's motion generator"):
        joyvasa_state(content)


def test_other_position_tables_are_not_replaced_silently():
    state = model_state(SMALL)
    state["denoising_net.PE.pe"] = state["denoising_net.PE.pe"] + 0.1
    with pytest.raises(ValueError, match="denoising_net.PE.pe is no table of sinusoids"):
        joyvasa_state({"model": state})


def test_converted_files_give_the_same(folder, tmp_path):
    published = [folder / "motion_generator_hubert_chinese.pt", folder / "motion_template.pkl"]
    weights, values = convert(*published, tmp_path / "models")
    assert [weights.name, values.name] == [
        "motion_generator_hubert_chinese.safetensors",
        "motion_template.json",
    ]
    expected, found = joyvasa_state(load_tensors(published[0])), joyvasa_state(load_file(weights))
    assert expected.keys() == found.keys() and all(torch.equal(expected[key], found[key]) for key in expected)
    before, after = (read_template(path, NODE).values for path in (published[1], values))
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize(("spoil", "reason"), [
    ({"std_exp": None}, "'std_exp' is missing"),
    ({"mean_exp": np.zeros(5)}, "mean_exp must be 63 finite numbers"),
    ({"max_yaw": np.full(1, np.nan)}, "max_yaw must be 1 finite numbers"),
    ({"max_yaw": np.full(1, -99.0)}, "a limit is crossed"),
    ({"std_exp": np.full(63, -1.0)}, "a deviation is negative"),
    ({"min_t": "text"}, "is not JoyVASA's motion template"),
], ids=["missing", "size", "nan", "limits", "deviation", "text"])  # fmt: skip
def test_damaged_templates_are_explained(tmp_path, spoil, reason):
    values = {key: value for key, value in {**template(), **spoil}.items() if value is not None}
    path = tmp_path / "motion_template.pkl"
    path.write_bytes(pickle.dumps(values))
    with pytest.raises(ValueError, match=f"{NODE}: .*motion_template.pkl.*{reason}"):
        read_template(path, NODE)


@pytest.mark.parametrize("name", ["motion_template.pkl", "motion_template.json"])
@pytest.mark.parametrize(
    "content", [b"", b"404: Not Found", b"[1, 2]", pickle.dumps([1, 2]), b"\xff\xfe\x00"]
)
def test_another_file_is_no_template(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} is not JoyVASA's motion template"):
        read_template(tmp_path / name, NODE)
