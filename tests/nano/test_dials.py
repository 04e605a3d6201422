"""Key points to times and fractions: exact on exact points, also tilted and rolled."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molmo_node.sim.scene import make_scene

pytestmark = pytest.mark.model
dials = pytest.importorskip("molmo_node.models.nano.dials")


def at(angle_deg: float, radius: float = 100.0) -> tuple[float, float]:
    angle = math.radians(angle_deg)
    return 200 + radius * math.sin(angle), 150 - radius * math.cos(angle)


def clock_keys(hour: float, minute: float, hour_error_deg: float = 0.0) -> np.ndarray:
    hour_deg = (hour % 12 + minute / 60) * 30 + hour_error_deg
    return np.array([(200, 150), at(0), at(90), at(minute * 6, 80), at(hour_deg, 50)])


@given(st.integers(0, 11), st.integers(0, 59))
def test_every_minute_of_twelve_hours_is_read(hour, minute):
    assert dials.clock_time(clock_keys(hour, minute))[:2] == (hour, minute)


@given(st.integers(0, 11), st.integers(0, 59), st.floats(-12, 12))
def test_an_inexact_hour_hand_is_made_consistent_with_the_minute(hour, minute, error_deg):
    found = dials.clock_time(clock_keys(hour, minute, error_deg))

    assert found[:2] == (hour, minute)
    assert found[2] == pytest.approx(abs(error_deg), abs=0.01)


@given(st.floats(-180, 180), st.floats(0.51, 1.0), st.integers(0, 11), st.integers(0, 59))
def test_roll_and_squeeze_do_not_change_the_time(roll_deg, squeeze, hour, minute):
    roll = math.radians(roll_deg)
    turn = np.array([(math.cos(roll), -math.sin(roll)), (math.sin(roll), math.cos(roll))])
    matrix = np.diag((1.0, squeeze)) @ turn

    assert dials.clock_time(clock_keys(hour, minute) @ matrix.T)[:2] == (hour, minute)


def test_points_in_a_line_make_no_dial():
    keys = np.array([(0, 0), (0, -50), (0, 50), (10, 10), (20, 20)], float)

    assert dials.clock_time(keys) is None
    assert dials.gauge_fraction(np.zeros((5, 2))) is None


def test_points_of_two_dials_make_none():
    far = clock_keys(10, 8)
    far[4] = (900, 150)
    uneven = gauge_keys(0.3)
    uneven[2] = (200, -400)

    assert dials.clock_time(far) is None
    assert dials.gauge_fraction(uneven) is None


def gauge_keys(fraction: float, start_deg: float = -135, sweep_deg: float = 270) -> np.ndarray:
    marks = [at(start_deg + sweep_deg * part) for part in (0, 0.5, 1)]
    return np.array([(200, 150), *marks, at(start_deg + sweep_deg * fraction, 70)])


@given(st.floats(0, 1), st.sampled_from((180, 240, 270, 300)), st.floats(-60, 60))
def test_every_fraction_of_every_sweep_is_read(fraction, sweep_deg, turn_deg):
    keys = gauge_keys(fraction, -sweep_deg / 2 + turn_deg, sweep_deg)

    assert dials.gauge_fraction(keys) == pytest.approx(fraction, abs=1e-6)


def test_a_needle_below_the_first_mark_reads_zero_and_past_the_last_one():
    assert dials.gauge_fraction(gauge_keys(-0.05)) == 0
    assert dials.gauge_fraction(gauge_keys(1.05)) == 1


def test_drawn_clocks_true_key_points_read_back_to_their_time():
    for seed in range(60):
        clock = make_scene(seed, "clock", 168, 168).clocks[0]
        hour, minute, _ = dials.clock_time(clock.dial.keys_xy.astype(float))
        apart = abs(hour * 60 + minute - clock.time.hour * 60 - clock.time.minute) % 720

        assert min(apart, 720 - apart) <= 1, seed


def test_drawn_gauges_true_key_points_read_back_to_their_fraction():
    errors = []
    for seed in range(80):
        gauge = make_scene(seed, "gauge", 168, 168).gauges[0]
        fraction = dials.gauge_fraction(gauge.dial.keys_xy.astype(float))
        error = abs(fraction - gauge.fraction)
        errors.append(min(error, 1 - error) if gauge.scale.is_register else error)

    assert np.quantile(errors, 0.9) < 0.01  # what is left is perspective
    assert max(errors) < 0.05


def test_a_register_dials_scale_is_a_whole_turn():
    keys = gauge_keys(0.7, 0, 360)

    assert dials.gauge_fraction(keys) == pytest.approx(0.7, abs=1e-6)
