"""Workflows that show motion engines: JoyVASA, and all of them side by side."""

from ...models.weights.published import JOYVASA_KEYS, KDTALKER_KEYS, LIVEPORTRAIT_KEYS, gigabytes
from .liveportrait import animation, neural_loaders
from .parts import Draft, NodeDraft, files_needed, find_face, group, note, render, speak
from .swaps import generated, given, prepared, saved, stitched

JOYVASA = f"""## JoyVASA: a portrait from speech

One picture and a voice. JoyVASA moves lips, eyes and head by diffusion; LivePortrait draws the face. The lips are taken as they
are, the rest as changes from the portrait, as published.

{files_needed(JOYVASA_KEYS + LIVEPORTRAIT_KEYS)}

*steps* 0 takes all steps that the file was trained with (50); fewer are faster. The official 80 ms delay is left out unless
*official_timing* is on."""

COMPARED = f"""## Four engines, one picture

**Above**, with nothing to download: built-in and Takin-ADA side by side. **Below**, muted: KDTalker and JoyVASA, each as a film of
its own. Put the files of one in place, select its group, press Ctrl+M and Run.

All are drawn by the built-in warp, so only the motion differs; choose LivePortrait in *Load Portrait Renderer* to see them as their
authors do.

KDTalker:

{files_needed([*KDTALKER_KEYS, "liveportrait.motion"])}

JoyVASA:

{files_needed(JOYVASA_KEYS)}"""


TAKIN = """## Takin-ADA: speech with emotion, nothing to download

The shipped network was trained on synthetic speech and rule-made faces. Two ways to a mood:

- *Load Motion Engine*: `emotion` and `emotion_intensity` of the network itself, for the whole film (neutral here).
- *Emotion*: a mood on top, over time. Here it rises to happy in the middle and falls again; `mix` blends several.

*Stream Talking Portrait* in place of the two nodes draws while it listens; *Generate Face Motion (live)* is for programs."""


def _takin() -> Draft:
    nodes = {**find_face(), **speak(), **render("11", 1160)}
    nodes["5"] = NodeDraft(
        "TalkingPortraitMotionEngine",
        {"engine": "Takin-ADA", "engine.steps": 10, "engine.emotion": "neutral",
        "engine.emotion_intensity": 1.0}, nodes["5"].pos,
    )  # fmt: skip
    nodes["11"] = NodeDraft(
        "TalkingPortraitEmotion",
        {
            "face_motion": ["6", 0], "emotion": "happy", "intensity": 0.9, "intensity_curve": "0.5:0, 2.5:1, "
            "5:1, 6.5:0",
            "lip_protection": 1.0, "head": 1.0,
        },
        (790, 560), (330, 300),
    )  # fmt: skip
    nodes["12"] = NodeDraft(
        "TalkingPortraitPlotFaceMotion", {"face_motion": ["11", 0], "audio": ["4", 0]}, (790, 80), (330, 380)
    )
    return Draft(
        nodes,
        [note("Moods", TAKIN)],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 720)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Speech to motion: Takin-ADA", "motion", (400, 490), (340, 740)),
            group("A mood over time", "motion", (770, 490), (370, 440)),
            group("Motion to video", "render", (1140, 20), (860, 640)),
        ],
        "02 Mood over time, Takin-ADA (no download)",
        "Takin-ADA\nmoods",
    )


def _joyvasa() -> Draft:
    nodes = {**find_face(), **speak(), **render("6", 800)}
    neural_loaders(nodes, engine=False)
    nodes["5"] = NodeDraft(
        "TalkingPortraitMotionEngine", {"engine": "JoyVASA", "engine.steps": 0}, nodes["5"].pos
    )
    nodes["11"] = animation(800, 640)
    film = {"portrait": ["11", 0], "face_motion": ["6", 0], "audio": ["4", 0], "crf": 16.0}
    nodes["9"] = NodeDraft("TalkingPortraitRenderVideo", film, (1160, 80), (300, 420))
    nodes["10"] = NodeDraft("SaveVideo", nodes["10"].inputs, (1520, 80), (340, 0))
    return Draft(
        nodes,
        [note("Files and swaps", JOYVASA)],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 720)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Speech to motion: JoyVASA", "motion", (400, 490), (340, 740)),
            group("Motion to video: LivePortrait", "render", (780, 20), (1220, 1080)),
        ],
        f"23 JoyVASA + LivePortrait ({gigabytes(JOYVASA_KEYS + LIVEPORTRAIT_KEYS)})",
        "JoyVASA",
        needs=(*JOYVASA_KEYS, *LIVEPORTRAIT_KEYS),
    )


STEPS = {"KDTalker": {"engine.steps": 10}, "JoyVASA": {"engine.steps": 0}, "Takin-ADA": {"engine.steps": 10}}


def moved_by(engine: str, first: int, row: int, muted: bool = False) -> dict[str, NodeDraft]:
    """An engine and its motion of the same sound: nodes `first` and the next."""
    chosen = {"engine": engine} | STEPS.get(engine, {})
    return {
        str(first): NodeDraft("TalkingPortraitMotionEngine", chosen, (800, row), title=engine, muted=muted),
        str(first + 1): NodeDraft(
            "TalkingPortraitGenerateMotion",
            generated(str(first), portrait=["7", 0]),
            (1140, row),
            muted=muted,
        ),
    }


def _compared() -> Draft:
    nodes = given() | prepared(6, {"renderer": "built-in warp"}, (420, 560))
    nodes |= moved_by("built-in", 10, 80) | moved_by("Takin-ADA", 20, 560)
    for first, row in ((10, 80), (20, 560)):
        drawn = {"portrait": ["7", 0], "face_motion": [str(first + 1), 0]}
        nodes[str(first + 2)] = NodeDraft("TalkingPortraitRender", drawn, (1480, row))
    nodes |= stitched(13, "12", "22", "two_engines", (1820, 80))
    for engine, first, row in (("KDTalker", 30, 1200), ("JoyVASA", 40, 1900)):
        nodes |= moved_by(engine, first, row, muted=True)
        nodes |= saved(first + 2, "7", str(first + 1), engine.lower(), (1480, row), muted=True)
    return Draft(
        nodes,
        [note("Four engines", COMPARED)],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 900)),
            group("Face and portrait", "face", (400, 20), (340, 900)),
            group("Nothing to download", "motion", (780, 20), (2300, 1060)),
            group("KDTalker (muted: needs files)", "proof", (780, 1140), (1880, 620)),
            group("JoyVASA (muted: needs files)", "proof", (780, 1840), (1880, 620)),
        ],
        "12 Compare engines (no download)",
        "Compare\nengines",
    )


DRAFTS = {"takin_emotion": _takin(), "joyvasa_portrait": _joyvasa(), "compare_engines": _compared()}
