"""The main job, with real processes: frames in, readings and points out."""

from __future__ import annotations

from pathlib import Path

import pytest

import molmo_node
from molmo_node.messages import GaugeReading
from tests.support.stack import Stack

pytestmark = pytest.mark.process

EXAMPLES = Path(molmo_node.__file__).parent / "examples"


def test_photographs_of_a_gauge_become_readings_at_a_subscriber(stack: Stack) -> None:
    stack.up(
        {
            "cameras": [{"name": "front", "source": str(EXAMPLES / "pressure_run"), "fps": 4}],
            "gauges": {"folder": str(EXAMPLES / "gauges")},
            "watches": [
                {"name": "pressure", "task": "read_gauge", "text": "pressure_run", "rate_hz": 4}
            ],
        }
    )
    client = stack.client(connect_s=20)
    stack.wait_ready(client, "front")

    with client.answers(watch="pressure") as answers:
        found = [answers.get(timeout_s=10) for _ in range(8)]

    readings = [answer.reading for answer in found]
    assert all(isinstance(reading, GaugeReading) for reading in readings)
    assert {answer.frame.camera for answer in found} == {"front"}
    assert [answer.frame.seq for answer in found] == sorted({answer.frame.seq for answer in found})
    values = [reading.value for reading in readings if isinstance(reading, GaugeReading)]
    assert all(value is not None and 0.0 < value < 0.7 for value in values)


def test_points_come_back_in_pixels_with_the_frame_they_were_made_from(stack: Stack) -> None:
    stack.camera(source="pattern:640x480@30")
    stack.worker({"answers": [{"task": "point", "points": [[320.5, 100.25, "mug"]]}]})
    client = stack.client()
    stack.wait_ready(client, "front")

    answer = client.point("mug")

    assert (answer.width, answer.height) == (640, 480)
    assert [(p.x_px, p.y_px, p.label) for p in answer.points] == [(320.5, 100.25, "mug")]
    assert answer.frame.camera == "front"
    assert answer.model == "scripted"
