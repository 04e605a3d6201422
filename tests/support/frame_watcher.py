"""A subscriber as a process: `python -m tests.support.frame_watcher RUN_DIR CAMERA ring|jpeg`.

Prints a JSON line for each frame it takes: its seq, its age in ms at that moment, and how many
frames were received till then (a consumer that is late takes fewer).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from molmo_node.bus.address import node_address
from molmo_node.bus.receiver import FrameReceiver
from molmo_node.bus.sockets import Transport


def main() -> None:
    run_dir, camera, way = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    address = node_address(run_dir, f"camera.{camera}")
    receiver = FrameReceiver(Transport(), address, camera, allow_ring=way == "ring")
    header = None
    while True:
        if not receiver.wait_newer(header, 1.0):
            continue
        frame = receiver.take()
        if frame is None:
            continue
        header = frame.header
        age_ms = (time.monotonic_ns() - header.ref.mono_ns) / 1e6
        line = {"seq": header.ref.seq, "age_ms": age_ms, "received": receiver.stats.received}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
