"""Scenes of nodes that look at pictures or draw them, of films, and of what hears."""

import re
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from ..workflow_drafts.parts import DRIVING_FILE
from .drawing import FACE, Panel, below, caption, curves, row
from .parts import (
    OPEN,
    SECONDS,
    engine,
    film_frames,
    frame,
    landmarks,
    line,
    outline,
    portrait,
    portrait_image,
    spoken,
    voice,
    word,
)
from .stage import Ref, Stage

Later = Callable[[], Image.Image]
PLACES = (0.1, 0.35, 0.6, 0.9)  # of a film


def mesh(stage: Stage, found: Ref, image: Ref) -> Later:
    return stage.picture(
        stage.node(
            "MediaPipeFaceMeshVisualize", face_landmarks=found, image=image, connections="all", thickness=1
        )
    )


def detected(stage: Stage) -> Later:
    image = portrait_image(stage)
    before, after = stage.picture(image), mesh(stage, landmarks(stage, image), image)
    return lambda: row([before(), after()], ["the picture", "478 points found"])


def boxed(stage: Stage) -> Later:
    left, top, right, bottom = 165, 150, 350, 365
    image = portrait_image(stage)
    box = stage.node("PrimitiveBoundingBox", x=left, y=top, width=right - left, height=bottom - top)
    detector = stage.node("TalkingPortraitLoadFaceDetector")
    found = stage.node("TalkingPortraitFaceFromBox", face_detection_model=detector, image=image, face_box=box)
    before, after = stage.picture(image), mesh(stage, found, image)

    def draw():
        marked = before()
        for inset in range(4):
            frame_of(marked, (left - inset, top - inset, right + inset, bottom + inset))
        return row([marked, after()], ["your box", "the face in it"])

    return draw


def frame_of(picture: Image.Image, box: tuple[int, int, int, int]) -> None:
    """Draw a box's edge."""
    ImageDraw.Draw(picture).rectangle(box, outline="#00ff00")


def regions(stage: Stage) -> Later:
    image = portrait_image(stage)
    masks = stage.node("TalkingPortraitFaceRegionMasks", face_landmarks=landmarks(stage, image))
    shown = [stage.picture(stage.node("MaskToImage", mask=[masks[0], number])) for number in range(3)]
    plain = stage.picture(image)
    names = [output for output in stage.known["TalkingPortraitFaceRegionMasks"]["output_name"][:3]]

    def draw():
        pictures = [tinted(plain(), mask()) for mask in shown]
        return row(pictures, names)

    return draw


