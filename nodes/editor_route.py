"""What the expression editor's page asks for beside a run: its sliders, and one frame of its own portrait.

A frame is drawn on one thread beside the event loop, by a renderer without networks, on the CPU: a running prompt and
ComfyUI's memory manager are left alone. Of a viewer's requests that wait, the newest is drawn and the others are
answered at once.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from aiohttp import web
from server import PromptServer

from ..models.face_motion import FaceMotion
from ..models.liveportrait.expression_keyframes import LONGEST, parse_keyframes, values_at
from ..models.liveportrait.expression_presets import PRESETS
from ..models.liveportrait.expression_sliders import LEAST_RATE, SLIDERS, TURNS
from ..models.weights.safe_files import parse_json
from .editor_portraits import KEPT, Drawable, KeptPortrait, draw_close_up
from .expression_editor import ExpressionEditor, changed, one_frame
from .gates import checked_input

PATH = "/talking_portrait/expression_editor"
LARGEST_REQUEST = 150_000  # bytes: the longest keyframes, and the values
JPEG = "image/jpeg"
GONE = "This portrait is not kept any more. Move a slider and run the workflow again."
NEEDS_A_RUN = (
    "This portrait's renderer draws with networks, which belong to a run: run the workflow to see the change."
)
NEWER = "A newer value came first."


@dataclass(frozen=True)
class Refused(Exception):
    """What is answered in the place of a frame."""

    status: int
    sentence: str


class NewestFirst:
    """One thread that works for many viewers; of each viewer's work that has not begun, only the newest is done."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(1, "talking-portrait-editor")
        self._waiting: dict[str, Future[Any]] = {}

    async def do(self, viewer: str, work: Callable[[], Any]) -> Any:
        """What `work` gives; Refused where a newer one of this viewer came before it began."""
        if older := self._waiting.pop(viewer, None):
            older.cancel()  # without effect on what has begun
        job = self._waiting[viewer] = self._worker.submit(work)
        try:
            return await asyncio.wrap_future(job)
        except asyncio.CancelledError:
            if job.cancelled() and self._waiting.get(viewer) is not job:
                raise Refused(409, NEWER) from None
            raise
        finally:
            if self._waiting.get(viewer) is job:
                del self._waiting[viewer]


WORK = NewestFirst()


def register_editor_routes() -> None:
    """Add the routes to ComfyUI's server; nothing where there is none, as in tests of nodes."""
    server = getattr(PromptServer, "instance", None)
    if server is not None:
        server.routes.get(PATH)(answered(sliders))
        server.routes.get(f"{PATH}/{{key}}")(answered(last_picture))
        server.routes.post(f"{PATH}/{{key}}")(answered(frame))


def answered(
    handle: Callable[[web.Request], Awaitable[web.Response]],
) -> Callable[..., Awaitable[web.Response]]:
    """A handler whose refusals become {"error": a sentence}."""

    @functools.wraps(handle)
    async def answer(request: web.Request) -> web.Response:
        try:
            return await handle(request)
        except Refused as refused:
            return web.json_response({"error": refused.sentence}, status=refused.status)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        except Exception:  # where a request ends: the log has all of it, the page a sentence
            logging.exception("Talking Portrait: the expression editor could not draw a frame")
            return web.json_response({"error": "The frame could not be drawn; the log says why."}, status=500)

    return answer


async def sliders(request: web.Request) -> web.Response:
    """What the page builds the editor from: sliders with their ranges, steps and meanings, and the presets."""
    shown: dict[str, dict[str, Any]] = {}
    for name in (*SLIDERS, *TURNS):
        entry = inputs()[name]
        shown[name] = {"low": entry.min, "high": entry.max, "step": entry.step, "meaning": entry.tooltip}
    return web.json_response(
        {"sliders": shown, "presets": {name: dict(values) for name, values in PRESETS.items()}}
    )


