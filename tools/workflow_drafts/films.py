"""Workflows with a film as their input: new lips on it, or its face on a portrait. They need no download."""

from typing import Any

from .parts import (
    DRIVING_FILE,
    SPEECH_FILE,
    Draft,
    NodeDraft,
    find_face,
    find_faces,
    group,
    note,
    render,
)

DUBBED = """## The same film, other words

1. Choose a film in **Load Video**: one person who speaks; the mouth is closed now and then.
2. Choose the new voice in **Load Audio**.
3. Press **Run**. *Prepare Footage* learns the film once; another voice then takes the second half alone.

The lips follow the voice, a smile stays, and everything around the mouth stays as it was filmed.

- The voice here is longer than the film, so `if_voice_longer` is *ping-pong*: the film runs back and forth.
- Read the report: shots, which frame lends its mouth, which frames stay as filmed.
- A hand or a microphone before the mouth: paint it white and connect it to `keep_mask`.
- A voice of the same person sounds best; ComfyUI's nodes for cloned voices fit in here."""

PERFORMED = """## Be the portrait

Film yourself, put the film into **Load Video**, your picture into **Load Image**, and press **Run**: lips, lids, brows, gaze
and head do what you did.

- Let the film start calmly, or choose a calm frame: `neutral`.
- The built-in renderer bends one photo, so the head turns only as far as nothing folds, which *Prepare Portrait* says. With
  LivePortrait in *Load Portrait Renderer* it turns as the actor's does.
- The same motion goes into *Dub Video*: your lips on another film."""

SPEAKERS = """## Two speakers in one film

Each face is dubbed on its own, one after the other: a box says which. The first film goes into the second *Prepare Footage*.

- *Dub Video (images)* hands the first film on as images, so the other half stays the same to the byte. For long films take
  *Dub Video* twice.
- `start` is where a voice begins; `outside_voice`: *mouth closed* keeps the one who listens quiet.
- `original_sound` 1 keeps the first voice under the second."""

CROPPED = """## A face for another model, and back

*Crop Face from Video* cuts squares that follow the face calmly, with a mask of its mouth. Put any model in the place of
*Sharpen Image*: inpainting, an upscaler, a video model. *Paste Face into Video* puts its pictures back; outside the mask every
pixel stays as it was."""


MEASURED = """## Measure films

The first film's face moves the portrait; then both are measured.

1. **Evaluate Talking Video** says how the new film's lips fit its voice, how the head moves, how sharp it is. Every value comes
   with its range and with which way is better.
2. **Compare Videos** holds it against the film that it was made after: pose, expression, mouths. Of two films of one size it
   compares the pixels too (PSNR, SSIM).

- With `syncnet` on you also get LSE-C and LSE-D; it needs one file, which the node names.
- Turn `official` on only to compare numbers with a paper's.
- From a terminal, for many films: `python3 run.py evaluate FILM`."""


def motion_of(engine: str, audio: list, fps: Any, seed: int, place: tuple[int, int]) -> NodeDraft:
    """Generate Face Motion for a film."""
    inputs = {
        "motion_engine": [engine, 0], "audio": audio, "fps": fps, "seed": seed, "mouth_amount": 1.0, "head_amount": 1.0,
        "blink_rate": 18.0, "brow_amount": 1.0, "silence_threshold": -38.0,
    }  # fmt: skip
    return NodeDraft("TalkingPortraitGenerateMotion", inputs, place)


def dub(footage: str, motion: str, **changes: Any) -> dict[str, Any]:
    """What both nodes that dub ask for."""
    return {
        "footage": [footage, 0], "face_motion": [motion, 0], "start": 0.0, "keep_expression": 1.0,
        "outside_voice": "as filmed", "if_voice_longer": "error", "edge": 0.22, "teeth": "footage",
    } | changes  # fmt: skip


