"""HTTP as a stranger speaks it: bytes over a socket, and an application called without one."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.support.stack import Process
from tests.support.waiting import wait_for


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(url: str, path: str, method: str = "GET", body: Any = None, **headers: str) -> Reply:
    """One request to a running page; a body that is no bytes is sent as JSON."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request(method, path, raw, given)
        reply = connection.getresponse()
        found = {name.lower(): value for name, value in reply.getheaders()}
        return Reply(reply.status, found, reply.read())
    finally:
        connection.close()


def page_url(process: Process, within_s: float = 45.0) -> str:
    """The address that a page's process printed, as soon as it listens."""

    def found() -> str | None:
        lines = [line for line in list(process.lines) if "the page is at http" in line]
        return lines[-1].rpartition(" ")[2].strip() if lines else None

    wait_for(found, within_s, f"an address\n{process.output}")
    url = found()
    assert url
    return url


def call(
    app: Any,
    path: str = "/",
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    kind: str = "http",
) -> Reply:
    """Call an ASGI application in this thread; the body comes in pieces of 64 KiB."""
    pieces = [body[at : at + 65_536] for at in range(0, len(body), 65_536)] or [b""]
    given = {"host": "127.0.0.1:8765", **(headers or {})}
    path, _, query = path.partition("?")
    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "scheme": "http",
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if kind == "websocket":
            return {"type": "websocket.connect"}
        piece = pieces.pop(0) if pieces else b""
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start = sent[0]
    if start["type"] != "http.response.start":
        return Reply(403 if start["type"] == "websocket.close" else 101, {}, b"")
    found = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Reply(start["status"], found, b"".join(m.get("body", b"") for m in sent[1:]))
