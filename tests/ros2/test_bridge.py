"""A robot's rclpy program, the bridge and the worker: three processes, loopback only."""

from __future__ import annotations

import json
import math
import signal

import pytest

from tests.ros2.conftest import make_field
from tests.ros2.environments import DISTROS, ROOT, needs
from tests.ros2.scene import THINGS, Scene
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.ros2, pytest.mark.process, pytest.mark.timeout(120)]

FRAMES = 60
BRIDGE = "molmo_node: bridge"
OK, WARN, ERROR, STALE = range(4)
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
        topics = ("/cam/image", "/cam/camera_info", "/cam/depth")
        assert peer("wait_graph", topics=dict.fromkeys(topics, True), within_s=30.0), (
            field.stack.output()
        )
        # Discovery goes on for a moment after the first sign of it.
        shown = peer("publish", topic="/cam/image", width=640, height=480, count=40, wait_s=0.5,
                     depth="16UC1", until_answered=True)  # fmt: skip
        assert shown[-1]["answer"], field.stack.output()
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


def test_an_image_gives_pixels_and_places_with_its_own_header(running):
    _, peer = running
    scene = Scene(640, 480)

    shown = peer("publish", topic="/cam/image", width=640, height=480, count=FRAMES, wait_s=5.0,
                 depth="16UC1")  # fmt: skip

    assert sum(bool(one["answer"]) for one in shown) == FRAMES
    for one in shown:
        frame = one["answer"]["frame"]
        assert (frame["stamp_ns"], frame["frame_id"]) == (one["stamp_ns"], "camera_optical")
        found = list(
            zip(THINGS, one["answer"]["points"], one["points"], one["pixels"], strict=True)
        )
        for thing, pixel, place, published in found:
            truth_px = scene.pixel(thing.center_m)
            assert math.dist((pixel["x_px"], pixel["y_px"]), truth_px) < 3.0
            assert math.dist(place["xyz"], thing.center_m) < 0.01
            assert (place["stamp_ns"], place["frame_id"]) == (one["stamp_ns"], "camera_optical")
            assert published["xyz"] == [pixel["x_px"], pixel["y_px"], 0.0]
            assert published["frame_id"] == "camera_optical_pixels"
        assert [marker["frame_id"] for marker in one["overlay"]] == ["camera_optical"]
        drawn = [[point["x_px"], point["y_px"]] for point in one["answer"]["points"]]
        assert one["overlay"][0]["points"] == drawn
    assert peer("diagnostic", name=BRIDGE, level=OK)["level"] == OK


def test_raw_full_hd_images_all_come_through(running):
    _, peer = running

    shown = peer("publish", topic="/cam/image", width=1920, height=1080, count=FRAMES, wait_s=5.0)

    assert sum(bool(one["answer"]) for one in shown) == FRAMES
    answer = shown[-1]["answer"]
    assert (answer["width"], answer["height"]) == (1920, 1080)
    assert shown[-1]["points"] == []
    assert answer["points_m"] == [None, None]
    assert answer["depth_reason"].startswith("no depth image")


def test_float_depth_in_metres_gives_the_same_places(running):
    _, peer = running

    shown = peer("publish", topic="/cam/image", width=640, height=480, count=3, wait_s=5.0,
                 depth="32FC1")  # fmt: skip

    assert all(one["answer"] for one in shown)
    for thing, place in zip(THINGS, shown[-1]["points"], strict=True):
        assert math.dist(place["xyz"], thing.center_m) < 0.01


