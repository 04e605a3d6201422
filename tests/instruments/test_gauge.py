from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from molmo_node.errors import ConfigError
from molmo_node.instruments import Profile, read_gauge
from molmo_node.instruments.pixels import ImageRGB
from tests.instruments.pictures import plain_gauge, point_at

SIDE_PX = 320
CENTER = (SIDE_PX / 2, SIDE_PX / 2)
MARKS = [
    (value, *point_at(CENTER, -135 + 27 * value, SIDE_PX * 0.38 * 0.9)) for value in (0, 5, 10)
]


@pytest.fixture(scope="module")
def profile() -> Profile:
    return Profile.from_marks(plain_gauge(-60), CENTER, MARKS, "bar", name="plain")


def needle_deg(value: float) -> float:
    return -135 + 27 * value


def camera_moved(
    image: ImageRGB, *, turn_deg: float = 0, scale: float = 1, shift_px: float = 0
) -> ImageRGB:
    matrix = cv2.getRotationMatrix2D(CENTER, turn_deg, scale)
    matrix[:, 2] += shift_px
    size = (image.shape[1], image.shape[0])
    return np.asarray(
        cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


@pytest.mark.parametrize("value", [0.0, 0.1, 2.2, 5.0, 7.77, 9.9, 10.0])
def test_needle_is_read_within_half_a_percent(profile: Profile, value: float) -> None:
    reading = read_gauge(plain_gauge(needle_deg(value)), profile)

    assert reading.value == pytest.approx(value, abs=0.05)
    assert reading.unit == "bar"
    assert reading.status == "ok"
    assert reading.sigma is not None
    assert reading.sigma < 0.1


@pytest.mark.parametrize(
    ("turn_deg", "scale", "shift_px"),
    [(0.5, 1, 0), (-4, 1.05, 9), (12, 0.9, -14), (170, 1, 0), (0, 0.6, 20), (90, 0.8, 5)],
)
def test_camera_that_moved_turned_or_zoomed_reads_the_same(
    profile: Profile, turn_deg: float, scale: float, shift_px: float
) -> None:
    frame = camera_moved(
        plain_gauge(needle_deg(7.3)), turn_deg=turn_deg, scale=scale, shift_px=shift_px
    )

    assert read_gauge(frame, profile).value == pytest.approx(7.3, abs=0.06)


@pytest.mark.parametrize("gain", [0.6, 1.4])
def test_light_does_not_move_the_reading(profile: Profile, gain: float) -> None:
    frame = np.clip(plain_gauge(needle_deg(3.1)) * gain, 0, 255).astype(np.uint8)

    assert read_gauge(frame, profile).value == pytest.approx(3.1, abs=0.1)


def test_smaller_frame_of_the_same_scene_reads_the_same(profile: Profile) -> None:
    frame = cv2.resize(
        plain_gauge(needle_deg(3.1)), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA
    )

    assert read_gauge(np.asarray(frame, np.uint8), profile).value == pytest.approx(3.1, abs=0.1)


def test_geometry_names_the_tip_in_pixels_of_the_frame(profile: Profile) -> None:
    reading = read_gauge(plain_gauge(needle_deg(7.3)), profile)

    assert reading.geometry is not None
    assert reading.geometry.needle_tip is not None
    x_px, y_px = reading.geometry.needle_tip
    seen_deg = math.degrees(math.atan2(x_px - CENTER[0], CENTER[1] - y_px))
    assert seen_deg == pytest.approx(needle_deg(7.3), abs=0.5)


@pytest.mark.parametrize("kind", ["black", "white", "noise", "plate"])
def test_frame_without_the_dial_is_refused(profile: Profile, kind: str) -> None:
    frame = np.full((SIDE_PX, SIDE_PX, 3), 0 if kind == "black" else 230, np.uint8)
    if kind == "noise":
        frame = np.random.default_rng(5).integers(0, 255, frame.shape, np.uint8)
    if kind == "plate":
        cv2.circle(frame, (160, 160), 120, (90, 120, 140), -1, cv2.LINE_AA)

    reading = read_gauge(frame, profile)

    assert reading.value is None
    assert reading.status == "refused"
    assert reading.reason in ("registration_lost", "blurred")


def test_needle_below_the_scale_is_refused(profile: Profile) -> None:
    reading = read_gauge(plain_gauge(180), profile)

    assert reading.value is None
    assert reading.reason in ("outside_sweep", "no_needle", "low_confidence")


def test_value_that_cannot_be_true_is_refused_and_named_as_alternative() -> None:
    strict = Profile.from_marks(plain_gauge(-60), CENTER, MARKS, "bar", plausible=(0, 6))

    reading = read_gauge(plain_gauge(needle_deg(8)), strict)

    assert reading.value is None
    assert reading.reason == "outside_range"
    assert reading.alternative == pytest.approx(8, abs=0.05)


def test_burnt_out_glass_is_refused_as_glare(profile: Profile) -> None:
    frame = plain_gauge(needle_deg(8))
    cv2.ellipse(frame, (150, 150), (85, 60), 20, 0, 360, (255, 255, 255), -1, cv2.LINE_AA)

    reading = read_gauge(frame, profile)

    assert reading.value is None
    assert reading.reason == "glare"


def test_masked_sticker_is_not_taken_for_the_needle() -> None:
    corners = [point_at(CENTER, 60, r) for r in (25, 110)]
    square = [
        (corners[0][0], corners[1][1]),
        corners[1],
        (corners[1][0], corners[0][1]),
        corners[0],
    ]
    frame = plain_gauge(needle_deg(2))
    cv2.line(frame, *[(round(x), round(y)) for x, y in corners], (10, 10, 10), 7)
    masked = Profile.from_marks(frame, CENTER, MARKS, "bar", glare=[square])

    assert read_gauge(frame, masked).value == pytest.approx(2, abs=0.05)


def test_white_needle_on_black_face_is_read() -> None:
    picture = plain_gauge(needle_deg(6.4), needle=(240, 240, 240), face=(25, 25, 30))
    dark = Profile.from_marks(picture, CENTER, MARKS, "bar")

    assert read_gauge(picture, dark).value == pytest.approx(6.4, abs=0.05)


def test_center_far_outside_the_picture_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"center: .* far outside the picture"):
        Profile.from_marks(plain_gauge(0), (900, 20), MARKS, "bar")


