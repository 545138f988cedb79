"""What the editor's page may ask for beside a run: one small frame of its own portrait, and nothing else."""

import asyncio
import gc
import io
import threading

import numpy as np
import pytest
import server
import torch
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image
from talking_portrait.models.face.close_up import close_up
from talking_portrait.nodes import editor_route
from talking_portrait.nodes.editor_portraits import KEPT, LONGEST_SIDE, QUICK_SIDE, KeptPortraits
from talking_portrait.nodes.editor_route import PATH, NewestFirst, Refused, register_editor_routes
from talking_portrait.nodes.portrait import PreparedPortrait, PreparePortrait

from .good_inputs import Bench

VALUES = {"smile": 0.5, "aaa": 30}


class Server:
    """As much of ComfyUI's server as routes need."""

    def __init__(self):
        self.routes = web.RouteTableDef()


@pytest.fixture(scope="module")
def bench(models):
    with torch.inference_mode():
        yield Bench(models)


@pytest.fixture(scope="module")
def kept(bench):
    with torch.inference_mode():
        return KEPT.keep("7", bench.portrait, bench.image[0], {"smile": 0.4})


@pytest.fixture
def ask(monkeypatch):
    """(status, content) of a request to the routes, in a server of their own."""
    stand_in = Server()
    monkeypatch.setattr(server.PromptServer, "instance", stand_in, raising=False)
    register_editor_routes()

    async def asked(method, path, **options):
        app = web.Application()
        app.add_routes(stand_in.routes)
        async with TestClient(TestServer(app)) as client, client.request(method, path, **options) as answer:
            return answer.status, await (answer.json() if "json" in answer.content_type else answer.read())

    return lambda *given, **options: run(asked(*given, **options))


def run(work):
    """In a thread of its own: a page of an earlier test may keep this thread's loop running."""
    found = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(work)))
    thread.start()
    thread.join()
    return found[0]


def pixels(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), np.float32)


def test_a_frame_is_the_face_alone_and_follows_the_values(ask, kept):
    status, still = ask("POST", f"{PATH}/{kept.key}", json={"values": {}, "copy_amount": 0})
    assert status == 200 and still[:3] == b"\xff\xd8\xff"
    _, moved = ask("POST", f"{PATH}/{kept.key}", json={"values": VALUES, "copy_amount": 0})
    _, run_drew = ask("GET", f"{PATH}/{kept.key}")
    still, moved, run_drew = map(pixels, (still, moved, run_drew))
    assert still.shape == moved.shape and max(still.shape) <= LONGEST_SIDE
    assert np.abs(still - moved).mean() > 1
    assert run_drew.shape == still.shape and np.abs(run_drew - still).mean() < 3


def test_a_quick_frame_is_the_same_in_small(ask, bench):
    with torch.inference_mode():
        larger = torch.nn.functional.interpolate(bench.image.movedim(-1, 1), scale_factor=4.0).movedim(1, -1)
        faces = [
            {**face, "landmarks_xy": 4 * face["landmarks_xy"]} for face in bench.face_landmarks["frames"][0]
        ]
        landmarks = {**bench.face_landmarks, "frames": [faces], "image_size": tuple(larger.shape[1:3])}
        prepared = PreparePortrait.execute(bench.portrait_renderer, larger, landmarks, 0).result[0]
        kept = KEPT.keep("9", prepared, larger[0], {})
    pictures = [
        pixels(ask("POST", f"{PATH}/{kept.key}", json={"values": VALUES, "quick": quick})[1])
        for quick in (False, True)
    ]
    assert max(pictures[0].shape) > QUICK_SIDE >= max(pictures[1].shape)
    small = np.asarray(
        Image.fromarray(pictures[0].astype(np.uint8)).resize(pictures[1].shape[1::-1]), np.float32
    )
    assert np.abs(small - pictures[1]).mean() < 4


def test_what_was_copied_lies_under_the_sliders(ask, kept):
    _, none = ask("POST", f"{PATH}/{kept.key}", json={"values": {}, "copy_amount": 0})
    _, copied = ask("POST", f"{PATH}/{kept.key}", json={"values": {}})
    _, by_hand = ask("POST", f"{PATH}/{kept.key}", json={"values": {"smile": 0.4}, "copy_amount": 0})
    assert copied == by_hand != none


def test_keyframes_are_shown_at_a_time(ask, kept):
    body = {"keyframes": "0:\n1: aaa=45", "copy_amount": 0}
    pictures = [ask("POST", f"{PATH}/{kept.key}", json={**body, "seconds": at})[1] for at in (0, 0.5, 2)]
    first, middle, last = map(pixels, pictures)
    assert 0 < np.abs(middle - first).mean() < np.abs(last - first).mean()


def test_the_page_learns_sliders_and_presets(ask):
    status, told = ask("GET", PATH)
    assert status == 200 and list(told["sliders"])[:2] == ["smile", "aaa"] and len(told["sliders"]) == 12
    assert told["sliders"]["yaw"]["low"] == -20 and "wink" in told["presets"]


