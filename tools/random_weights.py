"""Write full-size weight files with random numbers, to run the neural stages where no published file is at hand.

    python3 run.py python -m talking_portrait.tools.random_weights COMFYUI_MODELS_FOLDER

What they draw is noise: they prove that files load, graphs run, memory and speed. Heads of the motion
extractor are scaled so that keypoints lie where a face's would.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from ..models.kdtalker.motion import ORDER
from ..models.kdtalker.network import KDTalkerDenoiser
from ..models.liveportrait.checkpoint import FILES
from ..models.speech.wav2lip import AudioEncoder
from .random_state import random_state

# factor on the weight, bias
HEADS = {"kp": (0.3, 0.0), "exp": (0.02, 0.0), "t": (0.02, 0.0), "scale": (0.02, 1.5)}


def liveportrait_states() -> dict[str, dict[str, Tensor]]:
    """State dicts of LivePortrait's five files by the name of the safetensors edition."""
    states = {}
    for number, file in enumerate(FILES.values()):
        state = random_state(file.build({}, {}, device="meta"), number)
        for head, (factor, bias) in HEADS.items():
            if f"detector.fc_{head}.weight" in state:
                state[f"detector.fc_{head}.weight"] *= factor
                state[f"detector.fc_{head}.bias"].fill_(bias)
        states[file.safetensors] = state
    return states


def statistics() -> dict[str, np.ndarray]:
    """Means and deviations in the form of norm.npz, in the range of a speaking face."""
    deviation = {"scale": 0.13, "yaw": 5.0, "pitch": 5.0, "roll": 3.0, "t": 0.02, "exp": 0.01, "kp": 0.3}
    arrays = {}
    for name, size in (*ORDER, ("kp", 63)):
        arrays[f"{name}_mean"] = np.full(size, 1.5 if name == "scale" else 0.0, np.float32)
        arrays[f"{name}_std"] = np.full(size, deviation[name], np.float32)
    return arrays


def write(models: Path) -> None:
    """All files, where the loaders look for them."""
    for folder in ("liveportrait", "kdtalker"):
        (models / folder).mkdir(parents=True, exist_ok=True)
    for name, state in liveportrait_states().items():
        save_file(state, models / "liveportrait" / name)
    with torch.device("meta"):
        denoiser, encoder = KDTalkerDenoiser(), AudioEncoder()
    state = random_state(denoiser, 10)
    state["point_model.model.output_projection.weight"] /= 4
    torch.save({"model": state, "epoch": 1}, models / "kdtalker" / "KDTalker.pth")
    torch.save({"state_dict": {f"module.{key}": value for key, value in random_state(encoder, 11).items()}},
               models / "kdtalker" / "wav2lip.pth")  # fmt: skip
    np.savez(models / "kdtalker" / "norm.npz", **statistics())  # pyright: ignore[reportArgumentType] (names are arrays')


if __name__ == "__main__":
    from . import random_joyvasa

    parser = argparse.ArgumentParser(description="Write full-size weight files with random numbers.")
    parser.add_argument("models", type=Path, help="ComfyUI's models folder, or any other")
    models = parser.parse_args().models
    write(models)
    random_joyvasa.write(models, random_joyvasa.PUBLISHED)
