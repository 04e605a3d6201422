"""Labelled dials, real and drawn, and every reader on each of them."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from molmo_node.instruments import DialHint, Profile, read_clocks, read_gauge, read_gauges
from molmo_node.instruments.hands import minutes_apart
from molmo_node.instruments.ocr import text_reader
from molmo_node.instruments.pixels import ImageRGB
from molmo_node.instruments.texts import Text, TextReader
from molmo_node.messages import ClockReading, GaugeReading, Question, Reading
from molmo_node.models.engine import Engine
from molmo_node.worker.dials import trust_in
from molmo_node.worker.eyes import hint_in
from tools import instrument_peers as peers
from tools.dial_renderer import draw_clock, draw_gauge

TWIN_RANGE = 0.8
"""Two printed scales are told apart by ln(highest number read / printed end)."""


@dataclass(frozen=True)
class Row:
    """One reader on one dial."""

    method: str
    item: str
    kind: str
    error: float | None
    confidence: float | None
    is_accepted: bool
    cpu_ms: float


def load(path: Path) -> ImageRGB:
    """``(H, W, 3) uint8, rgb8``."""
    image = cv2.imread(str(path))
    if image is None:
        raise SystemExit(f"{path}: no picture can be read there")
    return np.ascontiguousarray(image[:, :, ::-1])


def point_at(center: tuple[float, float], angle_deg: float, reach_px: float) -> tuple[float, float]:
    """A point clockwise from up."""
    turn = math.radians(angle_deg)
    return center[0] + reach_px * math.sin(turn), center[1] - reach_px * math.cos(turn)


def labelled_profile(item: dict[str, Any], image: ImageRGB) -> Profile:
    """What the label says of a dial; one without marks has 270° about up, or ten digits."""
    center, marks = tuple(item["centre"]), item["scale_points"]
    reach_px = math.dist(center, item["tip"])
    if item.get("wraps"):
        sign = 1 if item["direction"] == "clockwise" else -1
        zero_deg = item["zero_angle_cw_from_up"]
        marks = [(2.5 * n, *point_at(center, zero_deg + sign * 90 * n, reach_px)) for n in range(4)]
    elif len(marks) < 2:
        ends = ((item["min"], -135.0), (item["max"], 135.0))
        marks = [(value, *point_at(center, angle, 1.1 * reach_px)) for value, angle in ends]
    return Profile.from_marks(
        image, center, marks, item["unit"],
        min=item["min"], max=item["max"], wraps=item.get("wraps", False),
    )  # fmt: skip


def gauge_error_pct(value: float | None, item: dict[str, Any]) -> float | None:
    """Percent of full scale; the shorter way round on a dial that wraps."""
    if value is None:
        return None
    off = abs(value - item["reading"])
    full_scale = item["max"] - item["min"]
    off = min(off, full_scale - off) if item.get("wraps") else off
    return 100.0 * off / full_scale


def label_minutes(text: str) -> float:
    """hh:mm[:ss] as minutes since 12."""
    parts = [float(part) for part in text.split(":")]
    return (parts[0] * 60 + parts[1] + (parts[2] / 60 if len(parts) > 2 else 0.0)) % 720


def timed(read: Callable[[], Any]) -> tuple[Any, float]:
    """A result and the CPU milliseconds it took."""
    start = time.process_time()
    return read(), 1e3 * (time.process_time() - start)


def own_value(reading: GaugeReading | ClockReading) -> float | None:
    """What the reader saw, whether it dared to say so or not."""
    if isinstance(reading, GaugeReading) and reading.method == "profile":
        return reading.value if reading.value is not None else reading.alternative
    return reading.votes[0].value if reading.votes else None


def calibrated_rows(
    item: dict[str, Any], image: ImageRGB, with_peers: bool
) -> Iterator[tuple[Row, Reading | None]]:
    """Our calibrated reader and the peers that read one dial with its scale given."""
    profile = labelled_profile(item, image)
    _ = profile.reference
    reading, cpu_ms = timed(lambda: read_gauge(image, profile))
    error = gauge_error_pct(own_value(reading), item)
    yield (
        _row(
            "calibrated", item, "%FS", error, reading.confidence, reading.value is not None, cpu_ms
        ),
        reading,
    )
    if not with_peers:
        return
    ways: dict[str, Callable[[], float | None]] = {
        "Hough tutorial": lambda: peers.hough_value(image, profile, finds_circle=True),
        "Hough, centre given": lambda: peers.hough_value(image, profile, finds_circle=False),
    }
    if peers.has_angauge():
        for preset in peers.ANGAUGE_PRESETS:
            ways[preset] = lambda p=preset: peers.angauge_value(image, profile, p)
    for name, way in ways.items():
        value, cpu_ms = timed(way)
        error = gauge_error_pct(value, item)
        yield _row(name, item, "%FS", error, None, value is not None, cpu_ms), None


def uncalibrated_row(
    readings: list[GaugeReading], cpu_ms: float, item: dict[str, Any]
) -> tuple[Row, Reading]:
    """The reading nearest to the labelled dial, on the printed scale whose numbers were read."""
    reading = min(readings, key=lambda each: _apart_px(each, item))
    value = own_value(reading)
    scales = [item, *([item["second_scale"]] if "second_scale" in item else [])]
    told = reading.max or 0.0
    errors = [
        gauge_error_pct(value, scale)
        for scale in scales
        if told > 0 and abs(math.log(told / scale["max"])) < TWIN_RANGE
    ]
    error = None if value is None else min((e for e in errors if e is not None), default=100.0)
    is_accepted = reading.value is not None
    return _row(
        "uncalibrated", item, "%FS", error, reading.confidence, is_accepted, cpu_ms
    ), reading


def clock_row(
    readings: list[ClockReading], cpu_ms: float, item: dict[str, Any]
) -> tuple[Row, Reading | None]:
    """The reading nearest to the labelled clock."""
    if not readings:
        return _row("clock", item, "min", None, 0.0, False, cpu_ms), None
    reading = min(readings, key=lambda each: _apart_px(each, item))
    minutes = own_value(reading)
    error = None if minutes is None else minutes_apart(minutes, label_minutes(item["reading"]))
    is_accepted = reading.hour is not None
    return _row("clock", item, "min", error, reading.confidence, is_accepted, cpu_ms), reading


def _apart_px(reading: Reading, item: dict[str, Any]) -> float:
    return math.dist(reading.geometry.center, item["centre"]) if reading.geometry else 1e9


def _row(
    method: str, item: dict[str, Any], kind: str, error: float | None,
    confidence: float | None, is_accepted: bool, cpu_ms: float,
) -> Row:  # fmt: skip
    name = f"{item['file']} {item.get('dial', '')}".strip()
    return Row(method, name, kind, error, confidence, is_accepted, cpu_ms)


class Eyes:
    """An engine that points at gauges for the uncalibrated reader."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.name = f"uncalibrated + {engine.name}"

    def hints(self, image: ImageRGB) -> list[DialHint]:
        """What it points at when it is asked to read the gauge."""
        frame = self.engine.encode(image)
        reply = self.engine.ask(frame, [Question.read_gauge()])[0]
        hint = hint_in(reply.points, self.engine.name, trust_in(self.engine))
        return [] if hint is None else [hint]


