"""What FantasyTalking's cross-attention asks of ComfyUI's attention, as core's own image-to-video layer asks it."""

import pytest
import torch
from talking_portrait.models.fantasytalking import attention as module
from talking_portrait.models.fantasytalking.attention import (
    OPTION,
    AudioContext,
    IdentityContext,
    with_audio,
)
from talking_portrait.models.fantasytalking.keys import KeptKeys, numbered, tables_of
from talking_portrait.tools.golden_cases.fantasytalking import TinyWan
from talking_portrait.tools.goldens import GoldenCase

from .fantasytalking_tiny import GOLDENS

LENGTHS = {"text": 101, "image": 257, "face": 131, "identity": 71}  # audio is heard in windows of less


@pytest.fixture(scope="module")
def tiny():
    with torch.inference_mode():
        return TinyWan(GoldenCase(GOLDENS / "ft_cfg.public.golden.json"))


@pytest.fixture
def asked(monkeypatch):
    """Of every attention: the number of its keys, and what was asked beside queries, keys and values."""
    calls: list[tuple[int, dict]] = []
    own = module.optimized_attention

    def recorded(q, k, v, heads, **named):
        calls.append(
            (k.shape[1], {key: value for key, value in named.items() if key != "transformer_options"})
        )
        named.pop("preferred_attention", None)  # newer cores take it off before their kernels
        return own(q, k, v, heads, **named)

    monkeypatch.setattr(module, "optimized_attention", recorded)
    return calls


def attend(tiny, layer):
    """One pass of a layer with text, image, face, identity and audio."""
    distinct, (numbers,) = numbered([tiny.tokens])
    keys = KeptKeys(tables_of(tiny.adapter.model.blocks, distinct, torch.device("cpu")))
    identity = IdentityContext(lambda block: (torch.randn(1, 71, 96), torch.randn(1, 71, 96)), 0.5)
    audio = AudioContext(numbers, keys, 1.0, True, (torch.randn(1, 131, 96), 0.5), identity)
    context = torch.randn(1, LENGTHS["image"] + LENGTHS["text"], 96)
    options = {OPTION: audio, "grid_sizes": (3, 4, 4)}
    with torch.inference_mode():
        return with_audio(layer, 1)(torch.randn(1, 48, 96), context, 257, transformer_options=options)


@pytest.fixture
def layer(tiny):
    return tiny.patcher.model.diffusion_model.blocks[1].cross_attn


def test_only_text_may_be_attended_to_in_low_precision(tiny, layer, asked):
    attend(tiny, layer)
    by_length = dict(asked)
    assert "low_precision_attention" not in by_length.pop(LENGTHS["text"])
    assert {LENGTHS[name] for name in ("image", "face", "identity")} <= set(by_length) and len(by_length) > 3
    assert all(named["low_precision_attention"] is False for named in by_length.values())


def test_an_older_core_is_asked_for_nothing_that_it_does_not_know(tiny, layer, asked):
    if hasattr(layer, "comfy_attention"):
        pytest.skip("this core's layers have a preference")
    attend(tiny, layer)
    assert not any("preferred_attention" in named for _, named in asked)


def test_a_layers_own_preference_goes_with_its_own_tokens(tiny, layer, asked, monkeypatch):
    """As in newer cores, where a file can name the attention of a layer; audio has layers of its own."""
    wanted = torch.nn.Module()
    monkeypatch.setattr(layer, "comfy_attention", wanted, raising=False)
    attend(tiny, layer)
    preferred = {keys: named.get("preferred_attention") for keys, named in asked}
    assert all(preferred.pop(length) is wanted for length in LENGTHS.values())
    assert preferred and not any(preferred.values())
