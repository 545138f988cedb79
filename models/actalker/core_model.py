"""ACTalker as a MODEL of ComfyUI: what core must know to load, condition, offload and sample it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import comfy.conds
import comfy.model_base
import comfy.model_patcher
import comfy.supported_models
import comfy.utils
import torch
from comfy import model_management
from torch import Tensor

from .attention import ADAPTER_SCALE
from .checkpoint import unet_state
from .unet import EXPRESSION_BUCKET, MOTION_BUCKET, ACTalkerUNet, time_id_embedding, unet_config

# Under which a conditioning carries what SVD's does not.
AUDIO, MOTION, UNCONDITIONAL, REGIONS, POSE, LIVELINESS = (
    f"actalker_{name}" for name in ("audio", "motion", "unconditional", "regions", "pose", "liveliness")
)
HEAD_DIM = 64
SAVED_PREFIXES = ("model.diffusion_model.", "diffusion_model.", "")
PLAIN_SVD = "it is a plain Stable Video Diffusion UNet, without ACTalker's mamba layers and adapters"


@dataclass(frozen=True)
class Liveliness:
    """How much head and face move, as the network was told of its films, and how strongly attention to sound
    and motion counts."""

    motion_bucket: float = MOTION_BUCKET
    expression_bucket: float = EXPRESSION_BUCKET
    adapter_scale: float = ADAPTER_SCALE


AS_TRAINED = Liveliness()


class ACTalkerModel(comfy.model_base.SVD_img2vid):
    """SVD's sampling (v-prediction, sigma 700 to 0.002, latents times 0.18215) around ACTalker's UNet.

    A conditioning holds the identity token [1,1,X] in the text's place, and under the names above: audio
    [T,32,X] and motion [T,1,X] of T frames (absent where a gate is closed), regions, pose features [1,C,h,w],
    and a Liveliness.
    """

    def __init__(self, model_config, device=None):
        kind = comfy.model_base.ModelType.V_PREDICTION_EDM
        comfy.model_base.BaseModel.__init__(self, model_config, kind, device=device, unet_model=ACTalkerUNet)

    def encode_adm(self, **kwargs) -> Tensor:
        told = kwargs.get(LIVELINESS, AS_TRAINED)
        return time_id_embedding(self.adm_channels // 3, told.motion_bucket, told.expression_bucket)

    def extra_conds(self, **kwargs) -> dict[str, Any]:
        check_latent(kwargs)
        out = super().extra_conds(**kwargs)
        for name, key in (("audio", AUDIO), ("motion", MOTION)):
            if kwargs.get(key) is not None:
                # stays where it is: only a window of it must be near
                out[name] = comfy.conds.CONDRegular(kwargs[key])
        for name, key in (("regions", REGIONS), ("pose", POSE)):
            if kwargs.get(key) is not None:
                out[name] = comfy.conds.CONDConstant(kwargs[key])
        out["adapter_scale"] = comfy.conds.CONDConstant(kwargs.get(LIVELINESS, AS_TRAINED).adapter_scale)
        return out


def check_latent(given: Mapping[str, Any]) -> None:
    """ValueError unless the latent has the size and the frames of the conditioning, and the conditioning is
    ACTalker's."""
    pose, noise = given.get(POSE), given["noise"]
    if pose is None:
        raise ValueError(
            "ACTalker: the conditioning was not made for it; connect both outputs of ACTalker Conditioning."
        )
    wanted, have = list(pose.shape[-2:]), list(noise.shape[-2:])
    frames = next((len(given[key]) for key in (AUDIO, MOTION) if given.get(key) is not None), len(noise))
    if wanted != have or frames != len(noise):
        raise ValueError(
            f"ACTalker: the latent holds {len(noise)} frames of {8 * have[1]}x{8 * have[0]} pixels, but the "
            f"conditioning {frames} of {8 * wanted[1]}x{8 * wanted[0]}. Connect the sampler's latent_image "
            "to ACTalker Conditioning's latent."
        )


