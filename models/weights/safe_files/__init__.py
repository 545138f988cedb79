"""Files from anywhere, read so that nothing in them is run and memory stays within what the file holds.

Every reader takes a path and gives the content, or raises `Unreadable`: a sentence that names the file and
says why.
"""

from .arrays import load_arrays, numbers
from .causes import (
    BAD_CONTENT,
    Damaged,
    TooLittleMemory,
    Unreadable,
    enough_memory,
    is_out_of_memory,
    reading,
    shown,
)
from .json_text import load_json, parse_json
from .npz import load_npz
from .safetensors_file import check_safetensors, read_safetensors
from .state_dict import named_tensors
from .tensors import load_tensors
from .weight_kind import weight_kind

__all__ = [
    "BAD_CONTENT", "Damaged", "TooLittleMemory", "Unreadable", "check_safetensors", "enough_memory",
    "is_out_of_memory", "load_arrays", "load_json", "load_npz", "load_tensors", "named_tensors", "numbers",
    "parse_json", "read_safetensors", "reading", "shown", "weight_kind",
]  # fmt: skip
