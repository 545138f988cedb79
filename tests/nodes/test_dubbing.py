"""Prepare Footage and Dub Video on the shipped driving film: lips follow the voice, all else stays as filmed."""

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import folder_paths
import numpy as np
import pytest
import torch
from comfy_api.latest import InputImpl, Types
from talking_portrait.models.face.weights import load_face_detector
from talking_portrait.models.face_motion import CONTROLS, FaceMotion
from talking_portrait.models.footage.dubbing import Dubbing
from talking_portrait.models.footage.footage import learn
from talking_portrait.models.media.film_reader import FilmFrame
from talking_portrait.nodes.dubbing import (
    DubVideo,
    DubVideoImages,
    PreparedFootage,
    PrepareFootage,
    new_dubbing,
)
from talking_portrait.tools.dub_measures import figures, measure, mute_figures

from ..models.film_samples import SIDE, film, held_memory, portrait, talking, told

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "talking_portrait_driving.mp4"
FPS = Fraction(25)
USUAL = {
    "start": 0.0, "keep_expression": 1.0, "outside_voice": "as filmed", "if_voice_longer": "error", "edge": 0.22,
    "teeth": "footage",
}  # fmt: skip
FILM = USUAL | {"original_sound": 0.0, "crf": 16.0}


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    with torch.inference_mode():
        yield tmp_path


@pytest.fixture(scope="module")
def detector():
    return load_face_detector()


@pytest.fixture(scope="module")
def prepared(detector):
    """What Prepare Footage gives for the shipped film."""
    with torch.inference_mode():
        return PrepareFootage.execute(InputImpl.VideoFromFile(str(SAMPLE)), detector, 0).result


def lips(count: int, fps: Fraction = FPS, **tracks) -> FaceMotion:
    controls = torch.zeros(count, len(CONTROLS))
    for name, track in tracks.items():
        controls[:, CONTROLS.index(name)] = torch.as_tensor(track, dtype=torch.float32)
    still = torch.zeros(count, 3)
    return FaceMotion.from_controls(controls, still, still, torch.ones(count), fps, source={})


def syllables(count: int) -> FaceMotion:
    """A voice: the jaw opens three times a second; every third closure is pressed, which p, b and m are."""
    time = np.arange(count) / 25
    jaw = np.clip(0.7 * np.sin(2 * np.pi * 1.6 * time), 0, 1)
    pressed = (np.sin(2 * np.pi * 1.6 * time) < -0.5) * 0.8
    return lips(count, jawOpen=jaw, mouthClose=pressed)


def made(count: int = 24, size: tuple[int, int] | None = None) -> PreparedFootage:
    """A film in memory whose detector knows every landmark."""
    pictures = film(count)
    if size:
        pictures = replace(pictures, images=pictures.images[:, : size[0], : size[1]])
    return PreparedFootage(**vars(learn(pictures, told(talking(count)))))


def test_prepare_footage_says_what_it_found(prepared):
    footage, fps, frames, report, reference = prepared
    assert (fps, frames, len(footage.shots)) == (25.0, 75, 1)
    assert report.startswith(
        "75 frames at 25 per second, 1 shot(s).\nShot 1, frames 0 to 74: mouth of frame "
    )
    assert reference.shape == (1, 512, 512, 3) and 0.2 < reference.mean() < 0.9
    assert (footage.share == 1).all()


@pytest.mark.slow
def test_the_lips_follow_the_voice_and_the_old_speech_is_gone(prepared, detector):
    dubbing = new_dubbing(prepared[0], syllables(75), **USUAL)
    closures = np.arange(0.47, 3.0, 0.625)
    found = figures(dubbing, measure(dubbing, detector), closures)
    assert found["opening follows the voice, r"] >= 0.94 and found["best lag, frames"] == 0
    assert abs(found["slope on the old opening"]) <= 0.08 and found["slope on the new voice"] > 0.2
    assert found["of them drawn closed"] >= 0.9 * found["p, b, m that the motion closes"] >= 3
    assert found["bytes changed outside the box"] == 0
    assert found["changed above the nose's base, mouths"] <= 0.1


@pytest.mark.slow
def test_a_shut_mouth_stays_shut_and_trembles_less_than_the_film(prepared, detector):
    dubbing = new_dubbing(prepared[0], lips(75, mouthClose=0.6), **USUAL)
    found = mute_figures(dubbing, measure(dubbing, detector))
    assert found["mean opening"] <= 0.03 < 0.08 < found["mean opening of the film"]  # its own R is 0.022 open
    assert found["lips' jitter, % of the eyes"] <= found["lips' jitter of the film"]
    assert found["pixels' second difference"] <= found["pixels' second difference of the film"]


