"""Takin-ADA's stage 1 through LivePortrait's own renderer, with the perceptual and the adversarial term."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from talking_portrait.models.liveportrait.checkpoint import FILES
from talking_portrait.tools.random_weights import liveportrait_states
from talking_portrait.training.data.drawn_faces import drawn_people
from talking_portrait.training.liveportrait.finetune_motion_extractor import (
    DRAWN_BY,
    Drawing,
    FineTuning,
    read_network,
    write_network,
)
from talking_portrait.training.liveportrait.picture_losses import (
    PLACES,
    PatchJudge,
    Perceptual,
    PictureLosses,
    read_perceptual,
)
from talking_portrait.training.liveportrait.stage1_proof import tiny_extractor
from talking_portrait.training.takin.stage1_objective import Penalties, Weights, bend
from talking_portrait.training.takin.stage1_pictures import drawn_pictures

SIDE = 128  # the least that the warping's five halvings of a quarter of it allow


def narrow_vgg(width: int = 4) -> dict[str, torch.Tensor]:
    """A file as torchvision's VGG-19 with few channels."""
    make, state, inputs = torch.Generator().manual_seed(0), {}, 3
    for place in filter(lambda place: place is not None, PLACES):
        state[f"features.{place}.weight"] = torch.randn(width, inputs, 3, 3, generator=make) * 0.3
        state[f"features.{place}.bias"] = torch.zeros(width)
        inputs = width
    return state | {"classifier.0.weight": torch.zeros(2, 2)}


def random_drawing() -> Drawing:
    """LivePortrait's three networks, small and of random numbers, frozen."""
    states, networks = liveportrait_states(small=True), {}
    for part in DRAWN_BY:
        state = states[FILES[part].safetensors]
        networks[part] = FILES[part].build(state, {})
        networks[part].load_state_dict(state)
    return Drawing(networks).requires_grad_(False)


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    return random_drawing()


@pytest.fixture(scope="module")
def pictures():
    return drawn_pictures(drawn_people(1, 3), 3, SIDE, np.random.default_rng(0))


@pytest.fixture(autouse=True)
def with_gradients():
    with torch.inference_mode(False), torch.enable_grad():
        yield


@pytest.mark.slow
@pytest.mark.parametrize("penalties", [Penalties(), Penalties("l1", "wing")])
def test_one_step_through_the_real_renderer_moves_extractor_renderer_and_judge(drawing, pictures, penalties):
    """Only a part of the renderer learns here, to save memory; its gradient comes through all of it."""
    torch.manual_seed(1)
    drawing.networks["appearance"].requires_grad_(True)
    losses = PictureLosses(Perceptual(narrow_vgg()), PatchJudge((8, 8)))
    tuning = FineTuning(tiny_extractor(1), Weights(), 3, 2, 1, 1e-3, drawing, penalties, losses)
    before = {name: value.detach().clone() for name, value in tuning.run.network.named_parameters()}
    taken = tuning.run.learn(tuning.loss(pictures))
    assert {"reconstruction", "perceptual", "adversarial", "matching", "judging"} < taken.terms.keys()
    assert all(np.isfinite(value) for value in taken.terms.values()) and taken.norm > 0
    moved = {name for name, value in tuning.run.network.named_parameters() if not value.equal(before[name])}
    frozen = {
        name for name in before if name.startswith(("drawing.networks.warping", "drawing.networks.gen"))
    }
    assert frozen and not moved & frozen
    for part in ("motion.detector.", "drawing.networks.appearance.", "judge.layers."):
        assert any(name.startswith(part) for name in moved), f"{part} did not learn"
    drawing.requires_grad_(False)


@pytest.mark.slow
def test_gradients_of_drawn_pictures_reach_the_keypoints(drawing, pictures):
    """Held to colours alone, the extractor still learns: the way goes through the whole renderer."""
    nothing = {name: 0.0 for name in vars(Weights())}
    weights = replace(Weights(), **{**nothing, "reconstruction": 1.0})
    tuning = FineTuning(tiny_extractor(1), weights, 3, 2, 1, 1e-3, drawing)
    tuning.loss(pictures)["loss"].backward()
    gradient = tuning.network.detector.fc_exp.weight.grad
    assert gradient is not None and gradient.abs().max() > 0


