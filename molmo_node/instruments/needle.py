"""Needles and hands: straight things that start near the pivot and differ from the face."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from molmo_node.instruments.angles import apart_deg, clockwise_deg
from molmo_node.instruments.pixels import Float32s, Floats, Mask
from molmo_node.instruments.polar import DIRECTIONS, STEPS_PER_DEG, PolarView

LONGEST_GAP = 0.06
DENSE = 0.7
HUB_SHARE = 0.33
HUB_REACH = 0.62
SLACK_DEG = 0.5
SAME_HAND_DEG = 3.0
LINE_HALF_WIDTH_DEG = 6.0
SPINE_ROWS = 64
FEWEST_POINTS = 8
NEAR = 4
PLAIN_SPAN = 0.06
PLAIN_SHARE = 0.5
LEAST_SIGMA_DEG = 0.05
BROAD = 0.12
BESIDE_DEG = 27.0


@dataclass(frozen=True)
class Needle:
    """One straight thing from the pivot outwards; lengths in radii of the dial.

    Attributes:
        angle_deg: from the pivot to the tip, clockwise from up, on the rectified dial.
        direction_deg: of the fitted line itself; differs from `angle_deg` where the line
            misses the pivot.
        length: how far out it reaches.
        width: its median thickness over the inner half.
        contrast: median distance to the face, 8-bit Lab.
        sigma_deg: of the angle, from the line fit.
        foot: the line's point nearest to the pivot (x right, y down).
        middle_deg: median direction of its parts from the pivot: print that it touches bends
            the line, but not this.
    """

    angle_deg: float
    direction_deg: float
    length: float
    width: float
    contrast: float
    sigma_deg: float
    foot: tuple[float, float] = (0.0, 0.0)
    middle_deg: float | None = None

    @property
    def miss(self) -> float:
        """How far the line passes from the pivot."""
        return math.hypot(*self.foot)

    def is_opposite(self, other: Needle, within_deg: float = 10.0) -> bool:
        """Both may be the two ends of one bar."""
        return 180.0 - apart_deg(self.direction_deg, other.direction_deg) < within_deg


def find_needles(
    view: PolarView,
    *,
    inner: float = 0.2,
    outer: float = 0.97,
    shortest: float = 0.45,
    most: int = 6,
) -> list[Needle]:
    """Straight things in a dial, longest first.

    Args:
        inner, outer: radii between which a run counts; the hub moves `inner` out.
        shortest: least length, in radii.
        most: so many are looked for; the lines that a broad one gives at its sides do not count.
    """
    inner = max(inner, hub_radius(view, inner))
    reach = _reach(view, inner, outer)
    found: list[Needle] = []
    apart_from_broad = 0
    for _ in range(most * 3):
        peak = int(np.argmax(reach))
        if reach[peak] < shortest or apart_from_broad == most:
            break
        left, right = _plateau(reach, peak)
        middle, half = (left + right) / 2, (right - left) / 2
        needle = _fit(view, middle, float(reach[peak]), inner)
        clear = int(max(STEPS_PER_DEG * 4, half + STEPS_PER_DEG * 1.5))
        reach[np.arange(int(middle) - clear, int(middle) + clear + 1) % DIRECTIONS] = 0.0
        if needle and all(
            apart_deg(needle.direction_deg, other.direction_deg) > SAME_HAND_DEG for other in found
        ):
            apart_from_broad += not _is_beside_broad(needle, found)
            found.append(needle)
    return found


def _is_beside_broad(needle: Needle, others: list[Needle]) -> bool:
    return any(
        other.width > BROAD and apart_deg(needle.angle_deg, other.angle_deg) < BESIDE_DEG
        for other in others
    )


def hub_radius(view: PolarView, least: float) -> float:
    """Radius beyond which no third of the turn differs from the face."""
    share = view.differs.mean(axis=1)
    hub = least
    for radius, part in zip(view.radii, share, strict=True):
        if not 0.06 < radius < HUB_REACH:
            continue
        if part > HUB_SHARE:
            hub = max(hub, float(radius) + 0.03)
        elif radius > hub + 0.12:
            break
    return hub


def _reach(view: PolarView, inner: float, outer: float) -> Floats:
    """For each direction, how far a run of differing spots goes out from `inner`; 0 if sparse."""
    slack = int(STEPS_PER_DEG * SLACK_DEG)
    wide = np.pad(view.differs.astype(np.uint8), ((0, 0), (8, 8)), mode="wrap")
    rows = cv2.dilate(wide, np.ones((1, 2 * slack + 1), np.uint8))[:, 8:-8].astype(bool)
    step = float(view.radii[1] - view.radii[0])
    longest_gap = max(2, int(LONGEST_GAP / step))
    reach, hits = np.zeros(DIRECTIONS), np.zeros(DIRECTIONS)
    gap, is_alive = np.zeros(DIRECTIONS, np.int32), np.ones(DIRECTIONS, bool)
    for index in range(view.row(inner), view.row(outer)):
        is_set = rows[index]
        gap = np.where(is_set, 0, gap + 1)
        is_alive &= gap <= longest_gap
        counted = is_alive & is_set
        hits += counted
        reach[counted] = view.radii[index]
    density = hits / np.maximum(1.0, (reach - inner) / step)
    return np.where(density > DENSE, reach, 0.0)


def _plateau(reach: Floats, peak: int) -> tuple[int, int]:
    """Columns around a peak that reach at least nine tenths as far."""
    least, most = reach[peak] * 0.9, DIRECTIONS // 12
    left = right = peak
    while peak - left < most and reach[(left - 1) % DIRECTIONS] >= least:
        left -= 1
    while right - peak < most and reach[(right + 1) % DIRECTIONS] >= least:
        right += 1
    return left, right


def _fit(view: PolarView, column: float, length: float, inner: float) -> Needle | None:
    """A robust line through the needle's centre at each radius; a second look follows the first."""
    rows = _spread_rows(view, inner, length * 0.97, SPINE_ROWS)
    columns = np.full(len(rows), column)
    line = None
    for _ in range(2):
        points, contrast = _spine(view, rows, columns)
        if len(points) < FEWEST_POINTS or (line := _line(points, column)) is None:
            return None
        columns = line.columns_at(view.radii[rows])
    assert line is not None
    length = _plain_length(view, line, inner, length)
    tip = line.foot + line.along * math.sqrt(max(0.0, length**2 - float(line.foot @ line.foot)))
    angle_deg = clockwise_deg(float(tip[0]), float(tip[1]))
    return Needle(
        angle_deg=angle_deg,
        direction_deg=line.direction_deg,
        length=length,
        width=_width(view, angle_deg, inner, length),
        contrast=contrast,
        sigma_deg=line.sigma_deg,
        foot=(float(line.foot[0]), float(line.foot[1])),
        middle_deg=_middle_deg(points, angle_deg),
    )


