"""fill.state_dict plus the named exceptions of the JoyVASA goldens.

Use jv_fill.state_dict(shapes, salt, steps) wherever the goldens of this folder say "fill": "jv_fill".
  1. keys "start_motion_feat", "start_audio_feat", "null_audio_feat": plain fill * sqrt(prod(shape[1:])) (unit
  normals; the plain
     fill would make the start tokens and the null audio about zero).
  2. keys ending in "pos_conv_embed.conv.weight_g": 2 + 5 * plain fill (the plain fill would switch the
  positional conv off). 3. keys ending in ".self_attn.in_proj_weight" of denoising_net: plain fill * 2;
  ".multihead_attn.out_proj.weight": plain fill / 2
     (otherwise the audio of the same frame drowns the motion, the context and the step).
  4. "audio_encoder.feature_extractor.conv_layers.{1..6}.conv.weight": 2 * (plain fill - its mean over dims 1
  and 2, float64 mean)
     (otherwise the GELU mean dominates and the features hardly change with time).
  5. "audio_encoder.encoder.layers.*.attention.out_proj.weight": plain fill / 4; "...attention.q_proj.weight":
  plain fill * 2
     (otherwise attention averages time away over 12 layers).
  True constants, never filled:
  6. "denoising_net.TE.pe" and "denoising_net.PE.pe": sinusoids, column 2i = sin(p * exp(-2i ln(10000)/d)), 2i+1 = cos.
  7. "denoising_net.alignment_mask" (bool): True everywhere except the diagonal (True = not attended).
  8. "diffusion_sched.*": cosine schedule of `steps` steps, index 0 = padding (betas 0, alpha_bar 1).
"""

import math
import os
import sys

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import fill


def sinusoid(n, d):
    f = torch.exp(torch.arange(0, d, 2).float() * (-math.log(10000.0) / d))
    a = torch.arange(0, n, dtype=torch.float32)[:, None] * f
    return torch.stack([a.sin(), a.cos()], -1).reshape(1, n, d)


def schedule(steps, s=0.008):
    x = torch.linspace(0, steps, steps + 1)
    ab = torch.cos(((x / steps) + s) / (1 + s) * torch.pi * 0.5) ** 2
    ab = ab / ab[0]
    betas = torch.cat([torch.zeros(1), torch.clip(1 - ab[1:] / ab[:-1], 0.0001, 0.999)])
    alphas = 1 - betas
    abar = torch.cumsum(torch.log(alphas), 0).exp()
    post = torch.zeros_like(betas)
    post[1:] = (1 - abar[:-1]) / (1 - abar[1:]) * betas[1:]
    return {
        "betas": betas,
        "alphas": alphas,
        "alpha_bars": abar,
        "sigmas_flex": betas.sqrt(),
        "sigmas_inflex": post.sqrt(),
    }


def state_dict(shapes: dict, salt: str = "public", steps: int = 50) -> dict:
    sched = schedule(steps)
    sd = {}
    for k, s in shapes.items():
        if k in ("denoising_net.TE.pe", "denoising_net.PE.pe"):
            sd[k] = sinusoid(s[1], s[2])
        elif k == "denoising_net.alignment_mask":
            sd[k] = ~torch.eye(s[0], dtype=torch.bool)
        elif k.startswith("diffusion_sched."):
            sd[k] = sched[k.split(".", 1)[1]]
        else:
            sd[k] = fill.tensor(k, s, salt)
            if k in ("start_motion_feat", "start_audio_feat", "null_audio_feat"):
                sd[k] = sd[k] * math.sqrt(math.prod(s[1:]))
            elif k.endswith("pos_conv_embed.conv.weight_g"):
                sd[k] = 2 + 5 * sd[k]
            elif (
                k.startswith("audio_encoder.feature_extractor.conv_layers.")
                and k.endswith(".conv.weight")
                and ".conv_layers.0." not in k
            ):
                sd[k] = (2 * (sd[k].double() - sd[k].double().mean((1, 2), keepdim=True))).float()
            elif k.startswith("audio_encoder.") and k.endswith(".attention.out_proj.weight"):
                sd[k] = sd[k] / 4
            elif k.startswith("audio_encoder.") and k.endswith(".attention.q_proj.weight"):
                sd[k] = sd[k] * 2
            elif k.endswith(".self_attn.in_proj_weight"):
                sd[k] = sd[k] * 2
            elif k.endswith(".multihead_attn.out_proj.weight"):
                sd[k] = sd[k] / 2
    return sd
