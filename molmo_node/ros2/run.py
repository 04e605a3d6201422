"""Runs the bridge in this process until it is told to stop."""

from __future__ import annotations

import threading

import rclpy
from rclpy.executors import MultiThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from molmo_node.errors import ConfigError
from molmo_node.ros2.active import Surroundings
from molmo_node.ros2.bridge import BridgeNode
from molmo_node.ros2.services import THREADS

SPIN_S = 0.2


class BridgeRun:
    """One life of the bridge. `environment.prepare` must have been called.

    Args:
        ros_args: what stands after the verb: ``--ros-args -p image_topic:=/camera/image …``.

    Raises:
        ConfigError: an argument that is none of ROS', or a wrong parameter.
    """

    def __init__(self, ros_args: list[str], surroundings: Surroundings) -> None:
        self._is_stopping = threading.Event()
        rest = remove_ros_args(["molmo-node", *ros_args])[1:]
        if rest:
            raise ConfigError(
                f"unknown argument {rest[0]!r}", hint="ROS' own arguments stand after --ros-args"
            )
        rclpy.init(args=ros_args, signal_handler_options=SignalHandlerOptions.NO)
        self._node = BridgeNode(surroundings)
        self._executor = MultiThreadedExecutor(num_threads=THREADS)
        self._executor.add_node(self._node)

    def stop(self) -> None:
        """End `run` soon; safe in a signal handler and from any thread."""
        self._is_stopping.set()

    def run(self) -> int:
        """Spin until stopped; returns the process's exit code.

        Raises:
            MolmoNodeError: it starts by itself, and could not.
        """
        try:
            if self._node.given.autostart:
                self._start()
            while not self._is_stopping.is_set() and rclpy.ok():
                self._executor.spin_once(timeout_sec=SPIN_S)
        finally:
            self._close()
        return 0

    def _start(self) -> None:
        for step in (self._node.trigger_configure, self._node.trigger_activate):
            step()
            if self._node.problem is not None:
                raise self._node.problem

    def _close(self) -> None:
        self._node.drop()
        self._executor.shutdown(timeout_sec=1.0)
        self._node.destroy_node()
        rclpy.try_shutdown()
