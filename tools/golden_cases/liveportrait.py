"""LivePortrait's answers to its golden data: one function per file, every output by name."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ...models.face_motion import FaceMotion, pose_degrees, resolve
from ...models.face_motion.kalman import smooth
from ...models.liveportrait import crop
from ...models.liveportrait.animation import AnimationOptions, Source, driven_keypoints, motion_policy
from ...models.liveportrait.appearance import AppearanceExtractor
from ...models.liveportrait.generator import SpadeGenerator, fold_spectral_norm
from ...models.liveportrait.keypoints import (
    eye_ratios,
    head_pose_degrees,
    hull_multiplier,
    lip_ratio,
    rotation_from_degrees,
    transform_keypoints,
)
from ...models.liveportrait.motion_extractor import MotionExtractor
from ...models.liveportrait.paste import PastePlan, pasted_part, plan_paste
from ...models.liveportrait.retargeting import Retargeting
from ...models.liveportrait.source import face_frame
from ...models.liveportrait.video_motion import PROCESS_VARIANCE
from ...models.liveportrait.warping import WarpingModule, heatmaps, sizes_of
from ...models.media.pixels import laid_on

Outputs = dict[str, Any]  # tensors by name, and tables
Network = TypeVar("Network", bound=nn.Module)


def loaded(network: Network, state: Mapping[str, Tensor]) -> Network:
    """The network with exactly these weights."""
    network.load_state_dict(state, strict=True)
    return network.eval()


def capture(outputs: Outputs, **modules: Any) -> None:
    """Keep what each module gives next, under its name."""
    for name, module in modules.items():
        module.register_forward_hook(lambda _m, _i, value, name=name: outputs.__setitem__(name, value))


def appearance(case: Any) -> Outputs:
    network, outputs = loaded(AppearanceExtractor(), case.weights("lp_appearance")), {}
    first_residual = network.resblocks_3d.get_submodule("3dr0")
    capture(outputs, first=network.first, second=network.second, res0=first_residual)
    outputs["f_s"] = network(case.inputs["source_image"])
    x = network.first(case.inputs["source_image"])
    for block in network.down_blocks:
        x = nn.functional.avg_pool2d(block(x), 2)
    return {**outputs, "down1": x}


def motion(case: Any) -> Outputs:
    network, outputs, image = (
        loaded(MotionExtractor(), case.weights("lp_motion")),
        {},
        case.inputs["source_image"],
    )
    detector: Any = network.detector
    capture(
        outputs, stage0_block0=detector.stages[0][0], stage3=detector.stages[3], pooled_norm=detector.norm
    )
    found, heads = network(image), detector(image)
    rotation = rotation_from_degrees(found.pitch, found.yaw, found.roll)
    return {
        **outputs,
        "stem": detector.downsample(0, image),
        **{f"raw_{name}": value for name, value in heads.items()},
        **{f"{name}_deg": getattr(found, name) for name in ("pitch", "yaw", "roll")},
        "x_s": transform_keypoints(
            found.canonical, rotation, found.expression, found.scale, found.translation
        ),
    }


def warping(case: Any) -> Outputs:
    network, outputs = loaded(WarpingModule(), case.weights("lp_warp")), {}
    dense: Any = network.dense_motion_network
    capture(outputs, enc4=dense.hourglass.encoder.down_blocks[4], dec0=dense.hourglass.decoder.up_blocks[0],
            hourglass=dense.hourglass)  # fmt: skip
    source = network.prepare(case.inputs["feature_3d"], case.inputs["kp_source"])
    driving = case.inputs["kp_driving"]
    field = dense(source, driving)
    shape = sizes_of(source.compressed)
    heat = heatmaps(driving, shape) - heatmaps(source.keypoints, shape)
    return {
        **outputs, "occlusion_map": field.occlusion, "deformation": field.deformation,
        "out": network.warp(source.volume, field), "mask_logits": dense.mask_logits(outputs["hourglass"]),
        "heatmap": nn.functional.pad(heat, (0,) * 6 + (1, 0)),
    }  # fmt: skip


def generator(case: Any) -> Outputs:
    network, outputs = loaded(SpadeGenerator(), fold_spectral_norm(case.weights("lp_spade"))), {}
    names = ("fc", "G_middle_0", "G_middle_5", "up_0", "up_1")
    capture(outputs, **{name: getattr(network, name) for name in names})
    image = network(case.inputs["feature"])
    return {
        **outputs,
        "image": image,
        "image_uint8": (255 * image.clip(0, 1)).permute(0, 2, 3, 1).to(torch.uint8),
    }


def stitching(case: Any) -> Outputs:
    network = loaded(Retargeting(), case.weights("lp_stitch"))
    source, driving = case.inputs["kp_source"], case.inputs["kp_driving"]
    return {
        "stitch_delta_65": network.stitching_delta(source, driving),
        "stitched_kp": network.stitch(source, driving),
        "eye_delta": network.eye_delta(source, case.inputs["eye_ratio"]),
        "lip_delta": network.lip_delta(source, case.inputs["lip_ratio"]),
    }


def mathematics(case: Any) -> Outputs:
    given = case.inputs
    rotation = rotation_from_degrees(given["pitch"], given["yaw"], given["roll"])
    degrees = head_pose_degrees(given["logits"])
    few = len(given["kp"])  # the file takes pitch, yaw and roll of two faces from rows 0-1, 2-3 and 1-2
    by_logits = rotation_from_degrees(degrees[0:2], degrees[2:4], degrees[1:3])
    series = given["smooth_in"][:, 0].double().numpy()
    rest = (given["exp"], given["scale"], given["t"])
    return {
        "degree": degrees,
        "R": rotation,
        "x_from_degrees": transform_keypoints(given["kp"], rotation[:few], *rest),
        "x_from_logits": transform_keypoints(given["kp"], by_logits, *rest),
        "motion_multiplier": torch.tensor([hull_multiplier(given["hull_a"], given["hull_b"])]),
        "eye_close_ratio": eye_ratios(given["lmk203"]),
        "lip_close_ratio": lip_ratio(given["lmk203"]),
        "smooth_3e-7": torch.from_numpy(smooth(series, PROCESS_VARIANCE, 3e-7)),
        "smooth_1e-3": torch.from_numpy(smooth(series, PROCESS_VARIANCE, 1e-3)),
    }


def formula_picture(height: int, width: int, phase: np.ndarray, step: int) -> Tensor:
    """The declared test picture, [H,W,3] bytes."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    waves = [np.sin(2 * np.pi * (x / (37 + 10 * c) + y / (53 + step * c) + phase[c])) for c in range(3)]
    return torch.from_numpy(np.floor(127.5 + 110 * np.stack(waves, -1)).astype(np.uint8))


