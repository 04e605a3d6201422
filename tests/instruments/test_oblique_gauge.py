"""Gauges seen from the side: the pivot is not the middle of the rim."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from molmo_node.instruments import DialHint, read_gauges
from molmo_node.instruments.angles import clockwise_deg
from molmo_node.instruments.dial import Dial
from molmo_node.instruments.even import Sighting
from molmo_node.instruments.find import find_dials
from molmo_node.instruments.perspective import Lean, dial_about, turned_back
from molmo_node.instruments.pixels import Floats, ImageRGB
from molmo_node.instruments.printed import Number, printed_step, stepped
from molmo_node.instruments.ring import fit_ring
from molmo_node.instruments.ring_search import find_rings
from molmo_node.instruments.spread import FLAT_REACH
from molmo_node.instruments.texts import Text
from tests.instruments.pictures import plain_gauge

PIVOT = np.array([[-0.10, 0.07]])
SIDE_PX = 480
NUMBER_RADIUS = 0.66 * 0.38 * SIDE_PX


def seen_from_the_side(values: Sequence[float], step_deg: float = 27.0) -> list[Number]:
    """Numbers that are even about PIVOT, in the plane where the rim is a circle."""
    turns = np.radians([-135 + step_deg * index for index in range(len(values))])
    flat = 0.7 * np.column_stack([np.sin(turns), -np.cos(turns)])
    return [
        Number(value, float(x), float(y), 1.0)
        for value, (x, y) in zip(values, turned_back(flat, -PIVOT)[0], strict=True)
    ]


def test_disc_is_turned_back_onto_itself_with_the_pivot_in_its_middle() -> None:
    turns = np.linspace(0, 2 * math.pi, 9)
    rim = np.column_stack([np.cos(turns), np.sin(turns)])

    (moved,) = turned_back(np.vstack([rim, PIVOT]), PIVOT)

    assert np.hypot(*moved[:-1].T) == pytest.approx(np.ones(9))
    assert moved[-1] == pytest.approx(np.zeros(2), abs=1e-12)


def test_dial_about_the_pivot_has_the_directions_of_the_turned_disc() -> None:
    points = np.random.default_rng(2).uniform(-0.7, 0.7, (20, 2))
    rim = Dial.ellipse(200.0, 150.0, (240.0, 200.0), 25.0)
    dial = dial_about(rim, (float(PIVOT[0, 0]), float(PIVOT[0, 1])))

    (turned,) = turned_back(points, PIVOT)

    for point, there in zip(points, turned, strict=True):
        seen = dial.to_unit(*rim.to_image(*map(float, point)))
        assert clockwise_deg(*seen) == pytest.approx(clockwise_deg(*map(float, there)))


def test_numbers_that_look_uneven_are_even_about_the_pivot() -> None:
    lean = Lean((float(PIVOT[0, 0]) / 0.122, float(PIVOT[0, 1]) / 0.122), sine=0.5)

    (ring, *_) = find_rings(seen_from_the_side(range(11)), lean)

    assert len(ring.numbers) == 11
    assert ring.pivot == pytest.approx(PIVOT[0], abs=0.01)
    assert ring.rms_deg < 0.2
    assert ring.value(-135 + 27 * 7.3) == pytest.approx(7.3, abs=0.02)


def test_needle_says_where_few_numbers_leave_the_pivot_open() -> None:
    numbers = seen_from_the_side([0, 5, 10], step_deg=135.0)
    line = Sighting((float(PIVOT[0, 0]), float(PIVOT[0, 1])), (0.3, 1.0))

    ring = fit_ring(numbers, Lean((0.0, 1.0), sine=0.5), line)

    assert abs(float(line.distance(np.array([ring.pivot]))[0])) < 0.01


@pytest.mark.parametrize(
    ("read", "right"),
    [
        ([400, 608, 800, 1000, 1200], [400, 600, 800, 1000, 1200]),
        ([0, 22, 40, 60, 80], [0, 20, 40, 60, 80]),
        ([0, 0.25, 0.5, 0.75, 1], [0, 0.25, 0.5, 0.75, 1]),
        ([0, 5, 7, 15, 20], [0, 5, 15, 20]),
        ([1, 3, 10], [1, 3, 10]),
    ],
)
def test_misread_number_is_put_right_by_its_neighbours(
    read: list[float], right: list[float]
) -> None:
    numbers = stepped([Number(value, 0.0, 0.0, 1.0) for value in read])

    assert [number.value for number in numbers] == pytest.approx(right)


def test_step_of_a_scale_whose_numbers_were_not_all_read() -> None:
    assert printed_step([0, 4, 8, 20]) == 4
    assert printed_step([0, 4, 9]) == 0


def oblique(image: ImageRGB, tilt_deg: float) -> tuple[ImageRGB, Floats]:
    """The picture as a camera sees it that stands to the left, and its 3x3 map."""
    side = float(image.shape[0])
    sin, cos = math.sin(math.radians(tilt_deg)), math.cos(math.radians(tilt_deg))
    corners = np.array([(0.0, 0.0), (side, 0.0), (side, side), (0.0, side)])
    away = corners / side - 0.5
    depth = 1.6 + sin * away[:, :1]
    seen = side * (0.5 + 1.6 * away * (cos, 1.0) / depth)
    matrix = cv2.getPerspectiveTransform(np.float32(corners), np.float32(seen))
    turned = cv2.warpPerspective(image, matrix, (SIDE_PX, SIDE_PX), borderMode=1)
    return np.asarray(turned, np.uint8), np.asarray(matrix, np.float64)


def reader_of(matrix: Floats, image: ImageRGB) -> object:
    """An OCR that knows where `plain_gauge` prints, through any of the reader's own views."""
    rim = max(find_dials(image), key=lambda dial: dial.score)
    middle = SIDE_PX / 2

    def read(flat: ImageRGB) -> list[Text]:
        if flat.shape[0] != flat.shape[1]:
            return []
        texts = []
        for value in range(0, 11, 2):
            turn = math.radians(-135 + 27 * value)
            place = (
                middle + NUMBER_RADIUS * math.sin(turn),
                middle - NUMBER_RADIUS * math.cos(turn),
            )
            seen = cv2.perspectiveTransform(np.array([[place]]), matrix)[0, 0]
            x, y = rim.to_unit(float(seen[0]), float(seen[1]))
            side = flat.shape[0] - 1
            texts.append(
                Text(str(value), *(side * (v / FLAT_REACH + 1) / 2 for v in (x, y)), 20.0, 1.0)
            )
        return texts

    return read


