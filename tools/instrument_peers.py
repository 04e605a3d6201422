"""Other ways to read a dial, run side by side with ours on the same pictures.

Each gets what ours gets (centre, scale) and its published defaults; none was tuned here, so
their figures are to be quoted as "with defaults".
"""

from __future__ import annotations

import importlib.util
import logging
import math

import cv2
import numpy as np

from molmo_node.instruments.angles import clockwise_deg
from molmo_node.instruments.pixels import ImageRGB, gray_of
from molmo_node.instruments.profile import Profile

ANGAUGE_PRESETS = {
    "ppf.angauge dark": {"c0": 1.0, "c1": 0.0, "c2": 0.0, "c3": -1.0},
    "ppf.angauge saturation": {"c0": 0.0, "c1": 0.0, "c2": 1.0, "c3": 0.0},
}


def has_angauge() -> bool:
    """The package ppf.angauge is installed."""
    try:
        return importlib.util.find_spec("ppf.angauge") is not None
    except ModuleNotFoundError:
        return False


def angauge_value(image: ImageRGB, profile: Profile, preset: str) -> float | None:
    """ppf.angauge's polar flood fill on the dial's square, with one of its thresholds."""
    from ppf.angauge import read_single_gauge

    logging.getLogger().setLevel(logging.ERROR)
    radius_px = profile.dial.radius_px
    x0, y0 = (max(0, int(c - radius_px)) for c in profile.center)
    try:
        angle_deg = read_single_gauge(
            image, x0=x0, y0=y0, w=int(2 * radius_px), hsv_to_gray=ANGAUGE_PRESETS[preset],
            theta_min=0.0, theta_range=360.0, value_min=0.0, value_max=360.0,
        )["value"]  # fmt: skip
    except ValueError:
        return None
    return profile.scale.value(float(angle_deg) % 360.0)


def hough_value(image: ImageRGB, profile: Profile, *, finds_circle: bool) -> float | None:
    """The usual tutorial: Hough circle, threshold, Hough lines, the line that starts at the hub."""
    gray = gray_of(image)
    center, radius_px = profile.center, profile.dial.radius_px
    if finds_circle:
        short = min(gray.shape)
        circles = cv2.HoughCircles(
            gray, cv2.HOUGH_GRADIENT, 1, 20, param1=100, param2=50,
            minRadius=int(short * 0.15), maxRadius=int(short * 0.55),
        )  # fmt: skip
        if circles is None:
            return None
        x, y, radius_px = (float(v) for v in np.asarray(circles).reshape(-1, 3).mean(axis=0))
        center = (x, y)
    tip = _hough_tip(gray, center, radius_px)
    if tip is None:
        return None
    return profile.scale.value(clockwise_deg(tip[0] - center[0], tip[1] - center[1]))


def _hough_tip(
    gray: np.ndarray, center: tuple[float, float], radius_px: float
) -> tuple[float, float] | None:
    _, dark = cv2.threshold(gray, 175, 255, cv2.THRESH_BINARY_INV)
    lines = cv2.HoughLinesP(dark, 3, np.pi / 180, 100, minLineLength=10, maxLineGap=0)
    best: tuple[float, tuple[float, float]] | None = None
    for x1, y1, x2, y2 in np.asarray(lines if lines is not None else []).reshape(-1, 4):
        near, far = sorted([(x1, y1), (x2, y2)], key=lambda end: math.dist(end, center))
        is_hub = math.dist(near, center) < 0.25 * radius_px
        reach = math.dist(far, center) / radius_px
        length = math.dist(near, far)
        if is_hub and 0.5 < reach < 1.0 and (best is None or length > best[0]):
            best = (length, (float(far[0]), float(far[1])))
    return None if best is None else best[1]


def tutorial_minutes(image: ImageRGB) -> float | None:
    """The usual tutorial clock reader: Hough circle, Canny, Hough lines, longest is the minute."""
    gray = cv2.GaussianBlur(gray_of(image), (5, 5), 0)
    short = min(gray.shape)
    circles = cv2.HoughCircles(
        gray, cv2.HOUGH_GRADIENT, 1.2, short, param1=100, param2=60,
        minRadius=int(short * 0.2), maxRadius=int(short * 0.6),
    )  # fmt: skip
    if circles is None:
        return None
    x, y, radius_px = (float(v) for v in np.asarray(circles).reshape(-1, 3)[0])
    edges = cv2.Canny(gray, 50, 150)
    lines = cv2.HoughLinesP(
        edges, 1, np.pi / 180, 50, minLineLength=int(0.3 * radius_px), maxLineGap=10
    )
    hands: list[tuple[float, float]] = []
    for x1, y1, x2, y2 in np.asarray(lines if lines is not None else []).reshape(-1, 4):
        near, far = sorted([(x1, y1), (x2, y2)], key=lambda end: math.dist(end, (x, y)))
        if math.dist(near, (x, y)) > 0.25 * radius_px or math.dist(far, (x, y)) > radius_px:
            continue
        angle_deg = clockwise_deg(far[0] - x, far[1] - y)
        if all(abs((angle_deg - other + 180) % 360 - 180) > 8 for _, other in hands):
            hands.append((math.dist(far, (x, y)), angle_deg))
    if len(hands) < 2:
        return None
    (_, minute_deg), (_, hour_deg) = sorted(hands, reverse=True)[:2]
    return int(hour_deg // 30) * 60 + minute_deg / 6
