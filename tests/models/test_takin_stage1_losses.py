"""The two losses of Takin-ADA's motion space, against their equations written out."""

import pytest
import torch
from talking_portrait.training.takin.stage1_losses import (
    HUBER_WIDTH,
    WING_WIDTH,
    canonical_keypoint_loss,
    huber,
    landmark_guided_loss,
    wing,
)


def test_canonical_loss_is_the_mean_of_equation_1():
    first, second = torch.randn(3, 21, 3) * 0.05, torch.randn(3, 21, 3) * 0.05
    expected = 0.0
    for difference in (first - second).flatten().tolist():
        size = abs(difference)
        expected += size**2 / 2 if size <= HUBER_WIDTH else HUBER_WIDTH * (size - HUBER_WIDTH / 2)
    assert canonical_keypoint_loss(first, second).item() == pytest.approx(expected / first.numel(), rel=1e-5)
    assert canonical_keypoint_loss(first, first) == 0


def test_landmark_loss_looks_at_x_and_y_of_each_picture():
    marks, keypoints = torch.randn(2, 5, 2), torch.randn(2, 5, 3)
    other, theirs = torch.randn(2, 5, 2), torch.randn(2, 5, 3)
    loss = landmark_guided_loss(marks, keypoints, other, theirs, "l1")
    expected = ((marks - keypoints[..., :2]).abs().mean() + (other - theirs[..., :2]).abs().mean()) / 2
    assert torch.allclose(loss, expected)
    deeper = keypoints.clone()
    deeper[..., 2] += 5
    assert torch.equal(loss, landmark_guided_loss(marks, deeper, other, theirs, "l1"))
    assert landmark_guided_loss(marks, marks, other, other) == 0


@pytest.mark.parametrize(("penalty", "joint"), [(huber, HUBER_WIDTH), (wing, WING_WIDTH)])
def test_penalties_have_no_step_at_their_joint(penalty, joint):
    below, above = penalty(torch.tensor([joint - 1e-6, joint + 1e-6], dtype=torch.float64))
    assert abs(above - below) < 3e-6  # the slope alone makes 2e-6 of the distance, a step would be far larger
    assert penalty(torch.tensor(0.0)) == 0 and torch.equal(
        penalty(torch.tensor(-0.3)), penalty(torch.tensor(0.3))
    )


def test_wing_pulls_harder_near_zero_than_huber_and_l1_alike_everywhere():
    small = torch.tensor(0.001, requires_grad=True)
    pulls = [torch.autograd.grad(penalty(small), small)[0] for penalty in (huber, wing)]
    assert pulls[1] > 50 * pulls[0], "wing has lost its point"


def test_gradients_bring_canonical_keypoints_together_and_keypoints_to_landmarks():
    torch.manual_seed(0)
    first, second = (torch.randn(4, 21, 3).mul_(0.1).requires_grad_() for _ in range(2))
    marks = torch.randn(4, 21, 2) * 0.1
    before = (first - second).abs().mean().item()
    optimiser = torch.optim.Adam([first, second], 0.005)
    for _ in range(100):
        loss = canonical_keypoint_loss(first, second) + 10 * landmark_guided_loss(marks, first, marks, second)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (first - second).abs().mean() < 0.1 * before and (first[..., :2] - marks).abs().mean() < 0.01


@pytest.mark.parametrize("call", [
    lambda: canonical_keypoint_loss(torch.zeros(2, 21, 3), torch.zeros(3, 21, 3)),
    lambda: canonical_keypoint_loss(torch.zeros(2, 21, 3), torch.zeros(2, 21, 3), "l2"),
    lambda: landmark_guided_loss(torch.zeros(2, 5, 3), torch.zeros(2, 5, 3), torch.zeros(2, 5, 2),
    torch.zeros(2, 5, 3)),
    lambda: landmark_guided_loss(torch.zeros(2, 5, 2), torch.zeros(2, 5, 3), torch.zeros(2, 4, 2),
    torch.zeros(2, 5, 3)),
])  # fmt: skip
def test_wrong_shapes_and_names_are_said(call):
    with pytest.raises(ValueError, match="stage-1 loss: "):
        call()
