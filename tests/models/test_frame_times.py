"""Films whose frame rate changes: when each frame is shown, and the same film at one rate."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from comfy_api.latest import InputImpl
from talking_portrait.models.face_motion import FaceMotion
from talking_portrait.models.face_motion.time import sample_motion
from talking_portrait.models.media.frame_times import even_positions, frame_times
from talking_portrait.nodes.liveportrait import shown_at

# A phone in the dark: 30 fps for 1 s, then 10 fps for 1 s.
TIMES = [i / 30 for i in range(30)] + [1 + i / 10 for i in range(10)]


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("film") / "phone.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("h264", rate=30)
        stream.width = stream.height = 64
        stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, 1000)
        for number, time in enumerate(TIMES):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number * 6, np.uint8), format="rgb24")
            frame.pts, frame.time_base = int(time * 1000), Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return str(path)


def test_times_are_those_of_the_file(film):
    assert np.abs(frame_times(film) - TIMES).max() < 0.002
    assert np.abs(frame_times(film, 1.0, 0.45) - TIMES[30:35]).max() < 0.002


def test_motion_of_a_changing_rate_comes_in_time(film):
    """A jaw that follows the clock: taken as evenly spaced, second 1 came at 1.35 s."""
    components = InputImpl.VideoFromFile(film).get_components()
    rate = Fraction(25)
    times = shown_at(InputImpl.VideoFromFile(film), len(components.images))
    controls = torch.zeros(len(TIMES), 12)
    ends = [*TIMES[1:], TIMES[-1] + 1 / 10]
    # the middle of a frame's time
    controls[:, 0] = torch.tensor([(a + b) / 2 for a, b in zip(TIMES, ends, strict=True)]) / 2
    still = torch.zeros(len(TIMES), 3)
    motion = FaceMotion.from_controls(controls, still, still, torch.ones(len(TIMES)), rate, source={})
    even = sample_motion(motion, even_positions(times, rate))
    assert len(even) == 50
    clock = (torch.arange(50) + 0.5) / 25
    # at the ends the first and last frame hold
    assert (2 * even.controls[:, 0] - clock).abs()[1:-2].max() < 0.02


def test_one_rate_stays_as_it_is():
    assert even_positions(np.arange(50) / 25, Fraction(25)).tolist() == pytest.approx(range(50), abs=1e-9)
    assert even_positions(np.array([0.3]), Fraction(25)).tolist() == [0.0]


def test_another_video_is_refused(film):
    with pytest.raises(ValueError, match="images has 12 frames, but video 40"):
        shown_at(InputImpl.VideoFromFile(film), 12)


def test_a_video_made_of_images_has_one_rate():
    assert shown_at(object(), 12) is None