def saved(video: list, place: tuple[int, int], name: str) -> NodeDraft:
    """Save Video."""
    inputs = {"video": video, "filename_prefix": f"video/{name}", "format": "auto", "codec": "auto"}
    return NodeDraft("SaveVideo", inputs, place, (340, 0))


def _dubbed() -> Draft:
    film = dub("3", "6", audio=["4", 0], if_voice_longer="ping-pong", original_sound=0.0, crf=16.0)
    nodes = {
        "1": NodeDraft("LoadVideo", {"file": DRIVING_FILE}, (40, 80), (300, 300)),
        "2": NodeDraft("TalkingPortraitLoadFaceDetector", {}, (420, 80)),
        "3": NodeDraft(
            "TalkingPortraitPrepareFootage",
            {"video": ["1", 0], "face_detection_model": ["2", 0], "face_index": 0}, (420, 190),
        ),
        "4": NodeDraft("LoadAudio", {"audio": SPEECH_FILE}, (40, 620), (300, 140)),
        "5": NodeDraft("TalkingPortraitMotionEngine", {"engine": "built-in"}, (420, 620)),
        "6": motion_of("5", ["4", 0], ["3", 1], 7, (420, 940)),
        "7": NodeDraft("PreviewAny", {"source": ["3", 3]}, (800, 80), (340, 160)),
        "8": NodeDraft("PreviewImage", {"images": ["3", 4]}, (800, 290), (340, 300)),
        "9": NodeDraft("TalkingPortraitDubVideo", film, (800, 680), (320, 420)),
        "10": saved(["9", 0], (1180, 680), "dubbed"),
    }  # fmt: skip
    return Draft(
        nodes,
        [note("Dub a film", DUBBED)],
        [
            group("Film and voice", "inputs", (20, 20), (340, 760)),
            group("Learn the film", "face", (400, 20), (340, 500)),
            group("What was learnt", "proof", (780, 20), (380, 600)),
            group("Speech to motion", "motion", (400, 560), (340, 740)),
            group("Motion to film", "render", (780, 620), (760, 700)),
        ],
        "13 Dub a video (no download)",
        "Dub\na video",
        app=([("1", "file"), ("4", "audio"), ("9", "start"), ("9", "keep_expression")], ["10"]),
    )


