"""LivePortrait's published files: the original .pth set and the safetensors re-pack, people and animals alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..weights.safe_files import named_tensors
from .appearance import AppearanceExtractor, build_appearance
from .generator import SpadeGenerator, build_generator, fold_spectral_norm
from .motion_extractor import build_motion_extractor
from .retargeting import build_retargeting
from .warping import WarpingModule, build_warping

State = dict[str, Tensor]
SIGNATURES = {  # a key that only this network's file has
    "appearance feature extractor": "resblocks_3d.3dr0.conv1.weight",
    "motion extractor": "detector.fc_kp.weight",
    "warping module": "dense_motion_network.mask.weight",
    "SPADE generator": "G_middle_0.norm_0.mlp_shared.0.weight",
    "stitching and retargeting": "retarget_shoulder_module.mlp.0.weight",
    "KDTalker": "point_model.model.input_projection.weight",
    "Wav2Lip": "audio_encoder.0.conv_block.0.weight",
}


@dataclass(frozen=True)
class PublishedFile:
    """One network's file: its names in the two editions, and how it becomes a network."""

    name: str
    safetensors: str
    pth: str
    build: Any

    def convert(self, state: Mapping[str, Any]) -> State:
        """The file's content as the network's state dict; ValueError that says which network the file is of."""
        flat = flattened(state)
        found = looks_like(flat)
        if found != self.name:
            raise ValueError(
                f"it is not the {self.name}" + (f", but looks like the {found}" if found else "")
            )
        return fold_spectral_norm(flat) if self.name == "SPADE generator" else flat


def flattened(state: Mapping[str, Any]) -> State:
    """Plain keys: the stitching file's three inner dicts become prefixes, and `module.` goes."""
    flat = named_tensors(state)
    for key, inner in state.items():
        flat |= {f"{key}_module.{name}": tensor for name, tensor in named_tensors(inner).items()}
    return flat


def looks_like(state: Mapping[str, Any]) -> str | None:
    """Which known network a state dict belongs to."""
    return next((name for name, key in SIGNATURES.items() if any(k.endswith(key) for k in state)), None)


def check_fit(appearance: AppearanceExtractor, warping: WarpingModule, generator: SpadeGenerator) -> None:
    """ValueError unless the three hand each other what they take."""
    given, taken = ((net.sizes.channels, net.sizes.depth) for net in (appearance, warping))
    if given != taken:
        raise ValueError(
            f"appearance_file gives a volume of {given[0]} channels and depth {given[1]}, but warping_file takes "
            f"{taken[0]} and {taken[1]}; choose files that were trained together"
        )
    if warping.sizes.features != generator.sizes.features:
        raise ValueError(
            f"warping_file gives {warping.sizes.features} channels, but generator_file takes "
            f"{generator.sizes.features}; choose files that were trained together"
        )


FILES: dict[str, PublishedFile] = {
    "appearance": PublishedFile(
        "appearance feature extractor", "appearance_feature_extractor.safetensors",
        "appearance_feature_extractor.pth",
        build_appearance,
    ),
    "motion": PublishedFile("motion extractor", "motion_extractor.safetensors", "motion_extractor.pth",
    build_motion_extractor),
    "warping": PublishedFile("warping module", "warping_module.safetensors", "warping_module.pth",
    build_warping),
    "generator": PublishedFile("SPADE generator", "spade_generator.safetensors", "spade_generator.pth",
    build_generator),
    "stitching": PublishedFile(
        "stitching and retargeting", "stitching_retargeting_module.safetensors",
        "stitching_retargeting_module.pth",
        build_retargeting,
    ),
}  # fmt: skip
