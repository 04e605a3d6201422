from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from molmo_node.instruments import read_clocks
from molmo_node.instruments.hands import minutes_apart, time_hands
from molmo_node.instruments.needle import Needle
from molmo_node.messages import ClockReading
from tests.instruments.pictures import needs_shared, shared_image, shared_labels
from tools.dial_renderer import draw_clock


def hand(angle_deg: float, length: float, width: float) -> Needle:
    return Needle(angle_deg, angle_deg, length, width, 60.0, 0.2)


def minutes_of(reading: ClockReading) -> float:
    assert reading.hour is not None
    assert reading.minute is not None
    return reading.hour * 60 + reading.minute + (reading.second or 0) / 60


@pytest.mark.parametrize("minutes", [0, 5, 61, 123, 190, 305, 359, 365, 400, 511, 639, 719])
def test_two_hands_give_the_time_and_never_the_swapped_one(minutes: int) -> None:
    hands = [hand(minutes % 60 * 6, 0.85, 0.03), hand(minutes / 2, 0.55, 0.05)]

    best = time_hands(hands)[0]

    assert minutes_apart(best.minutes, minutes) < 0.5


def test_thin_second_hand_is_told_apart() -> None:
    minutes = 250.5
    hands = [
        hand(minutes % 60 * 6, 0.8, 0.03),
        hand(minutes / 2, 0.5, 0.05),
        hand(180.0, 0.85, 0.008),
    ]

    best = time_hands(hands)[0]

    assert minutes_apart(best.minutes, minutes) < 0.5
    assert best.second is hands[2]


def test_known_roll_turns_the_dial() -> None:
    hands = [hand(75 * 6 - 360 + 90, 0.85, 0.03), hand(75 / 2 + 90, 0.55, 0.05)]

    assert minutes_apart(time_hands(hands, 90.0)[0].minutes, 75) < 0.5


@pytest.mark.parametrize("minutes", [200, 471])
@pytest.mark.parametrize("tilt_deg", [0, 25])
def test_drawn_clock_is_read_within_a_minute(minutes: int, tilt_deg: float) -> None:
    image, _ = draw_clock(np.random.default_rng(minutes), minutes, tilt_deg=tilt_deg)

    reading = read_clocks(image)[0]

    assert minutes_apart(minutes_of(reading), minutes) <= 1.0


def test_picture_without_a_dial_gives_no_time() -> None:
    blank = np.full((300, 300, 3), 200, np.uint8)
    plate = blank.copy()
    cv2.circle(plate, (150, 150), 110, (120, 90, 60), -1, cv2.LINE_AA)

    for image in (blank, plate):
        assert all(reading.hour is None for reading in read_clocks(image))


@needs_shared
@pytest.mark.soak
@pytest.mark.timeout(300)
def test_no_shared_clock_is_misread_and_most_are_read() -> None:
    right, refused = 0, 0
    for item in shared_labels()["items"]:
        if item["kind"] != "clock":
            continue
        readings = read_clocks(shared_image(item["file"]))
        reading = min(readings, key=lambda r: math.dist(r.geometry.center, item["centre"]))  # type: ignore[union-attr]
        if reading.hour is None:
            refused += 1
            continue
        hours, minutes, *seconds = (float(part) for part in item["reading"].split(":"))
        truth = hours * 60 + minutes + (seconds[0] / 60 if seconds else 0)
        assert minutes_apart(minutes_of(reading), truth) <= 1.5, item["file"]
        right += 1

    assert right >= 11
    assert refused <= 3
