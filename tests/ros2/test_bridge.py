"""A robot's rclpy program, the bridge and the worker: three processes, loopback only."""

from __future__ import annotations

import json
import math
import signal
import time

import numpy as np
import pytest

from molmo_node.imaging import encode_jpeg
from tests.ros2.conftest import make_field
from tests.ros2.environments import DISTROS, ROOT, needs
from tests.ros2.scene import THINGS, Scene
from tests.support import machine
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.ros2, pytest.mark.process, pytest.mark.timeout(240)]

FRAMES = 60
BRIDGE = "molmo_node: bridge"
OK, WARN, ERROR = range(3)
ACTIVATE, DEACTIVATE = 3, 4
# What `molmo-node read gauge pressure_run --image` says of it.
READ_MPA = 0.0376
GAUGE_PHOTO = ROOT / "molmo_node" / "examples" / "pressure_run" / "frame_000.jpg"
OTHER = {"jazzy": "kilted", "kilted": "jazzy"}


@pytest.fixture(scope="module", params=DISTROS)
def running(request, tmp_path_factory):
    """Worker, active bridge and peer of one distribution; a watch on the two things."""
    needs(request.param)
    for field in make_field(tmp_path_factory.mktemp(request.param), request.param):
        field.worker()
        field.bridge(
            image_topic="/cam/image", depth_topic="/cam/depth", ask_text_service=True,
            publish_pixel=True, watches__things__text="things", watches__things__rate_hz=30.0,
        )  # fmt: skip
        peer = field.peer()
        topics = dict.fromkeys(("/cam/image", "/cam/camera_info", "/cam/depth"), True)
        assert peer("wait_graph", topics=topics, within_s=40.0), field.stack.output()
        # Discovery goes on for a moment after the first sign of it.
        assert peer("stream", topic="/cam/image", depth="16UC1"), field.stack.output()
        yield field, peer


def set_parameters(peer, **values):
    """Set parameters, double underscores for dots; the reasons of those that were refused."""
    kinds = {bool: (1, "bool_value"), int: (2, "integer_value"), float: (3, "double_value"),
             str: (4, "string_value")}  # fmt: skip
    wanted = []
    for name, value in values.items():
        number, key = kinds[type(value)]
        wanted.append({"name": name.replace("__", "."), "value": {"type": number, key: value}})
    done = peer("call", name="/molmo_node/set_parameters_atomically",
                kind="rcl_interfaces/srv/SetParametersAtomically",
                fields={"parameters": wanted})["result"]  # fmt: skip
    assert done["successful"] == (done["reason"] == "")
    return done["reason"]


def transition(peer, number):
    done = peer("call", name="/molmo_node/change_state", kind="lifecycle_msgs/srv/ChangeState",
                fields={"transition": {"id": number}})  # fmt: skip
    return done["success"]


def be_active(peer, topic):
    """Have the bridge look at that topic, whatever it did before."""
    state = peer("call", name="/molmo_node/get_state", kind="lifecycle_msgs/srv/GetState",
                 fields={})["current_state"]["label"]  # fmt: skip
    if state == "active" and not peer("wait_graph", topics={topic: True}, within_s=0.0):
        assert transition(peer, DEACTIVATE)
        state = "inactive"
    if state == "inactive":
        assert set_parameters(peer, image_topic=topic) == ""
        assert transition(peer, ACTIVATE)
    assert peer("wait_graph", topics={topic: True})


def images(peer):
    """What the bridge says of its images: received, lost."""
    told = peer("diagnostic", name=BRIDGE, level=OK, says="active")
    return {name: int(told["values"][f"images_{name}"]) for name in ("received", "lost")}


def watch_boiler(peer):
    """Have the bridge look at photographs of a gauge."""
    be_active(peer, "/cam/image/compressed")
    assert set_parameters(peer, watches__boiler__task="read_gauge", watches__boiler__rate_hz=10.0,
                          watches__boiler__text="pressure_run", limits__boiler__warn_above=0.01,
                          watches__things__rate_hz=0.0) == ""  # fmt: skip


def stream_gauge(peer, **options):
    """Publish photographs of the gauge until one of them is read; the reading."""
    answer = peer("stream", topic="/cam/image/compressed", jpeg=str(GAUGE_PHOTO), **options)
    assert answer, "no photograph was answered"
    return answer["reading"]


