"""Films are read as ComfyUI reads them, one frame at a time, forwards and backwards; and their sound alone."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from comfy_api.latest import InputImpl
from talking_portrait.models.media.film_reader import FilmFile, PictureFilm, frames_in_order
from talking_portrait.models.media.film_sound import at_rate, film_sound, laid_over
from talking_portrait.models.media.video_stream import VideoStreamWriter

COUNT, WIDE, HIGH = 40, 72, 48  # 72 is no multiple of 32


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Forty frames with two seconds of sound."""
    place = tmp_path_factory.mktemp("film") / "a.mp4"
    random = torch.rand(COUNT, 6, 9, 3, generator=torch.Generator().manual_seed(3)).movedim(-1, 1)
    frames = torch.nn.functional.interpolate(random, (HIGH, WIDE)).movedim(1, -1)
    sound = torch.sin(torch.arange(32000) / 8)[None] * torch.linspace(0, 1, 32000)
    with VideoStreamWriter(place, Fraction(20), sound, 16000, 5.0) as writer:
        writer.write(frames)
    return place


def opened(path, start: float = 0.0, length: float = 0.0) -> tuple[FilmFile, InputImpl.VideoFromFile]:
    video = InputImpl.VideoFromFile(str(path), start_time=start, duration=length)
    return FilmFile(video.get_stream_source, video.get_frame_rate(), *video.get_active_trim_window()), video


@pytest.mark.parametrize(("start", "length"), [(0.0, 0.0), (0.5, 0.75), (-0.5, 0.0)])
def test_frames_are_those_of_get_video_components(path, start, length):
    film, video = opened(path, start, length)
    own = [frame.pixels for frame in film.frames()]
    core = video.get_components().images
    assert len(own) == len(core) and torch.equal(torch.stack(own), core.clamp(0, 1))


def test_a_phone_s_rotation_is_followed(path, monkeypatch):
    from talking_portrait.models.media import film_reader

    class Turned:
        def __init__(self, frame):
            self.frame = frame

        def __getattr__(self, name):
            return 90 if name == "rotation" else getattr(self.frame, name)

    film, _ = opened(path)
    plain = next(film.frames()).pixels
    pixels = film_reader.FrameReader.pixels
    monkeypatch.setattr(film_reader.FrameReader, "floats", lambda self, frame: plain.numpy())
    turned = pixels(film_reader.FrameReader(), Turned(next(decoded(path))))
    assert torch.equal(turned, torch.from_numpy(np.rot90(plain.numpy()).copy()))


def decoded(path):
    with av.open(str(path)) as container:
        yield from container.decode(video=0)


def test_a_film_runs_backwards_too(path):
    film, _ = opened(path)
    frames = list(film.frames())
    stamps = [frame.stamp for frame in frames]
    order = [*range(COUNT), *range(COUNT - 2, -1, -1), 1, 2]
    found = list(frames_in_order(film, stamps, order))
    assert len(found) == len(order)
    assert all(
        torch.equal(picture, frames[number].pixels) for picture, number in zip(found, order, strict=True)
    )
    with pytest.raises(ValueError, match="not the film that Prepare Footage saw"):
        list(frames_in_order(film, [stamp + 1 for stamp in stamps], order))
    pictures = PictureFilm(torch.stack([frame.pixels for frame in frames]), Fraction(20))
    assert torch.equal(list(frames_in_order(pictures, list(range(COUNT)), order))[45], found[45])


def test_sound_is_read_alone_and_from_where_the_film_is_cut(path):
    wave, rate = film_sound(str(path))
    core = opened(path)[1].get_components().audio
    assert rate == core["sample_rate"] and abs(wave.shape[1] - core["waveform"].shape[-1]) < 2100
    late, _ = film_sound(str(path), 1.0, 0.5)
    assert late.shape[1] == 8000 and late.abs().max() > 1.3 * wave[:, :8000].abs().max()


def test_a_voice_is_laid_over_the_film_s_sound():
    voice, film = (torch.ones(1, 100), 1000), (torch.full((2, 500), 0.5), 1000)
    mixed, rate = laid_over(voice, 0.2, film, 0.5)
    assert rate == 1000 and mixed.shape == (2, 500)
    assert mixed[0, 100] == 0.25 and mixed[1, 250] == 1.25 and mixed[0, 400] == 0.25
    assert laid_over(voice, 0.2, film, 0.0)[0].shape == (1, 300) and laid_over(None, 0.0, None, 1.0) is None
    assert laid_over(None, 0.0, film, 0.5)[0].max() == 0.25
    tone = torch.sin(torch.arange(48000) / 48000 * 2 * torch.pi * 100)[None]
    slower = at_rate((tone, 48000), 16000)
    assert abs(slower.shape[1] - 16000) < 50 and slower[:, 500:15000].abs().max() == pytest.approx(
        1, abs=0.02
    )


def test_a_film_without_one_rate_keeps_its_times(tmp_path):
    times = [0.0, 0.04, 0.08, 0.30, 0.34, 0.50]
    with VideoStreamWriter(tmp_path / "v.mp4", Fraction(12), None, 0, times=times) as writer:
        writer.write(torch.rand(6, 32, 32, 3))
    with av.open(str(tmp_path / "v.mp4")) as container:
        shown = [frame.time for frame in container.decode(video=0)]
    assert shown == pytest.approx(times, abs=1e-3)
