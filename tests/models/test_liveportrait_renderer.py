"""The LivePortrait renderer around its networks: sizes, batches, errors. The networks are stand-ins that draw
the crop itself."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from talking_portrait.models.face_motion import FaceMotion, resolve
from talking_portrait.models.kdtalker.crop import EYES_478
from talking_portrait.models.liveportrait.renderer import face_alone
from talking_portrait.models.portrait import FaceLandmarks478
from torch.nn import functional as F

from .renderer_samples import kdtalker_framing, liveportrait

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def inference():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


@pytest.fixture(params=["LivePortrait", "KDTalker"])
def renderer(request):
    return liveportrait() if request.param == "LivePortrait" else kdtalker_framing()


def points(width: int, height: int, part: float = 0.4) -> FaceLandmarks478:
    """A face in the middle of a picture."""
    angle = np.linspace(0, 2 * np.pi, 478)
    xy = np.stack([np.cos(angle), np.sin(angle)], 1) * part * min(width, height) / 2 + [width / 2, height / 2]
    xy[[468, 473]] = [width / 2 - 4, height / 2 - 5], [width / 2 + 4, height / 2 - 5]
    xy[14] = width / 2, height / 2 + 6
    reach = part * min(width, height) / 2
    for eye, side in ((EYES_478[:6], -1), (EYES_478[6:], 1)):
        xy[list(eye)] = [width / 2 + side * 0.35 * reach, height / 2 - 0.3 * reach]
    xy[[61, 291]] = (
        [width / 2 - 0.3 * reach, height / 2 + 0.5 * reach],
        [width / 2 + 0.3 * reach, height / 2 + 0.5 * reach],
    )
    return FaceLandmarks478(np.concatenate([xy, np.zeros((478, 1))], 1).astype(np.float32))


def smooth_picture(width: int, height: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 4, width), indexing="ij")
    return torch.stack([x.sin(), y.cos(), (x + y).sin()], -1) / 2 + 0.5


def moving(count: int) -> FaceMotion:
    expression = torch.zeros(count, 21, 3)
    expression[:, 0, 0] = torch.arange(count) / 20
    zero = torch.zeros(count, 3)
    return FaceMotion.from_expression(
        expression, zero, zero, torch.ones(count), Fraction(25), source={}, absolute=frozenset()
    )


@pytest.mark.parametrize("size", [(640, 480), (301, 463), (1920, 1080), (130, 2000)])
def test_without_motion_the_picture_comes_back_at_its_size(renderer, size):
    image = smooth_picture(*size)
    portrait = renderer.prepare(image, points(*size))
    frame = renderer.render(portrait, resolve(moving(1), portrait.motion, portrait.policy), CPU)[0]
    assert frame.shape == image.shape and (frame - image).abs().max() < 0.02


def test_only_the_face_moves_and_parts_equal_the_whole(renderer):
    image = smooth_picture(640, 480)
    portrait = renderer.prepare(image, points(640, 480, part=0.2))
    motion = resolve(moving(5), portrait.motion, portrait.policy)
    whole = renderer.render(portrait, motion, CPU)
    parts = torch.cat([renderer.render(portrait, motion.slice(i, i + 1), CPU) for i in range(5)])
    assert torch.allclose(whole, parts, atol=1e-6) and (whole[4] - image).abs().max() > 0.1
    assert torch.equal(whole[:, :60], image[:60].expand(5, -1, -1, -1)), (
        "outside the crop not a bit may change"
    )
    assert renderer.networks.memory_asked > 5e8


def test_the_face_alone_is_a_square(renderer):
    portrait = face_alone(renderer.prepare(smooth_picture(640, 480), points(640, 480)))
    frames = renderer.render(portrait, resolve(moving(2), portrait.motion), CPU)
    assert frames.shape == (2, 512, 512, 3) and portrait.image.shape == (512, 512, 3)
    inside = portrait.image.amin(-1) > 0.05
    inside = F.max_pool2d(1 - inside[None].float(), 9, 1, 4)[0] == 0
    assert inside.float().mean() > 0.5 and (frames[0] - portrait.image)[inside].abs().max() < 0.02


def test_a_tiny_face_is_an_error(renderer):
    with pytest.raises(ValueError, match="the face in image is about . pixels wide"):
        renderer.prepare(smooth_picture(640, 480), points(640, 480, part=0.01))


def test_numbers_that_overflow_are_said_not_drawn(renderer):
    portrait = renderer.prepare(smooth_picture(640, 480), points(640, 480))
    renderer.networks.nets[3].weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="Choose precision fp32"):
        renderer.render(portrait, resolve(moving(1), portrait.motion), CPU)


def test_a_cpu_draws_one_frame_at_a_time(renderer):
    portrait = renderer.prepare(smooth_picture(640, 480), points(640, 480))
    assert renderer.frames_per_batch(portrait, CPU) == 1
