"""Workflows that need no download."""

from .parts import DRIVING_FILE, Draft, NodeDraft, find_face, find_faces, group, note, render, speak

START = """## Talking portrait, nothing to download

1. Choose your picture in **Load Image**: one face, seen more or less from the front.
2. Choose your voice in **Load Audio**: speech, any sample rate.
3. Press **Run**. The face appears in *Render Portrait Video* while it is drawn; stop it when you like.

Swap a stage by changing one loader: *Load Motion Engine* is what listens, *Load Portrait Renderer* is what draws.

If no face is found, draw a box around it and use *Face Landmarks from Box*.
Select a node and press the (i) button for its help."""

CONTROL = """## How much, and whose head

- **Face Motion Intensity**: expression and head apart. 0 is still, 1 as generated, 2 twice as far.
- **Head Motion**: *hold* keeps the head as in the photo while the face goes on speaking; *scale* and *smoothing* calm it;
  *follow* takes the head of another motion.
- **Plot Face Motion** shows the curves over the sound, **Lip-Sync Check** says how many frames the lips are late.
  It compares mouth opening with loudness; it is not LSE.
- **Render Portrait Mask** is the person in every frame, for a transparent background."""

REGIONS = """## Landmarks and masks

The built-in detector works with ComfyUI's own MediaPipe nodes. *Face Region Masks* gives the whole face, the part that
speech moves and the part that expression moves; engines with region control (and your own inpainting) take them.

**A face that no detector finds** (a drawing, a mask): *Bounding Box* around it, then *Face Landmarks from Box*.

**A video**: *Measure Motion Intensity* says how strongly its face moves. *missing_face* says what happens in frames without a face, and *missed_frames* lists them."""


def _talking() -> Draft:
    return Draft(
        {**find_face(), **speak(), **render("6", 800)},
        [note("How to use", START)],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 720)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Speech to motion", "motion", (400, 490), (340, 720)),
            group("Motion to video", "render", (780, 20), (860, 660)),
        ],
        "01 Talking portrait (no download)",
        "Talking\nPortrait",
        app=(
            [("1", "image"), ("4", "audio"), ("6", "seed"), ("6", "mouth_amount"), ("6", "head_amount")],
            ["10"],
        ),
    )


def _control() -> Draft:
    nodes = {**find_face(), **speak(), **render("12", 1160)}
    nodes["11"] = NodeDraft(
        "TalkingPortraitFaceMotionIntensity",
        {"face_motion": ["6", 0], "expression": 1.2, "head": 1.0, "blink": 1.0},
        (790, 560),
    )
    nodes["12"] = NodeDraft(
        "TalkingPortraitHeadMotion",
        {
            "face_motion": ["11", 0],
            "mode": "scale",
            "amount": 0.6,
            "smoothing": 0.15,
            "pitch": 0.0,
            "yaw": 0.0,
            "roll": 0.0,
        },
        (790, 740),
    )
    nodes["13"] = NodeDraft(
        "TalkingPortraitPlotFaceMotion", {"face_motion": ["12", 0], "audio": ["4", 0]}, (790, 80), (330, 380)
    )
    nodes["14"] = NodeDraft(
        "TalkingPortraitLipSyncCheck",
        {"audio": ["4", 0], "fps": 25.0, "face_motion": ["12", 0]},
        (1520, 720),
        (300, 0),
    )
    nodes["15"] = NodeDraft("PreviewAny", {"source": ["14", 0]}, (1520, 900), (340, 200))
    nodes["16"] = NodeDraft(
        "TalkingPortraitRenderMask", {"portrait": ["8", 0], "face_motion": ["12", 0]}, (1160, 1200)
    )
    nodes["17"] = NodeDraft("MaskPreview", {"mask": ["16", 0]}, (1520, 1200), (340, 340))
    return Draft(
        nodes,
        [note("How much", CONTROL)],
        [
            group("Picture and voice", "inputs", (20, 20), (340, 720)),
            group("Face", "face", (400, 20), (340, 440)),
            group("Speech to motion", "motion", (400, 490), (340, 720)),
            group("Intensity and head", "motion", (770, 490), (350, 580)),
            group("Motion to video", "render", (1140, 20), (860, 640)),
            group("Does it fit?", "proof", (1500, 670), (500, 460)),
            group("The person alone", "proof", (1140, 1140), (860, 460)),
        ],
        "04 How much, and whose head (no download)",
        "Intensity\nand head",
    )


