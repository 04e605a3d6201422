"""Readings, cameras and announcements at a real broker."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.broker import Broker, Listener, needs_mosquitto
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.process, needs_mosquitto]

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def settings(broker: Broker, **fields) -> dict:
    return {"host": "127.0.0.1", "port": broker.port, "node": "plant", **fields}


@pytest.fixture(scope="module")
def plant(module_node, tmp_path_factory):
    """A broker, and a sink in front of it, for the tests that only look."""
    broker = Broker(tmp_path_factory.mktemp("plant"))
    listener = Listener(broker.port)
    process = module_node.sink("mqtt", settings(broker))
    yield listener
    process.end()
    listener.close()
    broker.stop()


def test_a_trusted_reading_is_published_with_what_belongs_to_it(plant):
    heard = plant.wait("watch/pressure/reading")

    assert heard.topic == "molmo_node/plant/watch/pressure/reading"
    assert 0 <= heard.data["value"] <= 1
    assert heard.data["unit"] == "MPa"
    assert heard.data["camera"] == "bench"
    assert ISO.fullmatch(heard.data["time"])
    assert plant.last("plant/availability") == "online"
    plant.wait("watch/pressure/availability", "online")
    plant.wait("plant/worker", "ready")


def test_what_is_not_trusted_is_never_a_value_and_its_reason_is_told(plant):
    status = wait_for(lambda: plant.of("watch/absent/status"), 15, "a status")[0]
    plant.wait("watch/absent/availability", "offline")
    plant.wait("watch/pressure/availability", "online")

    assert status.data["status"] == "refused"
    assert status.data["reason"]
    assert plant.of("watch/absent/reading") == []


def test_home_assistant_finds_watches_cameras_and_the_worker(plant):
    gauge = plant.wait("homeassistant/sensor/molmo_node_plant_watch_pressure/config").data
    camera = plant.wait("homeassistant/binary_sensor/molmo_node_plant_camera_bench/config").data
    plant.wait("homeassistant/sensor/molmo_node_plant_camera_bench_last_frame/config")
    plant.wait("homeassistant/sensor/molmo_node_plant_worker/config")

    assert gauge["unit_of_measurement"] == "MPa"
    assert gauge["state_class"] == "measurement"
    reading = plant.wait("watch/pressure/reading")
    assert gauge["state_topic"] == reading.topic
    assert gauge["value_template"] == "{{ value_json.value }}"
    assert {entry["topic"] for entry in gauge["availability"]} == {
        "molmo_node/plant/availability", "molmo_node/plant/watch/pressure/availability",
    }  # fmt: skip
    assert camera["device_class"] == "connectivity"
    assert camera["device"] == gauge["device"]
    assert plant.wait(camera["state_topic"]).words == "ON"


def test_everything_is_retained_for_who_comes_later(plant):
    plant.wait("watch/pressure/availability", "online")

    late = Listener(plant.port)
    try:
        late.wait("plant/availability", "online", 5)
        assert 0 <= late.wait("watch/pressure/reading", within_s=5).data["value"] <= 1
        late.wait("homeassistant/sensor/molmo_node_plant_watch_pressure/config", within_s=5)
    finally:
        late.close()


def test_a_lost_camera_is_said_to_be_away_with_the_time_of_its_last_frame(module_node, plant):
    plant.wait("camera/bench/connected", "ON")
    plant.wait("watch/pressure/availability", "online")

    module_node.stack.processes["camera"].send(signal.SIGKILL)
    try:
        plant.wait("camera/bench/connected", "OFF", 4)
        stamp = plant.wait("camera/bench/last_frame").words
        plant.wait("watch/pressure/availability", "offline", 2)
    finally:
        module_node.start_camera()

    assert ISO.fullmatch(stamp)
    silent = [one.data for one in plant.of("watch/pressure/status") if "silent" in one.words]
    assert silent[0]["reason"].startswith("camera bench: ")
    plant.wait("camera/bench/connected", "ON")
    plant.wait("watch/pressure/availability", "online")


def test_leaving_in_order_says_offline(node, broker, listener):
    process = node.sink("mqtt", settings(broker))
    listener.wait("plant/availability", "online")

    process.send(signal.SIGTERM)

    assert process.wait() == 0, process.output
    listener.wait("plant/availability", "offline", 2)


def test_discovery_can_be_left_out_and_watches_chosen(node, broker, listener):
    node.sink("mqtt", settings(broker, discovery=False, watches=["absent"], topic_prefix="a/b"))

    listener.wait("a/b/plant/watch/absent/status")
    listener.wait("a/b/plant/camera/bench/connected", "ON")

    assert not [heard for heard in listener.heard if heard.topic.startswith("homeassistant")]
    assert listener.of("watch/pressure/reading") == []


def with_password(folder: Path) -> Broker:
    users = folder / "users"
    made = subprocess.run(
        ["mosquitto_passwd", "-b", "-c", str(users), "plant", "right-one"], capture_output=True
    )
    assert made.returncode == 0, made.stderr
    return Broker(folder, f"allow_anonymous false\npassword_file {users}")


def test_a_wrong_password_is_one_clear_error_and_never_shown(node, tmp_path):
    broker = with_password(tmp_path)
    try:
        process = node.sink(
            "mqtt",
            settings(broker, username="plant"),
            MOLMO_NODE_SINKS__MQTT__PASSWORD="wrong-secret",
        )
        status = node.sink_status("mqtt", lambda s: s.state == "degraded")
        wait_for(lambda: "refuses" in process.output, 5, "the error")

        assert f"127.0.0.1:{broker.port}: it refuses us" in status.detail
        assert "wrong-secret" not in process.output + status.detail
        assert process.output.count("ERROR") == 1

        process.end()
        node.sink(
            "mqtt",
            settings(broker, username="plant"),
            MOLMO_NODE_SINKS__MQTT__PASSWORD="right-one",
        )
        node.sink_status("mqtt", lambda s: s.state == "ready" and s.counters["delivered"] > 0)
    finally:
        broker.stop()


def test_a_broker_with_tls_is_checked(node, tmp_path):
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")],
        capture_output=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    files = f"certfile {tmp_path}/cert.pem\nkeyfile {tmp_path}/key.pem"
    broker = Broker(tmp_path, f"allow_anonymous true\n{files}")
    try:
        stranger = node.sink("mqtt", settings(broker, tls=True))
        status = node.sink_status("mqtt", lambda s: s.state == "degraded")
        assert "certificate verify failed" in status.detail
        stranger.end()
        node.sink("mqtt", settings(broker, tls=True, tls_ca=str(tmp_path / "cert.pem")))
        node.sink_status("mqtt", lambda s: s.state == "ready" and s.counters["delivered"] > 0)
    finally:
        broker.stop()
