"""Figures on real photographs that no training has seen: pointing, and dials cut out.

The pictures are not part of the repository; the labels' format is that of the shared test sets.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from molmo_node.messages import Question
from molmo_node.models.nano.engine import NanoEngine
from tools.nano_training.evaluate import minutes_apart

# what is asked in the set → the same target in molmo-nano's words
PHRASES = {
    "the red ball": "red ball", "the yellow ball": "yellow ball", "the blue ball": "blue ball",
    "the green bucket": "green object", "the red bucket": "red object",
    "the dark blue bowl": "dark blue bowl", "the red apples": "red objects", "the bowl": "bowl",
    "the bowls": "bowls", "the book": "book", "the blue cup": "blue cup",
    "the beer bottle": "bottle", "the yellow pillow": "yellow object",
    "the blue armchair": "blue object", "the slice of pink cake": "pink object",
    "the black keyboard": "black object", "the computer mouse": "black object",
    "the copper coin": "copper coin", "the coins": "coins", "the stop sign": "red object",
    "the mug on the desk": "green mug", "the bottles next to the sink": "bottles",
    "the plastic bottles": "bottles", "the white horse": "white object",
    "the green bird": "green object", "the fire extinguisher": "red object",
    "the orange cat": "orange object", "the bowl on the table": "white bowl",
    "the roll of paper towels": "white object", "the golden pagoda": "yellow object",
    "the bottle on the table": "red bottle", "the plate in the left sink": "white circle",
    "the taxi": "yellow object", "the bowl under the bird": "white bowl",
    "the round mission patch": "purple circle", "the space shuttle model": "white object",
    "the paper cups": "white cups", "the lamp shade": "lamp", "the soap bottle": "bottle",
    "the clock": "clock", "the wrist watch": "watch", "the bananas": "bananas",
    "the banana": "banana", "the bowl of fish with a red rim": "red bowl",
    "the red tail lights": "red objects",
}  # fmt: skip
_NEAR = 0.05  # of the dial's diameter


@dataclass(frozen=True)
class PhotoRow:
    """One question about a photograph: figures by name, a line for the table, a picture."""

    figures: dict[str, float]
    line: str
    picture: NDArray[np.uint8]
    is_miss: bool


def _load(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert image is not None, path
    return np.ascontiguousarray(np.asarray(image, np.uint8)[..., ::-1])


def _is_inside(query: dict[str, Any], x: float, y: float) -> bool:
    outlines = [np.array(p, np.float32) for region in query["regions"] for p in region["polygons"]]
    return any(cv2.pointPolygonTest(o.reshape(-1, 1, 2), (x, y), False) >= 0 for o in outlines)


def _marked(image: NDArray[np.uint8], points: list[tuple[float, float]], text: str,
            truth: list[tuple[float, float]]) -> NDArray[np.uint8]:  # fmt: skip
    out = image.copy()
    size = max(4, round(max(image.shape) / 90))
    for x, y in truth:
        cv2.circle(out, (int(x), int(y)), size + 3, (0, 230, 0), 2, cv2.LINE_AA)
    for number, (x, y) in enumerate(points):
        cv2.circle(out, (int(x), int(y)), size, (255, 20, 20), -1, cv2.LINE_AA)
        cv2.putText(out, str(number), (int(x) + size, int(y)), 0, 0.5, (255, 20, 20), 1)
    scale = 336 / max(out.shape[:2])
    out = np.asarray(cv2.resize(out, None, fx=scale, fy=scale), np.uint8)
    square = np.zeros((358, 336, 3), np.uint8)
    square[: out.shape[0], : out.shape[1]] = out
    cv2.putText(square, text, (4, 352), 0, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return square


def score_pointing(engine: NanoEngine, labels: Path) -> list[PhotoRow]:
    """First point inside, for the queries that can be said in the engine's words; where the
    label says that there is none, no point is right."""
    rows = []
    for item in json.loads(labels.read_text())["items"]:
        queries = [q for q in item["queries"] if q["query"] in PHRASES]
        if not queries:
            continue
        image = _load(labels.parent / item["image"])
        questions = [Question.point(PHRASES[q["query"]]) for q in queries]
        replies = engine.ask(engine.encode(image), questions)
        for query, reply in zip(queries, replies, strict=True):
            points = [(p.x_px, p.y_px) for p in reply.points]
            hit = _is_inside(query, *points[0]) if points else query["count"] == 0
            said = PHRASES[query["query"]]
            line = f"{query['query']} as {said!r}: {'hit' if hit else 'miss'}, {len(points)} points"
            figures = {"photo_first_point_inside": float(hit)}
            picture = _marked(image, points, f"{said}: {len(points)} points", [])
            rows.append(PhotoRow(figures, f"{Path(item['image']).name} {line}", picture, not hit))
    return rows


def _radius(item: dict[str, Any]) -> float:
    """From the labelled points: the farthest mark or tip, a little short of the dial's rim."""
    marks = [point[-2:] for point in item.get("scale_points", [])]
    tips = [v for k, v in item.items() if k.endswith("tip") and isinstance(v, list)]
    away = np.array(marks + tips, float) - np.array(item["centre"], float)
    return float(np.linalg.norm(away, axis=1).max())