def tinted(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """A picture that is dark where a mask is black."""
    share = 0.25 + 0.75 * np.asarray(mask.convert("L"), np.float32)[..., None] / 255
    return Image.fromarray((np.asarray(picture, np.float32) * share).astype(np.uint8))


def prepared(stage: Stage) -> Later:
    image = portrait_image(stage)
    still = stage.node(
        "TalkingPortraitFaceMotionIntensity", face_motion=word(stage), expression=0.0, head=0.0
    )
    person = stage.node("TalkingPortraitRenderMask", portrait=portrait(stage), face_motion=still)
    face, mask = (
        mesh(stage, landmarks(stage, image), image),
        stage.picture(stage.node("MaskToImage", mask=person)),
    )
    plain = stage.picture(image)
    return lambda: row(
        [plain(), face(), tinted(plain(), mask())], ["picture", "one face", "the person"], (0, 0, 512, 512)
    )


def renderers(stage: Stage) -> Later:
    before, after = stage.picture(portrait_image(stage)), frame(stage, word(stage))
    return lambda: row([before(), after()], ["your picture", "built-in warp: bent to an open mouth"])


def frames(stage: Stage) -> Later:
    indices = (2, 6, OPEN, 16)
    faces = [frame(stage, word(stage), index) for index in indices]

    def draw():
        pictures, words = [face() for face in faces], [f"frame {index}" for index in indices]
        return below(row(pictures[:2], words[:2]), row(pictures[2:], words[2:]))

    return draw


def mask(stage: Stage) -> Later:
    motion = word(stage)
    drawn = stage.node("TalkingPortraitRender", portrait=portrait(stage), face_motion=motion)
    masks = stage.node("TalkingPortraitRenderMask", portrait=portrait(stage), face_motion=motion)
    picture, white = stage.picture(drawn, OPEN), stage.picture(stage.node("MaskToImage", mask=masks), OPEN)

    def draw():
        cut = Image.new("RGB", picture().size, "#3a8c48")
        cut.paste(picture(), mask=white().convert("L"))
        return row([picture(), white(), cut], ["frame", "its mask", "cut out"], (0, 0, 512, 512))

    return draw


def film(stage: Stage) -> Later:
    video = stage.film(
        stage.node(
            "TalkingPortraitRenderVideo",
            portrait=portrait(stage),
            face_motion=spoken(stage),
            audio=voice(stage),
        )
    )
    return lambda: strip(film_frames(video(), PLACES), SECONDS, "picture and sound, in one film")


def streamed(stage: Stage) -> Later:
    seconds = 5.0
    node = stage.node(
        "TalkingPortraitStream", portrait=portrait(stage), motion_engine=engine(stage, "Takin-ADA"),
        audio=voice(stage, seconds), seed=7,
    )  # fmt: skip
    video, motion = stage.film(node), stage.motion([node[0], 1])

    def draw():
        shown = strip(film_frames(video(), PLACES), seconds, "jaw, over the voice", line(motion(), "jawOpen"))
        return below(shown, caption("drawn piece by piece while it listens"))

    return draw


def strip(
    pictures: list[Image.Image], seconds: float, title: str, curve: np.ndarray | None = None
) -> Image.Image:
    """Frames of a film over its sound."""
    words = [f"{place * seconds:.1f} s" for place in PLACES]
    lines = {} if curve is None else {"jaw": curve}
    return below(row(pictures, words, FACE), curves(Panel(title, lines, seconds, outline(seconds))))


def heard(stage: Stage) -> Later:
    encoder = stage.node("TalkingPortraitSpeechEncoder", speech_encoder="built-in")
    spoken_by = stage.node("TalkingPortraitEncodeSpeech", audio_encoder=encoder, audio=voice(stage))
    features = stage.picture(stage.node("HelpPictureFeatures", heard=spoken_by))
    rate = stage.text([spoken_by[0], 1])

    def draw():
        shown = features()
        high = shown.resize((480, 150), Image.Resampling.BILINEAR)
        words = f"heard: {float(rate()):g} times a second {shown.height} numbers"
        return below(curves(Panel("the voice", {}, SECONDS, outline())), high, caption(words))

    return draw


def measured(stage: Stage) -> Later:
    parts = stage.node("GetVideoComponents", video=stage.node("LoadVideo", file=DRIVING_FILE))
    parts = stage.node("ImageFromBatch", image=parts, batch_index=0, length=36)
    node = stage.node("TalkingPortraitMeasureMotionIntensity", face_landmarks=landmarks(stage, parts))
    pictures = [stage.picture(parts, index) for index in (0, 15, 30)]
    expression, report = stage.text(node), stage.text([node[0], 2])

    def draw():
        share = re.search(r"[\d.]+ ?%", report())
        words = f"expression {float(expression()):.2f}"
        if share:
            words += f" ({share.group()} of the eyes' distance)"
        return below(
            row([one() for one in pictures], ["a video:", "how much", "the face moves"], None),
            caption(words),
        )

    return draw


def fitted(stage: Stage) -> Later:
    node = stage.node("TalkingPortraitFantasyTalkingPicture", image=portrait_image(stage), longest_edge=320)
    before, after = stage.picture(portrait_image(stage)), stage.picture(node)

    def draw():
        whole, small = before(), after()
        ground = Image.new("RGB", whole.size, "#16222e")
        ground.paste(small, ((whole.width - small.width) // 2, whole.height - small.height))
        words = [f"{one.width} x {one.height}" for one in (whole, small)]
        return row([whole, ground], [words[0], f"longest_edge 320: {words[1]}"], None)

    return draw


def sigmas(stage: Stage) -> Later:
    node = stage.node("TalkingPortraitFantasyTalkingSigmas")
    told = stage.text(node)

    def draw():
        levels = np.array([float(one) for one in re.findall(r"\d+\.\d+", told())])
        panel = Panel("noise left, step by step", {"noise": levels}, len(levels) - 1)
        return curves(panel, height=150, unit="steps")

    return draw


SCENES = {
    "LoadFaceDetector": detected, "FaceFromBox": boxed, "FaceRegionMasks": regions, "Prepare": prepared,
    "LoadRenderer": renderers, "Render": frames, "RenderMask": mask, "RenderVideo": film, "Stream": streamed,
    "EncodeSpeech": heard, "MeasureMotionIntensity": measured, "FantasyTalkingPicture": fitted,
    "FantasyTalkingSigmas": sigmas,
}  # fmt: skip
