"""The small networks that turn sound, expression, identity and the face box into what the UNet reads."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AudioProjector(nn.Module):
    """Speech windows [n,10,5,384] (rows at 50 Hz, hidden states, channels) -> audio tokens [n,32,1024] (54.3
    M parameters).

    It runs in float32. Silence is not zero here: the unconditional tokens are those of a window of zeros.
    """

    def __init__(self, inputs: int = 19200, hidden: int = 1024, tokens: int = 32, outputs: int = 1024,
                 device=None, dtype=None, operations=nn):  # fmt: skip
        super().__init__()
        built = {"device": device, "dtype": dtype}
        self.proj1 = operations.Linear(inputs, hidden, **built)
        self.proj2 = operations.Linear(hidden, hidden, **built)
        self.proj3 = operations.Linear(hidden, tokens * outputs, **built)
        self.norm = operations.LayerNorm(outputs, **built)
        self.tokens = tokens

    def forward(self, windows: Tensor) -> Tensor:
        x = F.relu(self.proj1(windows.flatten(1)))
        x = F.relu(self.proj2(x))
        return self.norm(self.proj3(x).unflatten(-1, (self.tokens, -1)))


class ExpressionProjector(nn.Module):
    """Expression [n,512] -> the first 1018 numbers of the motion token."""

    def __init__(self, inputs: int = 512, outputs: int = 1018, device=None, dtype=None, operations=nn):
        super().__init__()
        self.proj1 = operations.Linear(inputs, outputs, device=device, dtype=dtype)
        self.norm = operations.LayerNorm(outputs, device=device, dtype=dtype)

    def forward(self, expression: Tensor) -> Tensor:
        return self.norm(self.proj1(expression))


def motion_tokens(projector: ExpressionProjector, expression: Tensor, rotation: Tensor) -> Tensor:
    """Expression [n,512] and head rotation [n,3] in degrees -> motion tokens [n,1024].

    The last three numbers, where translation would be, are zero in ACTalker; the rotation goes in as degrees.
    """
    return torch.cat([projector(expression), rotation, torch.zeros_like(rotation)], dim=-1)


class IdentityProjector(nn.Module):
    """ArcFace vector [...,512], not normalised -> identity token [...,1024]. The unconditional token is zeros."""

    def __init__(
        self,
        inputs: int = 512,
        hidden: int = 1024,
        outputs: int = 1024,
        device=None,
        dtype=None,
        operations=nn,
    ):
        super().__init__()
        self.proj1 = operations.Linear(inputs, hidden, device=device, dtype=dtype)
        self.proj2 = operations.Linear(hidden, hidden, device=device, dtype=dtype)
        self.proj3 = operations.Linear(hidden, outputs, device=device, dtype=dtype)

    def forward(self, vector: Tensor) -> Tensor:
        return self.proj3(F.relu(self.proj2(F.relu(self.proj1(vector)))))


class PoseGuider(nn.Module):
    """Pictures of the face box [n,3,8h,8w], 0..1 and not centred -> features [n,320,h,w] (1.1 M parameters)."""

    def __init__(
        self,
        outputs: int = 320,
        widths: tuple[int, ...] = (16, 32, 96, 256),
        device=None,
        dtype=None,
        operations=nn,
    ):
        super().__init__()

        def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
            return operations.Conv2d(inputs, outputs, 3, stride=stride, padding=1, device=device, dtype=dtype)

        self.conv_in = conv(3, widths[0])
        self.blocks = nn.ModuleList()
        for inputs, following in zip(widths, widths[1:], strict=False):
            self.blocks += [conv(inputs, inputs), conv(inputs, following, stride=2)]
        self.conv_out = conv(widths[-1], outputs)

    def forward(self, picture: Tensor) -> Tensor:
        x = F.silu(self.conv_in(picture))
        for block in self.blocks:
            x = F.silu(block(x))
        return self.conv_out(x)