def test_an_image_gives_pixels_and_places_with_its_own_header(running):
    _, peer = running
    scene = Scene(640, 480)

    before = images(peer)
    shown = peer("publish", topic="/cam/image", count=FRAMES, depth="16UC1")
    after = images(peer)

    assert (after["received"] - before["received"], after["lost"]) == (FRAMES, before["lost"])
    answered = [one for one in shown if one["answer"]]
    for one in answered:
        header = (one["stamp_ns"], "camera_optical")
        frame = one["answer"]["frame"]
        assert (frame["stamp_ns"], frame["frame_id"]) == header
        found = zip(THINGS, one["answer"]["points"], one["points"], one["pixels"], strict=True)
        for thing, pixel, place, published in found:
            assert math.dist((pixel["x_px"], pixel["y_px"]), scene.pixel(thing.center_m)) < 3.0
            assert math.dist(place["xyz"], thing.center_m) < 0.01
            assert (place["stamp_ns"], place["frame_id"]) == header
            assert published["xyz"] == [pixel["x_px"], pixel["y_px"], 0.0]
            assert published["frame_id"] == "camera_optical_pixels"
        (marker,) = one["overlay"]
        assert (marker["stamp_ns"], marker["frame_id"]) == header
        drawn = [[point["x_px"], point["y_px"]] for point in one["answer"]["points"]]
        assert marker["points"] == drawn
    machine.at_least("images answered", len(answered) / FRAMES, 1.0)


def test_raw_full_hd_images_all_come_through(running):
    _, peer = running

    before = images(peer)
    shown = peer("publish", topic="/cam/image", width=1920, height=1080, count=FRAMES)
    after = images(peer)

    assert (after["received"] - before["received"], after["lost"]) == (FRAMES, before["lost"])
    answered = [one for one in shown if one["answer"]]
    answer = answered[-1]["answer"]
    assert (answer["width"], answer["height"]) == (1920, 1080)
    assert answered[-1]["points"] == []
    assert answer["points_m"] == [None, None]
    assert answer["depth_reason"].startswith("no depth image")
    machine.at_least("images answered", len(answered) / FRAMES, 1.0)


def test_float_depth_in_metres_gives_the_same_places(running):
    _, peer = running

    shown = peer("publish", topic="/cam/image", count=5, depth="32FC1", encoding="bgr8")

    answered = [one for one in shown if one["answer"]]
    for thing, place in zip(THINGS, answered[-1]["points"], strict=True):
        assert math.dist(place["xyz"], thing.center_m) < 0.01


def test_questions_of_services_and_topics_are_answered(running):
    _, peer = running
    peer("publish", topic="/cam/image", count=1, depth="16UC1")

    text = peer("call", name="/molmo_node/ask_text", kind="diagnostic_msgs/srv/AddDiagnostics",
                fields={"load_namespace": "how many things are there?"})  # fmt: skip
    assert set_parameters(peer, question="point things") == ""
    pointed = peer("call", name="/molmo_node/ask", kind="std_srvs/srv/Trigger", fields={})
    said = peer("say", topic="/molmo_node/query", text='{"task": "ask", "text": "what is this?"}')
    error = peer("say", topic="/molmo_node/query", text='{"task": "jump"}')

    assert text["success"]
    assert json.loads(text["message"])["text"] == "two of them"
    assert pointed["success"]
    assert math.dist(json.loads(pointed["message"])["points_m"][0], THINGS[0].center_m) < 0.01
    assert (said["query"], said["text"]) == ("what is this?", "two of them")
    assert error["code"] == "protocol_error"
    assert "'jump'" in error["message"]
    assert "point the red mug" in error["hint"]


def test_a_wrong_parameter_is_refused_with_what_would_be_right(running):
    _, peer = running

    refused = {
        "rate": set_parameters(peer, watches__things__rate_hz=99.0),
        "task": set_parameters(peer, watches__lamp__task="jump"),
        "textless": set_parameters(peer, watches__lamp__rate_hz=1.0),
        "mistyped": set_parameters(peer, watchs__lamp__text="lamp"),
        "topic": set_parameters(peer, image_topic="/other/image"),
    }

    assert "less than or equal to 30" in refused["rate"]
    assert "'point', 'count'" in refused["task"]
    assert "a text for the task point" in refused["textless"]
    assert "did you mean watches?" in refused["mistyped"]
    assert "deactivate it first" in refused["topic"]


