"""What FantasyTalking adds to a block of Wan2.1-14B: work, peak memory and time.

    python3 run.py python benchmarks/fantasytalking_cost.py [--side 256] [--frames 9] [--out RESULT.json]

Work and peak memory are counted, not measured: a block of the real size runs on tensors without storage at
512x512 and 81 frames in bfloat16, with core's PyTorch attention, and every operation's multiplications and
every living tensor's bytes are added up. The weights of the block are left out of the peak. Time is measured
with real numbers in float32 on one thread, or in bfloat16 on a GPU, at --side and --frames: audio's share
falls as the film grows, since self-attention grows with its square.
"""

import argparse
import json
import time
import weakref
from pathlib import Path

import comfy.cli_args
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

comfy.cli_args.args.cpu = not torch.cuda.is_available()
comfy.cli_args.args.use_pytorch_cross_attention = True

import comfy.ops
from comfy.ldm.wan.model import WanAttentionBlock
from talking_portrait.models.fantasytalking import attention
from talking_portrait.models.fantasytalking.attention import OPTION, AudioContext, with_audio
from talking_portrait.models.fantasytalking.keys import KeptKeys, numbered, tables_of
from talking_portrait.models.fantasytalking.network import BlockAudio
from talking_portrait.models.fantasytalking.timing import samples_of, token_count
from talking_portrait.models.fantasytalking.windows import audio_windows

WIDTH, HIDDEN, HEADS, SOUND, TEXT, SEEN, TURNS = 5120, 13824, 40, 2048, 512, 257, 3
FULL = {"side": 512, "frames": 81}


class LivingBytes(TorchDispatchMode):
    """The most bytes of tensors that lived at once among those made while this lasts."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, function, types, given=(), named=None):
        result = function(*given, **(named or {}))
        for made in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(made, Tensor):
                self.count(made.untyped_storage())
        return result

    def count(self, storage) -> None:
        key = storage._cdata
        if key in self.known:
            return
        size = storage.nbytes()
        self.known.add(key)
        self.now += size
        self.most = max(self.most, self.now)

        def gone() -> None:
            self.known.discard(key)
            self.now -= size

        weakref.finalize(storage, gone)


class CountedAttention:
    """Core's attention on tensors without storage: the result's shape, and the multiplications of it."""

    flops = 0

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *unused, **options) -> Tensor:
        self.flops += 4 * q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2] * q.shape[3]
        return torch.empty_like(q)


def block_of(device: torch.device, dtype: torch.dtype) -> tuple[nn.Module, nn.Module]:
    """One block of Wan2.1-I2V-14B and the block of FantasyTalking that goes with it."""
    settings = {"operations": comfy.ops.disable_weight_init, "device": device, "dtype": dtype}
    wan = WanAttentionBlock(
        "i2v_cross_attn", WIDTH, HIDDEN, HEADS, cross_attn_norm=True, operation_settings=settings
    )
    audio = BlockAudio(SOUND, WIDTH, device=device, dtype=dtype)
    for parameter in (*wan.parameters(), *audio.parameters()):
        parameter.requires_grad_(False)
        if device.type != "meta":
            parameter.normal_(0, 0.02) if parameter.ndim > 1 else parameter.fill_(1)
    wan.cross_attn.forward = with_audio(wan.cross_attn, 0)
    return wan, audio


def call_of(
    wan: nn.Module, audio: nn.Module, side: int, frames: int, device: torch.device, dtype: torch.dtype
):
    """A function of `heard` that runs the block once on a film of this size."""
    grid = ((frames - 1) // 4 + 1, side // 16, side // 16)
    places = grid[0] * grid[1] * grid[2]

    def some(*shape: int) -> Tensor:
        return torch.randn(*shape, device=device, dtype=dtype)

    tokens = token_count(samples_of(frames))
    windows = audio_windows(frames, tokens).split(torch.randn(1, tokens, SOUND))
    distinct, (numbers,) = numbered([windows])
    keys = KeptKeys(tables_of([audio], distinct.to(device, dtype), device))
    context = AudioContext(numbers.to(device), keys, 1.0, True)
    # read where there is something to read
    vars(context)["lengths"] = AudioContext(numbers, keys, 1.0, True).lengths
    x, e, read = (some(1, rows, WIDTH) for rows in (places, 6, SEEN + TEXT))
    freqs = some(1, places, 1, WIDTH // HEADS // 2, 2, 2)

    def call(heard: bool) -> Tensor:
        options = {"grid_sizes": grid, **({OPTION: context} if heard else {})}
        return wan(x, e, freqs, read, SEEN, transformer_options=options)

    return call, places


def counted() -> dict:
    """Work and peak memory at full size."""
    device, dtype = torch.device("meta"), torch.bfloat16
    call, places = call_of(*block_of(device, dtype), FULL["side"], FULL["frames"], device, dtype)
    kept, comfy.ops.scaled_dot_product_attention = (
        comfy.ops.scaled_dot_product_attention,
        (counting := CountedAttention()),
    )
    result = {"places": places, "activation_bytes": places * WIDTH * dtype.itemsize}
    for name, heard in (("without audio", False), ("with audio", True)):
        counting.flops = 0
        with FlopCounterMode(display=False) as flops:
            call(heard)
        work = flops.get_total_flops() + counting.flops
        with LivingBytes() as living:
            call(heard)
        result[name] = {"flops": work, "peak_bytes": living.most}
    comfy.ops.scaled_dot_product_attention = kept
    more = {key: result["with audio"][key] - result["without audio"][key] for key in ("flops", "peak_bytes")}
    result["share_of_work"] = more["flops"] / result["with audio"]["flops"]
    result["more_activations_at_peak"] = more["peak_bytes"] / result["activation_bytes"]
    return result


def measured(side: int, frames: int) -> dict:
    """Seconds of a block and of the audio in it, the best of some turns; audio's share is an upper bound for
    longer films."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    call, places = call_of(*block_of(device, dtype), side, frames, device, dtype)
    spent, real = [], attention.add_audio

    def clock() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() if device.type == "cuda" else time.process_time()

    def timed(*given) -> None:
        begun = clock()
        real(*given)
        spent.append(clock() - begun)

    attention.add_audio = timed
    wholes = []
    for _ in range(TURNS):
        begun = clock()
        call(True)
        wholes.append(clock() - begun)
    attention.add_audio = real
    return {
        "places": places,
        "block_seconds": min(wholes),
        "audio_seconds": min(spent),
        "share_of_time": min(spent) / min(wholes),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--frames", type=int, default=9)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with torch.inference_mode():
        result = {
            "counted at 512x512, 81 frames": counted(),
            "measured": measured(options.side, options.frames),
        }
    print(json.dumps(result, indent=1))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
