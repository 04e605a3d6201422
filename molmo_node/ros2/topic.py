"""A ROS 2 image topic as a camera of molmo_node: ``ros2:/camera/image_raw/compressed``."""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING, Any

from molmo_node.camera.base import Grabbed, SourceInfo
from molmo_node.camera.spec import SourceSpec
from molmo_node.clock import Clock
from molmo_node.errors import CameraError, ConfigError
from molmo_node.ros2.environment import prepare
from molmo_node.ros2.images import Arrived
from molmo_node.ros2.slot import NewestSlot
from molmo_node.ros2.source import SlotSource

if TYPE_CHECKING:
    from molmo_node.ros2.subscribing import ImageInput


class TopicSource:
    """Frames of one topic, stamped and framed by their headers; the newest one at each read.

    The process has one ROS node for all its sources: a topic that is silent is subscribed to
    again and again, and each new node would have to be discovered by the whole graph.
    """

    def __init__(self, spec: SourceSpec, clock: Clock) -> None:
        self._spec = spec
        self._clock = clock
        self._slot: NewestSlot[Arrived] = NewestSlot()
        self._source = SlotSource(spec, clock, self._slot)
        self._input: ImageInput | None = None

    def open(self) -> SourceInfo:
        """Subscribe, and wait for the first image.

        Raises:
            CameraError: this interpreter has no rclpy, or no image came.
        """
        try:
            prepare()
        except ConfigError as exc:
            raise CameraError(exc.message, hint=exc.hint) from exc
        from molmo_node.ros2.subscribing import ImageInput

        topic = self._spec.target
        is_compressed = topic.endswith("compressed")
        self._input = ImageInput(_graph().node, topic, is_compressed, self._slot, clock=self._clock)
        return self._source.open()

    def read(self) -> Grabbed:
        """The newest image that was not read yet; waits for one."""
        return self._source.read()

    def close(self) -> None:
        """Unsubscribe."""
        self._slot.close()
        if self._input is not None:
            self._input.close()
            self._input = None


class _Graph:
    """This process's place among the ROS nodes, with a thread that spins."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions

        self._context = rclpy.Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self.node: Any = rclpy.create_node(f"molmo_camera_{os.getpid()}", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, name="ros2", daemon=True)
        self._thread.start()
        atexit.register(self._close)

    def _close(self) -> None:
        """Leave the graph; a process that only ends would leave its shared memory behind."""
        self._executor.shutdown(timeout_sec=1.0)
        self._context.try_shutdown()
        self._thread.join(1.0)


_graphs: list[_Graph] = []


def _graph() -> _Graph:
    """Made at the first use; called by the one capture thread of a camera's process."""
    if not _graphs:
        _graphs.append(_Graph())
    return _graphs[0]
