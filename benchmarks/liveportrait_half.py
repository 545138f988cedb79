"""What half precision costs LivePortrait's pictures, on networks that have learnt to draw and on random ones.

    python3 run.py python benchmarks/liveportrait_half.py [--steps 250] [--out RESULT.json]

Appearance extractor, warping module and generator with all their layers and a quarter of their channels learn, for
some minutes, to draw the sample portrait shifted, turned and scaled as 21 keypoints in it say. Then motions that they
were not shown are drawn in float32, float16 and bfloat16, and the same by the networks as they were before they learnt.
That compares weights with structure to random numbers. It is not the published file, which is four times as wide, saw
millions of pictures, and may have larger values inside; nor is it a GPU, which sums in another order.
"""

import argparse
import copy
import json
import math
from pathlib import Path
from typing import Any

import comfy.cli_args
import torch
import torch.nn.functional as F
from torch import Tensor, nn

comfy.cli_args.args.cpu = True

from talking_portrait.models.liveportrait.appearance import AppearanceExtractor, AppearanceSizes
from talking_portrait.models.liveportrait.generator import GeneratorSizes, SpadeGenerator
from talking_portrait.models.liveportrait.warping import WarpingModule, WarpingSizes
from talking_portrait.tools.check.networks import sample_face
from talking_portrait.tools.random_state import random_state
from talking_portrait.training.liveportrait.finetune_motion_extractor import Drawing

RESULTS = Path(__file__).resolve().parent / "results" / "liveportrait_half.json"
APPEARANCE = AppearanceSizes(widths=(16, 32, 64), channels=8)
WARPING = WarpingSizes(
    channels=8, compressed=2, down=(16, 32, 64, 128, 256), up=(128, 64, 32, 16, 8), features=64
)
GENERATOR = GeneratorSizes(features=64, hidden=32, middle=128, rising=(64, 16))
SIDE, POINTS = 256, 21
TURN, SHIFT, GROW = 0.2, 0.15, 0.1  # most of: radians, half pictures, and a share of the size
HELD_OUT = 8
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


def taught(drawing: Drawing, picture: Tensor, points: Tensor, steps: int) -> Drawing:
    """A copy that learnt."""
    drawing, random = copy.deepcopy(drawing).requires_grad_(True), torch.Generator().manual_seed(0)
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
    return drawing.requires_grad_(False)


def drawn(drawing: Any, picture: Tensor, points: Tensor, driving: list[Tensor], dtype: torch.dtype) -> Tensor:
    """Frames [n,3,512,512] in float32, as the renderer makes them in a type."""
    nets = {part: copy.deepcopy(network).to(dtype) for part, network in drawing.networks.items()}
    source = nets["warping"].prepare(nets["appearance"](picture.to(dtype)), points)
    return torch.cat([nets["generator"](nets["warping"](source, one)).float() for one in driving])


def decibels(one: Tensor, other: Tensor) -> float:
    """PSNR of pictures in 0..1."""
    return round(-10 * math.log10(float((one - other).square().mean().clamp(min=1e-12))), 1)


def largest_values(drawing: Drawing, picture: Tensor, points: Tensor, driving: Tensor) -> float:
    """Of all that any layer gives; float16 ends at 65504."""
    found: list[float] = []

    def look(layer: nn.Module, given: Any, result: Any) -> None:
        if isinstance(result, Tensor):
            found.append(float(result.abs().max()))

    hooks = [layer.register_forward_hook(look) for layer in drawing.modules()]
    drawn_by: Any = drawing.networks
    drawn_by["generator"](
        drawn_by["warping"](drawn_by["warping"].prepare(drawn_by["appearance"](picture), points), driving)
    )
    for hook in hooks:
        hook.remove()
    return round(max(found), 1)


def figures(drawing: Drawing, picture: Tensor, points: Tensor) -> dict[str, Any]:
    """Of one set of weights, on motions that were not shown."""
    random = torch.Generator().manual_seed(1)
    wanted, driving = zip(*(moved(picture, points, random) for _ in range(HELD_OUT)), strict=True)
    exact = drawn(drawing, picture, points, list(driving), torch.float32)
    small = F.interpolate(exact, (SIDE, SIDE), mode="area")
    result: dict[str, Any] = {
        "float32 against the moved picture, dB": decibels(small, torch.cat(wanted)),
        "spread of the drawn pictures": round(float(exact.std()), 3),
        "largest value inside": largest_values(drawing, picture, points, driving[0]),
    }
    for dtype in HALVES:
        found = drawn(drawing, picture, points, list(driving), dtype)
        difference = 255 * (found - exact).abs()
        result[str(dtype).removeprefix("torch.")] = {
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
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.manual_seed(0)
    with torch.no_grad():
        image, face = sample_face()
        picture = F.interpolate(image.permute(2, 0, 1)[None], (SIDE, SIDE), mode="area")
        chosen = torch.from_numpy(face.points)[torch.linspace(0, 477, POINTS).long()].float()
        points = (chosen / image.shape[0] * 2 - torch.tensor([1.0, 1.0, 0.0]))[None]
    before = untaught()
    after = taught(before, picture, points, given.steps)
    with torch.inference_mode():
        result = {
            "steps": given.steps, "channels": "a quarter of the published", "motions": HELD_OUT,
            "after learning": figures(after, picture, points), "random": figures(before, picture, points),
        }  # fmt: skip
    print(json.dumps(result, indent=1))
    given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