def test_images_are_the_film_s_own_outside_of_what_the_mask_says(prepared):
    footage = prepared[0]
    images, changed = DubVideoImages.execute(footage, syllables(20), **USUAL).result
    core = InputImpl.VideoFromFile(str(SAMPLE)).get_components().images
    same = (images == core).all(-1)
    assert images.shape == core.shape and changed.shape == same.shape
    assert same[changed == 0].all()
    assert same[26:].all() and not changed[26:].any(), "after the voice all is as filmed"
    assert 0.02 < changed[:20].gt(0).float().mean() < 0.25 and not same[10][changed[10] > 0.9].all()


def test_what_the_mask_keeps_is_the_film_s_own(prepared):
    footage, core = prepared[0], InputImpl.VideoFromFile(str(SAMPLE)).get_components().images
    white = torch.ones(1, 384, 384)
    images, changed = DubVideoImages.execute(footage, syllables(6), **USUAL, keep_mask=white).result
    assert torch.equal(images, core) and not changed.any()
    half = torch.zeros(75, 384, 384)
    half[:, :, :192] = 1
    images, changed = DubVideoImages.execute(footage, syllables(6), **USUAL, keep_mask=half).result
    assert torch.equal(images[:, :, :192], core[:, :, :192]) and changed[:6, :, 192:].any()


@pytest.mark.parametrize(("words", "given"), [
    ("keep_mask is 10x10, but footage is 384x384", {"keep_mask": torch.ones(1, 10, 10)}),
    ("keep_mask holds 3 masks, but the new film has 75 frames; give 1 or 75", {"keep_mask": torch.ones(3, 384, 384)}),
    ("start is 5 s, but footage lasts 3.00 s", {"start": 5.0}),
    ("lasts 0.80 s from start .2.5 s. on, but footage has 0.50 s left", {"start": 2.5}),
    ("face_motion has 30 frames per second, but footage 25", {"face_motion": lips(60, Fraction(30))}),
    ("face_motion has 0 frames", {"face_motion": lips(0)}),
])  # fmt: skip
def test_what_does_not_fit_is_refused(prepared, words, given):
    for node, usual in ((DubVideo, FILM), (DubVideoImages, USUAL)):
        with pytest.raises(ValueError, match=f"{re.escape(node.define_schema().display_name)}: .*{words}"):
            node.execute(**{"footage": prepared[0], "face_motion": lips(20), **usual, **given})


def test_wrong_inputs_of_prepare_footage_are_named(detector):
    video = InputImpl.VideoFromFile(str(SAMPLE))
    with pytest.raises(
        ValueError, match="Prepare Footage: reference and reference_landmarks belong together"
    ):
        PrepareFootage.execute(video, detector, 0, reference=torch.zeros(1, 64, 64, 3))
    with pytest.raises(ValueError, match="Prepare Footage: face_index is 1, but face_box chooses"):
        PrepareFootage.execute(video, detector, 1, face_box={"x": 0, "y": 0, "width": 9, "height": 9})
    parts = Types.VideoComponents(images=torch.zeros(0, 8, 8, 3), frame_rate=FPS)
    with pytest.raises(ValueError, match="Prepare Footage: video has 0 frames"):
        PrepareFootage.execute(InputImpl.VideoFromComponents(parts), detector, 0)


def sound(seconds: float, level: float = 0.5) -> dict:
    return {"waveform": torch.full((1, 1, int(16000 * seconds)), level), "sample_rate": 16000}


