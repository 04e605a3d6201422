"""A recording opens with the `mcap` reader, validates, and can be read when it is cut anywhere."""

from __future__ import annotations

import json
import random
import re
import struct
from pathlib import Path

import msgspec
import pytest
import zstandard
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.ImageAnnotations_pb2 import ImageAnnotations
from mcap.reader import NonSeekingReader, make_reader

from molmo_node.errors import ConfigError
from molmo_node.messages import Answer
from molmo_node.models.json_schema import schema_fault
from molmo_node.recording.frames import recorded_frames
from molmo_node.recording.reader import RECORD_BYTES, Recording, RecordingError
from molmo_node.recording.repair import repair
from molmo_node.recording.summary import look, summarize
from molmo_node.recording.writer import RecordingFile
from tests.recording.samples import answer, frame, picture, write

FRAMES = 40
CUTS = 200


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write(tmp_path_factory.mktemp("recording") / "whole.mcap", range(FRAMES))


def by_topic(path):
    """Messages as the library's own reader gives them, every checksum checked."""
    found = {}
    with path.open("rb") as file:
        for schema, channel, message in make_reader(file, validate_crcs=True).iter_messages():
            found.setdefault(channel.topic, []).append((schema, channel, message))
    return found


def test_the_library_s_reader_opens_it_and_every_checksum_is_right(whole):
    found = by_topic(whole)
    with whole.open("rb") as file:  # the other reader, which checks the whole data section
        streamed = list(NonSeekingReader(file, validate_crcs=True).iter_messages())

    assert {topic: len(messages) for topic, messages in found.items()} == {
        "/camera/front/image": FRAMES,
        "/camera/front/frame": FRAMES,
        "/camera/front/answers": FRAMES,
        "/camera/front/overlay/mug": FRAMES,
        "/camera/front/readings/mug": FRAMES,
        "/status/worker": FRAMES,
    }
    assert len(streamed) == sum(len(messages) for messages in found.values())


def test_every_json_message_follows_the_schema_that_it_is_declared_with(whole):
    checked = 0
    for messages in by_topic(whole).values():
        for schema, channel, message in messages:
            if channel.message_encoding == "json":
                assert schema.encoding == "jsonschema"
                assert schema_fault(json.loads(message.data), schema.data.decode()) is None
                checked += 1
    assert checked == 4 * FRAMES


def test_pictures_are_foxglove_s_and_byte_for_byte_the_camera_s(whole):
    for number, (schema, channel, message) in enumerate(by_topic(whole)["/camera/front/image"]):
        image = CompressedImage.FromString(message.data)
        assert (schema.name, channel.message_encoding) == ("foxglove.CompressedImage", "protobuf")
        assert (image.format, image.frame_id) == ("jpeg", "optical")
        assert image.data == picture(number)
        assert image.timestamp.ToNanoseconds() == frame(number).header.ref.stamp_ns


def test_the_overlay_marks_the_answer_s_pixels_on_the_frame_of_its_stamp(whole):
    schema, _, message = by_topic(whole)["/camera/front/overlay/mug"][3]
    marks = ImageAnnotations.FromString(message.data)

    assert schema.name == "foxglove.ImageAnnotations"
    assert marks.timestamp.ToNanoseconds() == frame(3).header.ref.stamp_ns
    assert (marks.circles[0].position.x, marks.circles[0].position.y) == (1.5, 2.5)
    assert [text.text for text in marks.texts][:1] == ["mug"]
    assert any("4.2 bar" in text.text for text in marks.texts)


def test_answers_are_kept_whole(whole):
    kept = [
        msgspec.json.decode(message.data, type=Answer)
        for _, _, message in by_topic(whole)["/camera/front/answers"]
    ]

    assert kept == [answer(number) for number in range(FRAMES)]


def test_cut_at_any_byte_it_is_readable_to_its_last_whole_chunk(whole, tmp_path):
    with whole.open("rb") as file:
        chunks = make_reader(file).get_summary().chunk_indexes
    ends = [chunk.chunk_start_offset + chunk.chunk_length for chunk in chunks]
    messages = [entry for one in by_topic(whole).values() for entry in one]
    raw, chance, cut = whole.read_bytes(), random.Random(7), tmp_path / "cut.mcap"
    assert len(chunks) > 10

    for at in chance.sample(range(len(raw)), CUTS):
        cut.write_bytes(raw[:at])
        within = [chunk for chunk, end in zip(chunks, ends, strict=True) if end <= at]
        latest_ns = max((chunk.message_end_time for chunk in within), default=-1)
        if at < 8:
            with pytest.raises(RecordingError):
                summarize(cut)
            continue
        found = summarize(cut)
        assert found.damage, at
        assert found.chunks == len(within), at
        assert found.last_ns == max(latest_ns, 0), at
        assert found.topics.total() >= sum(m.log_time < latest_ns for *_, m in messages), at


