"""Recordings for tests: frames, answers and states of one camera, without any node."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from molmo_node import imaging
from molmo_node.bus.frames import Frame
from molmo_node.camera.pattern import background, draw
from molmo_node.messages import Answer, FrameHeader, FrameRef
from molmo_node.recording.entries import answer_entries, frame_entries, status_entries
from molmo_node.recording.writer import RecordingFile
from tests.support.samples import ANSWER, STATUS

SECOND_NS = 1_000_000_000
BEGAN_NS = 1_760_000_000 * SECOND_NS
WIDTH, HEIGHT = 192, 108


def picture(number: int) -> bytes:
    """A JPEG that carries its number."""
    return imaging.encode_jpeg(draw(background(WIDTH, HEIGHT), number, BEGAN_NS))


def frame(number: int, seq: int | None = None, camera: str = "front", session: str = "s1") -> Frame:
    """Frame `number` as a camera of 10 Hz sends it."""
    body = np.frombuffer(picture(number), np.uint8)
    ref = FrameRef(
        camera=camera, session=session, seq=number if seq is None else seq,
        stamp_ns=BEGAN_NS + number * SECOND_NS // 10, mono_ns=7 + number * SECOND_NS // 10,
        host="h", frame_id="optical",
    )  # fmt: skip
    header = FrameHeader(ref=ref, width=WIDTH, height=HEIGHT, encoding="jpeg", nbytes=body.size)
    return Frame(header, body)


def answer(number: int) -> Answer:
    """What was said about frame `number`."""
    return msgspec.structs.replace(ANSWER, watch="mug", id="", frame=frame(number).header.ref)


def write(
    path: Path, numbers: range = range(40), chunk_bytes: int = 20_000, finishes: bool = True
) -> Path:
    """A recording of frames, their answers and states, 10 a second."""
    file = RecordingFile(path, {"version": "test"}, chunk_bytes)
    for number in numbers:
        log_ns = BEGAN_NS + number * SECOND_NS // 10
        for entry in (
            *frame_entries(frame(number)), *answer_entries(answer(number)), *status_entries(STATUS)
        ):  # fmt: skip
            file.write(entry, log_ns)
    if finishes:
        file.finish({"missed": 0})
    return path
