"""Scenes of nodes that make or change a motion: curves over seconds, and faces."""

from collections.abc import Callable

from PIL import Image

from ..workflow_drafts.parts import MOTION_FILE
from .drawing import Panel, below, caption, curves, row
from .parts import SECONDS, engine, frame, line, outline, portrait, spoken, voice, word
from .stage import Stage

Later = Callable[[], Image.Image]
LIVE = 7.4  # seconds of the sample voice


def generate(stage: Stage) -> Later:
    motion = stage.motion(spoken(stage))

    def draw():
        made, sound = motion(), outline()
        return curves(
            Panel("jaw, over the voice", {"jaw": line(made, "jawOpen")}, SECONDS, sound),
            Panel("nod of the head", {"nod": line(made, "pitch")}, SECONDS, colours=("#c43e36",)),
        )

    return draw


def engines(stage: Stage) -> Later:
    motions = {
        name: stage.motion(spoken(stage, motion_engine=engine(stage, name)))
        for name in ("built-in", "Takin-ADA")
    }

    def draw():
        made = {name: motion() for name, motion in motions.items()}
        tracks = {"jaw, of two engines": "jawOpen", "nod of the head": "pitch"}
        return curves(*(
            Panel(title, {name: line(one, track) for name, one in made.items()}, SECONDS,
                outline() if track == "jawOpen" else None)
            for title, track in tracks.items()
        ))  # fmt: skip

    return draw


def intensity(stage: Stage) -> Later:
    factors = (0.0, 1.0, 2.0)
    faces = [
        frame(
            stage,
            stage.node("TalkingPortraitFaceMotionIntensity", face_motion=word(stage), expression=factor),
        )
        for factor in factors
    ]
    words = [f"expression\n{factor:g}" for factor in factors]
    return lambda: row([face() for face in faces], words)


def head(stage: Stage) -> Later:
    ways = {
        "as made": {"mode": "scale"},
        "amount 2": {"mode": "scale", "amount": 2.0},
        "hold": {"mode": "hold"},
    }
    motions = {
        name: stage.motion(stage.node("TalkingPortraitHeadMotion", face_motion=spoken(stage), **how))
        for name, how in ways.items()
    }
    turned = {"as made": {}, "yaw 8": {"yaw": 8.0}, "roll 8": {"roll": 8.0}}
    faces = [
        frame(stage, stage.node("TalkingPortraitHeadMotion", face_motion=word(stage), mode="scale", **how))
        for how in turned.values()
    ]

    def draw():
        lines = {name: line(motion(), "pitch") for name, motion in motions.items()}
        return below(
            row([face() for face in faces], list(turned)), curves(Panel("nod of the head", lines, SECONDS))
        )

    return draw


def blend(stage: Stage) -> Later:
    video, speech = stage.node("TalkingPortraitLoadFaceMotion", file=MOTION_FILE), spoken(stage)
    mixed = stage.node(
        "TalkingPortraitBlendFaceMotion",
        motion_a=speech,
        motion_b=video,
        lips=False,
        head=True,
        lengths="fit motion_b",
    )
    motions = {
        name: stage.motion(motion) for name, motion in (("a", speech), ("b", video), ("blended", mixed))
    }

    def draw():
        made = {name: motion() for name, motion in motions.items()}
        count = len(made["a"])
        panels = {"jaw: stays a's": "jawOpen", "turn of the head: b's": "yaw"}
        return curves(*(
            Panel(title, {name: line(one, track)[:count] for name, one in made.items()}, SECONDS)
            for title, track in panels.items()
        ))  # fmt: skip

    return draw


def loaded(stage: Stage) -> Later:
    motion = stage.node("TalkingPortraitLoadFaceMotion", file=MOTION_FILE)
    faces = [frame(stage, motion, index) for index in (0, 12, 24)]
    words = caption(f"drawn from {MOTION_FILE}")
    return lambda: below(row([face() for face in faces], ["frame 0", "frame 12", "frame 24"]), words)


def kept(stage: Stage) -> Later:
    file = stage.node(
        "TalkingPortraitSaveFaceMotion", face_motion=spoken(stage), filename_prefix="motion/face_motion"
    )
    told, motion = stage.text(file), stage.motion(spoken(stage))

    def draw():
        name = "output/motion/" + told().replace("\\", "/").rpartition("/")[2]
        shown = curves(Panel("jaw", {"jaw": line(motion(), "jawOpen")}, SECONDS, outline()))
        return below(shown, caption(f"kept as\n{name}"))

    return draw