def remembering(read_text: TextReader | None) -> TextReader | None:
    """A text reader that reads the same pixels once."""
    if read_text is None:
        return None
    known: dict[bytes, Sequence[Text]] = {}

    def read(image: ImageRGB) -> Sequence[Text]:
        key = hashlib.sha256(image.tobytes()).digest()
        if key not in known:
            known[key] = read_text(image)
        return known[key]

    return read


def folder_rows(
    root: Path, with_peers: bool, eyes: Eyes | None = None
) -> Iterator[tuple[Row, Reading | None, ImageRGB]]:
    """Every reader on every labelled dial of a folder."""
    read_text = remembering(text_reader())
    labels = json.loads((root / "labels.json").read_text(encoding="utf-8"))
    seen: dict[str, tuple[list[Any], float]] = {}
    for item in labels["items"]:
        image = load(root / item["file"])
        if item["kind"] in ("clock", "watch"):
            if item["file"] not in seen:
                seen[item["file"]] = timed(lambda i=image: read_clocks(i))
            yield *clock_row(*seen[item["file"]], item), image
            if with_peers:
                minutes, cpu_ms = timed(lambda i=image: peers.tutorial_minutes(i))
                error = (
                    None
                    if minutes is None
                    else minutes_apart(minutes, label_minutes(item["reading"]))
                )
                yield (
                    _row("tutorial clock", item, "min", error, None, minutes is not None, cpu_ms),
                    None,
                    image,
                )
            continue
        for row, reading in calibrated_rows(item, image, with_peers):
            yield row, reading, image
        if item["kind"] not in ("register_dial", "panel_meter"):
            readings, cpu_ms = timed(lambda i=image: read_gauges(i, read_text=read_text))
            yield *uncalibrated_row(readings, cpu_ms, item), image
            if eyes is not None:
                readings, cpu_ms = timed(
                    lambda i=image: read_gauges(i, read_text=read_text, hints=eyes.hints(i))
                )
                row, _ = uncalibrated_row(readings, cpu_ms, item)
                yield replace(row, method=eyes.name), None, image
    if "sequence" in labels:
        yield from sequence_rows(root, labels["sequence"])