def test_a_late_voice_is_heard_late_over_the_film_s_own_sound(scratch):
    footage = replace(made(50), video=InputImpl.VideoFromComponents(
        Types.VideoComponents(images=film(50).images, frame_rate=FPS, audio=sound(2.0, 0.2))
    ))  # fmt: skip
    given = {**FILM, "start": 1.0, "original_sound": 0.5}
    video = DubVideo.execute(footage, syllables(20), audio=sound(0.8), **given).result[0]
    parts = video.get_components()
    wave = parts.audio["waveform"][0, 0].numpy()
    rate = parts.audio["sample_rate"]
    early, late = (np.median(wave[int(at * rate) :][: rate // 5]) for at in (0.4, 1.3))
    assert len(parts.images) == 50 and early == pytest.approx(0.1, abs=0.02)
    assert late == pytest.approx(0.6, abs=0.03)
    silent = DubVideo.execute(footage, syllables(20), **FILM).result[0]
    assert silent.get_components().audio is None


def test_an_odd_size_grows_by_a_pixel_in_a_film_alone(scratch):
    footage = made(12, size=(SIDE - 1, SIDE - 3))
    images, _ = DubVideoImages.execute(footage, syllables(12), **USUAL).result
    assert images.shape[1:3] == (SIDE - 1, SIDE - 3)
    video = DubVideo.execute(footage, syllables(12), **FILM).result[0]
    assert video.get_dimensions() == (SIDE - 2, SIDE)


def test_a_longer_voice_runs_the_film_back_and_forth(scratch):
    video = DubVideo.execute(made(12), syllables(30), **{**FILM, "if_voice_longer": "ping-pong"}).result[0]
    assert len(video.get_components().images) == 30


def test_the_other_person_s_half_stays_as_filmed_to_the_byte(detector):
    pictures = InputImpl.VideoFromFile(str(SAMPLE), duration=0.48).get_components().images[:, ::2, ::2]
    both, side = torch.cat([pictures, pictures.flip(2) * 0.9], 2), pictures.shape[2]
    video = InputImpl.VideoFromComponents(Types.VideoComponents(images=both, frame_rate=FPS))
    box = {"x": side + 20.0, "y": 20.0, "width": side - 40.0, "height": side - 40.0}
    (footage, *_) = PrepareFootage.execute(video, detector, 0, face_box=box).result
    images, changed = DubVideoImages.execute(footage, syllables(12), **USUAL).result
    assert torch.equal(images[:, :, :side], both[:, :, :side]) and changed[3:6, :, side:].any()


def test_a_cancel_leaves_no_file(scratch, monkeypatch):
    from talking_portrait.nodes import progress

    class Cancelled(BaseException):
        pass

    def stop(self, count, picture):
        self.done += count
        if self.done > 5:
            raise Cancelled

    monkeypatch.setattr(progress.FrameProgress, "advance", stop)
    with pytest.raises(Cancelled):
        DubVideo.execute(made(20), syllables(20), **FILM)
    assert [path for path in scratch.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(("kept", "added"), [(1.0, 0.0), (0.25, 0.6)])
def test_a_smile_of_the_motion_takes_the_place_of_what_is_not_kept(kept, added):
    drawn = []

    class Watching:
        at_once = 1

        def draw(self, asked):
            drawn.extend(one.controls for one in asked)
            return [None] * len(asked)

    count = 24
    dubbing = new_dubbing(
        made(count),
        lips(count, mouthSmile=np.full(count, 0.8)),
        0.0,
        kept,
        "as filmed",
        "error",
        0.22,
        "footage",
    )
    dubbing.dubber = lambda shot: Watching()
    for _ in dubbing.frames():
        pass
    smile = torch.stack(drawn)[:, CONTROLS.index("mouthSmile")]
    assert len(drawn) >= 20 and smile.max().item() == pytest.approx(added)


def test_a_covered_mouth_is_told():
    dubbing = Dubbing(None, None, None)  # type: ignore[arg-type]
    dubbing.residuals = dict.fromkeys(range(30), 4.0) | dict.fromkeys(range(10, 16), 12.0) | {25: 20.0}
    assert (
        dubbing.covered()
        == "the skin around the mouth looks covered in frames 10-15: if it is, see keep_mask"
    )
    dubbing.residuals = dict.fromkeys(range(30), 4.0)
    assert dubbing.covered() == ""


class Endless:
    """A film of one picture, that needs no memory."""

    fps, clock = FPS, 1 / FPS

    def __init__(self, count: int):
        self.count = count

    def frames(self, since=None):
        picture = torch.from_numpy(portrait()[0]).float() / 255
        for number in range(since or 0, self.count):
            yield FilmFrame(picture.clone(), number)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_film(scratch):
    def dubbed(count: int) -> float:
        detector = told(talking(count))
        started = held_memory()
        footage = PreparedFootage(**vars(learn(Endless(count), detector)))
        video = DubVideo.execute(footage, syllables(count), **FILM).result[0]
        with av.open(video.get_stream_source()) as container:
            assert container.streams.video[0].frames == count
        return (held_memory() - started) / 1e6

    dubbed(60)  # the encoder and the like
    short = dubbed(60)
    assert dubbed(600) - short < 20
