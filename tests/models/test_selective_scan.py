"""The selective scan against a step-by-step recurrence in float64: any length, rows, decay, direction and backend."""

import pytest
import torch
import torch.nn.functional as F
from talking_portrait.models.actalker import selective_scan as scans
from talking_portrait.models.actalker.selective_scan import blocked_scan, scan_with_kernel, selective_scan, softplus


def problem(rows: int, length: int, width: int, directions: int = 2, states: int = 16, spread: float = 1.0, seed: int = 0):
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


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize(("rows", "length", "width"), [(1, 1, 8), (2, 7, 8), (3, 97, 24), (1, 515, 40), (17, 33, 5)])
def test_it_is_the_recurrence(rows, length, width, directions):
    given = problem(rows, length, width, directions)
    assert error(selective_scan(**given), step_by_step(**given)) < 2e-6


@pytest.mark.parametrize("block", [1, 1000, 4096, 50_000])
def test_the_size_of_a_block_does_not_matter(block):
    given = problem(5, 61, 12)
    assert error(blocked_scan(**given, block=block), step_by_step(**given)) < 2e-6


@pytest.mark.parametrize("spread", [1e-3, 8.0, 60.0])
def test_it_is_stable_for_slow_and_for_instant_forgetting(spread):
    given = problem(2, 400, 16, spread=spread)
    given["A"] = given["A"] * (1e-4 if spread < 1 else 40.0)
    assert error(selective_scan(**given), step_by_step(**given)) < 5e-6


def test_a_state_that_never_forgets_keeps_the_first_token():
    given = problem(1, 2000, 4, directions=1)
    given["A"].fill_(-1e-7)
    given["u"][:, 1:] = 0
    got, wanted = selective_scan(**given), step_by_step(**given)
    assert wanted[:, -1].abs().max() > 1e-2
    assert error(got, wanted) < 1e-4  # float32 rounds each of the 2000 decays, which are a hair below 1


def test_the_second_direction_is_the_first_one_backwards():
    given = problem(2, 50, 8, directions=1)
    backwards = {key: value.flip(-2) if key in ("u", "dt", "B", "C") else value for key, value in given.items()}
    both = {key: value if key == "u" else torch.cat([value, torch.zeros_like(value)]) for key, value in given.items()}
    both["A"][1] = -1.0
    assert error(selective_scan(**both), selective_scan(**given).double()) < 1e-6
    both = {key: value if key == "u" else torch.cat([torch.zeros_like(value), value]) for key, value in given.items()}
    both["A"][0] = -1.0
    assert error(selective_scan(**both), selective_scan(**backwards).flip(1).double()) < 1e-6


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_half_precision_in_is_half_precision_out_with_a_float32_state(dtype, limit):
    given = {key: value.to(dtype) if key in ("u", "dt", "B", "C") else value for key, value in problem(2, 700, 16).items()}
    got = selective_scan(**given)
    assert got.dtype == dtype
    assert error(got, step_by_step(**given)) < limit


def test_softplus_is_exact_everywhere():
    x = torch.cat([torch.linspace(-80, 80, 20001), torch.tensor([-1e4, -0.0, 1e4])])
    wanted = torch.logaddexp(x.double(), torch.zeros(1, dtype=torch.float64))
    limit = torch.where(x.abs() < 10, 1e-6, 1e-5)  # float32 rounds the exponent of e^-80 to that
    assert ((softplus(x).double() - wanted).abs() <= limit * wanted + 1e-35).all()


def fused(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False):
    """What mamba-ssm's kernel computes, from its documentation: channels before time, groups of channels share B and C."""
    assert z is None and delta_softplus and all(x.is_contiguous() for x in (u, delta, A, B, C, D, delta_bias))
    assert A.dtype == D.dtype == delta_bias.dtype == torch.float32 and u.dtype == delta.dtype == B.dtype == C.dtype
    groups = B.shape[1]
    parts = []
    for g in range(groups):
        own = slice(g * u.shape[1] // groups, (g + 1) * u.shape[1] // groups)
        part = step_by_step(
            u[:, own].mT, delta[:, own].mT[None], A[None, own], B[:, g].mT[None], C[:, g].mT[None], D[None, own],
            delta_bias[None, own],
        )  # fmt: skip
        parts.append(part.mT)
    return torch.cat(parts, 1).to(u.dtype)


@pytest.mark.parametrize("directions", [1, 2])
def test_a_fused_kernel_is_given_what_it_expects(directions):
    given = problem(2, 19, 6, directions)
    assert error(scan_with_kernel(fused, **given), step_by_step(**given)) < 1e-6


def test_a_forced_backend_that_is_not_there_says_so(monkeypatch):
    monkeypatch.setattr(scans, "mamba_kernel", lambda: None)
    with pytest.raises(ValueError, match="mamba-ssm"):
        selective_scan(**problem(1, 3, 4), backend="mamba")
    with pytest.raises(ValueError, match="blocked"):
        selective_scan(**problem(1, 3, 4), backend="other")
    monkeypatch.setattr(scans, "mamba_kernel", lambda: fused)
    given = problem(1, 3, 4)
    assert error(selective_scan(**given, backend="mamba"), step_by_step(**given)) < 1e-6


@pytest.mark.parametrize("name", ["dt", "B", "C", "D", "bias"])
def test_shapes_that_do_not_fit_are_named(name):
    given = problem(2, 5, 4)
    given[name] = given[name][..., :-1]
    with pytest.raises(ValueError, match=f"selective_scan: {name} has the shape"):
        selective_scan(**given)


def test_nothing_in_is_nothing_out():
    assert selective_scan(**problem(2, 0, 4)).shape == (2, 0, 4)
