"""The measures' answers to their golden data. Results lie anywhere in such a file, so every one is named by its place:
`cases/full/outputs/mfcc`."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import librosa
import numpy as np
import torch
from torch import Tensor

from ...models.face.arcface import ArcFace
from ...models.measures import audio_beats, face_tracks, head_motion, identity, landmark_distance
from ...models.measures.frechet import frechet_distance
from ...models.measures.hopenet import ANGLES, SURE, Hopenet, head_picture, hopenet_state
from ...models.measures.mfcc import mfcc
from ...models.measures.pictures import PictureDistance
from ...models.measures.sharpness import edge_widths, sharp_share
from ...models.measures.ssim import grey, ssim
from ...models.measures.sync import Sync, seen_windows, square, sync_of, windows_of
from ...models.measures.syncnet import SyncNet, heard_windows
from .liveportrait import capture, loaded

Answers = dict[str, Any]
# keys under which a file holds results, wherever they stand
RESULTS = ("outputs", "values", "psnr_actalker", "skimage", "tracks", "box", "iou", "score", "audio_seconds")


def results(part: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """(place, result) of all that is to be computed again in a part of a golden file."""
    pairs = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in pairs:
        where = f"{place}/{key}".lstrip("/")
        if key in RESULTS and not is_input(value):
            yield from single(value, where)
        elif key != "inputs":
            yield from results(value, where)


def is_input(value: Any) -> bool:
    """Whether what is called like a result holds questions too."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and "iou" in value[0]


