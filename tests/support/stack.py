"""Real processes for a test: started with `python -m molmo_node`, watched, and cleaned up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

import psutil
import yaml

from molmo_node.bus.lock import running_nodes
from molmo_node.bus.sockets import Security
from molmo_node.client import Client
from molmo_node.errors import DeadlineExceeded
from molmo_node.messages import Status
from tests.support.waiting import wait_for

START_S = 15.0
STOP_S = 6.0


class Process:
    """A child with its output kept."""

    def __init__(self, argv: list[str], env: dict[str, str], keep_lines: int = 400) -> None:
        self.popen = subprocess.Popen(
            argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: deque[str] = deque(maxlen=keep_lines)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def is_alive(self) -> bool:
        return self.popen.poll() is None

    def send(self, number: signal.Signals) -> None:
        if self.is_alive():
            self.popen.send_signal(number)

    def wait(self, within_s: float = STOP_S) -> int:
        try:
            code = self.popen.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs after {within_s} s:\n{self.output}") from None
        self._reader.join()
        return code

    def end(self) -> None:
        """However it is: let it end."""
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            self.popen.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self._reader.join()
        assert self.popen.stdout is not None
        self.popen.stdout.close()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.lines.append(line)


class Stack:
    """A run_dir of its own and the processes in it, named as they were started."""

    def __init__(self, folder: Path, run_dir: Path) -> None:
        self.folder = folder
        self.run_dir = run_dir
        self.processes: dict[str, Process] = {}
        self._ended: list[Process] = []
        # A browser that other tests use too is no process of ours.
        self._foreign = {child.pid for child in psutil.Process().children()}
        self._clients: list[Client] = []

    def start(self, name: str, *args: str, env: dict[str, str] | None = None) -> Process:
        """Start `molmo-node ARGS`."""
        return self.run(name, [sys.executable, "-m", "molmo_node", *args], env)

    def run(
        self, name: str, argv: list[str], env: dict[str, str] | None = None, keep_lines: int = 400
    ) -> Process:
        """Start a program whose default run_dir is this stack's."""
        full_env = {
            **os.environ,
            "MOLMO_NODE_RUN_DIR": str(self.run_dir),
            "MOLMO_NODE_WEB__ENABLED": "false",  # the tests of the page say otherwise
            "MOLMO_NODE_WEB__PORT": "0",
            **(env or {}),
        }
        process = Process(argv, full_env, keep_lines)
        if name in self.processes:
            self._ended.append(self.processes[name])
        self.processes[name] = process
        return process

    def camera(self, name: str = "front", source: str = "pattern:320x240@30") -> Process:
        """A camera process."""
        return self.start(f"camera.{name}", "camera", "--name", name, "--source", source)

    def worker(self, script: dict[str, Any] | None = None, **settings: Any) -> Process:
        """A worker with a scripted engine; `settings` are keys of its worker section."""
        worker = {"model": "none", **settings}
        if script is not None:
            worker["model"] = f"scripted:{self.file('script.yaml', yaml.safe_dump(script))}"
        config = self.file("worker.yaml", yaml.safe_dump({"worker": worker}))
        return self.start("worker", "worker", "-c", str(config))

    def up(self, settings: dict[str, Any], *args: str) -> Process:
        """A supervised node with these settings."""
        config = self.file("up.yaml", yaml.safe_dump(settings))
        return self.start("up", "up", "-c", str(config), *args)

    def file(self, name: str, text: str) -> Path:
        """A file in the test's folder."""
        path = self.folder / name
        path.write_text(text)
        return path

    def client(self, security: Security | None = None, **options: Any) -> Client:
        """A client of this stack's worker, closed at the end."""
        client = Client(run_dir=self.run_dir, security=security, **options)
        self._clients.append(client)
        return client

    def wait_status(
        self, client: Client, is_it: Any, within_s: float = START_S, what: str = "a status"
    ) -> Status:
        """The first status from any node that `is_it` accepts."""
        with client.statuses() as statuses:
            found: list[Status] = []

            def look() -> Status | None:
                try:
                    found.append(statuses.get(0.05))
                except DeadlineExceeded:
                    return None
                return found[-1] if is_it(found[-1]) else None

            try:
                return wait_for(look, within_s, what)
            except AssertionError as exc:
                states = [(s.node, s.state, s.detail) for s in found[-5:]]
                raise AssertionError(f"{exc}; last: {states}\n{self.output()}") from None

    def wait_ready(self, client: Client, *cameras: str) -> Status:
        """Wait until the worker serves, and sees these cameras alive."""

        def is_ready(status: Status) -> bool:
            alive = {camera.name for camera in status.cameras if camera.alive}
            return status.node == "worker" and status.state == "ready" and alive >= set(cameras)

        wait_for(lambda: "worker" in self.nodes(), START_S, f"a worker\n{self.output()}")
        status = self.wait_status(client, is_ready, what=f"a ready worker that sees {cameras}")
        client.status()  # the connection that asks stands too
        return status

    def nodes(self) -> dict[str, int]:
        """The living nodes' pids."""
        return {entry.node: entry.pid for entry in running_nodes(self.run_dir)}

    def output(self) -> str:
        """What all processes wrote, for a failure's message."""
        return "\n".join(f"--- {name}\n{p.output}" for name, p in self.processes.items())

    def close(self) -> None:
        """End everything and check that nothing is left."""
        for client in self._clients:
            client.close()
        ours = [c for c in psutil.Process().children() if c.pid not in self._foreign]
        children = [each for one in ours for each in (one, *one.children(recursive=True))]
        for process in [*reversed(list(self.processes.values())), *self._ended]:
            process.end()
        _, alive = psutil.wait_procs(children, timeout=2.0)
        for process in alive:
            process.kill()
        assert not alive, f"left behind: {[p.cmdline() for p in alive]}\n{self.output()}"
