"""What a stranger would see at once in the built-in warp: lids, mouth, closed lips, folds, background, drawings."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter
from talking_portrait.models.builtin.warp import WarpRenderer
from talking_portrait.models.builtin.warp.head import head_displacement
from talking_portrait.models.builtin.warp.limits import jacobian, limited
from talking_portrait.models.builtin.warp.mouth import (
    LOWER_INNER,
    LOWER_OUTER,
    UPPER_INNER,
    make_mouth,
    mouth_map,
)
from talking_portrait.models.builtin.warp.style import is_drawn
from talking_portrait.models.face.landmarks import landmarks_in_pixels
from talking_portrait.models.face.weights import load_face_detector, load_person_segmenter
from talking_portrait.models.face_motion import CONTROLS, FaceMotion, resolve
from talking_portrait.models.portrait import FaceLandmarks478
from talking_portrait.training.data.cartoon import cartoon_face

PHOTO = Path(__file__).resolve().parents[2] / "samples" / "talking_portrait_astronaut.png"
CPU = torch.device("cpu")
EYE = [33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7]
BROWS = [70, 63, 105, 66, 107, 46, 53, 52, 65, 55, 300, 293, 334, 296, 336, 276, 283, 282, 295, 285]
CHEEK = [118, 101, 50]
BLINK = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


def landmarks(picture: Image.Image) -> np.ndarray:
    with torch.inference_mode():
        return landmarks_in_pixels(
            load_face_detector().detect_batch([np.array(picture)], 1, 0.4, "short")[0][0]
        )


SAMPLE = Image.open(PHOTO).convert("RGB")
POINTS = landmarks(SAMPLE)
CARTOON = cartoon_face(512)
CARTOON_POINTS = landmarks(CARTOON)


def tensor(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(picture.convert("RGB"))).float() / 255


def portrait(picture=SAMPLE, points=POINTS, mask=None, style="auto"):
    return WarpRenderer(style).prepare(tensor(picture), FaceLandmarks478(points), mask)


def motion(pose=(0.0, 0.0, 0.0), **controls: float) -> FaceMotion:
    track = torch.zeros(1, len(CONTROLS))
    for name, value in controls.items():
        track[:, CONTROLS.index(name)] = value
    poses = torch.tensor([pose], dtype=torch.float32)
    return FaceMotion.from_controls(track, poses, torch.zeros(1, 3), torch.ones(1), Fraction(25), source={})


def drawn(prepared, pose=(0.0, 0.0, 0.0), **controls: float) -> torch.Tensor:
    return WarpRenderer().render(prepared, resolve(motion(pose, **controls), prepared.motion), CPU)[0]


def within(points: np.ndarray) -> torch.Tensor:
    mask = Image.new("1", (512, 512))
    ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in points[:, :2]], fill=1)
    return torch.from_numpy(np.array(mask))


@pytest.mark.parametrize("faces", [(SAMPLE, POINTS), (CARTOON, CARTOON_POINTS)], ids=["photo", "cartoon"])
def test_a_shut_lid_has_the_colour_of_the_cheek_and_the_brows_stay(faces):
    picture, points = faces
    still, shut = tensor(picture), drawn(portrait(picture, points), **BLINK)
    cheek = torch.stack([shut[int(y), int(x)] for x, y in points[CHEEK, :2]]).median(0).values.mean()
    assert 0.7 < shut[within(points[EYE])].mean() / cheek < 1.1
    for x, y in points[BROWS, :2]:
        spot = (slice(int(y) - 2, int(y) + 3), slice(int(x) - 2, int(x) + 3))
        assert (shut[spot] - still[spot]).abs().max() < 0.02


@pytest.mark.parametrize("picture", [SAMPLE, CARTOON], ids=["photo", "cartoon"])
def test_the_mouth_of_a_grey_picture_is_grey(picture):
    grey = picture.convert("L").convert("RGB")
    points = POINTS if picture is SAMPLE else CARTOON_POINTS
    frame = drawn(portrait(grey, points), jawOpen=0.7)
    assert (frame.amax(-1) - frame.amin(-1)).max() < 0.004


def test_closed_lips_that_open_show_teeth_as_light_as_the_face():
    closed = portrait(CARTOON, CARTOON_POINTS, style="photo")
    frame = drawn(closed, jawOpen=0.5)
    x, y = CARTOON_POINTS[13, :2].astype(int)
    column = frame[y : y + 40, x - 12 : x + 13].mean(-1)
    skin = float(tensor(CARTOON)[int(CARTOON_POINTS[50, 1]), int(CARTOON_POINTS[50, 0])].mean())
    assert column.amax(0).min() > 0.85 * skin and column.amin(0).max() < 0.5 * skin


def test_a_closed_smile_has_no_black_bar():
    """The opening's dark rim was dragged into the seam before."""
    frame = drawn(portrait(), mouthClose=1.0)
    points = landmarks(Image.fromarray((frame * 255).round().byte().numpy()))
    x, y = points[13, :2].astype(int)
    lips = frame[y - 8 : y + 9, x - 14 : x + 15].mean(-1)
    assert lips.amin(0).median() > 0.5 * lips.median()


