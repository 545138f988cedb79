"""A second device without a GPU: tensors on `pretend:0` compute on the CPU, but may not be mixed with the CPU's.

What CUDA would refuse is refused: operations on tensors of both devices, `.numpy()` of one that is not on the CPU.
What costs time on a real accelerator is counted, with the line that did it: data that goes up (`.to(device)`,
`torch.tensor(..., device=)`, indices in Python lists), and the host waiting for numbers (`.item()`, `bool()`,
`.cpu()`).

    with accelerator() as traffic:
        ...
    traffic.uploads, traffic.waits    # Counters of "file:line"

It stands on torch's hooks for devices written in Python (from torch 2.9).
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import comfy.model_management
import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_setup_privateuseone_for_python_backend("pretend")
# gradient checkpointing asks every backend that there is, used or not
torch.pretend.get_amp_supported_dtype = lambda: [torch.float16, torch.bfloat16]  # type: ignore[attr-defined]
DEVICE = torch.device("pretend", 0)
CPU = torch.device("cpu")
COPIES = {"aten::copy_", "aten::_to_copy", "aten::to"}
# CUDA lets CPU tensors index its own, which is an upload, but not the other way round
INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
READING = {f"aten::{name}" for name in ("_local_scalar_dense", "item", "is_nonzero", "equal", "allclose")}
OTHERS_CODE = (str(Path(torch.__file__).parent), __file__)


class Traffic:
    """How often each line moved data up, and waited for the device."""

    def __init__(self) -> None:
        self.uploads: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()

    @staticmethod
    def line() -> str:
        """The innermost line that is neither torch's nor this file's."""
        frame = sys._getframe(1)
        while frame.f_back and frame.f_code.co_filename.startswith(OTHERS_CODE):
            frame = frame.f_back
        return f"{frame.f_code.co_filename}:{frame.f_lineno}"


_traffic = Traffic()


class OnDevice(Tensor):
    """A tensor of the pretended device; `inner` holds its numbers on the CPU."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "OnDevice":
        made = Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            layout=inner.layout, device=DEVICE, requires_grad=inner.requires_grad,
        )  # fmt: skip
        made.inner = inner
        return made

    def __init__(self, inner: Tensor) -> None:
        pass

    def numpy(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("can't convert a pretend:0 tensor to numpy; use Tensor.cpu() first")

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        return self.numpy()

    def tolist(self) -> Any:
        _traffic.waits[Traffic.line()] += 1
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _computed(func, args, kwargs or {})


def _is_pretended(device: Any) -> bool:
    return device is not None and torch.device(device).type == DEVICE.type


def _target(name: str, args: tuple, kwargs: dict) -> torch.device | None:
    """The device that a copy is asked to go to."""
    if name == "aten::copy_":
        return args[0].device
    if name == "aten::to":  # whole in inference mode: to(device), to(other tensor)
        for value in args[1:]:
            if isinstance(value, torch.device):
                return value
            if isinstance(value, Tensor):
                return value.device
    return kwargs.get("device")


def _computed(func: Any, args: tuple, kwargs: dict) -> Any:
    """Any operation of torch, on the CPU, with the rules of two devices."""
    name = func._schema.name
    tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
    ours = [tensor for tensor in tensors if isinstance(tensor, OnDevice)]
    if name == "aten::_has_compatible_shallow_copy_type":
        return isinstance(args[0], OnDevice) == isinstance(args[1], OnDevice)
    if name in INDEXING:
        strangers = [] if isinstance(args[0], OnDevice) else ours
    elif name in COPIES:
        strangers = []
    else:  # a CPU's single number may stand beside any device's tensors
        strangers = (
            [tensor for tensor in tensors if not isinstance(tensor, OnDevice) and tensor.dim()]
            if ours
            else []
        )
    if strangers:
        raise RuntimeError(
            f"{func}: tensors on pretend:0 and on the cpu, {[tuple(one.shape) for one in tensors]}"
        )

    want = _target(name, args, kwargs)
    if name in COPIES and want is not None:
        source = args[1] if name == "aten::copy_" else args[0]
        if _is_pretended(want) and not isinstance(source, OnDevice):
            _traffic.uploads[Traffic.line()] += 1
        elif not _is_pretended(want) and isinstance(source, OnDevice):
            _traffic.waits[Traffic.line()] += 1
    if name in READING and ours:
        _traffic.waits[Traffic.line()] += 1

    def inner(value: Any) -> Any:
        if isinstance(value, OnDevice):
            return value.inner
        return CPU if isinstance(value, torch.device) and _is_pretended(value) else value

    given, options = tree_map(inner, (args, kwargs))
    if options.get("pin_memory"):
        options = {**options, "pin_memory": False}
    result = func(*given, **options)
    written = func._schema.returns and func._schema.returns[0].alias_info
    if ours and written and written.is_write:
        return kwargs.get("out", args[0])
    there = _is_pretended(want) if want is not None else bool(ours)
    if name in READING or not there:
        return result
    if given and result is given[0]:  # on the CPU there was nothing to do; up there it is a copy
        result = result.detach().clone()
    return tree_map(lambda value: OnDevice(value) if _is_plain(value) else value, result)


def _is_plain(value: Any) -> bool:
    return isinstance(value, Tensor) and not isinstance(value, OnDevice)


class _Operations(TorchDispatchMode):
    """Operations without a tensor of ours among what they are given: those that make one."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _computed(func, args, kwargs or {})


class _Python(TorchFunctionMode):
    """What torch makes of Python's numbers and lists without telling its dispatcher."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor, torch.asarray) and _is_pretended(kwargs.get("device")):
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        if func is Tensor.new_tensor:
            device = kwargs.pop("device", None) or args[0].device
            return torch.tensor(*args[1:], **{"dtype": args[0].dtype, **kwargs}).to(device)
        if func in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[0], OnDevice):
            parts = args[1] if isinstance(args[1], tuple) else (args[1],)
            parts = tuple(torch.as_tensor(np.asarray(p)).to(DEVICE) if _is_listed(p) else p for p in parts)
            args = (args[0], parts, *args[2:])
        return func(*args, **kwargs)


