"""Draw the simulated bench with molmo-nano's answers on it, for the README.

    python -m tools.draw_bench --out bench.jpg [--weights FILE] [--moment 12.5]

Filled dots are the engine's points; a ring marks the truth where an answer misses it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from molmo_node.messages import Question
from molmo_node.models.engine import Reply
from molmo_node.models.nano import NanoEngine
from molmo_node.models.nano.weights import WEIGHTS
from molmo_node.sim.bench import Bench
from molmo_node.sim.scene import Scene, matching

_ASKED = (("red", "mug"), ("green", "bottle"), ("blue", "ball"), ("yellow", "banana"),
          ("red", "apple"), ("purple", "lamp"), ("orange", "box"))  # fmt: skip
_DAY_S = 10 * 3600 + 8 * 60 + 20.0
_DOT, _TRUTH, _INK = (230, 30, 60), (0, 170, 0), (25, 25, 30)


def _write(image: NDArray[np.uint8], text: str, x: float, y: float) -> None:
    left, base = int(x) + 10, int(y) - 10
    (width, height), below = cv2.getTextSize(text, 0, 0.46, 1)
    corner = (left + width + 3, base + below)
    cv2.rectangle(image, (left - 3, base - height - 3), corner, (250, 250, 250), -1)
    cv2.putText(image, text, (left, base), 0, 0.46, _INK, 1, cv2.LINE_AA)


def _draw_pointing(
    image: NDArray[np.uint8], scene: Scene, words: tuple[str, str], reply: Reply
) -> None:
    wanted = matching(scene, *words) or []
    numbers = {thing.number for thing in wanted}
    found = set()
    for point in reply.points:
        x, y = int(point.x_px), int(point.y_px)
        cv2.circle(image, (x, y), 6, _DOT, -1, cv2.LINE_AA)
        _write(image, " ".join(words), x, y)
        row, column = min(y, image.shape[0] - 1), min(x, image.shape[1] - 1)
        found.add(int(scene.instance_hw[row, column]))
    for thing in wanted:
        if thing.number in numbers - found:
            at = (int(thing.x_px), int(thing.y_px))
            cv2.circle(image, at, 14, _TRUTH, 2, cv2.LINE_AA)


def _draw_reading(image: NDArray[np.uint8], reply: Reply, text: str) -> None:
    for point in reply.points:
        cv2.circle(image, (int(point.x_px), int(point.y_px)), 5, _DOT, -1, cv2.LINE_AA)
    if reply.points:
        _write(image, text, reply.points[0].x_px + 20, reply.points[0].y_px + 60)


def drawn_answers(engine: NanoEngine, bench: Bench, moment_s: float) -> NDArray[np.uint8]:
    """The bench at a moment with all answers, ``(H, W, 3) uint8, rgb8``."""
    scene = bench.at(moment_s, _DAY_S + moment_s)
    questions = [Question.count(" ".join(words)) for words in _ASKED]
    questions += [Question.read_gauge(), Question.read_clock()]
    *pointed, gauge, clock = engine.ask(engine.encode(scene.image_hwc), questions)
    image = scene.image_hwc.copy()
    for words, reply in zip(_ASKED, pointed, strict=True):
        _draw_pointing(image, scene, words, reply)
    truth = scene.gauges[0].fraction * 100
    said = "no answer" if gauge.value is None else f"{gauge.value:.0f} % of scale"
    _draw_reading(image, gauge, f"{said} (true {truth:.0f} %)")
    time, shown = clock.time, scene.clocks[0].time
    said = "no answer" if time is None else f"{time[0] or 12}:{time[1]:02d}"
    _draw_reading(image, clock, f"{said} (true {shown.hour or 12}:{shown.minute:02d})")
    return image


def main() -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, metavar="FILE")
    parser.add_argument("--moment", type=float, default=12.5, metavar="SECONDS")
    args = parser.parse_args()
    image = drawn_answers(NanoEngine.load(args.weights), Bench(), args.moment)
    cv2.imwrite(str(args.out), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    return 0


if __name__ == "__main__":
    sys.exit(main())
