"""What is bounded stays bounded: the buffer, a file, a ring of files; and schemas stay plain."""

from __future__ import annotations

import errno
import json
import os

import msgspec
import numpy as np
import pytest

from molmo_node.bus.frames import Frame
from molmo_node.errors import ProtocolError
from molmo_node.messages import Answer, FrameHeader, FrameRef, GaugeReading, Status
from molmo_node.recording.buffer import DropOldest
from molmo_node.recording.entries import PlainReading, entries_of, frame_entries, status_entries
from molmo_node.recording.parts import Bounds, Parts
from molmo_node.recording.plain_schema import plain_schema
from molmo_node.recording.summary import summarize
from molmo_node.recording.writer import DiskError, RecordingFile
from tests.recording.samples import SECOND_NS, frame
from tests.support.samples import ANSWER, STATUS


def sized(number: int, nbytes: int) -> Frame:
    return Frame(frame(number).header, np.zeros(nbytes, np.uint8))


def taken(buffer: DropOldest) -> list[int]:
    """The log times of all that waits, in the order in which it comes out."""
    buffer.close()
    found = []
    while (waiting := buffer.take(0.0)) is not None:
        found.append(waiting.log_ns)
    return found


def test_a_full_buffer_drops_the_oldest_frames_and_counts_them():
    buffer = DropOldest(frame_bytes=1000)

    for number in range(10):
        buffer.put(sized(number, 300), number)

    assert taken(buffer) == [7, 8, 9]
    assert buffer.dropped == {"frames": 7, "messages": 0}


def test_a_flood_of_frames_pushes_no_answer_out_and_the_order_stays():
    buffer = DropOldest(frame_bytes=500, messages=2)

    buffer.put(STATUS, 0)
    for number in range(1, 6):
        buffer.put(sized(number, 300), number)
    buffer.put(STATUS, 6)

    assert taken(buffer) == [0, 5, 6]


def test_old_messages_give_way_to_new_ones():
    buffer = DropOldest(messages=3)

    for number in range(5):
        buffer.put(STATUS, number)

    assert taken(buffer) == [2, 3, 4]
    assert buffer.dropped["messages"] == 2


def test_a_frame_larger_than_the_buffer_is_still_taken_alone():
    buffer = DropOldest(frame_bytes=100)

    buffer.put(sized(0, 300), 0)
    buffer.put(sized(1, 300), 1)

    assert taken(buffer) == [1]


def record(parts: Parts, numbers: range) -> int:
    """How many frames went in before the recording was full."""
    for number in numbers:
        if not parts.write(frame_entries(frame(number)), number * SECOND_NS, dict):
            return number
    parts.finish({})
    return len(numbers)


def test_a_file_of_bounded_size_ends_before_the_bound(tmp_path):
    bound = 100_000
    parts = Parts(tmp_path / "a.mcap", Bounds(most_bytes=bound), {})

    held = record(parts, range(200))

    assert 0 < held < 200
    assert bound / 2 < (tmp_path / "a.mcap").stat().st_size <= bound
    assert summarize(tmp_path / "a.mcap").cameras == {"front": held}


def test_split_files_are_whole_and_lose_nothing_between_them(tmp_path):
    parts = Parts(tmp_path / "a.mcap", Bounds(most_s=5.0, splits=True), {})

    record(parts, range(18))

    files = sorted(tmp_path.iterdir())
    summaries = [summarize(path) for path in files]
    assert [path.name for path in files] == [f"a-{n:04d}.mcap" for n in range(1, 5)]
    assert [one.cameras["front"] for one in summaries] == [5, 5, 5, 3]
    assert not any(one.damage for one in summaries)


def test_a_ring_keeps_the_newest_files(tmp_path):
    bounds = Bounds(most_bytes=60_000, splits=True, kept=3)
    (tmp_path / "a-other.mcap").write_text("not ours")
    parts = Parts(tmp_path / "a.mcap", bounds, {})

    record(parts, range(300))

    made = sorted(path for path in tmp_path.iterdir() if path.name != "a-other.mcap")
    assert len(made) == 3
    assert summarize(made[-1]).last_ns == 299 * SECOND_NS
    assert sum(path.stat().st_size for path in made) <= 3 * 60_000
    assert (tmp_path / "a-other.mcap").exists()


def test_a_recording_that_starts_again_goes_on_where_it_was(tmp_path):
    bounds = Bounds(most_s=5.0, splits=True, kept=3)
    record(Parts(tmp_path / "a.mcap", bounds, {}), range(10))

    record(Parts(tmp_path / "a.mcap", bounds, {}), range(10))

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a-0002.mcap", "a-0003.mcap", "a-0004.mcap",
    ]  # fmt: skip


def test_a_full_disk_costs_none_of_the_kept_files(tmp_path, monkeypatch):
    bounds = Bounds(most_s=5.0, splits=True, kept=2)
    record(Parts(tmp_path / "a.mcap", bounds, {}), range(10))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    for _ in range(3):  # a supervisor tries again and again
        with pytest.raises(DiskError, match="no space left on device; nothing was recorded"):
            Parts(tmp_path / "a.mcap", bounds, {})

    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-0001.mcap", "a-0002.mcap"]


@pytest.mark.parametrize("kind", [Answer, FrameHeader, Status, PlainReading])
def test_schemas_hold_only_what_foxglove_s_app_understands(kind):
    def check(schema):
        assert schema["type"] in ("object", "array", "string", "number", "integer", "boolean")
        assert not schema.keys() - {"type", "title", "properties", "items"}
        for member in schema.get("properties", {}).values():
            check(member)
        if schema["type"] == "array":
            assert schema["items"]["type"] != "array"
            check(schema["items"])

    schema = json.loads(plain_schema(kind))

    check(schema)
    assert schema["type"] == "object"
    assert schema["properties"]


def test_a_reading_s_numbers_can_be_plotted():
    members = json.loads(plain_schema(PlainReading))["properties"]

    assert members["value"] == {"type": "number"}
    assert members["hour"] == {"type": "integer"}


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize(
    "changes",
    [
        {"data": msgspec.msgpack.Ext(5, b"x")},
        {"reading": GaugeReading(value=1.0, sigma=-1.0)},
        {"frame": FrameRef(camera="front", session="s", seq=-5, stamp_ns=-(2**63), mono_ns=0)},
        {"frame": FrameRef(camera="front", session="s", seq=0, stamp_ns=2**64 - 1, mono_ns=0)},
    ],
)
def test_odd_values_of_a_peer_are_written_or_refused_and_stop_nothing(tmp_path, changes):
    file = RecordingFile(tmp_path / "a.mcap", {})
    try:
        entries = entries_of(msgspec.structs.replace(ANSWER, **changes))
    except ProtocolError:
        entries = []

    for entry in (*entries, *entries_of(STATUS)):
        file.write(entry, 0)
    file.finish({})

    assert summarize(tmp_path / "a.mcap").topics["/status/worker"] == 1


def test_names_that_are_no_names_make_no_topics_of_their_own():
    odd = msgspec.structs.replace(STATUS, node="../../etc")

    assert status_entries(odd)[0].channel.topic == "/status/node"
