"""What half precision costs LivePortrait's pictures, on networks that have learnt to draw and on random ones.

    python3 run.py python benchmarks/liveportrait_half.py [--steps 500] [--unbounded]

Appearance extractor, warping module and generator with all their layers and an eighth of their channels learn, for
ten minutes or so, to draw the sample portrait, 128 pixels wide, shifted, turned and scaled as 21 keypoints in it say.
Then motions that they were not shown are drawn in float32, float16 and bfloat16, and the same by the networks as they
were before they learnt.
Spectral norms and counting batch norms bound what layers give, as where the published file learnt; --unbounded learns
without. That compares weights with structure to random numbers. It is not the published file, which is eight
times as wide, saw millions of pictures, and may have larger values inside; nor is it a GPU, which sums in another
order.
"""

import argparse
import copy
import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import comfy.cli_args
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import remove_parametrizations

comfy.cli_args.args.cpu = True

from talking_portrait.models.frozen_batch_norm import FrozenBatchNorm
from talking_portrait.models.liveportrait.appearance import AppearanceExtractor, AppearanceSizes
from talking_portrait.models.liveportrait.generator import GeneratorSizes, SpadeGenerator
from talking_portrait.models.liveportrait.warping import WarpingModule, WarpingSizes
from talking_portrait.tools.check.networks import sample_face
from talking_portrait.tools.random_state import random_state
from talking_portrait.training.liveportrait.finetune_motion_extractor import Drawing

RESULTS = Path(__file__).resolve().parent / "results" / "liveportrait_half.json"
APPEARANCE = AppearanceSizes(widths=(8, 16, 32), channels=4)
WARPING = WarpingSizes(
    channels=4, compressed=1, down=(8, 16, 32, 64, 128), up=(64, 32, 16, 8, 4), features=32
)
GENERATOR = GeneratorSizes(features=32, hidden=16, middle=64, rising=(32, 16))
SIDE, POINTS = 128, 21
TURN, SHIFT, GROW = 0.2, 0.15, 0.1  # most of: radians, half pictures, and a share of the size
HELD_OUT = 3
HALVES = (torch.float16, torch.bfloat16)


def untaught() -> Drawing:
    """The three networks with random numbers."""
    networks: dict[str, nn.Module] = {}
    for seed, (part, kind, sizes) in enumerate((
        ("appearance", AppearanceExtractor, APPEARANCE), ("warping", WarpingModule, WARPING),
        ("generator", SpadeGenerator, GENERATOR),
    )):  # fmt: skip
        networks[part] = kind(sizes=sizes)
        networks[part].load_state_dict(random_state(kind("meta", sizes=sizes), seed))
    return Drawing(networks)


