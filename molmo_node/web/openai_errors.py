"""Errors in the shape that OpenAI's clients read."""

from __future__ import annotations

import math

from starlette.responses import JSONResponse

from molmo_node.errors import (
    Busy,
    DeadlineExceeded,
    ModelError,
    MolmoNodeError,
    NoAnswer,
    NotConnected,
    ProtocolError,
    WorkerLost,
)

RETRY_AFTER_S = 2
LONGEST_RETRY_S = 60
_BY_KIND: tuple[tuple[type[MolmoNodeError], int, str], ...] = (
    (Busy, 429, "rate_limit_error"),
    (DeadlineExceeded, 504, "timeout_error"),
    (NotConnected, 503, "server_error"),
    (WorkerLost, 503, "server_error"),
    (ModelError, 500, "server_error"),
    (NoAnswer, 400, "invalid_request_error"),
    (ProtocolError, 400, "invalid_request_error"),
)


class RequestRefused(MolmoNodeError):
    """A request that is refused at the door.

    Args:
        status: the HTTP status.
        reason: a word for programs: OpenAI's `code`.
        param: the field of the request that is at fault.
    """

    def __init__(
        self, message: str, *, hint: str = "", status: int = 400, reason: str, param: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.reason = reason
        self.param = param


def unauthorized() -> JSONResponse:
    """The answer to a request without the right token."""
    refused = RequestRefused(
        "no token, or a wrong one",
        hint="send it as `Authorization: Bearer TOKEN`; OpenAI's clients call it api_key",
        status=401,
        reason="invalid_api_key",
    )
    return error_response(refused)


def error_response(error: MolmoNodeError) -> JSONResponse:
    """An error of ours as an HTTP response."""
    param: str | None = None
    if isinstance(error, RequestRefused):
        status, kind, code = error.status, "invalid_request_error", error.reason
        param = error.param or None
    else:
        code = error.code
        found = ((status, kind) for cls, status, kind in _BY_KIND if isinstance(error, cls))
        status, kind = next(found, (500, "server_error"))
    body = {"error": {"message": str(error), "type": kind, "param": param, "code": code}}
    headers = {"Retry-After": str(_retry_after_s(error))} if status in (429, 503) else {}
    return JSONResponse(body, status, headers)


def _retry_after_s(error: MolmoNodeError) -> int:
    wait_ms = error.wait_ms if isinstance(error, Busy) else None
    if wait_ms is None:
        return RETRY_AFTER_S
    return min(LONGEST_RETRY_S, max(1, math.ceil(wait_ms / 1e3)))