def test_a_gauge_is_a_number_and_a_diagnostic_and_no_number_where_it_is_not_trusted(running):
    field, peer = running
    watch_boiler(peer)
    numbers = {"topic": "/molmo_node/reading/boiler"}
    peer("hear_number", **numbers, within_s=0.0)

    reading = stream_gauge(peer)

    assert reading["value"] == pytest.approx(READ_MPA, abs=0.003)
    told = peer("diagnostic", name="molmo_node: boiler", level=WARN, says="above 0.01")
    assert told["message"].endswith(", above 0.01")
    assert told["values"]["unit"] == "MPa"
    # The first number of a new topic comes before its subscribers: the next one is heard.
    while (number := peer("hear_number", **numbers, within_s=1.0)) is None:
        stream_gauge(peer)
    assert number == pytest.approx(READ_MPA, abs=0.003)

    blank = {"topic": "/cam/image/compressed", "jpeg": blank_picture(field.stack.folder / "b.jpg")}
    refused = peer("stream", **blank)["reading"]

    assert refused["value"] is None
    peer("forget", **numbers)
    assert peer("stream", **blank)["reading"]["value"] is None
    told = peer("diagnostic", name="molmo_node: boiler", level=WARN, says=refused["reason"])
    assert told["message"].startswith(f"{refused['reason']}; last 0.03")
    assert told["values"]["value"] == ""
    assert peer("hear_number", **numbers, within_s=0.5) is None


def blank_picture(path):
    path.write_bytes(encode_jpeg(np.full((120, 160, 3), 128, np.uint8)))
    return str(path)


def test_the_other_distribution_is_understood_both_ways(running):
    field, peer = running
    needs(OTHER[field.distro])
    watch_boiler(peer)
    other = field.peer(OTHER[field.distro])

    reading = stream_gauge(other)

    assert reading["value"] == pytest.approx(READ_MPA, abs=0.003)


def test_inactive_it_drops_its_subscriptions_and_leaves_the_bus(running):
    field, peer = running
    watch_boiler(peer)
    client = field.client()

    assert transition(peer, DEACTIVATE)

    gone = {"/cam/image/compressed": False, "/cam/camera_info": False, "/cam/depth": False}
    assert peer("wait_graph", topics=gone)
    assert "camera.ros" not in field.stack.nodes()
    wait_for(lambda: not client.status().watches, 15.0, "the watches end")
    told = peer("call", name="/molmo_node/ask", kind="std_srvs/srv/Trigger", fields={})
    assert not told["success"]
    assert json.loads(told["message"])["code"] == "not_connected"
    assert peer("diagnostic", name=BRIDGE, level=OK, says="inactive")["message"] == "inactive"

    assert transition(peer, ACTIVATE)

    assert peer("wait_graph", topics=dict.fromkeys(gone, True))
    assert stream_gauge(peer)["value"]


def test_disabled_it_asks_nothing_by_itself(running):
    field, peer = running
    watch_boiler(peer)
    client = field.client()

    peer("call", name="/molmo_node/enable", kind="std_srvs/srv/SetBool", fields={"data": False})
    wait_for(lambda: not client.status().watches, 15.0, "the watches end")
    peer("call", name="/molmo_node/enable", kind="std_srvs/srv/SetBool", fields={"data": True})

    wait_for(lambda: client.status().watches, 15.0, "the watches stand again")


def test_a_killed_worker_is_reported_and_its_successor_is_asked(running):
    field, peer = running
    watch_boiler(peer)
    field.stack.processes["worker"].send(signal.SIGKILL)
    told = peer("diagnostic", name=BRIDGE, level=ERROR, says="no worker")
    assert told["message"].startswith("no worker")

    field.worker()

    assert stream_gauge(peer)["value"], field.stack.output()


def test_it_ends_in_order(running):
    field, _ = running
    bridge = field.stack.processes["bridge"]

    from_s = time.monotonic()
    bridge.send(signal.SIGTERM)

    assert bridge.wait(40.0) == 0, bridge.output
    took_s = time.monotonic() - from_s
    assert "Traceback" not in bridge.output
    machine.within("SIGTERM to the bridge's end", took_s, 5.0)
