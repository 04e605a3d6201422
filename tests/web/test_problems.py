"""What is wrong is said in a person's words, with the next step."""

from __future__ import annotations

import msgspec
import pytest

from molmo_node.messages import ProcessHealth, Status
from molmo_node.web.nodes import Heard, node_json
from molmo_node.web.problems import problems


class Board:
    """Nodes that were heard of, with seconds of silence."""

    def __init__(self, **heard: tuple[Status, float]) -> None:
        self.heard = {
            name.replace("__", "."): SilentHeard(status, silent)
            for name, (status, silent) in heard.items()
        }

    @property
    def worker(self):
        return self.heard.get("worker")


class SilentHeard(Heard):
    @property
    def silent_s(self) -> float:
        return self.at_s


def status(**fields) -> Status:
    base = Status(
        node="worker", kind="worker", session="s", seq=1, stamp_ns=0, mono_ns=0, host="h", pid=7,
        state="ready",
    )  # fmt: skip
    return msgspec.structs.replace(base, **fields)


def camera(**fields) -> dict:
    return {"name": "front", "alive": True, "age_ms": 20.0, **fields}


def test_a_node_that_is_well_has_none():
    assert problems(Board(worker=(status(), 0.1)), [camera()]) == []


@pytest.mark.parametrize(
    ("board", "cameras", "where", "what"),
    [
        (Board(), [], "worker", "no worker was heard of"),
        (Board(worker=(status(), 4.4)), [], "worker", "silent for 4 s"),
        (Board(worker=(status(state="failed", detail="out of memory"), 9.0)), [], "worker",
         "failed: out of memory"),
        (Board(worker=(status(), 0.1)), [camera(alive=False, age_ms=12_300.0)], "camera front",
         "lost, last frame 12 s ago"),
        (Board(worker=(status(), 0.1)), [camera(alive=False, age_ms=None)], "camera front",
         "no frame yet"),
    ],
)  # fmt: skip
def test_each_fault_says_where_and_what_and_what_to_do(board, cameras, where, what):
    (found,) = problems(board, cameras)

    assert (found["where"], found["what"]) == (where, what) or what in found["what"]
    assert found["where"] == where
    assert found["step"]


def test_a_lost_cameras_own_words_are_told():
    lost = status(node="camera.front", kind="camera", state="lost", detail="unplugged?")
    board = Board(worker=(status(), 0.1), camera__front=(lost, 0.2))

    (found,) = problems(board, [camera(alive=False, age_ms=3000.0)])

    assert found["what"] == "lost, last frame 3 s ago: unplugged?"


@pytest.mark.parametrize(
    ("process", "what"),
    [
        (ProcessHealth(name="w", state="restarting", exit_code=3), "ended with code 3; it starts"),
        (ProcessHealth(name="w", state="failed", exit_code=-9), "ended with signal 9; it failed"),
        (ProcessHealth(name="w", state="restarting", exit_code=-9, reason="silent for 3 s"),
         "(silent for 3 s)"),
    ],
)  # fmt: skip
def test_a_process_that_died_is_a_problem(process, what):
    told = status(node="supervisor", kind="supervisor", state="degraded", processes=(process,))
    board = Board(worker=(status(), 0.1), supervisor=(told, 0.1))

    (found,) = problems(board, [])

    assert found["where"] == "process w"
    assert what in found["what"]


def test_who_fell_silent_is_lost_but_who_said_goodbye_is_not():
    assert node_json(SilentHeard(status(), 2.5))["state"] == "lost"
    assert node_json(SilentHeard(status(state="stopped"), 2.5))["state"] == "stopped"
