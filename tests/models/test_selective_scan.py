"""The selective scan against a step-by-step recurrence in float64: any length, rows, decay, direction,
backend; its gradient."""

import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from talking_portrait.models.actalker import selective_scan as scans
from talking_portrait.models.actalker.selective_scan import scan_with_kernel, selective_scan
from talking_portrait.models.actalker.selective_scan_blocked import blocked_scan, softplus


def problem(
    rows: int,
    length: int,
    width: int,
    directions: int = 2,
    states: int = 16,
    spread: float = 1.0,
    seed: int = 0,
):
    """Random arguments of selective_scan; `spread` widens the time steps and with them the range of decays."""
    make = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=make)

    rates = -torch.exp(normal(directions, width, states))
    return {
        "u": normal(rows, length, width), "dt": spread * normal(directions, rows, length, width), "A": rates,
        "B": normal(directions, rows, length, states), "C": normal(directions, rows, length, states),
        "D": normal(directions, width), "bias": normal(directions, width),
    }  # fmt: skip


def step_by_step(u, dt, A, B, C, D, bias):
    """The definition, one token after the other, in float64."""
    u, dt, A, B, C, D, bias = (x.double() for x in (u, dt, A, B, C, D, bias))
    out = torch.zeros_like(u)
    for k in range(len(A)):
        h = torch.zeros(u.shape[0], u.shape[2], A.shape[-1], dtype=torch.float64)
        tokens = range(u.shape[1]) if k == 0 else reversed(range(u.shape[1]))
        for t in tokens:
            step = F.softplus(dt[k, :, t] + bias[k])
            h = torch.exp(step[..., None] * A[k]) * h + (step * u[:, t])[..., None] * B[k, :, t, None]
            out[:, t] += (h * C[k, :, t, None]).sum(-1) + D[k] * u[:, t]
    return out


def error(got: torch.Tensor, wanted: torch.Tensor) -> float:
    """Largest difference, relative to the largest value."""
    return float((got.double() - wanted).abs().max() / wanted.abs().max())


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize(
    ("rows", "length", "width"), [(1, 1, 8), (2, 7, 8), (3, 97, 24), (1, 515, 40), (17, 33, 5)]
)
@torch.inference_mode()
def test_it_is_the_recurrence(rows, length, width, directions):
    given = problem(rows, length, width, directions)
    assert error(selective_scan(**given), step_by_step(**given)) < 2e-6


@pytest.mark.parametrize("chunk", [0, 3, 8])
@pytest.mark.parametrize("block", [1, 1000, 50_000, 10**6])
def test_sizes_of_blocks_and_chunks_do_not_matter(block, chunk):
    given = problem(5, 131, 12)
    assert error(blocked_scan(**given, block=block, chunk=chunk), step_by_step(**given)) < 2e-6


def test_it_is_exact_over_a_whole_frame_with_a_long_memory():
    given = problem(1, 5217, 16)
    given["A"] = -math.exp(-4) * torch.arange(1.0, 17).expand(2, 16, -1)
    assert error(selective_scan(**given), step_by_step(**given)) < 5e-7


@pytest.mark.parametrize("chunk", [0, 8])
@pytest.mark.parametrize("spread", [1e-3, 8.0, 60.0])
def test_it_is_stable_for_slow_and_for_instant_forgetting(spread, chunk):
    given = problem(2, 400, 16, spread=spread)
    given["A"] = given["A"] * (1e-4 if spread < 1 else 40.0)
    assert error(blocked_scan(**given, chunk=chunk), step_by_step(**given)) < 5e-6


def test_a_state_that_never_forgets_keeps_the_first_token():
    given = problem(1, 2000, 4, directions=1)
    given["A"].fill_(-1e-7)
    given["u"][:, 1:] = 0
    got, wanted = selective_scan(**given), step_by_step(**given)
    assert wanted[:, -1].abs().max() > 1e-2
    assert error(got, wanted) < 1e-4  # float32 rounds each of the 2000 decays, which are a hair below 1