def _dial_cut(item: dict[str, Any], image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Any]:
    """A square around the dial, grey outside the picture, and its corner."""
    half = round(1.45 * _radius(item))
    left, top = (round(v) - half for v in item["centre"])
    padded = cv2.copyMakeBorder(image, half, half, half, half, cv2.BORDER_CONSTANT,
                                value=(127, 127, 127))  # fmt: skip
    cut = padded[top + half : top + 3 * half, left + half : left + 3 * half]
    return np.ascontiguousarray(np.asarray(cut, np.uint8)), np.array((left, top), float)


def _clock_minutes(reading: str) -> tuple[int, int]:
    hour, minute = reading.split(":")[:2]
    return int(hour) % 12, int(minute)


def score_dials(engine: NanoEngine, labels: Path) -> list[PhotoRow]:
    """Centre and tip within 5 % of the diameter, and readings, on dials cut out."""
    rows = []
    for item in json.loads(labels.read_text())["items"]:
        is_clock = item["kind"] in ("clock", "watch")
        image, corner = _dial_cut(item, _load(labels.parent / item["file"]))
        question = Question.read_clock() if is_clock else Question.read_gauge()
        reply = engine.ask(engine.encode(image), [question])[0]
        tip = item["minute_tip"] if is_clock else item["tip"]
        truth = [np.array(v, float) - corner for v in (item["centre"], tip)]
        points = [(p.x_px, p.y_px) for p in reply.points]
        figures, said = _dial_figures(item, reply.time, reply.value, points, truth)
        text = f"{Path(item['file']).stem[:22]} {said}"
        picture = _marked(image, points, text, [(t[0], t[1]) for t in truth])
        is_miss = min(figures["photo_centre_near"], figures["photo_tip_near"]) < 1
        rows.append(PhotoRow(figures, text, picture, is_miss))
    return rows


def _dial_figures(item: dict[str, Any], time: Any, value: float | None,
                  points: list[tuple[float, float]], truth: list[Any]):  # fmt: skip
    reach, is_clock = _NEAR * 2 * _radius(item), item["kind"] in ("clock", "watch")
    near = [
        float(len(points) == 5 and np.hypot(*(np.array(points[i]) - t)) <= reach)
        for i, t in zip((0, 3 if is_clock else 4), truth, strict=True)
    ]
    figures = {"photo_centre_near": near[0], "photo_tip_near": near[1]}
    if is_clock:
        apart = minutes_apart(_clock_minutes(item["reading"]), time[:2]) if time else 360
        figures["photo_clock_within_1_min"] = float(apart <= 1)
        figures["photo_clock_within_5_min"] = float(apart <= 5)
        return figures, f"{apart} min off"
    if item.get("wraps") or not item.get("scale_points"):
        return figures, "no scale labelled"
    truth_pct = 100 * (item["reading"] - item["min"]) / (item["max"] - item["min"])
    error_pct = abs(value - truth_pct) if value is not None else 100.0
    figures["photo_gauge_within_2_pct"] = float(error_pct <= 2)
    figures["photo_gauge_within_5_pct"] = float(error_pct <= 5)
    return figures, f"{error_pct:.1f} % off"
