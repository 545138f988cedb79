"""Read CTranslate2's model.bin (version 6), and give Whisper's tensors the names that they have in transformers."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

DTYPES = ("<f4", "i1", "<i2", "<i4", "<f2")  # by the number that stands before a variable


class Reader:
    """Little-endian numbers and strings of a file, in order."""

    def __init__(self, data: bytes):
        self.data, self.place = data, 0

    def number(self, kind: str) -> int:
        """One unsigned number: B, H or I of struct."""
        (value,) = struct.unpack_from("<" + kind, self.data, self.place)
        self.place += struct.calcsize("<" + kind)
        return value

    def text(self) -> str:
        """A string with its length, closing zero included, before it."""
        return self.raw(self.number("H"))[:-1].decode()

    def raw(self, count: int) -> bytes:
        """So many bytes."""
        self.place += count
        return self.data[self.place - count : self.place]


def read_ctranslate2(path: Path) -> dict[str, np.ndarray]:
    """Every variable of a model; ValueError if it is another version or there is more in the file."""
    reader, found = Reader(path.read_bytes()), {}
    if (version := reader.number("I")) != 6:
        raise ValueError(f"{path} is of version {version}, not 6")
    reader.text()
    reader.number("I")  # the specification's revision
    for _ in range(reader.number("I")):
        name = reader.text()
        shape = [reader.number("I") for _ in range(reader.number("B"))]
        dtype = np.dtype(DTYPES[reader.number("B")])
        found[name] = np.frombuffer(reader.raw(reader.number("I")), dtype).reshape(shape)
    for _ in range(reader.number("I")):
        alias, name = reader.text(), reader.text()
        found[alias] = found[name]
    if reader.place != len(reader.data):
        raise ValueError(f"{len(reader.data) - reader.place} bytes are left over in {path}")
    return found


class WhisperRenamer:
    """Collects one half of Whisper (`encoder` or `decoder`) under transformers' names."""

    def __init__(self, variables: Mapping[str, np.ndarray], half: str):
        self.variables, self.half, self.state = variables, half, {}

    def take(self, source: str) -> Tensor:
        """A variable as a tensor of its own."""
        return torch.from_numpy(self.variables[f"{self.half}/{source}"].copy())

    def affine(self, source: str, target: str, names: tuple[str, str] = ("weight", "bias")) -> None:
        """A weight and its bias; names: theirs in CTranslate2."""
        for name, key in zip(names, ("weight", "bias"), strict=True):
            self.state[f"{target}.{key}"] = self.take(f"{source}/{name}")

    def norm(self, source: str, target: str) -> None:
        """A layer norm."""
        self.affine(source, target, ("gamma", "beta"))

    def stacked(self, source: str, target: str, names: str) -> None:
        """Projections `names` (such as qkv) that lie in one matrix; ValueError if the keys have a bias."""
        weights = self.take(f"{source}/weight").chunk(len(names))
        for name, weight, bias in zip(
            names, weights, self.take(f"{source}/bias").chunk(len(names)), strict=True
        ):
            self.state[f"{target}.{name}_proj.weight"] = weight.clone()
            if name != "k":
                self.state[f"{target}.{name}_proj.bias"] = bias.clone()
            elif bias.abs().max() > 0:
                raise ValueError(f"{source}: the keys have a bias")

    def layer(self, number: int) -> None:
        """One layer of a transformer."""
        source, target = f"layer_{number}", f"layers.{number}"
        self.norm(f"{source}/self_attention/layer_norm", f"{target}.self_attn_layer_norm")
        self.stacked(f"{source}/self_attention/linear_0", f"{target}.self_attn", "qkv")
        self.affine(f"{source}/self_attention/linear_1", f"{target}.self_attn.out_proj")
        if self.half == "decoder":
            self.norm(f"{source}/attention/layer_norm", f"{target}.encoder_attn_layer_norm")
            self.stacked(f"{source}/attention/linear_0", f"{target}.encoder_attn", "q")
            self.stacked(f"{source}/attention/linear_1", f"{target}.encoder_attn", "kv")
            self.affine(f"{source}/attention/linear_2", f"{target}.encoder_attn.out_proj")
        self.norm(f"{source}/ffn/layer_norm", f"{target}.final_layer_norm")
        self.affine(f"{source}/ffn/linear_0", f"{target}.fc1")
        self.affine(f"{source}/ffn/linear_1", f"{target}.fc2")

    def all(self) -> dict[str, Tensor]:
        """Everything of this half."""
        if self.half == "encoder":
            for number in (1, 2):
                self.affine(f"conv{number}", f"conv{number}")
        else:
            self.state["embed_tokens.weight"] = self.take("embeddings/weight")
        self.state["embed_positions.weight"] = self.take("position_encodings/encodings")
        layers = {name.split("/")[1] for name in self.variables if name.startswith(f"{self.half}/layer_")}
        for number in range(len(layers - {"layer_norm"})):
            self.layer(number)
        self.norm("layer_norm", "layer_norm")
        return self.state


def whisper_weights(variables: Mapping[str, Any]) -> dict[str, Tensor]:
    """Whisper as transformers' WhisperModel names it, in the precision of the file."""
    return {
        f"{half}.{key}": value
        for half in ("encoder", "decoder")
        for key, value in WhisperRenamer(variables, half).all().items()
    }
