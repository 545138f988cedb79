"""What KDTalker's denoiser is trained to do: the published step (noise prediction, heard through noise)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...models.kdtalker.motion import POSE
from ...models.kdtalker.network import KDTalkerDenoiser
from ...models.kdtalker.sampling import alpha_bars
from ...models.sampling.schedule import noised
from ..learning.recipe import Average, Cosine, Recipe

BATCH, STEPS, WARM_UP, CLIP = 256, 500_000, 2000, 50.0
RATE_OF_ONE = 2e-6  # learning rate of each sample in a batch
BETAS, EPS, DECAY = (0.95, 0.999), 1e-8, 1e-6
AUGMENTED = 0.7  # share of the batches whose sound is disturbed
AVERAGE = Average(0.999, every=20, first=1, reach=10)


def recipe(
    batch: int = BATCH, steps: int = STEPS, warm_up: int = WARM_UP, clip: float = CLIP, average: bool = False,
    rate_of_one: float = RATE_OF_ONE,
) -> Recipe:  # fmt: skip
    """As published: the first step changes nothing, and names with "bias" (also of the relative positions' table)
    lose no weight."""
    return Recipe(
        steps, rate_of_one * batch, Cosine(warm_up, first=0), BETAS, EPS, DECAY, "bias", clip,
        AVERAGE if average else None,
    )  # fmt: skip


def ready_to_train(network: KDTalkerDenoiser) -> KDTalkerDenoiser:
    """All of it wants a gradient but the rotary frequencies, which are constants."""
    network.train().requires_grad_(True)
    for name, parameter in network.named_parameters():
        if name.endswith("rotary_emb.freqs"):
            parameter.requires_grad_(False)
    return network


def initialised(network: KDTalkerDenoiser, seed: int) -> KDTalkerDenoiser:
    """Fresh weights as PyTorch starts linear layers and tables; norms at 1 and 0, and the constants."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            module.reset_parameters()
    with torch.no_grad():
        for name, value in [*network.named_parameters(), *network.named_buffers()]:
            if name.endswith("gamma"):
                value.fill_(1)
            elif name.endswith("beta"):
                value.zero_()
            elif name.endswith("rotary_emb.freqs"):
                value.copy_(10000 ** (-torch.arange(len(value)) / len(value)))
            elif name.endswith("freq_bands"):
                value.copy_(2 ** torch.linspace(1, len(value) - 1, len(value)))
    return ready_to_train(network)


def disturbed(speech: Tensor, noise: Tensor) -> Tensor:
    """Sound plus noise of its own mean and deviation, both over the whole batch, zero rows of the conditions
    included; the noise covers those rows too, and has their mean, which is not 0."""
    return speech + speech.mean() + speech.std() * noise


def with_condition_rows(speech: Tensor, rows: int) -> Tensor:
    """[B,N,512] -> [B,rows+N,512]: silence beside the condition tokens."""
    return nn.functional.pad(speech, (0, 0, rows, 0))


def terms(
    network: KDTalkerDenoiser, given: Mapping[str, Tensor], steps: Tensor, noise: Tensor, heard: Tensor,
) -> tuple[dict[str, Tensor], Tensor, Tensor]:  # fmt: skip
    """Losses, noisy motion and predicted noise [B,N,M] at diffusion steps [B].

    given: as `samples.sample` makes it; heard [B,rows+N,512]: the sound with its condition rows. "loss" is the mean
    squared error of all; "pose" and "expression" are told alone.
    """
    clean = given["motion"]
    share = alpha_bars().float().to(clean)[steps][:, None, None]
    noisy = noised(clean, noise, share)
    predicted = network(noisy, steps, given["reference"], given["canonical"], heard)
    error = (predicted - noise).square()
    losses = {"loss": error.mean(), "pose": error[..., 1:POSE].mean(), "expression": error[..., POSE:].mean()}
    return losses, noisy, predicted


def loss_of(
    network: KDTalkerDenoiser, given: Mapping[str, Tensor], augmented: float = AUGMENTED
) -> dict[str, Tensor]:
    """The losses of a batch at random steps; its sound is disturbed with probability `augmented`."""
    clean = given["motion"]
    heard = with_condition_rows(given["speech"], network.sizes.tokens)
    if augmented and torch.rand(()) < augmented:
        heard = disturbed(heard, torch.randn_like(heard))
    steps = torch.randint(0, len(alpha_bars()), (len(clean),)).to(clean.device)
    return terms(network, given, steps, torch.randn_like(clean), heard)[0]
