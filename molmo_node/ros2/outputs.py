"""What the bridge publishes: answers, overlay, points, readings and diagnostics."""

from __future__ import annotations

from typing import Any

import msgspec
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point as RosPoint
from geometry_msgs.msg import PointStamped
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.publisher import Publisher
from std_msgs.msg import ColorRGBA, Float64, Header, String
from visualization_msgs.msg import ImageMarker

from molmo_node.messages import Answer, Error
from molmo_node.ros2.overlay import Shape, shapes
from molmo_node.ros2.places import Located
from molmo_node.ros2.readings import Diagnostic, number, topic_word

try:
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose
except ImportError:  # not among the wheels; part of most ROS installations
    Detection2DArray = None

QUEUE = 10


class Outputs:
    """All publishers of the bridge; `publish` may be called from any one thread.

    Those for answers are lifecycle publishers: silent while the node is inactive.
    """

    def __init__(self, node: LifecycleNode, publishes_pixels: bool) -> None:
        self._node = node
        self._answers = self._publisher(String, "~/answers")
        self._overlay = self._publisher(ImageMarker, "~/overlay")
        self._points = self._publisher(PointStamped, "~/point")
        self._pixels = self._publisher(PointStamped, "~/pixel") if publishes_pixels else None
        self._detections = (
            self._publisher(Detection2DArray, "~/detections") if Detection2DArray else None
        )
        # Made while answers come, when the node's own list of what it manages may be in use.
        self._numbers: dict[str, Publisher] = {}
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", QUEUE)

    def publish_error(self, error: Error) -> None:
        """Say on ~/answers why a query has no answer."""
        self._answers.publish(String(data=msgspec.json.encode(error).decode()))

    def publish(self, located: Located) -> None:
        """Send an answer in all its forms, under the header of the image it is about."""
        answer = located.answer
        header = header_of(answer)
        self._answers.publish(String(data=located.as_json()))
        for shape in shapes(answer):
            self._overlay.publish(_marker(shape, header))
        for point_m in located.points_m:
            if point_m is not None:
                self._points.publish(PointStamped(header=header, point=_point(*point_m)))
        if self._pixels is not None:
            flat = Header(stamp=header.stamp, frame_id=f"{header.frame_id}_pixels")
            for point in answer.points:
                pixel = _point(point.x_px, point.y_px)
                self._pixels.publish(PointStamped(header=flat, point=pixel))
        if self._detections is not None and answer.task in ("point", "count"):
            self._detections.publish(_detections(answer, header))

    def publish_number(self, name: str, answer: Answer) -> None:
        """Send a reading as a number, if it is trusted, on a topic of its own."""
        value = None if answer.reading is None else number(answer.reading)
        if value is None:
            return
        topic = f"~/reading/{topic_word(name)}"
        if topic not in self._numbers:
            self._numbers[topic] = self._node.create_publisher(Float64, topic, QUEUE)
        self._numbers[topic].publish(Float64(data=value))

    def diagnose(self, diagnostics: list[Diagnostic]) -> None:
        """Send the state of the bridge and of all dials; also while inactive."""
        now = self._node.get_clock().now().to_msg()
        status = [_status(diagnostic) for diagnostic in diagnostics]
        self._diagnostics.publish(DiagnosticArray(header=Header(stamp=now), status=status))

    def close(self) -> None:
        """Remove all publishers."""
        managed = [self._answers, self._overlay, self._points, self._pixels, self._detections]
        for publisher in managed:
            if publisher is not None:
                self._node.destroy_lifecycle_publisher(publisher)
        for publisher in (self._diagnostics, *self._numbers.values()):
            self._node.destroy_publisher(publisher)

    def _publisher(self, kind: type[Any], topic: str) -> LifecyclePublisher:
        return self._node.create_lifecycle_publisher(kind, topic, QUEUE)


def header_of(answer: Answer) -> Header:
    """The header of the image that was asked about: its stamp to the nanosecond, its frame_id."""
    sec, nanosec = divmod(answer.frame.stamp_ns, 1_000_000_000)
    return Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=answer.frame.frame_id)


def _point(x: float, y: float, z: float = 0.0) -> RosPoint:
    return RosPoint(x=float(x), y=float(y), z=float(z))


def _marker(shape: Shape, header: Header) -> ImageMarker:
    red, green, blue, alpha = shape.color
    color = ColorRGBA(r=red, g=green, b=blue, a=alpha)
    is_points = shape.kind == "points"
    return ImageMarker(
        header=header,
        ns=shape.namespace,
        id=shape.number,
        type=ImageMarker.POINTS if is_points else ImageMarker.LINE_LIST,
        action=ImageMarker.ADD if shape.points else ImageMarker.REMOVE,
        scale=float(shape.width_px),
        outline_color=color,
        fill_color=color,
        filled=1,
        points=[_point(x, y) for x, y in shape.points],
        outline_colors=[color] * (len(shape.points) // (1 if is_points else 2)),
    )


def _status(diagnostic: Diagnostic) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=bytes([diagnostic.level]),
        name=diagnostic.name,
        message=diagnostic.message,
        hardware_id=diagnostic.hardware_id,
        values=[KeyValue(key=key, value=value) for key, value in diagnostic.values],
    )


def _detections(answer: Answer, header: Header) -> Any:
    """A box without size at each point, its class the phrase that was asked for."""
    found = Detection2DArray(header=header)
    for point in answer.points:
        one = Detection2D(header=header, id=answer.id or answer.watch)
        one.bbox.center.position.x = float(point.x_px)
        one.bbox.center.position.y = float(point.y_px)
        guess = ObjectHypothesisWithPose()
        guess.hypothesis.class_id = point.label or answer.query
        guess.hypothesis.score = 1.0
        one.results.append(guess)
        found.detections.append(one)
    return found
