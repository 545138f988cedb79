"""Show what Takin-ADA's two stage-1 losses do to a motion extractor: LivePortrait's class, tiny, on drawn
people (one thread).

    python3 run.py python -m talking_portrait.training.liveportrait.stage1_proof \\
        RESULT.json TRAIN TEST TEST_FRONTAL [--seed 1]

The three files are of training/takin/stage1_pictures.py; the last two show the same people, none of whom is
in the first, and in the last one nothing but the expression changes. First the extractor learns
face-vid2vid's objective. From there it is fine-tuned four
times with the same steps and pairs: with neither of the two losses, with each, with both. Measured on people
never seen, in keypoint units (the picture is 2 wide).
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...models.liveportrait.motion_extractor import MotionExtractor, Sizes
from ..takin.stage1_objective import KEYPOINTS, LANDMARKS, Weights, bend, draw_pairs, part, posed
from ..takin.stage1_pictures import Pictures, read_pictures
from .finetune_motion_extractor import FineTuning

TINY = Sizes((16, 32, 64, 96), (1, 1, 1, 1))
# factors on their weights
ARMS = {"neither": (0.0, 0.0), "canonical": (1.0, 0.0), "landmark": (0.0, 1.0), "both": (1.0, 1.0)}
TEST_PAIRS = 256


def tiny_extractor(seed: int) -> MotionExtractor:
    """Random weights; keypoints start apart, scale at 1."""
    torch.manual_seed(seed)
    network = MotionExtractor(sizes=TINY)
    for name, parameter in network.named_parameters():
        if ".grn." in name:
            nn.init.zeros_(parameter)
    head: Any = network.detector
    nn.init.uniform_(head.fc_kp.bias, -0.6, 0.6)
    nn.init.ones_(head.fc_scale.bias)
    for name in ("exp", "t", "scale"):
        nn.init.normal_(getattr(head, f"fc_{name}").weight, std=0.01)
    for name in ("exp", "t"):
        nn.init.zeros_(getattr(head, f"fc_{name}").bias)
    return network


def rms(values: Tensor) -> float:
    """Root of the mean square of distances: over all but the last axis, summed over it."""
    return float(values.square().sum(-1).mean().sqrt())


@torch.no_grad()
def measured(network: nn.Module, data: Pictures, test: Pictures, frontal: Pictures) -> dict[str, float]:
    """leak: how far canonical keypoints move with one person's expression; between: how far the people's
    means lie apart;
    guided error: keypoints from the landmarks that they shall follow; read-out error: landmarks read off all
    21 keypoints by a linear map that was fitted on the people of the training; reconstruction: mean error of
    bent pictures, colours 0 to 1."""
    network.eval()
    canonical = network(frontal.pictures.float() / 255).canonical
    people = frontal.person.unique()
    means = torch.stack([canonical[frontal.person == who].mean(0) for who in people])
    leak = rms(torch.cat([canonical[frontal.person == who] - means[k] for k, who in enumerate(people)]))
    keypoints = {name: torch.cat([posed(network(chunk.float() / 255)) for chunk in some.pictures.split(64)])[..., :2]
                 for name, some in (("train", data), ("test", test))}  # fmt: skip
    wanted = {"train": data.landmarks[:, LANDMARKS], "test": test.landmarks[:, LANDMARKS]}
    inputs = {
        name: torch.cat([points.flatten(1), torch.ones(len(points), 1)], 1).double()
        for name, points in keypoints.items()
    }
    known = inputs["train"]
    ridge = 1e-4 * len(data) * torch.eye(known.shape[1], dtype=torch.float64)
    fitted = torch.linalg.solve(known.T @ known + ridge, known.T @ wanted["train"].flatten(1).double())
    read = (inputs["test"] @ fitted).float().unflatten(1, (-1, 2))
    pairs = draw_pairs(test, TEST_PAIRS, torch.Generator().manual_seed(5))
    motion = network(torch.cat([pairs.source, pairs.driving]))
    source, driving = part(motion, 0, TEST_PAIRS), part(motion, TEST_PAIRS, 2 * TEST_PAIRS)
    made = bend(pairs.source, posed(source), posed(driving, source.canonical))
    return {
        "leak": leak, "between": rms(means - means.mean(0)),
        "guided_error": rms(keypoints["test"][:, KEYPOINTS] - wanted["test"]),
        "read_out_error": rms(read - wanted["test"]),
        "reconstruction": float((made - pairs.driving).abs().mean()),
        "unmoved": float((pairs.source - pairs.driving).abs().mean()),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("result", type=Path)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("frontal", type=Path)
    parser.add_argument("--first-steps", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--canonical", type=float, default=Weights.canonical)
    parser.add_argument("--landmark", type=float, default=Weights.landmark)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data, test, frontal = (read_pictures(path) for path in (options.train, options.test, options.frontal))
    network, started = tiny_extractor(options.seed), time.monotonic()
    first = FineTuning(network, replace(Weights(), canonical=0.0, landmark=0.0), options.seed,
        options.first_steps, options.batch,
                       options.rate)  # fmt: skip
    first.train(data, name="before")
    state = {key: value.clone() for key, value in network.state_dict().items()}
    found = {"before": measured(network, data, test, frontal)}
    print("before", found["before"], flush=True)
    for name, (canonical, landmark) in ARMS.items():
        network.load_state_dict(state)
        weights = replace(
            Weights(), canonical=canonical * options.canonical, landmark=landmark * options.landmark
        )
        tuning = FineTuning(
            network, weights, options.seed + 100, options.steps, options.batch, options.rate / 2
        )
        tuning.train(data, name=name)
        found[name] = measured(network, data, test, frontal)
        print(name, found[name], flush=True)
    chosen = {
        name: getattr(options, name)
        for name in ("first_steps", "steps", "batch", "rate", "canonical", "landmark", "seed")
    }
    rounded = {
        arm: {name: round(value, 5) for name, value in values.items()} for arm, values in found.items()
    }
    result = {"settings": chosen, "seconds": round(time.monotonic() - started), "measured": rounded}
    options.result.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
