"""A robot's own rclpy program: publishes a scene, listens to the bridge, calls its services.

Runs in an environment with ROS 2 wheels, without molmo_node: one JSON command a line on stdin, one
JSON reply a line on stdout.
"""

from __future__ import annotations

import array
import importlib
import json
import sys
import time
from collections import defaultdict

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from scene import D, Scene
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Float64, String
from visualization_msgs.msg import ImageMarker

FRAME_ID = "camera_optical"
BRIDGE = "/molmo_node"


class Peer:
    """The node, and what it heard: by topic, in order."""

    def __init__(self) -> None:
        rclpy.init()
        self.node = rclpy.create_node("robot")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.heard = defaultdict(list)
        self.publishers = {}
        self.cameras = {}
        for kind, topic in (
            (String, f"{BRIDGE}/answers"),
            (ImageMarker, f"{BRIDGE}/overlay"),
            (PointStamped, f"{BRIDGE}/point"),
            (PointStamped, f"{BRIDGE}/pixel"),
            (DiagnosticArray, "/diagnostics"),
        ):
            self.listen(kind, topic)

    def listen(self, kind, topic):
        self.node.create_subscription(kind, topic, lambda message: self.keep(topic, message), 100)

    def keep(self, topic, message):
        self.heard[topic].append(message)
        del self.heard[topic][:-200]

    def spin_until(self, condition, within_s):
        until_s = time.monotonic() + within_s
        while not (found := condition()):
            if time.monotonic() > until_s:
                return found
            self.executor.spin_once(timeout_sec=0.02)
        return found

    def publisher(self, kind, topic):
        if topic not in self.publishers:
            made = self.node.create_publisher(kind, topic, qos_profile_sensor_data)
            self.publishers[topic] = made
        return self.publishers[topic]

    def do_wait_graph(self, topics, within_s=15.0):
        """Wait until every topic has a subscriber (true) or none (false)."""

        def fits():
            return all(
                bool(self.node.count_subscribers(topic)) == wanted
                for topic, wanted in topics.items()
            )

        return bool(self.spin_until(fits, within_s))

    def do_hear_number(self, topic, within_s=5.0):
        if topic not in self.heard:
            self.listen(Float64, topic)
        found = self.spin_until(lambda: self.heard[topic], within_s)
        return found[-1].data if found else None

    def do_forget(self, topic):
        """Drop what was heard, and what is still on its way."""
        self.spin_until(lambda: False, 0.5)
        self.heard[topic].clear()
        return True

    def do_publish(self, topic, count, within_s=5.0, **picture):
        """Publish images one by one, each when the last one was answered; what came about each.

        Not above 25 a second: a watch passes over what is faster than its rate.
        """
        camera, told = self.camera(topic, **picture), []
        for _ in range(count):
            next_s = time.monotonic() + 0.04
            told.append(self.heard_about(camera.send(), within_s))
            self.spin_until(lambda: False, next_s - time.monotonic())
        return told

    def do_stream(self, topic, within_s=40.0, every_s=0.25, **picture):
        """Publish an image again and again until one of them was answered; that answer."""
        camera, sent = self.camera(topic, **picture), set()
        until_s, found = time.monotonic() + within_s, None
        while not found and time.monotonic() < until_s:
            sent.add(camera.send())
            found = self.spin_until(lambda: self.answer_about(*sent), every_s)
        return found

    def camera(self, topic, **picture):
        key = (topic, json.dumps(picture))
        if key not in self.cameras:
            self.cameras[key] = Camera(self, topic, **picture)
        self.spin_until(self.cameras[key].is_subscribed, 10.0)
        return self.cameras[key]

    def heard_about(self, at_ns, within_s):
        """What comes about one image: its answer, and right behind that what belongs to it."""
        sent_s = time.monotonic()
        answer = self.spin_until(lambda: self.answer_about(at_ns), within_s)
        took_ms = (time.monotonic() - sent_s) * 1e3
        if answer:
            self.spin_until(lambda: self.stamped("overlay", at_ns), 5.0)
            places = len([place for place in answer["points_m"] if place])
            self.spin_until(lambda: len(self.stamped("point", at_ns)) >= places, 5.0)
        if answer and self.node.count_publishers(f"{BRIDGE}/pixel"):
            found = len(answer["points"])
            self.spin_until(lambda: len(self.stamped("pixel", at_ns)) >= found, 5.0)
        return {
            "stamp_ns": at_ns, "took_ms": took_ms, "answer": answer,
            "points": [point_fields(p) for p in self.stamped("point", at_ns)],
            "pixels": [point_fields(p) for p in self.stamped("pixel", at_ns)],
            "overlay": [marker_fields(m) for m in self.stamped("overlay", at_ns)],
        }  # fmt: skip

    def answer_about(self, *stamps_ns):
        """The newest answer about one of these images, but for those to single questions."""
        for message in reversed(self.heard[f"{BRIDGE}/answers"]):
            answer = json.loads(message.data)
            if answer.get("watch") and answer["frame"]["stamp_ns"] in stamps_ns:
                return answer
        return None

    def stamped(self, name, at_ns):
        return [m for m in self.heard[f"{BRIDGE}/{name}"] if stamp(m.header) == at_ns]

    def do_say(self, topic, text, within_s=20.0):
        """Ask on a topic: the answer to that text, or the error."""
        made = self.node.create_publisher(String, topic, 10)
        self.spin_until(made.get_subscription_count, 10.0)
        heard = self.heard[f"{BRIDGE}/answers"]
        heard.clear()
        made.publish(String(data=text))

        def replies():
            told = [json.loads(message.data) for message in heard]
            return [one for one in told if one["type"] == "error" or one["query"] in text]

        found = self.spin_until(replies, within_s)
        self.node.destroy_publisher(made)
        return found and found[0]

    def do_diagnostic(self, name, level, says, within_s=20.0):
        """The first diagnostic of that name and level whose message holds `says`; else the last."""
        heard = self.heard["/diagnostics"]
        heard.clear()

        def named():
            return [s for m in heard for s in m.status if s.name == name]

        def fitting():
            return [s for s in named() if s.level == bytes([level]) and says in s.message]

        found = self.spin_until(fitting, within_s) or named()
        return found and {
            "level": found[-1].level[0], "message": found[-1].message,
            "hardware_id": found[-1].hardware_id,
            "values": {pair.key: pair.value for pair in found[-1].values},
        }  # fmt: skip

    def do_call(self, name, kind, fields, within_s=15.0):
        module, _, type_name = kind.rpartition("/")
        srv = getattr(importlib.import_module(module.replace("/", ".")), type_name)
        client = self.node.create_client(srv, name)
        try:
            if not self.spin_until(client.service_is_ready, 5.0):
                return {"error": f"no service {name}"}
            future = client.call_async(filled(srv.Request(), fields))
            self.spin_until(future.done, within_s)
            return plain(future.result()) if future.done() else {"error": "no response"}
        finally:
            self.node.destroy_client(client)

    def do_find(self, text, is_cancelled=False, within_s=20.0):
        """Send a goal to the action; feedback, status and result. Cancelled after feedback came."""
        from molmo_node_interfaces.action import Point
        from rclpy.action import ActionClient

        client, feedback = ActionClient(self.node, Point, f"{BRIDGE}/find_point"), []
        self.spin_until(client.server_is_ready, 10.0)
        sent = client.send_goal_async(
            Point.Goal(text=text), lambda message: feedback.append(message.feedback.waited_s)
        )
        self.spin_until(sent.done, within_s)
        result = sent.result().get_result_async()
        if is_cancelled:
            self.spin_until(lambda: feedback, within_s)
            sent.result().cancel_goal_async()
        self.spin_until(result.done, within_s)
        client.destroy()
        told = plain(result.result().result)
        return {"status": result.result().status, "feedback": feedback, "result": told}

    def do_close(self):
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown()
        return True