def _is_listed(index: Any) -> bool:
    return isinstance(index, np.ndarray) or (
        isinstance(index, list) and all(isinstance(i, int | bool) for i in index)
    )


@contextmanager
def accelerator() -> Iterator[Traffic]:
    """While it is on, `pretend:0` is a device of this thread; gives what is counted."""
    _traffic.__init__()
    with _Python(), _Operations():
        yield _traffic


def moved(network: nn.Module) -> nn.Module:
    """A network with its weights on the device, as ComfyUI leaves one that fits there."""
    for part in network.modules():
        for name, value in part._parameters.items():
            if value is not None:
                part._parameters[name] = nn.Parameter(OnDevice(value.data), requires_grad=False)
        for name, value in part._buffers.items():
            if value is not None:
                part._buffers[name] = OnDevice(value)
    return network


def plain(value: Tensor) -> Tensor:
    """The numbers of a tensor, wherever it lies."""
    return value.inner if isinstance(value, OnDevice) else value


@contextmanager
def for_comfyui() -> Iterator[None]:
    """While it is on, ComfyUI's memory manager computes on the device, and offloads to the CPU."""
    manager, room = comfy.model_management, 16 << 30
    unable = ("should_use_fp16", "should_use_bf16", "is_device_cuda", "device_supports_non_blocking",
              "supports_fp8_compute", "is_nvidia", "is_amd")  # fmt: skip
    changed: dict[str, Any] = dict.fromkeys(unable, lambda *_, **__: False)
    changed |= dict.fromkeys(("get_torch_device", "text_encoder_device", "vae_device"), lambda: DEVICE)
    changed |= dict.fromkeys(
        ("get_free_memory", "get_total_memory"),
        lambda dev=None, both=False, **named: (room, room) if both or named else room,
    )
    changed |= {
        "soft_empty_cache": lambda force=False: None, "cpu_state": manager.CPUState.GPU,
        "vram_state": manager.VRAMState.NORMAL_VRAM,
    }  # fmt: skip
    with patch.multiple(manager, **changed):
        yield
