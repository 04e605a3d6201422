from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest

from molmo_node.instruments import clock, read_clocks
from molmo_node.instruments.bars import Hand, draw_bar
from molmo_node.instruments.dial import Dial
from molmo_node.instruments.fit_hands import HandsFit, PivotPrior, fit_hands
from molmo_node.instruments.guess_time import guess_times, tilt_prior
from molmo_node.instruments.hands import geared, minutes_apart
from molmo_node.instruments.likeness import marks_roll_deg
from molmo_node.instruments.numerals import roll_of
from molmo_node.instruments.pixels import Floats, ImageRGB
from molmo_node.instruments.polar import unroll
from molmo_node.instruments.sight import IS_INSIDE, SIDE, Sight, X, look_at
from molmo_node.instruments.texts import Text
from molmo_node.messages import ClockReading
from tests.instruments.pictures import SHARED, load, needs_shared, shared_image, shared_labels
from tools.dial_renderer import draw_clock
from tools.instrument_sets import label_minutes

FRONT = PivotPrior(1.0, 0.0, 0.02, 0.02)
SHOWS_A_CLOCK = {"coco_551780.jpg"}


@pytest.fixture(autouse=True)
def _no_text_reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn dials are read by their hands alone: loading an OCR takes longer than all of them."""
    if "soak" not in request.keywords:
        monkeypatch.setattr(clock, "text_reader", lambda: None)


def minutes_of(reading: ClockReading) -> float:
    assert reading.hour is not None, reading.reason
    assert reading.minute is not None
    return reading.hour * 60 + reading.minute + (reading.second or 0) / 60


def drawn_hands(minutes: float, pivot: tuple[float, float] = (0.0, 0.0)) -> Sight:
    """A sight that shows two hands and nothing else."""
    ink = np.zeros((SIDE, SIDE), np.float32)
    inside = np.zeros_like(X)
    for hand in hands_at(minutes):
        bar = draw_bar(hand.numbers(), np.array(pivot), 0.016)
        inside[bar.cells] = np.maximum(inside[bar.cells], bar.cover)
    ink[IS_INSIDE] = inside
    return Sight(Dial.circle(50, 50, 40), ink, np.ones_like(X))


def hands_at(minutes: float, off_deg: float = 0.0) -> tuple[Hand, Hand]:
    return (
        Hand((minutes / 2 + off_deg) % 360, 0.5, 0.035, 0.03, 0.1),
        Hand(minutes * 6 % 360, 0.8, 0.026, 0.02, 0.1),
    )


def best_fit(sight: Sight) -> HandsFit:
    fits = [
        fit_hands(sight, hands_at(guess.minutes), guess.pivot, FRONT)
        for guess in guess_times(sight, FRONT, 0.0, 4)
    ]
    return min(fits, key=lambda fit: fit.cost)


@pytest.mark.parametrize("minutes", [0, 5, 61, 123, 190, 305, 359, 365, 400, 511, 639, 719])
def test_gears_give_the_time_and_a_swap_contradicts_itself(minutes: int) -> None:
    told, gear_deg = geared(minutes / 2, minutes * 6 % 360)
    _, swapped_deg = geared(minutes * 6 % 360, minutes / 2)

    assert minutes_apart(told, minutes) < 1e-6
    assert abs(gear_deg) < 1e-6
    assert abs(swapped_deg) > 0.1 or minutes == 0


def test_gear_offset_is_signed_and_belongs_to_the_nearest_hour() -> None:
    told, gear_deg = geared(359.0, 30.0)

    assert told == pytest.approx(5.0)
    assert gear_deg == pytest.approx(-3.5)


@pytest.mark.parametrize("number", range(5))
def test_slopes_of_a_bar_are_those_of_its_cover(number: int) -> None:
    numbers, pivot = Hand(37.0, 0.7, 0.05, 0.03, 0.15).numbers(), np.array([0.01, -0.02])

    def cover(shift: float) -> Floats:
        moved = numbers.copy()
        moved[number] += shift
        bar = draw_bar(moved, pivot, 0.03)
        return np.bincount(bar.cells, bar.cover, len(X))

    bar = draw_bar(numbers, pivot, 0.03)
    told = np.bincount(bar.cells, bar.slopes[2 + number], len(X))
    measured = (cover(1e-3) - cover(-1e-3)) / 2e-3
    assert np.corrcoef(told, measured)[0, 1] > 0.98
    assert told.sum() == pytest.approx(measured.sum(), rel=0.05, abs=2.0)


@pytest.mark.parametrize("minutes", [131, 392, 589, 655, 714])
def test_hands_that_hide_each_other_are_told_apart(minutes: int) -> None:
    fit = best_fit(drawn_hands(minutes, (0.03, 0.0)))

    assert minutes_apart(fit.minutes, minutes) < 0.3


def test_pivot_is_found_where_the_hands_cross() -> None:
    fit = best_fit(drawn_hands(250, (0.03, 0.02)))

    assert fit.pivot == pytest.approx((0.03, 0.02), abs=0.01)


def test_hour_hand_that_stands_wrong_is_read_by_the_minute_hand() -> None:
    sight = drawn_hands(200)
    fit = fit_hands(sight, hands_at(200, off_deg=5.0), (0.0, 0.0), FRONT)

    assert fit.minutes == pytest.approx(200, abs=0.2)
    assert abs(fit.gear_deg) < 1.0


@pytest.mark.parametrize("minutes", [131, 200, 392, 655])
@pytest.mark.parametrize("tilt_deg", [0, 35])
def test_drawn_clock_is_read_within_a_minute(minutes: int, tilt_deg: float) -> None:
    image, _ = draw_clock(np.random.default_rng(minutes), minutes, tilt_deg=tilt_deg)

    reading = read_clocks(image)[0]

    assert minutes_apart(minutes_of(reading), minutes) <= 1.0


@pytest.mark.parametrize("roll_deg", [90.0, 20.0])
def test_known_roll_turns_the_dial(roll_deg: float) -> None:
    image, (x_px, y_px) = draw_clock(np.random.default_rng(5), 250.0)
    turn = cv2.getRotationMatrix2D((x_px, y_px), -roll_deg, 1.0)
    turned = np.asarray(cv2.warpAffine(image, turn, image.shape[1::-1]), np.uint8)

    reading = read_clocks(turned, roll_deg=roll_deg)[0]

    assert minutes_apart(minutes_of(reading), 250) <= 1.0


def test_few_degrees_of_roll_are_seen_in_the_hour_marks() -> None:
    image, (x_px, y_px) = draw_clock(np.random.default_rng(5), 250.0)
    turn = cv2.getRotationMatrix2D((x_px, y_px), -9.0, 1.0)
    turned = np.asarray(cv2.warpAffine(image, turn, image.shape[1::-1]), np.uint8)
    view = unroll(turned, clock.find_dials(turned, most=1)[0].recentred(x_px, y_px))

    assert marks_roll_deg(view) == pytest.approx(9.0, abs=1.0)
    assert minutes_apart(minutes_of(read_clocks(turned)[0]), 250) <= 1.0


def numerals(roll_deg: float, hours: list[int]) -> list[Text]:
    turns = [math.radians(30.0 * hour + roll_deg) for hour in hours]
    return [
        Text(str(hour), 0.7 * math.sin(turn), -0.7 * math.cos(turn), 0.1, 0.9)
        for hour, turn in zip(hours, turns, strict=True)
    ]


@pytest.mark.parametrize("roll_deg", [0.0, 90.0, -175.0])
def test_numerals_tell_the_roll(roll_deg: float) -> None:
    texts = [*numerals(roll_deg, [1, 4, 7, 8]), Text("12", 0.5, 0.5, 0.1, 0.9)]

    assert roll_of(texts) == pytest.approx(roll_deg, abs=1e-6)


def test_numerals_that_disagree_tell_no_roll() -> None:
    texts = [*numerals(0.0, [1, 2]), *numerals(90.0, [5]), Text("1966", 0.0, 0.5, 0.2, 0.9)]

    assert roll_of(texts) is None


def test_clock_on_its_side_is_read_by_its_numerals(monkeypatch: pytest.MonkeyPatch) -> None:
    image, (x_px, y_px) = draw_clock(np.random.default_rng(5), 250.0)
    turn = cv2.getRotationMatrix2D((x_px, y_px), -90.0, 1.0)
    on_side = np.asarray(cv2.warpAffine(image, turn, image.shape[1::-1]), np.uint8)
    monkeypatch.setattr(clock, "text_reader", lambda: lambda _: [])
    monkeypatch.setattr(clock, "roll_from_numerals", lambda *_: 90.0)
    monkeypatch.setattr(clock, "LEAST_CONFIDENCE", 2.0)  # nothing is sure: numerals are asked

    reading = read_clocks(on_side)[0]

    assert reading.votes[0].value == pytest.approx(250.0, abs=1.0)


def test_tilted_rim_lets_the_pivot_lie_off_its_middle() -> None:
    prior = tilt_prior((100.0, 82.0, 0.0))

    assert abs(prior.tilt_y) == pytest.approx(1.0)
    assert prior.along > 0.08 > 2 * prior.across


def test_two_clocks_in_one_picture_are_answered_separately() -> None:
    left, right = (
        draw_clock(np.random.default_rng(seed), minutes)[0]
        for seed, minutes in ((8, 100.0), (9, 400.0))
    )

    readings = read_clocks(np.ascontiguousarray(np.hstack([left, right])))

    told = [minutes_of(reading) for reading in readings if reading.hour is not None]
    assert sorted(told) == pytest.approx([100.0, 400.0], abs=1.0)


def test_face_without_hands_gives_no_time() -> None:
    image, center = draw_clock(np.random.default_rng(3), 100.0)
    face = tuple(int(value) for value in image[int(center[1]) + 40, int(center[0]) - 40])
    cv2.circle(image, (int(center[0]), int(center[1])), 130, face, -1)

    assert all(reading.hour is None for reading in read_clocks(image))


def _blank() -> ImageRGB:
    return np.full((300, 300, 3), 200, np.uint8)


def _plate() -> ImageRGB:
    plate = _blank()
    cv2.circle(plate, (150, 150), 110, (120, 90, 60), -1, cv2.LINE_AA)
    cv2.circle(plate, (150, 150), 80, (150, 120, 90), 3, cv2.LINE_AA)
    return plate


def _digital_display() -> ImageRGB:
    display = _blank()
    cv2.rectangle(display, (40, 100), (260, 200), (20, 30, 20), -1)
    cv2.putText(display, "12:45", (60, 170), cv2.FONT_HERSHEY_SIMPLEX, 2.0, (90, 255, 90), 6)
    return display


@pytest.mark.parametrize("image", [_blank(), _plate(), _digital_display()])
def test_picture_without_a_dial_gives_no_time(image: ImageRGB) -> None:
    assert all(reading.hour is None for reading in read_clocks(image))


def test_look_tells_hands_from_a_dark_or_a_light_face() -> None:
    image, center = draw_clock(np.random.default_rng(2), 200.0)
    rim = clock.find_dials(image, most=1)[0].recentred(*center)

    plain, inverted = (
        look_at(np.asarray(each, np.uint8), rim).ink for each in (image, 255 - image)
    )

    assert np.abs(plain - inverted).mean() < 0.05


@needs_shared
@pytest.mark.soak
@pytest.mark.timeout(900)
def test_no_shared_clock_is_misread_and_most_are_read() -> None:
    right, refused = 0, 0
    items = [item for item in shared_labels()["items"] if item["kind"] in ("clock", "watch")]
    for item in items:
        reading = _nearest(read_clocks(shared_image(item["file"])), item)
        if reading.hour is None:
            refused += 1
            continue
        assert minutes_apart(minutes_of(reading), label_minutes(item["reading"])) <= 1.5, item
        right += 1

    assert right >= 12
    assert refused <= len(items) // 4


def _nearest(readings: list[ClockReading], item: dict[str, Any]) -> ClockReading:
    return min(
        (reading for reading in readings if reading.geometry),
        key=lambda reading: math.dist(reading.geometry.center, item["centre"]),  # type: ignore[union-attr]
    )


@needs_shared
@pytest.mark.soak
@pytest.mark.timeout(900)
def test_no_scene_without_a_clock_gives_a_time() -> None:
    scenes = sorted((SHARED / "pointing" / "images").iterdir())
    told = {path.name for path in scenes for r in read_clocks(load(path)) if r.hour is not None}

    assert len(scenes) >= 20
    assert told <= SHOWS_A_CLOCK
