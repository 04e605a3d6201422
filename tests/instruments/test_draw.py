from __future__ import annotations

import numpy as np
import pytest

from molmo_node.errors import NoAnswer
from molmo_node.instruments import Profile, read_gauge
from molmo_node.instruments.draw import NEEDLE, caption, draw_reading
from molmo_node.instruments.propose import propose_profile, try_profile
from molmo_node.messages import ClockReading, GaugeReading
from tests.instruments.pictures import plain_gauge, point_at
from tests.instruments.test_uncalibrated import printed

CENTER = (160.0, 160.0)
MARKS = [(value, *point_at(CENTER, -135 + 27 * value, 109.0)) for value in (0, 5, 10)]


def test_needle_is_drawn_where_it_was_seen_and_the_picture_is_left_alone() -> None:
    image = plain_gauge(45.0)
    before = image.copy()
    reading = read_gauge(image, Profile.from_marks(image, CENTER, MARKS, "bar"))

    marked = draw_reading(image, reading)

    assert np.array_equal(image, before)
    x, y = (round(number) for number in point_at(CENTER, 45.0, 60.0))
    assert tuple(marked[y, x]) == NEEDLE


@pytest.mark.parametrize(
    ("reading", "text"),
    [
        (
            GaugeReading(value=4.213, unit="bar", sigma=0.021, confidence=0.93),
            "4.213 +- 0.021 bar (0.93)",
        ),
        (
            GaugeReading(value=1031.0, unit="kPa", sigma=12.0, confidence=0.9),
            "1031 +- 12 kPa (0.90)",
        ),
        (GaugeReading(value=None, reason="glare", name="boiler"), "boiler: no value: glare"),
        (ClockReading(hour=0, minute=8, second=5, confidence=0.9), "12:08:05 (0.90)"),
        (ClockReading(hour=None, reason="no_dial"), "no time: no_dial"),
    ],
)
def test_caption_says_value_or_reason(reading: GaugeReading | ClockReading, text: str) -> None:
    assert caption(reading) == text


def test_proposed_profile_reads_its_own_picture() -> None:
    image = plain_gauge(-135 + 27 * 3.3, side_px=480)

    profile, seen = propose_profile(image, name="plain", read_text=printed)

    assert seen.value == pytest.approx(3.3, abs=0.1)
    assert profile.unit == "bar"
    assert read_gauge(image, profile).value == pytest.approx(3.3, abs=0.1)


def test_ten_trials_show_a_small_spread_for_a_good_profile() -> None:
    image = plain_gauge(45.0)

    trial = try_profile(image, Profile.from_marks(image, CENTER, MARKS, "bar"))

    assert len(trial.readings) == 10
    assert trial.refused == 0
    assert trial.spread is not None
    assert trial.spread < 0.15


def test_picture_without_a_scale_is_no_proposal() -> None:
    with pytest.raises(NoAnswer, match="no scale"):
        propose_profile(np.full((200, 200, 3), 180, np.uint8), read_text=lambda image: [])
