"""Find dials: ellipses that the picture's edges support all the way round."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from molmo_node.instruments.dial import Dial
from molmo_node.instruments.pixels import Float32s, Floats, Gray, ImageRGB, Mask, gray_of, resized

WORK_SIDE_PX = 640
RIM_POINTS = 180
CANNY_LEVELS = ((40, 110), (15, 45))
SHORTEST_CONTOUR_PX = 60
SHORTEST_HULL_PX = 150
SMALLEST_SIDE = 0.10
LARGEST_SIDE = 1.6
FLATTEST = 0.35
LEAST_SUPPORT = 0.25
NEAR_RIM_PX = 3
REFITS = 3
HOUGH_SIDE_PX = 240
HOUGH_VOTES = 35
HOUGH_MOST = 20
FIRST_LOOK = 40
ALIGNED = 0.85
GRAIN_PX = 3.0

Ellipse = tuple[float, float, float, float, float]
"""Centre x, y, full axes, and tilt in degrees: OpenCV's form."""


@dataclass(frozen=True)
class _Edges:
    """Brightness gradients of the working picture."""

    gray: Gray
    x: Float32s
    y: Float32s
    strength: Float32s
    strong: float

    @classmethod
    def of(cls, gray: Gray) -> _Edges:
        soft = np.asarray(cv2.GaussianBlur(gray, (5, 5), 1.2), np.uint8)
        x = np.asarray(cv2.Sobel(soft, cv2.CV_32F, 1, 0), np.float32)
        y = np.asarray(cv2.Sobel(soft, cv2.CV_32F, 0, 1), np.float32)
        strength = np.hypot(x, y)
        return cls(soft, x, y, strength, float(np.percentile(strength, 90)))


def find_dials(image: ImageRGB, *, most: int = 4) -> list[Dial]:
    """Round or oval things that may be dials, the best supported and largest first.

    Args:
        image: ``(H, W, 3) uint8, rgb8``.

    Returns:
        At most `most` dials whose rims differ; a rim's centre need not be the pivot.
    """
    scale = min(1.0, WORK_SIDE_PX / max(image.shape[:2]))
    edges = _Edges.of(resized(gray_of(image), scale))
    first = _best(edges, _distinct(_candidates(edges.gray), edges.gray), FIRST_LOOK)
    refined = [_refitted(edges, ellipse) for ellipse in first]
    kept: list[tuple[float, Ellipse]] = []
    for (score, support), ellipse in sorted(
        ((_rating(edges, each), each) for each in refined), key=lambda pair: -pair[0][0]
    ):
        if support >= LEAST_SUPPORT and not any(_collide(ellipse, other) for _, other in kept):
            kept.append((score, ellipse))
        if len(kept) == most:
            break
    return [_dial(ellipse, score, scale) for score, ellipse in kept]


def _dial(ellipse: Ellipse, score: float, scale: float) -> Dial:
    x, y, width, height, tilt_deg = ellipse
    x_px, y_px = (x + 0.5) / scale - 0.5, (y + 0.5) / scale - 0.5
    axes_px = (width / scale, height / scale)
    return Dial.ellipse(x_px, y_px, axes_px, tilt_deg, min(1.0, score))


def _distinct(ellipses: Iterator[Ellipse], gray: Gray) -> list[Ellipse]:
    """Those of a sensible size, each once."""
    found: dict[tuple[int, ...], Ellipse] = {}
    for ellipse in ellipses:
        if _is_sized(ellipse, gray):
            found.setdefault(tuple(round(number / GRAIN_PX) for number in ellipse[:4]), ellipse)
    return list(found.values())


