"""One denoising call of ACTalker, all guidance branches of a window: the published way against ours.

    python3 run.py python benchmarks/actalker_step_cost.py [--channels 320] [--out RESULT.json]

Published way: always four branches, of which two are equal when one signal is closed; a closed signal is
computed as zeros; queries and keys also for streams of one token, whose attention is 1; in the blocks over
time the keys and values of every stream projected anew for each place of the picture. Ours: branches that
differ, no closed signal, the value alone for one token, keys and values once per clip. Both use our scan.
Random weights of full width, a small picture, fp32, one thread; both in turn in one run.

"same at each step" is what projections of condition tokens take in ours: all that could be saved by keeping
them from step to step.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import comfy.cli_args
import torch
from torch import Tensor, nn

comfy.cli_args.args.cpu = not torch.cuda.is_available()

from comfy.ldm.modules.attention import optimized_attention
from talking_portrait.models.actalker import attention
from talking_portrait.models.actalker.attention import (
    ADAPTER_SCALE,
    OPTION,
    ControlledCrossAttention,
    ControlledTransformer,
    Streams,
)
from talking_portrait.models.actalker.parallel_control_mamba import ParallelControlMamba
from talking_portrait.models.actalker.regions import Regions
from talking_portrait.models.actalker.unet import ACTalkerUNet, time_id_embedding, unet_config

CONTEXT, FRAMES, SIDE, TURNS = 1024, 4, 16, 2  # SIDE of the latent
BRANCHES = {"sound alone": 3, "sound and motion": 4}
CONDITION_LAYERS = (
    "to_k_ip.0", "to_k_ip.1", "to_v_ip.0", "to_v_ip.1", "attn2.to_k", "attn2.to_v", "audio_proj", "exp_proj",
    "id_proj",
)  # fmt: skip


class PublishedCrossAttention(ControlledCrossAttention):
    """Queries, keys and values for every row and stream."""

    def forward(self, x: Tensor, context: Tensor, transformer_options: Any = None, **unused: Any) -> Tensor:
        q, none = self.to_q(x), torch.zeros(len(x), 1, CONTEXT)
        out = optimized_attention(q, self.to_k(context), self.to_v(context), self.heads)
        for i, tokens in enumerate(transformer_options[OPTION].tokens):
            seen = none if tokens is None else tokens
            k, v = self.processor.to_k_ip[i](seen), self.processor.to_v_ip[i](seen)
            out = out + ADAPTER_SCALE * optimized_attention(q, k, v, self.heads)
        return self.to_out(out)


class PublishedMamba(ParallelControlMamba):
    """A closed signal's two tokens are scanned too, and thrown away."""

    def _branch(
        self,
        z: Tensor,
        identity: Tensor,
        condition: Tensor | None,
        project: nn.Module,
        unit: nn.Module,
        tokens,
    ) -> Tensor:
        if condition is not None:
            return super()._branch(z, identity, condition, project, unit, tokens)
        unit(
            nn.functional.silu(
                torch.cat([self.id_proj(identity), project(torch.zeros_like(identity))], dim=1)
            )
        )
        return z


class PublishedTransformer(ControlledTransformer):
    """Over time, each place of the picture gets its own copy of the streams."""

    def _over_time(self, h: Tensor, identity: Tensor, streams: Streams, frames: int, options: Any) -> Tensor:
        places = h.shape[1]
        kept, attention._clip_mean = (
            attention._clip_mean,
            lambda x, frames: per_place(kept, x, frames, places),
        )
        try:
            return super()._over_time(h, identity, streams, frames, options)
        finally:
            attention._clip_mean = kept


def per_place(mean: Any, x: Tensor | None, frames: int, places: int) -> Tensor | None:
    return None if x is None else mean(x, frames).repeat_interleave(places, 0)


PUBLISHED = {
    ControlledCrossAttention: PublishedCrossAttention,
    ParallelControlMamba: PublishedMamba,
    ControlledTransformer: PublishedTransformer,
}


def made_published(unet: nn.Module, published: bool) -> None:
    """Change the kind of the UNet's layers."""
    kinds = PUBLISHED if published else {theirs: ours for ours, theirs in PUBLISHED.items()}
    for module in unet.modules():
        module.__class__ = kinds.get(type(module), type(module))


def network(channels: int) -> ACTalkerUNet:
    """Random numbers, small enough that nothing overflows."""
    made = ACTalkerUNet(**unet_config(channels, CONTEXT))
    for parameter in made.parameters():
        parameter.data.normal_(0, 0.02) if parameter.ndim > 1 else parameter.data.fill_(0.5)
    return made.requires_grad_(False).eval()


def call(unet: ACTalkerUNet, branches: int, motion: bool) -> Tensor:
    """All branches of one window of frames at once."""
    random, count = torch.Generator().manual_seed(0), branches * FRAMES
    picture = torch.randn(FRAMES, 8, SIDE, SIDE, generator=random).repeat(branches, 1, 1, 1)
    identity, *signals = (
        torch.randn(n, t, CONTEXT, generator=random) for n, t in ((1, 1), (FRAMES, 32), (FRAMES, 1))
    )
    audio, seen = (signal.repeat(branches, 1, 1) for signal in signals)
    return unet(
        picture, torch.full((count,), 0.3), context=identity.expand(count, -1, -1),
        y=time_id_embedding().expand(count, -1),
        audio=audio, motion=seen if motion else None, regions=Regions(), num_video_frames=FRAMES,
    )  # fmt: skip


def timed_layers(unet: nn.Module, spent: list[float]) -> list[Any]:
    """Hooks that add the CPU time of the condition tokens' projections to spent[0]."""

    def before(layer: nn.Module, given: Any) -> None:
        layer.begun = time.process_time()

    def after(layer: nn.Module, given: Any, result: Any) -> None:
        spent[0] += time.process_time() - layer.begun

    layers = [module for name, module in unet.named_modules() if name.endswith(CONDITION_LAYERS)]
    return [
        hook
        for layer in layers
        for hook in (layer.register_forward_pre_hook(before), layer.register_forward_hook(after))
    ]


def figures(unet: nn.Module, motion: bool, branches: int) -> dict:
    """CPU seconds of both ways in turn; ends the run if they compute different things."""
    seconds: dict[str, list[float]] = {"published way": [], "ours": []}
    spent = [0.0]
    for _ in range(TURNS):
        results = []
        for name, many in (("published way", 4), ("ours", branches)):
            made_published(unet, name == "published way")
            hooks = timed_layers(unet, spent) if name == "ours" else []
            begun = time.process_time()
            results.append(call(unet, many, motion)[:FRAMES])
            seconds[name].append(time.process_time() - begun)
            for hook in hooks:
                hook.remove()
        difference = float((results[0] - results[1]).abs().max() / results[1].abs().max())
        if not difference < 1e-3:
            raise SystemExit(f"the two ways differ by {difference:.1e}, so no time is printed")
    return {
        "seconds": {name: [round(value, 2) for value in values] for name, values in seconds.items()},
        "times faster": round(min(seconds["published way"]) / min(seconds["ours"]), 2),
        "share of ours that is the same at each step": round(spent[0] / sum(seconds["ours"]), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--channels", type=int, default=320)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "actalker_step_cost.json"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    unet = network(options.channels)
    result: dict = {"channels": options.channels, "frames": FRAMES, "pixels": 8 * SIDE}
    with torch.inference_mode():
        call(unet, 1, True)  # warm
        for signals, branches in BRANCHES.items():
            result[signals] = figures(unet, signals != "sound alone", branches)
            print(signals, json.dumps(result[signals]), flush=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
