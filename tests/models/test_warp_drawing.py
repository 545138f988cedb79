"""The built-in warp draws in strips, on coarse fields and with patches over them; here the same is drawn plainly, every
pixel from every formula, and the two must look the same."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from talking_portrait.models.builtin.warp import WarpRenderer
from talking_portrait.models.builtin.warp.bands import around, overlap, together
from talking_portrait.models.builtin.warp.eyes import gaze_map
from talking_portrait.models.builtin.warp.head import head_displacement, linear_between
from talking_portrait.models.builtin.warp.interior import paint_interior
from talking_portrait.models.builtin.warp.lids import paint_lid
from talking_portrait.models.builtin.warp.mouth import mouth_map
from talking_portrait.models.builtin.warp.pixel_loop import pixel_loop
from talking_portrait.models.builtin.warp.sampling import base_grid, composed, spread, stretched
from talking_portrait.models.builtin.warp.strips import runs
from talking_portrait.models.face.landmarks import landmarks_in_pixels
from talking_portrait.models.face.weights import load_face_detector, load_person_segmenter
from talking_portrait.models.face_motion import CONTROLS, FaceMotion, resolve
from talking_portrait.models.portrait import FaceLandmarks478, Portrait
from talking_portrait.training.data.cartoon import cartoon_face

PHOTO = Path(__file__).resolve().parents[2] / "samples" / "talking_portrait_astronaut.png"
CPU = torch.device("cpu")
BLINKS = [CONTROLS.index("eyeBlinkLeft"), CONTROLS.index("eyeBlinkRight")]


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


def prepared(picture: Image.Image, layers: bool) -> Portrait:
    pixels = np.array(picture.convert("RGB"))
    points = landmarks_in_pixels(load_face_detector().detect_batch([pixels], 1, 0.4, "short")[0][0])
    image = torch.from_numpy(pixels).float() / 255
    mask = load_person_segmenter().mask(image) if layers else None
    return WarpRenderer().prepare(image, FaceLandmarks478(points), mask)


def speaking(count: int, blinking: bool = True) -> FaceMotion:
    """Controls, poses and shifts such as the built-in engine makes."""
    generator = torch.Generator().manual_seed(4)
    controls = 0.7 * torch.rand(count, len(CONTROLS), generator=generator)
    shut = (torch.arange(count) % 3 == 1).float() if blinking else torch.zeros(count)
    controls[:, BLINKS] = shut[:, None] * torch.rand(count, 1, generator=generator)
    pose = 3 * torch.randn(count, 3, generator=generator)
    shift = 0.005 * torch.randn(count, 3, generator=generator)
    return FaceMotion.from_controls(controls, pose, shift, torch.ones(count), Fraction(25), source={})


def plainly(portrait: Portrait, motion: FaceMotion) -> torch.Tensor:
    """Frames [n,h,w,3] of the head's rectangle."""
    features, resolved = portrait.features, resolve(motion, portrait.motion)
    box, controls = features.head.box, resolved.controls
    size = (box[3] - box[1], box[2] - box[0])
    source = base_grid(box, CPU) + stretched(
        head_displacement(features.head, resolved, CPU), size, slice(0, size[0])
    )
    x, y = source.unbind(1)
    gaze = controls[:, [CONTROLS.index("gazeX"), CONTROLS.index("gazeY")]].clamp(-1, 1)[..., None, None]
    for eye in features.eyes:
        source = torch.stack(gaze_map(eye, *source.unbind(1), gaze), 1)
    *moved, shape = mouth_map(features.mouth, *source.unbind(1), controls)
    picture = composed(*features.sheets, spread(torch.stack(moved, 1), box))
    for eye in features.eyes:
        blink = eye.weight * controls[:, CONTROLS.index(eye.name)].clamp(0, 1).reshape(-1, 1, 1)
        paint_lid(eye, picture, x, y, blink)
    paint_interior(features.interior, features.mouth, shape, picture, controls)
    return picture.clamp(0, 1).permute(0, 2, 3, 1)


PICTURES = {
    "photo over its background": lambda: (Image.open(PHOTO), True),
    "photo in one layer": lambda: (Image.open(PHOTO), False),
    "drawing": lambda: (cartoon_face(512), True),
}