def _regions() -> Draft:
    nodes = find_face()
    nodes["20"] = NodeDraft(
        "MediaPipeFaceMeshVisualize",
        {
            "face_landmarks": ["3", 0],
            "image": ["1", 0],
            "connections": "all",
            "color": "#00ff00",
            "thickness": 1,
            "point_size": 2,
        },
        (790, 80),
    )
    nodes["21"] = NodeDraft("PreviewImage", {"images": ["20", 0]}, (1140, 80), (340, 380))
    nodes["22"] = NodeDraft(
        "TalkingPortraitFaceRegionMasks",
        {"face_landmarks": ["3", 0], "face_index": 0, "feather": 8.0, "grow": 0.0, "missing_face": "error"},
        (420, 520),
    )
    nodes["30"] = NodeDraft(
        "PrimitiveBoundingBox", {"x": 130, "y": 60, "width": 190, "height": 250}, (420, 1000)
    )
    boxed = {"face_detection_model": ["2", 0], "image": ["1", 0], "face_box": ["30", 0], "min_presence": 0.1}
    nodes["31"] = NodeDraft("TalkingPortraitFaceFromBox", boxed, (790, 1000))
    nodes["32"] = NodeDraft(
        "MediaPipeFaceMeshVisualize",
        {
            "face_landmarks": ["31", 0], "image": ["1", 0], "connections": "all", "color": "#ffaa00", "thickness": 1,
            "point_size": 2,
        },
        (790, 1200),
    )  # fmt: skip
    nodes["33"] = NodeDraft("PreviewImage", {"images": ["32", 0]}, (1140, 1000), (320, 380))
    nodes["40"] = NodeDraft("LoadVideo", {"file": DRIVING_FILE}, (40, 1700), (300, 300))
    nodes["41"] = NodeDraft("GetVideoComponents", {"video": ["40", 0]}, (420, 1700))
    nodes["45"] = NodeDraft(
        "ImageFromBatch", {"image": ["41", 0], "batch_index": 0, "length": 12}, (420, 1800)
    )
    nodes["42"] = find_faces("2", ["45", 0], (420, 1900), most=1)
    nodes["43"] = NodeDraft(
        "TalkingPortraitMeasureMotionIntensity", {"face_landmarks": ["42", 0], "face_index": 0}, (790, 1700)
    )
    nodes["44"] = NodeDraft("PreviewAny", {"source": ["43", 2]}, (1140, 1700), (320, 200))
    for number, (output, column) in enumerate(((0, 790), (1, 1140), (2, 1490)), 23):
        nodes[str(number)] = NodeDraft("MaskPreview", {"mask": ["22", output]}, (column, 520), (320, 360))
    return Draft(
        nodes,
        [note("Regions", REGIONS)],
        [
            group("Face", "face", (20, 20), (740, 440)),
            group("Landmarks", "face", (770, 20), (740, 460)),
            group("Masks: face, mouth (speech), expression (motion)", "proof", (400, 480), (1430, 430)),
            group("A face in a box", "face", (400, 940), (1100, 500)),
            group("How much a face moves", "motion", (20, 1640), (1480, 500)),
        ],
        "08 Face landmarks, box and masks (no download)",
        "Face,\nbox, masks",
    )


DRAFTS = {
    "talking_portrait": _talking(),
    "talking_portrait_intensity_and_head": _control(),
    "face_landmarks_and_masks": _regions(),
}
