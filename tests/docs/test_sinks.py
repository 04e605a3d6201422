"""docs/sinks.md and docs/mqtt.md name what can be set, and what comes out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from molmo_node.config.sinks import MqttSettings, SinksSettings
from molmo_node.sinks.csv_files import COLUMNS
from molmo_node.sinks.mqtt_topics import Topics

DOCS = Path(__file__).parents[2] / "docs"
SINKS, MQTT = (DOCS / "sinks.md").read_text(), (DOCS / "mqtt.md").read_text()


def first_cells(page: str) -> set[str]:
    """Every name in the first column of a table of the page."""
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("|")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_every_kind_and_every_column_is_on_the_page():
    assert first_cells(SINKS) >= set(SinksSettings.model_fields) | set(COLUMNS)


@pytest.mark.parametrize("kind", sorted(set(SinksSettings.model_fields) - {"mqtt", "console"}))
def test_every_key_of_a_kind_is_on_the_page(kind):
    annotation = SinksSettings.model_fields[kind].annotation
    model = next(one for one in annotation.__args__ if hasattr(one, "model_fields"))

    assert first_cells(SINKS) >= set(model.model_fields)


def test_every_key_of_mqtt_is_on_its_page_with_its_default():
    assert first_cells(MQTT) >= set(MqttSettings.model_fields)
    for name in ("keepalive_s", "buffer", "discovery_prefix"):
        assert str(MqttSettings.model_fields[name].default) in MQTT


def test_every_topic_is_on_the_page():
    topics = Topics("molmo_node", "NODE")
    every = [
        topics.availability, topics.worker, topics.reading("NAME"), topics.status("NAME"),
        topics.watch_availability("NAME"), topics.camera_connected("NAME"),
        topics.camera_last_frame("NAME"),
    ]  # fmt: skip

    assert first_cells(MQTT) >= {topic.replace("molmo_node/NODE", "…") for topic in every}


@pytest.mark.parametrize("page", [SINKS, MQTT], ids=["sinks", "mqtt"])
def test_the_page_begins_with_three_commands(page):
    lines = page.splitlines()

    assert [line.startswith("    ") for line in lines[2:6]] == [True, True, True, False]