async def last_picture(request: web.Request) -> web.Response:
    """The face as the last run drew it."""
    return web.Response(
        body=kept_portrait(request).picture, content_type=JPEG, headers={"Cache-Control": "no-store"}
    )


async def frame(request: web.Request) -> web.Response:
    """The face with the values that are asked for: JSON {"values": {slider: number}, "copy_amount": number}.

    With "keyframes" (text) and "seconds" in the place of values: as the keyframes have it at that time.
    "viewer" tells pages apart that watch one portrait; "quick": true asks for a smaller frame, which comes sooner.
    """
    kept = kept_portrait(request)
    given = await body_of(request)
    if not kept.close_ups:
        raise Refused(409, NEEDS_A_RUN)
    motion = wanted_motion(given, kept)
    viewer, quick = str(given.get("viewer", ""))[:64], given.get("quick", False) is True
    picture = await WORK.do(f"{kept.key} {viewer}", lambda: drawn(kept.close_ups[quick], motion))
    return web.Response(body=picture, content_type=JPEG, headers={"Cache-Control": "no-store"})


def drawn(close_up: Drawable, motion: FaceMotion) -> bytes:
    """One frame, on the worker's thread."""
    with torch.inference_mode():
        return draw_close_up(close_up, motion)


def kept_portrait(request: web.Request) -> KeptPortrait:
    """The portrait of the key in the address; Refused where it is not kept."""
    kept = KEPT.get(request.match_info["key"])
    if kept is None:
        raise Refused(404, GONE)
    return kept


async def body_of(request: web.Request) -> Mapping[str, Any]:
    """The request's JSON object; Refused where it is too large, ValueError where it is none."""
    data = bytearray()
    async for piece in request.content.iter_chunked(65_536):
        data += piece
        if len(data) > LARGEST_REQUEST:
            raise Refused(413, f"The request has more than {LARGEST_REQUEST} bytes.")
    try:
        given = parse_json(data.decode(), LARGEST_REQUEST)
    except ValueError as error:
        raise ValueError(f"The request cannot be read: {error}.") from None
    if not isinstance(given, dict):
        raise ValueError("The request is no JSON object.")
    if unknown := sorted(set(given) - {"values", "copy_amount", "keyframes", "seconds", "viewer", "quick"}):
        raise ValueError(f"The request has {', '.join(unknown)[:100]}, which nobody reads.")
    return given


def wanted_motion(given: Mapping[str, Any], kept: KeptPortrait) -> FaceMotion:
    """One frame of changes, from values that pass the gates of the node's own inputs; ValueError in words."""
    amount = gated("copy_amount", given.get("copy_amount", 1.0))
    if "keyframes" in given:
        keyframes = parse_keyframes(gated("keyframes", given["keyframes"]))
        if not keyframes:
            raise ValueError("keyframes is empty, so there is nothing to show.")
        tracks = values_at(keyframes, torch.tensor([seconds_of(given)], dtype=torch.float64))
    else:
        values = given.get("values")
        if not isinstance(values, dict) or (unknown := sorted(set(values) - {*SLIDERS, *TURNS})):
            what = ", ".join(unknown)[:100] if isinstance(values, dict) else "no object"
            raise ValueError(f"values has {what}; it has numbers for {', '.join((*SLIDERS, *TURNS))}.")
        tracks = one_frame({name: gated(name, values.get(name, 0.0)) for name in (*SLIDERS, *TURNS)})
    return changed(tracks, kept.copied, amount, LEAST_RATE)


def seconds_of(given: Mapping[str, Any]) -> float:
    """The time in a request."""
    seconds = given.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= LONGEST:
        raise ValueError(f"seconds is no number from 0 to {LONGEST:g}.")
    return float(seconds)


@functools.cache
def inputs() -> dict[str, Any]:
    """The node's inputs by name."""
    return {entry.id: entry for entry in ExpressionEditor.define_schema().inputs}


def gated(name: str, value: Any) -> Any:
    """A value behind the gate of the node's input of this name."""
    return checked_input(inputs()[name], value)
