"""What every portrait renderer must do, and what the built-in warp must do besides. A new renderer is one more line in
RENDERERS."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from talking_portrait.models.builtin.warp import WarpRenderer
from talking_portrait.models.contracts import PortraitRenderer, members
from talking_portrait.models.face.landmarks import landmarks_in_pixels
from talking_portrait.models.face.weights import load_face_detector
from talking_portrait.models.face_motion import CONTROLS, FaceMotion, resolve
from talking_portrait.models.media.pixels import rounded_bytes
from talking_portrait.models.portrait import FaceLandmarks478, Portrait
from talking_portrait.models.rendering import Canvas, drawn_part, masks, render_parts

from .renderer_samples import EXACT, RENDERERS

PHOTO = Image.open(
    Path(__file__).resolve().parent.parent.parent / "samples" / "talking_portrait_astronaut.png"
).convert("RGB")
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.fixture(params=RENDERERS)
def any_renderer(request):
    return RENDERERS[request.param]()


@pytest.fixture
def renderer():
    return WarpRenderer()


def landmarks(picture: Image.Image) -> np.ndarray:
    with torch.inference_mode():
        faces = load_face_detector().detect_batch([np.array(picture)], 1, 0.4, "short")[0]
    return landmarks_in_pixels(faces[0])


POINTS = landmarks(PHOTO)


def placed(size: tuple[int, int], side: int, at: tuple[int, int]) -> tuple[Image.Image, np.ndarray]:
    """The photo, `side` pixels large, at a place in a grey picture, and its landmarks there."""
    canvas = Image.new("RGB", size, (120, 124, 130))
    canvas.paste(PHOTO.resize((side, side), Image.LANCZOS), at)
    points = POINTS * side / 512
    points[:, :2] += at
    return canvas, points.astype(np.float32)


def tensor(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).float() / 255


def portrait(
    renderer, picture: Image.Image = PHOTO, points: np.ndarray = POINTS, mask: torch.Tensor | None = None
):
    image, face = tensor(picture), FaceLandmarks478(points)
    return Portrait.of(renderer.prepare(image, face, mask), image, face, renderer.id)


def motion(count: int = 1, pose=(0.0, 0.0, 0.0), **controls: float) -> FaceMotion:
    track = torch.zeros(count, len(CONTROLS))
    for name, value in controls.items():
        track[:, CONTROLS.index(name)] = value
    poses = torch.tensor([pose], dtype=torch.float32).repeat(count, 1)
    return FaceMotion.from_controls(
        track, poses, torch.zeros(count, 3), torch.ones(count), Fraction(25), source={}
    )


def render(renderer, prepared, face_motion: FaceMotion) -> torch.Tensor:
    return renderer.render(prepared, resolve(face_motion, prepared.motion), CPU)


def wild(count: int, seed: int = 0, reach: float = 1.0) -> FaceMotion:
    generator = torch.Generator().manual_seed(seed)
    controls = reach * torch.rand(count, len(CONTROLS), generator=generator)
    pose = reach * 8 * torch.randn(count, 3, generator=generator)
    shift = reach * 0.02 * torch.randn(count, 3, generator=generator)
    return FaceMotion.from_controls(controls, pose, shift, torch.ones(count), Fraction(25), source={})


def opening(frame: torch.Tensor) -> float:
    """Mouth opening of a rendered frame as the detector sees it, in eye distances."""
    points = landmarks(Image.fromarray((frame * 255).round().byte().numpy()))
    return float(
        np.linalg.norm(points[13, :2] - points[14, :2]) / np.linalg.norm(points[33, :2] - points[263, :2])
    )


def test_it_has_what_the_contract_names(any_renderer):
    assert all(hasattr(any_renderer, name) for name in members(PortraitRenderer)) and any_renderer.id


@pytest.mark.parametrize("name", RENDERERS)
def test_no_motion_gives_back_the_photo(name):
    renderer = RENDERERS[name]()
    frames = render(renderer, portrait(renderer), motion(2))
    change = (frames - tensor(PHOTO)).abs()
    assert change.max() == 0 if name in EXACT else change.mean() < 0.02


def test_outside_the_head_nothing_changes(any_renderer):
    picture, points = placed((900, 700), 300, (500, 300))
    frames = render(any_renderer, portrait(any_renderer, picture, points), wild(3))
    change = (frames - tensor(picture)).abs().amax((0, 3))
    assert change[:, :400].max() == 0 and change[:250].max() == 0
    assert change[380:520, 600:700].max() > 0.05, "the face does not move at all"


def test_batch_equals_one_by_one_and_a_portrait_is_not_used_up(any_renderer):
    prepared, face_motion = portrait(any_renderer), wild(4)
    resolved = resolve(face_motion, prepared.motion, prepared.policy)
    whole = any_renderer.render(prepared, resolved, CPU)
    single = torch.cat([any_renderer.render(prepared, resolved.slice(i, i + 1), CPU) for i in range(4)])
    change = 255 * (whole - single).abs()
    assert change.mean() < 0.01 and (change > 2).float().mean() < 5e-4
    assert torch.equal(prepared.image, tensor(PHOTO))
    assert torch.equal(any_renderer.render(prepared, resolved, CPU), whole)


def test_parts_on_a_canvas_are_the_whole_frames_byte_for_byte(any_renderer):
    """A film is written from the part that changes; what it shows is what `render` gives."""
    picture, points = placed((901, 700), 300, (500, 300))
    prepared, face_motion = portrait(any_renderer, picture, points), wild(5)
    resolved = resolve(face_motion, prepared.motion, prepared.policy)
    whole = rounded_bytes(any_renderer.render(prepared, resolved, CPU))
    canvas, shown = Canvas(prepared.image, drawn_part(any_renderer, prepared)), []
    for parts in render_parts(any_renderer, prepared, face_motion, CPU):
        shown += [canvas.lay(part).clone() for part in rounded_bytes(parts)]
    assert torch.equal(torch.stack(shown), whole)


def test_bands_make_no_difference(renderer, monkeypatch):
    prepared, face_motion = portrait(renderer), wild(2)
    whole = render(renderer, prepared, face_motion)
    monkeypatch.setattr("talking_portrait.models.builtin.warp.drawing.BAND_PIXELS", 20_000)
    assert (render(renderer, prepared, face_motion) - whole).abs().max() < 1e-3


def test_a_mask_moves_with_the_head(renderer):
    """A mask that is the picture's own red moves as the red does, and stays where nothing moves."""
    prepared, face_motion = portrait(renderer), motion(2, pose=(0.0, 12.0, 0.0))
    red = prepared.image[..., 0]
    (moved,) = masks(renderer, prepared, red, face_motion, CPU)
    shown = render(renderer, prepared, face_motion)[..., 0]
    assert moved.shape == (2, *red.shape) and 255 * (moved - shown).abs().max() < 0.6
    assert (moved[0] - red).abs().max() > 0.1 and torch.equal(
        moved[:, 500:, :20], red[500:, :20].expand(2, -1, -1)
    )


