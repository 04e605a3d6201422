"""What is wrong right now, and the next step: the top of the node page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from molmo_node.messages import ProcessHealth
from molmo_node.web.nodes import WORKER, Heard, NodeBoard

_OPENS_AGAIN = "it is opened again by itself; `molmo-node cameras` shows what is connected"
_BAD_STATES = ("degraded", "lost", "failed")


@dataclass(frozen=True)
class Problem:
    """Something that a person should know. `step` is what to do about it."""

    where: str
    what: str
    step: str = ""


def problems(board: NodeBoard, cameras: list[dict[str, Any]]) -> list[dict[str, str]]:
    """All that is wrong, as plain values.

    Args:
        cameras: as `views.camera_json` gives them.
    """
    found = [*_of_worker(board.worker), *_of_cameras(board, cameras), *_of_processes(board)]
    return [asdict(problem) for problem in found]


def _of_worker(heard: Heard | None) -> Iterator[Problem]:
    if heard is None:
        step = "`molmo-node up --camera 0` starts one, `molmo-node doctor` looks at this machine"
        yield Problem(WORKER, "no worker was heard of: nothing can be asked", step)
    elif heard.is_lost:
        step = "a supervisor starts it again; else start `molmo-node worker`"
        yield Problem(WORKER, f"silent for {heard.silent_s:.0f} s", step)
    elif heard.status.state in _BAD_STATES:
        step = "its last lines stand below, where a supervisor keeps it"
        yield Problem(WORKER, f"{heard.status.state}: {heard.status.detail}", step)


def _of_cameras(board: NodeBoard, cameras: list[dict[str, Any]]) -> Iterator[Problem]:
    for camera in cameras:
        if camera["alive"]:
            continue
        age_ms = camera["age_ms"]
        seen = "no frame yet" if age_ms is None else f"lost, last frame {age_ms / 1e3:.0f} s ago"
        node = board.heard.get(f"camera.{camera['name']}")
        detail = node.status.detail if node is not None and not node.is_lost else ""
        what = f"{seen}: {detail}" if detail else seen
        yield Problem(f"camera {camera['name']}", what, _OPENS_AGAIN)


def _of_processes(board: NodeBoard) -> Iterator[Problem]:
    heard = board.heard.get("supervisor")
    for process in heard.status.processes if heard is not None else ():
        if process.state in ("restarting", "failed"):
            yield Problem(f"process {process.name}", _ended(process), "its last lines stand below")


def _ended(process: ProcessHealth) -> str:
    code = process.exit_code
    how = "ended" if code is None else f"ended with {'signal' if code < 0 else 'code'} {abs(code)}"
    again = "it failed again and again, and is still tried" if process.state == "failed" else (
        "it starts again"
    )  # fmt: skip
    because = f" ({process.reason})" if process.reason else ""
    return f"{how}{because}; {again}"
