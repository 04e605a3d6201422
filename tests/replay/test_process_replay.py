"""The regression net: a recording through a real worker answers as it did, field by field."""

from __future__ import annotations

import copy
import json

import pytest

from molmo_node.recording.summary import summarize
from tools import process_replay

FOLDER = process_replay.FOLDER
REFERENCE = json.loads((FOLDER / "reference.json").read_text())


@pytest.mark.process
@pytest.mark.timeout(240)
def test_a_recording_is_answered_as_in_the_reference():
    found = process_replay.answers_to(
        FOLDER / "bench.mcap", FOLDER / "settings.yaml", FOLDER / "script.yaml"
    )

    lines = process_replay.differences(found, REFERENCE)
    assert not lines, "\n".join([*lines, "wanted? python tools/process_replay.py --update"])


def test_the_reference_holds_readings_points_and_refusals():
    assert summarize(FOLDER / "bench.mcap").cameras == {"bench": 3, "dial": 3}
    assert (FOLDER / "bench.mcap").stat().st_size < 200_000
    assert len(REFERENCE) == 18
    assert sum(bool(one["points"]) for one in REFERENCE) == 6
    assert sum(one["reason"] is not None for one in REFERENCE) == 3
    gauges = [one["reading"] for one in REFERENCE if one["watch"] == "pressure"]
    assert all(reading["value"] is not None for reading in gauges)


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (("points", 0, "x_px"), 135.0, "bench #0 mug: points[0].x_px: 135.0, expected 134.25"),
        (("frame", "stamp_ns"), 7, "bench #0 mug: frame.stamp_ns: 7, expected 1759999999995000001"),
        (("reason",), "", "bench #0 mug: reason: '', expected None"),
        (("width",), 640.0, "bench #0 mug: width: 640.0, expected 640"),
    ],
)
def test_any_other_field_is_told_with_its_frame_and_place(path, value, line):
    found = copy.deepcopy(REFERENCE)
    place = next(one for one in found if one["watch"] == "mug")
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value

    assert process_replay.differences(found, REFERENCE) == [line]


def test_a_missing_answer_is_told():
    assert "17 answers, expected 18" in process_replay.differences(REFERENCE[:-1], REFERENCE)