def test_damage_anywhere_is_told_and_raises_nothing_else(whole, tmp_path):
    raw, chance, bad = whole.read_bytes(), random.Random(11), tmp_path / "bad.mcap"
    told = 0
    for at in chance.sample(range(len(raw)), CUTS):
        changed = bytearray(raw)
        changed[at : at + 4] = chance.randbytes(4)
        bad.write_bytes(changed)
        try:
            told += bool(summarize(bad).damage)
            look(bad)
            list(recorded_frames(Recording(bad), "front"))
        except RecordingError:
            told += 1
    # Bytes in an index, or in what is not checked (a name in a summary), change no message.
    assert told > CUTS / 2


def test_a_damaged_chunk_costs_no_other(whole, tmp_path):
    with whole.open("rb") as file:
        chunks = make_reader(file).get_summary().chunk_indexes
    raw, bad, out = bytearray(whole.read_bytes()), tmp_path / "bad.mcap", tmp_path / "out.mcap"
    middle = chunks[len(chunks) // 2]
    raw[middle.chunk_start_offset + middle.chunk_length - 20] ^= 0xFF
    bad.write_bytes(raw)

    contents = repair(bad, out)

    assert contents.chunks == len(chunks) - 1
    assert contents.damage == "1 damaged chunks were passed over"
    assert contents.whole_bytes == middle.chunk_start_offset
    assert summarize(out).damage == ""
    assert summarize(out).cameras["front"] >= FRAMES - 5


def test_repaired_it_is_whole_again_and_holds_the_same(whole, tmp_path):
    cut, out = tmp_path / "cut.mcap", tmp_path / "out.mcap"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])

    contents = repair(cut, out)

    assert contents.damage == "it is cut off"
    found = by_topic(out)
    with pytest.raises(ConfigError, match="exists already"):
        repair(cut, out)
    assert summarize(out).damage == ""
    assert sum(map(len, found.values())) == summarize(cut).topics.total() > 0
    assert look(out).topics == summarize(out).topics
    said = summarize(out).metadata["molmo_node"]
    assert said == {"version": "test", "repaired_from": "cut.mcap"}


def test_a_chunk_that_unpacks_to_too_much_is_not_unpacked(tmp_path):
    bomb = zstandard.compress(bytes(RECORD_BYTES + 1))
    body = struct.pack("<QQQI", 0, 0, 100, 0) + struct.pack("<I", 4) + b"zstd"
    body += struct.pack("<Q", len(bomb)) + bomb
    path = tmp_path / "bomb.mcap"
    head = RecordingFile(path, {})
    head.finish({})
    path.write_bytes(path.read_bytes()[:8] + struct.pack("<BQ", 6, len(body)) + body)

    assert summarize(path).chunks == 0
    assert summarize(path).damage


def test_what_is_no_recording_is_said_so(tmp_path):
    (tmp_path / "photo.mcap").write_bytes(picture(0))

    with pytest.raises(RecordingError, match="is no MCAP file"):
        summarize(tmp_path / "photo.mcap")
    with pytest.raises(RecordingError, match="no such file"):
        look(tmp_path / "none.mcap")


def test_frames_come_back_as_they_were_sent(whole):
    found = list(recorded_frames(Recording(whole), "front"))

    assert [one.header for one in found] == [frame(number).header for number in range(FRAMES)]
    assert [one.body for one in found] == [picture(number) for number in range(FRAMES)]
    assert list(recorded_frames(Recording(whole), "back")) == []


def test_a_recording_is_never_written_over(whole):
    with pytest.raises(ConfigError, match="exists already"):
        RecordingFile(whole, {})


def test_it_is_never_longer_than_it_says_it_will_be(tmp_path):
    file = RecordingFile(tmp_path / "a.mcap", {"version": "test"}, 10_000)
    from molmo_node.recording.entries import answer_entries, frame_entries

    for number in range(60):
        for entry in (*frame_entries(frame(number)), *answer_entries(answer(number))):
            file.write(entry, number)
    said = file.nbytes
    file.finish({"missed": 0})

    assert 0.5 * said < file.path.stat().st_size <= said


def test_the_page_lists_every_channel(whole):
    page = (Path(__file__).parents[2] / "docs" / "recording.md").read_text()
    listed = dict(re.findall(r"^\| `(/[^`]+)` \| `([^`]+)`", page, re.M))
    written = {
        topic.replace("front", "NAME").replace("readings/mug", "readings/DIAL")
        .replace("overlay/mug", "overlay/WATCH").replace("status/worker", "status/NODE"): name
        for topic, name in summarize(whole).schemas.items()
    }  # fmt: skip

    assert listed == written
