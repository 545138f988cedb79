"""Dub Video with a portrait renderer in the place of the built-in way, on LivePortrait with networks that draw the crop
itself."""

import numpy as np
import pytest
import torch
from talking_portrait.models.builtin.warp import WarpRenderer
from talking_portrait.models.face_motion import CONTROLS, controls_to_expression
from talking_portrait.models.footage.footage import learn
from talking_portrait.models.footage.redrawing import RedrawingDubber
from talking_portrait.models.liveportrait.motion_extractor import KeypointMotion
from talking_portrait.models.liveportrait.renderer import FRAME_BYTES, LivePortraitRenderer
from talking_portrait.nodes.dubbing import DubVideoImages, PreparedFootage

from ..models.film_samples import film, talking, told
from ..models.renderer_samples import Motion, Networks, Warp, liveportrait
from .test_dubbing import USUAL, lips

COUNT = 12
JAW_KEYPOINT, Y = 19, 1
SCALE = 1.5  # of the face that Motion sees


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def footage() -> PreparedFootage:
    with torch.inference_mode():
        return PreparedFootage(**vars(learn(film(COUNT), told(talking(COUNT)))))


def dubbed(footage, motion, **given) -> tuple[torch.Tensor, torch.Tensor]:
    images, changed = DubVideoImages.execute(footage, motion, **{**USUAL, **given}).result
    return images, changed


class Moving(Motion):
    """Sees another opening of the mouth in each picture that it is shown."""

    seen = 0

    def forward(self, image):
        found = super().forward(image)
        self.seen += 1
        expression = found.expression.clone()
        expression[0, JAW_KEYPOINT, Y] = 0.01 * self.seen
        return KeypointMotion(
            *(expression if name == "expression" else value for name, value in vars(found).items())
        )


class Recorded(Warp):
    def __init__(self):
        super().__init__()
        self.driving = []

    def forward(self, source, driving):
        self.driving.append(driving.clone())
        return super().forward(source, driving)


def test_without_a_change_the_film_comes_back(footage):
    """Within what a crop of 512 pixels and back costs, and to the bit where the mask is black."""
    images, changed = dubbed(footage, lips(COUNT), renderer=liveportrait())
    own = film(COUNT).images
    outside = (changed == 0)[..., None].expand_as(own)
    assert torch.equal(images[outside], own[outside])
    assert (changed > 0.9).float().mean() > 0.02
    assert (images - own).abs().max() < 0.2 and (images - own)[~outside].abs().mean() < 0.02


def test_lips_act_within_the_mask_alone(footage):
    calm, _ = dubbed(footage, lips(COUNT), renderer=liveportrait())
    spoken, changed = dubbed(footage, lips(COUNT, jawOpen=1.0), renderer=liveportrait())
    differs = (spoken - calm).abs().amax(-1)
    assert differs[changed > 0.9].mean() > 0.02 and differs[changed == 0].max() == 0


def test_the_old_speech_is_gone(footage):
    """However the mouth of a frame is open, the driven keypoints are the shot's calm ones with the new lips."""
    networks, warp = Networks(), Recorded()
    networks.nets = (networks.nets[0], Moving(), warp, networks.nets[3])
    jaw = torch.linspace(0, 1, COUNT)
    dubbed(footage, lips(COUNT, jawOpen=jaw), renderer=LivePortraitRenderer(networks))
    rows = controls_to_expression(lips(COUNT, jawOpen=jaw).controls)[:, JAW_KEYPOINT, Y]
    found = torch.cat(warp.driving)[:, JAW_KEYPOINT, Y] / SCALE
    calm = 0.01  # what the first picture, the shot's reference, was seen with
    assert torch.allclose(found - found[0], rows - rows[0], atol=1e-6)
    assert found[0] == pytest.approx(calm, abs=1e-6)


class ManyAtOnce(LivePortraitRenderer):
    """As on a device with room for five frames."""

    def frames_per_batch(self, portrait, device):
        return 5


def test_frames_that_are_drawn_together_are_those_drawn_alone(footage):
    jaw = torch.linspace(0, 1, COUNT)
    alone, changed = dubbed(footage, lips(COUNT, jawOpen=jaw), renderer=liveportrait())
    networks, warp = Networks(), Recorded()
    networks.nets = (*networks.nets[:2], warp, networks.nets[3])
    together, mask = dubbed(footage, lips(COUNT, jawOpen=jaw), renderer=ManyAtOnce(networks))
    assert torch.allclose(together, alone, atol=1e-5) and torch.equal(mask, changed)
    assert [len(driving) for driving in warp.driving] == [5, 5, 2]
    assert networks.memory_asked == 5 * FRAME_BYTES[torch.float32]


def test_a_smile_of_the_film_stays_as_far_as_it_is_wanted(footage):
    (shot,) = footage.shots
    dubber = RedrawingDubber(liveportrait(), shot, 0.2, torch.device("cpu"))
    still = torch.zeros(len(CONTROLS))
    wide = shot.neutral.face.copy()
    wide[[61, 291], 0] += np.array([-0.05, 0.05]) * np.ptp(wide[[61, 291], 0])
    stretch = CONTROLS.index("mouthStretch")
    assert dubber.motion(still, wide).controls[0, stretch] == pytest.approx(1.1, abs=0.15)
    assert dubber.motion(still, shot.neutral.face).controls[0, stretch] == pytest.approx(0, abs=1e-5)


def test_the_built_in_renderer_draws_as_nobody_does(footage):
    motion = lips(COUNT, jawOpen=0.6)
    assert torch.equal(dubbed(footage, motion, renderer=WarpRenderer())[0], dubbed(footage, motion)[0])


@pytest.mark.parametrize(("words", "given"), [
    ("teeth is drawn, but LivePortrait", {"renderer": liveportrait, "teeth": "drawn"}),
    ("renderer has style drawn", {"renderer": lambda: WarpRenderer("drawn")}),
])  # fmt: skip
def test_choices_that_it_does_not_read_are_refused(footage, words, given):
    with pytest.raises(ValueError, match=words):
        dubbed(footage, lips(COUNT), **{**given, "renderer": given["renderer"]()})
