"""The streamed video: exact number of frames, sound beside them, complete or absent, memory that stays flat."""

from fractions import Fraction
from pathlib import Path

import av
import psutil
import pytest
import torch
from talking_portrait.models.media.video_stream import VideoStreamWriter

RATE = 16000


def facts(path: Path) -> tuple[int, Fraction, tuple[int, int], float, float]:
    """Frames, fps, (height, width), seconds of sound, seconds of video."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        frames = sum(1 for _ in container.decode(video))
        length = float(video.duration * video.time_base)
        size, rate = (video.height, video.width), Fraction(video.average_rate)
    with av.open(str(path)) as container:
        sound = container.streams.audio
        heard = sum(f.samples for f in container.decode(sound[0])) / sound[0].rate if sound else 0.0
    return frames, rate, size, heard, length


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(24000, 1001), Fraction(60), Fraction(25, 2)])
def test_every_frame_and_the_whole_sound_arrive(tmp_path, fps):
    seconds = 2
    count = round(seconds * fps)
    with VideoStreamWriter(tmp_path / "a.mp4", fps, torch.rand(1, seconds * RATE) - 0.5, RATE) as writer:
        for start in range(0, count, 7):
            writer.write(torch.rand(min(7, count - start), 32, 48, 3))
    frames, rate, size, heard, length = facts(tmp_path / "a.mp4")
    assert (frames, size) == (count, (32, 48))
    assert abs(rate - fps) < Fraction(1, 1000) and abs(length - count / fps) < 0.01
    assert abs(heard - seconds) < 0.08


def test_frame_content_survives(tmp_path):
    ramp = torch.linspace(0, 1, 64).expand(64, 64)[None, ..., None].repeat(1, 1, 1, 3)
    with VideoStreamWriter(tmp_path / "a.mp4", Fraction(25), None, 0, crf=4) as writer:
        writer.write(ramp)
    with av.open(str(tmp_path / "a.mp4")) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert abs(torch.from_numpy(frame).float() / 255 - ramp[0]).mean() < 0.01


def test_a_picture_may_be_drawn_over_as_soon_as_it_is_written(tmp_path):
    """The encoder holds frames back, and takes them from the memory that they are in."""
    picture = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    with VideoStreamWriter(tmp_path / "a.mp4", Fraction(25), None, 0, crf=4) as writer:
        for number in range(24):
            writer.write(picture.fill_(10 * number))
    with av.open(str(tmp_path / "a.mp4")) as container:
        shown = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)]
    assert all(abs(value - 10 * number) < 4 for number, value in enumerate(shown))


@pytest.mark.parametrize(("height", "width"), [(33, 48), (32, 47), (33, 47)])
def test_odd_sizes_grow_by_one(tmp_path, height, width):
    with VideoStreamWriter(tmp_path / "a.mp4", Fraction(25), None, 0) as writer:
        writer.write(torch.rand(3, height, width, 3))
    assert facts(tmp_path / "a.mp4")[2] == (height + height % 2, width + width % 2)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000, 11111])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_any_sound_is_encoded(tmp_path, rate, channels):
    with VideoStreamWriter(tmp_path / "a.mp4", Fraction(25), torch.zeros(channels, rate), rate) as writer:
        writer.write(torch.zeros(25, 16, 16, 3))
    assert abs(facts(tmp_path / "a.mp4")[3] - 1) < 0.2


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_an_error_or_a_cancel_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)):
        with VideoStreamWriter(tmp_path / "a.mp4", Fraction(25), None, 0) as writer:
            writer.write(torch.rand(5, 32, 32, 3))
            raise error
    assert list(tmp_path.iterdir()) == []


def test_no_frames_is_an_error_and_no_file(tmp_path):
    with pytest.raises(ValueError, match="0 frames"):
        with VideoStreamWriter(tmp_path / "a.mp4", Fraction(25), None, 0):
            pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_memory_does_not_grow_with_length(tmp_path):
    process = psutil.Process()
    batch = torch.rand(50, 64, 64, 3)
    sizes = []
    with VideoStreamWriter(tmp_path / "a.mp4", Fraction(25), torch.zeros(1, 200 * RATE), RATE) as writer:
        for _ in range(100):
            writer.write(batch)
            sizes.append(process.memory_info().rss)
    assert max(sizes[50:]) - max(sizes[20:50]) < 20e6


@pytest.fixture
def full_disk():
    """A limit on the size of files, which a write in the middle of a film meets like a full disk."""
    resource = pytest.importorskip("resource")  # not on Windows
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("count", [2, 40])  # the file fails while it is closed, or while it is written
def test_a_full_disk_leaves_nothing_and_names_the_film(tmp_path, full_disk, count):
    with pytest.raises(OSError) as error:
        with VideoStreamWriter(tmp_path / "a.mp4", Fraction(25), None, 0, crf=0) as writer:
            for _ in range(count):
                writer.write(torch.rand(1, 256, 256, 3))
    assert error.value.filename == str(tmp_path / "a.mp4") and error.value.errno
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_names_the_film(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError) as error:
        with VideoStreamWriter(tmp_path / "file" / "a.mp4", Fraction(25), None, 0) as writer:
            writer.write(torch.rand(1, 32, 32, 3))
    assert error.value.filename == str(tmp_path / "file" / "a.mp4")


def test_a_loud_voice_is_cut_to_full_scale(tmp_path):
    tone = 1e9 * torch.sin(torch.arange(RATE) * 0.2)[None]
    with VideoStreamWriter(tmp_path / "a.mp4", Fraction(25), tone, RATE) as writer:
        writer.write(torch.zeros(25, 16, 16, 3))
    with av.open(str(tmp_path / "a.mp4")) as container:
        heard = [frame.to_ndarray() for frame in container.decode(container.streams.audio[0])]
    assert 0.9 < max(abs(block).max() for block in heard) < 2
