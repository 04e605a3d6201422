"""How answers and errors are written as JSON."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from molmo_node.errors import Busy, MolmoNodeError
from molmo_node.messages import Answer

STATUS = {
    "busy": 503,
    "cancelled": 499,
    "config_error": 400,
    "deadline_exceeded": 504,
    "no_answer": 422,
    "not_connected": 503,
    "protocol_error": 400,
    "worker_lost": 502,
    "camera_error": 503,
}
"""HTTP status by error code; 500 for the rest."""


def error_json(
    code: str, message: str, hint: str = "", wait_ms: float | None = None
) -> dict[str, Any]:
    """The body of every refusal."""
    error: dict[str, Any] = {"code": code, "message": message, "hint": hint}
    if wait_ms is not None:
        error["wait_ms"] = wait_ms
    return {"error": error}


def error_reply(error: MolmoNodeError) -> Response:
    """A foreseen failure as a response; `Busy` says when to come again."""
    wait_ms = error.wait_ms if isinstance(error, Busy) else None
    headers = {"Retry-After": str(max(1, round(wait_ms / 1e3)))} if wait_ms else None
    body = error_json(error.code, error.message, error.hint, wait_ms)
    return JSONResponse(body, STATUS.get(error.code, 500), headers)


async def on_error(_: Request, exc: Exception) -> Response:
    """What starlette calls for a `MolmoNodeError` that a route let pass."""
    assert isinstance(exc, MolmoNodeError)
    return error_reply(exc)


def answer_json(answer: Answer) -> dict[str, Any]:
    """An answer as plain values."""
    fields: dict[str, Any] = msgspec.to_builtins(answer)
    for name in ("type", "v", "id"):
        fields.pop(name, None)
    return fields


def json_bytes(value: Any) -> bytes:
    """Compact JSON; numbers and text as they are."""
    return msgspec.json.encode(value)
