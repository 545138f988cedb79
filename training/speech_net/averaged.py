"""The training loop of the speech networks: AdamW, one cycle, and a running average of the weights."""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

SHOWN = 100  # steps from one printed loss to the next


def train_averaged(network: nn.Module, loss_of: Callable[[], Tensor], steps: int, rate: float) -> nn.Module:
    """The network with the average of its last weights; loss_of() draws a batch and gives its loss."""
    average = {key: value.clone() for key, value in network.state_dict().items()}
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.15)
    started = time.monotonic()
    for step in range(steps):
        loss = loss_of()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        decay = min(0.995, step / (step + 20))
        for key, value in network.state_dict().items():
            average[key].mul_(decay).add_(value, alpha=1 - decay)
        if step % SHOWN == 0:
            print(f"{step:5d} loss {loss.item():.3f} {time.monotonic() - started:.0f} s", flush=True)
    network.load_state_dict(average)
    return network
