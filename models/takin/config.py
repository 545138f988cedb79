"""Sizes of Takin-ADA's audio-to-motion network, and the layout of the 70 numbers that it makes for every frame."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from torch import Tensor

from ..weights.safe_files import BAD_CONTENT, Damaged, parse_json, shown

NODE = "Load Motion Engine"
FPS = 25  # video frames per second
FEATURE_RATE = 50  # speech feature frames per second, two for every video frame
EXPRESSION, POSE = 63, 7  # 21 keypoints x 3; scale, translation x y z, pitch, yaw, roll (degrees)
MOTION = EXPRESSION + POSE
SCALE, TRANSLATION, ANGLES = 63, slice(64, 67), slice(67, 70)  # where they lie in the 70
# what can be commanded frame by frame: the pose and the closure of the lids, each with a mask bit
COMMANDS = POSE + 1
EMOTIONS = ("angry", "disgusted", "fearful", "happy", "neutral", "sad", "surprised", "contemptuous")
LIMITS = {"previous": 1000, "exemplar_frames": 1000, "diffusion_steps": 10_000}  # a header may claim anything
LARGEST_HEADER = 10_000  # characters
PREDICTIONS, SCHEDULES = ("x0", "eps"), ("cosine", "linear")


@dataclass(frozen=True)
class TakinConfig:
    """What is needed to build the network; the sizes are read from a checkpoint's tensors, the words from its header.

    `encoder` names the speech encoder whose layers it was trained on; features of another one are refused.
    """

    encoder: str
    encoder_layers: int
    encoder_width: int
    width: int
    heads: int
    feed_forward: int  # times the width
    kernel: int
    speech_layers: int = 4  # section 3.2: four conformer layers for speech, eight for motion
    motion_layers: int = 8
    previous: int = 10  # frames of context before a window
    exemplar_frames: int = 25  # K frames whose mean expression is an emotion's example
    prediction: str = "x0"
    schedule: str = "cosine"
    diffusion_steps: int = 1000
    # whether the layers are brought to their usual mean and deviation first: Whisper's have a few huge channels
    standardised: bool = False

    def __post_init__(self) -> None:
        for name, most in LIMITS.items():
            if type(value := getattr(self, name)) is not int or not 1 <= value <= most:
                raise ValueError(f"Takin-ADA's {name} is {shown(value)}; 1 to {most} is possible.")
        if self.width % self.heads:
            raise ValueError(f"Takin-ADA's width {self.width} is no multiple of its {self.heads} heads.")
        for name, value, known in (
            ("prediction", self.prediction, PREDICTIONS),
            ("schedule", self.schedule, SCHEDULES),
        ):
            if value not in known:
                raise ValueError(f"Takin-ADA's {name} is {shown(value)}; {' or '.join(known)} is needed.")

    def header(self) -> dict[str, str]:
        """The entry of a checkpoint's header."""
        return {"takin": json.dumps(asdict(self))}


FULL = TakinConfig("hubert-large", 25, 1024, width=512, heads=8, feed_forward=4, kernel=13)
TINY = TakinConfig("builtin-speech-1", 8, 112, width=96, heads=4, feed_forward=2, kernel=13)
# not to be seen in any tensor
WORDS = ("encoder", "exemplar_frames", "prediction", "schedule", "diffusion_steps", "previous")


def count_blocks(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbered blocks a state dict has under `prefix`."""
    return len({key[len(prefix) :].split(".")[0] for key in state if key.startswith(prefix)})


def read_config(state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> TakinConfig:
    """The config of a checkpoint; ValueError if it is not one of this network or contradicts its own header."""
    try:
        written = parse_json(metadata["takin"], LARGEST_HEADER)
        words = {name: written[name] for name in WORDS}
        heads, _ = state["motion_blocks.0.attention.content_bias"].shape
        inner, width = state["motion_blocks.0.enter.up.weight"].shape
        sizes = {
            "encoder_layers": len(state["layer_logits"]), "encoder_width": len(state["stack_norm.weight"]),
            "width": width,
            "heads": heads, "feed_forward": inner // width,
            "kernel": state["motion_blocks.0.convolution.depthwise.weight"].shape[-1],
            "speech_layers": count_blocks(state, "speech_blocks."),
            "motion_layers": count_blocks(state, "motion_blocks."),
        }  # fmt: skip
    except BAD_CONTENT as error:
        reason = (
            f"{error} is missing"
            if isinstance(error, KeyError)
            else error
            if isinstance(error, Damaged)
            else "other sizes"
        )
        raise ValueError(f"the file is no Takin-ADA network of this pack ({reason}).") from None
    wrong = {name: (written.get(name), size) for name, size in sizes.items() if written.get(name) != size}
    if wrong:
        name, (header, found) = next(iter(wrong.items()))
        raise ValueError(
            f"the Takin-ADA file says {name} {shown(header)}, but its tensors have {found}: its header and "
            "its weights are of different networks. Take a file as training/takin/train.py wrote it."
        )
    return TakinConfig(**sizes, **words, standardised="stack_mean" in state)
