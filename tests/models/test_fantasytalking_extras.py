"""FantasyTalking's identity branch and motion intensity: nothing without weights, and what they do with them."""

import sys

import comfy.model_management
import comfy.model_patcher
import numpy as np
import pytest
import torch
from comfy.patcher_extension import WrapperExecutor, WrappersMP
from safetensors.torch import load_file
from talking_portrait.models.face.aligned import FIVE, TEMPLATE, aligned_face
from talking_portrait.models.fantasytalking.carrier import Identity
from talking_portrait.models.fantasytalking.identity import (
    IdentityBranch,
    build_identity,
    identity_state,
    published_names,
)  # fmt: skip
from talking_portrait.models.fantasytalking.intensity import (
    PREFIX,
    MotionIntensity,
    build_intensity,
    intensity_state,
)
from talking_portrait.models.fantasytalking.patch import patched, with_identity, with_intensity
from talking_portrait.tools.golden_cases.fantasytalking import TinyWan
from talking_portrait.tools.goldens import COPIES, GoldenCase
from talking_portrait.training.fantasytalking import train_extras
from talking_portrait.training.fantasytalking.objective import Extras, Films, flow_loss, hearing

from .stopping import stopped_after

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tiny():
    with torch.no_grad():
        return TinyWan(GoldenCase(COPIES / "fantasytalking" / "ft_cfg.public.golden.json"))


def branch(tiny, width: int = 64) -> IdentityBranch:
    """Random identity weights for the tiny Wan."""
    torch.manual_seed(3)
    model = tiny.patcher.model.diffusion_model
    made = IdentityBranch(len(model.blocks), model.dim, width, queries=3, layers=2)
    torch.nn.init.normal_(made.identity_proj.queries)
    return made.eval()


def heard(tiny, model) -> torch.Tensor:
    """One call of the patched diffusion model."""
    torch.manual_seed(0)
    with torch.inference_mode():
        diffusion = model.model.diffusion_model
        frames, channels = tiny.tokens.shape[1], diffusion.patch_embedding.weight.shape[1]
        video = torch.randn(1, channels, frames, 8, 8)
        text = torch.randn(1, 4, diffusion.text_embedding[0].weight.shape[1])
        seen = torch.randn(1, 257, 1280)
        model.patch_model(CPU)
        try:
            functions = model.get_all_wrappers(WrappersMP.DIFFUSION_MODEL)
            executor = WrapperExecutor.new_class_executor(diffusion._forward, diffusion, functions)
            return executor.execute(
                video, torch.tensor([500.0]), text, seen, None, {}, audio_embed=tiny.tokens
            )
        finally:
            model.unpatch_model(CPU)


def test_an_identity_is_heard_beside_the_audio_and_not_at_strength_0(tiny):
    plain = patched(tiny.patcher, tiny.adapter, 1.0, True)
    made = branch(tiny)
    with torch.inference_mode():
        tokens = made.identity_proj(torch.randn(1, 512))
    patcher = comfy.model_patcher.ModelPatcher(made, CPU, CPU)
    before = heard(tiny, plain)
    strong = heard(tiny, with_identity(plain, Identity(tokens, patcher, 0.5)))
    assert (strong - before).abs().max() > 1e-3
    assert with_identity(plain, Identity(tokens, patcher, 0.0)) is plain
    for parameter in made.blocks.parameters():
        parameter.data.zero_()
    assert torch.equal(heard(tiny, with_identity(plain, Identity(tokens, patcher, 0.5))), before)
    with pytest.raises(ValueError, match="does not come from Apply FantasyTalking"):
        with_identity(tiny.patcher, Identity(tokens, patcher, 0.5))
    other = comfy.model_patcher.ModelPatcher(IdentityBranch(1, 8, 64), CPU, CPU)
    with pytest.raises(ValueError, match="identity branch is for 1 of 8"):
        with_identity(plain, Identity(tokens, other, 0.5))


def test_intensity_moves_the_time_embedding_and_nothing_at_neutral(tiny):
    dim = tiny.patcher.model.diffusion_model.dim
    network = MotionIntensity(dim, 32)
    with torch.inference_mode():
        neutral, strong = network(torch.tensor([[0.5, 0.5]])), network(torch.tensor([[1.0, 0.2]]))
    assert not neutral.any() and strong.any()
    assert with_intensity(tiny.patcher, neutral) is tiny.patcher
    plain = patched(tiny.patcher, tiny.adapter, 1.0, True)
    moved = with_intensity(plain, 10 * strong)
    before = heard(tiny, plain)
    assert (heard(tiny, moved) - before).abs().max() > 1e-3
    assert torch.equal(heard(tiny, plain), before), "something of the patch is left"
    with pytest.raises(ValueError, match="already"):
        with_intensity(moved, strong)
    with pytest.raises(ValueError, match=f"width of 3, but model has {dim}"):
        with_intensity(plain, torch.ones(1, 3))


