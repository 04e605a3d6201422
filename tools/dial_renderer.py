"""Dials with a known reading: varied in design, tilted in perspective, lit, blurred and stored.

Independent of the package's own simulator, so that a reader and its test share no mistakes.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from molmo_node.instruments.pixels import Floats, ImageRGB

SIDE = 960
Colour = tuple[int, int, int]
PointPx = tuple[float, float]
Random = np.random.Generator


def draw_clock(
    random: Random, minutes: float, *, tilt_deg: float = 0.0, side_px: int = 480
) -> tuple[ImageRGB, PointPx]:
    """A clock that shows `minutes` since 12, and its pivot in pixels."""
    image, center, radius, ink = _face(random)
    _clock_print(random, image, center, radius, ink)
    hands = [
        (minutes / 2, random.uniform(0.48, 0.60), 0.035),
        (minutes * 6, random.uniform(0.74, 0.88), 0.024),
    ]
    tail = random.uniform(0.08, 0.16)
    shape = random.uniform(0.5, 1.0)
    for angle_deg, length, width in hands:
        _bar(image, center, radius, angle_deg, (-tail, length), (width, width * shape), ink)
    if random.random() < 0.5:
        accent = (200, 30, 30) if random.random() < 0.6 else ink
        _bar(image, center, radius, minutes % 1 * 360, (-0.2, 0.86), (0.008, 0.006), accent)
    _disc(image, center, radius * 0.04, ink)
    picture, places = _photograph(random, image, [center], tilt_deg, side_px)
    return picture, places[0]


def draw_gauge(
    random: Random, share: float, *, tilt_deg: float = 0.0, side_px: int = 480
) -> tuple[ImageRGB, PointPx, list[tuple[float, float, float]], float]:
    """A gauge whose needle stands at `share` of its scale.

    Returns:
        The picture, the pivot, five marks (value, x_px, y_px), and the value shown.
    """
    image, center, radius, ink = _face(random)
    sweep_deg = random.choice([240.0, 270.0, 300.0])
    start_deg = -sweep_deg / 2 + random.choice([0.0, 0.0, 15.0, -20.0])
    high = float(random.choice([1.0, 1.6, 4.0, 6.0, 10.0, 16.0, 25.0, 100.0, 160.0, 250.0]))
    steps = int(random.choice([4, 5, 8, 10])) if high not in (1.6, 16.0, 160.0) else 8
    _scale_print(random, image, center, radius, ink, start_deg, sweep_deg, high, steps)
    colour = ink if random.random() < 0.65 else (200, 30, 30)
    angle_deg = start_deg + sweep_deg * share
    tail_width = random.uniform(0.03, 0.05)
    _bar(
        image,
        center,
        radius,
        angle_deg,
        (-random.uniform(0.15, 0.3), 0.0),
        (tail_width, 0.03),
        colour,
    )
    _bar(image, center, radius, angle_deg, (0.0, random.uniform(0.7, 0.9)), (0.03, 0.007), colour)
    _disc(image, center, radius * random.uniform(0.05, 0.1), colour)
    marks = [(k / 4, *_at(center, radius * 0.9, start_deg + sweep_deg * k / 4)) for k in range(5)]
    places = [center, *((x, y) for _, x, y in marks)]
    picture, moved = _photograph(random, image, places, tilt_deg, side_px)
    seen = [(high * s, *place) for (s, _, _), place in zip(marks, moved[1:], strict=True)]
    return picture, moved[0], seen, high * share


def _face(random: Random) -> tuple[ImageRGB, PointPx, float, Colour]:
    is_dark = random.random() < 0.3
    wall = random.integers(60, 200, 3)
    image = np.full((SIDE, SIDE, 3), wall, np.uint8)
    center, radius = (SIDE / 2, SIDE / 2), SIDE * 0.40
    level = random.integers(20, 45) if is_dark else 0
    face = (int(level),) * 3 if is_dark else tuple(int(v) for v in random.integers(205, 250, 3))
    bezel = tuple(int(v) for v in random.integers(10, 120, 3))
    _disc(image, center, radius * random.uniform(1.05, 1.15), bezel)
    _disc(image, center, radius, (face[0], face[1], face[2]))
    return image, center, radius, (235, 235, 235) if is_dark else (25, 25, 25)


def _clock_print(
    random: Random, image: ImageRGB, center: PointPx, radius: float, ink: Colour
) -> None:
    has_numerals = random.random() < 0.6
    for minute in range(60):
        if minute % 5 == 0 or random.random() < 0.95:
            inner, width = (0.84, 0.012) if minute % 5 == 0 else (0.89, 0.005)
            _bar(image, center, radius, minute * 6, (inner, 0.95), (width, width), ink)
        if minute % 5 == 0 and has_numerals:
            _write(
                image, _at(center, radius * 0.70, minute * 6), str(minute // 5 or 12), radius, ink
            )


def _scale_print(
    random: Random, image: ImageRGB, center: PointPx, radius: float, ink: Colour,
    start_deg: float, sweep_deg: float, high: float, steps: int,
) -> None:  # fmt: skip
    for tick in range(steps * 5 + 1):
        angle_deg = start_deg + sweep_deg * tick / (steps * 5)
        inner = 0.86 if tick % 5 else 0.80
        _bar(image, center, radius, angle_deg, (inner, 0.95), (0.006, 0.006), ink)
        if tick % 5 == 0:
            _write(
                image,
                _at(center, radius * 0.66, angle_deg),
                f"{high * tick / steps / 5:g}",
                radius,
                ink,
            )
    _write(
        image,
        (center[0], center[1] + radius * 0.4),
        str(random.choice(["bar", "psi", "kPa"])),
        radius,
        ink,
    )


def _photograph(
    random: Random, image: ImageRGB, points: list[PointPx], tilt_deg: float, side_px: int
) -> tuple[ImageRGB, list[PointPx]]:
    """Seen from the side in perspective, under uneven light, a little soft, noisy, as a JPEG."""
    view = _view(random, tilt_deg, side_px)
    out = cv2.warpPerspective(image, view, (side_px, side_px), flags=cv2.INTER_AREA).astype(
        np.float32
    )
    shade = np.linspace(random.uniform(0.75, 1.0), 1.0, side_px)[None, :, None]
    out *= random.uniform(0.6, 1.1) * shade
    out = cv2.GaussianBlur(out, (0, 0), random.uniform(0.4, 1.4))
    out += random.normal(0, random.uniform(1, 6), out.shape)
    stored = cv2.imencode(
        ".jpg", np.clip(out, 0, 255).astype(np.uint8), [1, int(random.integers(60, 95))]
    )[1]
    picture = np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR), np.uint8)
    moved = cv2.perspectiveTransform(np.array([points], np.float64), view)[0]
    return picture, [(float(x), float(y)) for x, y in moved]


def _view(random: Random, tilt_deg: float, side_px: int) -> Floats:
    """The homography of a camera at two dial diameters, the plane turned about a random axis."""
    tilt, axis = math.radians(tilt_deg), random.uniform(0, math.pi)
    turn = np.array(
        [[math.cos(axis), math.sin(axis), 0], [-math.sin(axis), math.cos(axis), 0], [0, 0, 1]]
    )
    lean = np.array(
        [[1, 0, 0], [0, math.cos(tilt), -math.sin(tilt)], [0, math.sin(tilt), math.cos(tilt)]]
    )
    rotation = turn.T @ lean @ turn
    corners = [(0.0, 0.0), (SIDE, 0.0), (SIDE, SIDE), (0.0, SIDE)]
    seen = []
    for x, y in corners:
        point = rotation @ np.array([x / SIDE - 0.5, y / SIDE - 0.5, 0.0]) + (0, 0, 1.6)
        seen.append(
            (
                side_px * (0.5 + 1.6 * point[0] / point[2]),
                side_px * (0.5 + 1.6 * point[1] / point[2]),
            )
        )
    return np.asarray(
        cv2.getPerspectiveTransform(np.float32(corners), np.float32(seen)), np.float64
    )


def _at(center: PointPx, radius: float, angle_deg: float) -> PointPx:
    turn = math.radians(angle_deg)
    return center[0] + radius * math.sin(turn), center[1] - radius * math.cos(turn)


def _bar(
    image: ImageRGB, center: PointPx, radius: float, angle_deg: float,
    ends: tuple[float, float], half_widths: tuple[float, float], colour: Colour,
) -> None:  # fmt: skip
    side = np.array([math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))])
    near, far = (np.array(_at(center, radius * end, angle_deg)) for end in ends)
    wide, slim = (side * radius * half for half in half_widths)
    corners = np.array([near - wide, near + wide, far + slim, far - slim])
    cv2.fillPoly(image, [np.round(corners * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)


def _disc(image: ImageRGB, center: PointPx, radius: float, colour: Colour) -> None:
    middle = (round(center[0] * 16), round(center[1] * 16))
    cv2.circle(image, middle, round(radius * 16), colour, -1, cv2.LINE_AA, 4)


def _write(image: ImageRGB, place: PointPx, text: str, radius: float, colour: Colour) -> None:
    size = radius / 280
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 3)
    where = (round(place[0] - width / 2), round(place[1] + height / 2))
    cv2.putText(image, text, where, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 3, cv2.LINE_AA)
