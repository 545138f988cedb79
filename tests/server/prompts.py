"""Small API prompts that the server tests share."""

import io
import json
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file
from talking_portrait.tools.comfy_server import PromptError
from torch import Tensor


def chosen(menu: str, choice: str, **options: Any) -> dict[str, Any]:
    """Inputs of a loader whose menu has this choice with these options of its own."""
    return {menu: choice, **{f"{menu}.{name}": value for name, value in options.items()}}


def talking_prompt(image: str, audio: str, **changes: dict[str, Any]) -> dict[str, Any]:
    """The built-in chain from picture and voice to a saved video; `changes` is node title -> inputs to set."""
    prompt = {
        "image": {"class_type": "LoadImage", "inputs": {"image": image}},
        "detector": {"class_type": "TalkingPortraitLoadFaceDetector", "inputs": {}},
        "landmarks": {
            "class_type": "MediaPipeFaceLandmarker",
            "inputs": {
                "face_detection_model": ["detector", 0], "image": ["image", 0], "detector_variant": "both",
                "num_faces": 4, "min_confidence": 0.5, "missing_frame_fallback": "empty",
            },
        },
        "audio": {"class_type": "LoadAudio", "inputs": {"audio": audio}},
        "engine": {"class_type": "TalkingPortraitMotionEngine", "inputs": {"engine": "built-in"}},
        "motion": {
            "class_type": "TalkingPortraitGenerateMotion",
            "inputs": {
                "motion_engine": ["engine", 0], "audio": ["audio", 0], "fps": 25.0, "seed": 0,
                "mouth_amount": 1.0,
                "head_amount": 1.0, "blink_rate": 18.0, "brow_amount": 1.0, "silence_threshold": -38.0,
            },
        },
        "renderer": {"class_type": "TalkingPortraitLoadRenderer", "inputs": {"renderer": "built-in warp"}},
        "portrait": {
            "class_type": "TalkingPortraitPrepare",
            "inputs": {
                "renderer": ["renderer", 0], "image": ["image", 0], "face_landmarks": ["landmarks", 0],
                "face_index": 0,
            },
        },
        "video": {
            "class_type": "TalkingPortraitRenderVideo",
            "inputs": {
                "portrait": ["portrait", 0], "face_motion": ["motion", 0], "audio": ["audio", 0], "crf": 16.0,
            },
        },
        "save": {
            "class_type": "SaveVideo",
            "inputs": {"video": ["video", 0], "filename_prefix": "video/test", "format": "auto",
            "codec": "auto"},
        },
    }  # fmt: skip
    for title, inputs in changes.items():
        prompt[title]["inputs"].update(inputs)
    return prompt


def write_wav(path: Path, samples: np.ndarray, rate: int) -> Path:
    """16-bit wav of [T] or [C,T] samples in -1..1."""
    channels = np.atleast_2d(samples)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels.shape[0])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(channels.T, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def video_facts(path: Path) -> dict[str, Any]:
    """Decoded facts of a video file: frames [n,H,W,3] uint8, fps, whether and how long there is sound."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        fps = Fraction(stream.average_rate)
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
    with av.open(str(path)) as container:
        sound = container.streams.audio
        rate, samples = (
            (sound[0].rate, [frame.samples for frame in container.decode(sound[0])]) if sound else (1, [])
        )
    return {"frames": frames, "fps": fps, "audio_seconds": sum(samples) / rate if samples else None}


def png(image: Image.Image) -> bytes:
    """PNG bytes of a picture."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def landmarks(image: list, detector: str = "detector") -> dict[str, Any]:
    """Core's landmarks of one face in every frame of `image`; frames without a face stay empty."""
    inputs = {
        "face_detection_model": [detector, 0], "image": image, "detector_variant": "both", "num_faces": 1,
        "min_confidence": 0.5,
        "missing_frame_fallback": "empty",
    }  # fmt: skip
    return {"class_type": "MediaPipeFaceLandmarker", "inputs": inputs}


def saved_latent(server: Any, graph: dict[str, Any]) -> Tensor:
    """Run a graph that ends in Save Latent and read what it saved."""
    before = set((server.base / "output").rglob("*.latent"))
    server.run(graph)
    (path,) = set((server.base / "output").rglob("*.latent")) - before
    return load_file(path)["latent_tensor"]


def failure(server: Any, graph: dict[str, Any]) -> str:
    """What the artist reads when this graph fails; an assertion if it does not."""
    with pytest.raises(PromptError) as caught:
        server.run(graph)
    return str(caught.value)


NEURAL_CHOICES = {
    "TalkingPortraitLoadRenderer": ("LivePortrait",), "TalkingPortraitMotionEngine": ("KDTalker", "JoyVASA"),
}  # fmt: skip
MUTED = 2  # a node's mode
NEURAL_LOADERS = ("TalkingPortraitLoadFantasyTalking", "TalkingPortraitLoadACTalker")


def neural_stages(path: Path) -> set[str]:
    """Kinds of loaders in a workflow file that ask for weights which do not ship."""
    nodes = json.loads(path.read_text(encoding="utf-8"))["nodes"]

    def asks(node: dict) -> bool:
        chosen = (node.get("widgets_values") or [""])[0]
        return node["type"] in NEURAL_LOADERS or chosen in NEURAL_CHOICES.get(node["type"], ())

    return {node["type"] for node in nodes if node.get("mode") != MUTED and asks(node)}
