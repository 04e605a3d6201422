"""A worker, a bridge and a robot's program: three processes, in a ROS domain of their own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from molmo_node.client import Client
from molmo_node.ros2.environment import PROFILE
from tests.ros2.environments import ROOT, Peer, clean_env, new_domain, python_of
from tests.ros2.scene import THINGS, Scene
from tests.support.stack import Process, Stack

GAUGES = ROOT / "molmo_node" / "examples" / "gauges"
VGA = Scene(640, 480)


def scripted_points(scene: Scene) -> list[list[object]]:
    """What a good engine says: whole pixels, so half a pixel off at most."""
    return [[*map(round, scene.pixel(thing.center_m)), thing.name] for thing in THINGS]


class Field:
    """The processes of one test, and what they share."""

    def __init__(self, stack: Stack, distro: str) -> None:
        self.stack = stack
        self.distro = distro
        self._domain = new_domain()
        self.more_env: dict[str, str] = {}
        self._peers: list[Peer] = []

    def env(self, **more: str) -> dict[str, str]:
        """Variables of all programs: this domain, this checkout."""
        base = {"ROS_DOMAIN_ID": self._domain, "PYTHONPATH": str(ROOT)}
        return clean_env(**{**base, **self.more_env, **more})

    def worker(self) -> Process:
        """A worker with a script, and the example gauges."""
        script = {
            "answers": [
                {"task": "point", "text": "things", "points": scripted_points(VGA)},
                {"task": "point", "text": "slow thing", "delay_s": 3.0},
                {"task": "ask", "reply": "two of them"},
            ]
        }
        path = self.stack.file("script.yaml", yaml.safe_dump(script))
        settings = {
            "worker": {"model": f"scripted:{path}"}, "gauges": {"folder": str(GAUGES)},
        }  # fmt: skip
        config = self.stack.file("worker.yaml", yaml.safe_dump(settings))
        return self.stack.start("worker", "worker", "-c", str(config))

    def run_bridge(self, *arguments: str) -> Process:
        """`molmo-node ros2 ARGUMENTS` in this distribution's environment."""
        argv = [str(python_of(self.distro)), "-m", "molmo_node", "ros2", *arguments]
        return self.stack.run("bridge", argv, self.env())

    def bridge(self, **parameters: Any) -> Process:
        """The bridge with these parameters; double underscores are dots."""
        options = []
        for name, value in parameters.items():
            options += ["-p", f"{name.replace('__', '.')}:={value}"]
        return self.run_bridge("--ros-args", *options)

    def peer(self, distro: str = "") -> Peer:
        """A robot's program with the shipped profile, as docs/ros2.md tells its author."""
        variables = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
        peer = Peer(distro or self.distro, self.env(**dict.fromkeys(variables, str(PROFILE))))
        self._peers.append(peer)
        return peer

    def client(self) -> Client:
        """A client of the worker."""
        return self.stack.client()

    def close(self) -> None:
        """End the peers, then the rest."""
        for peer in self._peers:
            peer.close()
        self.stack.close()


def make_field(tmp_path: Path, distro: str) -> Iterator[Field]:
    run_dir = Path(tempfile.mkdtemp(prefix="mn-"))
    field = Field(Stack(tmp_path, run_dir), distro)
    yield field
    field.close()
    shutil.rmtree(run_dir)


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    """Without processes yet, on Jazzy."""
    yield from make_field(tmp_path, "jazzy")
