"""ros2: the bridge to ROS 2, in an interpreter that has rclpy."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

from molmo_node.cli import options
from molmo_node.cli.signals import StopSignals

if TYPE_CHECKING:
    from molmo_node.config import Settings


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
    from molmo_node.ros2.environment import prepare

    prepare()
    from molmo_node.ros2.run import BridgeRun

    bridge = BridgeRun(context.args, nodes.ros_surroundings(settings))
    signals.attach(bridge.stop)
    raise typer.Exit(signals.exit_code(bridge.run()))


def with_ros(settings: Settings) -> None:
    """Go on in the interpreter that the settings name, where this one has no rclpy.

    The process stays the same one, so that whoever started it can stop it.
    """
    from molmo_node.ros2.environment import clean_environment, has_rclpy

    if settings.ros2.python is None or has_rclpy():
        return
    python = str(settings.ros2.python)
    arguments = [python, "-m", "molmo_node", *sys.argv[1:]]
    try:
        os.execve(python, arguments, clean_environment())  # noqa: S606  our own argv
    except OSError as exc:
        from molmo_node.errors import ConfigError

        raise ConfigError(
            f"ros2.python {python}: cannot be started ({exc.strerror})",
            hint="name the Python of an environment that has molmo_node and rclpy",
        ) from exc
