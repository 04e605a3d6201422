"""What was recorded live is answered again, frame by frame, at its own speed and ten times it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

import molmo_node
from molmo_node.errors import DeadlineExceeded
from molmo_node.messages import Answer
from molmo_node.recording.frames import RecordedFrame, recorded_frames
from molmo_node.recording.reader import Recording
from molmo_node.recording.summary import look
from tests.support.machine import at_least
from tests.support.stack import Stack
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

EXAMPLES = Path(molmo_node.__file__).parent / "examples"
FRAMES = 10
FPS = 2.5
# Ten times the recorded rate is 25 Hz: a worker on a busy machine may pass frames over.
SHARE = {1: 0.9, 10: 0.6}
MEDIAN_OF = 3
Key = tuple[str, int]


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


def test_replay_at_1x_and_10x_gives_the_live_answers(stack: Stack, config: Path) -> None:
    recording = record_live(stack, config)
    live = recorded_answers(recording)
    frames = [one.header.ref for one in recorded(recording)]
    assert len(frames) >= FRAMES

    for speed in SHARE:
        replayed = replay(stack, config, recording, speed)

        told = {answer.frame.seq: answer.frame for answer in replayed.values()}
        known = {ref.seq: ref.stamp_ns for ref in frames}
        assert all(known[seq] == ref.stamp_ns for seq, ref in told.items())
        same = [key for key in live.keys() & replayed.keys() if has_same_past(key, live, replayed)]
        for key in same:
            assert comparable(replayed[key]) == comparable(live[key]), (speed, key)
        at_least(f"{speed}x: answers compared", len(same) / len(live), SHARE[speed])


def record_live(stack: Stack, config: Path) -> Path:
    """A camera, a worker and a recorder, from the first frame on."""
    out = stack.folder / "run.mcap"
    start_worker(stack, config)
    recorder = stack.start("record", "record", "--out", str(out), "-c", str(config))
    wait_for(lambda: "recording to" in recorder.output, 15, "the recorder")
    camera = stack.start("camera.front", "camera", "--name", "front", "-c", str(config))
    wait_for(
        lambda: look(out).topics["/camera/front/answers"] >= 2 * FRAMES, 30,
        f"{FRAMES} frames and their answers\n{stack.output()}",
    )  # fmt: skip
    for process, number in ((recorder, signal.SIGINT), (camera, signal.SIGTERM)):
        process.send(number)
        process.wait()
    stop_worker(stack)
    return out


def replay(stack: Stack, config: Path, recording: Path, speed: int) -> dict[Key, Answer]:
    """The answers of a fresh worker to the replayed camera."""
    start_worker(stack, config)
    found: dict[Key, Answer] = {}
    with stack.client().answers() as answers:
        camera = stack.start(
            "replay", "replay", str(recording), "--speed", str(speed), "-c", str(config)
        )
        while camera.is_alive():
            try:
                answer = answers.get(0.2)
            except DeadlineExceeded:
                continue
            found[answer.watch, answer.frame.seq] = answer
    assert camera.wait() == 0, camera.output
    stop_worker(stack)
    return found


def start_worker(stack: Stack, config: Path) -> None:
    stack.start("worker", "worker", "-c", str(config))
    stack.wait_ready(stack.client(connect_s=15))


def stop_worker(stack: Stack) -> None:
    stack.processes["worker"].send(signal.SIGTERM)
    assert stack.processes["worker"].wait() == 0


def recorded(recording: Path) -> list[RecordedFrame]:
    found = list(recorded_frames(Recording(recording), "front"))
    return [one for one in found if isinstance(one, RecordedFrame)]


def recorded_answers(recording: Path) -> dict[Key, Answer]:
    """The live answers, as the recorder kept them, to frames that it has."""
    seqs = {one.header.ref.seq for one in recorded(recording)}
    answers = [
        msgspec.json.decode(logged.message.data, type=Answer)
        for logged in Recording(recording).messages()
        if logged.topic == "/camera/front/answers"
    ]
    return {(one.watch, one.frame.seq): one for one in answers if one.frame.seq in seqs}


def has_same_past(key: Key, live: dict[Key, Answer], replayed: dict[Key, Answer]) -> bool:
    """Whether both workers had read the same frames before: a reading is a median of the last."""
    watch, seq = key

    def past(answers: dict[Key, Answer]) -> list[int]:
        before = sorted(other for name, other in answers if name == watch and other <= seq)
        return before[-MEDIAN_OF:]

    return watch == "hub" or past(live) == past(replayed)


def comparable(answer: Answer) -> dict[str, Any]:
    """All of an answer but its times and what names the run."""
    fields: dict[str, Any] = msgspec.to_builtins(answer)
    del fields["timing_ms"]
    for name in ("session", "mono_ns"):
        del fields["frame"][name]
    return fields
