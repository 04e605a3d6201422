"""The page's HTTP interface; docs/page.md lists every route, and a test holds the two together."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from molmo_node.bus import limits
from molmo_node.errors import NoAnswer, ProtocolError
from molmo_node.web.asking import Ask
from molmo_node.web.feed import Picture
from molmo_node.web.hub import MOST_VIEWERS, Hub
from molmo_node.web.pictures import uploaded
from molmo_node.web.standing import NewWatch, WatchChange
from molmo_node.web.viewer import Viewer
from molmo_node.web.wizard import Calibration

T = TypeVar("T", bound=msgspec.Struct)

JSON_BYTES = 65_536
ASK_BYTES = limits.FRAME_BYTES * 4 // 3 + JSON_BYTES  # it may hold a picture in base64
HOUR_NS = 3600 * 10**9
CSV_ROWS = 5_000
FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}


class FrozenCamera(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/pictures` that is JSON: keep a camera's frame."""

    camera: str
    session: str = ""
    seq: int | None = None


class Routes:
    """One method a route."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def table(self) -> list[BaseRoute]:
        """All of them."""
        return [
            WebSocketRoute("/api/live", self.live),
            Route("/api/state", self.state),
            Route("/api/ask", self.ask, methods=["POST"]),
            Route("/api/cameras/{name}/picture.jpg", self.camera_picture),
            Route("/api/cameras/{name}/frames/{session}/{seq:int}.jpg", self.camera_frame),
            Route("/api/history", self.history),
            Route("/api/history", self.clear_history, methods=["DELETE"]),
            Route("/api/history/{number:int}/picture.jpg", self.history_picture),
            Route("/api/history/{number:int}/thumb.jpg", self.history_thumb),
            Route("/api/pictures", self.add_picture, methods=["POST"]),
            Route("/api/pictures/{picture}.jpg", self.picture),
            Route("/api/watches", self.add_watch, methods=["POST"]),
            Route("/api/watches/{name}", self.change_watch, methods=["PATCH"]),
            Route("/api/watches/{name}", self.remove_watch, methods=["DELETE"]),
            Route("/api/watches/{name}/series", self.series),
            Route("/api/watches/{name}/readings.csv", self.readings_csv),
            Route("/api/wizard/propose", self.propose, methods=["POST"]),
            Route("/api/wizard/try", self.try_out, methods=["POST"]),
            Route("/api/wizard/save", self.save, methods=["POST"]),
        ]

    async def live(self, socket: WebSocket) -> None:
        """Pictures, answers and states for one tab."""
        if len(self._hub.viewers) >= MOST_VIEWERS:
            await socket.close(1013)
            return
        await socket.accept()
        await self._hub.serve(Viewer(socket, self._hub.feeds))

    async def state(self, _: Request) -> Response:
        """The node now."""
        return JSONResponse(self._hub.state())

    async def ask(self, request: Request) -> Response:
        """One question, one answer."""
        asked = _decode(await _body(request, ASK_BYTES), Ask)
        return JSONResponse(await self._hub.asker.ask(asked))

    async def camera_picture(self, request: Request) -> Response:
        """A camera's newest frame."""
        return _jpeg(await self._hub.feeds.get(request.path_params["name"]).newest())

    async def camera_frame(self, request: Request) -> Response:
        """One of a camera's last frames."""
        given = request.path_params
        feed = self._hub.feeds.get(given["name"])
        picture = feed.shelf.find(given["session"], given["seq"])
        if picture is None:
            return Response(status_code=204)  # a browser would log a 404 as a fault of the page
        return _jpeg(picture, FOR_EVER)

    async def history(self, _: Request) -> Response:
        """The last questions, newest first."""
        return JSONResponse(self._hub.history.newest_first())

    async def clear_history(self, _: Request) -> Response:
        """Forget the last questions and their pictures."""
        self._hub.history.clear()
        return Response(status_code=204)

    async def history_picture(self, request: Request) -> Response:
        """The very picture that a question was about."""
        entry = self._hub.history.get(request.path_params["number"])
        if entry.picture is None:
            raise NoAnswer("that question had no picture")
        return _jpeg(entry.picture)

    async def history_thumb(self, request: Request) -> Response:
        """A small picture of a question with its answer drawn in."""
        entry = self._hub.history.get(request.path_params["number"])
        return Response(entry.thumb, media_type="image/jpeg")

    async def add_picture(self, request: Request) -> Response:
        """Keep a picture for an hour: a JPEG or PNG file, or a camera's frame."""
        body = await _body(request, limits.FRAME_BYTES)
        if request.headers.get("content-type", "").startswith("application/json"):
            wanted = _decode(body, FrozenCamera)
            feed = self._hub.feeds.get(wanted.camera)
            kept = None
            if wanted.seq is not None:
                kept = feed.shelf.find(wanted.session, wanted.seq)
            picture = kept or await feed.newest()
        else:
            picture = uploaded(body)
        fields = {"width": picture.width, "height": picture.height, "camera": picture.ref.camera}
        return JSONResponse({"id": self._hub.pictures.add(picture), **fields}, 201)

    async def picture(self, request: Request) -> Response:
        """A kept picture."""
        return _jpeg(self._hub.pictures.get(request.path_params["picture"]))

    async def add_watch(self, request: Request) -> Response:
        """Make a watch."""
        new = _decode(await _body(request), NewWatch)
        heard = self._hub.board.worker
        taken = {spec.name for spec in heard.status.watches} if heard is not None else set()
        spec = await self._hub.standing.add(new, taken)
        return JSONResponse(msgspec.to_builtins(spec), 201)

    async def change_watch(self, request: Request) -> Response:
        """Pause a watch or go on with it; set its limits."""
        change = _decode(await _body(request), WatchChange)
        name = _name(request)
        await self._hub.standing.change(name, change)
        return JSONResponse({"name": name, **self._hub.standing.facts(name)})

    async def remove_watch(self, request: Request) -> Response:
        """End a watch of the page."""
        await self._hub.standing.remove(_name(request))
        return Response(status_code=204)

    async def series(self, request: Request) -> Response:
        """A watch's readings for a chart."""
        hours, points = (
            _number(request, "hours", 1.0, 8760.0),
            _number(request, "points", 600, 2000),
        )
        now_ns = time.time_ns()
        from_ns = now_ns - int(hours * HOUR_NS)
        await self._hub.store.flush()
        found = await self._hub.store.series(_name(request), from_ns, now_ns, int(points))
        return JSONResponse({"from_ms": from_ns // 10**6, "to_ms": now_ns // 10**6, "spans": found})

    async def readings_csv(self, request: Request) -> Response:
        """A watch's single readings as a file."""
        hours = _number(request, "hours", 24.0, 87_600.0)
        name, now_ns = _name(request), time.time_ns()
        await self._hub.store.flush()
        headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
        lines = self._csv_lines(name, now_ns - int(hours * HOUR_NS), now_ns)
        return StreamingResponse(lines, media_type="text/csv", headers=headers)

    async def _csv_lines(self, name: str, after_ns: int, to_ns: int) -> AsyncIterator[str]:
        yield "time,value,unit,sigma,status,reason\r\n"
        while rows := await self._hub.store.rows(name, after_ns, to_ns, CSV_ROWS):
            yield "".join(
                f"{_iso(row.stamp_ns)},{_cell(row.value)},{_text_cell(row.unit)},{_cell(row.sigma)},"
                f"{row.status},{_text_cell(row.reason)}\r\n"
                for row in rows
            )
            after_ns = rows[-1].stamp_ns

    async def propose(self, request: Request) -> Response:
        """The dial's centre, marks and unit, as found in a picture."""
        wanted = _decode(await _body(request), OfPicture)
        return JSONResponse(await self._hub.wizard.propose(wanted.picture))

    async def try_out(self, request: Request) -> Response:
        """Ten test readings of a calibration."""
        wanted = _decode(await _body(request), Calibration)
        return JSONResponse(await self._hub.wizard.try_out(wanted))

    async def save(self, request: Request) -> Response:
        """Write a calibration as a gauge profile."""
        wanted = _decode(await _body(request), Calibration)
        return JSONResponse(await self._hub.wizard.save(wanted), 201)


class OfPicture(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/wizard/propose`."""

    picture: str


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        text = str(exc) if isinstance(exc, msgspec.DecodeError) else "too deep, or no UTF-8"
        raise ProtocolError(f"request: {text}", hint="docs/page.md lists the fields") from exc


async def _body(request: Request, most_bytes: int = JSON_BYTES) -> bytes:
    """The body; of one that is too long nothing is kept, but it is read to its end."""
    kept, total = bytearray(), 0
    async for chunk in request.stream():
        total += len(chunk)
        if total <= most_bytes:
            kept += chunk
        else:
            kept.clear()
    if total > most_bytes:
        raise ProtocolError(
            f"request of {total} bytes, at most {most_bytes} allowed", hint="send it smaller"
        )
    return bytes(kept)


def _name(request: Request) -> str:
    name: str = request.path_params["name"]
    if not limits.NAME.fullmatch(name):
        raise ProtocolError("that cannot be a name", hint="use a-z, 0-9, - and _")
    return name


def _number(request: Request, key: str, default: float, most: float) -> float:
    text = request.query_params.get(key)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= most:
        raise ProtocolError(f"{key} is a number above 0, up to {most:g}")
    return value


def _jpeg(picture: Picture, headers: dict[str, str] | None = None) -> Response:
    ref = picture.ref
    facts = {"X-Frame-Session": ref.session, "X-Frame-Seq": str(ref.seq)}
    facts |= {"X-Frame-Stamp-Ns": str(ref.stamp_ns), **(headers or {})}
    is_png = picture.jpeg.startswith(b"\x89PNG")
    return Response(picture.jpeg, media_type="image/png" if is_png else "image/jpeg", headers=facts)


def _iso(stamp_ns: int) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(stamp_ns // 10**9))
    return f"{whole}.{stamp_ns % 10**9 // 10**6:03d}Z"


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)


def _text_cell(text: str) -> str:
    """Quoted where CSV asks for it; never a formula to a spreadsheet."""
    if text[:1] in ("=", "+", "-", "@"):
        text = f"'{text}"
    quoted = text.replace('"', '""')
    return f'"{quoted}"' if any(sign in text for sign in ',"\r\n') else text
