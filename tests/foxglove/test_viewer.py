"""Foxglove's app sees pictures, overlays, readings and states, and may ask."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.ImageAnnotations_pb2 import ImageAnnotations
from websockets.exceptions import InvalidStatus

from molmo_node import imaging
from molmo_node.camera.pattern import read_counter
from molmo_node.errors import ProtocolError
from molmo_node.foxglove.gate import is_allowed
from molmo_node.foxglove.questions import decode_ask
from tests.support.foxglove_app import FoxgloveApp
from tests.support.stack import Stack
from tests.support.waiting import wait_for

START_S = 60
IMAGE, OVERLAY = "/camera/front/image", "/camera/front/overlay/mug"
ANSWERS, STATUS = "/camera/front/answers", "/status/worker"
SCRIPT = {"answers": [{"task": "point", "points": [[160.5, 100.25, "mug"]]}]}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A camera, a worker with a watch, and the server."""
    run_dir = Path(tempfile.mkdtemp(prefix="mn-"))
    stack = Stack(tmp_path_factory.mktemp("foxglove"), run_dir)
    script = stack.file("script.yaml", yaml.safe_dump(SCRIPT))
    watch = {"name": "mug", "task": "point", "text": "mug", "camera": "front", "rate_hz": 5}
    settings = {
        "cameras": [{"name": "front", "source": "pattern:320x240@10"}],
        "worker": {"model": f"scripted:{script}"},
        "watches": [watch],
    }
    config = str(stack.file("node.yaml", yaml.safe_dump(settings)))
    for name, args in (
        ("camera.front", ("camera", "--name", "front")), ("worker", ("worker",)),
        ("foxglove", ("foxglove", "--port", "0")),
    ):  # fmt: skip
        stack.start(name, *args, "-c", config)
    yield stack
    stack.close()
    shutil.rmtree(run_dir)


@pytest.fixture
def app(stack: Stack) -> Iterator[FoxgloveApp]:
    """The app, connected, with all channels of this node known."""
    with FoxgloveApp(url_of(stack)) as app:
        wanted = {IMAGE, OVERLAY, ANSWERS, STATUS}
        wait_for(
            lambda: app.pump() and app.services and app.channels.keys() >= wanted,
            START_S,
            "channels",
        )
        yield app


def url_of(stack: Stack) -> str:
    process = stack.processes["foxglove"]
    found = wait_for(
        lambda: re.search(r"ws://\S+", process.output), START_S, f"the server\n{process.output}"
    )
    return str(found[0])


def received(app: FoxgloveApp, topic: str, count: int = 1) -> list[bytes]:
    app.subscribe(topic)
    wait_for(
        lambda: app.pump() and len(app.messages[topic]) >= count, START_S, f"messages of {topic}"
    )
    return app.messages[topic]


@pytest.mark.process
@pytest.mark.timeout(150)
def test_pictures_come_live_in_foxglove_s_own_schema(app: FoxgloveApp) -> None:
    images = [CompressedImage.FromString(raw) for raw in received(app, IMAGE, 5)]

    assert app.server["name"] == "molmo_node"
    channel = app.channels[IMAGE]
    assert (channel["schemaName"], channel["encoding"]) == ("foxglove.CompressedImage", "protobuf")
    counted = [read_counter(imaging.decode_rgb(one.data, "jpeg", 320, 240)) for one in images]
    assert None not in counted
    assert counted == sorted(set(counted))
    assert images[0].frame_id == "front"


@pytest.mark.process
@pytest.mark.timeout(150)
def test_overlays_and_answers_name_the_frame_that_was_looked_at(app: FoxgloveApp) -> None:
    marks = ImageAnnotations.FromString(received(app, OVERLAY)[0])
    answer = json.loads(received(app, ANSWERS)[0])

    assert app.channels[OVERLAY]["schemaName"] == "foxglove.ImageAnnotations"
    assert (marks.circles[0].position.x, marks.circles[0].position.y) == (160.5, 100.25)
    assert marks.timestamp.ToNanoseconds() > 0
    assert (answer["watch"], answer["frame"]["camera"]) == ("mug", "front")
    assert json.loads(received(app, STATUS)[0])["node"] == "worker"


