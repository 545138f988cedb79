"""FantasyTalking's own weights: the audio projection, and keys and values of audio for every block of Wan2.1
(section 3.2)."""

from torch import Tensor, nn


class AudioProjection(nn.Module):
    """wav2vec2 vectors [B,L,768] -> audio tokens [B,L,2048]; in float32."""

    def __init__(self, inputs: int, outputs: int, device=None, dtype=None, operations=nn):
        super().__init__()
        self.proj = operations.Linear(inputs, outputs, bias=False, device=device, dtype=dtype)
        self.norm = operations.LayerNorm(outputs, eps=1e-5, device=device, dtype=dtype)

    def forward(self, vectors: Tensor) -> Tensor:
        return self.norm(self.proj(vectors))


class BlockAudio(nn.Module):
    """Keys and values of audio tokens for one block: no bias, no norm."""

    def __init__(self, inputs: int, outputs: int, device=None, dtype=None, operations=nn):
        super().__init__()
        self.k_proj = operations.Linear(inputs, outputs, bias=False, device=device, dtype=dtype)
        self.v_proj = operations.Linear(inputs, outputs, bias=False, device=device, dtype=dtype)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """[N,W,2048] -> keys and values [N,W,C]."""
        return self.k_proj(tokens), self.v_proj(tokens)


class FantasyTalking(nn.Module):
    """All of one checkpoint."""

    def __init__(
        self, inputs: int, width: int, outputs: int, blocks: int, device=None, dtype=None, operations=nn
    ):
        super().__init__()
        options = {"device": device, "dtype": dtype, "operations": operations}
        self.proj_model = AudioProjection(inputs, width, **options)
        self.blocks = nn.ModuleList(BlockAudio(width, outputs, **options) for _ in range(blocks))


def build_fantasytalking(
    state: dict[str, Tensor], metadata, device=None, dtype=None, operations=nn
) -> FantasyTalking:
    """For the loader: every size comes from the weights."""
    width, inputs = state["proj_model.proj.weight"].shape
    blocks = sum(key.endswith(".k_proj.weight") for key in state)
    return FantasyTalking(
        inputs, width, state["blocks.0.k_proj.weight"].shape[0], blocks, device, dtype, operations
    )