class ACTalkerConfig(comfy.supported_models.SVD_img2vid):
    """What core asks a kind of model: everything as for SVD, but the class."""

    def get_model(self, state_dict, prefix="", device=None):
        return ACTalkerModel(self, device=device)


def core_state(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """A UNet's tensors under core's names, from the published file or one saved by ComfyUI. ValueError if it
    is another's."""
    content = dict(content.get("state_dict", content))
    prefix = next((p for p in SAVED_PREFIXES if f"{p}input_blocks.0.0.weight" in content), None)
    if prefix is not None:
        state = {key.removeprefix(prefix): value for key, value in content.items() if key.startswith(prefix)}
    else:
        try:
            state = unet_state(content)
        except KeyError as problem:
            raise ValueError(str(problem.args[0])) from None
    if not any(".mamba_blocks." in key for key in state):
        raise ValueError(PLAIN_SVD if "input_blocks.0.0.weight" in state else "it is no UNet of ACTalker")
    return state


def model_config(state: Mapping[str, Tensor], head_dim: int = HEAD_DIM) -> ACTalkerConfig:
    """Sizes from the state dict, but for the heads', which no tensor tells; published: 320 channels, context
    1024, heads of 64."""
    channels = state["input_blocks.0.0.weight"].shape[0]
    context = state["input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"].shape[1]
    config = ACTalkerConfig(unet_config(channels, context, head_dim, state["label_emb.0.0.weight"].shape[1]))
    config.unet_config["num_head_channels"] = head_dim  # core writes SVD's over it
    return config


def load_core_model(
    state: dict[str, Tensor], dtype: torch.dtype | None = None, head_dim: int = HEAD_DIM
) -> Any:
    """A ModelPatcher around the UNet whose tensors `state` holds, as core loads its own models.

    `dtype` None: what core thinks best for this device. ValueError if tensors are missing, left over or of
    another shape.
    """
    try:
        config = model_config(state, head_dim)
    except (KeyError, IndexError) as problem:
        raise ValueError(f"it lacks tensors that say how large the network is ({problem})") from None
    device, offload = model_management.get_torch_device(), model_management.unet_offload_device()
    supported = list(config.supported_inference_dtypes)
    dtype = dtype or model_management.unet_dtype(
        model_params=comfy.utils.calculate_parameters(state), supported_dtypes=supported,
        weight_dtype=comfy.utils.weight_dtype(state),
    )  # fmt: skip
    config.set_inference_dtype(
        dtype, model_management.unet_manual_cast(dtype, device, supported), device=device
    )
    try:
        blank = config.get_model(state, device="meta")  # takes no memory, whatever sizes a file tells
    except (ArithmeticError, AssertionError, RuntimeError, TypeError, ValueError):
        raise ValueError("its tensors have sizes that no such network has") from None
    check_tensors(blank.diffusion_model, state)
    model = config.get_model(state)
    patcher = comfy.model_patcher.CoreModelPatcher(model, load_device=device, offload_device=offload)
    if not model_management.is_device_cpu(offload):
        model.to(offload)
    model.load_model_weights(dict(state), "", assign=patcher.is_dynamic())
    return patcher


def check_tensors(network: torch.nn.Module, state: Mapping[str, Tensor]) -> None:
    """ValueError that names what is missing, left over or of another shape."""
    wanted = {key: list(value.shape) for key, value in network.state_dict().items()}
    have = {key: list(value.shape) for key, value in state.items()}
    for problem, keys in (
        ("are missing", wanted.keys() - have.keys()), ("are left over", have.keys() - wanted.keys()),
        ("have another shape", {key for key in wanted.keys() & have.keys() if wanted[key] != have[key]}),
    ):  # fmt: skip
        if keys:
            raise ValueError(f"{len(keys)} of its tensors {problem}, such as {', '.join(sorted(keys)[:3])}")
