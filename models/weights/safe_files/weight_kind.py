"""What kind of weight file a file is, by its first bytes: endings may say anything."""

from pathlib import Path
from typing import Literal

from .causes import Damaged, reading
from .stream import opened

ZIP, PICKLE = b"PK\x03\x04", b"\x80"
HEADER_PLACE = 8  # safetensors: the header's length, then the header, which is JSON
WeightKind = Literal["safetensors", "torch zip", "torch pickle"]


def weight_kind(path: Path) -> WeightKind:
    """Unreadable, with what it looks like, if it is none of the three."""
    with reading(path), opened(path) as stream:
        return told_by(stream.take(min(stream.left, 64)))


def told_by(start: bytes) -> WeightKind:
    """The kind of a file that starts so."""
    if start[HEADER_PLACE : HEADER_PLACE + 1] == b"{":  # first: the header's length may look like anything
        return "safetensors"
    if start.startswith(ZIP):
        return "torch zip"
    if start.startswith(PICKLE):
        return "torch pickle"
    if start.startswith(b"GGUF"):
        raise Damaged("it is a GGUF file, which this node does not read")
    text = start.decode("ascii", "replace").split("\n")[0].strip()
    if text and text.isprintable() and text.isascii():
        raise Damaged(f"it is a text that begins {text[:40]!r}, not weights; the download went wrong")
    raise Damaged("it is neither a file of torch's nor a safetensors file")
