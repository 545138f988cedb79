"""Put viseme heads that were trained apart from each other into one file, in 8 bits; they are heard as their mean.

    python3 run.py python -m talking_portrait.training.speech_net.join_heads OUT.safetensors HEADS.safetensors ...

HEADS: files of training/speech_net/hear.py. OUT needs odds of silence (fit_silence.py) before it ships.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...models.weights.int8 import in_int8

GROUPS = ("all", "first")


def joined(files: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The heads of all files one behind another; what they take for usual stays in half precision."""
    kept: dict[str, Tensor] = {"silence_odds": torch.zeros(2).half()}
    for number, state in enumerate(files):
        for group in GROUPS:
            own = {
                key.removeprefix(f"{group}.0."): value
                for key, value in state.items()
                if key.startswith(f"{group}.0.")
            }
            usual = {key: own.pop(key).half() for key in ("mean", "deviation")}
            kept |= {f"{group}.{number}.{key}": value for key, value in (usual | in_int8(own)).items()}
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("heads", type=Path, nargs="+")
    arguments = parser.parse_args()
    states, commands, seeds, minutes = [], [], [], []
    for path in arguments.heads:
        with safe_open(str(path), "pt") as file:
            header = file.metadata()
            states.append({key: file.get_tensor(key) for key in file.keys()})
        commands.append(header["command"])
        seeds.append(header["seed"])
        minutes.append(json.loads(header["minutes"]))
    save_file(
        joined(states), arguments.out,
        {
            "command": "; ".join(commands), "seed": " ".join(seeds), "licence": "Apache-2.0",
            "minutes": json.dumps(minutes),
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
