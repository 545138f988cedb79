"""Memory and work of one training step at published sizes: counted, on tensors without content.

    python3 run.py python benchmarks/training_cost.py [--out RESULT.json]

Every multiplication forward and backward and every living tensor's bytes are added up; attention and the selective
scan count as fused kernels (result alone; backward computes 2.5 times what forward does, as flash attention, and the
scan's own work is left out). Blocks compute themselves again backward where it says so. Bytes of weights are those of
mixed precision: frozen ones 2 bytes; trained ones 4, and 12 more for gradient and AdamW. Hours follow from the work
at an assumed 40 % of a GPU's rate (H100: 989 TFLOP/s in bfloat16, 67 in float32), which nobody measured here.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import comfy.cli_args
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

comfy.cli_args.args.cpu = True
comfy.cli_args.args.use_pytorch_cross_attention = True

from fantasytalking_cost import FULL, HEADS, HIDDEN, SEEN, SOUND, TEXT, WIDTH, LivingBytes
from talking_portrait.models.actalker import parallel_control_mamba
from talking_portrait.models.actalker.regions import Regions
from talking_portrait.models.actalker.unet import ACTalkerUNet, time_id_embedding, unet_config
from talking_portrait.models.fantasytalking.attention import OPTION, AudioContext, with_audio
from talking_portrait.models.fantasytalking.network import BlockAudio, FantasyTalking
from talking_portrait.models.fantasytalking.timing import samples_of, token_count
from talking_portrait.models.fantasytalking.windows import audio_windows
from talking_portrait.models.kdtalker.network import KDTalkerDenoiser
from talking_portrait.models.takin.config import FULL as TAKIN
from talking_portrait.models.takin.network import TakinNet
from talking_portrait.training.actalker.objective import Films, velocity_loss
from talking_portrait.training.actalker.train import NOISE_LEVELS, choose, layers_of
from talking_portrait.training.fantasytalking.dual_stage import LiveKeys
from talking_portrait.training.kdtalker.objective import BATCH, STEPS, ready_to_train, terms
from talking_portrait.training.learning.core import checkpointed, core_in_training

USED, RATES = 0.4, {"bfloat16": 989e12, "float32": 67e12}
BACKWARD = 2.5  # of the forward work of attention
BLOCKS = 40
extra = [0.0]  # work of fused kernels


class FusedAttention(torch.autograd.Function):
    """The shapes of an attention and of its gradients."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.work = 4 * math.prod(query.shape[:-1]) * key.shape[-2] * query.shape[-1]
        extra[0] += ctx.work
        return torch.empty_like(query)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        extra[0] += BACKWARD * ctx.work
        return tuple(torch.empty_like(part) for part in ctx.saved_tensors)


class FusedScan(torch.autograd.Function):
    """What a fused scan over several directions keeps: the result of each, and their sum."""

    @staticmethod
    def forward(ctx: Any, *given: Tensor) -> Tensor:
        ctx.save_for_backward(*given)
        both = torch.empty_like(given[1].to(given[0].dtype))
        return both[0] + both[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.empty_like(part) for part in ctx.saved_tensors)


def attention(query: Tensor, key: Tensor, value: Tensor, *unused: Any, **how: Any) -> Tensor:
    """In the place of PyTorch's."""
    return FusedAttention.apply(query, key, value)  # type: ignore[return-value]


def scan(*given: Tensor) -> Tensor:
    """In the place of the pack's."""
    return FusedScan.apply(*given)  # type: ignore[return-value]


@contextmanager
def fused() -> Iterator[None]:
    """Attention and scan as kernels that keep nothing but their result."""
    before = F.scaled_dot_product_attention, parallel_control_mamba.selective_scan
    F.scaled_dot_product_attention, parallel_control_mamba.selective_scan = attention, scan
    try:
        with core_in_training():
            yield
    finally:
        F.scaled_dot_product_attention, parallel_control_mamba.selective_scan = before


def counted(step: Callable[[], Tensor]) -> tuple[float, int]:
    """FLOPs of a step forward and backward, and the most bytes of tensors that lived in it."""
    extra[0] = 0.0
    with fused(), FlopCounterMode(display=False) as work, LivingBytes() as live:
        step().float().mean().backward()
    return work.get_total_flops() + extra[0], live.most


def bytes_of(modules: list[nn.Module], frozen: list[nn.Module]) -> int:
    """Weights, gradients and AdamW's two averages of what is trained in float32, and frozen weights in 2 bytes."""
    trained, still = (sum(p.numel() for m in some for p in m.parameters()) for some in (modules, frozen))
    return 16 * trained + 2 * still


def told(
    work: float, held: int, live: int, samples: int, kind: str, steps: int | None = None
) -> dict[str, Any]:
    """One row; hours where the number of steps is published."""
    found = {
        "samples in a step": samples, "TFLOP of a step": round(work / 1e12, 1),
        "GB of weights, gradients and AdamW": round(held / 1e9, 1),
        "GB of activations at the peak": round(live / 1e9, 1),
    }  # fmt: skip
    if steps is None:
        return found
    hours = work / (USED * RATES[kind]) * steps / 3600
    return {**found, "steps": steps, f"hours on one H100 at {USED:.0%} of {kind}": round(hours, 1)}


