"""`/v1/chat/completions` and `/v1/models`: image questions for tools that speak OpenAI's API.

docs/http_api.md says what is understood and what is ignored.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from molmo_node.client import AsyncClient
from molmo_node.errors import Busy, MolmoNodeError
from molmo_node.messages import Answer, Status
from molmo_node.web import openai_answer
from molmo_node.web.openai_errors import RequestRefused, error_response
from molmo_node.web.openai_request import BODY_BYTES, ChatAsk, parse_chat, too_large

AT_ONCE = 8
DRAINED_BYTES = 4 * BODY_BYTES
_CLIENT_GONE = 499
_EVENT_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

Handler = Callable[[Request], Awaitable[Response]]


def routes(client: AsyncClient) -> list[BaseRoute]:
    """The routes, over one client; who may use them is for the caller to check."""
    api = _Api(client)
    return [
        Route("/v1/chat/completions", _guarded(api.chat), methods=["POST"]),
        Route("/v1/models", _guarded(api.models), methods=["GET"]),
        Route("/v1/models/{model:path}", _guarded(api.model), methods=["GET"]),
    ]


def _guarded(handle: Handler) -> Handler:
    async def guarded(request: Request) -> Response:
        try:
            return await handle(request)
        except MolmoNodeError as exc:
            return error_response(exc)
        except ClientDisconnect:
            return Response(status_code=_CLIENT_GONE)

    return guarded


class _Api:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._started_s = int(time.time())
        self._open = 0

    async def chat(self, request: Request) -> Response:
        # Bodies with pictures are large: so many are in memory at a time.
        if self._open >= AT_ONCE:
            await read_body(request, keep_bytes=0)
            raise Busy(f"{self._open} questions are open here", wait_ms=1000.0)
        self._open += 1
        try:
            ask = await asyncio.to_thread(parse_chat, await read_body(request))
            _check_model(ask.model, await self._client.status())
            answer = await _unless_gone(request, self._answer(ask))
        finally:
            self._open -= 1
        if answer is None:
            return Response(status_code=_CLIENT_GONE)
        made_s = int(time.time())
        if not ask.is_streamed:
            return JSONResponse(openai_answer.completion(ask, answer, made_s))
        return StreamingResponse(
            openai_answer.events(ask, answer, made_s),
            media_type="text/event-stream",
            headers=_EVENT_HEADERS,
        )

    async def models(self, _: Request) -> Response:
        status = await self._client.status()
        return JSONResponse(
            {"object": "list", "data": [self._model(name) for name in _model_names(status)]}
        )

    async def model(self, request: Request) -> Response:
        name = request.path_params["model"]
        status = await self._client.status()
        if name not in _model_names(status):
            raise _unknown_model(name, status)
        return JSONResponse(self._model(name))

    async def _answer(self, ask: ChatAsk) -> Answer:
        return await self._client.query(
            ask.question, camera=ask.camera, image=ask.image, timeout_s=ask.deadline_s
        )

    def _model(self, name: str) -> dict[str, Any]:
        return {
            "id": name, "object": "model", "created": self._started_s, "owned_by": "molmo_node",
        }  # fmt: skip


async def read_body(request: Request, keep_bytes: int = BODY_BYTES) -> bytes:
    """The body; of one longer than `keep_bytes` nothing is kept.

    It is read to its end all the same, so that its sender reads our answer instead of a broken
    connection; only one beyond `DRAINED_BYTES` is cut off.

    Raises:
        RequestRefused: it is longer than `BODY_BYTES`.
    """
    kept, total = bytearray(), 0
    async for chunk in request.stream():
        total += len(chunk)
        if total <= keep_bytes:
            kept += chunk
        else:
            kept.clear()
        if total > DRAINED_BYTES:
            break
    if total > BODY_BYTES:
        raise too_large(total)
    return bytes(kept)


async def _unless_gone(request: Request, answering: Awaitable[Answer]) -> Answer | None:
    """The answer; None, and the question is taken back, if who asked hangs up."""
    answer = asyncio.ensure_future(answering)
    hung_up = asyncio.ensure_future(_hang_up(request))
    try:
        await asyncio.wait({answer, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        return answer.result() if answer.done() else None
    finally:
        for task in (answer, hung_up):
            task.cancel()
        await asyncio.gather(answer, hung_up, return_exceptions=True)


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _model_names(status: Status) -> list[str]:
    """The model, and for each camera the model that looks through it."""
    if not status.model:
        return []
    cameras = sorted(camera.name for camera in status.cameras)
    return [status.model, *(f"{status.model}@{camera}" for camera in cameras)]


def _check_model(name: str, status: Status) -> None:
    if status.model and name != status.model:
        raise _unknown_model(name, status)


def _unknown_model(name: str, status: Status) -> RequestRefused:
    known = ", ".join(_model_names(status)) or "none yet: it is being loaded"
    return RequestRefused(
        f"model {name[:100]!r} does not run here",
        hint=f"this node has: {known}",
        status=404,
        reason="model_not_found",
        param="model",
    )