class Camera:
    """An image topic with its camera_info and, if it is wanted, depth."""

    def __init__(self, peer, topic, width=640, height=480, depth="", jpeg="", encoding="rgb8"):
        scene = Scene(width, height)
        rgb = scene.image()
        rows = rgb[..., ::-1] if encoding == "bgr8" else rgb
        picture = compressed(jpeg) if jpeg else raw(rows, encoding)
        folder = topic.removesuffix("/compressed").rpartition("/")[0]
        self.pictures = peer.publisher(type(picture), topic)
        self.sent = [(peer.publisher(CameraInfo, f"{folder}/camera_info"), camera_info(scene))]
        if depth:
            depths = peer.publisher(Image, f"{folder}/depth")
            self.sent.append((depths, depth_image(scene, depth)))
        self.sent.append((self.pictures, picture))

    def is_subscribed(self):
        return self.pictures.get_subscription_count() > 0

    def send(self):
        """Publish all under one stamp, which is returned."""
        at_ns = time.time_ns()
        for publisher, message in self.sent:
            message.header.frame_id = FRAME_ID
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(at_ns, 10**9)
            publisher.publish(message)
        return at_ns


def raw(rows, encoding):
    message = Image(height=rows.shape[0], width=rows.shape[1], encoding=encoding)
    message.step = rows.strides[0] if rows.flags.c_contiguous else rows.shape[1] * 3
    message.data = as_array(np.ascontiguousarray(rows))
    return message


