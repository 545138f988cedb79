"""The identity branch (FantasyTalking, section 3.3): a face's identity vector, seen by every block beside
text, picture and sound.

The paper names the parts (ArcFace, a Q-Former, a cross-attention in every block, scale 0.5) but no sizes, and
published no weights; sizes here are read from the file, and the defaults are this pack's own.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from .network import BlockAudio

SCALE = 0.5
VECTOR, WIDTH, SEEDS, QUERIES, LAYERS, HEAD_DIM = 512, 2048, 4, 16, 4, 64
PROJECTION = "identity_proj."
ATTENTION = re.compile(r"identity_processor\.blocks\.(\d+)\.cross_attn\.processor\.([kv])_proj\.weight$")


class PerceiverLayer(nn.Module):
    """Learned queries [B,Q,C] look at tokens [B,T,C] and at themselves, then pass through a feed-forward layer."""

    def __init__(self, width: int, heads: int, device=None, dtype=None, operations=nn):
        super().__init__()
        built = {"device": device, "dtype": dtype}
        self.heads = heads
        self.norm_tokens, self.norm_queries, self.norm_forward = (
            operations.LayerNorm(width, **built) for _ in range(3)
        )
        self.to_q = operations.Linear(width, width, bias=False, **built)
        self.to_kv = operations.Linear(width, 2 * width, bias=False, **built)
        self.to_out = operations.Linear(width, width, bias=False, **built)
        self.forward_in = operations.Linear(width, 4 * width, bias=False, **built)
        self.forward_out = operations.Linear(4 * width, width, bias=False, **built)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        asked = self.norm_queries(queries)
        seen = torch.cat([self.norm_tokens(tokens), asked], dim=1)

        def by_head(x: Tensor) -> Tensor:
            return rearrange(x, "b n (h c) -> b h n c", h=self.heads)

        keys, values = self.to_kv(seen).chunk(2, dim=-1)
        out = F.scaled_dot_product_attention(by_head(self.to_q(asked)), by_head(keys), by_head(values))
        queries = queries + self.to_out(rearrange(out, "b h n c -> b n (h c)"))
        return queries + self.forward_out(F.gelu(self.forward_in(self.norm_forward(queries))))


class IdentityProjection(nn.Module):
    """Identity vector [B,512] of length 1 -> tokens [B,16,2048]."""

    def __init__(self, vector: int = VECTOR, width: int = WIDTH, queries: int = QUERIES, layers: int = LAYERS,
                 device=None, dtype=None, operations=nn):  # fmt: skip
        super().__init__()
        built = {"device": device, "dtype": dtype, "operations": operations}
        self.proj = operations.Linear(vector, SEEDS * width, device=device, dtype=dtype)
        self.queries = nn.Parameter(
            torch.empty(1, queries, width, device=device, dtype=dtype), requires_grad=False
        )
        self.layers = nn.ModuleList(
            PerceiverLayer(width, max(1, width // HEAD_DIM), **built) for _ in range(layers)
        )
        self.norm = operations.LayerNorm(width, device=device, dtype=dtype)

    def forward(self, vector: Tensor) -> Tensor:
        tokens = self.proj(F.normalize(vector, dim=-1)).unflatten(-1, (SEEDS, -1))
        queries = self.queries.to(tokens).expand(len(vector), -1, -1)
        for layer in self.layers:
            queries = layer(queries, tokens)
        return self.norm(queries)


class IdentityBranch(nn.Module):
    """The projection, and keys and values of identity tokens for every block; those are zero before training."""

    def __init__(self, blocks: int, outputs: int, width: int = WIDTH, vector: int = VECTOR,
        queries: int = QUERIES,
                 layers: int = LAYERS, device=None, dtype=None, operations=nn):  # fmt: skip
        super().__init__()
        built = {"device": device, "dtype": dtype, "operations": operations}
        self.identity_proj = IdentityProjection(vector, width, queries, layers, **built)
        self.blocks = nn.ModuleList(BlockAudio(width, outputs, **built) for _ in range(blocks))


def identity_state(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """A file's identity tensors under this module's names. ValueError if there are none, or other than these."""
    state = {}
    for key, value in content.items():
        if found := ATTENTION.match(key):
            state[f"blocks.{found[1]}.{found[2]}_proj.weight"] = value
        elif key.startswith(PROJECTION):
            state[key] = value
    if "identity_proj.proj.weight" not in state or "blocks.0.k_proj.weight" not in state:
        raise ValueError(
            "it holds no identity_proj... and identity_processor..., so it has no identity branch"
        )
    return state


def published_names(branch: IdentityBranch) -> dict[str, Tensor]:
    """The branch's tensors under the names of the file."""
    names = {}
    for key, value in branch.state_dict().items():
        parts = key.split(".")
        own = (
            key
            if parts[0] == "identity_proj"
            else f"identity_processor.blocks.{parts[1]}.cross_attn.processor.{parts[2]}.weight"
        )
        names[own] = value
    return names


def build_identity(
    state: Mapping[str, Tensor], metadata, device=None, dtype=None, operations=nn
) -> IdentityBranch:
    """For the loader: every size from the weights."""
    return IdentityBranch(
        blocks=sum(key.endswith(".k_proj.weight") for key in state),
        outputs=state["blocks.0.k_proj.weight"].shape[0],
        width=state["identity_proj.norm.weight"].shape[0],
        vector=state["identity_proj.proj.weight"].shape[1],
        queries=state["identity_proj.queries"].shape[1],
        layers=sum(key.endswith(".to_q.weight") for key in state),
        device=device, dtype=dtype, operations=operations,
    )  # fmt: skip
