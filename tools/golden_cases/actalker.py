"""ACTalker's answers to its golden data: one function per kind of file, every output by name."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from comfy.ldm.modules.diffusionmodules.model import Encoder
from comfy.ldm.modules.temporal_ae import VideoDecoder
from torch import Tensor, nn

from ...models.actalker import geometry
from ...models.actalker.attention import OPTION, ControlledTransformer, Streams
from ...models.actalker.checkpoint import inner_key, unet_state
from ...models.actalker.face_encoders import HeadExpression, HeadPose
from ...models.actalker.parallel_control_mamba import ParallelControlMamba
from ...models.actalker.projectors import (
    AudioProjector,
    ExpressionProjector,
    IdentityProjector,
    PoseGuider,
    motion_tokens,
)
from ...models.actalker.regions import Regions, level_region
from ...models.actalker.sampling import branch_weights, windows
from ...models.actalker.unet import ACTalkerUNet, time_id_embedding, unet_config
from ...models.face.arcface import ArcFace
from ...models.face.boxes import grown_box, square_box
from ...models.speech.whisper import WhisperTiny
from . import actalker_pipeline as published
from .actalker_vae import vae_state
from .liveportrait import loaded


def weights(case: Any, part: str = "shapes") -> dict[str, Tensor]:
    """The filled tensors that a golden declares, with its changes to them."""
    state = dict(case.weights(case.data["weights"][part]))
    for change in case.data["weights"].get("ops", []):
        for key in state:
            if key.endswith(change["suffix"]):
                state[key] = state[key] * change["mul"] + change["add"]
    return state


def gated(case: Any, name: str) -> tuple[Tensor | None, Tensor | None, Regions]:
    """Audio and motion tokens of one of the file's cases, None where the gate is closed, and the regions."""
    gates, masks = case.data["cases"][name]["gate"], case.data["cases"][name]["masks"]
    audio, motion = (
        case.inputs[stream] if gate else None for stream, gate in zip(("audio", "motion"), gates, strict=True)
    )
    return audio, motion, Regions(*(case.inputs[mask] for mask in masks))


def mamba(case: Any) -> dict:
    config, given = case.data["config"], case.inputs
    layer = loaded(ParallelControlMamba(config["d_model"], config["d_cond"]), weights(case))
    height, width = config["H"], config["W"]
    outputs = {}
    for name in case.data["cases"]:
        audio, motion, regions = gated(case, name)
        heard, seen = regions.at(height, width, torch.device("cpu"))
        outputs[name] = layer(given["x"], given["id"], audio, motion, heard.tokens, seen.tokens)
    outputs["audio_unit_alone"] = layer.audio_unit(given["unit_in"].transpose(1, 2)).transpose(1, 2)
    every = list(range(height * width))
    tokens = {name: level_region(given[name], height, width).tokens for name in case.data["selected_tokens"]}
    outputs["selected_tokens"] = {
        name: every if chosen is None else chosen.tolist() for name, chosen in tokens.items()
    }
    return outputs


def transformer(case: Any) -> dict:
    config, given = case.data["config"], case.inputs
    state = {inner_key(key): value for key, value in weights(case).items()}
    layer = ControlledTransformer(
        config["in_channels"], config["heads"], config["head_dim"], config["cross_attention_dim"],
        mamba=any("mamba_blocks" in key for key in state),
    )  # fmt: skip
    loaded(layer, state)
    outputs = {}
    for name in case.data["cases"]:
        options = {OPTION: Streams(*gated(case, name))}
        outputs[name] = layer(
            given["x"], given["id"], timesteps=config["frames"], transformer_options=options
        )
    return outputs


