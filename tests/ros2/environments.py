"""The environments with ROS 2 wheels that `make` installs, and processes in them."""

from __future__ import annotations

import functools
import json
import os
import secrets
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DISTROS = ("jazzy", "kilted")
PEER = Path(__file__).with_name("peer_program.py")


def python_of(distro: str) -> Path:
    """The interpreter of a distribution's environment."""
    return ROOT / f".venv-ros-{distro}" / "bin" / "python"


@functools.cache
def missing(distro: str) -> str:
    """Why a distribution cannot be used here; empty if it can."""
    python = python_of(distro)
    if not python.exists():
        return f"ROS 2 {distro} is not installed: make .venv-ros-{distro}/.made"
    done = subprocess.run(
        [python, "-c", "import rclpy, sensor_msgs.msg, zmq"],
        env=clean_env(), capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip() or "?").splitlines()[-1]
        return f"ROS 2 {distro} cannot be imported ({last}): there are wheels for x86_64 only"
    return ""


def needs(*distros: str) -> None:
    """Skip the test, with the reason, where a distribution is not there."""
    for distro in distros:
        if reason := missing(distro):
            pytest.skip(reason)


def clean_env(**more: str) -> dict[str, str]:
    """Our variables without what ROS wheels or a sourced ROS left; loopback only."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ROS_", "_ROS_", "FAST"))}
    return {**env, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", **more}


def new_domain() -> str:
    """A domain that other tests on this machine hardly use; 0 to 101 are safe everywhere."""
    return str(1 + secrets.randbelow(100))


class Peer:
    """An rclpy program of a robot, in its own environment."""

    def __init__(self, distro: str, env: dict[str, str]) -> None:
        self._popen = subprocess.Popen(
            [python_of(distro), PEER], env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._reply() == "ready"

    def __call__(self, what: str, **fields: Any) -> Any:
        """Have it do something, and give its reply."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(json.dumps({"do": what, **fields}) + "\n")
        self._popen.stdin.flush()
        return self._reply()

    def close(self) -> None:
        """Let it leave the graph and end."""
        if self._popen.poll() is None:
            self("close")
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._popen.stdin.close()
        self._popen.wait(10)
        self._popen.stdout.close()

    def _reply(self) -> Any:
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        assert line, f"the peer ended with {self._popen.wait(5)}"
        return json.loads(line)