@pytest.mark.parametrize(("body", "status", "said"), [
    ({"values": {"smile": 9}}, 400, "smile is 9; it must be from -0.3 to 1.3"),
    ({"values": {"smile": "wide"}}, 400, "smile is 'wide'; a number"),
    ({"values": {"smile": None}}, 400, "smile is empty"), ({"values": {"frown": 1}}, 400, "values has frown"),
    ({"values": {"portrait": 1}}, 400, "values has portrait"),
    ({"values": [1]}, 400, "values has no object"), ({}, 400, "values has no object"), ([], 400, "no JSON object"),
    ({"values": {}, "copy_amount": 7}, 400, "copy_amount is 7"),
    ({"values": {}, "path": "/"}, 400, "path, which nobody"),
    ({"keyframes": "1: smile=9", "seconds": 1}, 400, "smile=9"), ({"keyframes": "0:"}, 400, "seconds is no number"),
    ({"keyframes": "", "seconds": 1}, 400, "keyframes is empty"),
    ({"keyframes": "0:", "seconds": 1e9}, 400, "seconds is no number"),
    ({"keyframes": 5, "seconds": 1}, 400, "keyframes is"),
])  # fmt: skip
def test_a_wrong_request_is_refused_in_a_sentence(ask, kept, body, status, said):
    found, answer = ask("POST", f"{PATH}/{kept.key}", json=body)
    assert found == status and said in answer["error"]


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b'{"values": {"smile": NaN}}', b'{"values": {"smile": 1e999}}']
)
def test_what_is_no_json_is_refused(ask, kept, data):
    status, answer = ask("POST", f"{PATH}/{kept.key}", data=data)
    assert status == 400 and answer["error"].startswith("The request cannot be read")


def test_a_large_request_is_not_read(ask, kept):
    status, answer = ask("POST", f"{PATH}/{kept.key}", data=b"x" * 400_000)
    assert status == 413 and "bytes" in answer["error"]


@pytest.mark.parametrize("key", ["7", "0" * 32, "..%2F..%2Fetc%2Fpasswd", "x" * 3000])
def test_another_key_reaches_nothing(ask, kept, key):
    for method in ("GET", "POST"):
        status, answer = ask(method, f"{PATH}/{key}")
        assert status == 404 and "run the workflow again" in answer["error"]


def test_a_renderer_with_networks_waits_for_a_run(ask, bench):
    class Neural:
        id = "neural"

    with torch.inference_mode():
        prepared = PreparedPortrait(Neural(), bench.portrait.portrait)  # type: ignore[arg-type]
        waiting = KEPT.keep("8", prepared, bench.image[0], {})
    assert not waiting.close_ups
    status, answer = ask("POST", f"{PATH}/{waiting.key}", json={"values": {}})
    assert status == 409 and "run the workflow" in answer["error"]
    assert ask("GET", f"{PATH}/{waiting.key}")[0] == 200


def test_an_error_of_our_own_is_told_without_its_inside(ask, kept, monkeypatch):
    def broken(*given):
        raise RuntimeError("inside")

    monkeypatch.setattr(editor_route, "draw_close_up", broken)
    status, answer = ask("POST", f"{PATH}/{kept.key}", json={"values": {}})
    assert status == 500 and "inside" not in answer["error"]


def test_the_newest_value_wins():
    """Of three requests of one viewer the first has begun, the second is answered 409, the third is drawn; another
    viewer's is not touched."""
    begun, go = threading.Event(), threading.Event()

    def slow():
        begun.set()
        go.wait(10)
        return "first"

    async def ask_all():
        work = NewestFirst()
        first = asyncio.create_task(work.do("a", slow))
        await asyncio.to_thread(begun.wait, 10)
        others = [
            asyncio.create_task(work.do(*job))
            for job in (("a", lambda: 2), ("b", lambda: 3), ("a", lambda: 4))
        ]
        await asyncio.sleep(0.05)
        go.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    first, second, other, third = run(ask_all())
    assert (first, other, third) == ("first", 3, 4)
    assert isinstance(second, Refused) and second.status == 409


def test_without_a_server_nothing_is_registered(monkeypatch):
    monkeypatch.delattr(server.PromptServer, "instance", raising=False)
    register_editor_routes()


def test_few_portraits_are_kept_and_none_keeps_its_picture_alive(bench):
    kept = KeptPortraits(most=2)
    with torch.inference_mode():
        portraits = [PreparedPortrait(object(), bench.portrait.portrait) for _ in range(3)]  # type: ignore[arg-type]
        keys = [kept.keep("1", one, bench.image[0], {}).key for one in portraits]
        again = kept.keep("1", portraits[2], bench.image[0] * 0, {"smile": 1.0})
        elsewhere = kept.keep("2", portraits[2], bench.image[0], {})
    assert kept.get(keys[0]) is None and kept.get(keys[1]) is None
    assert again.key == keys[2] != elsewhere.key and again.copied == {"smile": 1.0}
    source = again.source
    del portraits
    gc.collect()
    assert source() is None


@pytest.mark.parametrize(("width", "height"), [(3000, 4000), (400, 300)])
def test_a_close_up_is_small_whatever_the_photo(width, height):
    rng = np.random.default_rng(0)
    points = np.c_[rng.uniform(0.4, 0.6, 478) * width, rng.uniform(0.1, 0.4, 478) * height, np.zeros(478)]
    near = close_up(torch.rand(height, width, 3), points.astype(np.float32), 512)
    x0, y0, x1, y1 = near.window
    assert max(x1 - x0, y1 - y0) <= 512 and max(near.picture.shape) <= 1.2 * 512 + 2
    assert 0 <= x0 < x1 <= near.picture.shape[1] and 0 <= y0 < y1 <= near.picture.shape[0]
    assert near.points[:, 0].min() >= x0 and near.points[:, 1].max() <= y1
