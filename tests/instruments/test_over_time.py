from __future__ import annotations

import random

from molmo_node.instruments.steady import RECOVER_AFTER, SteadyReading
from molmo_node.messages import GaugeReading


def read(value: float | None) -> GaugeReading:
    if value is None:
        return GaugeReading(value=None, status="refused", reason="no_needle")
    return GaugeReading(value=value, unit="bar", min=0, max=10, sigma=0.01, confidence=0.9)


def test_single_slip_does_not_reach_the_report() -> None:
    steady = SteadyReading(window=3)

    reported = [steady.update(read(v), t).value for t, v in enumerate([5.0, 5.1, 9.7, 5.2, 5.1])]

    assert max(value for value in reported if value is not None) < 5.3


def test_change_faster_than_the_limit_is_refused_and_named() -> None:
    steady = SteadyReading(window=1, highest_rate_per_s=0.5)
    steady.update(read(5.0), 0.0)

    reading = steady.update(read(8.0), 1.0)

    assert reading.value is None
    assert reading.reason == "implausible_rate"
    assert reading.alternative == 8.0


def test_value_that_stays_is_believed_after_all() -> None:
    steady = SteadyReading(window=3, highest_rate_per_s=0.5)
    steady.update(read(5.0), 0.0)

    reported = [steady.update(read(8.0), 1.0 + t).value for t in range(RECOVER_AFTER)]

    assert reported == [None] * (RECOVER_AFTER - 1) + [8.0]


def test_wrong_value_that_was_let_in_first_cannot_lock_the_right_ones_out() -> None:
    steady = SteadyReading(window=3, highest_rate_per_s=0.1)
    steady.update(read(9.9), 0.0)

    reported = [steady.update(read(2.0), 1.0 + t).value for t in range(10)]

    assert reported[RECOVER_AFTER - 1 :] == [2.0] * (10 - RECOVER_AFTER + 1)


def test_limit_never_sticks_whatever_came_before() -> None:
    for seed in range(50):
        dice = random.Random(seed)
        steady = SteadyReading(window=5, highest_rate_per_s=0.2)
        for second in range(30):
            steady.update(read(dice.choice([None, dice.uniform(0, 10)])), float(second))

        reported = [steady.update(read(4.0), 30.0 + t).value for t in range(8)]

        assert reported[-1] == 4.0


def test_refused_reading_passes_and_is_never_the_last_good_value() -> None:
    steady = SteadyReading()
    steady.update(read(5.0), 0.0)

    assert steady.update(read(None), 1.0).value is None


def test_old_readings_do_not_hold_the_median_back() -> None:
    steady = SteadyReading(window=3, most_age_s=10)
    for t in range(3):
        steady.update(read(5.0), float(t))

    assert steady.update(read(9.0), 100.0).value == 9.0