def test_a_renderer_that_draws_anew_moves_no_mask():
    anew = RENDERERS["LivePortrait"]()
    assert masks(anew, portrait(anew), torch.ones(512, 512), motion(1), CPU) is None


@pytest.mark.parametrize(("size", "side", "at"),
[((1920, 1080), 700, (600, 200)), ((768, 1344), 768, (0, 300)),
                                                  ((511, 513), 500, (5, 6)), ((257, 301), 250, (3,
                                                  40))])  # fmt: skip
def test_size_and_range_are_kept(any_renderer, size, side, at):
    picture, points = placed(size, side, at)
    frames = render(any_renderer, portrait(any_renderer, picture, points), wild(1))
    assert frames.shape == (1, size[1], size[0], 3) and frames.dtype == torch.float32
    assert frames.min() >= 0 and frames.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("at", [(-150, -60), (250, 0), (60, 260), (-140, 200)])
def test_a_face_that_is_cut_off_is_drawn(any_renderer, at):
    picture, points = placed((512, 512), 512, at)
    frames = render(any_renderer, portrait(any_renderer, picture, points), wild(2))
    assert torch.isfinite(frames).all() and frames.shape == (2, 512, 512, 3)


@pytest.mark.parametrize("reach", [1.0, 2.0])
def test_wild_motion_stays_finite(any_renderer, reach):
    frames = render(any_renderer, portrait(any_renderer), wild(4, seed=3, reach=reach))
    assert torch.isfinite(frames).all() and frames.min() >= 0 and frames.max() <= 1


def test_a_tiny_face_is_drawn_or_refused_in_words(any_renderer):
    picture, points = placed((400, 300), 16, (100, 80))
    try:
        frames = render(any_renderer, portrait(any_renderer, picture, points), motion(jawOpen=1.0))
    except ValueError as error:
        assert "pixels" in str(error) and "Enlarge" in str(error) or "enlarge" in str(error)
    else:
        assert frames.shape == (1, 300, 400, 3)


def test_how_many_frames_fit_is_a_number_that_render_takes(any_renderer):
    prepared = portrait(any_renderer)
    count = any_renderer.frames_per_batch(prepared, CPU)
    assert isinstance(count, int) and 1 <= count <= 64
    assert len(render(any_renderer, prepared, wild(count))) == count


def test_the_face_moves_with_the_jaw(any_renderer):
    prepared = portrait(any_renderer)
    still, moved = (render(any_renderer, prepared, motion(jawOpen=jaw))[0] for jaw in (0.0, 1.0))
    assert (moved - still).abs().max() > 0.02