def panel_meter(angle_deg: float) -> ImageRGB:
    """A quarter-turn meter: thin needle, pivot under a cover and below the picture's edge."""
    image = plain_gauge(0)[:240].copy()
    image[:] = (228, 226, 220)
    pivot = (160.0, 262.0)
    for step in range(21):
        mark_deg = -45 + 90 * step / 20
        inner = 168 if step % 5 == 0 else 176
        ends = [point_at(pivot, mark_deg, reach) for reach in (inner, 186)]
        cv2.line(image, *[(round(x), round(y)) for x, y in ends], (30, 30, 30), 2, cv2.LINE_AA)
        if step % 5 == 0:
            x, y = point_at(pivot, mark_deg, 204)
            cv2.putText(image, str(step * 5), (int(x) - 12, int(y) + 5), 0, 0.45, (30, 30, 30), 1)
    cv2.putText(image, "AMPERES", (118, 150), 0, 0.5, (30, 30, 30), 1, cv2.LINE_AA)
    start, end = point_at(pivot, angle_deg, 20), point_at(pivot, angle_deg, 175)
    ends = [(round(16 * x), round(16 * y)) for x, y in (start, end)]
    cv2.line(image, *ends, (20, 20, 20), 2, cv2.LINE_AA, 4)
    cv2.rectangle(image, (0, 185), (320, 240), (25, 25, 28), -1)
    return image


@pytest.mark.parametrize("value", [3.0, 41.0, 66.0, 97.0])
def test_panel_meter_with_a_hidden_pivot_is_read(value: float) -> None:
    marks = [(v, *point_at((160, 262), -45 + 0.9 * v, 180)) for v in (0, 50, 100)]
    profile = Profile.from_marks(panel_meter(0), (160, 262), marks, "A")

    reading = read_gauge(panel_meter(-45 + 0.9 * value), profile)

    assert reading.value == pytest.approx(value, abs=1.0)


def test_one_mark_is_not_enough() -> None:
    with pytest.raises(ConfigError, match="marks"):
        Profile.from_marks(plain_gauge(0), CENTER, MARKS[:1], "bar")
