"""Makes docs/pictures/readings.jpg: example photographs with what was read drawn in.

python tools/make_pictures.py
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import molmo_node
from molmo_node import imaging
from molmo_node.cli.local import load_picture
from molmo_node.cli.show import reading_text
from molmo_node.gauge_profiles import load_profile
from molmo_node.instruments import read_gauge
from molmo_node.messages import Answer, FrameRef
from molmo_node.overlay import draw_answer

EXAMPLES = Path(molmo_node.__file__).parent / "examples"
OUT = Path(__file__).parents[1] / "docs" / "pictures" / "readings.jpg"
PHOTOS = (
    ("pressure_run", "pressure_run/frame_003.jpg"),
    ("pressure_run", "pressure_run/frame_016.jpg"),
    ("workshop_gauge", "workshop_gauge/photo_3.jpg"),
)
HEIGHT_PX = 320


def main() -> None:
    """Read, draw, put side by side, save."""
    tiles = [tile(profile, EXAMPLES / photo) for profile, photo in PHOTOS]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_bytes(imaging.encode_jpeg(np.ascontiguousarray(np.hstack(tiles)), 88))
    print(f"{OUT.relative_to(Path.cwd())}: {OUT.stat().st_size / 1e3:.0f} kB")


def tile(profile_name: str, photo: Path) -> NDArray[np.uint8]:
    """One photograph with its reading, cut to the dial and scaled to one height."""
    image = load_picture(photo)
    reading = read_gauge(image, load_profile(EXAMPLES / "gauges" / f"{profile_name}.yaml"))
    frame = FrameRef(camera="", session="", seq=0, stamp_ns=0, mono_ns=0)
    answer = Answer(task="read_gauge", frame=frame, width=0, height=0, reading=reading)
    assert reading.geometry is not None
    marked = draw_answer(image, answer, "")
    x_px, y_px = reading.geometry.center
    reach_px = int(1.3 * max(reading.geometry.ellipse[2:4]) if reading.geometry.ellipse else 200)
    top, left = max(0, int(y_px) - reach_px), max(0, int(x_px) - reach_px)
    cut = marked[top : int(y_px) + reach_px, left : int(x_px) + reach_px]
    scale = HEIGHT_PX / cut.shape[0]
    small = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    answer_line = draw_answer(
        small, Answer(task="ask", frame=frame, width=0, height=0), reading_text(reading)
    )
    return answer_line


if __name__ == "__main__":
    main()
