"""The built-in engine and renderer as a live face needs them, without a server of ComfyUI."""

import gc
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from safetensors.torch import load_file

from ...models.builtin.motion_engine import BuiltinMotionEngine
from ...models.builtin.warp import WarpRenderer
from ...models.contracts import STREAMED_FPS
from ...models.engine import MotionSettings, Speech
from ...models.face.landmarks import landmarks_in_pixels
from ...models.face.weights import load_face_detector, load_person_segmenter
from ...models.face_motion import CONTROLS, FaceMotion
from ...models.portrait import FaceLandmarks478
from ...models.rendering import Canvas, drawn_part, render_bytes
from ...models.speech.viseme_heads import build_heads
from ...models.speech.whisper_tiny_en import build_encoder, encoder_state
from ...models.weights.int8 import in_float
from ...models.weights.published import WEIGHTS, weight_path
from .face import AT_ONCE, RATE

CPU = torch.device("cpu")
JPEG_QUALITY = 85


@torch.inference_mode()
def builtin_engine() -> BuiltinMotionEngine:
    """The engine with its networks in memory, warm."""
    encoder = ready(build_encoder, encoder_state(load_file(weight_path(WEIGHTS["whisper_tiny_en"]))))
    heads = ready(build_heads, in_float(load_file(weight_path(WEIGHTS["viseme_heads"]))))
    engine = BuiltinMotionEngine(lambda: (encoder, heads))
    engine.begin(0, MotionSettings()).push(Speech(torch.zeros(1, RATE), RATE))  # the first sound takes longer
    gc.collect()
    gc.freeze()  # what is loaded stays, and looking through it again takes a fifth of a second
    return engine


def ready(build: Any, state: dict[str, torch.Tensor]) -> Any:
    """A network with these weights in float32."""
    network = build(state, {}).eval().requires_grad_(False)
    network.load_state_dict({key: value.float() for key, value in state.items()})
    return network


class DrawnPortrait:
    """One picture that the built-in renderer moves; its longest edge is `size` pixels at most. ValueError in words if
    it is no picture, or shows no face."""

    @torch.inference_mode()
    def __init__(self, path: Path, size: int):
        try:
            with Image.open(path) as file:
                picture = ImageOps.exif_transpose(file).convert("RGB")
        except (OSError, UnidentifiedImageError) as error:
            raise ValueError(f"{path} cannot be read as a picture ({error}).") from None
        picture.thumbnail((size, size), Image.Resampling.LANCZOS)
        pixels = np.array(picture)
        faces = load_face_detector().detect_batch([pixels], 1, 0.4, "short")[0]
        if not faces:
            raise ValueError(f"{path} shows no face.")
        image = torch.from_numpy(pixels).float() / 255
        face = FaceLandmarks478(landmarks_in_pixels(faces[0]))
        self.renderer = WarpRenderer()
        self.portrait = self.renderer.prepare(image, face, load_person_segmenter().mask(image))
        self.canvas = Canvas(self.portrait.image, drawn_part(self.renderer, self.portrait))
        # so that no frame of the stream waits until what draws it is loaded
        for count in range(1, AT_ONCE + 1):
            moved, still = torch.full((count, len(CONTROLS)), 0.3), torch.zeros(count, 3)
            whole = torch.ones(count)
            self.jpegs(FaceMotion.from_controls(moved, still + 3, still, whole, STREAMED_FPS, source={}))

    def jpegs(self, motion: FaceMotion) -> list[bytes]:
        """All frames of a motion."""
        pictures = []
        for parts in render_bytes(self.renderer, self.portrait, motion, CPU):
            for part in parts:
                stream = io.BytesIO()
                Image.fromarray(self.canvas.lay(part).numpy()).save(stream, "JPEG", quality=JPEG_QUALITY)
                pictures.append(stream.getvalue())
        return pictures