@pytest.mark.process
@pytest.mark.timeout(150)
def test_the_service_answers_and_says_why_it_does_not(app: FoxgloveApp) -> None:
    requests = [
        b'{"task": "point", "text": "the mug"}',
        b'{"task": "describe"}',
        b'{"task": "fly"}',
        b"\xff{",
    ]
    for number, request in enumerate(requests):
        app.call("/ask", number, request)
    wait_for(lambda: app.pump() and len(app.replies) == 4, START_S, "replies")

    answer = json.loads(app.replies[0])
    assert answer["points"] == [{"x_px": 160.5, "y_px": 100.25, "label": "mug"}]
    assert answer["frame"]["camera"] == "front"
    assert "NoAnswer: describe cannot be answered" in str(app.replies[1])
    assert "no question: Invalid enum value 'fly'" in str(app.replies[2])
    assert "ProtocolError: no question" in str(app.replies[3])
    assert app.services["/ask"]["request"]["schemaEncoding"] == "jsonschema"


@pytest.mark.process
@pytest.mark.timeout(150)
def test_pictures_are_taken_only_while_somebody_looks(stack: Stack, app: FoxgloveApp) -> None:
    def looks() -> int:
        return stack.processes["foxglove"].output.count("camera peer")

    before = looks()
    received(app, IMAGE)
    assert looks() == before + 1
    app.socket.close()

    with FoxgloveApp(url_of(stack)) as another:
        wait_for(lambda: another.pump() and STATUS in another.channels, START_S, "channels")
        received(another, STATUS, 3)
    assert looks() == before + 1


@pytest.mark.process
@pytest.mark.timeout(150)
def test_nobody_beyond_this_machine_is_let_in(stack: Stack) -> None:
    refused = stack.start("refused", "foxglove", "--host", "0.0.0.0")

    assert refused.wait(within_s=START_S) == 2
    assert "only this machine may connect" in refused.output
    assert "next: from another machine: ssh -L" in refused.output


@pytest.mark.process
@pytest.mark.timeout(150)
def test_a_strange_web_page_is_shown_nothing(stack: Stack) -> None:
    for origin in ("http://evil.example", "null", "https://app.foxglove.dev.evil.example"):
        with pytest.raises(InvalidStatus, match="403"), FoxgloveApp(url_of(stack), origin=origin):
            pass
    with FoxgloveApp(url_of(stack), origin="https://app.foxglove.dev") as page:
        wait_for(lambda: page.pump() and page.server, START_S, "Foxglove's own page is let in")


@pytest.mark.process
@pytest.mark.timeout(150)
def test_a_taken_port_is_said_with_the_next_step(stack: Stack) -> None:
    port = url_of(stack).rpartition(":")[2]

    second = stack.start("second", "foxglove", "--port", port)

    assert second.wait(within_s=START_S) == 2
    assert f"cannot listen at 127.0.0.1:{port}: address already in use" in second.output
    assert "Traceback" not in second.output


@pytest.mark.parametrize(
    ("lines", "passes"),
    [
        ("Host: a", True),
        ("ORIGIN: https://app.foxglove.dev", True),
        ("Origin: file://", True),
        ("origin:http://localhost:8080", True),
        ("Origin: http://localhost:8081", False),
        ("Origin : http://evil.example", False),
        ("Origin: null", False),
        ("Origin:", False),
        ("Origin: file://\r\nOrigin: http://evil.example", False),
    ],
)
def test_only_known_origins_pass_the_gate(lines: str, passes: bool) -> None:
    head = f"GET / HTTP/1.1\r\nUpgrade: websocket\r\n{lines}\r\n\r\n".encode()

    assert is_allowed(head, ("http://localhost:8080",)) == passes


def test_what_does_not_begin_as_a_websocket_does_not_pass() -> None:
    assert not is_allowed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"task": 1}', b'{"tasks": "point"}', b"[" * 9000])
def test_what_is_no_question_is_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_ask(raw)


def test_too_long_a_request_is_refused_before_it_is_read() -> None:
    with pytest.raises(ProtocolError, match="at most 16384 allowed"):
        decode_ask(b" " * 20_000)
