"""docs/PROTOCOL.md says what the code does, and the code does what it says."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import get_args

import pytest

from molmo_node import messages
from molmo_node.bus import limits, ring, topics
from molmo_node.errors import BY_CODE
from tests.support import protocol

PAGE = (Path(__file__).parents[2] / "docs" / "PROTOCOL.md").read_text()


def section(title: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    heading = re.search(rf"^(#+) {re.escape(title)}$", PAGE, re.M)
    assert heading, f"no heading {title!r}"
    level = len(heading[1])
    rest = PAGE[heading.end() :]
    following = re.search(rf"^#{{1,{level}}} ", rest, re.M)
    return rest[: following.start()] if following else rest


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, without the heads and without backquotes."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    heads = {number - 1 for number, row in enumerate(cells) if set("".join(row)) <= set("- ")}
    bars = {number + 1 for number in heads}
    return [
        [cell.replace("`", "") for cell in row]
        for number, row in enumerate(cells)
        if number not in heads | bars
    ]


def titles(under: str, level: int) -> list[str]:
    return re.findall(rf"^#{{{level}}} (.+)$", section(under), re.M)


def test_the_page_names_the_version_that_the_code_speaks():
    assert f"Protocol version: {messages.PROTOCOL_VERSION}\n" in PAGE
    assert re.search(rf"^- {messages.PROTOCOL_VERSION}: ", section("Versions of this page"), re.M)


def test_every_message_is_on_the_page_and_no_other():
    enums = titles("Enumerations", 4)
    listed = [title for title in titles("Messages", 4) if title not in enums]
    assert sorted(listed) == sorted(protocol.structs())


@pytest.mark.parametrize("name", protocol.structs())
def test_every_field_is_on_the_page_with_its_type_and_default(name):
    listed = {row[0]: (row[1], row[2]) for row in rows(section(name))}
    assert listed == protocol.fields(protocol.structs()[name])


def test_every_enumeration_is_on_the_page_with_its_values():
    assert titles("Enumerations", 4) == list(protocol.ENUMS)
    for name, enum in protocol.ENUMS.items():
        assert re.findall(r"^- `(.+)`$", section(name), re.M) == list(get_args(enum)), name


def test_every_error_code_is_on_the_page():
    assert [row[0] for row in rows(section("Error codes"))] == list(BY_CODE)


def test_every_limit_is_on_the_page_with_its_value():
    listed = {row[0]: row[1] for row in rows(section("Limits"))}
    values = {name: value for name, value in vars(limits).items() if name.isupper()}
    pattern = values.pop("NAME").pattern
    assert listed == {name: repr(value) for name, value in values.items()} | {"NAME": pattern}


def message_name(topic: topics.Topic) -> str:
    if isinstance(topic.message, type):
        return topic.message.__name__
    return " or ".join(kind.__name__ for kind in get_args(topic.message))


def test_every_topic_is_on_the_page_with_its_row():
    assert rows(section("Topics")) == [
        [
            topic.name,
            topic.key,
            message_name(topic),
            topic.sender,
            "on demand" if topic.rate_hz is None else str(topic.rate_hz),
            str(topic.limit_bytes),
            str(topic.queue_length),
            topic.when_full,
            "yes" if topic.has_snapshot else "no",
        ]
        for topic in topics.TOPICS.values()
    ]


def test_a_reader_made_from_the_page_reads_the_ring():
    writer = ring.RingWriter("front", 5000, slots=4, checksum=True)
    for number in range(1, 7):
        writer.write(number, b"header", bytes([number]) * 4999)
    raw = (ring.SHM_DIR / writer.name).read_bytes()
    writer.close()

    text = section("The ring")
    at = {what.split(":")[0].split(",")[0]: int(where) for where, _, what in rows(text)}
    magic, layout, slots, capacity = struct.unpack_from("=QIIQ", raw, 0)
    head = struct.unpack_from("=Q", raw, at["head"])[0]
    slot = 4096 + (head % slots) * (4096 + -(-capacity // 4096) * 4096)
    sequence = struct.unpack_from("=Q", raw, slot + at["sequence"])[0]
    header_len = struct.unpack_from("=I", raw, slot + at["length of the header"])[0]
    body_len = struct.unpack_from("=Q", raw, slot + at["length of the body"])[0]
    header_at, body_at = slot + at["FrameHeader"], slot + at["body"]

    assert f"0x{magic:X}" in text
    assert f"layout, {layout}" in text
    assert (slots, capacity, head, sequence) == (4, 5000, 6, 12)
    assert raw[header_at : header_at + header_len] == b"header"
    assert raw[body_at : body_at + body_len] == b"\x06" * 4999
