"""Subscriptions with the sensor-data quality of service, depth 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.ros2.images import Arrived
from molmo_node.ros2.slot import NewestSlot


def newest_only(reliability: str = "best_effort") -> QoSProfile:
    """Sensor data, of which only the newest message is kept."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=1,
        reliability=ReliabilityPolicy[reliability.upper()],
        durability=DurabilityPolicy.VOLATILE,
    )


class ImageInput:
    """One image topic into one slot.

    Attributes:
        lost: messages that the middleware says it lost.
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        is_compressed: bool,
        slot: NewestSlot[Arrived],
        reliability: str = "best_effort",
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.lost = 0
        self._node = node
        self._slot = slot
        self._clock = clock
        self._quality = newest_only(reliability)
        self._group: CallbackGroup = MutuallyExclusiveCallbackGroup()
        kind = CompressedImage if is_compressed else Image
        events = SubscriptionEventCallbacks(message_lost=self._note_lost)
        self._subscriptions = [
            node.create_subscription(
                kind, topic, self._take, self._quality,
                callback_group=self._group, event_callbacks=events,
            )
        ]  # fmt: skip

    def also_info(self, topic: str, take: Callable[[CameraInfo], None]) -> None:
        """Take the camera's intrinsics too."""
        self._add(CameraInfo, topic, take, newest_only())

    def also_depth(self, topic: str, take: Callable[[Image], None]) -> None:
        """Take depth images too."""
        self._add(Image, topic, take, self._quality)

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _add(
        self, kind: type[Any], topic: str, take: Callable[[Any], None], quality: QoSProfile
    ) -> None:
        self._subscriptions.append(
            self._node.create_subscription(kind, topic, take, quality, callback_group=self._group)
        )

    def _take(self, message: Any) -> None:
        self._slot.put(Arrived(message, self._clock.mono_ns()))

    def _note_lost(self, event: Any) -> None:
        self.lost = int(event.total_count)
