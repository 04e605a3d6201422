"""`/health`: can the model answer now, and if not, why not.

The web server's own life says nothing about the engine, so readiness comes from the worker's
words on the bus: it speaks twice a second, and its totals tell answers from failures.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from molmo_node.client.view import NodeView, SeenCamera, SeenNode

FAILURES_IN_A_ROW = 3
READY = 200
NOT_READY = 503
_SERVING = ("ready", "busy", "degraded")
_NO_STORE = {"Cache-Control": "no-store"}

State = Literal["ready", "degraded", "loading", "lost", "failing"]


@dataclass(frozen=True)
class Health:
    """How a node is.

    Attributes:
        state: `ready`, `degraded` (it answers, and something else is wrong), `loading`, `lost`
            (no worker speaks), `failing` (the engine fails on every question).
        detail: for people, such as ``loading 43 %``.
        reasons: all that is wrong.
    """

    state: State
    detail: str
    reasons: tuple[str, ...]
    load_pct: float | None = None

    @property
    def is_ready(self) -> bool:
        """Whether a question asked now is likely to be answered."""
        return self.state in ("ready", "degraded")


def routes(view: NodeView) -> list[BaseRoute]:
    """`/health` (ready or not) and `/health/live` (this process answers)."""

    async def health(_: Request) -> JSONResponse:
        found = health_of(view)
        return JSONResponse(as_json(found, view), READY if found.is_ready else NOT_READY, _NO_STORE)

    async def live(_: Request) -> JSONResponse:
        return JSONResponse({"alive": True}, READY, _NO_STORE)

    return [Route("/health", health), Route("/health/live", live)]


def health_of(view: NodeView) -> Health:
    """A node's health now."""
    worker = view.worker()
    if worker is None:
        return _unready("lost", "no worker was heard yet; `molmo-node up` starts one")
    status = worker.status
    if worker.is_lost:
        last_words = f", its last words: {status.detail}" if status.detail else ""
        return _unready(
            "lost", f"the worker is silent for {worker.age_s:.1f} s ({status.state}{last_words})"
        )
    if status.state not in _SERVING:
        percent = "" if status.load_pct is None else f" {status.load_pct:.0f} %"
        detail = f"loading{percent}" if status.state == "loading" else status.state
        return Health("loading", detail, (detail,), status.load_pct)
    if worker.failures >= FAILURES_IN_A_ROW:
        return _unready(
            "failing",
            f"the engine failed on the last {worker.failures} questions; the worker's log says why",
        )
    reasons = (*_cameras(view.cameras()), *_others(view.nodes()))
    return Health("degraded" if reasons else "ready", "; ".join(reasons) or "ready", reasons)


def as_json(health: Health, view: NodeView) -> dict[str, Any]:
    """What `/health` says; everything beyond `state` and `ready` is for people."""
    worker = view.worker()
    known = None if worker is None or worker.is_lost else worker.status
    return {
        "alive": True,
        "ready": health.is_ready,
        **asdict(health),
        "model": known.model if known else None,
        "tasks": known.tasks if known else (),
        "queue_length": known.queue_length if known else None,
        "cameras": [
            {
                "name": camera.name,
                "alive": camera.is_alive,
                "reason": camera.reason or None,
                "last_frame_ns": camera.last_frame_ns,
            }
            for camera in view.cameras()
        ],
    }


def _unready(state: State, reason: str) -> Health:
    return Health(state, reason, (reason,))


def _cameras(cameras: list[SeenCamera]) -> list[str]:
    return [f"camera {camera.name}: {camera.reason}" for camera in cameras if not camera.is_alive]


def _others(nodes: list[SeenNode]) -> list[str]:
    """Sinks, the supervisor and other helpers that are not well, or fell silent without a word."""
    found = []
    for node in nodes:
        if node.status.kind in ("camera", "worker") or node.status.state == "stopped":
            continue
        if node.is_lost:
            found.append(f"{node.status.node}: silent for {node.age_s:.1f} s")
        elif node.status.state not in _SERVING or node.status.state == "degraded":
            found.append(f"{node.status.node}: {node.status.detail or node.status.state}")
    return found