def _best(edges: _Edges, ellipses: list[Ellipse], most: int) -> list[Ellipse]:
    """A quick look at all candidates at once, at every sixth point of the rim."""
    if not ellipses:
        return []
    rims = [_rim(ellipse, RIM_POINTS // 6) for ellipse in ellipses]
    points, normals = (np.stack(part) for part in zip(*rims, strict=True))
    height, width = edges.gray.shape
    is_seen = np.zeros(points.shape[:2], bool)
    for step_px in range(-NEAR_RIM_PX, NEAR_RIM_PX + 1, 1):
        place = np.round(points + step_px * normals).astype(int)
        x, y = place[..., 0].clip(0, width - 1), place[..., 1].clip(0, height - 1)
        strength = edges.strength[y, x]
        across = np.abs(edges.x[y, x] * normals[..., 0] + edges.y[y, x] * normals[..., 1])
        is_seen |= (strength > 0.5 * edges.strong) & (across > ALIGNED * strength)
    is_seen &= ((points > 0) & (points < (width - 1, height - 1))).all(axis=2)
    size = np.array([math.sqrt(e[2] * e[3]) for e in ellipses]) / min(edges.gray.shape)
    support = is_seen.mean(axis=1) * np.minimum(1.0, 0.35 + size)
    return [ellipses[index] for index in np.argsort(-support)[:most]]


def _candidates(gray: Gray) -> Iterator[Ellipse]:
    for levels in CANNY_LEVELS:
        contours, _ = cv2.findContours(
            cv2.Canny(gray, *levels), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
        )
        for contour in contours:
            if len(contour) >= SHORTEST_CONTOUR_PX:
                yield _fitted(contour)
            if len(contour) >= SHORTEST_HULL_PX:
                hull = cv2.convexHull(contour)
                if len(hull) >= 12:
                    yield _fitted(hull)
    yield from _circles(gray)


def _fitted(points: cv2.typing.MatLike) -> Ellipse:
    (x, y), (width, height), tilt_deg = cv2.fitEllipseDirect(points)
    return x, y, width, height, tilt_deg


def _circles(gray: Gray) -> Iterator[Ellipse]:
    """Circles by votes, in a small picture: for rims that no single contour follows."""
    scale = min(1.0, HOUGH_SIDE_PX / max(gray.shape))
    small = resized(gray, scale)
    short, long = sorted(small.shape)
    found = cv2.HoughCircles(
        small, cv2.HOUGH_GRADIENT, 1.5, short / 8, param1=100, param2=HOUGH_VOTES,
        minRadius=int(short * 0.1), maxRadius=int(long * 0.6),
    )  # fmt: skip
    if found is None:
        return
    for x, y, radius in np.asarray(found, np.float64).reshape(-1, 3)[:HOUGH_MOST]:
        width = 2 * float(radius) / scale
        yield (float(x) + 0.5) / scale - 0.5, (float(y) + 0.5) / scale - 0.5, width, width, 0.0


def _is_sized(ellipse: Ellipse, gray: Gray) -> bool:
    x, y, width, height, _ = ellipse
    short, long = min(width, height), max(width, height)
    return bool(
        np.isfinite(ellipse).all()
        and 0 < x < gray.shape[1]
        and 0 < y < gray.shape[0]
        and short > SMALLEST_SIDE * min(gray.shape)
        and long < LARGEST_SIDE * max(gray.shape)
        and short > FLATTEST * long
    )


def _rim(ellipse: Ellipse, count: int = RIM_POINTS) -> tuple[Floats, Floats]:
    """Points round the rim and the outward normals there, both ``(count, 2)``."""
    x, y, width, height, tilt_deg = ellipse
    turn = np.linspace(0, 2 * math.pi, count, endpoint=False)
    cos, sin = math.cos(math.radians(tilt_deg)), math.sin(math.radians(tilt_deg))
    rotate = np.array([[cos, sin], [-sin, cos]])
    unit = np.column_stack([np.cos(turn), np.sin(turn)])
    half = np.array([width / 2, height / 2])
    normals = (unit / half) @ rotate
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return unit * half @ rotate + (x, y), normals


def _along_normals(edges: _Edges, ellipse: Ellipse) -> tuple[Floats, Floats, Mask]:
    """Best aligned edge near each rim point: (strength, offset_px along the normal, is inside)."""
    points, normals = _rim(ellipse)
    height, width = edges.gray.shape
    strength, offset = np.zeros(RIM_POINTS), np.zeros(RIM_POINTS)
    for step_px in range(-NEAR_RIM_PX, NEAR_RIM_PX + 1):
        x, y = np.round(points + step_px * normals).astype(int).T
        x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
        here = edges.strength[y, x].astype(np.float64)
        across = np.abs(edges.x[y, x] * normals[:, 0] + edges.y[y, x] * normals[:, 1])
        here[across < ALIGNED * here] = 0.0
        better = here > strength
        strength[better], offset[better] = here[better], step_px
    inside = ((points > 0) & (points < (width - 1, height - 1))).all(axis=1)
    return strength, offset, np.asarray(inside, bool)


def _rating(edges: _Edges, ellipse: Ellipse) -> tuple[float, float]:
    """(support times a preference for large dials, support): support is the share of rim seen."""
    strength, _, inside = _along_normals(edges, ellipse)
    support = float(np.mean((strength > 0.5 * edges.strong) & inside))
    size = math.sqrt(ellipse[2] * ellipse[3]) / min(edges.gray.shape)
    return support * min(1.0, 0.35 + size), support


def _refitted(edges: _Edges, ellipse: Ellipse) -> Ellipse:
    """The ellipse pulled onto the edges beside it; unchanged where they do not make one."""
    for _ in range(REFITS):
        strength, offset, inside = _along_normals(edges, ellipse)
        is_seen = (strength > 0.5 * edges.strong) & inside
        if is_seen.sum() < RIM_POINTS // 4:
            return ellipse
        points, normals = _rim(ellipse)
        seen = (points + offset[:, None] * normals)[is_seen].astype(np.float32)
        fitted = _fitted(seen)
        if not _is_sized(fitted, edges.gray) or not _is_same(fitted, ellipse):
            return ellipse
        ellipse = fitted
    return ellipse


def _collide(first: Ellipse, second: Ellipse) -> bool:
    """One rim twice, or two that cross: of those only the better one can be a dial."""
    radii = [math.sqrt(e[2] * e[3]) / 2 for e in (first, second)]
    apart = math.hypot(first[0] - second[0], first[1] - second[1])
    is_within = apart < 1.1 * abs(radii[0] - radii[1])
    is_beside = apart > 0.9 * sum(radii)
    return _is_same(first, second) or not (is_within or is_beside)


def _is_same(first: Ellipse, second: Ellipse) -> bool:
    """Rims of one dial: near centres and near sizes."""
    radii = [math.sqrt(e[2] * e[3]) / 2 for e in (first, second)]
    apart = math.hypot(first[0] - second[0], first[1] - second[1])
    return apart < 0.25 * max(radii) and 0.85 < radii[0] / radii[1] < 1.18
