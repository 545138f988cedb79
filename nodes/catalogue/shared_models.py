"""Core's own kinds of models (MODEL, AUDIO_ENCODER), made once for each file and its options, whichever nodes ask.

`loading.load_shared` does the same for this pack's networks. The cache keeps nothing alive: a model lives as
long as some node's output, or ComfyUI, holds it.
"""

import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import comfy.model_management

from ...models.weights.safe_files import enough_memory

_alive: "weakref.WeakValueDictionary[tuple, Any]" = weakref.WeakValueDictionary()
_lock = threading.Lock()


def shared(kind: str, path: Path, options: tuple, make: Callable[[], Any]) -> Any:
    """What `make` makes of a file, or what it made before; a file that was changed on disk is read again."""
    status = path.stat()
    device = str(comfy.model_management.get_torch_device())
    key = (kind, str(path.resolve()), status.st_size, status.st_mtime_ns, *options, device)
    with _lock, enough_memory(path):
        made = _alive.get(key)
        if made is None:
            _alive[key] = made = make()
    return made


def shared_models() -> list[tuple[str, str]]:
    """(kind, file) of everything that is alive."""
    return sorted((key[0], key[1]) for key in list(_alive))
