"""ACTalker and FantasyTalking in core's sampler on a second device: nothing is mixed, and numbers are the CPU's."""

import comfy.model_management
import comfy.sd
import pytest
import torch
from talking_portrait.models.actalker.checkpoint import unet_state
from talking_portrait.models.actalker.core_model import load_core_model
from talking_portrait.models.fantasytalking.patch import patched
from talking_portrait.tools.golden_cases.actalker import weights
from talking_portrait.tools.golden_cases.fantasytalking import TinyWan
from talking_portrait.tools.goldens import COPIES, GoldenCase
from talking_portrait.tools.pretend_accelerator import CPU, DEVICE, OnDevice, accelerator, for_comfyui, plain

from .fantasytalking_tiny import GOLDENS, conditions, sampled
from .test_actalker_core import lora, small_call

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def inference():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


@pytest.fixture
def there():
    """ComfyUI with the second device; models that were loaded before are let go of first and afterwards."""
    comfy.model_management.unload_all_models()
    with for_comfyui(), accelerator() as traffic:
        yield traffic
        comfy.model_management.unload_all_models()


@pytest.fixture(scope="module")
def fantasytalking():
    """The golden's film by FantasyTalking, on the CPU."""
    case = GoldenCase(GOLDENS / "ft_cfg.public.golden.json")
    with torch.inference_mode():
        return case, film(case)


def film(case, device: torch.device = CPU) -> torch.Tensor:
    tiny = TinyWan(case)
    for patcher in (tiny.patcher, tiny.adapter):
        patcher.load_device = device
    model = patched(tiny.patcher, tiny.adapter, 1.0, True)
    positive, negative = conditions(case, tiny, True), conditions(case, tiny, False, "context_neg")
    return sampled(case, tiny, model, positive, negative)


def test_fantasytalking_samples_the_same_film(fantasytalking, there):
    case, wanted = fantasytalking
    found = plain(film(case, DEVICE))
    assert there.uploads, "it never was on the device"
    assert torch.allclose(found, wanted, atol=1e-4 * float(wanted.abs().max()))


@pytest.mark.parametrize("memory", [10**12, 1], ids=["loaded", "offloaded"])
def test_actalker_denoises_the_same_with_a_lora(there, memory):
    """All on the device, or every layer that core can offload brought there when it is needed."""
    case = GoldenCase(COPIES / "actalker" / "pipeline_tiny.public.golden.json")
    config, state = case.data["config"]["unet"], unet_state(weights(case, "unet"))

    def denoised(device: torch.device, room: int) -> torch.Tensor:
        model = load_core_model(
            dict(state), torch.float32, config["block_out_channels"][0] // config["num_attention_heads"][0]
        )
        model.load_device = device
        model, _ = comfy.sd.load_lora_for_models(model, None, lora(state), 0.1, 0.0)
        model.load(device, lowvram_model_memory=room)
        given = {
            key: value.to(device) if isinstance(value, torch.Tensor) else value
            for key, value in small_call(config).items()
        }
        return model.model.apply_model(**given)

    found = denoised(DEVICE, memory)
    assert isinstance(found, OnDevice)
    wanted = denoised(CPU, 10**12)
    assert torch.allclose(plain(found), wanted, atol=1e-4 * float(wanted.abs().max()))