@pytest.mark.parametrize("tilt_deg", [0.0, 20.0, 35.0])
@pytest.mark.parametrize("value", [1.3, 8.6])
def test_oblique_gauge_is_read_within_half_a_percent(tilt_deg: float, value: float) -> None:
    image, matrix = oblique(plain_gauge(-135 + 27 * value, side_px=SIDE_PX), tilt_deg)

    reading = read_gauges(image, read_text=reader_of(matrix, image))[0]  # type: ignore[arg-type]

    assert reading.value == pytest.approx(value, abs=0.05)


def test_model_that_sees_the_same_needle_makes_a_reading_surer() -> None:
    image, matrix = oblique(plain_gauge(0.0, side_px=SIDE_PX), 20.0)
    read = reader_of(matrix, image)
    alone = read_gauges(image, read_text=read)[0]  # type: ignore[arg-type]
    assert alone.geometry is not None
    assert alone.geometry.needle_tip is not None

    hint = DialHint(alone.geometry.center, alone.geometry.needle_tip, told_by="told", trust=0.5)
    sure = read_gauges(image, read_text=read, hints=[hint])[0]  # type: ignore[arg-type]
    x, y = alone.geometry.center
    elsewhere = DialHint((x, y), (x + 90.0, y), told_by="told", trust=0.5)
    same = read_gauges(image, read_text=read, hints=[elsewhere])[0]  # type: ignore[arg-type]

    assert sure.confidence > alone.confidence
    assert sure.value == alone.value == same.value
    assert same.confidence == alone.confidence
    assert [vote.method for vote in same.votes] == ["ocr_scale", "told"]
