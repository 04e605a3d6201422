"""A ROS image topic as a camera for everything else, and the interpreter that it needs."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from molmo_node.cli.exits import WRONG_USAGE
from molmo_node.messages import Question
from molmo_node.ros2.environment import SHM_DIR
from tests.ros2.environments import needs, python_of
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.ros2, pytest.mark.process, pytest.mark.timeout(240)]

PROGRAM = [sys.executable, "-m", "molmo_node"]


def example() -> list[str]:
    """What stands behind the verb in the example of its help."""
    told = subprocess.run(
        [*PROGRAM, "ros2", "--help"], capture_output=True, text=True, check=True
    ).stdout
    return shlex.split(told.partition("Example: molmo-node ros2")[2])


def segments() -> set[Path]:
    return {path for path in SHM_DIR.iterdir() if path.name.startswith(("fastrtps_", "fastdds_"))}


def test_a_topic_is_a_camera_from_an_interpreter_without_ros(field):
    needs("jazzy")
    field.worker()
    env = field.env(MOLMO_NODE_ROS2__PYTHON=str(python_of("jazzy")))
    argv = [*PROGRAM, "camera", "--name", "eye", "--source", "ros2:/eye/image"]
    camera = field.stack.run("camera.eye", argv, env)
    peer, client = field.peer(), field.client()
    assert peer("wait_graph", topics={"/eye/image": True}, within_s=60.0), field.stack.output()
    watch = client.watch(Question.point("things"), camera="eye", rate_hz=30.0)

    shown = peer("publish", topic="/eye/image", count=40, within_s=0.2)
    answer = watch.get(20.0)

    frame = answer.frame
    assert frame.stamp_ns in {one["stamp_ns"] for one in shown}
    assert (frame.camera, frame.frame_id) == ("eye", "camera_optical")
    assert (answer.width, answer.height) == (640, 480)
    watch.close()
    camera.send(signal.SIGINT)
    assert camera.wait(40.0) == 130, camera.output


def test_the_bridge_without_rclpy_says_how_to_get_it(field):
    bridge = field.stack.run("bridge", [*PROGRAM, "ros2"], field.env())

    assert bridge.wait(60.0) == WRONG_USAGE
    assert "has no rclpy" in bridge.output
    assert "next: " in bridge.output


def test_an_interpreter_that_has_none_either_is_not_tried_again_and_again(field):
    env = field.env(MOLMO_NODE_ROS2__PYTHON=sys.executable)
    bridge = field.stack.run("bridge", [*PROGRAM, "ros2"], env)

    assert bridge.wait(60.0) == WRONG_USAGE
    assert "has no rclpy" in bridge.output


def test_a_wrong_parameter_ends_the_start_with_what_would_be_right(field):
    needs("jazzy")

    bridge = field.bridge(imagetopic="/cam/image")

    assert bridge.wait(60.0) == WRONG_USAGE
    assert "imagetopic: unknown key" in bridge.output
    assert "did you mean image_topic?" in bridge.output
    assert "Traceback" not in bridge.output


def test_a_bridge_that_ends_leaves_no_shared_memory_and_a_killed_ones_is_removed(field):
    needs("jazzy")
    before = segments()
    killed = field.bridge(image_topic="/cam/image")
    wait_for(lambda: "camera.ros" in field.stack.nodes(), 60.0, "an active bridge")
    killed.send(signal.SIGKILL)
    killed.wait(10.0)
    left = {path for path in segments() - before if not path.name.endswith("_el")}
    assert any(path.stat().st_size > 2**26 for path in left)

    bridge = field.run_bridge(*example())
    wait_for(lambda: "camera.ros" in field.stack.nodes(), 60.0, "an active bridge")
    assert not any(path.exists() and path.stat().st_size > 2**26 for path in left)
    mine = segments() - before
    bridge.send(signal.SIGTERM)

    assert bridge.wait(40.0) == 0
    assert not any(path.exists() and path.stat().st_size > 2**26 for path in mine)