def moved(picture: Tensor, points: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """A picture [1,3,H,W] and keypoints [1,21,3] in it, both shifted, turned and scaled alike."""
    turn, right, down, grow = (2 * torch.rand(4, generator=random) - 1).tolist()
    angle, scale = TURN * turn, 1 + GROW * grow
    forth = scale * torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    shift = SHIFT * torch.tensor([right, down])
    back = forth.inverse()
    grid = F.affine_grid(torch.cat([back, -(back @ shift)[:, None]], 1)[None], list(picture.shape), False)
    flat = torch.cat([points[..., :2] @ forth.T + shift, points[..., 2:]], -1)
    return F.grid_sample(picture, grid, padding_mode="border", align_corners=False), flat


def bounded(drawing: Drawing) -> tuple[list[nn.Module], list[Any]]:
    """Layers and hooks that bound what is inside while it learns, as the published training did: spectral norms on the
    generator's convolutions outside of its own norms, and batch norms that count what they see."""
    layers, hooks = [], []
    for name, layer in drawing.named_modules():
        if "generator" in name and name.split(".")[-1] in ("conv_0", "conv_1", "conv_s"):
            layers.append(spectral_norm(layer))
        elif isinstance(layer, FrozenBatchNorm):
            hooks.append(layer.register_forward_pre_hook(counted))
    return layers, hooks


def counted(norm: Any, given: Any) -> None:
    """Let a batch norm take the mean and variance of what it is given."""
    others = [axis for axis in range(given[0].ndim) if axis != 1]
    norm.running_mean.copy_(given[0].detach().mean(others))
    norm.running_var.copy_(given[0].detach().var(others, correction=0))


def taught(drawing: Drawing, picture: Tensor, points: Tensor, steps: int, unbounded: bool) -> Drawing:
    """A copy that learnt."""
    drawing, random = copy.deepcopy(drawing).requires_grad_(True), torch.Generator().manual_seed(0)
    layers, hooks = ([], []) if unbounded else bounded(drawing)
    adam = torch.optim.Adam(drawing.parameters(), 1e-3, betas=(0.5, 0.99))
    rate = torch.optim.lr_scheduler.OneCycleLR(adam, 2e-3, max(steps, 2))
    for step in range(steps):
        wanted, driving = moved(picture, points, random)
        loss = (drawing(picture, points, driving) - wanted).abs().mean()
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(drawing.parameters(), 1.0)
        adam.step()
        rate.step()
        if step % 25 == 0:
            print(f"step {step}: {loss.item():.4f}", flush=True)
    for layer in layers:
        remove_parametrizations(layer, "weight")
    for hook in hooks:
        hook.remove()
    return drawing.requires_grad_(False)


def drawn(drawing: Any, picture: Tensor, points: Tensor, driving: list[Tensor], dtype: torch.dtype) -> Tensor:
    """Frames [n,3,2 SIDE,2 SIDE] in float32, as the renderer makes them in a type."""
    nets = {part: copy.deepcopy(network).to(dtype) for part, network in drawing.networks.items()}
    source = nets["warping"].prepare(nets["appearance"](picture.to(dtype)), points)
    return torch.cat([nets["generator"](nets["warping"](source, one)).float() for one in driving])


def decibels(one: Tensor, other: Tensor) -> float:
    """PSNR of pictures in 0..1."""
    return round(-10 * math.log10(float((one - other).square().mean().clamp(min=1e-12))), 1)


def largest_values(drawing: Drawing, picture: Tensor, points: Tensor, driving: Tensor) -> dict[str, float]:
    """Of all that any layer of each network gives; float16 ends at 65504."""
    found = dict.fromkeys(drawing.networks, 0.0)

    def look(part: str, layer: nn.Module, given: Any, result: Any) -> None:
        if isinstance(result, Tensor):
            found[part] = max(found[part], round(float(result.abs().max()), 1))

    hooks = [
        layer.register_forward_hook(partial(look, part))
        for part, network in drawing.networks.items()
        for layer in network.modules()
    ]
    drawn_by: Any = drawing.networks
    drawn_by["generator"](
        drawn_by["warping"](drawn_by["warping"].prepare(drawn_by["appearance"](picture), points), driving)
    )
    for hook in hooks:
        hook.remove()
    return found


def figures(drawing: Drawing, picture: Tensor, points: Tensor) -> dict[str, Any]:
    """Of one set of weights, on motions that were not shown."""
    random = torch.Generator().manual_seed(1)
    wanted, driving = zip(*(moved(picture, points, random) for _ in range(HELD_OUT)), strict=True)
    exact = drawn(drawing, picture, points, list(driving), torch.float32)
    small = F.interpolate(exact, (SIDE, SIDE), mode="area")
    result: dict[str, Any] = {
        "float32 against the moved picture, dB": decibels(small, torch.cat(wanted)),
        "spread of the drawn pictures": round(float(exact.std()), 3),
        "largest values inside": largest_values(drawing, picture, points, driving[0]),
    }
    for dtype in HALVES:
        found = drawn(drawing, picture, points, list(driving), dtype)
        name = str(dtype).removeprefix("torch.")
        if not found.isfinite().all():
            result[name] = "values that are no numbers"
            continue
        difference = 255 * (found - exact).abs()
        result[name] = {
            "against float32, dB": decibels(found, exact),
            "mean difference, of 255": round(float(difference.mean()), 3),
            "99.9 % of values differ by less than, of 255": round(
                float(difference.flatten()[::7].quantile(0.999)), 2
            ),
            "largest difference, of 255": round(float(difference.max()), 1),
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--unbounded", action="store_true", help="without spectral norms")
    given = parser.parse_args()
    torch.manual_seed(0)
    with torch.no_grad():
        image, face = sample_face()
        picture = F.interpolate(image.permute(2, 0, 1)[None], (SIDE, SIDE), mode="area")
        chosen = torch.from_numpy(face.points)[torch.linspace(0, 477, POINTS).long()].float()
        points = (chosen / image.shape[0] * 2 - torch.tensor([1.0, 1.0, 0.0]))[None]
    before = untaught()
    after = taught(before, picture, points, given.steps, given.unbounded)
    name = "after learning, unbounded" if given.unbounded else "after learning"
    result = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    result |= {"channels": "an eighth of the published", "side": SIDE, "motions": HELD_OUT}
    with torch.inference_mode():
        for key, drawing in (("random", before), (name, after)):
            if key == "random" and key in result:
                continue  # the same every time
            result[key] = {
                "steps": given.steps if drawing is after else 0,
                **figures(drawing, picture, points),
            }
            print(json.dumps({key: result[key]}, indent=1), flush=True)
            RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
