"""Workflows that show motion engines: JoyVASA, and all of them side by side."""

from ...models.weights.published import JOYVASA_KEYS, KDTALKER_KEYS, LIVEPORTRAIT_KEYS, page_models
from .liveportrait import animation, neural_loaders
from .parts import SPEECH_FILE, Draft, NodeDraft, files_needed, find_face, group, note, render, speak

JOYVASA = f"""## JoyVASA: a portrait from speech

One picture and a voice. JoyVASA moves lips, eyes and head by diffusion; LivePortrait draws the face. The lips are taken as they
are, the rest as changes from the portrait, as published.

{files_needed(JOYVASA_KEYS + LIVEPORTRAIT_KEYS)}

*steps* 0 takes all steps that the file was trained with (50); fewer are faster. The official 80 ms delay is left out unless
*official_timing* is on."""

COMPARED = f"""## Four engines, one picture

Above: built-in, KDTalker. Below: JoyVASA, Takin-ADA. All are drawn by the built-in warp, so only the motion differs; choose
LivePortrait in *Load Portrait Renderer* to see them as their authors do. The two in the middle need files:

{files_needed(KDTALKER_KEYS + JOYVASA_KEYS + ["liveportrait.motion"])}

*Trim Audio* keeps the comparison short: four films are held in memory at once."""


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
        [note("Moods", TAKIN, (1160, 700), (460, 320))],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 720)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Speech to motion: Takin-ADA", "motion", (400, 490), (340, 740)),
            group("A mood over time", "motion", (770, 490), (370, 440)),
            group("Motion to video", "render", (1140, 20), (860, 640)),
        ],
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
    nodes["10"] = NodeDraft("SaveVideo", nodes["10"].inputs, (1520, 80), (460, 560))
    return Draft(
        nodes,
        [note("Files and swaps", JOYVASA, (1160, 790), (820, 460))],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 720)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Speech to motion: JoyVASA", "motion", (400, 490), (340, 740)),
            group("Motion to video: LivePortrait", "render", (780, 20), (1220, 1080)),
        ],
    )


ENGINES = ("built-in", "KDTalker", "JoyVASA", "Takin-ADA")
STEPS = {"KDTalker": {"engine.steps": 10}, "JoyVASA": {"engine.steps": 0}, "Takin-ADA": {"engine.steps": 10}}


def _compared() -> Draft:
    nodes = find_face()
    nodes["4"] = NodeDraft("LoadAudio", {"audio": SPEECH_FILE}, (40, 560), (300, 140))
    nodes["5"] = NodeDraft(
        "TrimAudioDuration", {"audio": ["4", 0], "start_index": 0.0, "duration": 3.0}, (40, 760)
    )
    nodes["6"] = NodeDraft("TalkingPortraitLoadRenderer", {"renderer": "built-in warp"}, (40, 920))
    portrait = {"renderer": ["6", 0], "image": ["1", 0], "face_landmarks": ["3", 0], "face_index": 0}
    nodes["7"] = NodeDraft("TalkingPortraitPrepare", portrait, (40, 1080))
    for number, engine in enumerate(ENGINES):
        row, first = 80 + 420 * number, 10 * (number + 1)
        models = page_models(["liveportrait.motion"]) if engine == "KDTalker" else []
        nodes[str(first)] = NodeDraft(
            "TalkingPortraitMotionEngine",
            {"engine": engine} | STEPS.get(engine, {}),
            (800, row),
            title=engine,
            models=models,
        )
        nodes[str(first + 1)] = NodeDraft(
            "TalkingPortraitGenerateMotion",
            {
                "motion_engine": [str(first), 0], "audio": ["5", 0], "fps": 25.0, "seed": 7,
                "mouth_amount": 1.0,
                "head_amount": 1.0, "blink_rate": 18.0, "brow_amount": 1.0, "silence_threshold": -38.0,
                "portrait": ["7", 0],
            },
            (1140, row),
        )  # fmt: skip
        drawn = {"portrait": ["7", 0], "face_motion": [str(first + 1), 0]}
        nodes[str(first + 2)] = NodeDraft("TalkingPortraitRender", drawn, (1480, row))

    def stitched(one: list, two: list, direction: str, place: tuple[int, int]) -> NodeDraft:
        inputs = {
            "image1": one, "direction": direction, "match_image_size": True, "spacing_width": 0,
            "spacing_color": "white",
            "image2": two,
        }  # fmt: skip
        return NodeDraft("ImageStitch", inputs, place)

    nodes["50"] = stitched(["12", 0], ["22", 0], "right", (1820, 80))
    nodes["51"] = stitched(["32", 0], ["42", 0], "right", (1820, 320))
    nodes["52"] = stitched(["50", 0], ["51", 0], "down", (1820, 560))
    nodes["53"] = NodeDraft(
        "CreateVideo", {"images": ["52", 0], "fps": ["12", 1], "audio": ["5", 0]}, (1820, 800)
    )
    video = {"video": ["53", 0], "filename_prefix": "video/engines", "format": "auto", "codec": "auto"}
    nodes["54"] = NodeDraft("SaveVideo", video, (2180, 80), (560, 640))
    return Draft(
        nodes,
        [note("Four engines", COMPARED, (2180, 800), (620, 480))],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 1280)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Four motions", "motion", (780, 20), (1020, 1720)),
            group("Side by side", "render", (1810, 20), (960, 980)),
        ],
    )


DRAFTS = {"takin_emotion": _takin(), "joyvasa_portrait": _joyvasa(), "compare_engines": _compared()}