@pytest.mark.parametrize("at", [(-150, -60), (250, 0), (60, 260), (-140, 200)])
def test_a_face_at_the_border(renderer, at):
    picture, points = placed((512, 512), 512, at)
    frames = render(renderer, portrait(renderer, picture, points), wild(2))
    assert torch.isfinite(frames).all()
    assert (frames[:, 0] - tensor(picture)[0]).abs().max() < 0.25, "the picture's first line was torn"


def test_a_small_face_moves_and_a_tiny_one_is_refused(renderer):
    picture, points = placed((400, 300), 120, (100, 80))
    still = tensor(picture)
    moved = render(renderer, portrait(renderer, picture, points), motion(jawOpen=1.0))[0]
    assert (moved - still).abs().max() > 0.1
    picture, points = placed((400, 300), 40, (100, 80))
    with pytest.raises(ValueError, match="at least 24 are needed"):
        portrait(renderer, picture, points)


def test_a_huge_picture_needs_bounded_memory(renderer):
    picture, points = placed((4000, 3000), 2500, (700, 300))
    prepared = portrait(renderer, picture, points)
    assert renderer.frames_per_batch(prepared, CPU) == 1
    before = psutil.Process().memory_info().rss
    frames = render(renderer, prepared, wild(1))
    assert frames.shape == (1, 3000, 4000, 3)
    assert psutil.Process().memory_info().rss - before < 2e9


def test_jaw_opens_monotonically(renderer):
    prepared = portrait(renderer)
    openings = [
        opening(render(renderer, prepared, motion(jawOpen=jaw, mouthPucker=0.01))[0])
        for jaw in (0.1, 0.35, 0.6, 0.9)
    ]
    assert openings == sorted(openings) and openings[-1] > openings[0] + 0.12


@pytest.mark.parametrize("jaw", [0.0, 0.3])
def test_pressed_lips_are_closed_even_in_a_smile_with_teeth(renderer, jaw):
    frame = render(renderer, portrait(renderer), motion(mouthClose=1.0, jawOpen=0.25 * jaw))[0]
    assert opening(frame) < 0.03 < opening(tensor(PHOTO))


@pytest.mark.slow
def test_blinks_close_the_right_eye(renderer):
    prepared = portrait(renderer)

    def heights(frame: torch.Tensor) -> tuple[float, float]:
        points = landmarks(Image.fromarray((frame * 255).round().byte().numpy()))
        return tuple(
            float(np.linalg.norm(points[a, :2] - points[b, :2])) for a, b in ((159, 145), (386, 374))
        )

    right, left = heights(tensor(PHOTO))
    shut_right, _ = heights(render(renderer, prepared, motion(eyeBlinkRight=1.0))[0])
    _, shut_left = heights(render(renderer, prepared, motion(eyeBlinkLeft=1.0))[0])
    assert shut_right < 0.5 * right and shut_left < 0.5 * left
    only_right = render(renderer, prepared, motion(eyeBlinkRight=1.0))[0]
    changed = (only_right - tensor(PHOTO)).abs().amax(-1)
    assert changed[:, : int(POINTS[168, 0])].max() > 0.1 and changed[:, int(POINTS[168, 0]) :].max() == 0


@pytest.mark.parametrize(("pose", "axis"), [((0, 8, 0), 1), ((0, -8, 0), 1), ((0, 0, 8), 2), ((8, 0, 0), 0)])
def test_the_head_turns_as_asked(renderer, pose, axis):
    frame = render(renderer, portrait(renderer), motion(pose=pose))[0]
    before, after = POINTS, landmarks(Image.fromarray((frame * 255).round().byte().numpy()))
    nose = (after[1, :2] - after[[33, 263], :2].mean(0)) - (before[1, :2] - before[[33, 263], :2].mean(0))
    eyes = [np.degrees(np.arctan2(*(p[263, :2] - p[33, :2])[::-1])) for p in (before, after)]
    if axis == 2:
        assert abs(eyes[1] - eyes[0] - pose[2]) < 2.5
    elif axis == 1:  # +yaw brings the nose, nearer than the eyes, towards the picture's left
        assert np.sign(nose[0]) == -np.sign(pose[1]) and abs(nose[0]) > 2
    else:  # +pitch looks down
        assert nose[1] > 2


def test_a_person_mask_keeps_the_background_still(renderer):
    mask = torch.zeros(512, 512)
    mask[60:, 120:400] = 1
    prepared = portrait(renderer, mask=mask)
    free = portrait(renderer)
    turn = motion(pose=(0, 8, 0))
    still = (render(renderer, prepared, turn)[0] - tensor(PHOTO)).abs()[80:250, :60].mean()
    moving = (render(renderer, free, turn)[0] - tensor(PHOTO)).abs()[80:250, :60].mean()
    assert still < 0.3 * moving or moving < 1e-3
