"""ACTalker's smaller networks: which published file each lies in, and how its content becomes the network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..face.arcface import ArcFace
from .face_encoders import HeadExpression, HeadPose
from .projectors import AudioProjector, ExpressionProjector, IdentityProjector, PoseGuider


@dataclass(frozen=True)
class Part:
    """A weight of the registry, the network that it fills, and how its content becomes the network's state dict."""

    weight: str
    build: Callable[..., nn.Module]
    convert: Callable[[Mapping[str, Any]], dict[str, Tensor]]


def flat(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors as they are, without the wrapper that training left."""
    return {key.removeprefix("module."): value for key, value in content.items() if isinstance(value, Tensor)}


def holding(what: str, *keys: str) -> Callable[[Mapping[str, Any]], dict[str, Tensor]]:
    """A converter that refuses, with a ValueError, what lacks the tensors by which a network's sizes are known."""

    def convert(content: Mapping[str, Any]) -> dict[str, Tensor]:
        state = flat(content)
        if missing := [key for key in keys if key not in state]:
            raise ValueError(f"it holds no {missing[0]}, so it is not ACTalker's {what}")
        return state

    return convert


def expression_state(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The expression network in the driving networks' file."""
    name = "expression_model."
    inner = content.get("generator", {})
    state = {key[len(name) :]: value for key, value in inner.items() if key.startswith(name)}
    if not state:
        raise ValueError(
            "it holds no generator with expression_model..., so it is not ACTalker's MX31c_32k.ckpt"
        )
    return state


def pose_state(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The head pose network in the driving networks' file."""
    if "pose_model" not in content:
        raise ValueError("it holds no pose_model, so it is not ACTalker's MX31c_32k.ckpt")
    return flat(content["pose_model"])


def sized(
    network: type[nn.Module], sizes: Callable[[Mapping[str, Tensor]], dict[str, int]]
) -> Callable[..., nn.Module]:
    """A builder that reads a network's sizes from its state dict."""
    return lambda state, metadata, device=None, dtype=None, operations=nn: network(
        **sizes(state), device=device, dtype=dtype, operations=operations
    )


def fixed(network: type[nn.Module]) -> Callable[..., nn.Module]:
    """A builder of a network that has one size."""
    return lambda state, metadata, device=None, dtype=None, operations=nn: network(
        device=device, dtype=dtype, operations=operations
    )


PARTS = {
    "audio": Part(
        "actalker.audio",
        sized(AudioProjector, lambda s: {
            "inputs": s["proj1.weight"].shape[1], "hidden": s["proj1.weight"].shape[0],
            "outputs": s["norm.weight"].shape[0],
            "tokens": s["proj3.weight"].shape[0] // s["norm.weight"].shape[0],
        }),
        holding("audio projector", "proj3.weight", "proj1.weight", "norm.weight"),
    ),
    "motion": Part(
        "actalker.motion",
        sized(ExpressionProjector, lambda s: {"inputs": s["proj1.weight"].shape[1],
            "outputs": s["proj1.weight"].shape[0]}),
        holding("motion projector", "proj1.weight", "norm.weight"),
    ),
    "expression": Part("actalker.driver", fixed(HeadExpression), expression_state),
    "head": Part("actalker.driver", fixed(HeadPose), pose_state),
    "arcface": Part("actalker.arcface", fixed(ArcFace),
    holding("ArcFace network", "features.weight", "fc.weight")),
    "identity": Part(
        "actalker.identity",
        sized(IdentityProjector, lambda s: {
            "inputs": s["proj1.weight"].shape[1], "hidden": s["proj1.weight"].shape[0],
            "outputs": s["proj3.weight"].shape[0],
        }),
        holding("identity projector", "proj1.weight", "proj2.weight", "proj3.weight"),
    ),
    "pose": Part(
        "actalker.pose", sized(PoseGuider, lambda s: {"outputs": s["conv_out.weight"].shape[0]}),
        holding("pose guider", "conv_in.weight", "conv_out.weight"),
    ),
}  # fmt: skip
