"""How the speech networks are trained: warm-up, a cosine, and a running average of the weights."""

from collections.abc import Callable

from torch import Tensor, nn

from ..learning.loop import train
from ..learning.recipe import Average, Cosine, Recipe
from ..learning.training import Training


def train_averaged(network: nn.Module, loss_of: Callable[[], Tensor], steps: int, rate: float) -> nn.Module:
    """The network with the average of its last weights; loss_of() draws a batch and gives its loss."""
    recipe = Recipe(
        steps,
        rate,
        Cosine(max(1, round(0.15 * steps))),
        betas=(0.9, 0.999),
        decay=0.02,
        average=Average(0.995),
    )
    run = Training(network, recipe, 0)
    train(run, loss_of, report=100)
    network.load_state_dict(run.result())
    return network
