"""FantasyTalking beside what saves memory: fp8 files of core's loaders, partial loading, keys and values
under core's manager."""

import gc
from types import SimpleNamespace

import comfy.model_management
import comfy.model_patcher
import comfy.ops
import comfy.samplers
import comfy.sd
import pytest
import torch
from comfy.ldm.wan.model import WanModel
from comfy.quant_ops import QuantizedTensor
from safetensors.torch import save_file
from talking_portrait.models.fantasytalking.guidance import audio_guidance, sigmas
from talking_portrait.models.fantasytalking.keys import KeptKeys, numbered
from talking_portrait.models.fantasytalking.network import FantasyTalking
from talking_portrait.models.fantasytalking.patch import KEY, patched, with_audio_condition, with_intensity
from talking_portrait.models.fantasytalking.windows import audio_windows
from talking_portrait.tools.golden_cases.fantasytalking import TinyWan
from talking_portrait.tools.goldens import GoldenCase
from talking_portrait.tools.random_state import random_state

from .fantasytalking_tiny import GOLDENS, conditions, sampled

CPU, FP8 = torch.device("cpu"), torch.float8_e4m3fn
FRAMES, WIDTH, BLOCKS = 9, 128, 2


@pytest.fixture(autouse=True)
def inference():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def case():
    return GoldenCase(GOLDENS / "ft_cfg.public.golden.json")


@pytest.fixture(scope="module")
def tiny(case):
    with torch.inference_mode():
        return TinyWan(case)


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """A file of a tiny Wan2.1 image-to-video model."""
    with torch.device("meta"):
        wan = WanModel(
            "i2v",
            in_dim=36,
            dim=WIDTH,
            ffn_dim=256,
            num_heads=1,
            num_layers=BLOCKS,
            operations=comfy.ops.disable_weight_init,
        )
    return random_state(wan, 1)


@pytest.fixture(scope="module")
def adapter():
    with torch.device("meta"):
        network = FantasyTalking(768, 2048, WIDTH, BLOCKS, operations=comfy.ops.manual_cast)
    network.load_state_dict(random_state(network, 2), assign=True)
    return comfy.model_patcher.ModelPatcher(network, CPU, CPU)


def loaded(state: dict, **options):
    """What core's Load Diffusion Model makes of a file's content."""
    return comfy.sd.load_diffusion_model_state_dict(
        {key: value.clone() for key, value in state.items()}, options
    )


def speaks(model, adapter, scale: float = 1.0, watch=lambda clone: None) -> torch.Tensor:
    """A short film by core's sampler of a MODEL that this pack patches."""
    clone = patched(model, adapter, scale, True)
    watch(clone)
    return films(clone)


def films(model) -> torch.Tensor:
    """A short film by core's sampler of a patched MODEL, with guidance, through the conditions that core's
    nodes make."""
    random = torch.Generator().manual_seed(5)

    def prompt() -> list:
        seen = SimpleNamespace(penultimate_hidden_states=torch.randn(1, 257, 1280, generator=random))
        return [[torch.randn(1, 8, 4096, generator=random), {"clip_vision_output": seen}]]

    tokens = audio_windows(FRAMES, 19).split(torch.randn(1, 19, 2048, generator=random))
    guided = model.clone()
    guided.set_model_sampler_pre_cfg_function(audio_guidance(4.5))
    guider = comfy.samplers.CFGGuider(guided)
    guider.set_conds(with_audio_condition(prompt(), tokens), prompt())
    guider.set_cfg(3.0)
    noise = torch.randn(1, 16, 3, 8, 8, generator=random)
    return guider.sample(
        noise, torch.zeros_like(noise), comfy.samplers.sampler_object("euler"), sigmas(3), disable_pbar=True
    )


def difference(first: torch.Tensor, second: torch.Tensor) -> float:
    """Root mean square of a difference in parts of the second's deviation."""
    return float((first - second).square().mean().sqrt() / second.std())