@pytest.mark.parametrize("picture", PICTURES)
def test_frames_look_as_if_every_pixel_had_been_computed(picture):
    portrait, motion = prepared(*PICTURES[picture]()), speaking(6)
    renderer, resolved = WarpRenderer(), resolve(motion, portrait.motion)
    frames = torch.cat([renderer.render_part(portrait, resolved.slice(i, i + 3), CPU) for i in (0, 3)])
    change = 255 * (frames - plainly(portrait, motion)).abs().amax(-1)
    assert change.mean() < 0.05 and (change > 2).float().mean() < 1e-3 and change.max() < 40
    assert (255 * (frames - frames[:1]).abs()).amax() > 40, "nothing moves, so nothing was compared"


def test_bytes_are_the_frames_rounded():
    portrait = prepared(Image.open(PHOTO), True)
    renderer, resolved = WarpRenderer(), resolve(speaking(3), portrait.motion)
    drawn, floats = (draw(portrait, resolved, CPU) for draw in (renderer.render_bytes, renderer.render_part))
    assert drawn.dtype == torch.uint8 and torch.equal(drawn, (floats * 255 + 0.5).to(torch.uint8))


@pytest.mark.parametrize("layers", [True, False])
def test_without_the_compiled_loop_the_same_is_drawn(layers, monkeypatch):
    portrait = prepared(Image.open(PHOTO), layers)
    renderer, resolved = WarpRenderer(), resolve(speaking(2), portrait.motion)
    assert pixel_loop() is not None, "Numba is missing, so nothing is compared"
    compiled = renderer.render_bytes(portrait, resolved, CPU).int()
    monkeypatch.setattr("talking_portrait.models.builtin.warp.sampling.pixel_loop", lambda: None)
    change = (compiled - renderer.render_bytes(portrait, resolved, CPU).int()).abs()
    assert change.max() <= 1 and (change > 0).float().mean() < 1e-3


def test_threads_draw_the_same():
    portrait, threads = prepared(Image.open(PHOTO), True), torch.get_num_threads()
    renderer, resolved = WarpRenderer(), resolve(speaking(4), portrait.motion)
    try:
        frames = []
        for count in (1, 3):
            torch.set_num_threads(count)
            frames.append(renderer.render_bytes(portrait, resolved, CPU))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*frames)


def test_an_eye_that_looks_or_shuts_is_drawn_where_the_head_has_taken_it():
    """Its rectangle once stayed where the photo has it, so a turned head's lids were cut off."""
    portrait = prepared(Image.open(PHOTO), True)
    shut = speaking(1, blinking=False)
    controls = torch.zeros_like(shut.controls)
    controls[:, BLINKS] = 1
    pose = torch.tensor([[0.0, 12.0, 0.0]])
    motion = FaceMotion.from_controls(
        controls, pose, torch.tensor([[0.08, 0.0, 0.0]]), torch.ones(1), Fraction(25), source={}
    )
    frame = WarpRenderer().render_part(portrait, resolve(motion, portrait.motion), CPU)
    assert (255 * (frame - plainly(portrait, motion)).abs()).amax() < 6


def test_runs_of_cells():
    assert runs([False] * 4 + [True] * 6 + [False] * 9 + [True]) == [(4, 10), (19, 20)]
    assert runs([True] * 6 + [False] * 2 + [True] * 6 + [False] * 2) == [(0, 14)]
    assert runs([False] * 95) == []


def test_numbers_in_ranges():
    like = [0] * 11 + [1, 1]
    found = list(together([2, 3, 4, 8, 10, 11, 12], like))
    assert found == [slice(2, 5), slice(8, 9), slice(10, 11), slice(11, 13)]
    assert list(together([], [])) == []


def test_boxes():
    assert overlap((0, 0, 4, 4), (3, 3, 6, 6)) and not overlap((0, 0, 4, 4), (4, 0, 6, 4))
    assert around((0, 1, 4, 4), (3, 0, 6, 3)) == (0, 0, 6, 4)


def test_heights_between_points_are_linear():
    cloud = np.array([[0.0, 0, 1], [10, 0, 3], [0, 10, 5], [10, 10, 7]])
    found = linear_between(cloud, np.linspace(-1, 9, 11), np.linspace(0, 10, 11))
    assert np.isnan(found[:, 0]).all() and np.allclose(
        found[:, 1:], 1 + 0.2 * np.arange(10) + 0.4 * np.arange(11)[:, None]
    )
