"""What every system sends to a GPU and how often it waits for one, counted on a pretended device.

    python3 run.py python benchmarks/device_traffic.py [--out RESULT.json]

Uploads are copies of numbers to the device, waits are readings that stop the host until the device has computed them.
Counted are one call, and what each further frame or sampling step adds; a fraction stands for what comes once a window.
A film's finished bytes are fetched once a batch, in the thread that encodes, and are left out. Networks are small ones
with random numbers or those that ship: how often something moves does not depend on their size. Every call comes after
another one, so that what stays on the device is there.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import comfy.cli_args
import torch

comfy.cli_args.args.cpu = comfy.cli_args.args.use_pytorch_cross_attention = True

import comfy.model_management
import comfy.samplers
from comfy.conds import CONDRegular
from talking_portrait.models.actalker.core_model import HEAD_DIM, load_core_model
from talking_portrait.models.actalker.regions import Regions
from talking_portrait.models.actalker.unet import ACTalkerUNet, time_id_embedding, unet_config
from talking_portrait.models.builtin.warp import WarpRenderer
from talking_portrait.models.engine import MotionSettings
from talking_portrait.models.face_motion import CONTROLS, FaceMotion
from talking_portrait.models.fantasytalking.guidance import sigmas
from talking_portrait.models.fantasytalking.patch import patched, with_audio_condition
from talking_portrait.models.generation import generate_motion
from talking_portrait.models.liveportrait.renderer import FRAME_BYTES, SHARE, LivePortraitRenderer
from talking_portrait.models.portrait import Portrait
from talking_portrait.models.rendering import render_bytes
from talking_portrait.tools import random_joyvasa, random_weights
from talking_portrait.tools.check import chains, networks
from talking_portrait.tools.golden_cases.fantasytalking import TinyWan
from talking_portrait.tools.goldens import COPIES, GoldenCase
from talking_portrait.tools.pretend_accelerator import DEVICE, Traffic, accelerator, for_comfyui, moved
from talking_portrait.tools.random_state import random_state

ROOT = Path(__file__).resolve().parent.parent
BATCH = 4  # frames that LivePortrait draws at once here
FRAMES, MORE_FRAMES = 8, 16
SPOKEN, MORE_SPOKEN = 50, 150
STEPS, MORE_STEPS = 2, 6
CORE = str(Path(comfy.__path__[0]))


@dataclass
class Room(chains.Held):
    """LivePortrait's networks on a device with room for BATCH frames."""

    def memory(self) -> tuple[int, int]:
        return BATCH * FRAME_BYTES[self.dtype], SHARE * BATCH * FRAME_BYTES[self.dtype]


Totals = tuple[int, int, int]


def totals(traffic: Traffic) -> Totals:
    """Uploads, waits, and how many of both are made by ComfyUI's own lines."""
    both = traffic.uploads + traffic.waits
    return (
        traffic.uploads.total(), traffic.waits.total(),
        sum(count for line, count in both.items() if line.startswith(CORE)),
    )  # fmt: skip


def counted(traffic: Traffic, call: Callable[[], Any]) -> Totals:
    """Of the second of two calls."""
    call()
    before = totals(traffic)
    call()
    up, waits, core = (now - then for now, then in zip(totals(traffic), before, strict=True))
    return up, waits, core


def figures(call: Callable[[int], Any], few: int, many: int, unit: str) -> dict[str, Any]:
    """Of a call of `few` frames or steps, and what each one more adds; of ComfyUI's own lines where there are any."""
    with accelerator() as traffic:
        one, other = (counted(traffic, lambda count=count: call(count)) for count in (few, many))
    row: dict[str, Any] = {}
    for name, first, second in zip(
        ("uploads", "waits", "of both by ComfyUI's own lines"), one, other, strict=True
    ):
        if second or not name.startswith("of both"):
            row[f"{name}, a call of {few} {unit}s"] = first
            row[f"{name}, each further {unit}"] = round((second - first) / (many - few), 3)
    return row


def renderers(models: Path) -> dict[str, dict[str, Any]]:
    """A film of the sample portrait, drawn."""
    photo, face = networks.sample_face()
    parts = (*chains.DRAWING, *chains.KEYPOINTS)
    nets = dict(zip(parts, map(moved, networks.liveportrait_networks(models, *parts)[0]), strict=True))
    liveportrait = LivePortraitRenderer(Room(nets, DEVICE, torch.float32))
    rows = {}
    for name, renderer in (
        ("built-in warp", WarpRenderer()),
        (f"LivePortrait, batches of {BATCH}", liveportrait),
    ):
        with accelerator():
            portrait = renderer.prepare(photo, face)

        def film(frames: int, renderer=renderer, portrait: Portrait = portrait) -> None:
            for _ in render_bytes(renderer, portrait, moving(frames), DEVICE):
                pass

        rows[f"{name}: a render call"] = figures(film, FRAMES, MORE_FRAMES, "frame")
    return rows


