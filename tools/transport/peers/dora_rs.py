"""dora-rs nodes with Arrow arrays; `dora run` starts them, see `run.py`."""

from __future__ import annotations

import time

import pyarrow as pa
from dora import Node

from tools.transport.base import ImageHWC, Received, Setup

OUTPUT = "image"


class FramePublisher:
    """Sends the array with its shape as metadata."""

    def __init__(self, setup: Setup) -> None:
        self._node = Node()

    def send(self, number: int, stamp_ns: int, image_hwc: ImageHWC) -> None:
        """One output; dora copies the array into its shared memory."""
        height, width, _ = image_hwc.shape
        facts = {"number": number, "stamp_ns": stamp_ns, "height": height, "width": width}
        self._node.send_output(OUTPUT, pa.array(image_hwc.reshape(-1)), facts)

    def close(self) -> None:
        """The node ends with its process."""


class FrameSubscriber:
    """Reads inputs in place."""

    def __init__(self, setup: Setup) -> None:
        self._node = Node()

    def receive(self, timeout_s: float) -> Received | None:
        """The next input of its queue; None also when dora says to stop."""
        until_s = time.monotonic() + timeout_s
        while True:
            event = self._node.next(timeout=max(0.001, until_s - time.monotonic()))
            if event is None or event["type"] in ("STOP", "ERROR"):
                return None
            if event["type"] == "INPUT":
                facts = event["metadata"]
                flat = event["value"].to_numpy(zero_copy_only=True)
                image = flat.reshape(facts["height"], facts["width"], 3)
                return Received(facts["number"], facts["stamp_ns"], image)

    def close(self) -> None:
        """The node ends with its process."""
