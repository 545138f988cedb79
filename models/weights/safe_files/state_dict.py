"""The weights in what a weight file holds."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def named_tensors(content: Any) -> dict[str, Tensor]:
    """Tensors by name, without the wrapper `module.` of training on several GPUs; empty if there are none."""
    if not isinstance(content, Mapping):
        return {}
    return {
        key.removeprefix("module."): value
        for key, value in content.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }
