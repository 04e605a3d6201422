"""Clocks and watches with a known time."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np

from molmo_node.sim.colors import Rgb, muted_rgb, pick_rgb
from molmo_node.sim.dial_face import (
    SQUARE,
    Paint,
    draw_case,
    draw_glare,
    draw_ticks,
    pick_paint,
)
from molmo_node.sim.dial_plane import FONTS, DialPlane, circle, direction
from molmo_node.sim.hands import STYLES, Hand, draw_hand, draw_hub
from molmo_node.sim.paint import Image, Points

_ROMAN = ("XII", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI")
_NUMERALS = ("arabic", "arabic", "arabic", "roman", "four", "twelve", "none", "none")
_TELLING = ("arabic", "arabic", "roman", "four", "twelve")
_NAMES = ("QUARTZ", "NORD", "AUTOMATIC", "Time", "ALPHA", "STATION")


@dataclass(frozen=True)
class DialTime:
    """A time on 12 hours: hour 0 to 11."""

    hour: int
    minute: int
    second: int


@dataclass(frozen=True)
class DrawnDial:
    """A drawn dial's truth in pixels.

    `keys_xy` is ``(5, 2) float32``. Clock: centre, 12, 3, minute tip, hour tip. Gauge: centre,
    first mark, middle of the scale, last mark, needle tip. `case_xy` is the case's outline;
    `color_names` are what a person might call its colours.
    """

    keys_xy: Points
    case_xy: Points
    color_names: frozenset[str]


def random_time(rng: random.Random) -> DialTime:
    """Any second of twelve hours, all equally likely."""
    return DialTime(rng.randrange(12), rng.randrange(60), rng.randrange(60))


def hand_angles_rad(time: DialTime) -> tuple[float, float, float]:
    """Hour, minute and second hand, clockwise from twelve; the slow hands move evenly."""
    minutes = time.minute + time.second / 60
    return (
        (time.hour + minutes / 60) * math.pi / 6,
        minutes * math.pi / 30,
        time.second * math.pi / 30,
    )


def _draw_strap(rng: random.Random, plane: DialPlane, image: Image) -> None:
    """A watch's strap above and below its case."""
    rgb = pick_rgb(rng, rng.choice(("black", "brown", "brown", "gray", "blue")))
    near, far, reach = rng.uniform(0.55, 0.75), rng.uniform(0.45, 0.6), rng.uniform(1.6, 2.6)
    strap = np.array([(-near, -0.8), (-far, -reach), (far, -reach), (near, -0.8)])
    plane.fill(image, [strap, strap * (1, -1)], rgb)


def _draw_numerals(
    rng: random.Random, plane: DialPlane, image: Image, numerals: str, rgb: Rgb
) -> None:
    size = rng.uniform(0.11, 0.27)
    radius = rng.uniform(0.68, 0.86) - size / 2
    font, thickness = rng.choice(FONTS), rng.choice((1, 2, 2, 3))
    if numerals == "roman":
        size *= 0.75
    step = {"four": 3, "twelve": 12}.get(numerals, 1)
    for hour in range(0, 12, step):
        text = _ROMAN[hour] if numerals == "roman" else str(hour or 12)
        plane.write(image, text, direction(hour * math.pi / 6) * radius, size, rgb, font, thickness)


def _draw_marks(
    rng: random.Random, plane: DialPlane, image: Image, ink: Rgb, is_turned: bool
) -> None:
    numerals = rng.choice(_TELLING if is_turned else _NUMERALS)
    kinds = ("minor", "hour") if numerals in ("none", "twelve") else ("minor", "hour", "none")
    kind, radius = rng.choice(kinds), rng.uniform(0.88, 0.97)
    minutes = np.arange(60) * (math.pi / 30)
    if kind == "minor":
        minor = rng.uniform(0.03, 0.05)
        draw_ticks(plane, image, minutes, radius, minor, rng.uniform(0.008, 0.016), ink)
    if kind != "none":
        major, width = rng.uniform(0.06, 0.16), rng.uniform(0.018, 0.05)
        draw_ticks(plane, image, minutes[::5], radius, major, width, ink)
    if numerals != "none":
        _draw_numerals(rng, plane, image, numerals, ink)
    if rng.random() < 0.35:
        at = np.array((0.0, rng.choice((-0.4, 0.35))))
        plane.write(image, rng.choice(_NAMES), at, 0.07, ink, rng.choice(FONTS))
    if rng.random() < 0.15:  # date window
        plane.fill(image, [SQUARE * (0.09, 0.06) + (0.55, 0)], muted_rgb(rng, 200, 250))
        plane.write(image, str(rng.randint(1, 31)), np.array((0.55, 0)), 0.07, (20, 20, 20), 0)
    if rng.random() < 0.12:  # small seconds or a stopwatch dial
        draw_at = np.array(rng.choice(((0.0, 0.45), (-0.45, 0.0), (0.45, 0.0))))
        plane.fill(image, [circle(0.2, 32) + draw_at], muted_rgb(rng))


def _hands(rng: random.Random, time: DialTime, paint: Paint) -> list[Hand]:
    """Hour, minute and, in half of the clocks, second hand, in drawing order."""
    hour_rad, minute_rad, second_rad = hand_angles_rad(time)
    rgb = paint.ink
    if rng.random() < 0.2:
        rgb = pick_rgb(rng, rng.choice(("red", "blue", "black", "brown", "gray")))
    style, width = rng.choice(STYLES), rng.uniform(0.02, 0.08)
    tail = rng.choice((0.0, 0.08, 0.16, 0.22))
    hour = Hand(hour_rad, rng.uniform(0.42, 0.62), tail, width, style, rgb)
    slim = width * rng.uniform(0.55, 0.9)
    minute = Hand(minute_rad, rng.uniform(0.68, 0.95), tail, slim, style, rgb)
    hands = [hour, minute]
    if rng.random() < 0.5:
        second_rgb = pick_rgb(rng, rng.choice(("red", "red", "orange", "black", "gray")))
        length, back = rng.uniform(0.7, 0.95), rng.uniform(0.1, 0.25)
        hands.append(Hand(second_rad, length, back, 0.012, "bar", second_rgb))
    return hands


def draw_clock(
    rng: random.Random,
    image: Image,
    plane: DialPlane,
    time: DialTime,
    is_turned: bool = False,
) -> DrawnDial:
    """Draw a clock or watch that shows `time` into the picture, in place.

    One that hangs turned gets numerals: without them nobody could tell where twelve is.
    """
    paint = pick_paint(rng)
    is_watch = rng.random() < 0.2
    if is_watch:
        _draw_strap(rng, plane, image)
    case = draw_case(rng, plane, image, paint, is_square=rng.random() < 0.15)
    _draw_marks(rng, plane, image, paint.ink, is_turned)
    hands = _hands(rng, time, paint)
    shadow = rng.uniform(0.01, 0.03) if rng.random() < 0.3 else 0.0
    for hand in hands:
        draw_hand(plane, image, hand, shadow)
    draw_hub(rng, plane, image, rng.uniform(0.03, 0.07), hands[0].rgb)
    if rng.random() < 0.3:
        draw_glare(rng, plane, image)
    keys = np.stack((np.zeros(2), (0.0, -0.92), (0.92, 0.0), hands[1].tip, hands[0].tip))
    return DrawnDial(plane.to_pixels(keys), plane.to_pixels(case), paint.color_names)
