"""A node's name is held by one living process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from molmo_node.bus import lock
from molmo_node.bus.lock import NodeEntry, NodeLock, running_nodes
from molmo_node.errors import ConfigError

HOLD = """
import sys
from pathlib import Path
from molmo_node.bus.lock import NodeEntry, NodeLock
import os
NodeLock(Path(sys.argv[1]), NodeEntry("worker", "worker", os.getpid(), "ipc:///x"))
print("held", flush=True)
sys.stdin.read()
"""


def entry(node="worker"):
    return NodeEntry(node, "worker", os.getpid(), "ipc:///x")


@pytest.fixture(autouse=True)
def no_patience(monkeypatch):
    monkeypatch.setattr(lock, "PROBE_S", 0.0)


def test_a_held_name_is_listed_and_a_given_back_one_is_not(tmp_path):
    held = NodeLock(tmp_path, entry())
    assert running_nodes(tmp_path) == [entry()]
    held.release()
    assert running_nodes(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_the_second_holder_is_told_who_the_first_is(tmp_path):
    held = NodeLock(tmp_path, entry())
    with pytest.raises(ConfigError, match=f"pid {os.getpid()}"):
        NodeLock(tmp_path, entry())
    held.release()
    NodeLock(tmp_path, entry()).release()


def test_names_do_not_disturb_each_other(tmp_path):
    locks = [NodeLock(tmp_path, entry(name)) for name in ("a", "b")]
    assert [one.node for one in running_nodes(tmp_path)] == ["a", "b"]
    for one in locks:
        one.release()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"node": "worker"}'])
def test_a_file_left_behind_holds_nothing(tmp_path, content):
    (tmp_path / "worker.lock").write_text(content)
    assert running_nodes(tmp_path) == []
    NodeLock(tmp_path, entry()).release()


@pytest.mark.process
def test_the_name_of_a_killed_holder_is_free(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "held\n"
        assert [one.pid for one in running_nodes(tmp_path)] == [child.pid]
        with pytest.raises(ConfigError, match=f"pid {child.pid}"):
            NodeLock(tmp_path, entry())
        child.kill()
    assert running_nodes(tmp_path) == []
    NodeLock(tmp_path, entry()).release()
