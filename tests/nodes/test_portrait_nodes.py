"""The rendering nodes themselves: an hour of film in flat memory, nothing left of a cancelled one, bad input
explained."""

import errno
import gc
from fractions import Fraction
from pathlib import Path

import av
import folder_paths
import numpy as np
import psutil
import pytest
import torch
from talking_portrait.models.face_motion import FaceFrame, FaceMotion
from talking_portrait.models.portrait import FaceLandmarks478, Portrait
from talking_portrait.models.weights import published as published_weights
from talking_portrait.nodes.catalogue import engines
from talking_portrait.nodes.catalogue import weight_files as registry
from talking_portrait.nodes.portrait import PreparedPortrait, fitted
from talking_portrait.nodes.progress import Estimate, duration
from talking_portrait.nodes.rendering import RenderPortrait, RenderPortraitVideo

FPS = Fraction(25)


class TinyRenderer:
    """Test only: 16x16 frames at once, so that a long film passes through the real node in seconds."""

    id = "tiny"

    def frames_per_batch(self, portrait, device):
        return 500

    def render(self, portrait, motion, device):
        return motion.controls[:, :1, None, None].expand(-1, 16, 16, 3).clamp(0, 1)


def prepared(size: int = 16) -> PreparedPortrait:
    image = torch.zeros(1, 1, 3).expand(size, size, 3)
    face = FaceLandmarks478(np.zeros((478, 3), np.float32))
    return PreparedPortrait(TinyRenderer(), Portrait(image, face, FaceFrame(), "tiny", None))


def motion(frames: int) -> FaceMotion:
    still = torch.zeros(frames, 3)
    return FaceMotion.from_controls(torch.rand(frames, 12), still, still, torch.ones(frames), FPS, source={})