def test_the_second_direction_is_the_first_one_backwards():
    given = problem(2, 50, 8, directions=1)
    backwards = {
        key: value.flip(-2) if key in ("u", "dt", "B", "C") else value for key, value in given.items()
    }
    both = {
        key: value if key == "u" else torch.cat([value, torch.zeros_like(value)])
        for key, value in given.items()
    }
    both["A"][1] = -1.0
    assert error(selective_scan(**both), selective_scan(**given).double()) < 1e-6
    both = {
        key: value if key == "u" else torch.cat([torch.zeros_like(value), value])
        for key, value in given.items()
    }
    both["A"][0] = -1.0
    assert error(selective_scan(**both), selective_scan(**backwards).flip(1).double()) < 1e-6


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_half_precision_in_is_half_precision_out_with_a_float32_state(dtype, limit):
    given = {
        key: value.to(dtype) if key in ("u", "dt", "B", "C") else value
        for key, value in problem(2, 700, 16).items()
    }
    got = selective_scan(**given)
    assert got.dtype == dtype
    assert error(got, step_by_step(**given)) < limit


def test_softplus_is_exact_everywhere():
    x = torch.cat([torch.linspace(-80, 80, 20001), torch.tensor([-1e4, -0.0, 1e4])])
    wanted = torch.logaddexp(x.double(), torch.zeros(1, dtype=torch.float64))
    # float32 rounds the exponent of e^-80 to that
    limit = torch.where(x.abs() < 2, 3e-7, torch.where(x.abs() < 10, 1e-6, 1e-5))
    assert ((softplus(x).double() - wanted).abs() <= limit * wanted + 1e-35).all()


