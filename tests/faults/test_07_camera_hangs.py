"""Row 7: a source that never returns from its driver."""

from __future__ import annotations

import io
import os
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.camera_view import CameraView, held, rings
from tests.support.machine import within
from tests.support.stack import Stack
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

FRAMES, RATE_HZ = 30, 10
LOST_S, BACK_S = 2.0, 5.0


def clip() -> bytes:
    """A short Motion-JPEG film that can be read through a pipe."""
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as container:
        stream = container.add_stream("mjpeg", rate=RATE_HZ)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuvj420p"
        for number in range(FRAMES):
            rgb = np.full((240, 320, 3), number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


class Pipe:
    """A named pipe that gives a clip and then neither bytes nor an end: a hung device."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self._data = data
        os.mkfifo(path)
        # Open for both directions: the open returns at once, and the pipe never ends.
        self._fd = os.open(path, os.O_RDWR)

    def feed(self) -> None:
        """Write the clip in a thread: the camera reads it at its own rate."""
        self._writer = threading.Thread(target=self._write)
        self._writer.start()

    def close(self) -> None:
        self._writer.join(10)
        os.close(self._fd)

    def _write(self) -> None:
        rest = memoryview(self._data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]


@pytest.fixture
def pipe(tmp_path: Path):
    pipe = Pipe(tmp_path / "device.avi", clip())
    yield pipe
    pipe.close()


@pytest.mark.timeout(120)
def test_source_that_hangs_in_read_is_abandoned_and_comes_back(stack: Stack, pipe: Pipe) -> None:
    pipe.feed()
    camera = stack.start("camera.front", "camera", "--name", "front", "--source", str(pipe.path))
    client = stack.client()
    wait_for(lambda: "camera.front" in stack.nodes(), 15, f"the camera\n{stack.output()}")

    with CameraView(stack.run_dir) as view:
        view.next()
        before = held(camera.pid)
        stack.wait_status(client, lambda status: status.state == "lost", what="lost")
        last = view.receiver.newest
        assert last is not None
        hung_s = last.ref.mono_ns / 1e9
        told_s = time.monotonic() - hung_s
        wait_for(lambda: "camera process starts again" in camera.output, 10, "the restart")
        restarted_s = time.monotonic() - hung_s
        # The one that hangs reads from the pipe until it is replaced.
        wait_for(lambda: "camera.front" in stack.nodes(), 15, "the camera's new life")
        pipe.feed()
        try:
            after = view.next(within_s=15, than=last)
        except AssertionError:
            raise AssertionError(camera.output) from None

        assert camera.is_alive()
        assert stack.nodes() == {"camera.front": camera.pid}
        assert f"next_seq={last.ref.seq + 1}" in camera.output
        # What is sent while we connect again is missed, and seen as a gap.
        assert last.ref.seq < after.ref.seq < last.ref.seq + RATE_HZ
        assert after.ref.frame_id == last.ref.frame_id
        assert after.ref.session != last.ref.session
        assert len(rings(camera.pid)) == 1
        descriptors, threads = held(camera.pid)
        assert descriptors <= before[0] + 2
        assert threads <= before[1]
    within("hanging camera reported lost after", told_s, LOST_S)
    within("hanging camera abandoned after", restarted_s, BACK_S)
