"""Nodes that only the tests have: they use the pack's model cache from inside a real server and report on it."""

import json
from pathlib import Path
from types import SimpleNamespace

import comfy.model_management
import torch
from torch import nn


def loading():
    from talking_portrait.nodes.catalogue import loading

    return loading


class ProbeNet(nn.Module):
    def __init__(self, state, device, dtype, operations):
        super().__init__()
        width_out, width_in = state["layer.weight"].shape
        self.layer = operations.Linear(width_in, width_out, device=device, dtype=dtype)


def build(state, metadata, *, device, dtype, operations):
    return ProbeNet(state, device, dtype, operations)


class ProbeLoadA:
    INPUT_TYPES = classmethod(
        lambda cls: {"required": {"path": ("STRING",), "dtype": (["float32", "bfloat16"],)}}
    )
    RETURN_TYPES, FUNCTION, CATEGORY = ("PROBE_MODEL",), "load", "probe"

    @classmethod
    def IS_CHANGED(cls, path, dtype):
        return Path(path).stat().st_mtime_ns

    def load(self, path, dtype):
        return (loading().load_shared("probe", Path(path), getattr(torch, dtype), build, "Probe"),)


class ProbeLoadB(ProbeLoadA):
    pass


class ProbeConditioning:
    """What Wan's text encoder and CLIP vision would give, from a seed."""

    INPUT_TYPES = classmethod(lambda cls: {"required": {"seed": ("INT", {"default": 0})}})
    RETURN_TYPES, FUNCTION, CATEGORY = ("CONDITIONING",), "make", "probe"

    def make(self, seed):
        random = torch.Generator().manual_seed(seed)
        seen = SimpleNamespace(penultimate_hidden_states=torch.randn(1, 257, 1280, generator=random))
        return ([[torch.randn(1, 8, 4096, generator=random), {"clip_vision_output": seen}]],)


class ProbeClipVision:
    """What a CLIP vision encoder of Wan's size would see, from a seed; the picture is not looked at."""

    INPUT_TYPES = classmethod(
        lambda cls: {"required": {"seed": ("INT", {"default": 0})}, "optional": {"image": ("IMAGE",)}}
    )
    RETURN_TYPES, FUNCTION, CATEGORY = ("CLIP_VISION_OUTPUT",), "make", "probe"

    def make(self, seed, image=None):
        random = torch.Generator().manual_seed(seed)
        return (SimpleNamespace(penultimate_hidden_states=torch.randn(1, 257, 1280, generator=random)),)


class ProbeReport:
    INPUT_TYPES = classmethod(lambda cls: {"required": {"a": ("PROBE_MODEL",), "b": ("PROBE_MODEL",)}})
    RETURN_TYPES, FUNCTION, CATEGORY, OUTPUT_NODE = (), "report", "probe", True

    @classmethod
    def IS_CHANGED(cls, **_):
        return float("nan")

    def report(self, a, b):
        modules: list[nn.Module] = [a.ready().layer, b.ready().layer]
        answer = modules[0](torch.ones(1, modules[0].weight.shape[1], device=a.patcher.load_device))
        facts = {
            "same_patcher": a.patcher is b.patcher,
            "same_storage": modules[0].weight.data_ptr() == modules[1].weight.data_ptr(),
            "alive": [kind for kind, _ in loading().loaded_models()].count("probe"),
            "managed": sum(
                entry.model is a.patcher for entry in comfy.model_management.current_loaded_models
            ),
            "answer": float(answer[0, 0]),
        }
        return {"ui": {"text": [json.dumps(facts)]}}


class ProbeAlive:
    INPUT_TYPES = classmethod(lambda cls: {"required": {"tick": ("INT", {"default": 0})}})
    RETURN_TYPES, FUNCTION, CATEGORY, OUTPUT_NODE = (), "report", "probe", True

    def report(self, tick):
        return {"ui": {"text": [json.dumps([kind for kind, _ in loading().loaded_models()].count("probe"))]}}


NODE_CLASS_MAPPINGS = {
    cls.__name__: cls
    for cls in (ProbeLoadA, ProbeLoadB, ProbeConditioning, ProbeClipVision, ProbeReport, ProbeAlive)
}