def fused(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False):
    """What mamba-ssm's kernel computes, from its documentation: channels before time, groups of channels
    share B and C."""
    assert z is None and delta_softplus and all(x.is_contiguous() for x in (u, delta, A, B, C, D, delta_bias))
    assert (
        A.dtype == D.dtype == delta_bias.dtype == torch.float32
        and u.dtype == delta.dtype == B.dtype == C.dtype
    )
    groups = B.shape[1]
    parts = []
    for g in range(groups):
        own = slice(g * u.shape[1] // groups, (g + 1) * u.shape[1] // groups)
        part = step_by_step(
            u[:, own].mT, delta[:, own].mT[None], A[None, own], B[:, g].mT[None], C[:, g].mT[None],
            D[None, own],
            delta_bias[None, own],
        )  # fmt: skip
        parts.append(part.mT)
    return torch.cat(parts, 1).to(u.dtype)


@pytest.mark.parametrize("directions", [1, 2])
def test_a_fused_kernel_is_given_what_it_expects(directions):
    given = problem(2, 19, 6, directions)
    assert error(scan_with_kernel(fused, **given), step_by_step(**given)) < 1e-6


def with_gradient(given: dict) -> dict:
    return {key: value.clone().requires_grad_() for key, value in given.items()}


@pytest.mark.slow
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("block", [1, 50, 10**6])
def test_the_gradient_is_that_of_the_result(block, directions):
    given = {key: value.double() for key, value in problem(2, 5, 3, directions, states=2).items()}
    assert torch.autograd.gradcheck(
        lambda *args: blocked_scan(*args, block=block), tuple(with_gradient(given).values())
    )


@pytest.mark.parametrize(
    ("factor", "chunk"), [(math.exp(-4), 0), (1.0, 0), (1.0, 3), (1.0, 8), (40.0, 0), (40.0, 8)]
)
def test_the_gradient_is_the_recurrence_s_in_float32(factor, chunk):
    given = problem(3, 300, 12)
    given["A"] = factor * given["A"]
    ours, exact = with_gradient(given), with_gradient({key: value.double() for key, value in given.items()})
    weights = torch.randn(3, 300, 12, generator=torch.Generator().manual_seed(1))
    (weights * blocked_scan(**ours, chunk=chunk)).sum().backward()
    (weights * step_by_step(**exact)).sum().backward()
    for name in given:
        assert error(ours[name].grad, exact[name].grad) < 5e-6, name


def test_a_gradient_keeps_the_type_of_its_argument():
    given = with_gradient(
        {key: value.bfloat16() if key in "udtBC" else value for key, value in problem(2, 30, 6).items()}
    )
    selective_scan(**given).float().square().sum().backward()
    assert all(value.grad.dtype == value.dtype and value.grad.isfinite().all() for value in given.values())


def test_a_gpu_gets_the_fastest_backend_that_can_do_what_is_asked(monkeypatch):
    gpu = torch.device("cuda", 0)
    monkeypatch.setattr(scans, "mamba_kernel", lambda: None)
    monkeypatch.setattr(scans, "triton_kernel", lambda device: None)
    assert scans.choose_backend(gpu, gradient=False) == "blocked"
    monkeypatch.setattr(scans, "triton_kernel", lambda device: blocked_scan)
    assert scans.choose_backend(gpu, gradient=False) == "triton"
    assert scans.choose_backend(gpu, gradient=True) == "blocked"
    monkeypatch.setattr(scans, "mamba_kernel", lambda: fused)
    assert scans.choose_backend(gpu, gradient=True) == scans.choose_backend(gpu, gradient=False) == "mamba"
    assert scans.choose_backend(torch.device("cpu"), gradient=False) == "blocked"


@pytest.mark.parametrize("wrong", [lambda y: 1.001 * y, lambda y: y.flip(1), lambda y: y * float("nan")])
def test_a_kernel_that_computes_something_else_is_found_out(wrong):
    assert scans._agrees(blocked_scan, torch.device("cpu"))
    assert not scans._agrees(lambda *given: wrong(blocked_scan(*given)), torch.device("cpu"))


@pytest.mark.slow
def test_it_works_where_neither_triton_nor_mamba_ssm_can_be_imported():
    code = f"""
import sys
sys.path[:] = {sys.path!r}
sys.modules["triton"] = sys.modules["mamba_ssm"] = None
import torch
from talking_portrait.models.actalker import selective_scan as scans
scans.choose_backend(torch.device("cuda", 0), False) == "blocked" or sys.exit("a backend that is not there")
sizes = (1, 3, 2), (1, 1, 3, 2), (1, 2, 4), (1, 1, 3, 4), (1, 1, 3, 4), (1, 2), (1, 2)
y = scans.selective_scan(*map(torch.ones, sizes))
y.shape == (1, 3, 2) or sys.exit("no result")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_forced_backend_that_is_not_there_says_so(monkeypatch):
    monkeypatch.setattr(scans, "mamba_kernel", lambda: None)
    with pytest.raises(ValueError, match="mamba-ssm"):
        selective_scan(**problem(1, 3, 4), backend="mamba")
    with pytest.raises(ValueError, match="a GPU"):
        selective_scan(**problem(1, 3, 4), backend="triton")
    with pytest.raises(ValueError, match="blocked"):
        selective_scan(**problem(1, 3, 4), backend="other")
    monkeypatch.setattr(scans, "mamba_kernel", lambda: fused)
    monkeypatch.setattr(scans, "triton_kernel", lambda device: blocked_scan)
    given = problem(1, 3, 4)
    for backend in scans.BACKENDS:
        assert error(selective_scan(**given, backend=backend), step_by_step(**given)) < 1e-6
    with pytest.raises(ValueError, match="has no gradient"):
        selective_scan(**with_gradient(given), backend="triton")


@pytest.mark.parametrize("name", ["u", "A"])
def test_a_dimension_too_few_is_named(name):
    given = problem(2, 5, 4)
    given[name] = given[name][0]
    with pytest.raises(ValueError, match=f"selective_scan: {name} has 2 dimensions"):
        selective_scan(**given)


@pytest.mark.parametrize("directions", [0, 3])
def test_only_one_or_two_directions(directions):
    with pytest.raises(ValueError, match=f"there are {directions} directions"):
        selective_scan(**problem(1, 5, 4, directions))


@pytest.mark.parametrize("name", ["dt", "B", "C", "D", "bias"])
def test_shapes_that_do_not_fit_are_named(name):
    given = problem(2, 5, 4)
    given[name] = given[name][..., :-1]
    with pytest.raises(ValueError, match=f"selective_scan: {name} has the shape"):
        selective_scan(**given)


def test_nothing_in_is_nothing_out():
    given = with_gradient(problem(2, 0, 4))
    nothing = selective_scan(**given)
    assert nothing.shape == (2, 0, 4)
    nothing.sum().backward()
