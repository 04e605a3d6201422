"""rclpy with sensor_msgs/Image, and Fast DDS given a shared-memory segment that holds frames.

With its defaults Fast DDS loses most raw 1080p frames (its segment is 0.5 MB); this is the
profile with which it does best, so the comparison is with ROS 2 as a careful user runs it.
"""

from __future__ import annotations

import array
import os
import time
from pathlib import Path

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Image

from tools.transport.base import ImageHWC, Received, Setup

TOPIC = "/bench/image"
SEGMENT_BYTES = 64 * 1024 * 1024
PROFILE = f"""<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles">
 <profiles>
  <transport_descriptors>
   <transport_descriptor>
    <transport_id>shm</transport_id><type>SHM</type>
    <segment_size>{SEGMENT_BYTES}</segment_size>
   </transport_descriptor>
   <transport_descriptor><transport_id>udp</transport_id><type>UDPv4</type></transport_descriptor>
  </transport_descriptors>
  <participant profile_name="bench" is_default_profile="true">
   <rtps>
    <userTransports>
     <transport_id>shm</transport_id><transport_id>udp</transport_id>
    </userTransports>
    <useBuiltinTransports>false</useBuiltinTransports>
   </rtps>
  </participant>
 </profiles>
</dds>
"""


class FramePublisher:
    """Publishes Image messages with the sensor-data quality of service."""

    def __init__(self, setup: Setup) -> None:
        _start(setup)
        self._node = rclpy.create_node("bench_publisher")
        self._publisher = self._node.create_publisher(Image, TOPIC, qos_profile_sensor_data)

    def send(self, number: int, stamp_ns: int, image_hwc: ImageHWC) -> None:
        """One message; rclpy wants the bytes as `array.array`, the quickest form it takes."""
        message = Image()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
        message.header.frame_id = str(number)
        message.height, message.width, _ = image_hwc.shape
        message.encoding, message.step = "rgb8", message.width * 3
        pixels = array.array("B")
        pixels.frombytes(image_hwc.data.cast("B"))
        message.data = pixels
        self._publisher.publish(message)

    def close(self) -> None:
        """Leave the graph."""
        self._node.destroy_node()
        rclpy.shutdown()


class FrameSubscriber:
    """Spins an executor in the receiving thread."""

    def __init__(self, setup: Setup) -> None:
        _start(setup)
        quality = qos_profile_sensor_data
        if setup.case.busy_s:
            quality = QoSProfile(depth=1, reliability=quality.reliability)
        self._node = rclpy.create_node(f"bench_subscriber_{os.getpid()}")
        self._inbox: list[Image] = []
        self._node.create_subscription(Image, TOPIC, self._inbox.append, quality)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)

    def receive(self, timeout_s: float) -> Received | None:
        """The next message of its queue."""
        until_s = time.monotonic() + timeout_s
        while not self._inbox:
            if (left_s := until_s - time.monotonic()) <= 0:
                return None
            self._executor.spin_once(timeout_sec=left_s)
        message = self._inbox.pop(0)
        stamp = message.header.stamp
        image = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        return Received(int(message.header.frame_id), stamp.sec * 10**9 + stamp.nanosec, image)

    def close(self) -> None:
        """Leave the graph."""
        self._node.destroy_node()
        rclpy.shutdown()


def _start(setup: Setup) -> None:
    profile = Path(setup.folder) / f"fastdds-{os.getpid()}.xml"
    profile.write_text(PROFILE)
    os.environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(profile)
    os.environ["ROS_DOMAIN_ID"] = str(setup.port % 100)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    rclpy.init()