def _middle_deg(points: Floats, near_deg: float) -> float:
    turned = np.degrees(np.arctan2(points[:, 0], -points[:, 1])) - near_deg
    return (near_deg + float(np.median((turned + 180.0) % 360.0 - 180.0))) % 360.0


@dataclass(frozen=True)
class _Line:
    """A line in the rectified plane: `along` has length 1 and points outwards."""

    along: Floats
    foot: Floats
    sigma_deg: float

    @property
    def direction_deg(self) -> float:
        return clockwise_deg(float(self.along[0]), float(self.along[1]))

    def columns_at(self, radii: Float32s) -> Floats:
        """Where the line crosses circles about the pivot, in columns of a polar view."""
        across = self.along[0] * self.foot[1] - self.along[1] * self.foot[0]
        ahead_deg = np.degrees(np.arcsin(np.clip(across / radii, -0.5, 0.5)))
        return np.asarray((self.direction_deg + ahead_deg) * STEPS_PER_DEG)


def _line(points: Floats, column: float) -> _Line | None:
    fitted = cv2.fitLine(points.astype(np.float32), cv2.DIST_HUBER, 0, 0.002, 0.002).ravel()
    along, origin = fitted[:2].astype(float), fitted[2:].astype(float)
    if apart_deg(clockwise_deg(float(along[0]), float(along[1])), column / STEPS_PER_DEG) > 90:
        along = -along
    off = (points - origin) @ np.array([along[1], -along[0]])
    is_near = np.abs(off) < max(0.01, 3 * float(np.median(np.abs(off))))
    if is_near.sum() < FEWEST_POINTS // 2:
        return None
    span = max(0.05, float(np.ptp(np.hypot(*points[is_near].T))))
    sigma_deg = max(LEAST_SIGMA_DEG, math.degrees(float(np.std(off[is_near])) / span))
    return _Line(along, origin - along * float(origin @ along), sigma_deg)


