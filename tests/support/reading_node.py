"""Fixtures: a node that reads a dial, once for each file of tests; sinks and brokers beside it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import molmo_node
from molmo_node.messages import Status
from tests.support.broker import Broker, Listener
from tests.support.stack import Process, Stack
from tests.support.waiting import wait_for

EXAMPLES = Path(molmo_node.__file__).parent / "examples"
NODE = {
    "cameras": [{"name": "bench", "source": str(EXAMPLES / "pressure_run"), "fps": 10}],
    "worker": {"model": "none"},
    "gauges": {"folder": str(EXAMPLES / "gauges")},
    "watches": [
        {"name": "pressure", "task": "read_gauge", "text": "pressure_run", "rate_hz": 5},
        # Another dial than the one in the picture: it is never read.
        {"name": "absent", "task": "read_gauge", "text": "workshop_gauge", "rate_hz": 2},
    ],
}


class ReadingNode:
    """Camera bench and a worker with two watches; sinks are started beside it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.config = str(stack.file("node.yaml", yaml.safe_dump(NODE)))
        self.start_camera()
        stack.start("worker", "worker", "-c", self.config)
        self.client = stack.client(connect_s=15)
        stack.wait_ready(self.client, "bench")

    def start_camera(self) -> Process:
        return self.stack.start("camera", "camera", "--name", "bench", "-c", self.config)

    def sink(self, kind: str, settings: dict[str, Any], **env: str) -> Process:
        sinks = {"sinks": {kind: settings}}
        config = self.stack.file(f"{kind}.yaml", yaml.safe_dump({**NODE, **sinks}))
        return self.stack.start(f"sink.{kind}", "sink", kind, "-c", str(config), env=env)

    def end_sinks(self) -> None:
        """One sink of a kind runs at a time."""
        for name in [name for name in self.stack.processes if name.startswith("sink.")]:
            self.stack.processes.pop(name).end()

    def sink_status(
        self, kind: str, is_it: Callable[[Status], object], within_s: float = 15.0
    ) -> Status:
        """The first status of a sink that `is_it` accepts; it must run."""
        name = f"sink.{kind}"
        wait_for(lambda: name in self.stack.nodes(), within_s, f"{name}\n{self.stack.output()}")
        return self.stack.wait_status(self.client, lambda s: s.node == name and is_it(s), within_s)


@pytest.fixture(scope="module")
def module_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadingNode]:
    run_dir = Path(tempfile.mkdtemp(prefix="mn-"))
    stack = Stack(tmp_path_factory.mktemp("node"), run_dir)
    try:
        yield ReadingNode(stack)
    finally:
        stack.close()
        shutil.rmtree(run_dir)


@pytest.fixture
def node(module_node: ReadingNode) -> Iterator[ReadingNode]:
    module_node.end_sinks()
    yield module_node
    module_node.end_sinks()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    yield broker
    broker.stop()


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    listener = Listener(broker.port)
    yield listener
    listener.close()
