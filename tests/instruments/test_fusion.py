from __future__ import annotations

import numpy as np
import pytest

from molmo_node.instruments.from_points import read_pointed_clock, read_pointed_gauge
from molmo_node.instruments.fusion import fuse_clocks, fuse_gauges
from molmo_node.instruments.hands import minutes_apart
from molmo_node.messages import ClockReading, GaugeReading, Vote
from tests.instruments.pictures import plain_gauge, point_at
from tools.dial_renderer import draw_clock

CENTER = (160.0, 160.0)
MARKS = [(value, *point_at(CENTER, -135 + 27 * value, 109.0)) for value in (0, 5, 10)]


def told(value: float | None, *, sigma: float = 0.05, confidence: float = 0.7) -> GaugeReading:
    return GaugeReading(
        value=value, unit="bar", min=0, max=10, sigma=sigma, confidence=confidence,
        method="profile", reason=None if value is not None else "no_needle",
    )  # fmt: skip


def test_methods_that_agree_make_the_value_surer() -> None:
    fused = fuse_gauges([told(5.0), told(5.1)])

    assert fused.value == pytest.approx(5.05)
    assert fused.confidence == pytest.approx(0.91)
    assert fused.sigma == pytest.approx(0.05 / 2**0.5)
    assert len(fused.votes) == 2


def test_sharper_method_weighs_more() -> None:
    assert fuse_gauges([told(5.0, sigma=0.01), told(5.2, sigma=0.1)]).value == pytest.approx(
        5.002, abs=1e-3
    )


def test_methods_that_disagree_are_refused_with_both_values() -> None:
    fused = fuse_gauges([told(5.0), told(8.0)])

    assert fused.value is None
    assert fused.reason == "methods_disagree"
    assert fused.alternative == 8.0
    assert {vote.value for vote in fused.votes} == {5.0, 8.0}


def test_method_that_refused_only_votes() -> None:
    fused = fuse_gauges([told(None), told(8.0)])

    assert fused.value == 8.0
    assert len(fused.votes) == 2


def test_clock_that_two_read_alike_is_surer() -> None:
    hands = ClockReading(hour=10, minute=8, confidence=0.6)

    fused = fuse_clocks(hands, (10, 9, None), "molmo", 0.6)

    assert (fused.hour, fused.minute) == (10, 8)
    assert fused.confidence == pytest.approx(0.84)


def test_swapped_hands_are_caught_by_the_second_opinion() -> None:
    fused = fuse_clocks(
        ClockReading(hour=1, minute=50, confidence=0.9), (10, 9, None), "molmo", 0.6
    )

    assert fused.hour is None
    assert fused.reason == "methods_disagree"
    assert fused.alternative == "10:09"


def test_trusted_model_stands_alone_as_doubtful() -> None:
    refused = ClockReading(hour=None, reason="no_dial", status="refused")

    assert fuse_clocks(refused, (0, 5, None), "molmo", 0.7).status == "doubtful"
    assert fuse_clocks(refused, (0, 5, None), "molmo", 0.3).hour is None
    assert fuse_clocks(refused, None, "molmo", 0.9) is refused


def test_model_settles_a_time_that_the_hands_were_not_sure_of() -> None:
    vote = Vote(method="hands", value=609.3, confidence=0.2, reason="low_confidence")
    unsure = ClockReading(
        hour=None, status="refused", reason="low_confidence", confidence=0.2, votes=(vote,),
        alternative="1:50",
    )  # fmt: skip

    settled = fuse_clocks(unsure, (10, 10, None), "molmo", 0.4)
    unsettled = fuse_clocks(unsure, (1, 50, None), "molmo", 0.4)

    assert (settled.hour, settled.minute, settled.status) == (10, 9, "ok")
    assert settled.confidence == pytest.approx(0.7)
    assert settled.reason is None
    assert unsettled.hour is None


@pytest.mark.parametrize("off_deg", [-8.0, 0.0, 8.0])
def test_pointed_tip_is_snapped_to_the_needle(off_deg: float) -> None:
    image = plain_gauge(-135 + 27 * 6.2)
    tip = point_at(CENTER, -135 + 27 * 6.2 + off_deg, 90)

    reading = read_pointed_gauge(image, (CENTER[0] + 1.5, CENTER[1] - 1), tip, MARKS, "bar")

    assert reading.value == pytest.approx(6.2, abs=0.1)
    assert reading.status == "ok"


def test_tip_with_no_needle_near_is_doubtful() -> None:
    reading = read_pointed_gauge(plain_gauge(0), CENTER, point_at(CENTER, 60, 90), MARKS, "bar")

    assert reading.status == "doubtful"


def test_pointed_hands_are_snapped_and_checked_by_their_gears() -> None:
    image, center = draw_clock(np.random.default_rng(4), 200)
    tips = {"hour": point_at(center, 103, 90), "minute": point_at(center, 117, 140)}

    reading = read_pointed_clock(image, center, tips)
    swapped = read_pointed_clock(image, center, {"hour": tips["minute"], "minute": tips["hour"]})

    assert reading.hour is not None
    assert minutes_apart(reading.hour * 60 + (reading.minute or 0), 200) <= 1
    assert swapped.hour is None
    assert swapped.reason == "hands_disagree"
