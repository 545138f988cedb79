"""Load Motion Engine with a trained Takin-ADA network and the HuBERT that it was trained on, through
ComfyUI's own loading."""

from dataclasses import replace
from fractions import Fraction

import comfy.model_management
import folder_paths
import pytest
import torch
from safetensors.torch import save_file
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.speech.ear import NAME
from talking_portrait.models.speech.encoding import weights_name
from talking_portrait.models.speech.hubert_layers import hubert_name, hubert_state
from talking_portrait.models.takin.config import TINY
from talking_portrait.models.takin.ear_engine import EarTakinEngine
from talking_portrait.models.takin.network import TakinNet
from talking_portrait.models.weights.published import WEIGHTS, weight_path
from talking_portrait.nodes.catalogue.engines import load_engine
from talking_portrait.nodes.loaders import LoadMotionEngine
from transformers import HubertConfig, HubertModel


@pytest.fixture
def files(tmp_path):
    """models/takin/mine.safetensors for models/audio_encoders/hubert.safetensors, and another encoder beside it."""
    for folder in ("takin", "audio_encoders"):
        (tmp_path / folder).mkdir()
        folder_paths.add_model_folder_path(folder, str(tmp_path / folder))
        folder_paths.filename_list_cache.pop(folder, None)
    for seed, name in enumerate(("hubert", "other")):
        torch.manual_seed(seed)
        config = HubertConfig(
            hidden_size=64, num_hidden_layers=2, num_attention_heads=1, intermediate_size=32,
            conv_dim=(16,) * 7, conv_bias=True,
            feat_extract_norm="layer", do_stable_layer_norm=True, num_conv_pos_embeddings=8,
            num_conv_pos_embedding_groups=4,
        )  # fmt: skip
        state = HubertModel(config).state_dict()
        save_file(state, tmp_path / "audio_encoders" / f"{name}.safetensors")
        if name == "hubert":
            own = replace(TINY, encoder=hubert_name(hubert_state(state)), encoder_layers=3, encoder_width=64,
                width=16, heads=2,
                          speech_layers=1, motion_layers=1)  # fmt: skip
    save_file(TakinNet(own).state_dict(), tmp_path / "takin" / "mine.safetensors", own.header())
    yield tmp_path
    for folder in ("takin", "audio_encoders"):
        folder_paths.folder_names_and_paths[folder][0].remove(str(tmp_path / folder))
        folder_paths.filename_list_cache.pop(folder, None)


def options(**chosen) -> dict:
    return {"takin_file": "mine.safetensors", "speech_encoder": "hubert.safetensors", "steps": 2} | chosen


def test_a_trained_network_and_its_hubert_make_motion_and_can_be_unloaded(files):
    speech = Speech(0.1 * torch.randn(1, 16000), 16000)
    with torch.inference_mode():
        engine = load_engine("Takin-ADA", options())
        for _ in range(2):
            motion = engine.generate(speech, Fraction(25), 1, MotionSettings(), lambda done, total: None)
            assert len(motion) == 25 and torch.isfinite(motion.expression).all()
            assert motion.source["licence"] == "that of mine.safetensors"
            comfy.model_management.unload_all_models()


def test_a_network_trained_on_the_ear_finds_it_among_the_built_in_encoders(files):
    name = weights_name(NAME, weight_path(WEIGHTS["whisper_tiny_en"]))
    own = replace(
        TINY,
        encoder=name, encoder_layers=5, encoder_width=384, width=16, heads=2, speech_layers=1, motion_layers=1,
        standardised=True,
    )  # fmt: skip
    save_file(TakinNet(own).state_dict(), files / "takin" / "mine.safetensors", own.header())
    with torch.inference_mode():
        engine = load_engine("Takin-ADA", options(speech_encoder="built-in", steps=1))
        speech = Speech(0.1 * torch.randn(1, 16000), 16000)
        motion = engine.generate(speech, Fraction(25), 1, MotionSettings(), lambda done, total: None)
    assert isinstance(engine, EarTakinEngine) and engine.encoder == name
    assert len(motion) == 25 and torch.isfinite(motion.expression).all()


@pytest.mark.parametrize(("chosen", "reason"), [
    ({"speech_encoder": "other.safetensors"}, "trained on the speech encoder hubert-2x64-.* the chosen one "
    "is hubert-2x64-"),
    ({"speech_encoder": "built-in"}, "mine.safetensors was trained on the speech encoder hubert-2x64-.* the "
    "chosen one is builtin-"),
    ({"takin_file": "shipped (tiny)"}, "trained on the speech encoder whisper-tiny-en-"),
    ({"takin_file": "gone.safetensors"},
    "takin_file is gone.safetensors, which is not in ComfyUI/models/takin/"),
    ({"takin_file": "hubert.safetensors"}, "takin_file is hubert.safetensors, which is not"),
    ({"speech_encoder": "text.safetensors"}, "text.safetensors cannot be used: it is no HuBERT"),
])  # fmt: skip
def test_what_does_not_belong_together_is_refused(files, chosen, reason):
    save_file({"x": torch.zeros(1)}, files / "audio_encoders" / "text.safetensors")
    with pytest.raises(ValueError, match=reason):
        load_engine("Takin-ADA", options(**chosen))


def test_the_menus_list_the_files_and_a_changed_file_is_read_again(files):
    (menu,) = LoadMotionEngine.define_schema().inputs
    inputs = {entry.id: entry for option in menu.options for entry in option.inputs}
    assert (
        "mine.safetensors" in inputs["takin_file"].options
        and "hubert.safetensors" in inputs["speech_encoder"].options
    )
    given = {"engine": "Takin-ADA", "takin_file": "mine.safetensors", "speech_encoder": "hubert.safetensors"}
    before = LoadMotionEngine.fingerprint_inputs(engine=given)
    (files / "takin" / "mine.safetensors").touch()
    for chosen in (files / "takin" / "mine.safetensors", files / "audio_encoders" / "hubert.safetensors"):
        assert str(chosen) in [path for path, _ in before]
    assert LoadMotionEngine.fingerprint_inputs(engine=given) != before
