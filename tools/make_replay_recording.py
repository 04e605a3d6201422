"""Make the small recording of the process replay: tests/replay/bench.mcap.

    python tools/make_replay_recording.py [FILE]

Camera `dial` shows photographs of a gauge under rising pressure (MIT, origin in
molmo_node/examples/ATTRIBUTION.md), stored again as smaller JPEG; camera `bench` shows the
simulated bench with its gauge and its clock. Times are fixed, so that the same file comes out
again; whoever makes a new one lets tools/process_replay.py write a new reference, too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import molmo_node
from molmo_node import imaging
from molmo_node.bus.frames import Frame
from molmo_node.messages import FrameHeader, FrameRef
from molmo_node.recording.entries import frame_entries
from molmo_node.recording.writer import RecordingFile
from molmo_node.sim.bench import Bench

OUT = Path(__file__).parents[1] / "tests" / "replay" / "bench.mcap"
PHOTOS = ("frame_000.jpg", "frame_012.jpg", "frame_023.jpg")
BEGAN_NS = 1_760_000_000_000_000_000
PERIOD_NS = 250_000_000
BENCH_PX = (640, 400)
TIME_OF_DAY_S = 10 * 3600 + 8 * 60 + 31


def frames() -> list[tuple[Frame, int]]:
    """Every frame and its log time, in turns of both cameras."""
    folder = Path(molmo_node.__file__).parent / "examples" / "pressure_run"
    bench = Bench(*BENCH_PX)
    found = []
    for number, name in enumerate(PHOTOS):
        log_ns = BEGAN_NS + number * PERIOD_NS
        raw = (folder / name).read_bytes()
        photo = imaging.decode_rgb(raw, "jpeg", *imaging.image_size(raw, "jpeg"))
        found.append((_frame("dial", number, photo, 45, log_ns), log_ns))
        scene = bench.at(7.0 * number, TIME_OF_DAY_S + 2401.0 * number)
        found.append((_frame("bench", number, scene.image_hwc, 75, log_ns + 1), log_ns + 1))
    return found


def _frame(camera: str, seq: int, rgb: imaging.ImageRgb, quality: int, log_ns: int) -> Frame:
    body = np.frombuffer(imaging.encode_jpeg(rgb, quality), np.uint8)
    ref = FrameRef(
        camera=camera, session="recorded", seq=seq, stamp_ns=log_ns - 5_000_000,
        mono_ns=log_ns - BEGAN_NS, host="recorded", frame_id=f"{camera}_optical",
    )  # fmt: skip
    height, width = rgb.shape[:2]
    header = FrameHeader(ref=ref, width=width, height=height, encoding="jpeg", nbytes=body.size)
    return Frame(header, body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", type=Path, default=OUT)
    out = parser.parse_args().out
    out.unlink(missing_ok=True)
    file = RecordingFile(out, {"made_by": "tools/make_replay_recording.py"})
    for frame, log_ns in frames():
        for entry in frame_entries(frame):
            file.write(entry, log_ns)
    file.finish({})
    print(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
