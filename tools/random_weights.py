"""Write weight files with random numbers, to run the neural stages where no published file is at hand.

    python3 run.py python -m talking_portrait.tools.random_weights COMFYUI_MODELS_FOLDER [--small]

They have the published sizes, or with --small sizes of which a CPU draws several frames a second.

What they draw is noise: they prove that files load, graphs run, memory and speed. Heads of the motion
extractor are scaled so that keypoints lie where a face's would.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..models.kdtalker.motion import ORDER
from ..models.kdtalker.network import KDTalkerDenoiser
from ..models.kdtalker.network import Sizes as DenoiserSizes
from ..models.liveportrait.appearance import AppearanceExtractor, AppearanceSizes
from ..models.liveportrait.checkpoint import FILES
from ..models.liveportrait.generator import GeneratorSizes, SpadeGenerator
from ..models.liveportrait.motion_extractor import MotionExtractor
from ..models.liveportrait.motion_extractor import Sizes as ExtractorSizes
from ..models.liveportrait.warping import WarpingModule, WarpingSizes
from ..models.speech.wav2lip import AudioEncoder
from .random_state import random_state

# factor on the weight, bias
HEADS = {"kp": (0.3, 0.0), "exp": (0.02, 0.0), "t": (0.02, 0.0), "scale": (0.02, 1.5)}


# Every layer is there; the volume keeps its depth, height and width.
SMALL_DENOISER = DenoiserSizes(width=128, heads=2, layers=2, time=64)
SMALL_EXTRACTOR = ExtractorSizes(widths=(8, 8, 16, 16), depths=(1, 1, 1, 1))
SMALL_APPEARANCE = AppearanceSizes(widths=(8, 8, 16), channels=4, blocks=2)
SMALL_WARPING = WarpingSizes(
    channels=4, compressed=1, down=(4, 8, 8, 16, 16), up=(16, 8, 8, 4, 2), features=16
)
SMALL_GENERATOR = GeneratorSizes(features=16, hidden=8, middle=16, rising=(8, 8), blocks=2)


def liveportrait_networks(small: bool) -> dict[str, nn.Module]:
    """LivePortrait's networks on the meta device, by the names of FILES."""
    networks = {part: file.build({}, {}, device="meta") for part, file in FILES.items()}
    if small:
        networks |= {
            "appearance": AppearanceExtractor("meta", sizes=SMALL_APPEARANCE),
            "motion": MotionExtractor("meta", sizes=SMALL_EXTRACTOR),
            "warping": WarpingModule("meta", sizes=SMALL_WARPING),
            "generator": SpadeGenerator("meta", sizes=SMALL_GENERATOR),
        }
    return networks


def liveportrait_states(small: bool = False) -> dict[str, dict[str, Tensor]]:
    """State dicts of LivePortrait's five files by the name of the safetensors edition."""
    states = {}
    for number, (part, network) in enumerate(liveportrait_networks(small).items()):
        state = random_state(network, number)
        for head, (factor, bias) in HEADS.items():
            if f"detector.fc_{head}.weight" in state:
                state[f"detector.fc_{head}.weight"] *= factor
                state[f"detector.fc_{head}.bias"].fill_(bias)
        states[FILES[part].safetensors] = state
    return states


def statistics() -> dict[str, np.ndarray]:
    """Means and deviations in the form of norm.npz, in the range of a speaking face."""
    deviation = {"scale": 0.13, "yaw": 5.0, "pitch": 5.0, "roll": 3.0, "t": 0.02, "exp": 0.01, "kp": 0.3}
    arrays = {}
    for name, size in (*ORDER, ("kp", 63)):
        arrays[f"{name}_mean"] = np.full(size, 1.5 if name == "scale" else 0.0, np.float32)
        arrays[f"{name}_std"] = np.full(size, deviation[name], np.float32)
    return arrays


def write(models: Path, small: bool = False) -> None:
    """All files, where the loaders look for them."""
    for folder in ("liveportrait", "kdtalker"):
        (models / folder).mkdir(parents=True, exist_ok=True)
    for name, state in liveportrait_states(small).items():
        save_file(state, models / "liveportrait" / name)
    with torch.device("meta"):
        denoiser, encoder = KDTalkerDenoiser(SMALL_DENOISER if small else None), AudioEncoder()
    state = random_state(denoiser, 10)
    state["point_model.model.output_projection.weight"] /= 4
    torch.save({"model": state, "epoch": 1}, models / "kdtalker" / "KDTalker.pth")
    torch.save({"state_dict": {f"module.{key}": value for key, value in random_state(encoder, 11).items()}},
               models / "kdtalker" / "wav2lip.pth")  # fmt: skip
    np.savez(models / "kdtalker" / "norm.npz", **statistics())  # pyright: ignore[reportArgumentType] (names are arrays')


if __name__ == "__main__":
    from . import random_joyvasa

    parser = argparse.ArgumentParser(description="Write weight files with random numbers.")
    parser.add_argument("models", type=Path, help="ComfyUI's models folder, or any other")
    parser.add_argument("--small", action="store_true", help="small networks, which a CPU runs fast")
    arguments = parser.parse_args()
    write(arguments.models, arguments.small)
    random_joyvasa.write(
        arguments.models, random_joyvasa.SMALL if arguments.small else random_joyvasa.PUBLISHED
    )
