"""How an engine of diffusion gets from noise to motion."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from comfy_api.latest import io

from ..models.contracts import MotionSampler
from ..models.sampling import DDIM, DDPM, SCHEDULERS, DiffusersSampler
from . import sockets
from .gates import Node

SAMPLERS: dict[str, Callable[..., MotionSampler]] = {
    DDIM.id: DDIM,
    DDPM.id: DDPM,
    **{name: partial(DiffusersSampler, name) for name in SCHEDULERS},
}
ETA = io.Float.Input(
    "eta", default=0.0, min=0.0, max=1.0, step=0.05, optional=True,
    tooltip="Noise that is added on the way: 0 none (the seed's first noise decides all), 1 as much as ddpm.",
)  # fmt: skip
OWN: dict[str, list[io.Input]] = {DDIM.id: [ETA]}  # inputs that one choice alone reads


class MotionSamplerNode(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitMotionSampler",
            display_name="Motion Sampler",
            category="talking portrait/audio",
            description="Chooses how KDTalker, JoyVASA or Takin-ADA get from noise to motion. Without it "
            "each samples as its authors do.",
            search_aliases=["scheduler", "ddim", "ddpm", "diffusion steps", "dpm solver"],
            inputs=[
                io.DynamicCombo.Input(
                    "sampler",
                    options=[io.DynamicCombo.Option(name, OWN.get(name, [])) for name in SAMPLERS],
                    tooltip="ddim, ddpm: the engines' own, exact. pndm, dpm-solver++, unipc, euler: those of "
                    "diffusers, on the engine's own noise levels; the multistep ones do with few steps.",
                ),
                io.Int.Input(
                    "steps", default=0, min=0, max=1000,
                    tooltip="Diffusion steps of each window: more are slower. 0 takes what suits the engine.",
                ),
                io.Int.Input(
                    "window", default=0, min=0, max=1000, advanced=True,
                    tooltip="Frames that are drawn at once, at 25 per second. 0 takes the engine's own. "
                    "Takin-ADA takes 25 to 125, KDTalker 16 to 64, JoyVASA its own alone.",
                ),
            ],
            outputs=[sockets.MotionSampler.Output(tooltip="For sampler of Load Motion Engine.")],
            # so that an option which the sampler does not read is refused, not dropped
            accept_all_inputs=True,
        )  # fmt: skip

    @classmethod
    def execute(cls, sampler: Mapping[str, Any], steps: int, window: int) -> io.NodeOutput:
        own = {name: value for name, value in sampler.items() if name != "sampler"}
        return io.NodeOutput(SAMPLERS[sampler["sampler"]](steps=steps, window=window, **own))


NODES = [MotionSamplerNode]
