"""Any bytes give a message or a ProtocolError, quickly, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molmo_node.bus import limits, wire
from molmo_node.errors import ProtocolError
from tests.support import samples
from tools import fuzz_wire

DECODERS = fuzz_wire.decoders()
NOT_NUMBERS = (float("nan"), float("inf"), float("-inf"))


@pytest.mark.parametrize("message", [*samples.CLIENT_MESSAGES], ids=lambda m: type(m).__name__)
def test_what_a_client_says_comes_back_the_same(message):
    assert wire.client_message(wire.encode(message)) == message


@pytest.mark.parametrize("message", [*samples.WORKER_MESSAGES], ids=lambda m: type(m).__name__)
def test_what_a_worker_says_comes_back_the_same(message):
    assert wire.worker_message(wire.encode(message)) == message


def test_a_frame_header_comes_back_the_same():
    assert wire.frame_header(wire.encode(samples.FRAME_HEADER)) == samples.FRAME_HEADER


@pytest.mark.parametrize("name", DECODERS)
@given(raw=st.binary(max_size=400))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_any_bytes_are_a_message_or_a_protocol_error(name, raw):
    decoder, _ = DECODERS[name]
    try:
        decoder(raw)
    except ProtocolError as exc:
        assert exc.message  # noqa: PT017


@pytest.mark.parametrize("name", DECODERS)
def test_damaged_messages_are_messages_or_protocol_errors(name):
    decoder, seeds = DECODERS[name]
    refused, _ = fuzz_wire.attack(decoder, fuzz_wire.mutated(seeds), count=3000, seed=7)
    assert 0 < refused < 3000


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_million_random_inputs_neither_escape_nor_grow_the_process():
    run = subprocess.run([sys.executable, fuzz_wire.__file__], capture_output=True, text=True)
    print(run.stdout)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("poison", fuzz_wire.NASTY, ids=lambda raw: raw[:4].hex() or "empty")
@pytest.mark.parametrize("name", DECODERS)
def test_known_poison_is_refused(name, poison):
    decoder, _ = DECODERS[name]
    with pytest.raises(ProtocolError):
        decoder(poison)


@pytest.mark.parametrize("name", DECODERS)
def test_too_long_a_message_is_refused_unread(name):
    decoder, _ = DECODERS[name]
    with pytest.raises(ProtocolError, match="at most"):
        decoder(bytes(limits.FRAME_BYTES))


@pytest.mark.parametrize("value", NOT_NUMBERS)
@pytest.mark.parametrize(
    ("message", "path"),
    [
        (samples.QUERY, ("deadline_ms",)),
        (samples.QUERY, ("max_age_ms",)),
        (samples.CLIENT_MESSAGES[2], ("lease_s",)),
        (samples.CLIENT_MESSAGES[2], ("spec", "rate_hz")),
        (samples.CLIENT_MESSAGES[2], ("spec", "max_age_ms")),
    ],
)
def test_a_client_cannot_say_what_is_no_number(message, path, value):
    fields = msgspec.to_builtins(message)
    holder = fields
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    with pytest.raises(ProtocolError, match=path[-1]):
        wire.client_message(wire.encode(fields))


@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_a_point_that_is_nowhere_is_refused(value):
    fields = msgspec.to_builtins(samples.ANSWER)
    fields["points"][0]["x_px"] = value
    with pytest.raises(ProtocolError, match="x_px"):
        wire.answer(wire.encode(fields))


def test_a_number_beyond_every_integer_is_refused():
    fields = msgspec.to_builtins(samples.FRAME_HEADER)
    fields["width"] = 1e300
    with pytest.raises(ProtocolError, match="width"):
        wire.frame_header(wire.encode(fields))


def test_a_field_of_a_newer_peer_is_passed_over():
    fields = msgspec.to_builtins(samples.QUERY) | {"mood": "hopeful"}
    assert wire.client_message(wire.encode(fields)) == samples.QUERY


def test_another_protocol_version_is_named():
    raw = wire.encode(msgspec.structs.replace(samples.QUERY, v=99))
    with pytest.raises(ProtocolError, match="protocol 99, this side speaks 1"):
        wire.client_message(raw)


def test_a_refusal_does_not_repeat_bytes_that_are_no_text():
    with pytest.raises(ProtocolError) as caught:
        wire.answer(b"\xa2\xff\xfe")
    assert "\\xff" not in caught.value.message


def test_the_id_of_a_refused_message_is_found():
    fields = msgspec.to_builtins(samples.QUERY) | {"frame": "yesterday"}
    raw = wire.encode(fields)
    with pytest.raises(ProtocolError, match="yesterday"):
        wire.client_message(raw)
    assert wire.id_of(raw) == samples.QUERY.id


@pytest.mark.parametrize("raw", [b"", b"\x80", b"\x81\xa2id\x07", b"\xa2\xff\xfe", b"\x91" * 2000])
def test_a_message_without_an_id_has_an_empty_one(raw):
    assert wire.id_of(raw) == ""