def plotted(stage: Stage) -> Later:
    picture = stage.picture(
        stage.node("TalkingPortraitPlotFaceMotion", face_motion=spoken(stage), audio=voice(stage))
    )

    def draw():
        whole = picture()
        mouth = whole.crop((0, 0, whole.width // 2, whole.height // 3))
        return below(
            row([whole], ["the node's picture"], None), row([mouth], ["its upper left: the mouth"], None)
        )

    return draw


def emotion(stage: Stage) -> Later:
    moods = ("neutral", "happy", "sad", "surprised")
    faces = [
        frame(
            stage,
            stage.node("TalkingPortraitEmotion", face_motion=word(stage), emotion=mood, intensity=1.0),
        )
        for mood in moods
    ]

    def draw():
        pictures = [face() for face in faces]
        return below(row(pictures[:2], moods[:2]), row(pictures[2:], moods[2:]))

    return draw


def live(stage: Stage) -> Later:
    pieces = ((0.0, 4.2), (4.2, 1.6), (5.8, 1.64))
    state, motions = None, []
    for start, seconds in pieces:
        after = {} if state is None else {"state": [state[0], 1]}
        state = stage.node(
            "TalkingPortraitGenerateMotionLive", motion_engine=engine(stage, "Takin-ADA"),
            audio=voice(stage, seconds, start), last=start == pieces[-1][0], seed=7, **after,
        )  # fmt: skip
        motions.append(stage.motion(state))

    def draw():
        made = [motion() for motion in motions]
        lines, parts, done, whole = {}, {}, 0, sum(map(len, made))
        for number, one in enumerate(made, 1):
            lines[f"run {number}"] = line(one, "jawOpen")
            parts[f"run {number}"] = (done / whole, (done + len(one)) / whole)
            done += len(one)
        ends = [start for start, _ in pieces[1:]]
        title = "jaw; the lines: where a piece ends"
        return curves(Panel(title, lines, LIVE, outline(LIVE), ends, parts))

    return draw


def samplers(stage: Stage) -> Later:
    motions = {
        name: stage.motion(
            spoken(
                stage,
                motion_engine=engine(
                    stage,
                    "Takin-ADA",
                    sampler=stage.node("TalkingPortraitMotionSampler", sampler=name, steps=steps),
                ),
            )
        )
        for name, steps in (("ddim", 10), ("ddpm", 10), ("dpm-solver++", 5))
    }

    def draw():
        made = {name: motion() for name, motion in motions.items()}
        return curves(
            Panel("turn of the head", {name: line(one, "yaw") for name, one in made.items()}, SECONDS),
            Panel("jaw", {name: line(one, "jawOpen") for name, one in made.items()}, SECONDS, outline()),
        )

    return draw


def in_sync(stage: Stage) -> Later:
    motion = spoken(stage)
    report = stage.node("TalkingPortraitLipSyncCheck", audio=voice(stage), face_motion=motion)
    lag, correlation = stage.text([report[0], 1]), stage.text([report[0], 2])
    made = stage.motion(motion)

    def draw():
        told = f"lag {float(lag()):.1f} frames, correlation {float(correlation()):.2f}"
        return below(
            curves(Panel("jaw, over the voice", {"jaw": line(made(), "jawOpen")}, SECONDS, outline())),
            caption(told),
        )

    return draw


def edited(stage: Stage) -> Later:
    faces = [
        stage.picture(stage.node("TalkingPortraitExpressionEditor", portrait=portrait(stage), **sliders))
        for sliders in ({"woo": 15.0}, {"aaa": 60.0}, {"wink_left": 24.0}, {"eyebrow": 14.0})
    ]

    def draw():
        pictures = [face() for face in faces]
        return below(
            row(pictures[:2], ["woo 15", "aaa 60"]), row(pictures[2:], ["wink_left 24", "eyebrow 14"])
        )

    return draw


SCENES = {
    "GenerateMotion": generate, "MotionEngine": engines, "FaceMotionIntensity": intensity, "HeadMotion": head,
    "BlendFaceMotion": blend, "LoadFaceMotion": loaded, "SaveFaceMotion": kept, "PlotFaceMotion": plotted,
    "Emotion": emotion, "GenerateMotionLive": live, "MotionSampler": samplers, "LipSyncCheck": in_sync,
    "ExpressionEditor": edited,
}  # fmt: skip
