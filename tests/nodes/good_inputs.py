"""One right value for every input of every node, in one process, with tiny networks: where the fuzz starts from."""

from fractions import Fraction
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import comfy.sd
import folder_paths
import numpy as np
import torch
from comfy_api.latest import InputImpl, Types, io
from PIL import Image
from talking_portrait.models.face_motion import FaceMotion
from talking_portrait.models.footage.footage import learn
from talking_portrait.nodes import (
    actalker,
    crops,
    dubbing,
    face,
    fantasytalking,
    loaders,
    portrait,
    sampler,
    speech,
)

from ..models import film_samples
from ..models.engine_samples import Extractor

# nodes that read a film of a face
FILMS = {"TalkingPortraitPrepareFootage", "TalkingPortraitEvaluateVideo", "TalkingPortraitCompareVideos"}
ROOT = Path(__file__).resolve().parent.parent.parent
SIZE = 256
BOX = {"x": 85.0, "y": 25.0, "width": 75.0, "height": 95.0}
MODEL_FILES = {
    ("TalkingPortraitLoadFantasyTalking", "file"): "fantasytalking_model.ckpt",
    ("TalkingPortraitLoadSpeechEncoder", "file"): "wav2vec2-base-960h.safetensors",
    ("TalkingPortraitFantasyTalkingIdentity", "file"): "extras.safetensors",
    ("TalkingPortraitFantasyTalkingIntensity", "file"): "extras.safetensors",
    ("TalkingPortraitLoadACTalker", "file"): "actalker.safetensors",
}
SPECIAL = {  # (node, input) -> value where the default is not enough
    ("TalkingPortraitFantasyTalkingAudio", "frames"): 5,
    ("TalkingPortraitACTalkerConditioning", "short_side"): 64,
    ("TalkingPortraitGenerateMotionLive", "last"): True,
    ("TalkingPortraitSaveFaceMotion", "filename_prefix"): "motion/fuzz",
    ("TalkingPortraitDubVideo", "keep_mask"): torch.ones(1, 160, 160),
    ("TalkingPortraitDubVideoImages", "keep_mask"): torch.ones(1, 160, 160),
    ("TalkingPortraitKeypointExtractor", "extractor"): "LivePortrait",
}


class ClipVision:
    """What core's CLIP Vision Encode gives, as far as it is read."""

    penultimate_hidden_states = torch.zeros(1, 257, 1280)


class TinyVae:
    """In the place of SVD's VAE, whose full size would take minutes: the same shapes by averaging."""

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.avg_pool2d(pixels[..., :3].movedim(-1, 1), 8)
        return torch.cat([small, small[:, :1]], 1)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(latents[:, :3], scale_factor=8.0).movedim(1, -1).clamp(0, 1)


