"""No dial, several dials, dials upside down, and the same picture a little changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest

from molmo_node.gauge_profiles import load_profile
from molmo_node.instruments import read_gauge, read_gauges
from molmo_node.instruments.ocr import is_available
from molmo_node.instruments.pixels import ImageRGB
from molmo_node.instruments.texts import Text
from tests.instruments.pictures import EXAMPLES, load, plain_gauge

FULL_SCALE_MPA = 1.0


def wall() -> ImageRGB:
    noise = np.random.default_rng(5).normal(0, 4, (360, 480, 3))
    return np.clip(170 + noise, 0, 255).astype(np.uint8)


def digital_display() -> ImageRGB:
    image = wall()
    cv2.rectangle(image, (90, 100), (390, 260), (150, 185, 150), -1)
    cv2.putText(image, "12.45", (120, 210), cv2.FONT_HERSHEY_DUPLEX, 2.4, (20, 30, 20), 6)
    return image


def plate() -> ImageRGB:
    image = wall()
    cv2.circle(image, (240, 180), 150, (235, 235, 230), -1, cv2.LINE_AA)
    cv2.circle(image, (240, 180), 100, (205, 205, 200), 3, cv2.LINE_AA)
    return image


def reads_a_display(image: ImageRGB) -> Sequence[Text]:
    height, width = image.shape[:2]
    return [Text("12.45", width / 2, height / 2, width / 3, 0.99), Text("bar", 30, 30, 20, 0.9)]


@pytest.mark.parametrize("picture", [wall, digital_display, plate])
def test_what_is_no_dial_gives_no_reading(picture: Callable[[], ImageRGB]) -> None:
    readings = read_gauges(picture(), read_text=reads_a_display)

    assert [reading.value for reading in readings] == [None] * len(readings)
    assert {reading.reason for reading in readings} <= {"no_dial", "scale_unread"}


def turned(image: ImageRGB) -> ImageRGB:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0.5, 1.0)
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=1), np.uint8)


def halved(image: ImageRGB) -> ImageRGB:
    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.asarray(half, np.uint8)


def stored(image: ImageRGB) -> ImageRGB:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def darker(image: ImageRGB) -> ImageRGB:
    return np.clip(image * 0.6, 0, 255).astype(np.uint8)


def brighter(image: ImageRGB) -> ImageRGB:
    return np.clip(image * 1.4, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("change", [turned, halved, stored, darker, brighter])
def test_a_little_change_moves_a_photo_less_than_one_percent(
    change: Callable[[ImageRGB], ImageRGB],
) -> None:
    profile = load_profile(EXAMPLES / "gauges" / "workshop_gauge.yaml")

    for number in (1, 4):
        photo = load(EXAMPLES / "workshop_gauge" / f"photo_{number}.jpg")
        before, after = read_gauge(photo, profile).value, read_gauge(change(photo), profile).value

        assert after == pytest.approx(before, abs=0.01 * FULL_SCALE_MPA), number


@pytest.mark.skipif(not is_available(), reason="the extra [ocr] is not installed")
def test_two_dials_in_one_picture_are_read_separately_though_one_hangs_upside_down() -> None:
    upright, hanging = plain_gauge(-135 + 27 * 3.0), plain_gauge(-135 + 27 * 7.5)

    readings = read_gauges(np.hstack([upright, np.ascontiguousarray(hanging[::-1, ::-1])]))

    by_place = sorted((r for r in readings if r.geometry), key=lambda r: r.geometry.center[0])
    assert [r.value for r in by_place] == [
        pytest.approx(3.0, abs=0.1),
        pytest.approx(7.5, abs=0.1),
    ]