def compressed(path):
    with open(path, "rb") as file:
        return CompressedImage(format="jpeg", data=array.array("B", file.read()))


def camera_info(scene):
    info = CameraInfo(width=scene.width, height=scene.height, distortion_model="plumb_bob")
    info.d, info.k = list(D), list(scene.k)
    return info


def depth_image(scene, encoding):
    depth_m = scene.depth_m()
    if encoding == "16UC1":
        depth_m = np.nan_to_num(depth_m * 1000).round().astype(np.uint16)
    message = Image(height=scene.height, width=scene.width, encoding=encoding)
    message.step = depth_m.strides[0]
    message.data = as_array(depth_m)
    return message


def as_array(rows):
    data = array.array("B")
    data.frombytes(rows.tobytes())
    return data


def stamp(header):
    return header.stamp.sec * 10**9 + header.stamp.nanosec


def point_fields(message):
    at = message.point
    return {"stamp_ns": stamp(message.header), "frame_id": message.header.frame_id,
            "xyz": [at.x, at.y, at.z]}  # fmt: skip


def marker_fields(message):
    return {
        "stamp_ns": stamp(message.header), "frame_id": message.header.frame_id, "ns": message.ns,
        "type": message.type, "action": message.action,
        "points": [[point.x, point.y] for point in message.points],
    }  # fmt: skip


def filled(message, fields):
    """Set fields, nested ones and lists of messages too."""
    for name, value in fields.items():
        if isinstance(value, dict):
            filled(getattr(message, name), value)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            kind = message.get_fields_and_field_types()[name].removeprefix("sequence<").rstrip(">")
            package, _, type_name = kind.rpartition("/")
            made = getattr(importlib.import_module(f"{package}.msg"), type_name)
            setattr(message, name, [filled(made(), one) for one in value])
        else:
            setattr(message, name, value)
    return message


def plain(value):
    """A message as JSON values."""
    if hasattr(value, "get_fields_and_field_types"):
        return {name: plain(getattr(value, name)) for name in value.get_fields_and_field_types()}
    if isinstance(value, list | tuple | array.array | np.ndarray):
        return [plain(one) for one in value]
    return value.hex() if isinstance(value, bytes) else value


def main():
    peer = Peer()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(peer, f"do_{command.pop('do')}")(**command)), flush=True)


if __name__ == "__main__":
    main()