class Bench:
    """Right values by socket type, made when they are first asked for. `models` holds the files of random numbers."""

    def __init__(self, models: Path):
        self.models = models

    def inputs(self, node: type[io.ComfyNode]) -> dict[str, Any]:
        """Right values for all inputs of a node that must be given, and for its widgets."""
        schema = node.define_schema()
        given = {entry.id: self.value(schema.node_id, entry) for entry in schema.inputs}
        if schema.node_id == "TalkingPortraitLipSyncCheck":
            given["face_landmarks"] = None  # it takes one of the two
        if schema.node_id == "TalkingPortraitHeadMotion":
            given["leader"] = None  # it is for other modes than the first
        if schema.node_id == "TalkingPortraitMeasureMotionIntensity":
            given["face_landmarks"] = {**self.face_landmarks, "frames": self.face_landmarks["frames"] * 3}
        return {name: value for name, value in given.items() if value is not None}

    def value(self, node: str, entry: Any) -> Any:
        """A right value for one input of one node."""
        for table in (SPECIAL, MODEL_FILES):
            if (node, entry.id) in table:
                return table[node, entry.id]
        if node == "TalkingPortraitLoadFaceMotion":
            return str(self.motion_file) if entry.id == "file" else None  # a path would take the menu's place
        if entry.io_type == "COMFY_DYNAMICCOMBO_V3":
            return entry.options[0].key
        if entry.io_type == "COMBO":
            return entry.default if entry.default is not None else entry.options[0]
        if entry.io_type in ("FLOAT", "INT", "STRING", "BOOLEAN"):
            return entry.default
        if entry.io_type == "MODEL":
            return (
                self.actalker if "ACTalker" in node else self.hearing_wan if "Apply" not in node else self.wan
            )
        if node in FILMS and entry.io_type == "VIDEO":
            return self.video
        if (
            node in ("TalkingPortraitStream", "TalkingPortraitGenerateMotionLive")
            and entry.io_type == "MOTION_ENGINE"
        ):
            return self.takin
        if (
            node.endswith("Emotion")
            and entry.id == "exemplar"
            or entry.io_type in ("LIVE_MOTION", "VIDEO", "POSE_KEYPOINT")
        ):
            return None  # optional; what they change is tested elsewhere
        if node == "TalkingPortraitLoadMotionEngine":
            return None
        if (
            entry.io_type in ("AUDIO_ENCODER", "AUDIO_ENCODER_OUTPUT", "KEYPOINT_EXTRACTOR")
            and entry.optional
        ):
            return None  # engines hear and see by themselves; tests/nodes/test_stages.py swaps them
        if node == "TalkingPortraitLivePortraitAnimation" and entry.io_type == "PORTRAIT":
            return self.portrait
        return getattr(self, entry.io_type.lower())

    @cached_property
    def image(self) -> torch.Tensor:
        picture = (
            Image.open(ROOT / "samples" / "talking_portrait_astronaut.png")
            .convert("RGB")
            .resize((SIZE, SIZE))
        )
        return torch.from_numpy(np.asarray(picture, np.float32) / 255)[None]

    @cached_property
    def audio(self) -> dict[str, Any]:
        t = torch.arange(16000) / 16000
        wave = sum(torch.sin(2 * torch.pi * 130 * k * t) / k for k in range(1, 12)) * (
            0.5 + 0.5 * torch.sin(25 * t)
        )
        return {"waveform": 0.2 * wave[None, None] / wave.abs().max(), "sample_rate": 16000}

    @cached_property
    def mask(self) -> torch.Tensor:
        return torch.ones(1, SIZE, SIZE)

    bounding_box = BOX

    @cached_property
    def face_detection_model(self) -> Any:
        return face.LoadFaceDetector.execute().result[0]

    @cached_property
    def face_landmarks(self) -> dict[str, Any]:
        return face.FaceFromBox.execute(self.face_detection_model, self.image, BOX, 0.1).result[0]

    @cached_property
    def video(self) -> Any:
        parts = Types.VideoComponents(images=self.image.expand(6, -1, -1, -1), frame_rate=Fraction(25))
        return InputImpl.VideoFromComponents(parts)

    @cached_property
    def footage(self) -> Any:
        known = learn(film_samples.film(25), film_samples.told(film_samples.talking(25)))
        return dubbing.PreparedFootage(**vars(known), video=self.video)

    @cached_property
    def face_crops(self) -> Any:
        chosen = (0, 64, 1.5, "mouth", 0.0, 4.0, 0.0, "error")
        return crops.CropFaceFromVideo.execute(self.image, self.face_landmarks, *chosen).result[2]

    @cached_property
    def face_motion(self) -> FaceMotion:
        controls = torch.rand(25, 12, generator=torch.Generator().manual_seed(1)) / 2
        still = torch.zeros(25, 3)
        return FaceMotion.from_controls(
            controls, still, still, torch.ones(25), Fraction(25), source={"producer": "fuzz"}
        )

    @cached_property
    def motion_file(self) -> Path:
        from talking_portrait.models.face_motion.storage import save_any

        path = Path(folder_paths.get_output_directory()) / "fuzz.safetensors"
        save_any(self.face_motion, path)
        return path

    @cached_property
    def motion_engine(self) -> Any:
        return loaders.LoadMotionEngine.execute("built-in").result[0]

    @cached_property
    def takin(self) -> Any:
        chosen = {"engine": "Takin-ADA", "sampler": self.motion_sampler}
        return loaders.LoadMotionEngine.execute(chosen).result[0]

    @cached_property
    def motion_sampler(self) -> Any:
        return sampler.MotionSamplerNode.execute({"sampler": "ddim", "eta": 0.5}, steps=2, window=0).result[0]

    @cached_property
    def portrait_renderer(self) -> Any:
        return loaders.LoadPortraitRenderer.execute("built-in warp").result[0]

    @cached_property
    def portrait(self) -> Any:
        return portrait.PreparePortrait.execute(
            self.portrait_renderer, self.image, self.face_landmarks, 0
        ).result[0]

    @cached_property
    def fantasytalking(self) -> Any:
        return fantasytalking.LoadFantasyTalking.execute("fantasytalking_model.ckpt").result[0]

    @cached_property
    def audio_encoder(self) -> Any:
        return speech.LoadSpeechEncoder.execute(speech_encoder="wav2vec2-base-960h").result[0]

    @cached_property
    def keypoint_extractor(self) -> Any:
        network = Extractor()
        return SimpleNamespace(ready=lambda: network, device=torch.device("cpu"))

    @cached_property
    def wan(self) -> Any:
        return comfy.sd.load_diffusion_model(str(self.models / "diffusion_models" / "tiny_wan.safetensors"))

    @cached_property
    def hearing_wan(self) -> Any:
        return fantasytalking.ApplyFantasyTalking.execute(self.wan, self.fantasytalking, 1.0, True).result[0]

    @cached_property
    def actalker(self) -> Any:
        return actalker.LoadACTalker.execute("actalker.safetensors", "fp32").result[0]

    vae = TinyVae()

    @cached_property
    def actalker_audio(self) -> Any:
        return actalker.ACTalkerAudio.execute(self.audio).result[0]

    @cached_property
    def actalker_motion(self) -> Any:
        return actalker.ACTalkerMotionFromVideo.execute(
            self.image, self.face_landmarks, 12.5, 0, "error"
        ).result[0]

    @cached_property
    def conditioning(self) -> list:
        return [[torch.zeros(1, 4, 64), {}]]

    @cached_property
    def latent(self) -> dict[str, Any]:
        return {"samples": torch.zeros(26, 4, 8, 8)}

    clip_vision_output = ClipVision()
