"""What was recorded live is answered again, frame by frame, at its own speed and ten times it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

import molmo_node
from molmo_node.messages import Answer, GaugeReading
from molmo_node.recording.frames import RecordedFrame, recorded_frames
from molmo_node.recording.reader import Recording
from tests.support.stack import Stack
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

EXAMPLES = Path(molmo_node.__file__).parent / "examples"
FRAMES = 8
FPS = 2.5
MEDIAN_OF = 3


@pytest.fixture
def config(stack: Stack) -> Path:
    """A camera that plays photographs, and what is asked about each of them."""
    script = {"answers": [{"task": "point", "points": [[320.5, 100.25, "hub"]]}]}
    pointing = {"name": "hub", "task": "point", "text": "hub", "camera": "front", "rate_hz": 30}
    reading = {"name": "dial", "task": "read_gauge", "text": "pressure_run", "camera": "front"}
    settings = {
        "cameras": [{"name": "front", "source": str(EXAMPLES / "pressure_run"), "fps": FPS}],
        "gauges": {"folder": str(EXAMPLES / "gauges")},
        "watches": [pointing, {**reading, "rate_hz": 30}],
        "worker": {"model": f"scripted:{stack.file('script.yaml', yaml.safe_dump(script))}"},
    }
    return stack.file("node.yaml", yaml.safe_dump(settings))


@pytest.mark.timeout(240)
def test_replay_at_1x_and_10x_gives_the_live_answers(stack: Stack, config: Path) -> None:
    recording = record_live(stack, config)
    refs = [one.header.ref for one in recorded(recording)]
    live = [one for one in recorded_answers(recording) if one.frame.seq >= refs[0].seq]
    assert len({one.frame.seq for one in live}) >= FRAMES / 3

    for speed in (1, 10):
        replayed = replay(stack, config, recording, speed, live)

        stamps = {ref.seq: ref.stamp_ns for ref in refs}
        assert all(stamps[one.frame.seq] == one.frame.stamp_ns for one in replayed)
        expected, found = by_frame(live), by_frame(replayed)
        assert {key: found[key] for key in expected} == expected
        expected, found = values_with_past(live), values_with_past(replayed)
        same = expected.keys() & found.keys()
        assert {key: found[key] for key in same} == {key: expected[key] for key in same}
        print(f"{speed}x: {len(live)} answers and {len(same)} of {len(expected)} values compared")


def by_frame(answers: list[Answer]) -> dict[tuple[str, int], dict[str, Any]]:
    """All that an answer says of its own frame; the first one where a frame came again."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for answer in answers:
        fields = comparable(answer)
        if fields["reading"]:
            del fields["reading"]["value"]
        found.setdefault((answer.watch, answer.frame.seq), fields)
    return found


def values_with_past(answers: list[Answer]) -> dict[tuple[int, ...], float | None]:
    """A watched gauge's values, each a median, by the frames that it is the median of."""
    found: dict[tuple[int, ...], float | None] = {}
    past: list[int] = []
    for answer in answers:
        if isinstance(answer.reading, GaugeReading):
            past.append(answer.frame.seq)
            found.setdefault(tuple(past[-MEDIAN_OF:]), answer.reading.value)
    return found


def record_live(stack: Stack, config: Path) -> Path:
    """A camera, a worker and a recorder, from the first frame on."""
    out = stack.folder / "run.mcap"
    start_worker(stack, config)
    recorder = stack.start("record", "record", "--out", str(out), "-c", str(config))
    wait_for(lambda: "recording to" in recorder.output, 60, "the recorder")
    camera = stack.start("camera.front", "camera", "--name", "front", "-c", str(config))
    with stack.client().answers(watch="dial", idle_s=30) as answers:
        next(answer for answer in answers if answer.frame.seq >= FRAMES)
    for process, number in ((recorder, signal.SIGINT), (camera, signal.SIGTERM)):
        process.send(number)
        process.wait()
    stop_worker(stack)
    return out


def replay(
    stack: Stack, config: Path, recording: Path, speed: int, wanted: list[Answer]
) -> list[Answer]:
    """A fresh worker's answers to the replayed camera, until each wanted one is there.

    A frame that a busy machine passed over comes again with the next pass, under a number that
    is told here by its recorded one.
    """
    first, last = (recorded(recording)[at].header.ref.seq for at in (0, -1))
    start_worker(stack, config)
    found: list[Answer] = []
    missing = {(one.watch, one.frame.seq) for one in wanted}
    with stack.client().answers(idle_s=30) as answers:
        camera = stack.start(
            "replay", "replay", str(recording), "--speed", str(speed), "--loop", "-c", str(config)
        )
        while missing:
            answer = answers.get(30)
            seq = first + (answer.frame.seq - first) % (last + 1 - first)
            ref = msgspec.structs.replace(answer.frame, seq=seq)
            found.append(msgspec.structs.replace(answer, frame=ref))
            missing.discard((answer.watch, seq))
    camera.send(signal.SIGTERM)
    assert camera.wait() == 0, camera.output
    stop_worker(stack)
    return found


def start_worker(stack: Stack, config: Path) -> None:
    stack.start("worker", "worker", "-c", str(config))
    stack.wait_ready(stack.client(connect_s=60))


def stop_worker(stack: Stack) -> None:
    stack.processes["worker"].send(signal.SIGTERM)
    assert stack.processes["worker"].wait() == 0


def recorded(recording: Path) -> list[RecordedFrame]:
    found = list(recorded_frames(Recording(recording), "front"))
    return [one for one in found if isinstance(one, RecordedFrame)]


def recorded_answers(recording: Path) -> list[Answer]:
    """The live answers in their order, as the recorder kept them."""
    return [
        msgspec.json.decode(logged.message.data, type=Answer)
        for logged in Recording(recording).messages()
        if logged.topic == "/camera/front/answers"
    ]


def comparable(answer: Answer) -> dict[str, Any]:
    """All of an answer but its times and what names the run."""
    fields: dict[str, Any] = msgspec.to_builtins(answer)
    del fields["timing_ms"]
    for name in ("session", "mono_ns"):
        del fields["frame"][name]
    return fields