def moving(frames: int) -> FaceMotion:
    """A face that moves."""
    still = torch.zeros(frames, 3)
    controls = networks.seeded(frames, len(CONTROLS)).sigmoid() / 2
    return FaceMotion.from_controls(controls, still + 3, still, torch.ones(frames), Fraction(25), source={})


def engines(models: Path) -> dict[str, dict[str, Any]]:
    """The sample voice, heard and turned into motion."""
    photo, face = networks.sample_face()
    (extractor,), _ = networks.liveportrait_networks(models, "motion")
    moved(extractor)
    portrait = WarpRenderer().prepare(photo, face)  # of which engines read the picture and the face
    rows = {}
    for name, mover in chains.MOVERS.items():
        made = mover(models)
        nets = tuple(moved(network) for network in made.networks)

        learnt = name != "built-in"  # by diffusion, which has steps

        def spoken(frames: int, steps: int | None = STEPS if learnt else None, made=made, nets=nets) -> None:
            engine, sound = made.engine(DEVICE, nets, extractor, steps), chains.voice(frames)
            generate_motion(engine, sound, chains.FPS, 0, MotionSettings(), lambda done, n: None, portrait)

        row = figures(spoken, SPOKEN, MORE_SPOKEN, "frame")
        if learnt:
            steps = figures(partial(spoken, SPOKEN), STEPS, MORE_STEPS, "step")
            row |= {name: value for name, value in steps.items() if "each further" in name}
        rows[f"{name}: motion of a sound"] = row
    return rows


def actalker() -> dict[str, dict[str, Any]]:
    """Denoiser calls of a window of 4 frames through ComfyUI's model, three or four branches, sound in a mask."""
    state = random_state(ACTalkerUNet(**unet_config(64, 64), device="meta"), 14)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 16:48, 16:48] = 1
    rows = {}
    with for_comfyui(), accelerator():
        model = load_core_model(state, torch.float32, HEAD_DIM)
        model.load(DEVICE, lowvram_model_memory=10**12)
    for signals, branches in (("sound", 3), ("sound and motion", 4)):
        rows_of = 4 * branches
        given = {
            "x": networks.seeded(rows_of, 4, 8, 8), "c_crossattn": networks.seeded(rows_of, 1, 64),
            "c_concat": networks.seeded(rows_of, 4, 8, 8), "audio": networks.seeded(rows_of, 32, 64),
            "pose": networks.seeded(1, 64, 8, 8), "t": torch.full((rows_of,), 3.0),
            "y": time_id_embedding().expand(rows_of, -1),
        }  # fmt: skip
        if branches == 4:
            given["motion"] = networks.seeded(rows_of, 1, 64)
        with accelerator():
            there = {key: value.to(DEVICE) for key, value in given.items()}
        regions = Regions(mask, mask)

        def steps(count: int, there=there, regions=regions) -> None:
            for _ in range(count):
                model.model.apply_model(**there, regions=regions, num_video_frames=4)

        with for_comfyui():
            rows[f"ACTalker, {signals}: denoiser calls"] = figures(steps, STEPS, MORE_STEPS, "step")
    return rows


def fantasytalking() -> dict[str, dict[str, Any]]:
    """A film of 9 frames by ComfyUI's sampler with guidance: a tiny Wan, with and without sound in it."""
    case = GoldenCase(COPIES / "fantasytalking" / "ft_cfg.public.golden.json")
    rows = {}
    for name, heard in (("FantasyTalking", True), ("the same Wan without it", False)):
        tiny = TinyWan(case)
        for patcher in (tiny.patcher, tiny.adapter):
            patcher.load_device = DEVICE
        values = {"c_concat": "y", "c_crossattn": "context", "clip_fea": "clip"}
        held = {"model_conds": {key: CONDRegular(case.inputs[own]) for key, own in values.items()}}
        condition = [[case.inputs["context"], held]]

        def film(steps: int, tiny=tiny, heard=heard, condition=condition) -> None:
            guider = comfy.samplers.CFGGuider(
                patched(tiny.patcher, tiny.adapter, 1.0, True) if heard else tiny.patcher
            )
            guider.set_conds(with_audio_condition(condition, tiny.tokens) if heard else condition, condition)
            guider.set_cfg(5.0)
            noise, euler = case.inputs["noise"], comfy.samplers.sampler_object("euler")
            guider.sample(noise, torch.zeros_like(noise), euler, sigmas(steps), disable_pbar=True)

        with for_comfyui():
            rows[f"{name}: a sampling"] = figures(film, STEPS, MORE_STEPS, "step")
            comfy.model_management.unload_all_models()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "device_traffic.json")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        random_weights.write(models, small=True)
        random_joyvasa.write(models, random_joyvasa.SMALL)
        result = {}
        for rows in (lambda: renderers(models), lambda: engines(models), actalker, fantasytalking):
            result |= rows()
    print(json.dumps(result, indent=1))
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
