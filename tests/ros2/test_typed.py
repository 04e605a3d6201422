"""The service and the action with types of their own, built as docs/ros2.md says."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest

from tests.ros2.conftest import make_field
from tests.ros2.environments import ROOT, needs
from tests.ros2.scene import THINGS

pytestmark = [pytest.mark.ros2, pytest.mark.soak, pytest.mark.timeout(900)]

SUCCEEDED, CANCELED, ABORTED = 4, 5, 6


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """An active bridge and a peer that both find molmo_node_interfaces."""
    needs("kilted")
    prefix = tmp_path_factory.mktemp("interfaces")
    tool = [sys.executable, ROOT / "tools" / "build_ros2_interfaces.py"]
    done = subprocess.run(
        [*tool, ROOT / ".venv-ros-kilted", "--prefix", prefix],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.stderr.startswith("missing: "):
        pytest.skip(f"molmo_node_interfaces cannot be built here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    site = next(prefix.glob("lib/python*/site-packages"))
    for field in make_field(tmp_path_factory.mktemp("typed"), "kilted"):
        field.more_env = {"PYTHONPATH": f"{ROOT}:{site}", "LD_LIBRARY_PATH": f"{prefix}/lib"}
        field.worker()
        field.bridge(image_topic="/cam/image", depth_topic="/cam/depth",
                     watches__things__text="things", watches__things__rate_hz=30.0)  # fmt: skip
        peer = field.peer()
        topics = dict.fromkeys(("/cam/image", "/cam/camera_info", "/cam/depth"), True)
        assert peer("wait_graph", topics=topics, within_s=40.0), field.stack.output()
        assert peer("stream", topic="/cam/image", depth="16UC1"), field.stack.output()
        yield peer


def ask(peer, **fields):
    peer("publish", topic="/cam/image", count=2, depth="16UC1")
    kind = "molmo_node_interfaces/srv/Ask"
    return peer("call", name="/molmo_node/ask", kind=kind, fields=fields)


def is_at(place, truth_m):
    return math.dist((place["x"], place["y"], place["z"]), truth_m) < 0.01


def test_ask_gives_pixels_places_and_the_whole_answer(typed):
    told = ask(typed, task="point", text="things")

    assert told["success"]
    assert told["labels"] == [thing.name for thing in THINGS]
    assert all(
        is_at(*pair) for pair in zip(told["points"], (t.center_m for t in THINGS), strict=True)
    )
    assert told["header"]["frame_id"] == "camera_optical"
    stamp_ns = json.loads(told["answer_json"])["frame"]["stamp_ns"]
    stamp = told["header"]["stamp"]
    assert stamp["sec"] * 10**9 + stamp["nanosec"] == stamp_ns
    assert math.isnan(told["value"])


def test_ask_says_why_there_is_no_answer(typed):
    told = ask(typed, task="jump", text="x")

    assert (told["success"], told["code"]) == (False, "protocol_error")
    assert "tasks: point, count" in told["message"]


def test_the_action_finds(typed):
    typed("publish", topic="/cam/image", count=2, depth="16UC1")

    told = typed("find", text="things")

    assert told["status"] == SUCCEEDED
    assert is_at(told["result"]["points"][0], THINGS[0].center_m)


def test_the_action_tells_how_long_it_waits_and_can_be_cancelled(typed):
    typed("publish", topic="/cam/image", count=2, depth="16UC1")

    told = typed("find", text="slow thing", is_cancelled=True)

    assert told["status"] == CANCELED
    assert told["result"]["code"] == "cancelled"
    assert told["feedback"] == sorted(told["feedback"])
    assert 0.0 < told["feedback"][-1] < 3.0


def test_the_action_aborts_with_the_reason(typed):
    told = typed("find", text=" ")

    assert told["status"] == ABORTED
    assert told["result"]["code"] == "protocol_error"