def test_the_judge_s_terms_keep_to_their_sides():
    torch.manual_seed(0)
    judge, made = PatchJudge((4, 4)), torch.rand(2, 3, 32, 32, requires_grad=True)
    terms = PictureLosses(judge=judge).terms(made, torch.rand(2, 3, 32, 32))
    drawn = torch.autograd.grad(terms["adversarial"] + terms["matching"], made, retain_graph=True)[0]
    assert drawn.abs().sum() > 0
    parameters = list(judge.parameters())
    none = torch.autograd.grad(
        terms["adversarial"] + 0 * terms["judging"], parameters, retain_graph=True, allow_unused=True
    )
    assert all(one is None or one.abs().sum() == 0 for one in none), "the drawing's term moves the judge"
    some = torch.autograd.grad(terms["judging"], [made, *parameters], allow_unused=True)
    assert some[0] is None, "the judge's term moves what is drawn"
    assert sum(float(one.abs().sum()) > 0 for one in some[1:] if one is not None) >= len(judge.layers)


def test_a_judge_learns_to_tell_noise_from_stripes_and_then_pulls_the_noise():
    torch.manual_seed(0)
    judge = PatchJudge((8, 8))
    stripes = (torch.arange(32) % 8 < 4).float().expand(4, 3, 32, 32)
    optimiser = torch.optim.Adam(judge.parameters(), 0.01)
    for _ in range(60):
        optimiser.zero_grad()
        terms = PictureLosses(judge=judge).terms(torch.rand(4, 3, 32, 32), stripes)
        terms["judging"].backward()
        optimiser.step()
    assert terms["judging"] < 0.5 and judge(stripes)[0].mean() > judge(torch.rand(4, 3, 32, 32))[0].mean() + 1


def test_perceptual_distance_is_none_of_a_picture_to_itself_and_grows_with_what_is_changed():
    network = Perceptual(narrow_vgg())
    picture = torch.rand(1, 3, 64, 64)
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(2))
    distances = [float(network(picture, picture + size * noise)) for size in (0.0, 0.01, 0.1)]
    assert distances[0] == 0 < distances[1] < distances[2]


def test_vgg_is_torchvision_s_own_network():
    """The same features as torchvision's class gives, layer by layer."""
    from torchvision.models import vgg19

    torch.manual_seed(0)
    theirs = vgg19(weights=None).eval()
    ours = Perceptual(theirs.state_dict())
    picture = torch.rand(1, 3, 32, 32)
    x, wanted = (picture - ours.mean) / ours.deviation, {}
    with torch.no_grad():
        for place, layer in enumerate(theirs.features[:30]):
            x = layer(x)
            wanted[place] = x.clone()
        found = ours.features(picture)
    for place, value in zip((1, 6, 11, 20, 29), found, strict=True):
        assert torch.allclose(value, wanted[place], atol=1e-6)


def test_a_stopped_run_with_a_judge_goes_on_with_the_same_numbers(pictures, tmp_path):
    small = type(pictures)(
        torch.nn.functional.avg_pool2d(pictures.pictures.float(), 4).byte(),
        pictures.landmarks, pictures.pose, pictures.person,
    )  # fmt: skip

    def begun() -> FineTuning:
        torch.manual_seed(5)
        losses = PictureLosses(judge=PatchJudge((4, 4)))
        return FineTuning(tiny_extractor(1), Weights(), 3, 40, 2, 3e-3, bend, pictures=losses)

    def steps(tuning: FineTuning, count: int) -> list[dict[str, float]]:
        return [tuning.run.learn(tuning.loss(small)).terms for _ in range(count)]

    losses, first = steps(begun(), 4), begun()
    early = steps(first, 2)
    first.run.save(tmp_path / "r.safetensors")
    second = begun()
    second.run.resume(tmp_path / "r.safetensors")
    assert early + steps(second, 2) == losses


@pytest.mark.slow
def test_a_trained_renderer_loads_where_the_published_one_does(drawing, tmp_path):
    part = "appearance"
    write_network(tmp_path / "a.safetensors", drawing.networks[part], {"seed": "1"})
    again = read_network(tmp_path / "a.safetensors", part).state_dict()
    assert all(again[key].equal(value) for key, value in drawing.networks[part].state_dict().items())


def test_files_that_are_no_vgg_are_refused_by_name(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "v.safetensors")
    with pytest.raises(ValueError, match="v.safetensors cannot be used: features.0.weight is missing"):
        read_perceptual(tmp_path / "v.safetensors")
    other = narrow_vgg() | {"features.2.weight": torch.zeros(4, 9, 3, 3)}
    save_file(other, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="w.safetensors cannot be used: it is no VGG-19"):
        read_perceptual(tmp_path / "w.safetensors")
    save_file(narrow_vgg(), tmp_path / "good.safetensors")
    assert isinstance(read_perceptual(tmp_path / "good.safetensors"), Perceptual)
