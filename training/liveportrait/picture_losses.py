"""What drawn pictures are held to beside their colours, as face-vid2vid's recipe has it: features of VGG-19, and a
judge of patches that learns to tell them from true ones (hinge loss, with matched features)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm
from torchvision.models.vgg import make_layers

from ...models.weights.safe_files import load_tensors, named_tensors

# torchvision's VGG-19: convolutions by their place, None where the picture is halved
PLACES = (0, 2, None, 5, 7, None, 10, 12, 14, 16, None, 19, 21, 23, 25, None, 28)
COMPARED = {1: 1 / 32, 6: 1 / 16, 11: 1 / 8, 20: 1 / 4, 29: 1.0}  # ReLUs 1_1 to 5_1, weights as in pix2pixHD
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SCALES = (1, 2, 4)  # halvings of the pictures that are compared
JUDGE_WIDTHS = (64, 128, 256)


class Perceptual(nn.Module):
    """How far pictures [B,3,S,S] in 0..1 differ in the features of a frozen VGG-19, at three sizes.

    state: of torchvision's vgg19; its widths may be others. ValueError if layers are missing.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, state: Mapping[str, Tensor]):
        super().__init__()
        plan: list[str | int] = []
        for place in PLACES:
            if place is not None and f"features.{place}.weight" not in state:
                raise ValueError(f"features.{place}.weight is missing, so it is no VGG-19 of torchvision")
            plan.append("M" if place is None else len(state[f"features.{place}.weight"]))
        self.layers = make_layers(plan)  # type: ignore[arg-type]
        wanted = self.layers.state_dict().keys()
        try:
            self.layers.load_state_dict({key: state[f"features.{key}"].float() for key in wanted})
        except (KeyError, RuntimeError) as error:
            raise ValueError(
                f"it is no VGG-19 of torchvision ({str(error).splitlines()[-1].strip()})"
            ) from None
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, torch.tensor(values)[:, None, None])
        self.eval().requires_grad_(False)

    def features(self, pictures: Tensor) -> list[Tensor]:
        """Of one size, where they are compared."""
        x, found = (pictures - self.mean) / self.deviation, []
        for place, layer in enumerate(self.layers):
            # in place the layers would overwrite what is compared
            x = F.relu(x) if isinstance(layer, nn.ReLU) else layer(x)
            if place in COMPARED:
                found.append(x)
        return found

    def forward(self, made: Tensor, wanted: Tensor) -> Tensor:
        total = made.new_zeros(())
        for scale in SCALES:
            if min(made.shape[-2:]) // scale < 16:  # VGG halves four times
                break
            sized = [F.avg_pool2d(one, scale) if scale > 1 else one for one in (made, wanted)]
            pairs = zip(self.features(sized[0]), self.features(sized[1]), COMPARED.values(), strict=True)
            total = total + sum(weight * (a - b.detach()).abs().mean() for a, b, weight in pairs)
        return total


class PatchJudge(nn.Module):
    """Scores [B,1,h,w] of patches of pictures [B,3,S,S]: high for true ones. With its inner layers' features."""

    def __init__(self, widths: tuple[int, ...] = JUDGE_WIDTHS):
        super().__init__()
        inputs = (3, *widths)
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1))
            for a, b in zip(inputs, widths, strict=False)
        )
        self.score = spectral_norm(nn.Conv2d(widths[-1], 1, 4, padding=1))

    def forward(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        x, found = 2 * pictures - 1, []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            found.append(x)
        return self.score(x), found


@dataclass(frozen=True)
class PictureLosses:
    """The terms that are asked for."""

    perceptual: Perceptual | None = None
    judge: PatchJudge | None = None

    def terms(self, made: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """Of made and true pictures, each a number.

        `adversarial` and `matching` move what drew the pictures and not the judge, `judging` the judge alone: so one
        step of one optimiser trains both.
        """
        found: dict[str, Tensor] = {}
        if self.perceptual is not None:
            found["perceptual"] = self.perceptual(made, wanted)
        if self.judge is not None:
            kept = {name: value.detach() for name, value in self.judge.named_parameters()}
            score, features = cast(tuple[Tensor, list[Tensor]], functional_call(self.judge, kept, (made,)))
            with torch.no_grad():
                _, true_features = self.judge(wanted)
            found["adversarial"] = -score.mean()
            apart = [(a - b).abs().mean() for a, b in zip(features, true_features, strict=True)]
            found["matching"] = torch.stack(apart).mean()
            false, true = self.judge(made.detach())[0], self.judge(wanted)[0]
            found["judging"] = F.relu(1 + false).mean() + F.relu(1 - true).mean()
        return found


def read_perceptual(path: Path) -> Perceptual:
    """From torchvision's file of VGG-19 (.pth or safetensors); ValueError that names it."""
    try:
        return Perceptual(named_tensors(load_tensors(path)))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be used: {error}.") from None