def _performed() -> Draft:
    nodes = {**find_face(), **render("34", 1180)}
    nodes["30"] = NodeDraft("LoadVideo", {"file": DRIVING_FILE}, (40, 560), (300, 300))
    nodes["31"] = NodeDraft("GetVideoComponents", {"video": ["30", 0]}, (420, 560))
    nodes["33"] = find_faces("2", ["31", 0], (420, 700), most=1)
    nodes["34"] = NodeDraft(
        "TalkingPortraitFaceMotionFromLandmarks",
        {
            "face_landmarks": ["33", 0], "fps": ["31", 2], "face_index": 0, "missing_face": "bridge",
            "neutral": "calmest frames", "neutral_frame": 0, "mouth_amount": 1.0, "eyes_amount": 1.0, "head_amount": 1.0,
            "head_limit": 0.0, "smoothing": 5,
        },
        (800, 560),
    )  # fmt: skip
    nodes["35"] = NodeDraft(
        "TalkingPortraitPlotFaceMotion", {"face_motion": ["34", 0]}, (1180, 900), (340, 380)
    )
    nodes["9"].inputs["audio"] = ["31", 1]
    return Draft(
        nodes,
        [note("Be the portrait", PERFORMED)],
        [
            group("Portrait", "inputs", (20, 20), (340, 440)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Performance to motion", "motion", (20, 490), (1120, 560)),
            group("Motion to video", "render", (1160, 20), (760, 660)),
            group("Curves", "proof", (1160, 840), (380, 460)),
        ],
        "14 Be the portrait, driven by a video (no download)",
        "Be the\nportrait",
    )


def _measured() -> Draft:
    performed = _performed().nodes
    nodes = {name: node for name, node in performed.items() if name != "35"}
    nodes["40"] = NodeDraft(
        "TalkingPortraitEvaluateVideo",
        {
            "video": ["9", 0], "face_detection_model": ["2", 0], "face_index": 0, "sharpness_every": 5, "syncnet": "off",
            "official": False, "hopenet": "off",
        },
        (1560, 80),
    )  # fmt: skip
    nodes["41"] = NodeDraft("PreviewAny", {"source": ["40", 0]}, (1900, 80), (420, 420))
    nodes["42"] = NodeDraft(
        "TalkingPortraitCompareVideos",
        {
            "video": ["9", 0], "reference": ["30", 0], "face_detection_model": ["2", 0], "face_index": 0,
            "official": False, "arcface": "off", "inception": "off", "i3d": "off", "alexnet": "off",
        },
        (1560, 600),
    )  # fmt: skip
    nodes["43"] = NodeDraft("PreviewAny", {"source": ["42", 0]}, (1900, 600), (420, 300))
    return Draft(
        nodes,
        [note("Measure films", MEASURED)],
        [
            group("Portrait", "inputs", (20, 20), (340, 440)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Performance to motion", "motion", (20, 490), (1120, 560)),
            group("Motion to video", "render", (1160, 20), (360, 1000)),
            group("Measure", "proof", (1540, 20), (800, 1000)),
        ],
        "17 Measure films (no download)",
        "Measure\nfilms",
    )


def _speakers() -> Draft:
    first = dub("20", "13", outside_voice="mouth closed")
    second = dub(
        "40", "33", outside_voice="mouth closed", start=1.5, audio=["31", 0], original_sound=1.0, crf=16.0
    )
    nodes = {
        "1": NodeDraft("LoadVideo", {"file": DRIVING_FILE}, (40, 80), (300, 300)),
        "2": NodeDraft("GetVideoComponents", {"video": ["1", 0]}, (420, 80)),
        "3": NodeDraft("ImageFlip", {"image": ["2", 0], "flip_method": "y-axis: horizontally"}, (420, 240)),
        "4": NodeDraft(
            "ImageStitch",
            {"image1": ["2", 0], "direction": "right", "match_image_size": True, "spacing_width": 0,
             "spacing_color": "white", "image2": ["3", 0]},
            (420, 360),
        ),
        "5": NodeDraft("CreateVideo", {"images": ["4", 0], "fps": ["2", 2]}, (800, 80)),
        "6": NodeDraft("TalkingPortraitLoadFaceDetector", {}, (800, 240)),
        "7": NodeDraft("LoadAudio", {"audio": SPEECH_FILE}, (40, 700), (300, 140)),
        "8": NodeDraft("TalkingPortraitMotionEngine", {"engine": "built-in"}, (40, 900)),
        "11": NodeDraft(
            "TrimAudioDuration", {"audio": ["7", 0], "start_index": 0.0, "duration": 1.4}, (420, 700)
        ),
        "12": NodeDraft("PrimitiveBoundingBox", {"x": 60, "y": 20, "width": 270, "height": 330}, (800, 700)),
        "13": motion_of("8", ["11", 0], ["20", 1], 7, (420, 860)),
        "20": NodeDraft(
            "TalkingPortraitPrepareFootage",
            {"video": ["5", 0], "face_detection_model": ["6", 0], "face_index": 0, "face_box": ["12", 0]}, (800, 900),
        ),
        "21": NodeDraft("TalkingPortraitDubVideoImages", first, (1180, 700), (320, 0)),
        "22": NodeDraft(
            "CreateVideo", {"images": ["21", 0], "fps": ["2", 2], "audio": ["11", 0]}, (1180, 1100)
        ),
        "23": NodeDraft("MaskToImage", {"mask": ["21", 1]}, (1560, 700)),
        "24": NodeDraft(
            "ImageFromBatch", {"image": ["23", 0], "batch_index": 10, "length": 1}, (1560, 800)
        ),
        "25": NodeDraft("PreviewImage", {"images": ["24", 0]}, (1560, 940), (340, 240)),
        "31": NodeDraft(
            "TrimAudioDuration", {"audio": ["7", 0], "start_index": 1.4, "duration": 1.4}, (420, 1500)
        ),
        "32": NodeDraft("PrimitiveBoundingBox", {"x": 440, "y": 20, "width": 270, "height": 330}, (800, 1500)),
        "33": motion_of("8", ["31", 0], ["40", 1], 8, (420, 1660)),
        "40": NodeDraft(
            "TalkingPortraitPrepareFootage",
            {"video": ["22", 0], "face_detection_model": ["6", 0], "face_index": 0, "face_box": ["32", 0]}, (800, 1700),
        ),
        "41": NodeDraft("TalkingPortraitDubVideo", second, (1180, 1500), (320, 420)),
        "42": saved(["41", 0], (1560, 1500), "two_speakers"),
    }  # fmt: skip
    return Draft(
        nodes,
        [note("Two speakers", SPEAKERS)],
        [
            group("A film of two (made of one here)", "inputs", (20, 20), (1120, 560)),
            group("Voices", "inputs", (20, 640), (340, 560)),
            group("The first speaks", "motion", (400, 640), (1120, 760)),
            group("What was changed", "proof", (1540, 640), (380, 600)),
            group("The second answers", "render", (400, 1440), (1520, 800)),
        ],
        "15 Two speakers (no download)",
        "Two\nspeakers",
    )


def _cropped() -> Draft:
    crop = {
        "images": ["2", 0], "face_landmarks": ["4", 0], "face_index": 0, "size": 384, "scale": 1.6, "region": "mouth",
        "grow": 0.0, "feather": 24.0, "smoothing": 4.0, "missing_face": "bridge",
    }  # fmt: skip
    nodes = {
        "1": NodeDraft("LoadVideo", {"file": DRIVING_FILE}, (40, 80), (300, 300)),
        "2": NodeDraft("GetVideoComponents", {"video": ["1", 0]}, (420, 80)),
        "3": NodeDraft("TalkingPortraitLoadFaceDetector", {}, (420, 240)),
        "4": find_faces("3", ["2", 0], (420, 350), most=1),
        "5": NodeDraft("TalkingPortraitCropFaceFromVideo", crop, (800, 80), (320, 0)),
        "6": NodeDraft(
            "ImageSharpen", {"image": ["5", 0], "sharpen_radius": 1, "sigma": 1.0, "alpha": 0.3}, (1180, 80)
        ),
        "7": NodeDraft(
            "TalkingPortraitPasteFaceIntoVideo",
            {"images": ["2", 0], "crops": ["6", 0], "face_crops": ["5", 2]}, (1560, 80), (320, 0),
        ),
        "8": NodeDraft("CreateVideo", {"images": ["7", 0], "fps": ["2", 2], "audio": ["2", 1]}, (1560, 300)),
        "9": saved(["8", 0], (1560, 440), "pasted"),
        "10": NodeDraft("ImageFromBatch", {"image": ["5", 0], "batch_index": 20, "length": 4}, (800, 620)),
        "11": NodeDraft("PreviewImage", {"images": ["10", 0]}, (800, 780), (340, 340)),
    }  # fmt: skip
    return Draft(
        nodes,
        [note("Crop and paste", CROPPED)],
        [
            group("Film and face", "inputs", (20, 20), (740, 600)),
            group("Crops", "face", (780, 20), (380, 1120)),
            group("Any model", "motion", (1160, 20), (340, 240)),
            group("Back into the film", "render", (1540, 20), (400, 760)),
        ],
        "16 A face for another model, and back (no download)",
        "Crop\nand paste",
    )


DRAFTS = {
    "dub_a_video": _dubbed(),
    "be_the_portrait": _performed(),
    "two_speakers": _speakers(),
    "crop_and_paste": _cropped(),
    "measure_films": _measured(),
}
