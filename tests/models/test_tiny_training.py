"""The tools behind the tiny proofs: people, films, latents, probes, curves."""

import numpy as np
import pytest
import torch
from PIL import Image
from talking_portrait.training.data.talking_faces import (
    LinearLatents,
    Probe,
    film,
    motion,
    people,
    smooth_noise,
)
from talking_portrait.training.learning.curves import draw_curves
from talking_portrait.training.learning.loop import losses, train
from talking_portrait.training.learning.recipe import tiny
from talking_portrait.training.learning.training import Training


@pytest.fixture(scope="module")
def faces():
    return people(2, seed=3)


@pytest.mark.slow
def test_people_differ_and_move(faces):
    still = np.zeros((2, 3))
    shut, opened = (film(who, motion({"jawOpen": [0.0, 1.0]}, still), 32) for who in faces)
    assert shut.shape == (2, 3, 32, 32) and (shut[0] - opened[0]).abs().mean() > 0.05
    for pictures in (shut, opened):
        change = (pictures[1] - pictures[0]).abs().mean(0)
        assert change[18:].mean() > 3 * change[:10].mean()


@pytest.mark.slow
def test_latents_keep_pictures_and_probes_read_them(faces):
    random = np.random.default_rng(0)
    jaw = np.abs(smooth_noise(40, 1, 0.2, random)[:, 0]).clip(0, 1)
    pictures = film(faces[0], motion({"jawOpen": jaw}, np.zeros((40, 3))), 32)
    linear = LinearLatents(pictures, 8, 4)
    latents = linear.encode(pictures)
    assert latents.shape == (40, 8, 8, 8) and (linear.decode(latents) - pictures).abs().mean() < 0.03
    probe = Probe(pictures[:30], torch.from_numpy(jaw[:30]).float())
    assert (
        torch.corrcoef(torch.stack([probe(pictures[30:]), torch.from_numpy(jaw[30:]).float()]))[0, 1] > 0.95
    )


def test_training_lowers_a_loss_and_draws_it(tmp_path):
    toy = torch.nn.Linear(1, 1, bias=False)
    run = Training(toy, tiny(200, 0.1), 1)
    assert train(run, lambda: (toy.weight - 5).square().sum() + 0.1, name="toy")
    curve = losses(run)
    assert len(curve) == 4 and curve[-1] < 0.2 < curve[0]
    draw_curves({"a": curve, "b": [1.0, 0.5, 0.3, 0.2]}, "toy", tmp_path / "loss.png")
    assert np.asarray(Image.open(tmp_path / "loss.png").convert("L")).std() > 5
