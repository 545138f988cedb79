"""Sees what a reader does to disk, programs and Python's modules, and what memory and time it takes."""

import os
import re
import sys
import time
from pathlib import Path
from types import FunctionType
from typing import Any

BATCH = 40  # cases between two looks at all modules
SLACK = 16_000_000  # bytes: forgetting the peak of memory takes its time, so a low one may stay
SECONDS = 2.0  # of the processor
MEMORY, MEMORY_TIMES = 48_000_000, 100  # bytes, and bytes for each byte of the file
WATCHED = (
    "builtins", "collections", "io", "os", "posixpath", "pickle", "_codecs", "codecs", "json", "zipfile",
    "tarfile", "numpy", "numpy._core.multiarray", "numpy._core.numeric", "torch._utils",
    "torch.serialization", "torch.storage", "torch._tensor", "safetensors", "safetensors.torch",
    "talking_portrait.models.weights.safe_files.torch_parts",
    "talking_portrait.models.weights.safe_files.numpy_parts",
    "talking_portrait.models.weights.safe_files.pickle_machine",
)  # fmt: skip
CHANGEABLE = ("__code__", "__defaults__", "__kwdefaults__", "__name__", "__dict__")
FORBIDDEN = re.compile(
    r"os\.(system|exec|fork|spawn|posix_spawn|startfile|rename|rmdir|truncate|link|symlink|putenv)|"
    r"subprocess|socket\.|shutil\.|"
    r"pickle\.find_class|exec$|compile$|ctypes|webbrowser|pty\.|ftplib|urllib"
)
# Right inside the folder of the files, wrong elsewhere.
IN_PLACE = ("os.mkdir", "os.chmod", "os.chown", "os.remove")


class Guard:
    """Watches from `arm` to `faults`; files may be written below `allowed` only."""

    def __init__(self, allowed: Path):
        self.allowed = str(allowed)
        self.seen: list[str] = []
        self.armed = False
        self.modules: dict[str, Any] = {}
        sys.addaudithook(self.audit)

    def remember_modules(self) -> None:
        """What Python's modules hold from now on must stay."""
        self.modules = fingerprint()

    def arm(self) -> None:
        """Look from now on."""
        if memory("VmHWM") - memory("VmRSS") > SLACK:
            forget_peak()
        self.memory, self.started, self.armed = memory("VmRSS"), time.process_time(), True

    def disarm(self, size: int) -> dict[str, Any]:
        """What was wrong since `arm`, with seconds and bytes, for a file of `size` bytes."""
        self.armed = False
        seconds, peak = time.process_time() - self.started, max(memory("VmHWM") - self.memory, 0)
        faults, self.seen = self.seen, []
        if seconds > SECONDS:
            faults.append(f"took {seconds:.1f} s")
        if peak > MEMORY + MEMORY_TIMES * size:
            faults.append(f"took {peak / 1e6:.0f} MB for {size} bytes")
        return {"faults": faults, "seconds": seconds, "peak": peak}

    def changed(self) -> list[str]:
        """What is not as it was in Python's modules; then that counts as usual."""
        now = fingerprint() if self.modules else {}
        names = [name for name in now.keys() | self.modules.keys() if now.get(name) != self.modules.get(name)]
        self.modules = now
        return sorted(names)

    def audit(self, event: str, arguments: tuple) -> None:
        """Called by Python for whatever touches the system."""
        if not self.armed:
            return
        if event == "open":
            path, _, flags = arguments
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC) and not self.inside(path):
                self.seen.append(f"opened {path!r} to write")
        elif FORBIDDEN.match(event) or (event in IN_PLACE and not self.inside(arguments[0])):
            self.seen.append(f"{event} {arguments!r}"[:300])

    def inside(self, path: Any) -> bool:
        """Whether a path lies in the folder of the files."""
        return isinstance(path, (str, bytes, Path)) and os.path.abspath(os.fsdecode(path)).startswith(
            self.allowed
        )


def fingerprint() -> dict[str, Any]:
    """Everything in the watched modules, and what can be changed about their functions."""
    found: dict[str, Any] = {}
    for name in WATCHED:
        for key, value in vars(sys.modules[name]).items() if name in sys.modules else ():
            own = (
                [repr(getattr(value, part)) for part in CHANGEABLE] if isinstance(value, FunctionType) else ()
            )
            found[f"{name}.{key}"] = (id(value), *own, len(vars(value)) if isinstance(value, type) else 0)
    return {key: value for key, value in found.items() if not key.endswith("__warningregistry__")}


def memory(word: str) -> int:
    """VmRSS or VmHWM of this process in bytes; 0 where the system does not tell."""
    try:
        found = re.search(rf"{word}:\s+(\d+)", Path("/proc/self/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def forget_peak() -> None:
    """Let the peak be of what comes now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass
