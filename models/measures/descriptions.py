"""Every measure in words: what it is, its range, which way is better, what it may be compared with. Nodes, the command
and the documents tell it from here."""

from collections.abc import Mapping
from dataclasses import dataclass

HIGHER, LOWER, NEITHER = "higher", "lower", "like real films"


@dataclass(frozen=True)
class Measure:
    """name: for people. weight: the file of models/weights/published.py that it needs, if any."""

    name: str
    what: str
    span: str
    better: str
    comparable: str
    weight: str = ""


OWN = "other films measured by this pack"
MEASURES: Mapping[str, Measure] = {
    "face_found": Measure(
        "face found", "share of the frames in which the face was found", "0 to 1", HIGHER,
        "nothing: it says how far to trust the rest",
    ),
    "lip_lag": Measure(
        "lip lag", "frames by which the opening of the mouth is late against loudness, at the best correlation",
        "-10 to 10 frames; positive is late", "near 0", OWN,
    ),
    "lip_correlation": Measure(
        "lip correlation", "of the mouth's opening and loudness at that lag",
        "-1 to 1; fitting speech mostly 0.4 to 0.8", HIGHER, OWN + "; it is not LSE",
    ),
    "pbm_spoken": Measure(
        "p, b, m heard", "how many of them the pack's own ear is sure of while the face is seen", "0 and up", NEITHER,
        "nothing: it says how far to trust the next",
    ),
    "pbm_closed": Measure(
        "p, b, m closed", "share of them at which the lips meet within 40 ms", "0 to 1", HIGHER, OWN,
    ),
    "blinks_per_minute": Measure(
        "blinks", "closures of the lids by minute", "0 and up, a minute; people blink 10 to 20 times a minute", NEITHER,
        "counts of people in real films",
    ),
    "head_degrees": Measure(
        "head motion", "standard deviation of yaw, pitch and roll over time, mean of the three", "degrees, 0 and up",
        NEITHER, "papers that decode degrees; not KDTalker's diversity",
    ),
    "beat_alignment": Measure(
        "beat alignment", "how near each beat of the sound has a beat of the head, sigma 0.1 s", "0 to 1", HIGHER,
        "KDTalker's figures, with official; its landmarks are MediaPipe's",
    ),
    "lip_jerk": Measure(
        "jerk of the lips", "root mean square of the third derivative in the head's own frame",
        "eye distances by s^3, 0 and up", NEITHER,
        OWN + " at the same frame rate; not the published smoothness network",
    ),
    "head_jerk": Measure(
        "jerk of the head", "root mean square of the third derivative of its angles", "degrees by s^3, 0 and up",
        NEITHER, OWN + " at the same frame rate",
    ),
    "motion_intensity": Measure(
        "motion of the face", "root of the landmarks' variance over time, head aside", "percent of the eye distance, 0 "
        "and up; speech 1.9 to 2.6", NEITHER, OWN,
    ),
    "cpbd": Measure(
        "CPBD", "share of edges whose blur is not seen, mean over frames", "0 to 1", HIGHER,
        "papers that use cpbd 1.0.7 on whole frames of the same size",
    ),
    "lse_c": Measure(
        "LSE-C", "SyncNet's confidence: median distance over the offsets less the least", "0 and up; real films 6 to 8",
        HIGHER, "papers, with official and the same crop", "measures.syncnet",
    ),
    "lse_d": Measure(
        "LSE-D", "SyncNet's least mean distance of lips and sound", "0 and up; real films 6 to 8", LOWER,
        "papers, with official and the same crop", "measures.syncnet",
    ),
    "sync_offset": Measure(
        "SyncNet's offset", "frames by which the sound is early; -3 is sound 3 frames late", "-15 to 15", "near 0",
        "papers", "measures.syncnet",
    ),
    "hopenet_bins": Measure(
        "KDTalker's diversity", "standard deviation over time of Hopenet's 66 raw scores by angle, mean of all",
        "0 and up, no unit", NEITHER, "KDTalker's table alone; its face boxes are dlib's, here the pack's own",
        "measures.hopenet",
    ),
    "hopenet_degrees": Measure(
        "head motion by Hopenet", "standard deviation of its decoded angles over time, mean of the three",
        "degrees, 0 and up", NEITHER, "papers that decode Hopenet", "measures.hopenet",
    ),
    "psnr": Measure(
        "PSNR", "of all pixels at once, peak 255", "decibels; infinite for equal films", HIGHER,
        "papers that take it over the clip; with official, ACTalker's, whose bytes wrap",
    ),
    "l1": Measure(
        "L1", "mean absolute difference of pixels", "0 to 255", LOWER, "papers; with official, ACTalker's",
    ),
    "ssim": Measure(
        "SSIM", "7x7 windows by channel, mean over frames (scikit-image)", "-1 to 1", HIGHER,
        "EAT's evaluation and others with those windows",
    ),
    "m_lmd": Measure(
        "M-LMD", "distance of the mouth's points, each frame's mean removed", "pixels, 0 and up", LOWER,
        "papers at the same size of picture, roughly: they have dlib's 68 points",
    ),
    "f_lmd": Measure(
        "F-LMD", "the same of the whole face's points", "pixels, 0 and up", LOWER, "as M-LMD",
    ),
    "m_lmd_eyes": Measure(
        "M-LMD by eyes", "M-LMD in percent of the reference's eye distance", "percent, 0 and up", LOWER, OWN,
    ),
    "f_lmd_eyes": Measure(
        "F-LMD by eyes", "F-LMD in percent of the reference's eye distance", "percent, 0 and up", LOWER, OWN,
    ),
    "mouth_velocity": Measure(
        "LMD velocity", "difference of the steps of the mouth's points", "pixels a frame, 0 and up", LOWER, "as M-LMD",
    ),
    "pose_distance": Measure(
        "pose distance", "mean absolute difference of pitch, yaw and roll", "degrees, 0 to 180", LOWER, OWN,
    ),
    "expression_distance": Measure(
        "expression distance", "of lips, lids and brows in the head's own frame", "eye distances, 0 and up", LOWER,
        OWN + "; not AED of 3D morphable models",
    ),
    "mouth_correlation": Measure(
        "mouths' correlation", "of both films' mouth opening", "-1 to 1", HIGHER, OWN,
    ),
    "identity": Measure(
        "identity (ArcFace)", "mean cosine of ArcFace's vectors with the reference's first face, faces aligned; with "
        "official, their boxes as ACTalker's network takes them",
        "-1 to 1; one person mostly over 0.4", HIGHER, "papers with this network and crop", "actalker.arcface",
    ),
    "identity_dlib": Measure(
        "identity (dlib)", "mean distance of dlib's vectors to the reference's first face", "0 and up; one person "
        "mostly below 0.6", LOWER, "whoever uses face_recognition; needs the optional group dlib",
    ),
    "lpips": Measure(
        "LPIPS", "distance of AlexNet's features, weighted as people see (lpips 0.1.4), mean over frames",
        "0 and up", LOWER, "papers with AlexNet; needs the optional group lpips", "measures.alexnet",
    ),
    "fid": Measure(
        "FID", "Fréchet distance of InceptionV3's features of both films' frames", "0 and up", LOWER,
        "papers with that file, and as many frames", "measures.inception",
    ),
    "fvd": Measure(
        "FVD", "Fréchet distance of I3D's features of both films' runs of 16 frames, the shorter side at 224",
        "0 and up", LOWER, "papers with that file, and as many clips; ACTalker's script counts otherwise",
        "measures.i3d",
    ),
    "feature_distance": Measure(
        "Fréchet distance of features", "of two files of features that you made with another network", "0 and up",
        LOWER, "figures with the same network and as many clips",
    ),
}  # fmt: skip


def shown(key: str, value: float) -> str:
    """One measured value with its measure in a line."""
    measure = MEASURES[key]
    number = f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e6 else f"{value:.4g}"
    return f"{measure.name}: {number} ({measure.span}; better: {measure.better})"


def markdown_table() -> str:
    """All of them, for the documents."""
    rows = ["| measure | what it is | range | better | comparable with |", "|---|---|---|---|---|"]
    rows += [
        f"| `{key}` {one.name} | {one.what} | {one.span} | {one.better} | {one.comparable} |"
        for key, one in MEASURES.items()
    ]
    return "\n".join(rows)
