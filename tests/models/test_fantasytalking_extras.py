"""FantasyTalking's identity branch, motion intensity and its measure: nothing without weights, and what they do with them."""

import comfy.model_management
import comfy.model_patcher
import numpy as np
import pytest
import torch
from comfy.patcher_extension import WrapperExecutor, WrappersMP
from talking_portrait.models.fantasytalking.carrier import Identity
from talking_portrait.models.fantasytalking.face import FIVE, TEMPLATE, aligned_face
from talking_portrait.models.fantasytalking.identity import (
    IdentityBranch,
    build_identity,
    identity_state,
    published_names,
)  # fmt: skip
from talking_portrait.models.fantasytalking.intensity import (
    PREFIX,
    RIGID,
    MotionIntensity,
    Reference,
    body_intensity,
    build_intensity,
    face_intensity,
    intensity_state,
)  # fmt: skip
from talking_portrait.models.fantasytalking.patch import patched, with_identity, with_intensity
from talking_portrait.models.fantasytalking.training import Extras, Films, flow_loss, hearing
from talking_portrait.tools.golden_cases.fantasytalking import TinyWan
from talking_portrait.tools.goldens import COPIES, GoldenCase

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
    extras = Extras(IdentityBranch(len(wan.blocks), wan.dim, 64, queries=2, layers=1), MotionIntensity(wan.dim, 16))
    channels, text = wan.patch_embedding.weight.shape[1], wan.text_embedding[0].weight.shape[1]
    wide = wan.head.head.weight.shape[0] // 4
    films = Films(
        torch.randn(2, wide, 2, 4, 4), torch.randn(2, channels - wide, 2, 4, 4), torch.zeros(2, 257, 1280), torch.zeros(2, 1, text),
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
    assert extras.identity.blocks[0].v_proj.weight.abs().max() > 0 and extras.intensity.project.weight.abs().max() > 0
    assert all(torch.equal(before[key], value) for key, value in wan.state_dict().items()) and own
    assert "forward" not in vars(wan.blocks[0].cross_attn)


def face(random=None, open_by: float = 0.0) -> np.ndarray:
    """478 points of a face with the points that matter where a face has them."""
    points = np.random.default_rng(0).uniform(100, 200, (478, 2))
    for index, place in zip(RIGID, ((110, 130), (135, 130), (165, 130), (190, 130), (150, 125), (150, 140)), strict=True):
        points[index] = place
    points[[0, 17, 61, 291]] += np.array([0, open_by])
    return points


def moved(points: np.ndarray, turn: float, size: float, shift: float) -> np.ndarray:
    c, s = np.cos(turn), np.sin(turn)
    return size * points @ np.array([[c, s], [-s, c]]) + shift


def test_head_motion_is_no_expression():
    still = [moved(face(), 0.02 * i, 1 + 0.01 * i, 3.0 * i) for i in range(10)]
    lively = [moved(face(open_by=4.0 * (i % 2)), 0.02 * i, 1 + 0.01 * i, 3.0 * i) for i in range(10)]
    more = [face(open_by=8.0 * (i % 2)) for i in range(10)]
    assert face_intensity(still) < 1e-12 < face_intensity(lively)
    assert face_intensity(more) == pytest.approx(4 * face_intensity([face(open_by=4.0 * (i % 2)) for i in range(10)]))
    assert face_intensity([3 * f for f in more]) == pytest.approx(face_intensity(more))
    assert face_intensity([more[0], None, *more[1:]]) == pytest.approx(face_intensity(more))
    with pytest.raises(ValueError, match="found in 1 of 2 frames"):
        face_intensity([face(), None])


def test_a_body_is_measured_in_shoulders():
    joints = np.concatenate([np.random.default_rng(1).uniform(0, 100, (18, 2)), np.ones((18, 1))], 1)
    frames = [joints + [i % 2, 0, 0] for i in range(8)]
    width = np.linalg.norm(joints[2, :2] - joints[5, :2])
    assert body_intensity(frames) == pytest.approx(0.25 / width**2)
    hidden = [frame * [1, 1, 0] if i == 3 else frame for i, frame in enumerate(frames)]
    with pytest.raises(ValueError, match="both shoulders"):
        body_intensity(hidden)


def test_coefficients_are_logarithmic_between_the_percentiles():
    reference = Reference(1e-4, 1e-2)
    assert [reference.coefficient(raw) for raw in (0, 1e-5, 1e-4, 1e-3, 1e-2, 1)] == pytest.approx([0, 0, 0, 0.5, 1, 1])


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
