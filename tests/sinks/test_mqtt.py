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


def test_a_trusted_reading_is_published_with_what_belongs_to_it(node, broker, listener):
    node.sink("mqtt", settings(broker))

    heard = listener.wait("watch/pressure/reading")

    assert heard.topic == "molmo_node/plant/watch/pressure/reading"
    assert 0 <= heard.data["value"] <= 1
    assert heard.data["unit"] == "MPa"
    assert heard.data["camera"] == "bench"
    assert ISO.fullmatch(heard.data["time"])
    assert listener.last("plant/availability") == "online"
    listener.wait("watch/pressure/availability", "online")
    listener.wait("plant/worker", "ready")


def test_what_is_not_trusted_is_never_a_value_and_its_reason_is_told(node, broker, listener):
    node.sink("mqtt", settings(broker))

    status = wait_for(lambda: listener.of("watch/absent/status"), 15, "a status")[0]
    listener.wait("watch/absent/availability", "offline")
    listener.wait("watch/pressure/availability", "online")

    assert status.data["status"] == "refused"
    assert status.data["reason"]
    assert listener.of("watch/absent/reading") == []


def test_home_assistant_finds_watches_cameras_and_the_worker(node, broker, listener):
    node.sink("mqtt", settings(broker))

    gauge = listener.wait("homeassistant/sensor/molmo_node_plant_watch_pressure/config").data
    camera = listener.wait("homeassistant/binary_sensor/molmo_node_plant_camera_bench/config").data
    listener.wait("homeassistant/sensor/molmo_node_plant_camera_bench_last_frame/config")
    listener.wait("homeassistant/sensor/molmo_node_plant_worker/config")

    assert gauge["unit_of_measurement"] == "MPa"
    assert gauge["state_class"] == "measurement"
    reading = listener.wait("watch/pressure/reading")
    assert gauge["state_topic"] == reading.topic
    assert gauge["value_template"] == "{{ value_json.value }}"
    assert {entry["topic"] for entry in gauge["availability"]} == {
        "molmo_node/plant/availability", "molmo_node/plant/watch/pressure/availability",
    }  # fmt: skip
    assert camera["device_class"] == "connectivity"
    assert camera["device"] == gauge["device"]
    assert listener.wait(camera["state_topic"]).words == "ON"


def test_everything_is_retained_for_who_comes_later(node, broker, listener):
    node.sink("mqtt", settings(broker))
    listener.wait("watch/pressure/availability", "online")

    late = Listener(broker.port)
    try:
        late.wait("plant/availability", "online", 5)
        assert 0 <= late.wait("watch/pressure/reading", within_s=5).data["value"] <= 1
        late.wait("homeassistant/sensor/molmo_node_plant_watch_pressure/config", within_s=5)
    finally:
        late.close()


def test_a_lost_camera_is_said_to_be_away_with_the_time_of_its_last_frame(node, broker, listener):
    node.sink("mqtt", settings(broker))
    listener.wait("camera/bench/connected", "ON")
    listener.wait("watch/pressure/availability", "online")

    node.stack.processes["camera"].send(signal.SIGKILL)
    listener.wait("camera/bench/connected", "OFF", 4)
    stamp = listener.wait("camera/bench/last_frame").words
    listener.wait("watch/pressure/availability", "offline", 6)

    assert ISO.fullmatch(stamp)
    status = listener.wait("watch/pressure/status").data
    assert status["status"] == "silent"
    assert status["reason"].startswith("camera bench: ")
    node.start_camera()
    listener.wait("camera/bench/connected", "ON")
    listener.wait("watch/pressure/availability", "online")


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
