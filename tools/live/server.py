"""The page of a live face, for this machine alone: sound comes in over a WebSocket, frames go out over it."""

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web

from .face import RATE, Frame, LiveFace
from .report import Report

HOST = "127.0.0.1"
PAGE = Path(__file__).resolve().parent / "page"
FILES = {"/": "index.html", "/live.js": "live.js", "/recorder.js": "recorder.js"}
LARGEST_MESSAGE = 64_000  # bytes: two seconds of sound
FRAME, SOUND = 0, 1  # the first byte of what is sent
PIECE = RATE // 50  # samples of a file that are given at once
TOLD_SECONDS = 1.0
POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
MakeFace = Callable[[Callable[[Frame], object]], LiveFace]


class LivePage:
    """One face at a time. make_face: a new face that shows frames by the function it is given. sound: mono at 16 kHz
    in the place of a microphone, or None."""

    def __init__(self, make_face: MakeFace, delay: float, sound: np.ndarray | None = None):
        self.make_face, self.delay, self.sound = make_face, delay, sound
        self.busy, self.reports = False, list[Report]()
        self.sockets: set[web.WebSocketResponse] = set()
        self.address = ""

    async def start(self, port: int = 0) -> web.AppRunner:
        """Serve; `address` then says where. OSError if the port is taken."""
        app = web.Application(middlewares=[self._own_page_only])
        for path in FILES:
            app.router.add_get(path, self._file)
        app.router.add_get("/live", self._live)
        app.on_shutdown.append(self._close)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, HOST, port)
        await site.start()
        self.address = f"http://{HOST}:{runner.addresses[0][1]}"
        return runner

    @web.middleware
    async def _own_page_only(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Refuse other sites' pages: by Host (a name that was pointed at this machine) and by Origin."""
        own = {
            self.address.removeprefix("http://"),
            self.address.removeprefix("http://").replace(HOST, "localhost"),
        }
        origin = request.headers.get("Origin")
        if request.host not in own or (origin is not None and origin.removeprefix("http://") not in own):
            raise web.HTTPForbidden(text="Only this page itself may ask for that.")
        if request.path == "/live" and origin is None:
            raise web.HTTPForbidden(text="Only a page may speak here.")
        return await handler(request)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        headers = {
            "Content-Security-Policy": POLICY,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return web.FileResponse(PAGE / FILES[request.path], headers=headers)

    async def _close(self, _: web.Application) -> None:
        for socket in set(self.sockets):
            await socket.close(message=b"stopped")

    async def _live(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=LARGEST_MESSAGE, heartbeat=10)
        await socket.prepare(request)
        if self.busy:
            await socket.send_json({"error": "Another page speaks already; close it first."})
            await socket.close()
            return socket
        self.busy = True
        self.sockets.add(socket)
        try:
            await self._speak(socket)
        finally:
            self.sockets.discard(socket)
            self.busy = False
        return socket

    async def _speak(self, socket: web.WebSocketResponse) -> None:
        """One face from its first sound until the page goes."""
        loop, frames = asyncio.get_running_loop(), asyncio.Queue[Frame]()
        face = self.make_face(lambda frame: loop.call_soon_threadsafe(frames.put_nowait, frame))
        await socket.send_json({"delay": self.delay, "rate": RATE, "microphone": self.sound is None})
        face.__enter__()
        tasks = [
            asyncio.create_task(send_frames(socket, face, frames)),
            asyncio.create_task(tell(socket, face)),
            *([] if self.sound is None else [asyncio.create_task(play(socket, face, self.sound))]),
        ]
        try:
            async for message in socket:
                if message.type == WSMsgType.BINARY and self.sound is None:
                    face.hear(samples(message.data))
        except (ValueError, RuntimeError) as error:
            await socket.send_json({"error": str(error)})
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(face.__exit__)
            self.reports.append(face.report)


def samples(data: bytes) -> np.ndarray:
    """16-bit samples as float32 in -1..1; ValueError if there is half a one."""
    if len(data) % 2:
        raise ValueError("sound has half a sample; 16-bit mono at 16 kHz is needed.")
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768


async def send_frames(socket: web.WebSocketResponse, face: LiveFace, frames: "asyncio.Queue[Frame]") -> None:
    """Each frame when it is due."""
    while True:
        frame = await frames.get()
        await asyncio.sleep(max(0.0, frame.due - face.now()))
        await socket.send_bytes(struct.pack("<BI", FRAME, frame.number) + frame.picture)
        face.report.show(face.now() - frame.spoken)


async def tell(socket: web.WebSocketResponse, face: LiveFace) -> None:
    """Now and then, how it goes."""
    while True:
        await asyncio.sleep(TOLD_SECONDS)
        told: dict[str, Any] = {"report": face.report.told()}
        if face.fault:
            told = {"error": face.fault}
        await socket.send_str(json.dumps(told))


async def play(socket: web.WebSocketResponse, face: LiveFace, sound: np.ndarray) -> None:
    """Give the face a sound as fast as it is spoken, and send it to be heard."""
    began = face.now()
    for start in range(0, len(sound), PIECE):
        piece = sound[start : start + PIECE]
        await asyncio.sleep(max(0.0, began + (start + len(piece)) / RATE - face.now()))
        face.hear(piece)
        await socket.send_bytes(bytes([SOUND]) + (piece.clip(-1, 1) * 32767).astype("<i2").tobytes())
