from __future__ import annotations

import pytest

from molmo_node.errors import ConfigError
from molmo_node.instruments.scale import Scale


def test_value_lies_between_marks_in_proportion() -> None:
    scale = Scale.from_angles([(0, 225), (5, 0), (10, 135)])

    assert scale.value(292.5) == pytest.approx(2.5)
    assert scale.sweep_deg == pytest.approx(270)


def test_uneven_scale_is_followed_mark_by_mark() -> None:
    scale = Scale.from_angles([(0, 270), (1, 300), (4, 0), (10, 90)])

    assert scale.value(285) == pytest.approx(0.5)
    assert scale.value(45) == pytest.approx(7.0)


def test_values_that_rise_counterclockwise_are_found_from_three_marks() -> None:
    scale = Scale.from_angles([(0, 135), (5, 0), (10, 225)])

    assert scale.direction == "counterclockwise"
    assert scale.value(67.5) == pytest.approx(2.5)


def test_needle_on_the_stop_pin_is_a_little_below_the_lowest_mark() -> None:
    scale = Scale.from_angles([(0, 225), (10, 135)])

    assert scale.value(220) == pytest.approx(-5 / 27)
    assert scale.overshoot_deg(220) == pytest.approx(5)
    assert scale.overshoot_deg(180) == pytest.approx(45)


def test_printed_ends_may_lie_beyond_the_marks() -> None:
    scale = Scale.from_angles([(40, 278), (100, 0)], low=0, high=200)

    assert scale.overshoot_deg(scale.angle_deg(180)) == 0
    assert scale.value(scale.angle_deg(180)) == pytest.approx(180)


def test_scale_that_wraps_has_no_end() -> None:
    scale = Scale.from_angles(
        [(0, 73.5), (2.5, 163.5), (5, 253.5), (7.5, 343.5)], low=0, high=10, wraps=True
    )

    assert scale.value(73.5 - 3.6) == pytest.approx(9.9)
    assert scale.overshoot_deg(70) == 0


@pytest.mark.parametrize("value", [0.0, 0.3, 2.5, 9.99, 10.0])
def test_angle_of_a_value_reads_as_that_value(value: float) -> None:
    scale = Scale.from_angles([(0, 225), (4, 350), (10, 135)])

    assert scale.value(scale.angle_deg(value)) == pytest.approx(value)


@pytest.mark.parametrize("marks", [[], [(1, 10)], [(1, 10), (1, 90)], [(0, 0), (1, 0.1)]])
def test_marks_that_are_no_scale_are_refused(marks: list[tuple[float, float]]) -> None:
    with pytest.raises(ConfigError, match="marks"):
        Scale.from_angles(marks)