def in_fp8(
    state: dict[str, torch.Tensor], scaled: bool
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Two files of the same numbers, all of which fp8 can hold: in fp8 (plain, or the blocks' matrices with a
    factor each, as the scaled editions are), and in float32."""
    small, large = {"scaled_fp8": torch.zeros(2, dtype=FP8)} if scaled else {}, {}
    for key, value in state.items():
        if key.startswith("patch_embedding."):  # core keeps it in float32
            small[key] = large[key] = value
            continue
        matrix = key.startswith("blocks.") and value.ndim == 2 and key.endswith(".weight")
        factor = value.abs().max() / 448 if scaled and matrix else torch.ones(())
        small[key] = (value / factor).to(FP8) if matrix or not scaled else value
        large[key] = small[key].float() * factor
        if scaled and matrix:
            small[key.replace(".weight", ".scale_weight")] = factor
    return small, large


@pytest.mark.parametrize("edition", ["fp8_e4m3fn", "scaled fp8"])
def test_a_wan_in_fp8_hears_what_its_numbers_say(weights, adapter, edition):
    """Nothing but rounding lies between it and float32 with the numbers of the fp8 file; the rest is fp8's
    own coarseness."""
    small, rounded = in_fp8(weights, edition == "scaled fp8")
    fp8 = loaded(weights, dtype=FP8) if edition == "fp8_e4m3fn" else loaded(small)
    held = fp8.model.diffusion_model.blocks[0].cross_attn.q.weight
    assert isinstance(held, QuantizedTensor) or held.dtype == FP8, "the file was not kept in fp8"
    loud, deaf = speaks(fp8, adapter), speaks(fp8, adapter, 0.0)
    assert difference(loud, speaks(loaded(rounded), adapter)) < 1e-4
    assert difference(loud, speaks(loaded(weights), adapter)) < 0.15 < 0.5 < difference(loud, deaf)


def test_bfloat16_hears_what_float32_hears(weights, adapter):
    half, exact = loaded(weights), loaded(weights)
    half.set_model_compute_dtype(torch.bfloat16)
    assert (
        difference(speaks(half, adapter), speaks(exact, adapter))
        < 0.05
        < 0.5
        < difference(speaks(half, adapter), speaks(half, adapter, 0.0))
    )


@pytest.fixture
def little_memory(monkeypatch):
    """Core believes that a device of its own has room for so many bytes of each model's weights, and leaves
    the rest elsewhere."""

    real = comfy.model_management.get_free_memory

    def allow(room: float) -> None:
        monkeypatch.setattr(comfy.model_management, "is_device_cpu", lambda device: False)
        monkeypatch.setattr(comfy.model_management, "minimum_inference_memory", lambda: 0)
        monkeypatch.setattr(comfy.model_management, "MIN_WEIGHT_MEMORY_RATIO", 1.0)
        monkeypatch.setattr(
            comfy.model_management, "vram_state", comfy.model_management.VRAMState.NORMAL_VRAM
        )
        # Core's attention asks for more than this number, and shall get the truth.
        monkeypatch.setattr(
            comfy.model_management, "get_free_memory", lambda *asked: room if len(asked) < 2 else real(*asked)
        )

    return allow


@pytest.mark.parametrize("share", [0.9, 0.0])
def test_a_partly_loaded_wan_hears_the_same(weights, adapter, little_memory, share):
    """Weights that stay elsewhere are cast when they are used, with a LoRA on them, and the patch calls those
    very layers."""
    lora = {
        f"diffusion_model.blocks.0.cross_attn.{name}.weight": ("diff", (0.02 * torch.randn(WIDTH, WIDTH),))
        for name in "qo"
    }
    wholly, partly = loaded(weights), loaded(weights)
    plain = speaks(wholly, adapter)
    assert set(wholly.add_patches(lora, 1.0)) == set(partly.add_patches(lora, 1.0)) == set(lora)
    whole = speaks(wholly, adapter)
    little_memory(share * partly.model_size())
    part = speaks(partly, adapter)
    assert partly.model.model_lowvram and partly.loaded_size() <= share * partly.model_size()
    assert (partly.loaded_size() == 0) == (partly.model.lowvram_patch_counter > 0) == (share == 0)
    assert difference(part, whole) < 1e-5 < 1e-3 < difference(whole, plain)
    partly.detach()
    own = type(partly.model.diffusion_model.blocks[0].cross_attn).forward
    assert all(block.cross_attn.forward.__func__ is own for block in partly.model.diffusion_model.blocks)
    assert not any(getattr(module, "weight_function", None) for module in partly.model.modules())
    assert all(
        torch.equal(value, weights[key]) for key, value in partly.model.diffusion_model.state_dict().items()
    )


def watched(model, seen: list) -> None:
    """Notes, in every call of a patched MODEL, its carrier's keys, how many of their bytes are loaded, and
    what core manages."""

    def watch(executor, *arguments, **named):
        keys = model.get_wrappers("diffusion_model", KEY)[0].keys
        managed = [
            entry.model for entry in comfy.model_management.current_loaded_models if entry.model.model is keys
        ]
        seen.append(SimpleNamespace(
            bytes=comfy.model_management.module_size(keys), loaded=keys.model_loaded_weight_memory,
            managed=len(managed),
        ))  # fmt: skip
        return executor(*arguments, **named)

    model.add_wrapper_with_key("diffusion_model", "watch", watch)


def test_keys_are_computed_once_counted_by_core_and_let_go(case, tiny):
    model, seen, calls = patched(tiny.patcher, tiny.adapter, 1.0, True), [], []
    watched(model, seen)
    handle = tiny.adapter.model.blocks[0].register_forward_hook(lambda *_: calls.append(1))
    sampled(case, tiny, model, conditions(case, tiny, True), conditions(case, tiny, False, "context_neg"))
    handle.remove()
    rows = 1 + len(numbered([tiny.tokens])[0])
    assert len(calls) == 1 and len(seen) >= 4, "4 steps, one computation"
    assert all(entry.managed == 1 and entry.loaded == entry.bytes == rows * 3 * 2 * 96 * 4 for entry in seen)
    carrier = model.get_wrappers("diffusion_model", KEY)[0]
    assert carrier.keys is None
    gc.collect()
    managed = [
        entry.model.model for entry in comfy.model_management.current_loaded_models if entry.model is not None
    ]
    assert not any(isinstance(model, KeptKeys) for model in managed)


def test_keys_do_not_grow_with_windows_and_conditions(case, tiny):
    """Every frame of every window refers to one table of the sound's tokens."""
    long = audio_windows(161, 350).split(torch.randn(1, 350, 64))
    distinct, numbers = numbered([long, long[:, :21], torch.zeros(1, 4, 17, 64)])
    assert len(distinct) == 350 and [tuple(part.shape) for part in numbers] == [
        (1, 41, 17),
        (1, 21, 17),
        (1, 4, 17),
    ]
    assert torch.equal(numbers[0][:, :21], numbers[1]) and not numbers[2].any()
    assert torch.equal(torch.cat([torch.zeros(1, 64), distinct])[numbers[0]], long)


def test_keys_that_do_not_fit_stay_outside_and_are_heard_all_the_same(weights, adapter, little_memory):
    model = loaded(weights)
    whole = speaks(model, adapter)
    seen: list = []
    little_memory(0)
    assert difference(speaks(model, adapter, watch=lambda clone: watched(clone, seen)), whole) < 1e-5
    assert seen and all(entry.managed == 1 and entry.loaded == 0 < entry.bytes for entry in seen)


def test_core_can_clone_a_patched_wan_for_another_gpu(weights, adapter, tmp_path):
    """As core's multi-GPU nodes do: a model loaded anew from its file takes the patches along, without a
    clone of the adapter."""
    save_file({key: value.clone() for key, value in weights.items()}, tmp_path / "wan.safetensors")
    model = comfy.sd.load_diffusion_model(str(tmp_path / "wan.safetensors"))
    change = 0.2 * torch.randn(1, WIDTH)
    patch = with_intensity(patched(model, adapter, 1.0, True), change)
    twin = patch.deepclone_multigpu(new_load_device=CPU)
    assert twin.model is not model.model
    for block in model.model.diffusion_model.blocks:
        block.cross_attn.o.weight.data.zero_()
    model.model.diffusion_model.time_embedding[2].weight.data.zero_()
    whole = speaks(with_intensity(loaded(weights), change), adapter)
    assert difference(films(twin), whole) < 1e-5 < 1e-2 < difference(films(patch), whole)
