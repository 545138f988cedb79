"""The prepared 7x7x7 kernel of LivePortrait's warping module follows its weights."""

import pytest
import torch
from talking_portrait.models.liveportrait.warping import DenseMotion
from torch.nn import functional as F

FEATURES = torch.randn(1, 142, 16, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = DenseMotion("cpu").requires_grad_(False)
    for parameter in network.mask.parameters():
        parameter.normal_(0, 0.02)
    return network


def error(network):
    """Largest difference from the convolution as torch computes it."""
    wanted = F.conv3d(FEATURES, network.mask.weight, network.mask.bias, padding=3)
    return (network.mask_logits(FEATURES) - wanted).abs().max()


@pytest.mark.slow
@pytest.mark.parametrize("change", ["in place", "through data", "bias", "loaded", "replaced"])
def test_changed_weights_are_used_at_once(network, change):
    assert error(network) < 1e-3
    weight, bias = network.mask.weight, network.mask.bias
    if change == "in place":
        weight.mul_(-1)
    elif change == "through data":  # ComfyUI's patches write so; no version counter moves
        weight.data.copy_(weight.data * 0.5)
    elif change == "bias":
        bias.add_(1)
    elif change == "loaded":
        network.mask.load_state_dict({"weight": weight * 2, "bias": bias * 0})
    else:
        network.mask.weight = torch.nn.Parameter(weight.clone().neg_(), requires_grad=False)
    assert error(network) < 1e-3


def test_unchanged_weights_are_prepared_once(network):
    network.mask_logits(FEATURES)
    prepared = network._mask_kernel
    network.mask_logits(FEATURES)
    assert network._mask_kernel is prepared


def test_training_reaches_the_weights(network):
    network.mask_logits(FEATURES)
    network.mask.requires_grad_(True)
    try:
        for _ in range(2):
            network.mask_logits(FEATURES).sum().backward()
        assert network.mask.weight.grad.abs().max() > 0
    finally:
        network.mask.requires_grad_(False)
