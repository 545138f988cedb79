"""How the speech networks are trained: warm-up, a cosine, and a running average of the weights."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from ..learning.loop import go_on, train, train_fully
from ..learning.recipe import Average, Cosine, Recipe
from ..learning.training import Terms, Training


def train_averaged(
    network: nn.Module, loss_of: Callable[[], Tensor | Terms], steps: int, rate: float, random: np.random.Generator,
    resume: Path | None = None, settings: Mapping[str, Any] | None = None,
) -> Training:  # fmt: skip
    """The run; the network has the average of its last weights.

    loss_of() draws a batch by `random` and torch's chance and gives its loss. With `resume` a run may be stopped, which
    is a SystemExit, and goes on from that file; ValueError if it is of a run with other settings.
    """
    recipe = Recipe(
        steps,
        rate,
        Cosine(max(1, round(0.15 * steps))),
        betas=(0.9, 0.999),
        decay=0.02,
        average=Average(0.995),
    )
    run = Training(network, recipe, 0, settings)
    run.random = random
    report = max(1, min(100, steps // 3))
    if resume is None:
        train(run, loss_of, report=report)
    else:
        go_on(run, resume)
        train_fully(run, loss_of, resume, report=report)
    network.load_state_dict(run.result())
    return run
