"""One loaded model per file and precision, shared by every loader, owned by ComfyUI's memory manager."""

import logging
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.ops
import comfy.utils
import torch
from torch import Tensor, nn

from ...models.weights.safe_files import (
    BAD_CONTENT,
    Unreadable,
    check_safetensors,
    enough_memory,
    is_out_of_memory,
    load_tensors,
    read_safetensors,
    reading,
    weight_kind,
)

# build(state_dict, metadata, device=, dtype=, operations=) -> module without weights
Builder = Callable[..., nn.Module]
# a file's content -> the network's state dict; ValueError says why it cannot
Converter = Callable[[Any], dict[str, Tensor]]

FOR_COMFYUI = (".safetensors", ".sft")  # what ComfyUI's own loader takes for safetensors

# Weak: the cache keeps nothing alive. Keyed patchers live as long as some node output, or ComfyUI, holds
# them.
_alive: "weakref.WeakValueDictionary[tuple, Any]" = weakref.WeakValueDictionary()
_lock = threading.Lock()


@dataclass(frozen=True)
class LoadedModel:
    """A model under ComfyUI's memory manager; `metadata` is the file's header."""

    patcher: Any  # comfy ModelPatcher
    metadata: Mapping[str, str]
    compute_dtype: torch.dtype

    @property
    def device(self) -> torch.device:
        """Where the model computes; its weights may lie elsewhere until they are needed."""
        return self.patcher.load_device

    def ready(self, memory_required: int = 0) -> Any:
        """Ask ComfyUI to load the model (`memory_required`: bytes of activations to come) and return the module."""
        comfy.model_management.load_models_gpu([self.patcher], memory_required=memory_required)
        return self.patcher.model


def ready_together(models: list[LoadedModel], memory_required: int = 0) -> list[Any]:
    """Ask ComfyUI to have all of these loaded at the same time."""
    comfy.model_management.load_models_gpu(
        [model.patcher for model in models], memory_required=memory_required
    )
    return [model.patcher.model for model in models]


def load_shared(
    kind: str, path: Path, dtype: torch.dtype | None, build: Builder, node: str,
    convert: Converter | None = None,
    exact: bool = False,
) -> LoadedModel:  # fmt: skip
    """Load `path` once per (kind, file version, dtype, device); a file changed on disk is read again.

    `dtype` None: half precision where most of the file is, else float32. `convert` makes the file's content
    the network's state dict. `exact`: compute in `dtype` even where ComfyUI would rather not, such as
    bfloat16 on a CPU. Raises ValueError in `node`'s name when the file is missing, damaged or does not fit
    the network that `build` makes.
    """
    device = comfy.model_management.get_torch_device()
    offload = comfy.model_management.unet_offload_device()
    try:
        status = path.stat()
    except OSError:
        raise ValueError(f"{node}: {path} does not exist.") from None
    key = (kind, str(path.resolve()), status.st_size, status.st_mtime_ns, dtype, str(device))
    with _lock, enough_memory(path):
        patcher: Any = _alive.get(key)
        if patcher is None:
            state, metadata = read_weights(path, node)
            state = converted(state, convert, path, node)
            dtype = dtype or kept_dtype(state)
            compute = compute_dtype(dtype, exact)
            operations = comfy.ops.pick_operations(dtype, compute, load_device=device)
            check_sizes(
                lambda: build(state, metadata, device="meta", dtype=dtype, operations=operations),
                state,
                path,
                node,
            )
            model = build(state, metadata, device=offload, dtype=dtype, operations=operations).eval()
            comfy.model_management.archive_model_dtypes(model)
            patcher = comfy.model_patcher.CoreModelPatcher(model, load_device=device, offload_device=offload)
            if patcher.is_dynamic():  # then the file's own tensors become the weights, whatever their type
                state = {
                    key: value.to(dtype) if value.is_floating_point() else value
                    for key, value in state.items()
                }
            load_strictly(model, state, patcher.is_dynamic(), path, node)
            patcher.talking_portrait_metadata, patcher.talking_portrait_dtype = dict(metadata), dtype
            _alive[key] = patcher
            logging.info(
                "Talking Portrait: loaded %s (%s, %s)", path.name, kind, str(dtype).removeprefix("torch.")
            )
    return LoadedModel(
        patcher, patcher.talking_portrait_metadata, compute_dtype(patcher.talking_portrait_dtype, exact)
    )