def test_intensity_moves_the_model_that_runs(tiny):
    """As core clones a patched MODEL for another GPU: same patches, a model of its own."""
    other = TinyWan(GoldenCase(COPIES / "fantasytalking" / "ft_cfg.public.golden.json")).patcher.model
    layer = other.diffusion_model.time_embedding[2]
    layer.weight.data.zero_()
    plain = patched(tiny.patcher, tiny.adapter, 1.0, True)
    change = torch.randn(1, other.diffusion_model.dim)
    override = (other, ({}, {}, {}, set()))
    got = heard(tiny, with_intensity(plain, change).clone(model_override=override))
    layer.bias.data.add_(change[0])
    assert torch.allclose(got, heard(tiny, plain.clone(model_override=override)), atol=1e-5)
    layer.bias.data.sub_(change[0])
    assert (got - heard(tiny, plain.clone(model_override=override))).abs().max() > 1e-3


def test_files_hold_both_under_the_names_of_the_paper_s_parts(tiny):
    made, network = branch(tiny), MotionIntensity(12, 32)
    file = {**published_names(made), **{PREFIX + key: value for key, value in network.state_dict().items()}}
    assert "identity_processor.blocks.0.cross_attn.processor.k_proj.weight" in file
    again = build_identity(identity_state(file), {})
    again.load_state_dict(identity_state(file))
    build_intensity(intensity_state(file), {}).load_state_dict(intensity_state(file))
    with pytest.raises(ValueError, match="no identity branch"):
        identity_state({"blocks.0.k_proj.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match="no motion-intensity"):
        intensity_state(published_names(made))


def test_training_changes_the_two_modules_alone(tiny):
    torch.manual_seed(0)
    wan = tiny.patcher.model.diffusion_model
    extras = Extras(
        IdentityBranch(len(wan.blocks), wan.dim, 64, queries=2, layers=1), MotionIntensity(wan.dim, 16)
    )
    channels, text = wan.patch_embedding.weight.shape[1], wan.text_embedding[0].weight.shape[1]
    wide = wan.head.head.weight.shape[0] // 4
    films = Films(
        torch.randn(2, wide, 2, 4, 4), torch.randn(2, channels - wide, 2, 4, 4), torch.zeros(2, 257, 1280),
        torch.zeros(2, 1, text),
        torch.randn(2, 512), torch.rand(2, 2),
    )  # fmt: skip
    before = {key: value.clone() for key, value in wan.state_dict().items()}
    own = [parameter.requires_grad_(False) for parameter in wan.parameters()]
    comfy.model_management.in_training = True
    try:
        with hearing(wan):
            optimizer = torch.optim.SGD(extras.parameters(), 0.1)
            losses = []
            for _ in range(2):
                torch.manual_seed(1)
                loss = flow_loss(wan, extras, films)
                losses.append(loss.item())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    finally:
        comfy.model_management.in_training = False
    assert losses[1] < losses[0]
    assert (
        extras.identity.blocks[0].v_proj.weight.abs().max() > 0
        and extras.intensity.project.weight.abs().max() > 0
    )
    assert all(torch.equal(before[key], value) for key, value in wan.state_dict().items()) and own
    assert "forward" not in vars(wan.blocks[0].cross_attn)


def moved(points: np.ndarray, turn: float, size: float, shift: float) -> np.ndarray:
    c, s = np.cos(turn), np.sin(turn)
    return size * points @ np.array([[c, s], [-s, c]]) + shift


@pytest.mark.slow
def test_the_toy_s_training_goes_on_after_a_stop_in_either_part(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    noise = torch.from_numpy(random.random((8, train_extras.FRAMES, 3, 48, 48))).float()
    films = (noise, *random.random((2, 8, train_extras.FRAMES)))
    for name, value in (("KNOWN", 1), ("NEW", 1), ("FILMS", 4)):
        monkeypatch.setattr(train_extras, name, value)
    monkeypatch.setattr(train_extras, "people", lambda count, seed: [None] * count)
    monkeypatch.setattr(train_extras, "drawn", lambda people, count, random: films)
    monkeypatch.setattr(train_extras, "measured", lambda *given: {"identity": {}, "intensity": {}})

    def ended(name: str) -> dict[str, torch.Tensor]:
        words = [str(tmp_path / f"{name}.safetensors"), "--base-steps", "2", "--steps", "2", "--batch", "2"]
        monkeypatch.setattr(sys, "argv", ["train_extras", *words])
        train_extras.main()
        return load_file(tmp_path / f"{name}.safetensors")

    whole = ended("whole")
    with stopped_after(monkeypatch, 1):
        for _ in ("tiny Wan", "extras"):
            with pytest.raises(SystemExit, match="stopped after 1 of 2 steps"):
                ended("part")
    again = ended("part")
    assert whole.keys() == again.keys() and all(torch.equal(whole[key], again[key]) for key in whole)


def test_a_face_is_laid_onto_arcface_s_points():
    picture, points = torch.zeros(200, 200, 3), np.zeros((478, 3))
    for group, (x, y) in zip(FIVE, TEMPLATE, strict=True):
        points[list(group), :2] = moved(np.array([[x, y]]), 0.3, 1.2, 40.0)
    for group in FIVE:
        x, y = points[list(group), :2].mean(0)
        picture[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2] = 1
    crop = aligned_face(picture, points)[0, 0]
    assert crop.shape == (112, 112)
    for x, y in TEMPLATE:
        assert crop[round(y), round(x)] > 0.5
    assert (crop > 0).float().mean() < 0.02