@pytest.fixture(autouse=True)
def temp(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    with torch.inference_mode():
        yield tmp_path


def sound(seconds: float, rate: int = 16000) -> dict:
    return {"waveform": torch.zeros(1, 1, int(seconds * rate)), "sample_rate": rate}


@pytest.mark.slow
def test_twenty_minutes_of_film_in_flat_memory(temp):
    film = motion(30_000)
    audio = sound(1200)
    RenderPortraitVideo.execute(prepared(), motion(500), 30.0)  # loads the encoder
    before = psutil.Process().memory_info().rss
    video = RenderPortraitVideo.execute(prepared(), film, 30.0, audio).result[0]
    assert psutil.Process().memory_info().rss - before < 150e6
    with av.open(video.get_stream_source()) as container:
        assert container.streams.video[0].frames == 30_000
        assert abs(float(container.duration / av.time_base) - 1200) < 0.2


def test_a_cancel_in_the_middle_leaves_nothing(temp, monkeypatch):
    from talking_portrait.nodes import progress

    class Cancelled(BaseException):
        pass

    def stop(self, count, picture):
        self.done += count
        if self.done > 1000:
            raise Cancelled

    monkeypatch.setattr(progress.FrameProgress, "advance", stop)
    with pytest.raises(Cancelled):
        RenderPortraitVideo.execute(prepared(), motion(5000), 30.0)
    assert [path for path in Path(temp).rglob("*") if path.is_file()] == []


def test_no_frames_are_refused(temp):
    with pytest.raises(ValueError, match="0 frames"):
        RenderPortraitVideo.execute(prepared(), motion(0), 30.0)
    with pytest.raises(ValueError, match="0 frames"):
        RenderPortrait.execute(prepared(), motion(0))
    assert [path for path in Path(temp).rglob("*") if path.is_file()] == []


def test_images_that_would_not_fit_point_to_the_video_node():
    with pytest.raises(ValueError, match=r"GB are free.*Render Portrait Video"):
        RenderPortrait.execute(prepared(8000), motion(2000))


def test_sound_of_another_length_is_refused_with_both_numbers():
    with pytest.raises(
        ValueError, match=r"audio lasts 3.00 s, but face_motion has 50 frames \(2.00 s.*sound_length"
    ):
        RenderPortraitVideo.execute(prepared(), motion(50), 30.0, sound(3.0), "must be equal")


@pytest.mark.parametrize(("seconds", "words"), [
    (3.0, "the last 1.0 s of audio are left out"), (1.5, "audio ends 0.5 s before the film, which goes on in silence"),
])  # fmt: skip
def test_sound_of_another_length_is_fitted_and_said(told, seconds, words):
    video = RenderPortraitVideo.execute(prepared(), motion(50), 30.0, sound(seconds)).result[0]
    with av.open(video.get_stream_source()) as container:
        assert container.streams.video[0].frames == 50
        heard = sum(frame.samples for frame in container.decode(container.streams.audio[0])) / 16000
    assert abs(heard - min(seconds, 2.0)) < 0.1
    assert all(line.endswith(words) for line in told)


@pytest.mark.parametrize(("seconds", "words"), [(5.2, "5 s"), (100, "2 min"), (3900, "1 h 5 min")])
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize("spoil", ["missing", "truncated", "other"])
def test_damaged_speech_weights_are_named(tmp_path, monkeypatch, spoil):
    from safetensors.torch import save_file

    weight_path, heads = published_weights.weight_path, published_weights.WEIGHTS["viseme_heads"]
    good, path = weight_path(heads).read_bytes(), tmp_path / heads.file
    if spoil == "truncated":
        path.write_bytes(good[: len(good) // 2])
    elif spoil == "other":
        save_file({"enter.weight": torch.zeros(4, 40, 5)}, path)
    monkeypatch.setattr(
        registry, "weight_path", lambda weight: path if weight is heads else weight_path(weight)
    )
    with pytest.raises(ValueError, match="viseme_heads.safetensors"):
        engines.load_engine("built-in")


@pytest.fixture
def told(monkeypatch) -> list[str]:
    """Every line that a node shows while it runs."""
    from talking_portrait.nodes import portrait as portrait_nodes
    from talking_portrait.nodes import progress

    lines: list[str] = []
    for module in (progress, portrait_nodes):
        monkeypatch.setattr(module, "tell", lambda text, log=True: lines.append(text))
    return lines


def test_the_estimate_is_of_the_frames_own_time_not_of_the_start(told, monkeypatch):
    """A start of 50 s and frames of 1 s each: about 1 min for 60 frames, not an hour; and it is kept up to date."""
    clock = iter([0.0, 51.0, 52.0, 53.5, 55.0, 112.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    estimate = Estimate(60, FPS)
    for done in (1, 2, 3, 4):
        estimate.update(done)
    estimate.finish()
    assert [line.removeprefix("60 frames (2.4 s at 25 fps): ") for line in told] == [
        "starting", "at most 50 min more", "about 58 s more", "about 75 s more", "drawn in 2 min",
    ]  # fmt: skip


def test_the_line_of_an_earlier_run_never_stays(told):
    """The page ignores an empty text, so what stood there must be replaced by words."""
    RenderPortraitVideo.execute(prepared(), motion(5), 30.0)
    assert told[0].endswith("starting") and "drawn in" in told[-1] and all(told)


def test_a_phone_photo_is_drawn_at_1280_and_its_points_and_mask_move_along():
    picture = torch.rand(4032, 3024, 3, generator=torch.Generator().manual_seed(0))
    points = np.zeros((478, 3), np.float32)
    points[0] = (1512, 2016, 403.2)
    mask = torch.zeros(4032, 3024)
    mask[:2016] = 1
    smaller, moved, smaller_mask, words = fitted(picture, points, mask, 1280)
    assert smaller.shape == (1280, 960, 3) and smaller_mask.shape == (1280, 960)
    assert np.allclose(moved[0], (480, 640, 128)) and moved.dtype == np.float32
    assert smaller_mask[600, 0] == 1 and smaller_mask[680, 0] == 0
    assert words == "3024x4032 drawn at 960x1280 (max_size 1280)"


@pytest.mark.parametrize(("size", "most", "drawn"), [
    ((301, 257), 1280, (301, 257)), ((4032, 3024), 0, (4032, 3024)), ((2000, 999), 1283, (1282, 640)),
    ((100, 3000), 1280, (42, 1280)), ((5, 4000), 64, (2, 64)),
])  # fmt: skip
def test_sizes_that_fit_stay_and_smaller_ones_are_even(size, most, drawn):
    picture, _, none, words = fitted(torch.rand(*size, 3), np.zeros((478, 3), np.float32), None, most)
    assert tuple(picture.shape[:2]) == drawn and none is None
    assert picture.min() >= 0 and picture.max() <= 1
    assert f"{drawn[1]}x{drawn[0]}" in words


def test_sound_louder_than_full_scale_is_cut_and_said(told):
    loud = {"waveform": torch.full((1, 1, 32000), 1e9), "sample_rate": 16000}
    RenderPortraitVideo.execute(prepared(), motion(50), 30.0, loud)
    assert any("louder than full scale (its peak is 1e+09)" in line for line in told)


def test_a_film_lives_as_long_as_its_output(temp):
    video = RenderPortraitVideo.execute(prepared(), motion(5), 30.0).result[0]
    part = video.as_trimmed(0, 0.1)
    path = Path(video.get_stream_source())
    del video
    assert path.is_file() and part.get_components().images.shape[0] > 0
    del part
    gc.collect()
    assert not path.exists()


def test_nodes_run_again_when_somebody_emptied_the_temp_folder(temp):
    before = RenderPortraitVideo.fingerprint_inputs(crf=16.0)
    video = RenderPortraitVideo.execute(prepared(), motion(5), 30.0).result[0]
    assert RenderPortraitVideo.fingerprint_inputs(crf=16.0) == before
    Path(video.get_stream_source()).unlink()
    assert RenderPortraitVideo.fingerprint_inputs(crf=16.0) != before


def test_a_full_disk_is_said_in_the_nodes_name(monkeypatch):
    def full(self, frames):
        raise OSError(errno.ENOSPC, "No space left on device", str(self.path))

    monkeypatch.setattr("talking_portrait.models.media.video_stream.VideoStreamWriter.write", full)
    with pytest.raises(ValueError, match=r"Render Portrait Video: the disk is full.*Free some space"):
        RenderPortraitVideo.execute(prepared(), motion(5), 30.0)
