"""What Home Assistant is told, and under which topics."""

from __future__ import annotations

import socket

import pytest

from molmo_node.sinks.home_assistant import Announcer, device_class
from molmo_node.sinks.mqtt_topics import Topics, node_word
from tests.support import said


@pytest.fixture
def announcer():
    return Announcer("homeassistant", "plant", Topics("molmo_node", "plant"))


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("bar", "pressure"), ("psi", "pressure"), ("°C", "temperature"), ("MPa", None), ("", None)],
)
def test_units_that_have_a_class_get_it(announcer, unit, expected):
    payload = announcer.watch(said.BOILER, unit).payload

    assert device_class(unit) == expected
    assert payload.get("device_class") == expected
    assert payload.get("unit_of_measurement", "") == unit


@pytest.mark.parametrize(
    ("task", "is_measured"),
    [("read_gauge", True), ("count", True), ("point", True), ("read_clock", False), ("ask", False)],
)
def test_numbers_are_measurements_and_texts_are_not(announcer, task, is_measured):
    payload = announcer.watch(said.watch("it", task), "").payload

    assert ("state_class" in payload) is is_measured


def test_entities_of_one_node_have_ids_of_their_own_and_one_device(announcer):
    told = [
        announcer.watch(said.BOILER, "bar"), announcer.camera_connected("front"),
        announcer.camera_last_frame("front"), announcer.worker(),
    ]  # fmt: skip

    assert len({one.payload["unique_id"] for one in told}) == len({one.topic for one in told}) == 4
    assert {tuple(one.payload["device"]["identifiers"]) for one in told} == {("molmo_node_plant",)}
    assert all(one.topic.startswith("homeassistant/") for one in told)
    assert all(one.topic.endswith("/config") for one in told)


@pytest.mark.parametrize(
    ("host", "word"),
    [
        ("Plant-7.example", "plant-7"),
        ("_x", "x"),
        ("Ünit 4", "nit-4"),
        ("日本", "node"),
        ("", "node"),
    ],
)
def test_a_node_is_called_after_its_host(monkeypatch, host, word):
    monkeypatch.setattr(socket, "gethostname", lambda: host)

    assert node_word(None) == word
    assert node_word("given") == "given"
