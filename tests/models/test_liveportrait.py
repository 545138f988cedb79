"""LivePortrait's parts: rewrites that change nothing, files of both editions, crop and paste, motion from video."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from talking_portrait.models.face_motion import GROUPS, FaceFrame, FaceMotion, resolve
from talking_portrait.models.face_motion.kalman import smooth
from talking_portrait.models.liveportrait import crop
from talking_portrait.models.liveportrait.animation import (
    AnimationOptions,
    Source,
    driven_keypoints,
    motion_policy,
)
from talking_portrait.models.liveportrait.checkpoint import FILES, check_fit, flattened, looks_like
from talking_portrait.models.liveportrait.exact_rewrites import (
    SpectralKernel,
    conv_by_slices,
    conv_of_upsampled,
)
from talking_portrait.models.liveportrait.expression_sliders import SLIDERS, slider_motion
from talking_portrait.models.liveportrait.generator import SpadeBlock, fold_spectral_norm
from talking_portrait.models.liveportrait.paste import pasted_part, plan_paste
from talking_portrait.models.liveportrait.video_motion import bridged, smoothed, video_motion
from talking_portrait.models.liveportrait.warping import (
    WarpingModule,
    WarpingSizes,
    WarpSource,
    heatmaps,
    shifted_volumes,
)
from talking_portrait.models.media.pixels import laid_on, to_bytes
from talking_portrait.tools.random_state import random_state
from talking_portrait.tools.random_weights import liveportrait_networks
from torch import nn
from torch.nn import functional as F


@pytest.fixture(autouse=True)
def inference():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_phases_equal_a_convolution_of_the_upsampled(factor, layout):
    x, weight, bias = (
        torch.randn(2, 5, 7, 6).contiguous(memory_format=layout),
        torch.randn(4, 5, 3, 3),
        torch.randn(4),
    )
    plain = F.conv2d(F.interpolate(x, scale_factor=factor), weight, bias, padding=1)
    assert torch.allclose(conv_of_upsampled(x, weight, bias, factor), plain, atol=1e-4)


def test_phases_equal_for_volumes():
    x, weight, bias = torch.randn(1, 5, 4, 6, 5), torch.randn(3, 5, 3, 3, 3), torch.randn(3)
    plain = F.conv3d(F.interpolate(x, scale_factor=(1, 2, 2)), weight, bias, padding=1)
    assert torch.allclose(conv_of_upsampled(x, weight, bias, 2), plain, atol=1e-4)


def test_large_kernel_forms_equal_the_convolution():
    x, weight, bias = torch.randn(2, 6, 16, 32, 16), torch.randn(3, 6, 7, 7, 7), torch.randn(3)
    plain = F.conv3d(x, weight, bias, padding=3)
    assert torch.allclose(SpectralKernel(weight, bias)(x), plain, atol=2e-3)
    assert torch.allclose(conv_by_slices(x, weight, bias), plain, atol=2e-3)


@pytest.mark.parametrize("sources", [1, 2])
def test_shifted_volumes_equal_grid_sample(sources):
    volume, shifts = torch.randn(sources, 3, 4, 8, 6), 0.7 * torch.randn(2, 5, 3)
    z, y, x = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in (4, 8, 6)), indexing="ij")
    grid = torch.stack([x, y, z], -1) + shifts[:, :, None, None, None]
    plain = F.grid_sample(
        volume.expand(2, -1, -1, -1, -1).repeat_interleave(5, 0), grid.flatten(0, 1), align_corners=False
    ).unflatten(0, (2, 5))
    assert torch.allclose(shifted_volumes(volume, shifts), plain, atol=1e-4)


def test_pictures_that_are_warped_together_are_warped_as_each_alone():
    sizes = WarpingSizes(channels=4, compressed=2, down=(4, 4, 8, 8, 8), up=(8, 8, 4, 4, 2), features=16)
    warping = WarpingModule(sizes=sizes)
    warping.load_state_dict(random_state(WarpingModule("meta", sizes=sizes), 3))
    random = torch.Generator().manual_seed(0)
    volumes = torch.rand(3, 4, 16, 32, 32, generator=random)
    keypoints, driving = 0.3 * torch.randn(2, 3, 21, 3, generator=random)
    sources = [warping.prepare(volumes[k : k + 1], keypoints[k : k + 1]) for k in range(3)]
    alone = torch.cat([warping(source, driving[k : k + 1]) for k, source in enumerate(sources)])
    together = warping(WarpSource.joined(sources), driving)
    assert torch.allclose(together, alone, atol=1e-4) and alone.std(0).max() > 1e-2
    assert torch.allclose(warping(warping.prepare(volumes, keypoints), driving), alone, atol=1e-4)


def test_heatmaps_hold_no_denormal_numbers():
    heat = heatmaps(torch.zeros(1, 21, 3), (16, 64, 64))
    assert heat.max() > 0.5 and heat[heat > 0].min() > 1e-35


def test_channels_last_changes_nothing():
    block = SpadeBlock(8, 4)
    x, layout = torch.randn(1, 8, 8, 8), torch.randn(1, 256, 4, 4)
    other = block(
        x.contiguous(memory_format=torch.channels_last),
        layout.contiguous(memory_format=torch.channels_last),
        2,
    )
    assert torch.allclose(block(x, layout, 2), other, atol=1e-5)


def test_spectral_norm_is_folded_and_folded_files_pass():
    layer = nn.utils.spectral_norm(nn.Conv2d(4, 6, 3)).eval()
    x = torch.randn(1, 4, 5, 5)
    folded = fold_spectral_norm({f"a.{key}": value for key, value in layer.state_dict().items()})
    assert set(folded) == {"a.weight", "a.bias"}
    assert torch.allclose(F.conv2d(x, folded["a.weight"], folded["a.bias"]), layer(x), atol=1e-6)
    assert fold_spectral_norm(folded).keys() == folded.keys()
    with pytest.raises(ValueError, match="a.weight_v is missing"):
        fold_spectral_norm({"a.weight_orig": torch.ones(1, 1), "a.weight_u": torch.ones(1)})


def stitching_state() -> dict:
    return {
        key: torch.zeros_like(value) for key, value in FILES["stitching"].build({}, {}).state_dict().items()
    }


def test_both_editions_of_the_stitching_file():
    flat = stitching_state()
    nested: dict = {}
    for key, value in flat.items():
        outer, inner = key.split("_module.", 1)
        nested.setdefault(outer, {})[f"module.{inner}"] = value
    assert flattened(nested).keys() == flat.keys() == FILES["stitching"].convert(flat).keys()


@pytest.mark.parametrize("small", [True, False], ids=["small", "published"])
@pytest.mark.parametrize("part", FILES)
def test_the_sizes_are_those_of_the_file(part, small):
    wanted = {key: value.shape for key, value in liveportrait_networks(small)[part].state_dict().items()}
    state = {key: torch.empty(shape, device="meta") for key, shape in wanted.items()}
    made = FILES[part].build(state, {}, device="meta")
    assert {key: value.shape for key, value in made.state_dict().items()} == wanted


def test_files_of_two_networks_are_refused_together():
    published, small = liveportrait_networks(small=False), liveportrait_networks(small=True)
    parts = ("appearance", "warping", "generator")
    for family in (published, small):
        check_fit(*(family[part] for part in parts))
    with pytest.raises(
        ValueError, match=r"appearance_file gives a volume of 4 channels .* warping_file takes 32"
    ):
        check_fit(small["appearance"], published["warping"], published["generator"])
    with pytest.raises(ValueError, match="warping_file gives 16 channels, but generator_file takes 256"):
        check_fit(small["appearance"], small["warping"], published["generator"])


def test_a_wrong_file_is_recognised():
    assert looks_like(stitching_state()) == "stitching and retargeting"
    with pytest.raises(ValueError, match="not the SPADE generator, but looks like the stitching"):
        FILES["generator"].convert(stitching_state())
    with pytest.raises(ValueError, match="not the motion extractor$"):
        FILES["motion"].convert({"x": torch.ones(1)})


def face_points(count: int = 478) -> np.ndarray:
    return np.random.default_rng(0).uniform(100, 300, (count, 2)).astype(np.float32)


@pytest.mark.parametrize("count", [5, 9, 68, 101, 106, 203, 478, 150])
def test_every_landmark_layout_gives_a_box(count):
    box = crop.face_box(face_points(count), *crop.SOURCE_CROP)
    assert 300 < box.side < 1000 and np.isfinite(box.centre).all()


def test_an_unknown_layout_is_an_error():
    with pytest.raises(ValueError, match="face_landmarks has 20 points"):
        crop.face_box(face_points(20), *crop.SOURCE_CROP)


def pasted(face, image, plan):
    return laid_on(image, plan.box, pasted_part(face, image, plan))[0]


@pytest.mark.parametrize("size", [(300, 401), (1080, 1920), (64, 64)])
def test_a_pasted_crop_gives_back_the_picture(size):
    height, width = size
    y, x = np.mgrid[:height, :width]
    image = (
        torch.from_numpy(np.stack([np.sin(x / 40), np.cos(y / 50), np.sin((x + y) / 60)], -1)).float() / 2
        + 0.5
    )
    points = face_points(203) * [width / 400, height / 400]
    matrix = crop.crop_matrix(crop.face_box(points, *crop.SOURCE_CROP))
    face = crop.crop_picture(image, matrix).permute(2, 0, 1)[None]
    back = pasted(face, image, plan_paste(np.linalg.inv(matrix), width, height))
    assert back.shape == image.shape and (back - image).abs().max() < 0.02
    published = pasted(face, image, plan_paste(np.linalg.inv(matrix), width, height, keep_edges=False))
    assert (published - image).abs().max() > 0.05, "as published, the edges that the crop crosses are darker"


def face_motion(count: int = 6, **changes) -> FaceMotion:
    motion = FaceMotion.from_expression(
        0.02 * torch.randn(count, 21, 3), 5 * torch.randn(count, 3), 0.01 * torch.randn(count, 3),
        1.4 + 0.1 * torch.rand(count),
        Fraction(25), source={},
    )  # fmt: skip
    return replace(motion, reference=motion.frame(0), **changes)


def source() -> Source:
    own = face_motion(1).frame(0)
    return Source(0.3 * torch.randn(1, 21, 3), own, torch.full((1, 2), 0.4), torch.zeros(1, 1))


def keypoints(portrait: Source, motion: FaceMotion, policy=None, slices=None, **options) -> torch.Tensor:
    resolved = resolve(motion, portrait.motion, policy)
    parts = [resolved] if slices is None else [resolved.slice(a, b) for a, b in slices]
    return torch.cat(
        [
            driven_keypoints(portrait, part, AnimationOptions(stitching=False, **options), None)
            for part in parts
        ]
    )


def test_the_first_frame_of_relative_motion_is_the_picture():
    portrait = source()
    x = keypoints(portrait, face_motion(), motion_policy(relative=True))
    assert torch.allclose(x[:1], portrait.keypoints, atol=1e-5) and (x[3] - x[0]).abs().max() > 0.01


@pytest.mark.parametrize("region", ["exp", "pose", "lip", "eyes"])
def test_a_region_leaves_the_rest_still(region):
    portrait, motion = source(), face_motion()
    resolved = resolve(motion, portrait.motion, motion_policy(relative=True, region=region))
    moves_head = not torch.allclose(resolved.rotation, resolved.rotation[:1])
    lips = (resolved.expression - portrait.motion.expression)[:, [6, 12, 14, 17, 19, 20]].abs().max() > 0.001
    eyes = (resolved.expression - portrait.motion.expression)[:, [11, 13, 15, 16, 18]].abs().max() > 0.001
    assert (moves_head, bool(lips), bool(eyes)) == {
        "exp": (False, True, True), "pose": (True, False, False), "lip": (False, True, False),
        "eyes": (False, False, True),
    }[region]  # fmt: skip
    assert torch.allclose(resolved.scale, torch.full((6,), portrait.motion.scale))


def test_parts_of_a_film_equal_the_whole_when_proportions_are_kept():
    portrait, motion = source(), face_motion()
    whole = keypoints(portrait, motion, expression_friendly=True)
    assert torch.allclose(
        whole, keypoints(portrait, motion, slices=[(0, 1), (1, 4), (4, 6)], expression_friendly=True)
    )


def test_unknown_regions_are_named():
    with pytest.raises(ValueError, match="region is 'nose'"):
        motion_policy(relative=True, region="nose")


def test_sliders_move_their_controls():
    for name, slider in SLIDERS.items():
        motion = slider_motion({name: slider.unit}, (0, 0, 0), (0, 0, 0))
        assert motion.controls.abs().sum() == pytest.approx(1.0) and motion.expression.abs().max() > 0.003


def test_bridging_fills_missing_frames_and_keeps_the_others():
    motion = face_motion()
    valid = torch.tensor([False, True, False, True, True, False])
    filled = bridged(replace(motion, valid=valid))
    assert torch.allclose(filled.expression[2], (motion.expression[1] + motion.expression[3]) / 2, atol=1e-6)
    assert torch.allclose(filled.expression[[0, 5]], motion.expression[[1, 4]])
    assert torch.allclose(filled.pose[[1, 3, 4]], motion.pose[[1, 3, 4]], atol=1e-3)


def test_smoothing_calms_and_zero_changes_nothing():
    motion = face_motion(60)
    calm = smoothed(motion, 1e-3)
    assert calm.expression.diff(dim=0).abs().mean() < 0.3 * motion.expression.diff(dim=0).abs().mean()
    assert smoothed(motion, 0) is motion
    assert len(smooth(np.zeros((0, 3)), 1.0, 1.0)) == 0 and np.allclose(
        smooth(np.full((5, 2), 3.0), 0.1, 0.1), 3.0
    )


class FakeExtractor(nn.Module):
    """Reads the mean brightness as the yaw."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, image: torch.Tensor):
        from talking_portrait.models.liveportrait.motion_extractor import KeypointMotion

        n, zero = len(image), torch.zeros(len(image), 1)
        expression = torch.zeros(n, 21, 3)
        yaw = image.mean((1, 2, 3))[:, None] * 10
        return KeypointMotion(expression, zero + 1.5, zero, yaw, zero, torch.zeros(n, 3), expression)


def test_motion_from_video_frame_by_frame():
    frames = torch.arange(12)[:, None, None, None] / 12 * torch.ones(12, 120, 90, 3)
    landmarks: list = [face_points(478) / 4] * 12
    landmarks[5] = None
    motion = video_motion(FakeExtractor(), frames, landmarks, Fraction(30))
    assert len(motion) == 12 and motion.fps == 30 and motion.absolute == frozenset(GROUPS)
    assert motion.valid.tolist() == [i != 5 for i in range(12)]
    assert (motion.pose[:, 1].diff() > 0.1).all() and isinstance(motion.reference, FaceFrame)
    single = smoothed(video_motion(FakeExtractor(), frames[:1], landmarks[:1], Fraction(30)))
    assert len(single) == 1 and torch.allclose(single.pose, motion.pose[:1], atol=1e-3)
    with pytest.raises(ValueError, match="no frame of images has a face"):
        video_motion(FakeExtractor(), frames, [None] * 12, Fraction(30))


def test_a_grey_picture_is_three_equal_colours():
    grey = torch.rand(5, 7, 1)
    assert torch.equal(to_bytes(grey), to_bytes(grey.expand(5, 7, 3))) and to_bytes(grey).shape == (5, 7, 3)
