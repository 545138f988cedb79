"""A pack of one file that brings Talking Portrait a motion engine and a renderer of its own. Copy the folder
into custom_nodes/.

Both stand in Talking Portrait's menus, and on two nodes of their own, which would work in its graphs even
without registering: there an object with the right members is enough (models/contracts.py in Talking Portrait
tells them).
"""

import torch
from comfy_api.latest import ComfyExtension, io

JAW_OPEN, UPPER_LIP, CHIN, CORNERS = 0, 13, 152, (61, 291)  # the first control; MediaPipe's points of a face


class LoudnessJaw:
    """A motion engine: the jaw opens as far as the voice is loud. `reach`: how far at its loudest, 1 is fully."""

    id, native_fps, reads = "loudness jaw", None, frozenset({"mouth_amount"})

    def __init__(self, reach: float = 1.0):
        self.reach = reach

    def generate(self, speech, fps, seed, settings, progress, portrait=None):
        wave, count = speech.waveform.mean(0), int(speech.seconds * fps + 0.5)
        loud = torch.zeros(count)
        for frame in range(count):
            start, stop = (int(place * speech.sample_rate / fps) for place in (frame, frame + 1))
            loud[frame] = wave[start : max(stop, start + 1)].square().mean().sqrt()
            progress(frame + 1, count)
        jaw = self.reach * settings.mouth_amount * loud / loud.max().clamp(min=0.01)
        return {
            "fps": fps,
            "controls": {"jawOpen": jaw.clamp(0, 1)},
            "source": {"producer": self.id, "licence": "Apache-2.0"},
        }


class PuppetJaw:
    """A renderer: the part of the picture from lips to chin slides down as a puppet's does, over a dark gap."""

    id = "puppet jaw"

    def prepare(self, image, face, person_mask=None):
        x, y = face.points[:, 0], face.points[:, 1]
        top, bottom = (int(min(max(y[point], 0), image.shape[0])) for point in (UPPER_LIP, CHIN))
        left, right = sorted(int(min(max(x[point], 0), image.shape[1])) for point in CORNERS)
        return {"features": (top, max(top, bottom), left, right)}

    def frames_per_batch(self, portrait, device):
        return 8

    def render(self, portrait, motion, device):
        top, bottom, left, right = portrait.features
        frames = portrait.image.repeat(len(motion), 1, 1, 1)
        for frame, jaw in zip(frames, motion.controls[:, JAW_OPEN].clamp(0, 1), strict=True):
            drop = round(float(jaw) * (bottom - top) / 2)
            frame[top + drop : bottom, left:right] = portrait.image[top : bottom - drop, left:right]
            frame[top : top + drop, left:right] *= 0.2
        return frames


class LoudnessJawNode(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        reach = io.Float.Input("reach", default=1.0, min=0.0, max=1.0, step=0.05)
        return io.Schema(
            "EnginePackLoudnessJaw", "Loudness Jaw", "talking", [reach], [io.Custom("MOTION_ENGINE").Output()]
        )

    @classmethod
    def execute(cls, reach):
        return io.NodeOutput(LoudnessJaw(reach))


class PuppetJawNode(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            "EnginePackPuppetJaw", "Puppet Jaw", "talking", [], [io.Custom("PORTRAIT_RENDERER").Output()]
        )

    @classmethod
    def execute(cls):
        return io.NodeOutput(PuppetJaw())


def register():
    """Put both into Talking Portrait's menus, if it is installed."""
    try:
        from talking_portrait.models.contracts import Entry, register_engine, register_renderer
        from talking_portrait.models.options import Number
    except ModuleNotFoundError:
        return
    reach = Number(
        id="reach",
        default=1.0,
        low=0.0,
        high=1.0,
        tooltip="How far the jaw opens at its loudest: 1 is fully.",
    )
    about = "The jaw opens as far as the voice is loud."
    register_engine(
        Entry("loudness jaw", about, lambda options: LoudnessJaw(**options), (reach,), licence="Apache-2.0")
    )
    about = "Lips and chin slide down as a puppet's do."
    register_renderer(Entry("puppet jaw", about, lambda options: PuppetJaw(), licence="Apache-2.0"))


class EnginePack(ComfyExtension):
    async def on_load(self):
        register()

    async def get_node_list(self):
        return [LoudnessJawNode, PuppetJawNode]


async def comfy_entrypoint():
    return EnginePack()
