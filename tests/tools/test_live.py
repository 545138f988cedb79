"""A live face: what its clock tells, that no frame comes late, and that its page is for itself alone."""

import asyncio
import math
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import aiohttp
import numpy as np
import pytest
import torch
from talking_portrait.models.face_motion import CONTROLS, FaceMotion
from talking_portrait.tools.live.clock import SoundClock
from talking_portrait.tools.live.face import RATE, LiveFace
from talking_portrait.tools.live.report import Report
from talking_portrait.tools.live.server import FRAME, SOUND, LivePage, samples

FPS = Fraction(25)
FRAME_SAMPLES = RATE // 25


def test_the_clock_goes_by_the_piece_that_came_soonest():
    clock = SoundClock(100)
    for arrived in (10.10, 10.25, 10.31):  # three pieces of 0.1 s, spoken until 10.1, 10.2, 10.3
        clock.heard(10, arrived)
    assert clock.spoken(0.0) == pytest.approx(10.0) and clock.spoken(0.25) == pytest.approx(10.25)


def test_the_clock_follows_a_microphone_that_paused():
    clock = SoundClock(100)
    for arrived in np.arange(10.1, 12.0, 0.1):
        clock.heard(10, arrived)
    before = clock.spoken(0.0)
    for arrived in np.arange(22.0, 30.0, 0.1):
        clock.heard(10, arrived)
    assert clock.spoken(0.0) - before == pytest.approx(10.0, abs=0.2)


def test_a_report_tells_delays_by_their_share():
    report = Report()
    assert report.line() == "0 frames shown, 0 dropped" and report.told()["delay_worst"] is None
    for delay in [0.51] * 95 + [0.59] * 5:
        report.show(delay)
    assert report.delay(0.5) == pytest.approx(0.52) and report.delay(1.0) == pytest.approx(0.6)
    assert sum(report.told()["histogram"].values()) == 100


class Echo:
    """A voice whose frames are final at once; the jaw is the number of the frame."""

    id, latency = "echo", 0.0

    def __init__(self):
        self.samples = self.given = 0

    def push(self, speech, last=False):
        self.samples += speech.waveform.shape[1]
        count = self.samples // FRAME_SAMPLES - self.given
        if not count:
            return None
        controls = torch.zeros(count, len(CONTROLS))
        controls[:, 0] = torch.arange(self.given, self.given + count)
        self.given += count
        zero = torch.zeros(count, 3)
        return FaceMotion.from_controls(controls, zero, zero, torch.ones(count), FPS, source={})