def single(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """The results of a table one by one; a probe, a list or a number is one."""
    if isinstance(value, dict) and "idx" not in value:
        for key, inner in value.items():
            yield from single(inner, f"{place}/{key}")
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, inner in enumerate(value):
            yield from single(inner, f"{place}/{number}")
    else:
        yield place, value


def under(place: str, answers: Mapping[str, Any]) -> Answers:
    """Answers at a place."""
    return {f"{place}/{key}": value for key, value in answers.items()}


def built(case: Any, part: Mapping[str, Any]) -> list[Any]:
    """The inputs that a part of a file declares, in its order, arrays and tensors."""
    return [case.measured.build(spec, case.salt) for spec in part["inputs"]]


def weights_of(case: Any) -> dict[str, Tensor]:
    """The filled weights of the one network that a file names, with its changes to them."""
    shapes = case.manifest(case.data["networks"][0].rsplit("/", 1)[-1])["keys"]
    return case.measured.state_dict(shapes, case.salt, case.data.get("weights_ops", ()))


def syncnet_networks(case: Any) -> Answers:
    network = loaded(SyncNet(), weights_of(case))
    frames, sound = built(case, case.data)
    wanted, found = case.data["outputs"], {}
    layers = {name: network.get_submodule(name) for name in wanted if "." in name}
    capture(found, **layers)
    found |= {
        "audio_embedding": network.hear(sound),
        "lip_embedding": network.see(frames),
        "lip_feature": network.lip_feature(frames),
    }
    return under("outputs", found)


def sync_answers(found: Sync) -> Answers:
    """What the files with distances hold."""
    return {
        "outputs/distances": found.distances,
        "outputs/framewise_confidence": found.confidence,
        "values/mean_distance_per_offset": found.means,
        "values/offset": found.offset,
        "values/min_distance": found.lse_d,
        "values/min_distance_lse_d": found.lse_d,
        "values/confidence": found.lse_c,
        "values/confidence_lse_c": found.lse_c,
        "values/median_mean_distance": found.lse_d + found.lse_c,
        "values/argmin": int(found.means.argmin()),
    }


def syncnet_evaluation(case: Any) -> Answers:
    network, answers = loaded(SyncNet(), weights_of(case)), {}
    for name, part in case.data["cases"].items():
        frames, wave = built(case, part)
        settings, cepstra = part["settings"], mfcc(wave)
        count = windows_of(len(frames), len(wave))
        shown = frames if not settings["resize_to_224"] else [square(frame).numpy() for frame in frames]
        lips = torch.cat(list(seen_windows(network, shown, count)))
        sound = heard_windows(network, torch.from_numpy(cepstra.T.copy()).float(), count)
        answers |= under(
            f"cases/{name}",
            sync_answers(sync_of(lips, sound, settings["vshift"], official=True))
            | {"outputs/mfcc": cepstra, "outputs/lip_embedding": lips, "outputs/audio_embedding": sound},
        )
    return answers


def syncnet_offset(case: Any) -> Answers:
    answers = {}
    for name, part in case.data["cases"].items():
        embedding, jitter = built(case, part)
        lips, sound = (embedding[slice(*part[f"{who}_rows"])] for who in ("lip", "audio"))
        found = sync_of(lips, sound + jitter, case.data["vshift"], official=True)
        answers |= under(f"cases/{name}", sync_answers(found))
    return answers


def syncnet_tracks(case: Any) -> Answers:
    given, settings, crop = case.data["track"], case.data["settings"], case.data["crop"]
    tracks = face_tracks.face_tracks(
        [[box[:4] for box in boxes] for boxes in given["detections"]],
        settings["iou_threshold"], settings["num_failed_det"], settings["min_track"], settings["min_face_size"],
    )  # fmt: skip
    answers: Answers = {}
    for number, track in enumerate(tracks if len(tracks) == len(given["tracks"]) else []):
        row = {"first_frame": track.first, "frames": len(track.boxes), "boxes": track.boxes}
        answers |= under(f"track/tracks/{number}", row)
    for number, row in enumerate(case.data["iou"]):
        answers[f"iou/{number}/iou"] = face_tracks.overlap(row["a"], row["b"])
    (frames,) = built(case, crop)
    track = face_tracks.FaceTrack(crop["first_frame"], np.array(crop["boxes"]))
    half, x, y = face_tracks.crop_path(track.boxes, settings["median_kernel"])
    path = settings["crop_scale"], settings["median_kernel"], settings["pad_value"]
    faces = np.stack(list(face_tracks.face_crops(frames, track, *path)))
    outputs = {"faces_bgr": faces, "faces_mean_per_frame": faces.mean((1, 2, 3)), "x": x, "y": y, "s": half}
    return (
        answers
        | under("crop/outputs", outputs)
        | {"crop/audio_seconds": track.seconds(settings["frame_rate"])}
    )


def pose_kdtalker(case: Any) -> Answers:
    network = loaded(Hopenet(), hopenet_state(weights_of(case)))
    (film,) = built(case, case.data)
    limit, rows = case.data["frame_limit"], []
    boxes = case.data["detections_left_top_right_bottom_confidence"]
    for frame, found in list(zip(film, boxes, strict=True))[:limit]:
        for *box, confidence in found:
            if confidence > SURE:
                rows.append(network(head_picture(frame[..., ::-1], (*box,))[None]))
    bins = torch.cat(rows)
    spread = head_motion.bin_diversity([bins.numpy()])
    values = {"rows": len(bins), "std_of_bins_yaw_pitch_roll": [spread[angle] for angle in ANGLES]}
    return {"outputs/bins": bins, **under("values", values)}


def motion_kdtalker(case: Any) -> Answers:
    data, answers = case.data, {}
    films = [film.numpy() for film in built(case, data["diversity"])]
    answers |= under("diversity/values", head_motion.bin_diversity(films))
    network = loaded(Hopenet(), hopenet_state(weights_of(case)))
    (faces,) = built(case, data["hopenet"])
    bins = network(faces)
    outputs = {f"{angle}_bins": bins[:, number] for number, angle in enumerate(ANGLES)}
    answers |= under("hopenet/outputs", {"feature": network.feature(faces), **outputs})
    for name, part in data["beat_align"]["cases"].items():
        points, wave = built(case, part)
        answers |= under(f"beat_align/cases/{name}", beat_answers(part, points, wave, data["beat_align"]))
    for number, row in enumerate(data["beat_align"]["score_only"]):
        score = head_motion.beat_alignment(row["audio_beats"], row["motion_beats"], row["sigma"])
        answers[f"beat_align/score_only/{number}/score"] = score
    return answers


def beat_answers(
    part: Mapping[str, Any], points: np.ndarray, wave: np.ndarray, about: Mapping[str, Any]
) -> Answers:
    """Beats of one track of points and one sound. The scores are of the file's own beats of the sound."""
    speed = head_motion.smoothed_speed(points, about["velocity_sigma_frames"])
    beats = head_motion.motion_beats(speed)
    times, heard = beats / part["fps"], audio_beats.audio_beats(wave, official=True)
    installed = audio_beats.audio_beats(wave)
    given = np.array(part["values"]["audio_beat_times"])
    values = {
        "motion_beat_indices": beats,
        "motion_beat_times": times,
        "velocity_samples": len(speed),
        "audio_beat_frames": heard.frames,
        "audio_beat_times": heard.seconds,
        "tempo": heard.tempo,
        "audio_beat_frames_librosa_0_11": installed.frames,
        "score_other_direction": head_motion.beat_alignment(times, given, part["sigma"]),
    }
    for name in part["values"]:
        if name.startswith("score") and name not in values:
            sigma = float(name.removeprefix("score_sigma_")) if "sigma" in name else part["sigma"]
            values[name] = head_motion.beat_alignment(given, times, sigma)
    onsets = librosa.onset.onset_strength(y=wave, sr=audio_beats.RATE)
    return under("values", values) | under("outputs", {"smoothed_velocity": speed, "onset_strength": onsets})


def image(case: Any) -> Answers:
    data = case.data
    first, noise = built(case, data)
    second = np.clip(np.round(first + noise.numpy().astype(np.float64)), 0, 255).astype(np.uint8)
    answers = under("psnr_actalker", picture_answers(first, second))
    for name in data["skimage"]:
        number = int(name.removeprefix("frame"))
        answers |= under(f"skimage/{name}", ssim_answers(first[number], second[number]))
    a, b = (features.numpy() for features in built(case, data["frechet"]))
    distances = {"fid": frechet_distance(a, b), "fvd_distance_with_offset": frechet_distance(a, b, True)}
    answers |= under("frechet/values", distances) | identity_answers(case, first)
    for number, part in enumerate(data["cpbd"]):
        (picture,) = built(case, part)
        found = edge_widths(picture)
        values = {
            "cpbd": sharp_share(picture, found), "canny_pixels": found.blocks.sum(), "sobel_pixels": found.edges.sum(),
            "width_sum": found.widths.sum(),
        }  # fmt: skip
        answers |= under(f"cpbd/{number}/values", values) | {f"cpbd/{number}/outputs/picture": picture}
    return answers


def picture_answers(first: np.ndarray, second: np.ndarray) -> Answers:
    """ACTalker's figures of two films, with and without the wrap of bytes."""
    answers: Answers = {}
    for kind in ("uint8", "float"):
        distance, same = (PictureDistance(official=kind == "uint8") for _ in range(2))
        for a, b in zip(first, second, strict=True):
            distance.add(a, b)
            same.add(a, a)
        answers |= {f"psnr_{kind}": distance.psnr, f"l1_{kind}": distance.l1}
        answers |= {f"movie_{kind}": distance.published_movie, "psnr_identical": str(same.psnr)}
    return answers


def ssim_answers(a: np.ndarray, b: np.ndarray) -> Answers:
    """scikit-image's figures of two frames."""
    distance = PictureDistance()
    distance.add(a, b)
    return {
        "psnr": distance.psnr,
        "ssim_channels_uniform7": ssim(a, b),
        "ssim_channels_gaussian": ssim(a, b, gaussian=True),
        "ssim_gray_uniform7": ssim(grey(a), grey(b)),
        "ssim_gray_uniform11": ssim(grey(a), grey(b), 11),
    }


def identity_answers(case: Any, frames: np.ndarray) -> Answers:
    """ArcFace's vectors of boxes, and the crop for VGGFace."""
    given, crop = case.data["identity_arcface"], case.data["identity_vggface_crop"]
    faces = torch.stack([identity.boxed_face(*pair) for pair in zip(frames, given["boxes"], strict=True)])
    vectors = loaded(ArcFace(), weights_of(case))(faces)
    answers = under("identity_arcface/outputs", {"face_input": faces, "embedding": vectors})
    answers["identity_arcface/values/cosine_to_first"] = identity.cosines(vectors, vectors[0])
    frame = frames[crop["frame"]]
    for name in crop["cases"]:
        box = identity.vggface_box(
            crop["detected_box_xywh"] if name == "detected" else None,
            frame.shape[1],
            frame.shape[0],
            official=True,
        )
        picture = identity.vggface_picture(frame, box)[None]
        answers |= under(
            f"identity_vggface_crop/cases/{name}", {"box": box, "outputs/vggface_input": picture}
        )
    return answers


def landmarks(case: Any) -> Answers:
    mouth, answers = list(range(*case.data["mouth"])), {}
    for name, part in case.data["cases"].items():
        films = [
            [None if number in spec["missing_frames"] else points for number, points in enumerate(film)]
            for spec, film in zip(part["inputs"], built(case, part), strict=True)
        ]
        if part["first_96_of_truth_only"]:
            films[1] = films[1][:96]
        lips, face = (
            landmark_distance.landmark_distance(*(landmark_distance.part(film, chosen) for film in films))
            for chosen in (mouth, list(range(part["inputs"][0]["shape"][1])))
        )
        published = landmark_distance.published_face_velocity(lips, len(mouth), part["inputs"][0]["shape"][1])
        answers |= under(f"cases/{name}/values", {
            "m_lmd": lips.distance, "f_lmd": face.distance, "mouth_velocity": lips.velocity,
            "face_velocity_as_published": published, "face_velocity": face.velocity,
        })  # fmt: skip
    return answers


CASES: dict[str, Callable[[Any], Answers]] = {
    "syncnet_networks": syncnet_networks,
    "syncnet_evaluation": syncnet_evaluation,
    "syncnet_offset": syncnet_offset,
    "syncnet_tracks": syncnet_tracks,
    "pose_kdtalker": pose_kdtalker,
    "motion_kdtalker": motion_kdtalker,
    "image": image,
    "landmark_distance": landmarks,
}