def cropping(case: Any) -> Outputs:
    phase = case.inputs["phase"].double().numpy()
    picture, outputs = formula_picture(300, 400, phase, 7), {}
    for name, points in case.inputs.items():
        if not name.startswith("pts_") or name == "pts_paste":
            continue
        count, points = name.removeprefix("pts_"), points.numpy()
        box = crop.face_box(points, *crop.SOURCE_CROP)
        matrix = crop.crop_matrix(box)
        cut = crop.crop_picture(picture, matrix)
        outputs |= {
            f"geo_{count}": np.array([*box.centre, box.side, box.side, box.angle]),
            f"M_o2c_{count}": matrix,
            f"M_c2o_{count}": np.linalg.inv(matrix),
            f"crop512_{count}": cut,
            f"crop256_{count}": crop.network_input(cut),
            f"pt_crop_{count}": points @ matrix[:2, :2].T + matrix[:2, 2],
            f"M_o2c_norot_{count}": crop.crop_matrix(crop.face_box(points, *crop.SOURCE_CROP, rotate=False)),
            f"M_o2c_lmk224_{count}": crop.crop_matrix(crop.face_box(points, *crop.LANDMARK_CROP), 224),
            f"driving_bbox_{count}": crop.driving_box([points]),
        }
    to_picture = np.linalg.inv(
        crop.crop_matrix(crop.face_box(case.inputs["pts_paste"].numpy(), *crop.SOURCE_CROP))
    )
    plan = plan_paste(to_picture, 400, 300, keep_edges=False)
    face = formula_picture(512, 512, phase, 11).permute(2, 0, 1)[None]
    pasted = pasted_on(picture.float(), face, plan).clip(0, 255).to(torch.uint8)
    mask = pasted_on(torch.zeros(300, 400, 3), torch.ones(1, 3, 512, 512), plan)
    outputs |= {"M_c2o_paste": to_picture, "paste_mask": mask, "pasted": pasted}
    return {name: torch.as_tensor(value) for name, value in outputs.items()}


def pasted_on(picture: Tensor, face: Tensor, plan: PastePlan) -> Tensor:
    """The whole picture [H,W,3] with a face [1,3,512,512] in its place."""
    return laid_on(picture, plan.box, pasted_part(face, picture, plan))[0]


def animation(case: Any) -> Outputs:
    given = case.inputs
    extractor = loaded(MotionExtractor(), case.weights("lp_motion"))
    network = loaded(Retargeting(), case.weights("lp_stitch"))
    found = extractor(given["source_u8"].permute(2, 0, 1)[None].float() / 255)
    landmarks = given["lmk203"][None]
    source = Source(found.canonical, face_frame(found), eye_ratios(landmarks), lip_ratio(landmarks))
    turns = rotation_from_degrees(given["d_pitch"], given["d_yaw"], given["d_roll"])
    driving = FaceMotion.from_expression(
        given["d_exp"], pose_degrees(turns), given["d_t"], given["d_scale"][:, 0], Fraction(25), source={}
    )
    driving = replace(driving, reference=driving.frame(0))
    outputs = {"x_s": source.keypoints}
    for name, (relative, stitch, close, eyes, lips, option, multiplier, region) in case.data["modes"].items():
        options = AnimationOptions(
            stitch, multiplier, relative and option == "expression-friendly", relative and close,
            given["c_eyes"][:, 0, 0] if eyes else None, given["c_lip"][:, 0, 0] if lips else None,
            official=relative,
        )  # fmt: skip
        motion = resolve(driving, source.motion, motion_policy(relative, region))
        outputs[name] = driven_keypoints(source, motion, options, network)
    return outputs


CASES: dict[str, Callable[[Any], Outputs]] = {
    "lp_appearance": appearance, "lp_motion": motion, "lp_warp": warping, "lp_spade": generator,
    "lp_stitch": stitching,
    "lp_math": mathematics, "lp_crop": cropping, "lp_animate": animation,
}  # fmt: skip
