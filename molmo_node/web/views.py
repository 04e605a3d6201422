"""The node as the page shows it: one JSON value, twice a second."""

from __future__ import annotations

from typing import Any

import msgspec

from molmo_node.bus import limits
from molmo_node.messages import WatchSpec
from molmo_node.web.feed import CameraFeed
from molmo_node.web.nodes import NodeBoard, node_json
from molmo_node.web.standing import Standing
from molmo_node.worker.health import alive_within_ns

SMALL_TEXT = 200


def camera_json(feed: CameraFeed, board: NodeBoard) -> dict[str, Any]:
    """A camera: what comes of it here, and what its own node says."""
    stats, header, age_ms = feed.stats, feed.header, feed.age_ms()
    node = board.heard.get(f"camera.{feed.name}")
    is_down = node is not None and (node.is_lost or node.status.state in ("lost", "failed"))
    is_late = age_ms is None or age_ms > alive_within_ns(feed.expected_hz) / 1e6
    return {
        "name": feed.name,
        "alive": not is_late and not is_down,
        "age_ms": age_ms,
        "rate_hz": round(stats.rate_hz, 1),
        "expected_hz": feed.expected_hz,
        "dropped": stats.gaps,
        "rejected": stats.rejected,
        "path": stats.path,
        "seq": header.ref.seq if header else None,
        "width": header.width if header else None,
        "height": header.height if header else None,
        "state": node.status.state if node is not None and not node.is_lost else "lost",
        "detail": node.status.detail[:SMALL_TEXT] if node is not None else "",
        "viewers": len(feed.lookers),
        "encoded": feed.encoded,
    }


def worker_json(board: NodeBoard) -> dict[str, Any]:
    """The worker: what it can be asked, how it is, what it has counted."""
    heard = board.worker
    if heard is None:
        return {"state": "none", "tasks": [], "model": "", "detail": "", "queue_length": 0}
    status = heard.status
    return {
        "state": "lost" if heard.is_lost else status.state,
        "detail": status.detail,
        "model": status.model,
        "tasks": status.tasks,
        "load_pct": status.load_pct,
        "queue_length": status.queue_length,
        "queue_most": limits.QUERIES_WAITING,
        "counters": status.counters,
        "pid": status.pid,
    }


def watches_json(board: NodeBoard, standing: Standing) -> list[dict[str, Any]]:
    """Every watch that stands at the worker, and the page's own that do not."""
    heard = board.worker
    at_worker = heard.status.watches if heard is not None and not heard.is_lost else ()
    specs = {spec.name: spec for spec in (*standing.specs, *at_worker)}
    stands = {spec.name for spec in at_worker}
    return [
        _watch_json(spec, standing) | {"stands": spec.name in stands} for spec in specs.values()
    ]


def _watch_json(spec: WatchSpec, standing: Standing) -> dict[str, Any]:
    return {
        "name": spec.name,
        "question": msgspec.to_builtins(spec.question),
        "camera": spec.camera,
        "rate_hz": spec.rate_hz,
        **standing.facts(spec.name),
    }


def processes_json(board: NodeBoard) -> list[dict[str, Any]]:
    """The supervised processes; empty where nobody supervises."""
    heard = board.heard.get("supervisor")
    if heard is None or heard.is_lost or heard.status.state == "stopped":
        return []
    return [msgspec.to_builtins(process) for process in heard.status.processes]


def nodes_json(board: NodeBoard) -> list[dict[str, Any]]:
    """Every node that was heard of."""
    return [node_json(board.heard[name]) for name in sorted(board.heard)]
