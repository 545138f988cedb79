"""ACTalker and FantasyTalking, which stand on ComfyUI's own models: small or short where a CPU computes too, else as
large as they are used."""

from pathlib import Path
from typing import Any

import comfy.ops
import torch
from comfy.ldm.wan.model import WanAttentionBlock
from torch import Tensor, nn

from ...models.actalker.core_model import core_state, model_config
from ...models.actalker.regions import Regions
from ...models.actalker.unet import ACTalkerUNet, time_id_embedding, unet_config
from ...models.fantasytalking.attention import OPTION, AudioContext, add_audio, with_audio
from ...models.fantasytalking.checkpoint import fantasytalking_state
from ...models.fantasytalking.keys import KeptKeys, numbered, tables_of
from ...models.fantasytalking.network import FantasyTalking, build_fantasytalking
from ...models.fantasytalking.timing import samples_of, token_count
from ...models.fantasytalking.windows import audio_windows
from ..random_state import random_state
from .files import published_state
from .made import ACTALKER_FRAMES, WAN_FRAMES, Made, filled, filled_from, seeded

SMALL = (64, 64)  # channels and context of a denoiser that a CPU runs in seconds
SIDES = dict(zip(ACTALKER_FRAMES, (16, 72), strict=True))  # of the latent: 128 and 576 pixels
FLOAT = ("A_logs", "Ds", "dt_projs_bias")  # of a scan; float32 in every precision
PIXELS = dict(zip(WAN_FRAMES, (128, 512), strict=True))
SPEECH, SOUND, WIDTH, HEAD = (
    768,
    2048,
    5120,
    128,
)  # of wav2vec2-base, of a token of sound, of Wan2.1-14B and of its heads
SEEN, TEXT = 257, 512  # tokens of picture and text


def actalker_call(models: Path, frames: int, motion: bool) -> Made:
    """All guidance branches of one denoising step of a window: sound alone, or sound and motion."""
    state, weights = published_state("actalker.unet", models)
    if state is None:
        weights = "small" if frames == ACTALKER_FRAMES[0] else "random"
        sizes = unet_config(*(SMALL if weights == "small" else ()))
        state = random_state(ACTalkerUNet(**sizes, device="meta"), 14)
    else:
        state = core_state(state)
    config = model_config(state).unet_config
    network = filled(ACTalkerUNet(**config), state)
    branches, side, width = 4 if motion else 3, SIDES[frames], config["context_dim"]
    given = {
        "picture": seeded(frames, 8, side, side), "identity": seeded(1, 1, width),
        "audio": seeded(frames, 32, width), "motion": seeded(frames, 1, width), "told": time_id_embedding(),
    }  # fmt: skip

    def run(networks, given, dtype):
        x = {name: value.to(dtype) for name, value in given.items()}
        rows = branches * frames
        times = torch.full((rows,), 0.3, device=x["picture"].device)
        audio, seen = (x[name].repeat(branches, 1, 1) for name in ("audio", "motion"))
        return networks[0](
            x["picture"].repeat(branches, 1, 1, 1), times, context=x["identity"].expand(rows, -1, -1),
            y=x["told"].expand(rows, -1), audio=audio, motion=seen if motion else None, regions=Regions(),
            num_video_frames=frames,
        )  # fmt: skip

    return Made((network,), given, run, frames, weights, float_parameters=FLOAT)


def fantasytalking_adapter(models: Path) -> tuple[Any, str]:
    """The published adapter, of its blocks the first alone, and where its weights come from."""
    state, weights = published_state("fantasytalking.audio", models)
    if state is None:
        return filled_from(
            build_fantasytalking, random_state(FantasyTalking(SPEECH, SOUND, WIDTH, 1, "meta"), 2)
        ), weights
    kept = {
        key: value
        for key, value in fantasytalking_state(state).items()
        if key.startswith(("proj_model.", "blocks.0."))
    }
    return filled_from(build_fantasytalking, kept), weights


def wan_block(width: int) -> nn.Module:
    """One block of a Wan2.1 image-to-video model with random numbers, that hears."""
    settings = {"operations": comfy.ops.disable_weight_init, "device": "meta", "dtype": torch.float32}
    sizes = ("i2v_cross_attn", width, 27 * width // 10, width // HEAD)
    empty = WanAttentionBlock(*sizes, cross_attn_norm=True, operation_settings=settings)
    state = random_state(empty, 3)
    state["modulation"] = 0.1 * seeded(1, 6, width)
    return filled(empty, state)


class Heard:
    """What every block of a film hears, made once for a device and a type, as before a film is sampled."""

    def __init__(self, frames: int, vectors: Tensor):
        self.frames, self.vectors = frames, vectors
        self.kept: dict[tuple[torch.device, torch.dtype], AudioContext] = {}

    def of(
        self, adapter: Any, projection: nn.Module, device: torch.device, dtype: torch.dtype
    ) -> AudioContext:
        """The adapter computes in `dtype`, the projection of speech in float32."""
        if (device, dtype) not in self.kept:
            tokens = projection(self.vectors.to(device))
            windows = audio_windows(self.frames, tokens.shape[1]).split(tokens)
            distinct, (numbers,) = numbered([windows])
            keys = KeptKeys(tables_of([adapter], distinct.to(dtype), device))
            self.kept[device, dtype] = AudioContext(numbers, keys, 1.0, True)
        return self.kept[device, dtype]


def fantasytalking_block(models: Path, frames: int, whole: bool) -> Made:
    """A block with audio in it (whole), or the audio alone: attention of the film's places to its sound."""
    adapter, weights = fantasytalking_adapter(models)
    audio, width = adapter.blocks[0], adapter.blocks[0].k_proj.weight.shape[0]
    wan: Any = wan_block(width) if whole else nn.Identity()
    side = PIXELS[frames] // 16
    grid = ((frames - 1) // 4 + 1, side, side)
    places, heads = grid[0] * side * side, width // HEAD
    heard = Heard(frames, seeded(1, token_count(samples_of(frames)), adapter.proj_model.proj.weight.shape[1]))
    given = {"x": seeded(1, places, width)}
    if whole:
        turns = seeded(1, places, 1, HEAD // 2)
        rotations = torch.stack([turns.cos(), -turns.sin(), turns.sin(), turns.cos()], -1).unflatten(
            -1, (2, 2)
        )
        given |= {"e": 0.1 * seeded(1, 6, width), "freqs": rotations, "read": seeded(1, SEEN + TEXT, width)}

    def run(networks, given, dtype):
        audio, wan, projection = networks
        x = given["x"].to(dtype)
        context = heard.of(audio, projection, x.device, dtype)
        options = {"grid_sizes": grid, OPTION: context}
        if not whole:
            total = torch.zeros_like(x)
            add_audio(total, x, context, 0, heads, options)
            return total
        wan.cross_attn.forward = with_audio(wan.cross_attn, 0)
        e, read = given["e"].to(dtype), given["read"].to(dtype)
        return wan(x, e, given["freqs"], read, SEEN, transformer_options=options)

    return Made((audio, wan), given, run, 1, weights, exact=(adapter.proj_model,))