@pytest.mark.parametrize("gap", [0.0, 0.06, 0.16])
def test_lips_that_come_together_narrow_what_the_jaw_opens_whatever_the_photos_own_opening(gap):
    """Of shut lips they did so from 0.55 on only."""
    points = CARTOON_POINTS.copy()
    points[[*LOWER_INNER[1:-1], *LOWER_OUTER[1:-1]], 1] += gap * np.linalg.norm(points[61] - points[291])
    mouth = make_mouth(points, (512, 512))
    x, y = (torch.full((1, 1, 1), float(value)) for value in points[13, :2])
    opening = []
    for close in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        shape = mouth_map(mouth, x, y, motion(jawOpen=0.6, mouthClose=close).controls)[2]
        opening.append(float(shape.lower - shape.upper))
    steps = np.diff(opening)
    assert (steps[:4] < -0.05 * opening[0]).all() and (steps <= 0).all() and opening[-1] < 0.01


def shouting() -> tuple[Image.Image, np.ndarray]:
    """The cartoon with its mouth wide open and a row of teeth behind each lip, and landmarks."""
    picture, points = CARTOON.copy(), CARTOON_POINTS.copy()
    upper, lower, outer = UPPER_INNER[1:-1], LOWER_INNER[1:-1], LOWER_OUTER[1:-1]
    open_by = 0.4 * float(np.linalg.norm(points[61] - points[291]))
    for rows in (lower, outer):
        across = np.linspace(-1, 1, len(rows))
        points[rows, 1] += open_by * (1 - across**2) ** 0.5
    pen = ImageDraw.Draw(picture)
    for low, high, colour in (
        (0.0, 1.0, (40, 12, 12)),
        (0.0, 0.3, (235, 230, 222)),
        (0.75, 1.0, (235, 230, 222)),
    ):
        edges = [points[upper, :2] + share * (points[lower, :2] - points[upper, :2]) for share in (low, high)]
        pen.polygon([(float(x), float(y)) for x, y in (*edges[0], *edges[1][::-1])], fill=colour)
    return picture, points


@pytest.mark.parametrize("jaw", [0.3, 0.5])
def test_a_shout_that_closes_keeps_both_rows_of_its_teeth(jaw):
    """The upper lip came down over the upper row, and the lower row stayed down behind the lower lip."""
    picture, points = shouting()
    prepared = portrait(picture, points, style="photo")
    assert prepared.features.interior.own.upper > 0 and prepared.features.interior.own.lower < 1
    x, top, bottom = int(points[13, 0]), int(points[13, 1]) - 10, int(points[14, 1]) + 30
    bright = drawn(prepared, jawOpen=jaw)[top:bottom, x - 3 : x + 4].mean(-1).amin(1) > 0.8
    rows = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], bright.numpy(), [0]]).astype(int))))[::2]
    assert len(rows) == 2 and rows.min() >= 2


def test_lips_can_be_narrow_and_broad_too():
    """Wide and Round below 0 did nothing."""
    prepared = portrait(CARTOON, CARTOON_POINTS)
    widths = []
    for controls in ({"mouthStretch": -1.0}, {}, {"mouthPucker": -0.6}):
        points = landmarks(Image.fromarray((drawn(prepared, **controls) * 255).round().byte().numpy()))
        widths.append(np.linalg.norm(points[61, :2] - points[291, :2]))
    assert widths[0] < 0.97 * widths[1] and widths[2] > 1.03 * widths[1]


def test_no_head_folds_within_fifteen_degrees_even_one_that_fills_the_picture():
    """Before, the sample folded at 12 degrees of roll, and a tight crop at 4."""
    low = POINTS[:, :2].min(0).astype(int) - 6
    side = int(np.ptp(POINTS[:, :2], 0).max()) + 12
    tight = SAMPLE.crop((*low, *(low + side))).resize((512, 512), Image.Resampling.LANCZOS)
    moved = ((POINTS - np.array([*low, 0])) * 512 / side).astype(np.float32)
    for picture, points in ((SAMPLE, POINTS), (tight, moved)):
        prepared = portrait(picture, points)
        head = prepared.features.head
        x0, y0, x1, y1 = head.box
        for axis in range(3):
            for angle in (-15.0, 15.0):
                pose = [0.0, 0.0, 0.0]
                pose[axis] = angle
                field = head_displacement(head, resolve(motion(tuple(pose)), prepared.motion), CPU)
                assert jacobian(field, ((x1 - x0 - 1) / 95, (y1 - y0 - 1) / 95)).min() > 0
        assert prepared.notes[0].startswith("the head turns up to")


