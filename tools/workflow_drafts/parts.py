"""What drafts of workflows are made of: nodes, their places, notes, and the pieces that several share."""

from dataclasses import dataclass, field
from typing import Any

from ...models.weights.published import WEIGHTS

PORTRAIT_FILE = "talking_portrait_astronaut.png"
SPEECH_FILE = "talking_portrait_speech.wav"
DRIVING_FILE = "talking_portrait_driving.mp4"
COLOURS = {"inputs": "#3f789e", "face": "#88A", "motion": "#8A8", "render": "#b58b2a", "proof": "#a1309b"}


@dataclass(frozen=True)
class NodeDraft:
    """One node: class, inputs as in an API prompt, place in pixels; `models` are its downloads for the page;
    muted: waits."""

    class_type: str
    inputs: dict[str, Any]
    pos: tuple[int, int]
    size: tuple[int, int] = (300, 0)
    title: str = ""
    models: list[dict[str, str]] = field(default_factory=list)
    muted: bool = False

    def place(self) -> dict[str, Any]:
        """What the page needs to lay the node out."""
        place: dict[str, Any] = {"pos": self.pos, "width": self.size[0], "height": self.size[1]}
        said = {"title": self.title, "models": self.models, "muted": self.muted}
        return place | {name: value for name, value in said.items() if value}


@dataclass(frozen=True)
class Draft:
    """One workflow; node ids are numbers as text."""

    nodes: dict[str, NodeDraft]
    notes: list[dict[str, Any]]
    groups: list[dict[str, Any]]

    @property
    def neural(self) -> bool:
        """Whether it needs weight files that do not ship, so that its own result cannot be its picture."""
        wanted = {"LivePortrait", "KDTalker", "fantasytalking_model.ckpt", "unet-136000.pth"}
        awake = [node for node in self.nodes.values() if not node.muted]
        return any(
            wanted & {value for value in node.inputs.values() if isinstance(value, str)} for node in awake
        )

    def prompt(self) -> dict[str, Any]:
        """The draft as an API prompt."""
        return {
            key: {"class_type": node.class_type, "inputs": node.inputs} for key, node in self.nodes.items()
        }


def note(title: str, text: str, pos: tuple[int, int], size: tuple[int, int]) -> dict[str, Any]:
    """A MarkdownNote."""
    return {"title": title, "text": text, "pos": pos, "size": size}


def group(title: str, colour: str, pos: tuple[int, int], size: tuple[int, int]) -> dict[str, Any]:
    """A coloured frame around nodes."""
    return {"title": title, "color": COLOURS[colour], "pos": pos, "size": size}


def find_face(column: int = 420) -> dict[str, NodeDraft]:
    """Picture -> landmarks: nodes 1 to 3."""
    return {
        "1": NodeDraft("LoadImage", {"image": PORTRAIT_FILE}, (40, 80), (300, 360)),
        "2": NodeDraft("TalkingPortraitLoadFaceDetector", {}, (column, 80)),
        "3": NodeDraft(
            "MediaPipeFaceLandmarker",
            {
                "face_detection_model": ["2", 0], "image": ["1", 0], "detector_variant": "both",
                "num_faces": 4,
                "min_confidence": 0.5, "missing_frame_fallback": "empty",
            },
            (column, 190),
        ),
    }  # fmt: skip


def speak() -> dict[str, NodeDraft]:
    """Voice -> motion: nodes 4 to 6."""
    return {
        "4": NodeDraft("LoadAudio", {"audio": SPEECH_FILE}, (40, 560), (300, 140)),
        "5": NodeDraft("TalkingPortraitMotionEngine", {"engine": "built-in"}, (420, 560)),
        "6": NodeDraft(
            "TalkingPortraitGenerateMotion",
            {
                "motion_engine": ["5", 0], "audio": ["4", 0], "fps": 25.0, "seed": 7, "mouth_amount": 1.0,
                "head_amount": 1.0, "blink_rate": 18.0, "brow_amount": 1.0, "silence_threshold": -38.0,
            },
            (420, 880),
        ),
    }  # fmt: skip


def render(motion: str, column: int) -> dict[str, NodeDraft]:
    """Landmarks and motion -> saved video: nodes 7 to 10; `motion` is the id of the node that gives FACE_MOTION."""
    return {
        "7": NodeDraft("TalkingPortraitLoadRenderer", {"renderer": "built-in warp"}, (column, 80)),
        "8": NodeDraft(
            "TalkingPortraitPrepare",
            {"renderer": ["7", 0], "image": ["1", 0], "face_landmarks": ["3", 0], "face_index": 0},
            (column, 220),
        ),
        "9": NodeDraft(
            "TalkingPortraitRenderVideo",
            {"portrait": ["8", 0], "face_motion": [motion, 0], "audio": ["4", 0], "crf": 16.0},
            (column, 420),
            (300, 420),
        ),
        "10": NodeDraft(
            "SaveVideo",
            {
                "video": ["9", 0],
                "filename_prefix": "video/talking_portrait",
                "format": "auto",
                "codec": "auto",
            },
            (column + 360, 80),
            (460, 560),
        ),
    }


def files_needed(keys: list[str]) -> str:
    """A table of weight files for a note."""
    rows = ["| file | ComfyUI/models/ | licence |", "|---|---|---|"]
    for key in keys:
        weight = WEIGHTS[key]
        rows.append(f"| [{weight.file}]({weight.url.split(' ')[0]}) | {weight.folder}/ | {weight.licence} |")
    return "\n".join(rows)