def kept_dtype(state: Mapping[str, Tensor]) -> torch.dtype:
    """The half precision of most of a state dict's numbers, else float32."""
    most = comfy.utils.weight_dtype(state)
    return most if most in (torch.float16, torch.bfloat16) else torch.float32


def compute_dtype(kept: torch.dtype, exact: bool) -> torch.dtype:
    """In what a model whose weights are kept so computes on this device."""
    device = comfy.model_management.get_torch_device()
    return kept if exact else comfy.model_management.unet_manual_cast(kept, device) or kept


def read_weights(path: Path, node: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and header of a weight file, whatever its ending, without running anything in it; ValueError if
    it is damaged."""
    try:
        if weight_kind(path) != "safetensors":
            return load_tensors(path), {}
        check_safetensors(path)
        if path.suffix.lower() not in FOR_COMFYUI:
            metadata, state = read_safetensors(path)
            return state, metadata
        with reading(path):
            state, metadata = comfy.utils.load_torch_file(str(path), safe_load=True, return_metadata=True)
            return state, metadata or {}
    except Unreadable as error:
        raise ValueError(f"{node}: {error} Download it again: {path}") from error


def converted(content: Any, convert: Converter | None, path: Path, node: str) -> dict[str, Tensor]:
    """The state dict in a file's content; ValueError in `node`'s name if it is another file."""
    try:
        with enough_memory(path):
            state = dict(content) if convert is None else convert(content)
        if wrong := [key for key, value in state.items() if not isinstance(value, Tensor)]:
            raise ValueError(f"{wrong[0]} in it is no tensor")
        return state
    except BAD_CONTENT as error:
        if is_out_of_memory(error):
            raise
        reason = (
            error
            if isinstance(error, ValueError)
            else "its parts have not the names and sizes of this network's"
        )
        raise ValueError(
            f"{node}: {path} cannot be used: {reason}. Put the right file in its place."
        ) from error


def check_sizes(build: Callable[[], nn.Module], state: dict[str, Tensor], path: Path, node: str) -> None:
    """ValueError, before any memory is taken, unless the network of the sizes that `state` tells is the one
    it fills."""
    try:
        blank = build().requires_grad_(False)
    except BAD_CONTENT as error:
        if is_out_of_memory(error):
            raise
        reason = (
            str(error).removesuffix(".") if isinstance(error, ValueError) else "its tensors have other sizes"
        )
        raise ValueError(f"{node}: {path.name} does not fit this network: {reason}.") from error
    load_strictly(blank, state, True, path, node)


def load_strictly(model: nn.Module, state: dict[str, Tensor], assign: bool, path: Path, node: str) -> None:
    """Put `state` into `model`; ValueError that names what is missing, left over or of another shape."""
    try:
        missing, unexpected = model.load_state_dict(state, strict=False, assign=assign)
    except RuntimeError as error:
        raise ValueError(
            f"{node}: {path.name} does not fit this network: {str(error).splitlines()[-1].strip()}"
        ) from None
    if missing or unexpected:
        raise ValueError(
            f"{node}: {path.name} does not fit this network: {len(missing)} tensors are missing (such as "
            f"{', '.join(missing[:3]) or 'none'}), {len(unexpected)} are left over (such as "
            f"{', '.join(unexpected[:3]) or 'none'})."
        )


def loaded_models() -> list[tuple[str, str]]:
    """(kind, file) of every model that is alive, for tests and for people who debug memory."""
    return sorted((key[0], key[1]) for key in list(_alive))