def test_a_small_turn_is_left_as_it_is_and_a_large_one_held_smoothly():
    limits = torch.tensor([10.0, 12.0, 15.0])
    poses = torch.tensor([[4.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 90.0, 0.0], [30.0, -30.0, 30.0]])
    held = limited(poses, limits)
    assert torch.equal(held[0], poses[0]) and 7 < held[1, 1] < 9 and 11 < held[2, 1] < 12.001
    assert (held / limits).square().sum(1).max() < 1.001
    steps = limited(torch.linspace(0, 40, 400)[:, None] * torch.tensor([[0.0, 1.0, 0.0]]), limits)[:, 1]
    assert steps.diff().min() > -1e-5 and steps.diff().diff().abs().max() < 0.01


def test_the_background_stays_while_the_head_turns():
    mask = load_person_segmenter().mask(tensor(SAMPLE))
    prepared = portrait(mask=mask)
    assert prepared.features.head.layers is not None
    for pose in ((0, 10, 0), (8, 0, 0), (0, 0, 10)):
        frame, resolved = drawn(prepared, pose), resolve(motion(pose), prepared.motion)
        covered = mask.clone()
        x0, y0, x1, y1 = prepared.features.head.box
        moved = WarpRenderer().move_mask(prepared, mask, resolved, CPU)[0]
        covered[y0:y1, x0:x1] = torch.maximum(covered[y0:y1, x0:x1], moved)
        near = torch.nn.functional.max_pool2d(covered[None, None], 17, 1, 8)[0, 0]
        away = near < 0.1
        assert away.float().mean() > 0.1
        changed = (frame - prepared.image).abs().amax(-1)[away] > 12 / 255
        assert changed.float().mean() < 0.01


def test_shoulders_rise_with_the_breath_and_stay_while_the_head_turns():
    """A head alone was lifted by its breath, over a still neck."""
    mask = load_person_segmenter().mask(tensor(SAMPLE))
    prepared = portrait(mask=mask)
    head, (x0, y0, x1, y1) = prepared.features.head, prepared.features.head.box
    chin, face_h = POINTS[152, 1], float(np.ptp(POINTS[:, 1]))
    row, column = (
        round(95 * part)
        for part in ((chin + 0.3 * face_h - y0) / (y1 - y0), (POINTS[152, 0] - x0) / (x1 - x0))
    )
    shift = torch.tensor([[0.0, -0.01, 0.0]])
    breath = FaceMotion.from_controls(
        torch.zeros(1, 12), torch.zeros(1, 3), shift, torch.ones(1), Fraction(25), source={}
    )
    risen = head_displacement(head, resolve(breath, prepared.motion), CPU)[0]
    whole = 0.01 * head.key_unit
    assert 0.4 * whole < risen[1, row, column] < whole and risen[1, -1].abs().max() == 0
    turned = head_displacement(head, resolve(motion((0.0, 8.0, 0.0)), prepared.motion), CPU)[0]
    assert turned[:, row, column].abs().max() < 0.5 * turned.abs().max()
    alone = portrait().features.head
    assert torch.equal(alone.carried, alone.weight), "the background would rise along"


