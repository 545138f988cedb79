"""Training of ACTalker at a toy's scale: random gates, mask-drop, and a gradient through the mamba layer."""

import numpy as np
import pytest
import torch
from talking_portrait.training.actalker import objective
from talking_portrait.training.actalker import train_tiny as toy


@pytest.fixture(scope="module")
def world():
    patch = pytest.MonkeyPatch()
    patch.setattr(toy, "PEOPLE", 1)
    yield toy.World(0, frames=2, films=6, tests=4)
    patch.undo()


@pytest.mark.slow
@pytest.mark.parametrize("mask_drop", [True, False])
def test_gates_are_random_and_masks_are_dropped_only_where_both_signals_are_on(world, mask_drop):
    calls = []

    def network(x, *args, audio, motion, regions, **kwargs):
        calls.append((audio is not None, motion is not None, regions.masks != (None, None)))
        return x[:, :4]

    random = np.random.default_rng(0)
    for _ in range(40):
        world.loss(network, random, 2, mask_drop)
    assert set(calls) == {(True, False, False), (False, True, False), (True, True, mask_drop)}


def test_a_test_s_sound_and_motion_are_of_films_that_were_not_learned_of_one_person(monkeypatch):
    def drawn(who, count, random, frames):
        pictures = who + torch.from_numpy(random.random((count, frames, 3, toy.SIZE, toy.SIZE))).float()
        return pictures, torch.from_numpy(random.random((count, frames, 6))).float()

    for name, value in (("PEOPLE", 2), ("drawn", drawn), ("people", lambda count, seed: range(count))):
        monkeypatch.setattr(toy, name, value)
    world = toy.World(0, frames=2, films=6, tests=5)
    who = world.films.mean((1, 2, 3, 4)).floor()
    assert len(world.films) == 22 and not set(world.train.tolist()) & set(world.test.tolist())
    assert torch.equal(who[world.other], who) and (world.other[world.test] != world.test).all()
    assert set(world.other[world.test].tolist()) == set(world.test.tolist()), "each is also heard"
    assert torch.equal(world.portrait[who == 1], world.latents[6, 0].expand(11, -1, -1, -1))


def test_the_masks_share_the_picture_between_the_signals():
    audio, motion = toy.separate().masks
    assert torch.equal(audio + motion, torch.ones_like(audio)) and 0.05 < audio.mean() < 0.5


@pytest.mark.slow
def test_the_loss_has_a_gradient_in_every_part_of_the_mamba_layer(world, monkeypatch):
    monkeypatch.setattr(objective, "GATES", ((True, True),))
    torch.manual_seed(0)
    network = toy.tiny_unet(0)
    for parameter in network.parameters():  # nothing stays at the zeros that training starts from
        parameter.data.add_(0.01 * torch.randn_like(parameter))
    world.loss(network, np.random.default_rng(0), 2, True).backward()
    found = {
        name: parameter.grad for name, parameter in network.named_parameters() if ".mamba_blocks." in name
    }
    without = {name for name, value in found.items() if value is None or not value.abs().max() > 0}
    assert len(found) == 15 * 18 and not {name for name in without if "id_proj" not in name}


@pytest.mark.slow
def test_frames_see_each_other_and_the_identity_is_heard(world):
    torch.manual_seed(0)
    network = toy.tiny_unet(0)
    for parameter in network.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    index, sigma = world.train[:1], torch.ones(1)
    noisy, signals = torch.randn(world.latents[index].shape), world.signals[index]

    def made(given: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            films = world.given(index, signals, signals)
            return objective.velocity(network, given, sigma, films, (True, True), toy.Regions())

    plain, other = made(noisy), noisy.clone()
    other[:, 1] = 0
    assert (made(other)[:, 0] - plain[:, 0]).abs().max() > 1e-5, "the first frame does not see the second"
    world.knows(False)
    assert (made(noisy) - plain).abs().max() > 1e-5, "nobody is told who it is"
    world.knows(True)
    assert torch.equal(made(noisy), plain)
