"""W and G written the plain way, operation by operation as the paper lists them: what the pack's forms are
measured against.

Weights are the networks' own state dicts (spectral norm folded).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

State = dict[str, Tensor]


class PlainRenderer:
    """warp(volume, kp_source, kp_driving) and draw(features), float32 or any type of the weights."""

    def __init__(self, warping: State, generator: State):
        self.w, self.g = warping, generator

    def _conv(self, state: State, name: str, x: Tensor, padding: int) -> Tensor:
        convolve = F.conv2d if x.ndim == 4 else F.conv3d
        return convolve(x, state[name + ".weight"], state.get(name + ".bias"), padding=padding)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        keys = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(self.w[f"{name}.{key}"] for key in keys), eps=1e-5)

    def warp(self, volume: Tensor, source: Tensor, driving: Tensor) -> Tensor:
        """[1,32,16,64,64], [1,21,3], [1,21,3] -> [1,256,64,64]."""
        base, dtype = "dense_motion_network", volume.dtype
        shape = tuple(volume.shape[-3:])
        z, y, x = torch.meshgrid(
            *(torch.linspace(-1, 1, size, device=volume.device) for size in shape), indexing="ij"
        )
        grid = torch.stack([x, y, z], -1)
        compressed = F.relu(self._norm(base + ".norm", self._conv(self.w, base + ".compress", volume, 0)))
        moved = grid[None] - driving[0, :, None, None, None] + source[0, :, None, None, None]
        candidates = torch.cat([grid[None], moved])  # [22,16,64,64,3]
        warped = F.grid_sample(
            compressed.float().expand(22, -1, -1, -1, -1), candidates, align_corners=False
        ).to(dtype)
        heat = [
            torch.exp(-0.5 * ((grid - kp[0, :, None, None, None]) ** 2).sum(-1) / 0.01)
            for kp in (driving, source)
        ]
        heat = torch.cat([torch.zeros(1, *shape, device=volume.device), heat[0] - heat[1]]).to(dtype)
        features = self._hourglass(torch.cat([heat[:, None], warped], 1).flatten(0, 1)[None])
        mask = self._conv(self.w, base + ".mask", features, 3).float().softmax(1)
        deformation = (mask[0, ..., None] * candidates).sum(0)[None]
        occlusion = self._conv(self.w, base + ".occlusion", features.flatten(1, 2), 3).sigmoid()
        bent = F.grid_sample(volume.float(), deformation, align_corners=False).flatten(1, 2).to(dtype)
        y = F.leaky_relu(self._norm("third.norm", self._conv(self.w, "third.conv", bent, 1)), 0.01)
        return self._conv(self.w, "fourth", y, 0) * occlusion

    def _hourglass(self, x: Tensor) -> Tensor:
        base, skips = "dense_motion_network.hourglass.", [x]
        for i in range(5):
            name = f"{base}encoder.down_blocks.{i}."
            y = F.relu(self._norm(name + "norm", self._conv(self.w, name + "conv", skips[-1], 1)))
            skips.append(F.avg_pool2d(y.flatten(1, 2), 2).unflatten(1, y.shape[1:3]))
        y = skips.pop()
        for i in range(5):
            name = f"{base}decoder.up_blocks.{i}."
            y = F.interpolate(y, scale_factor=(1, 2, 2))
            y = F.relu(self._norm(name + "norm", self._conv(self.w, name + "conv", y, 1)))
            y = torch.cat([y, skips.pop()], 1)
        return F.relu(self._norm(base + "decoder.norm", self._conv(self.w, base + "decoder.conv", y, 1)))

    def _spade(self, name: str, x: Tensor, layout: Tensor) -> Tensor:
        layout = F.interpolate(layout, size=x.shape[-2:])
        shared = F.relu(self._conv(self.g, name + ".mlp_shared.0", layout, 1))
        gamma, beta = (self._conv(self.g, f"{name}.mlp_{part}", shared, 1) for part in ("gamma", "beta"))
        return F.instance_norm(x, eps=1e-5) * (1 + gamma) + beta

    def _block(self, name: str, x: Tensor, layout: Tensor) -> Tensor:
        y = self._conv(
            self.g, name + ".conv_0", F.leaky_relu(self._spade(name + ".norm_0", x, layout), 0.2), 1
        )
        y = self._conv(
            self.g, name + ".conv_1", F.leaky_relu(self._spade(name + ".norm_1", y, layout), 0.2), 1
        )
        if name + ".conv_s.weight" in self.g:
            x = self._conv(self.g, name + ".conv_s", self._spade(name + ".norm_s", x, layout), 0)
        return x + y

    def draw(self, features: Tensor) -> Tensor:
        """[1,256,64,64] -> [1,3,512,512] in 0..1."""
        x = self._conv(self.g, "fc", features, 1)
        for i in range(6):
            x = self._block(f"G_middle_{i}", x, features)
        for i in range(2):
            x = self._block(f"up_{i}", F.interpolate(x, scale_factor=2), features)
        return F.pixel_shuffle(self._conv(self.g, "conv_img.0", F.leaky_relu(x, 0.2), 1), 2).sigmoid()
