"""What drafts of workflows are made of: nodes, their places, notes, and the pieces that several share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ...models.weights.published import WEIGHTS, saved_as

PORTRAIT_FILE = "talking_portrait_astronaut.png"
SPEECH_FILE = "talking_portrait_speech.wav"
MOTION_FILE = "talking_portrait_motion.safetensors"
DRIVING_FILE = "talking_portrait_driving.mp4"
NOTES_COLUMN = -500
COLOURS = {"inputs": "#3f789e", "face": "#88A", "motion": "#8A8", "render": "#b58b2a", "proof": "#a1309b"}


@dataclass(frozen=True)
class NodeDraft:
    """One node: class, inputs as in an API prompt, place in pixels (layout.py reads order and columns from it).

    muted: waits for its files, and all after it. bypassed: waits too, but lets what comes in pass.
    """

    class_type: str
    inputs: dict[str, Any]
    pos: tuple[int, int]
    size: tuple[int, int] = (300, 0)
    title: str = ""
    muted: bool = False
    bypassed: bool = False

    def place(self) -> dict[str, Any]:
        """What the page needs to draw the node."""
        place: dict[str, Any] = {"pos": self.pos, "width": self.size[0], "height": self.size[1]}
        said = {"title": self.title, "muted": self.muted, "bypassed": self.bypassed}
        return place | {name: value for name, value in said.items() if value}


@dataclass(frozen=True)
class Draft:
    """One workflow; node ids are numbers as text.

    name: as the Templates browser shows it. cover: the words on its picture, a line each. needs: keys of the weight
    files without which it does not run. app: inputs (node, widget) and outputs (node) of its form in app mode.
    """

    nodes: dict[str, NodeDraft]
    notes: list[dict[str, Any]]
    groups: list[dict[str, Any]]
    name: str
    cover: str
    needs: tuple[str, ...] = ()
    app: tuple[Sequence[tuple[str, str]], Sequence[str]] = ((), ())

    def prompt(self) -> dict[str, Any]:
        """The draft as an API prompt."""
        return {
            key: {"class_type": node.class_type, "inputs": node.inputs} for key, node in self.nodes.items()
        }


def note(title: str, text: str) -> dict[str, Any]:
    """A note in the column before all nodes."""
    return {"title": title, "text": text, "pos": (NOTES_COLUMN, 0), "size": (420, 100)}


def group(title: str, colour: str, pos: tuple[int, int], size: tuple[int, int]) -> dict[str, Any]:
    """A coloured frame around nodes."""
    return {"title": title, "color": COLOURS[colour], "pos": pos, "size": size}


def find_face(column: int = 420) -> dict[str, NodeDraft]:
    """Picture -> landmarks: nodes 1 to 3."""
    return {
        "1": NodeDraft("LoadImage", {"image": PORTRAIT_FILE}, (40, 80), (300, 360)),
        "2": NodeDraft("TalkingPortraitLoadFaceDetector", {}, (column, 80)),
        "3": find_faces("2", ["1", 0], (column, 190)),
    }


def find_faces(detector: str, image: list, place: tuple[int, int], most: int = 4) -> NodeDraft:
    """Core's landmarks of up to `most` faces in each picture."""
    inputs = {
        "face_detection_model": [detector, 0], "image": image, "detector_variant": "both", "num_faces": most,
        "min_confidence": 0.5, "missing_frame_fallback": "empty",
    }  # fmt: skip
    return NodeDraft("MediaPipeFaceLandmarker", inputs, place, (330, 0))


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
            (340, 0),
        ),
    }


def files_needed(keys: Iterable[str]) -> str:
    """Links for a note, one file a line: they wrap where a table would not."""
    rows = []
    for weight in (WEIGHTS[key] for key in keys):
        facts = [f"{weight.size} MB", weight.licence, *([weight.note] if weight.note else [])]
        text = f"- [{weight.file}]({weight.url}) into `{weight.folder}/` ({', '.join(facts)})"
        rows.append(f"{text}. {saved_as(weight)}".rstrip())
    return "\n".join(rows)