def kdtalker() -> dict[str, Any]:
    """The published step: 256 windows of 64 frames, float32, nothing computed twice."""
    with torch.device("meta"):
        network = ready_to_train(KDTalkerDenoiser())
        given = {"motion": torch.empty(BATCH, 64, 70), "reference": torch.empty(BATCH, 70),
                 "canonical": torch.empty(BATCH, 63)}  # fmt: skip
        steps, noise = torch.zeros(BATCH, dtype=torch.long), torch.empty(BATCH, 64, 70)
        heard = torch.empty(BATCH, 66, 512)
        work, live = counted(lambda: terms(network, given, steps, noise, heard)[0]["loss"])
    return told(work, bytes_of([network], []), live, BATCH, "float32", STEPS)


def fantasytalking() -> dict[str, Any]:
    """Stage 2 on one film of 512x512 and 81 frames: one block of Wan2.1-14B with its audio, times 40. Embeddings and
    head are left out."""
    import comfy.ops
    from comfy.ldm.wan.model import WanAttentionBlock

    side, frames = FULL["side"], FULL["frames"]
    grid = ((frames - 1) // 4 + 1, side // 16, side // 16)
    settings = {"operations": comfy.ops.disable_weight_init, "device": "meta", "dtype": torch.bfloat16}
    wan = WanAttentionBlock(
        "i2v_cross_attn", WIDTH, HIDDEN, HEADS, cross_attn_norm=True, operation_settings=settings
    ).requires_grad_(False)
    audio = BlockAudio(SOUND, WIDTH, device="meta", dtype=torch.bfloat16)
    wan.cross_attn.forward = with_audio(wan.cross_attn, 0)
    length = token_count(samples_of(frames))
    windows = audio_windows(frames, length)
    numbers = windows.split(torch.arange(1, length + 1)[None, :, None])[..., 0]

    def some(*shape: int) -> Tensor:
        return torch.empty(*shape, device="meta", dtype=torch.bfloat16)

    places = math.prod(grid)
    x = some(1, places, WIDTH).requires_grad_(True)
    turns = torch.empty(1, places, 1, WIDTH // HEADS // 2, 2, 2, device="meta")
    keys: Any = LiveKeys([audio], some(length, SOUND))
    context = AudioContext(numbers, keys, 1.0, True)
    options = {OPTION: context, "grid_sizes": grid}

    def step() -> Tensor:
        with checkpointed([wan]):
            return wan(
                x, some(1, 1, 6, WIDTH), turns, some(1, SEEN + TEXT, WIDTH), SEEN, transformer_options=options
            )

    work, live = counted(step)
    with torch.device("meta"):
        adapter = FantasyTalking(768, SOUND, WIDTH, BLOCKS)
    kept = places * WIDTH * 2
    held = bytes_of([adapter], []) + 2 * 16_400_000_000
    return told(BLOCKS * work, held, live + BLOCKS * kept, 1, "bfloat16", 100_000)


class Both:
    """In the place of chance: both gates are open."""

    def integers(self, count: int) -> int:
        return count - 1


def actalker(what: str) -> dict[str, Any]:
    """The trainer's own step on one clip of 576x576 and 14 frames, both gates open, in bfloat16; every part of the UNet
    computes itself again. what: all of the UNet learns, or its control alone."""
    side, frames, context = 576, 14, 1024
    unet = ACTalkerUNet(**unet_config(320), dtype=torch.bfloat16, device="meta").to("meta")
    choose(unet, what).train()
    size = side // 8

    def some(*shape: int) -> Tensor:
        return torch.empty(*shape, device="meta", dtype=torch.bfloat16)

    def network(x: Tensor, *given: Any, **more: Any) -> Tensor:
        return unet(x.bfloat16(), *given, **more)

    films = Films(
        some(1, frames, 4, size, size), some(1, 4, size, size), some(1, 1, context), some(1, frames, 32, context),
        some(1, frames, 1, context), Regions(), time_id_embedding(), some(1, 320, size, size),
    )  # fmt: skip

    def step() -> Tensor:
        with checkpointed(layers_of(unet)):
            return velocity_loss(network, films, Both(), NOISE_LEVELS, dropped=0.1)  # type: ignore[arg-type]

    work, live = counted(step)
    learns = sum(p.numel() for p in unet.parameters() if p.requires_grad)
    held = 16 * learns + 2 * (sum(p.numel() for p in unet.parameters()) - learns)
    return {**told(work, held, live, 1, "bfloat16"), "millions of weights that learn": round(learns / 1e6)}


def takin() -> dict[str, Any]:
    """Parameters alone: the batch is a choice of frames."""
    with torch.device("meta"):
        network = TakinNet(TAKIN)
    return {"GB of weights, gradients and AdamW": round(bytes_of([network], []) / 1e9, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "training_cost.json")
    options = parser.parse_args()
    result = {}
    counts: dict[str, Callable[[], dict[str, Any]]] = {
        "KDTalker": kdtalker, "Takin-ADA, full size": takin, "FantasyTalking, frame level": fantasytalking,
        "ACTalker, all, with gradient checkpointing": lambda: actalker("all"),
        "ACTalker, control, with gradient checkpointing": lambda: actalker("control"),
    }  # fmt: skip
    for name, count in counts.items():
        result[name] = count()
        print(name, json.dumps(result[name]), flush=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