def live(draw_seconds: float, delay: float, seconds: float = 1.5) -> tuple[list, Report]:
    """Frames (number, spoken, when shown) of a voice of that length in real time, and the report."""
    shown = []

    def draw(motion):
        time.sleep(draw_seconds * len(motion))
        return [str(round(number)).encode() for number in motion.controls[:, 0].tolist()]

    face = LiveFace(Echo(), Echo(), draw, delay, lambda frame: shown.append((frame, time.monotonic())), FPS)
    with face:
        began = time.monotonic()
        for place in range(round(seconds * 50)):
            time.sleep(max(0.0, began + (place + 1) / 50 - time.monotonic()))
            face.hear(np.zeros(RATE // 50, np.float32))
        time.sleep(delay)
    assert not face.fault
    return shown, face.report


def test_every_frame_comes_in_time_where_there_is_time():
    shown, report = live(0.001, 0.4)
    assert [frame.number for frame, _ in shown] == sorted({frame.number for frame, _ in shown})
    assert all(frame.picture == str(frame.number).encode() for frame, _ in shown)
    assert all(
        when < frame.due + 0.02 and frame.due - frame.spoken == pytest.approx(0.4) for frame, when in shown
    )
    assert len(shown) + report.dropped >= 35 and report.dropped <= 4


def test_frames_are_dropped_rather_than_late_where_drawing_is_slow():
    shown, report = live(0.1, 0.3)
    assert report.dropped >= 10 and len(shown) >= 3
    assert all(when < frame.due + 0.02 for frame, when in shown)


def test_sound_that_cannot_be_heard_in_time_is_skipped_and_the_face_goes_on():
    class Slow(Echo):
        def push(self, speech, last=False):
            time.sleep(0.7 if self.samples == 0 else 0.0)
            return super().push(speech, last)

    face = LiveFace(Echo(), Slow(), lambda motion: [b""] * len(motion), 0.3, lambda frame: None, FPS)
    with face:
        face.hear(np.zeros(FRAME_SAMPLES, np.float32))
        time.sleep(0.1)
        for _ in range(4):
            face.hear(np.zeros(RATE // 2, np.float32))
        time.sleep(1.0)
    assert face.report.skipped_seconds == pytest.approx(1.5)


def test_a_fault_of_a_thread_is_told_to_who_gives_sound():
    def draw(motion):
        raise ValueError("no paint")

    with LiveFace(Echo(), Echo(), draw, 1.0, lambda frame: None, FPS) as face:
        face.hear(np.zeros(RATE, np.float32))
        limit = time.monotonic() + 5
        while not face.fault and time.monotonic() < limit:
            time.sleep(0.01)
        with pytest.raises(RuntimeError, match="no paint"):
            face.hear(np.zeros(RATE, np.float32))


def page_of(sound=None) -> LivePage:
    def make_face(show):
        return LiveFace(Echo(), Echo(), lambda motion: [b"picture"] * len(motion), 0.3, show, FPS)

    return LivePage(make_face, 0.3, sound)


def on_page(page: LivePage, work):
    """What a coroutine gives that gets a session and the page's address, while the page is served."""

    async def run():
        runner = await page.start()
        try:
            async with aiohttp.ClientSession() as session:
                return await asyncio.wait_for(work(session, page.address), 20)
        finally:
            await runner.cleanup()

    with ThreadPoolExecutor(1) as elsewhere:  # the page's driver may have a loop in this thread
        return elsewhere.submit(asyncio.run, run()).result()


@pytest.mark.parametrize(
    "headers, status",
    [
        ({}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1:1"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_only_its_own_page_is_answered(headers, status):
    async def ask(session, address):
        found = [
            await session.get(address + path, headers=headers) for path in ("/", "/live.js", "/recorder.js")
        ]
        return [answer.status for answer in found]

    assert on_page(page_of(), ask) == [status] * 3


@pytest.mark.parametrize("origin", [None, "https://evil.example", "http://127.0.0.1:1"])
def test_only_its_own_page_may_speak(origin):
    async def ask(session, address):
        with pytest.raises(aiohttp.WSServerHandshakeError) as told:
            await session.ws_connect(address + "/live", headers={"Origin": origin} if origin else {})
        return told.value.status

    assert on_page(page_of(), ask) == 403


async def pictures(socket, count: int) -> list[int]:
    """Numbers of the next frames."""
    numbers = []
    while len(numbers) < count:
        message = await socket.receive()
        assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), message
        if message.type == aiohttp.WSMsgType.BINARY and message.data[0] == FRAME:
            assert message.data[5:] == b"picture"
            numbers.append(struct.unpack("<I", message.data[1:5])[0])
    return numbers


def test_a_page_speaks_gets_frames_and_may_come_again_but_not_twice_at_once():
    page = page_of()

    async def speak(session, address):
        for _ in range(2):
            async with session.ws_connect(address + "/live", headers={"Origin": address}) as socket:
                assert (await socket.receive_json())["microphone"]
                async with session.ws_connect(address + "/live", headers={"Origin": address}) as other:
                    assert "Another page" in (await other.receive_json())["error"]
                for _ in range(25):
                    await socket.send_bytes(bytes(2 * FRAME_SAMPLES))
                    await asyncio.sleep(0.04)
                assert await pictures(socket, 10) == sorted(set(range(10)))
            await asyncio.sleep(0.5)
            assert not page.busy

    on_page(page, speak)
    assert len(page.reports) == 2 and all(report.shown >= 10 for report in page.reports)


def test_a_file_is_spoken_and_its_sound_sent_along():
    tone = np.sin(np.arange(RATE) / 20).astype(np.float32)

    async def watch(session, address):
        sounds = 0
        async with session.ws_connect(address + "/live", headers={"Origin": address}) as socket:
            assert not (await socket.receive_json())["microphone"]
            while sounds < 25:
                message = await socket.receive()
                sounds += message.type == aiohttp.WSMsgType.BINARY and message.data[0] == SOUND
            return await pictures(socket, 3)

    assert on_page(page_of(tone), watch)


def test_half_a_sample_is_refused():
    with pytest.raises(ValueError, match="half a sample"):
        samples(b"abc")
    assert math.isclose(samples(b"\x00\x80")[0], -1.0)