def _plain_length(view: PolarView, line: _Line, inner: float, reach: float) -> float:
    """How far the run keeps its own width about the line: print behind the tip does not count."""
    rows = np.arange(view.row(inner), max(view.row(inner) + 2, view.row(reach)))
    radii = view.radii[rows].astype(float)
    half = DIRECTIONS // 10
    middle = np.round(line.columns_at(view.radii[rows])).astype(np.intp)
    window = (middle[:, None] + np.arange(-half, half + 1)) % DIRECTIONS
    is_set = view.difference[rows[:, None], window] > view.threshold
    left, right = _run_around(is_set, np.full(len(rows), half))
    widths = (right - left + 1) * (2 * math.pi / DIRECTIONS) * radii
    shift = np.abs((right + left) / 2 - half) * (2 * math.pi / DIRECTIONS) * radii
    on_line = is_set[:, half - 1 : half + 2].any(axis=1)
    typical = float(np.median(widths[on_line][: max(4, len(rows) // 2)])) if on_line.any() else 1.0
    is_plain = on_line & (widths < 2.2 * typical + 0.04) & (shift < 0.5 * typical + 0.03)
    span = max(4, int(PLAIN_SPAN / float(view.radii[1] - view.radii[0])))
    if len(rows) <= span:
        return reach
    share = np.convolve(is_plain, np.ones(span) / span, "valid")
    kept = np.flatnonzero(share >= PLAIN_SHARE)
    return float(radii[kept[-1] + span - 1]) if len(kept) else reach


def _spread_rows(view: PolarView, inner: float, outer: float, most: int) -> NDArray[np.intp]:
    first, last = view.row(inner), max(view.row(inner) + 1, view.row(outer))
    return np.arange(first, last, max(1, (last - first) // most))


def _spine(view: PolarView, rows: NDArray[np.intp], columns: Floats) -> tuple[Floats, float]:
    """The needle's centre at each row near a column, as ``(n, 2)`` points; and median contrast."""
    half = int(LINE_HALF_WIDTH_DEG * STEPS_PER_DEG)
    middle = np.round(columns).astype(np.intp)
    window = (middle[:, None] + np.arange(-half, half + 1)) % DIRECTIONS
    response = view.difference[rows[:, None], window]
    weights = np.clip(response - 0.6 * view.threshold, 0.0, None)
    start = half - NEAR + np.argmax(weights[:, half - NEAR : half + NEAR + 1], axis=1)
    is_seen = weights[np.arange(len(rows)), start] > 0
    left, right = _run_around(weights > 0, start)
    index = np.arange(2 * half + 1)
    weights *= (index >= left[:, None]) & (index <= right[:, None])
    total = np.maximum(weights.sum(axis=1), 1e-6)
    off = (weights * index).sum(axis=1) / total - half
    turn = ((middle + off) * (2 * math.pi / DIRECTIONS))[is_seen]
    radii = view.radii[rows][is_seen].astype(float)
    points = np.column_stack([radii * np.sin(turn), -radii * np.cos(turn)])
    return points, float(np.median(response[is_seen].max(axis=1))) if is_seen.any() else 0.0


def _run_around(is_set: Mask, start: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and last column of the unbroken run that holds `start`, row by row."""
    last = is_set.shape[1] - 1
    index = np.arange(last + 1)
    is_left, is_right = index < start[:, None], index > start[:, None]
    left = np.where(~is_set & is_left, index + 1, 0).max(axis=1)
    right = np.where(~is_set & is_right, index - 1, last).min(axis=1)
    return left, right


def _width(view: PolarView, angle_deg: float, inner: float, length: float) -> float:
    """Median thickness in radii over the inner half; 9 where it cannot be told."""
    rows = _spread_rows(view, inner + 0.04, inner + 0.55 * (length - inner), SPINE_ROWS)
    half = DIRECTIONS // 10
    window = (round(angle_deg * STEPS_PER_DEG) + np.arange(-half, half + 1)) % DIRECTIONS
    is_set = view.difference[rows[:, None], window] > view.threshold
    near = is_set[:, half - 6 : half + 7] * (7 - np.abs(np.arange(-6, 7)))
    is_seen = near.max(axis=1) > 0
    if not is_seen.any():
        return 9.0
    start = half - 6 + np.argmax(near[is_seen], axis=1)
    left, right = _run_around(is_set[is_seen], start)
    steps_rad = (right - left + 1) * 2 * math.pi / DIRECTIONS
    return float(np.median(steps_rad * view.radii[rows][is_seen]))