def test_the_background_close_to_a_face_that_fills_the_picture_stays():
    """The larger the face, the wider the rim of background that moved along."""
    mask = (load_person_segmenter().mask(tensor(SAMPLE)) > 0.5).float()
    stripes = (torch.arange(512) // 3 % 2).float()[:, None].expand(512, 512)
    striped = torch.lerp(stripes[..., None], tensor(SAMPLE), mask[..., None])
    low = POINTS[:, :2].mean(0).astype(int) - [150, 190]
    part = (slice(low[1], low[1] + 300), slice(low[0], low[0] + 300))
    picture, mask = striped[part].contiguous(), mask[part].contiguous()
    points = (POINTS - np.array([*low, 0])).astype(np.float32)
    prepared = WarpRenderer().prepare(picture, FaceLandmarks478(points), mask)
    for pose in ((0, 10, 0), (0, -10, 0)):
        covered, box = mask.clone(), prepared.features.head.box
        moved = WarpRenderer().move_mask(prepared, mask, resolve(motion(pose), prepared.motion), CPU)[0]
        inner = covered[box[1] : box[3], box[0] : box[2]]
        inner.copy_(torch.maximum(inner, moved))
        near = torch.nn.functional.max_pool2d(covered[None, None], 11, 1, 5)[0, 0]
        changed = (drawn(prepared, pose) - picture).abs().amax(-1)[near < 0.1] > 12 / 255
        assert len(changed) > 1000 and changed.float().mean() < 0.01


def test_somebody_beside_the_head_stays_while_it_turns():
    """A mask holds everyone: all of them turned with the one who speaks."""
    beside = (slice(40, 160), slice(10, 60))
    picture, mask = tensor(SAMPLE), load_person_segmenter().mask(tensor(SAMPLE))
    picture[beside] = (torch.arange(50) // 4 % 2).float()[:, None]
    mask[:170, :80] = 0
    mask[beside] = 1
    prepared = WarpRenderer().prepare(picture, FaceLandmarks478(POINTS), mask)
    for pose in ((0, 10, 0), (0, 0, 10)):
        assert (drawn(prepared, pose)[beside] - picture[beside]).abs().max() < 1 / 255


def test_two_layers_unmoved_are_the_picture():
    mask = load_person_segmenter().mask(tensor(SAMPLE))
    prepared = portrait(mask=mask)
    person, plate = prepared.features.sheets
    x0, y0, x1, y1 = prepared.features.head.box
    together = person[:, :3] + (1 - person[:, 3:]) * plate
    assert (together[0].permute(1, 2, 0) - prepared.image[y0:y1, x0:x1]).abs().max() < 1e-5


def test_a_mask_without_the_face_is_not_believed():
    assert portrait(mask=torch.zeros(512, 512)).features.head.layers is None


def test_drawings_are_told_from_photos_and_the_artist_has_the_last_word():
    assert is_drawn(tensor(CARTOON), CARTOON_POINTS) and not is_drawn(tensor(SAMPLE), POINTS)
    smooth = SAMPLE.filter(ImageFilter.GaussianBlur(30))  # flat, and without a line
    assert not is_drawn(tensor(smooth), POINTS)
    assert portrait(CARTOON, CARTOON_POINTS).features.interior.ink is not None
    assert portrait(CARTOON, CARTOON_POINTS, style="photo").features.interior.ink is None
    assert portrait(style="drawn").features.interior.ink is not None
    with pytest.raises(ValueError, match="style is 'oil'; it is one of auto, photo, drawn"):
        WarpRenderer("oil")


def test_a_drawn_mouth_is_flat_between_lines_of_ink():
    frame = drawn(portrait(CARTOON, CARTOON_POINTS), jawOpen=0.8)
    points = landmarks(Image.fromarray((frame * 255).round().byte().numpy()))
    x, top, bottom = int(points[13, 0]), int(points[13, 1]), int(points[14, 1])
    inside = (frame[top + 2 : bottom - 2, x - 10 : x + 11] * 20).round().reshape(-1, 3)
    _, counts = inside.unique(dim=0, return_counts=True)
    assert counts.sort(descending=True).values[:3].sum() > 0.6 * len(inside)


def test_a_drawn_lid_has_the_colour_around_it_not_of_a_blush():
    """An outline, a blush or a strand of hair on the cheek coloured the lids."""
    blushing = CARTOON.copy()
    pen = ImageDraw.Draw(blushing)
    for x, y in CARTOON_POINTS[[118, 50], :2]:
        pen.ellipse((x - 5, y - 3, x + 5, y + 3), fill=(200, 40, 40))
    shut = drawn(portrait(blushing, CARTOON_POINTS, style="drawn"), **BLINK)
    plain = drawn(portrait(CARTOON, CARTOON_POINTS, style="drawn"), **BLINK)
    inside = within(CARTOON_POINTS[EYE])
    assert (shut[inside].mean(0) - plain[inside].mean(0)).abs().max() < 0.02


def test_an_eye_that_is_shut_already_is_left_alone():
    closed = CARTOON.copy()
    pen = ImageDraw.Draw(closed)
    for outline in (EYE, [263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249]):
        pen.polygon([(float(x), float(y)) for x, y in CARTOON_POINTS[outline, :2]], fill=(214, 164, 136))
    points = CARTOON_POINTS.copy()
    for upper, lower in ((range(1, 8), (7, 163, 144, 145, 153, 154, 155)),):
        for a, b in zip([EYE[i] for i in upper], lower, strict=True):
            points[a] = points[b]
    prepared = portrait(closed, points)
    assert prepared.features.eyes[0].weight == 0
    assert torch.equal(drawn(prepared, eyeBlinkRight=1.0), prepared.image)
