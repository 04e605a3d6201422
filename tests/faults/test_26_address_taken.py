"""Row 26: the place to listen at is taken, or only looks so."""

from __future__ import annotations

import os
import signal
import socket
import statistics
import time

import pytest
import yaml

from tests.support.machine import interpreter_start_s, within
from tests.support.stack import Process, Stack
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

EXIT_S = 1.0


def exit_of(process: Process, from_s: float) -> tuple[int, float]:
    """The exit code, and how long all took."""
    code = process.wait(within_s=20)
    return code, time.monotonic() - from_s


def start_at(stack: Stack, endpoint: str, name: str = "worker") -> Process:
    config = stack.file(f"{name}.yaml", yaml.safe_dump({"worker": {"endpoint": endpoint}}))
    return stack.start(name, "worker", "-c", str(config))


def check_exit(process: Process, from_s: float) -> None:
    """Refused at once: as fast as the program starts, and 1 s."""
    code, took_s = exit_of(process, from_s)
    assert code == 2, process.output
    assert "Traceback" not in process.output
    start_s = statistics.median(interpreter_start_s() for _ in range(3))
    within("refused after", took_s, start_s + EXIT_S)


def test_port_in_use_names_the_endpoint_and_its_holder(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        endpoint = f"tcp://127.0.0.1:{holder.getsockname()[1]}"
        from_s = time.monotonic()
        worker = start_at(stack, endpoint)
        worker.wait(within_s=20)

        assert endpoint in worker.output
        assert f"pid {os.getpid()}" in worker.output
        assert "  next: " in worker.output
        check_exit(worker, from_s)


def test_second_worker_of_a_run_dir_is_refused(stack: Stack) -> None:
    first = stack.worker({"answers": [{"reply": "here"}]})
    stack.camera()
    client = stack.client()
    stack.wait_ready(client, "front")

    from_s = time.monotonic()
    second = stack.start("second", "worker")
    second.wait(within_s=20)

    assert f"pid {first.pid}" in second.output
    assert str(stack.run_dir / "worker.lock") in second.output
    assert client.point("mug").text == "here"
    check_exit(second, from_s)


def test_ipc_path_of_a_living_node_is_not_taken_over(stack: Stack) -> None:
    path = f"ipc://{stack.run_dir}/elsewhere"
    first = start_at(stack, path, "first")
    wait_for(lambda: (stack.run_dir / "elsewhere.0").exists(), 15, "the first worker")
    other_dir = stack.run_dir / "other"

    from_s = time.monotonic()
    config = stack.file("second.yaml", yaml.safe_dump({"worker": {"endpoint": path}}))
    second = stack.start(
        "second", "worker", "-c", str(config), env={"MOLMO_NODE_RUN_DIR": str(other_dir)}
    )
    second.wait(within_s=20)

    assert path in second.output
    assert f"pid {first.pid}" in second.output
    assert first.is_alive()
    check_exit(second, from_s)


def test_what_a_killed_node_left_is_taken_over(stack: Stack) -> None:
    killed = stack.worker({"answers": [{"reply": "here"}]})
    stack.camera()
    client = stack.client()
    stack.wait_ready(client, "front")
    killed.send(signal.SIGKILL)
    killed.wait()
    left = {path.name for path in stack.run_dir.iterdir()}
    assert {"worker.lock", "worker.0", "worker.1"} <= left

    stack.worker({"answers": [{"reply": "here"}]})

    stack.wait_ready(client, "front")
    assert client.point("mug", timeout_s=10).text == "here"