def sequence_rows(root: Path, sequence: dict[str, Any]) -> Iterator[tuple[Row, Reading, ImageRGB]]:
    """All frames from one profile made on the first."""
    first = sequence["frames"][0]
    limits = {"min": sequence["min"], "max": sequence["max"]}
    profile = Profile.from_marks(
        load(root / first["file"]),
        first["centre"],
        first["scale_points"],
        sequence["unit"],
        **limits,
    )
    _ = profile.reference
    for frame in sequence["frames"]:
        image = load(root / frame["file"])
        reading, cpu_ms = timed(lambda i=image: read_gauge(i, profile))
        error = gauge_error_pct(own_value(reading), frame | limits)
        accepted = reading.value is not None
        yield (
            _row("sequence", frame, "%FS", error, reading.confidence, accepted, cpu_ms),
            reading,
            image,
        )


def synthetic_rows(
    count: int, tilts: list[float], seed: int, readers: set[str], first: int = 0
) -> Iterator[Row]:
    """Drawn gauges and clocks; a seed never used for tuning gives an honest figure."""
    for tilt_deg in tilts:
        for index in range(first, first + count):
            random = np.random.default_rng([seed, int(10 * tilt_deg), index])
            if readers == {"clock"}:
                yield _synthetic_clock(random, tilt_deg, index)
                continue
            image, center, marks, value = draw_gauge(
                random, random.uniform(0.02, 0.98), tilt_deg=tilt_deg
            )
            item = {
                "file": f"gauge {tilt_deg:g}° {index}", "reading": value, "unit": "", "min": 0.0,
                "max": marks[-1][0], "centre": center, "tip": center, "scale_points": marks,
            }  # fmt: skip
            if "calibrated" in readers:
                profile = Profile.from_marks(image, center, marks)
                reading, cpu_ms = timed(lambda i=image, p=profile: read_gauge(i, p))
                error = gauge_error_pct(own_value(reading), item)
                accepted = reading.value is not None
                name = f"calibrated {tilt_deg:g}°"
                yield _row(name, item, "%FS", error, reading.confidence, accepted, cpu_ms)
            if "uncalibrated" in readers:
                readings, cpu_ms = timed(lambda i=image: read_gauges(i))
                row, _ = uncalibrated_row(readings, cpu_ms, item)
                yield replace(row, method=f"uncalibrated {tilt_deg:g}°")
            if "clock" in readers:
                yield _synthetic_clock(random, tilt_deg, index)


def _synthetic_clock(random: np.random.Generator, tilt_deg: float, index: int) -> Row:
    minutes = float(random.uniform(0, 720))
    image, center = draw_clock(random, minutes, tilt_deg=tilt_deg)
    text = f"{int(minutes // 60)}:{minutes % 60:.4f}"
    item = {"file": f"clock {tilt_deg:g}° {index}", "reading": text, "centre": center}
    readings, cpu_ms = timed(lambda: read_clocks(image))
    row, _ = clock_row(readings, cpu_ms, item)
    return replace(row, method=f"clock {tilt_deg:g}°")