def test_questions_of_services_and_topics_are_answered(running):
    _, peer = running
    peer("publish", topic="/cam/image", width=640, height=480, count=1, wait_s=5.0, depth="16UC1")

    text = peer("call", name="/molmo_node/ask_text", kind="diagnostic_msgs/srv/AddDiagnostics",
                fields={"load_namespace": "how many things are there?"})  # fmt: skip
    assert text["success"]
    assert json.loads(text["message"])["text"] == "two of them"
    assert set_parameters(peer, question="point things") == ""
    pointed = peer("call", name="/molmo_node/ask", kind="std_srvs/srv/Trigger", fields={})
    assert pointed["success"], pointed
    assert math.dist(json.loads(pointed["message"])["points_m"][0], THINGS[0].center_m) < 0.01
    peer("say", topic="/molmo_node/query", text='{"task": "ask", "text": "what is this?"}')
    assert "two of them" in [answer["text"] for answer in peer("answers", within_s=10.0)]
    peer("say", topic="/molmo_node/query", text='{"task": "jump"}')
    error = peer("answers", within_s=10.0, kind="error")[-1]
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
    assert transition(peer, 4)
    assert set_parameters(peer, image_topic="/cam/image/compressed") == ""
    assert transition(peer, 3)
    assert set_parameters(peer, watches__boiler__task="read_gauge", watches__boiler__rate_hz=10.0,
                          watches__boiler__text="pressure_run", limits__boiler__warn_above=0.01,
                          watches__things__rate_hz=0.0) == ""  # fmt: skip
    peer("wait_graph", topics={"/cam/image/compressed": True})

    shown = peer("publish", topic="/cam/image/compressed", width=640, height=480, count=60,
                 wait_s=1.0, jpeg=str(GAUGE_PHOTO), until_answered=True)  # fmt: skip

    reading = shown[-1]["answer"]["reading"]
    assert reading["value"] == pytest.approx(READ_MPA, abs=0.003)
    peer("publish", topic="/cam/image/compressed", width=640, height=480, count=2, wait_s=5.0,
         jpeg=str(GAUGE_PHOTO))  # fmt: skip
    told = peer("diagnostic", name="molmo_node: boiler", level=WARN)
    assert told["message"].endswith("above 0.01")
    assert told["values"]["unit"] == "MPa"
    # The first number of a new topic comes before its subscribers: the next one is heard.
    number = None
    while number is None:
        peer("publish", topic="/cam/image/compressed", width=640, height=480, count=1, wait_s=5.0,
             jpeg=str(GAUGE_PHOTO))  # fmt: skip
        number = peer("hear_number", topic="/molmo_node/reading/boiler", within_s=1.0)
    assert number == pytest.approx(READ_MPA, abs=0.003)
    blank = field.stack.folder / "blank.jpg"
    write_blank(blank)
    peer("forget", topic="/molmo_node/reading/boiler")
    refused = peer("publish", topic="/cam/image/compressed", width=640, height=480, count=1,
                   wait_s=5.0, jpeg=str(blank))[-1]["answer"]["reading"]  # fmt: skip
    assert refused["value"] is None
    told = peer("diagnostic", name="molmo_node: boiler", level=WARN)
    assert told["message"].startswith(f"{refused['reason']}; last 0.03")
    assert told["values"]["value"] == ""
    assert peer("hear_number", topic="/molmo_node/reading/boiler", within_s=0.3) is None


def write_blank(path):
    import numpy as np

    from molmo_node.imaging import encode_jpeg

    path.write_bytes(encode_jpeg(np.full((480, 640, 3), 128, np.uint8)))


def test_the_other_distribution_is_understood_both_ways(running):
    field, _ = running
    needs(OTHER[field.distro])
    other = field.peer(OTHER[field.distro])
    other("wait_graph", topics={"/cam/image/compressed": True})

    shown = other("publish", topic="/cam/image/compressed", width=640, height=480, count=60,
                  wait_s=1.0, jpeg=str(GAUGE_PHOTO), until_answered=True)  # fmt: skip

    assert shown[-1]["answer"]["reading"]["value"] == pytest.approx(READ_MPA, abs=0.003)
    assert shown[-1]["answer"]["frame"]["stamp_ns"] == shown[-1]["stamp_ns"]


def test_inactive_it_drops_its_subscriptions_and_leaves_the_bus(running):
    field, peer = running
    client = field.client()

    assert transition(peer, 4)

    gone = {"/cam/image/compressed": False, "/cam/camera_info": False, "/cam/depth": False}
    assert peer("wait_graph", topics=gone)
    assert "camera.ros" not in field.stack.nodes()
    wait_for(lambda: not client.status().watches, 15.0, "the watches end")
    told = peer("call", name="/molmo_node/ask", kind="std_srvs/srv/Trigger", fields={})
    assert not told["success"]
    assert json.loads(told["message"])["code"] == "not_connected"
    assert peer("diagnostic", name=BRIDGE, level=OK)["message"] == "inactive"

    assert transition(peer, 3)

    assert peer("wait_graph", topics=dict.fromkeys(gone, True))
    shown = peer("publish", topic="/cam/image/compressed", width=640, height=480, count=60,
                 wait_s=1.0, jpeg=str(GAUGE_PHOTO), until_answered=True)  # fmt: skip
    assert shown[-1]["answer"]


def test_disabled_it_asks_nothing_by_itself(running):
    field, peer = running
    client = field.client()

    peer("call", name="/molmo_node/enable", kind="std_srvs/srv/SetBool", fields={"data": False})
    wait_for(lambda: not client.status().watches, 15.0, "the watches end")
    peer("call", name="/molmo_node/enable", kind="std_srvs/srv/SetBool", fields={"data": True})

    wait_for(lambda: client.status().watches, 15.0, "the watches stand again")


def test_a_killed_worker_is_reported_and_its_successor_is_asked(running):
    field, peer = running
    field.stack.processes["worker"].send(signal.SIGKILL)
    assert peer("diagnostic", name=BRIDGE, level=ERROR)["level"] == ERROR

    field.worker()

    shown = peer("publish", topic="/cam/image/compressed", width=640, height=480, count=60,
                 wait_s=1.0, jpeg=str(GAUGE_PHOTO), until_answered=True)  # fmt: skip
    assert shown[-1]["answer"], field.stack.output()


def test_it_ends_in_order(running):
    field, _ = running
    bridge = field.stack.processes["bridge"]

    bridge.send(signal.SIGTERM)

    assert bridge.wait(10.0) == 0, bridge.output
    assert "Traceback" not in bridge.output