def tiny_unet(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> ACTalkerUNet:
    width = config["block_out_channels"][0]
    settings = unet_config(
        width, config["cross_attention_dim"], width // config["num_attention_heads"][0],
        config["projection_class_embeddings_input_dim"],
    )  # fmt: skip
    return loaded(ACTalkerUNet(**settings), unet_state(state))


def unet(case: Any) -> dict:
    config, given = case.data["config"], case.inputs
    network = tiny_unet(config, weights(case))
    clips, frames = given["sample"].shape[:2]
    count = clips * frames
    frame_rate, *buckets = config["added_time_ids"]
    motion_bucket, expression_bucket = buckets
    y = time_id_embedding(config["addition_time_embed_dim"], motion_bucket, expression_bucket, frame_rate)
    outputs = {}
    for name in case.data["cases"]:
        audio, motion, regions = gated(case, name)
        out = network(
            given["sample"].flatten(0, 1), torch.full((count,), config["timestep"]), context=given["id"],
            y=y.expand(count, -1), audio=audio, motion=motion, regions=regions,
            pose=given["spatial_condition"].flatten(0, 1), num_video_frames=frames,
        )  # fmt: skip
        outputs[name] = out.unflatten(0, (clips, frames))
    return outputs


class Unchanged(nn.Module):
    """Stands for a layer that the golden's small VAE does not have."""

    def forward(self, x: Tensor, *args, **kwargs) -> Tensor:
        return x


def tiny_vae(state: Mapping[str, Tensor]) -> tuple[nn.Module, nn.Module]:
    """ComfyUI's encoder and temporal decoder with one layer per block; with one, the decoder's middle is one
    block alone."""
    state = vae_state(state)
    sizes = {
        "double_z": True, "z_channels": 4, "resolution": 64, "in_channels": 3, "out_ch": 3, "ch": 32,
        "ch_mult": [1, 1, 1, 1],
        "num_res_blocks": 1, "attn_resolutions": [],
    }  # fmt: skip
    encoder, decoder = Encoder(**sizes), VideoDecoder(**sizes, video_kernel_size=[3, 1, 1])
    decoder.mid.attn_1, decoder.mid.block_2 = Unchanged(), Unchanged()
    parts = {
        name: {k.removeprefix(name): v for k, v in state.items() if k.startswith(name)}
        for name in ("encoder.", "decoder.")
    }
    unused = {key for key in parts["decoder."] if key.startswith("mid.attn_1.")}
    loaded(decoder, {key: value for key, value in parts["decoder."].items() if key not in unused})
    return loaded(encoder, parts["encoder."]), decoder


def pipeline(case: Any) -> dict:
    config, given = case.data["config"], case.inputs
    encoder, decoder = tiny_vae(weights(case, "vae"))
    identity_state, guider_state = weights(case, "id_proj_model"), weights(case, "pose_guider")
    projector = IdentityProjector(
        512, identity_state["proj1.bias"].numel(), identity_state["proj3.bias"].numel()
    )
    guider = PoseGuider(guider_state["conv_out.bias"].numel())
    mode = {
        "picture": encoder(2 * given["ref_img"] - 1)[:, :4],
        "identity": loaded(projector, identity_state)(given["id_embed"])[0],
        "pose": loaded(guider, guider_state)(given["pose"][None]),
        "id_size": config["unet"]["addition_time_embed_dim"],
    }
    heard = {"audio": given["audio"], "audio_none": given["audio_uncond"]}
    seen = {"motion": given["motion"], "motion_none": given["motion_uncond"]}
    face, nothing = given["pose"][None, :1], torch.zeros_like(given["pose"][None, :1])
    modes = {
        "mode0_audio": {**heard, "regions": Regions(face, nothing)},
        "mode1_motion": {**seen, "regions": Regions(nothing, face)},
        "mode2_both": {**heard, **seen},
    }
    network = tiny_unet(config["unet"], weights(case, "unet"))
    latents = {
        name: published.sample(
            network, published.Conditions(**mode, **own), given["latents"][0], config["steps"],
            config["guidance"],
            config["frames_per_batch"], config["overlap"], config["shift_offset"],
        )
        for name, own in modes.items()
    }  # fmt: skip
    frames = published.decode(
        decoder, latents["mode2_both"], config["num_frames"], config["decode_chunk_size"]
    )
    outputs = {f"{name}_latents": value[None] for name, value in latents.items()}
    return {**outputs, "mode2_both_frames": frames.transpose(0, 1)[None]}


def sampler(case: Any) -> dict:
    given = case.inputs
    sigmas = published.noise_levels(25)
    guidance = case.data["config"]["guidance"]
    cfg = published.guided(given["noise_preds"], list(branch_weights(guidance).values()))[None]
    outputs: dict[str, Any] = {"cfg": cfg, "sigmas": sigmas, "timesteps": published.timestep(sigmas[:-1])}
    for name in case.data["outputs"]:
        if name.startswith("scaled_"):
            i = int(name.removeprefix("scaled_"))
            latents = given["latents"] * (sigmas[i] ** 2 + 1).sqrt()
            outputs[name] = published.scaled_input(latents, sigmas[i])
            outputs[f"step_{i}"] = published.euler_step(latents, cfg, sigmas[i], sigmas[i + 1])
    outputs["init_latents"] = published.initial_latents(given["ref"], given["latents"], sigmas[0])
    outputs["windows"] = {
        name: window_table(name, len(steps)) for name, steps in case.data.get("windows", {}).items()
    }
    return outputs


def window_table(name: str, steps: int) -> list[list[list[int]]]:
    """Windows by a name like frames60_fpb25_overlap6_shift7: frames wanted, window, overlap, shift."""
    frames, length, overlap, shift = (
        int("".join(c for c in part if c.isdigit())) for part in name.split("_")
    )
    return [list(windows(frames + length, step, length, overlap, shift)) for step in range(steps)]


def audio(case: Any) -> dict:
    config = case.data["config"]
    network = loaded(AudioProjector(), weights(case))
    clips = published.speech_windows(case.inputs["hidden"][0], config["audio_len"])
    return {"clips": clips, "cond": network(clips), "uncond": network(torch.zeros_like(clips[:1]))[0]}


def expression(case: Any) -> dict:
    given = case.inputs
    network = loaded(ExpressionProjector(), weights(case))
    nothing = torch.zeros_like(given["expression"]), torch.zeros_like(given["rotation"])
    return {
        "cond": motion_tokens(network, given["expression"], given["rotation"]),
        "uncond": motion_tokens(network, *nothing),
    }


def pose_guider(case: Any) -> dict:
    network = loaded(PoseGuider(), weights(case))

    def guided(video: Tensor) -> Tensor:
        """[b,3,f,H,W] -> [b,320,f,h,w]."""
        return network(video.transpose(1, 2).flatten(0, 1)).unflatten(0, (len(video), -1)).transpose(1, 2)

    return {name: guided(video) for name, video in case.inputs.items()}


def head_pose(case: Any) -> dict:
    rotation, translation = loaded(HeadPose(), weights(case))(2 * case.inputs["face"] - 1)
    return {"rotation": rotation, "translation": translation}


def whisper(case: Any) -> dict:
    network = loaded(WhisperTiny(), {f"encoder.{key}": value for key, value in weights(case).items()})
    hidden = network(case.inputs["mel"])
    return {"hidden": hidden, **{f"state{i}": state for i, state in enumerate(hidden.unbind(2))}}


def boxes(case: Any) -> dict:
    """The tables of the geometry golden, each row with its question and our answer."""
    data = case.data
    return {
        "process_bbox": [
            {**row, "out": list(square_box(row["bbox"], row["ratio"], row["h"], row["w"]))}
            for row in data["process_bbox"]
        ],
        "get_bbox_by_aspect": [
            {**row, "out": list(published.box_of_aspect(row["bbox"], row["type"], row["w"], row["h"]))}
            for row in data["get_bbox_by_aspect"]
        ],
        "center_crop": [cropped(row) for row in data["center_crop"]],
        "masks": [masked(row) for row in data["masks"]],
    }


def cropped(row: Mapping[str, Any]) -> dict:
    picture = (np.arange(120 * 160 * 3) * 7 % 251).astype(np.uint8).reshape(120, 160, 3)
    crop = geometry.square_crop(picture, row["bbox"])
    values = crop.astype(np.int64).ravel()
    weighted = int((values * (np.arange(len(values)) % 97)).sum())
    return {**row, "shape": list(crop.shape), "sum": int(values.sum()), "wsum": weighted}


def masked(row: Mapping[str, Any]) -> dict:
    rect = grown_box(row["bbox_xywh"], row["w"], row["h"], row["area"])
    rows = published.mouth_rows(rect)
    new_w, new_h = geometry.working_size(row["w"], row["h"], row["image_size"])
    mouth = geometry.box_picture((rect[0], rows[0], rect[2], rows[1]), row["w"], row["h"])
    mask = geometry.resized_mask(geometry.box_picture(rect, row["w"], row["h"]), new_w, new_h)[:, :1]
    answer = {
        **row, "rect": list(rect), "mouth_rows": list(rows), "new_w": new_w, "new_h": new_h,
        "mouth_nonzero": int((mouth > 0).sum()), "mask_mean": float(mask.mean()),
    }  # fmt: skip
    for factor in (8, 16, 32):
        region = level_region(mask, new_h // factor, new_w // factor)
        weight, tokens = region.weight, region.tokens
        assert weight is not None and tokens is not None  # the declared boxes are neither empty nor all
        answer[f"down{factor}"] = {
            "mean": float(weight.mean()), "min": float(weight.min()), "max": float(weight.max()),
            "selected": len(tokens),
            "first": tokens[:3].tolist(), "last": tokens[-3:].tolist(), "index_sum": int(tokens.sum()),
        }  # fmt: skip
    return answer


def alone(
    build: Callable[[], nn.Module], name: str, prepare: Callable[[Tensor], Tensor] = lambda x: x
) -> Callable[[Any], dict]:
    """A case of one network with one input."""
    return lambda case: {"out": loaded(build(), weights(case))(prepare(case.inputs[name]))}


CASES: dict[str, Callable[[Any], dict]] = {
    "pcm": mamba,
    "pcm_longmem": mamba,
    "pcm_nonsquare": mamba,
    "pcm_fullwidth": mamba,
    "transformer_pcm": transformer,
    "transformer_pcm_longmem": transformer,
    "transformer_mid": transformer,
    "unet_tiny": unet,
    "unet_tiny_longmem": unet,
    "pipeline_tiny": pipeline,
    "sampling": sampler,
    "audio_linear": audio,
    "id_proj_model": alone(IdentityProjector, "id"),
    "vasa_linear": expression,
    "pose_guider": pose_guider,
    "head_expression": alone(HeadExpression, "face"),
    "head_pose": head_pose,
    "arcface_r50": alone(ArcFace, "head", lambda picture: 2 * picture - 1),
    "whisper_tiny": whisper,
    "geometry": boxes,
}
