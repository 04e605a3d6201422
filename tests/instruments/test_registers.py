from __future__ import annotations

import pytest

from molmo_node.instruments.registers import carry


@pytest.mark.parametrize(
    ("digits", "total"),
    [
        ([1.95, 9.4], 19.4),  # the tens stand just short of 2: the units have not come round yet
        ([2.03, 0.1], 20.1),
        ([1.95, 0.1], 20.1),  # a tens dial that lags does not lose ten
        ([9.97, 0.2], 0.2),  # all the way round
        ([0.58, 6.33], 6.33),
    ],
)
def test_carry_follows_the_finer_dial(digits: list[float], total: float) -> None:
    turns = list(zip(digits, (10.0, 1.0), strict=True))

    assert carry(turns)[0] == pytest.approx(total)


def test_dials_that_contradict_each_other_disagree_by_half_a_digit() -> None:
    assert carry([(3.5, 10.0), (0.0, 1.0)])[1] == pytest.approx(0.5)


def test_every_total_is_found_from_exact_dials() -> None:
    for total in range(0, 10_000, 7):
        turns = [(total / factor % 10, float(factor)) for factor in (1000, 100, 10, 1)]

        assert carry(turns) == pytest.approx((total, 0.0), abs=1e-6)
