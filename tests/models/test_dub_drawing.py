"""What the built-in way draws into a frame: how far lips open, and what of the frame's own mouth is left."""

from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from talking_portrait.models.builtin.dub import WarpDubber
from talking_portrait.models.builtin.dub.dubber import enlarged, under_nose
from talking_portrait.models.builtin.warp.mouth import LOWER_INNER, LOWER_OUTER, UPPER_INNER, UPPER_OUTER
from talking_portrait.models.builtin.warp.sampling import base_grid
from talking_portrait.models.face.landmarks import landmarks_in_pixels
from talking_portrait.models.face.regions import draw_region
from talking_portrait.models.face.weights import load_face_detector
from talking_portrait.models.face_motion import CONTROLS
from talking_portrait.models.footage.footage import learn
from talking_portrait.models.footage.source import Source
from talking_portrait.models.media.film_reader import PictureFilm
from talking_portrait.models.media.pixels import resize_antialiased

from .film_samples import ROOT, closed, film, opened, talking, told


@pytest.fixture(autouse=True)
def _inference():
    with torch.inference_mode():
        yield


@cache
def person() -> tuple[torch.Tensor, np.ndarray]:
    """The shipped portrait [160,160,3] in 0..1 with all of its chin, and its landmarks with closed lips."""
    whole = Image.open(ROOT / "samples" / "talking_portrait_astronaut.png").convert("RGB")
    picture = np.array(whole.crop((50, 0, 430, 380)).resize((160, 160), Image.Resampling.LANCZOS))
    (face,) = load_face_detector().detect_batch([picture], 1, 0.3, "short")[0]
    return torch.from_numpy(picture).float() / 255, closed(landmarks_in_pixels(face))


@pytest.fixture(scope="module")
def footage():
    with torch.inference_mode():
        pictures = PictureFilm(person()[0].expand(24, -1, -1, -1), Fraction(25))
        return learn(pictures, told([opened(person()[1], 0.03 * (number % 4)) for number in range(24)]))


def drawn(
    footage, frame: torch.Tensor | None = None, seen: np.ndarray | None = None, **controls
) -> torch.Tensor:
    """[160,160,3] the film's first frame, or another one, with these lips."""
    track = torch.zeros(len(CONTROLS))
    for name, value in controls.items():
        track[CONTROLS.index(name)] = value
    frame = person()[0].clone() if frame is None else frame.clone()
    calm = footage.calm_points(0, 1.0)
    part = WarpDubber(footage.shots[0], 0.22, True).drawn(frame, calm if seen is None else seen, calm, track)
    x0, y0, x1, y1 = part.box
    frame[y0:y1, x0:x1] = part.picture
    return frame


def test_lips_that_come_together_open_less(footage):
    shut = drawn(footage, mouthClose=1.0)
    wide, half = (
        ((drawn(footage, jawOpen=0.6, mouthClose=close) - shut).abs().amax(-1) > 0.1).sum()
        for close in (0.0, 0.5)
    )
    assert 0.2 * wide < half < 0.75 * wide


def torn_open(points: np.ndarray) -> np.ndarray:
    """A face whose lower lip, chin and jaw are far down, less towards the corners of the mouth."""
    wide, width = points.astype(float), np.linalg.norm(points[61] - points[291])
    below = points[:, 1] > (points[61, 1] + points[291, 1]) / 2 + 0.02 * width
    below[UPPER_INNER], below[LOWER_INNER[1:-1]] = False, True
    middle = (points[61, 0] + points[291, 0]) / 2
    wide[below, 1] += (
        0.5 * width * np.clip(1 - (np.abs(points[below, 0] - middle) / (0.9 * width)) ** 2, 0, 1)
    )
    return wide


def test_nothing_is_left_of_a_mouth_torn_open_wider_than_its_landmarks(footage):
    seen = torn_open(person()[1])
    width = np.linalg.norm(seen[61, :2] - seen[291, :2])
    lips = torch.zeros(160, 160)
    draw_region(lips, seen[[*UPPER_OUTER, *LOWER_OUTER[-2:0:-1]], :2], 1.0, 0.1 * width)
    frame = torch.lerp(person()[0], torch.tensor([1.0, 0.0, 0.0]), lips[..., None])
    red, plain = (drawn(footage, one, seen, mouthClose=1.0) for one in (frame, person()[0]))
    calm = footage.calm_points(0, 1.0)
    below = slice(int(calm[17, 1] + 0.05 * width), int(seen[152, 1]))
    left = (red - plain)[below, int(calm[61, 0]) : int(calm[291, 0])]
    assert frame[..., 0].gt(0.99).sum() > 300 and (left[..., 0] - left[..., 1]).max() < 0.01


def test_a_sharp_key_frame_is_no_better_texture_than_a_calm_mouth():
    faces = [closed(points) for points in talking(24)]
    pictures = film(24)
    pictures.images[5, ::2] = (1.6 * pictures.images[5, ::2] - 0.2).clamp(0, 1)
    lips = [61, 291, 0, 17, 13, 14, 78, 308, 37, 267, 84, 314, 40, 270, 91, 321, 39, 269, 181, 405, 146, 375]
    faces[5][lips, 1] -= 0.15 * np.linalg.norm(faces[5][61] - faces[5][291])
    assert learn(pictures, told(faces)).shots[0].reference.frame != 5


def test_a_small_face_s_texture_is_enlarged_and_a_large_one_s_is_itself():
    picture, points = person()
    assert enlarged(whole := Source(picture, points, 3)) is whole
    small = enlarged(Source(resize_antialiased(picture, 64, 64), 0.4 * points, 3))
    assert (
        small.picture.shape == (192, 192, 3) and np.allclose(small.points, 1.2 * points) and small.frame == 3
    )
    same = resize_antialiased(small.picture, 160, 160)
    assert (same - picture).abs().mean() < 0.03, "at the same places"


def test_nothing_above_the_nose_is_drawn_in_a_face_whose_mouth_is_not_across_its_nose():
    seen = person()[1].copy()
    width = np.linalg.norm(seen[61] - seen[291])
    seen[291, 1] -= 0.25 * width
    places = base_grid((0, 0, 160, 160), torch.device("cpu"))
    up = (seen[168, :2] - seen[2, :2]) / np.linalg.norm(seen[168, :2] - seen[2, :2])
    height = ((places[0].numpy() - seen[2, :2, None, None]) * up[:, None, None]).sum(0) / width
    below = under_nose(seen, places)[0, 0].numpy()
    assert below[height > 0.1].max() == 0 and (below[height < -0.6] == 1).mean() > 0.5
