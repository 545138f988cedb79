"""One denoising call of ACTalker driven by sound alone: the published way against ours, and the memory it takes.

    python3 run.py python benchmarks/actalker_step_cost.py [--channels 320] [--out RESULT.json]

Published way: four guidance branches, of which two are equal when one signal is closed, and in the blocks over time the keys and
values of sound projected anew for every place of the picture. Ours: three branches, keys and values once per clip. Random weights
of full width, a small picture, fp32, one thread; both in turn in one run. Memory is what the process grows by beside the weights.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import comfy.cli_args
import torch
from torch import Tensor

comfy.cli_args.args.cpu = not torch.cuda.is_available()

from comfy.ldm.modules.diffusionmodules.util import timestep_embedding  # noqa: E402
from talking_portrait.models.actalker import attention  # noqa: E402
from talking_portrait.models.actalker.attention import OPTION, AttentionStreams, ControlledTransformer  # noqa: E402
from talking_portrait.models.actalker.regions import Regions  # noqa: E402
from talking_portrait.models.actalker.unet import ACTalkerUNet, time_id_embedding, unet_config  # noqa: E402

CONTEXT, FRAMES, TURNS = 1024, 4, 3
SIDES = (8, 16)  # of the latent; the first for memory alone


class PublishedTransformer(ControlledTransformer):
    """Sound's keys and values over time are projected for each place, as the published code does."""

    def _over_time(self, h: Tensor, identity: Tensor, streams, frames: int, options) -> Tensor:
        count, tokens, channels = h.shape
        index = torch.arange(frames).repeat(count // frames)
        position = timestep_embedding(index, self.in_channels, max_period=self.max_time_embed_period).to(h.dtype)
        t = (h + self.time_pos_embed(position)[:, None]).unflatten(0, (-1, frames)).transpose(1, 2).flatten(0, 1)

        def per_place(x: Tensor | None) -> Tensor | None:
            return None if x is None else attention._clip_mean(x, frames).repeat_interleave(tokens, 0)

        here = AttentionStreams((per_place(streams.audio), per_place(streams.motion)))
        t = self.time_stack[0](t, context=per_place(identity), transformer_options={**options, OPTION: here})
        return t.unflatten(0, (-1, tokens)).transpose(1, 2).reshape(count, tokens, channels)


def network(channels: int) -> ACTalkerUNet:
    """Random numbers, small enough that nothing overflows."""
    made = ACTalkerUNet(**unet_config(channels, CONTEXT))
    for parameter in made.parameters():
        parameter.data.normal_(0, 0.02) if parameter.ndim > 1 else parameter.data.fill_(0.5)
    return made.requires_grad_(False).eval()


def call(unet: ACTalkerUNet, branches: int, side: int) -> Tensor:
    """All branches of one window of frames at once; motion is closed."""
    random, count = torch.Generator().manual_seed(0), branches * FRAMES
    picture = torch.randn(FRAMES, 8, side, side, generator=random).repeat(branches, 1, 1, 1)
    identity, audio = torch.randn(1, 1, CONTEXT, generator=random), torch.randn(FRAMES, 32, CONTEXT, generator=random)
    return unet(
        picture, torch.full((count,), 0.3), context=identity.expand(count, -1, -1), y=time_id_embedding().expand(count, -1),
        audio=audio.repeat(branches, 1, 1), regions=Regions(), num_video_frames=FRAMES,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", type=int, default=320)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "actalker_step_cost.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    unet = network(options.channels)
    layers = [module for module in unet.modules() if isinstance(module, ControlledTransformer)]
    result: dict = {"channels": options.channels, "frames": FRAMES, "latent": SIDES[-1]}
    with torch.inference_mode():
        before, memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, {}
        for side in SIDES:
            ours = call(unet, 1, side)
            memory[f"{8 * side} px, one branch"] = round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3)
        result["MB beside the weights"] = memory
        seconds: dict[str, list[float]] = {"published way": [], "ours": []}
        for _ in range(TURNS):
            for name, kind, branches in (("published way", PublishedTransformer, 4), ("ours", ControlledTransformer, 3)):
                for layer in layers:
                    layer.__class__ = kind
                begun = time.process_time()
                out = call(unet, branches, SIDES[-1])
                seconds[name].append(time.process_time() - begun)
                difference = (out[:FRAMES] - ours).abs().max() / ours.abs().max()
                assert difference < 1e-3, f"{name} computes something else: {difference}"
    result["seconds"] = {name: [round(value, 2) for value in values] for name, values in seconds.items()}
    result["times faster"] = round(min(seconds["published way"]) / min(seconds["ours"]), 2)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
