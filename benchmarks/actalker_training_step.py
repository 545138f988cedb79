"""One step of ACTalker's trainer at the published size, with random weights: time and memory, measured.

    python3 run.py python benchmarks/actalker_training_step.py [--train control] [--side 64] [--frames 2]

In float32 on one thread of a CPU, or on a GPU; the layers compute themselves again backward. A step on a small clip:
what 576x576 and 14 frames need is counted in training_cost.py.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import comfy.cli_args
import torch

comfy.cli_args.args.cpu = not torch.cuda.is_available()

from talking_portrait.models.actalker.unet import ACTalkerUNet, unet_config
from talking_portrait.training.actalker.fresh import ADDED, filled
from talking_portrait.training.actalker.train import ACTalkerTraining, layers_of
from talking_portrait.training.data.clips import Clip, Clips
from talking_portrait.training.learning.core import checkpointed, core_in_training

CONTEXT = 1024


def random_clip(side: int, frames: int) -> Clip:
    """A clip of random numbers, as prepared films hold them."""
    make, size = torch.Generator().manual_seed(0), side // 8
    shapes = {
        "latents": (frames, 4, size, size), "portrait": (4, size, size), "identity": (1, CONTEXT),
        "audio": (frames, 32, CONTEXT), "motion": (frames, 1, CONTEXT), "no_audio": (32, CONTEXT),
        "no_motion": (1, CONTEXT), "pose": (320, size, size),
    }  # fmt: skip
    tracks = {name: torch.randn(1, *shape, generator=make) for name, shape in shapes.items()}
    mouth = torch.zeros(1, side, side)
    mouth[:, side // 2 :] = 1
    return Clip("random", 1, {"encoder": "none"}, tracks=tracks | {"mouth": mouth, "rest": 1 - mouth})


def peak_gigabytes() -> float:
    """The most memory that this process held; on a GPU, that it held there."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", choices=("all", "control"), default="control")
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--frames", type=int, default=2)
    default = Path(__file__).parent / "results" / "actalker_training_step.json"
    parser.add_argument("--out", type=Path, default=default)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = ACTalkerUNet(**unet_config())
    filled(network)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if any(part in name for part in ADDED):  # fresh ones are zero, and no gradient comes through
                value.normal_(0, 0.01)
    network.to(device)
    clips = Clips([random_clip(options.side, options.frames)])
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.safetensors"
        training = ACTalkerTraining(network, clips, options.train, 1, 1, 1, out, 1e-4)
        learning = {name: value for name, value in network.named_parameters() if value.requires_grad}
        began = time.process_time()
        with core_in_training(), checkpointed(layers_of(network)):
            taken = training.run.learn(training.loss())
        seconds = time.process_time() - began
    still = sum(
        value.grad is None or not bool(value.grad.any())
        for name, value in learning.items()
        if ".mamba_blocks." in name and name.endswith("out_proj.weight")
    )
    result = {
        "trained": options.train, "side": options.side, "frames": options.frames, "device": str(device),
        "millions of weights": round(sum(p.numel() for p in network.parameters()) / 1e6),
        "millions that learn": round(sum(p.numel() for p in learning.values()) / 1e6),
        "seconds of CPU": round(seconds, 1), "GB at the peak": round(peak_gigabytes(), 1),
        "loss": round(taken.loss, 4), "gradient norm": round(taken.norm, 4),
        "mamba layers without a gradient": still,
    }  # fmt: skip
    print(json.dumps(result, indent=1))
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
