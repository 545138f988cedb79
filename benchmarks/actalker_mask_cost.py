"""What a mask saves in ACTalker's parallel-control mamba layer: seconds of CPU against the share of the
picture that it selects.

    python3 run.py python benchmarks/actalker_mask_cost.py [--out RESULT.json]

One frame of 576x576 at the highest level (5184 tokens, 320 channels), random weights, both streams open with
the same mask, one thread. 0 is a closed gate: the layer is then two projections and a norm.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import comfy.cli_args
import torch

comfy.cli_args.args.cpu = not torch.cuda.is_available()

from talking_portrait.models.actalker.parallel_control_mamba import ParallelControlMamba
from talking_portrait.tools.random_state import random_state

SIDE, CHANNELS, CONTEXT, REPEATS = 72, 320, 1024, 5
SHARES = (1.0, 0.5, 0.25, 0.1, 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "actalker_mask_cost.json"
    )
    out = parser.parse_args().out
    torch.set_num_threads(1)
    layer = ParallelControlMamba(CHANNELS, CONTEXT)
    layer.load_state_dict(random_state(layer, 0))
    x, identity = torch.randn(1, SIDE * SIDE, CHANNELS), torch.randn(1, 1, CONTEXT)
    audio, motion = torch.randn(1, 32, CONTEXT), torch.randn(1, 1, CONTEXT)
    tokens = {share: torch.arange(round(share * SIDE * SIDE)) for share in SHARES}
    seconds: dict[float, list[float]] = {share: [] for share in SHARES}
    with torch.inference_mode():
        for _ in range(REPEATS + 1):
            for share, chosen in tokens.items():
                begun = time.process_time()
                layer(x, identity, audio, motion, chosen, chosen)
                seconds[share].append(time.process_time() - begun)
    medians = {str(share): round(statistics.median(found[1:]), 4) for share, found in seconds.items()}
    result = {"tokens": SIDE * SIDE, "channels": CHANNELS, "seconds_by_share": medians}
    result["of_the_whole_picture"] = {
        share: round(value / medians["1.0"], 3) for share, value in medians.items()
    }
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
