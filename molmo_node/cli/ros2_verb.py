"""ros2: the bridge to ROS 2, in an interpreter that has rclpy."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

from molmo_node.cli import options
from molmo_node.cli.signals import StopSignals
from molmo_node.errors import ConfigError

if TYPE_CHECKING:
    from molmo_node.config import Settings

# Not MOLMO_NODE_…: that would be a setting, and an unknown one.
_PASSED_ON = "_MOLMO_ROS2_PASSED_ON"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        epilog="Example: molmo-node ros2 --ros-args"
        " -p image_topic:=/camera/image_raw/compressed -p watches.mug.text:='the red mug'",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(ros2)


def ros2(
    context: typer.Context,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Bridge a ROS 2 image topic to the worker, and its answers to ROS 2; --ros-args follow."""
    signals = StopSignals()
    from molmo_node.cli import nodes, session

    settings = session.load_settings(config, run_dir=run_dir).settings
    session.start_log(settings)
    with_ros(settings)
    from molmo_node.ros2.run import BridgeRun

    bridge = BridgeRun(context.args, nodes.ros_surroundings(settings))
    signals.attach(bridge.stop)
    raise typer.Exit(signals.exit_code(bridge.run()))


def with_ros(settings: Settings) -> None:
    """Be in an interpreter with rclpy: this one, or else go on in the one that the settings name.

    The process stays the same one, so that whoever started it can stop it.

    Raises:
        ConfigError: there is no rclpy in either; the hint says how to get it.
    """
    from molmo_node.ros2.environment import clean_environment, has_rclpy, prepare

    was_passed_on = os.environ.pop(_PASSED_ON, "")
    if settings.ros2.python is None or has_rclpy() or was_passed_on:
        prepare()
        return
    python = str(settings.ros2.python)
    arguments = [python, "-m", "molmo_node", *sys.argv[1:]]
    try:
        os.execve(python, arguments, {**clean_environment(), _PASSED_ON: "1"})  # noqa: S606
    except OSError as exc:
        raise ConfigError(
            f"ros2.python {python}: cannot be started ({exc.strerror})",
            hint="name the Python of an environment that has molmo_node and rclpy",
        ) from exc
