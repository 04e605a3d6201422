from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from molmo_node.instruments import read_gauges
from molmo_node.instruments.pixels import ImageRGB
from molmo_node.instruments.printed import Number
from molmo_node.instruments.ring_search import find_rings
from molmo_node.instruments.texts import Text, number_in, unit_of_ring, units_in
from tests.instruments.pictures import plain_gauge


def numbers_on_a_ring(
    values: Sequence[float], radius: float = 0.7, start_deg: float = -135.0, step_deg: float = 54.0
) -> list[Number]:
    return [
        Number(
            value,
            radius * math.sin(math.radians(start_deg + step_deg * index)),
            -radius * math.cos(math.radians(start_deg + step_deg * index)),
            1.0,
        )
        for index, value in enumerate(values)
    ]


def text_at(text: str, x: float = 0.0, y: float = 0.0, score: float = 1.0) -> Text:
    return Text(text, x, y, 20.0, score)


@pytest.mark.parametrize(
    ("text", "number"),
    [("0.4", 0.4), ("-30", -30.0), ("1,6", 1.6), ("O", 0.0), ("·100", 100.0), ("–1", -1.0)],
)
def test_numbers_are_read_as_printed(text: str, number: float) -> None:
    assert number_in(text_at(text)) == number


@pytest.mark.parametrize("text", ["CL1.5", "001", "", "1.2.3", "MPa", "123456"])
def test_what_is_no_scale_number_is_left_out(text: str) -> None:
    assert number_in(text_at(text)) is None


def test_longer_unit_names_are_not_taken_for_shorter_ones() -> None:
    assert units_in([text_at("mbar"), text_at("kg/cm²"), text_at("PSI")]) == (
        "mbar",
        "kg/cm²",
        "psi",
    )


def test_unit_of_a_ring_is_found_by_its_ratio_to_the_other_ring() -> None:
    assert unit_of_ring(("MPa", "bar"), 0, 1, 10) == "MPa"
    assert unit_of_ring(("MPa", "bar"), 0, 10, 1) == "bar"
    assert unit_of_ring(("MPa", "bar"), 0, 1, None) == ""
    assert unit_of_ring(("psi",), 0, 100, None) == "psi"


def test_ring_is_found_among_stray_numbers() -> None:
    stray = [Number(1.5, 0.1, 0.45, 0.9), Number(7.0, 0.6, 0.5, 0.9)]

    ring = find_rings([*numbers_on_a_ring([0, 2, 4, 6, 8, 10]), *stray])[0]

    assert [number.value for number in ring.numbers] == [0, 2, 4, 6, 8, 10]
    assert ring.value(0.0) == pytest.approx(5.0, abs=0.05)
    assert ring.rms_deg < 0.5


def test_ring_that_rises_the_other_way_round_is_found() -> None:
    ring = find_rings(numbers_on_a_ring([10, 8, 6, 4, 2, 0]))[0]

    assert ring.units_per_deg < 0
    assert ring.value(-135.0) == pytest.approx(10.0, abs=0.05)


def test_two_rings_are_told_apart() -> None:
    inner = numbers_on_a_ring([0, 20, 40, 60, 80], radius=0.45, step_deg=60.0)

    rings = find_rings([*numbers_on_a_ring([0, 2, 4, 6, 8, 10]), *inner])

    assert [ring.high for ring in rings] == [10, 80]


def test_hours_of_a_clock_are_no_gauge() -> None:
    hours = numbers_on_a_ring([7, 8, 9, 10, 11], start_deg=210.0, step_deg=30.0)

    assert find_rings(hours)[0].is_clock()
    assert not find_rings(numbers_on_a_ring([0, 2, 4, 6, 8, 10]))[0].is_clock()


def test_upright_gauge_of_thirty_degree_steps_is_no_clock() -> None:
    ring = find_rings(numbers_on_a_ring([2, 4, 6, 8, 10], start_deg=-90.0, step_deg=60.0))[0]

    assert ring.is_clock(up_deg=None)
    assert not ring.is_clock(up_deg=0.0)


def test_two_numbers_are_no_scale() -> None:
    assert find_rings(numbers_on_a_ring([0, 2])) == []


def printed(image: ImageRGB) -> list[Text]:
    """What an OCR finds on `plain_gauge`: its numbers where they are drawn on the flat dial."""
    side = image.shape[0]
    # the flattened dial reaches 1.1 bezel radii, and numbers stand at 0.66 of the face's radius
    radius = 0.66 / 1.08 / 1.1
    texts = []
    for value in range(0, 11, 2):
        turn = math.radians(-135 + 27 * value)
        x, y = 0.5 + radius / 2 * math.sin(turn), 0.5 - radius / 2 * math.cos(turn)
        texts.append(text_at(str(value), x * side, y * side))
    return [*texts, text_at("bar", 0.5 * side, 0.7 * side)]


@pytest.mark.parametrize("value", [1.0, 4.2, 8.8])
def test_gauge_is_read_from_its_numbers(value: float) -> None:
    reading = read_gauges(plain_gauge(-135 + 27 * value, side_px=480), read_text=printed)[0]

    assert reading.value == pytest.approx(value, abs=0.1)
    assert reading.unit == "bar"
    assert reading.method == "ocr_scale"


def test_gauge_without_legible_numbers_is_refused() -> None:
    readings = read_gauges(plain_gauge(0.0), read_text=lambda image: [])

    assert [reading.value for reading in readings] == [None]
    assert readings[0].reason == "scale_unread"


def test_wall_is_no_gauge() -> None:
    reading = read_gauges(np.full((240, 240, 3), 190, np.uint8), read_text=lambda image: [])[0]

    assert reading.value is None
    assert reading.reason == "no_dial"
