"""A dial's key points are where the drawing has them, and read back to its truth."""

from __future__ import annotations

import math
import random

import cv2
import numpy as np
import pytest

from molmo_node.sim.clocks import DialTime, draw_clock, hand_angles_rad
from molmo_node.sim.dial_plane import DialPlane, circle, seen_plane
from molmo_node.sim.gauges import GaugeScale, draw_gauge
from molmo_node.sim.scene import make_scene

LEVEL = DialPlane(np.array([(100.0, 0, 168), (0, 100.0, 168), (0, 0, 1)]))


def angle_of(point, centre) -> float:
    """Degrees clockwise from up."""
    return math.degrees(math.atan2(point[0] - centre[0], centre[1] - point[1])) % 360


def test_hands_stand_where_the_time_says():
    hour, minute, second = (math.degrees(a) for a in hand_angles_rad(DialTime(10, 8, 30)))

    assert hour == pytest.approx(304.25)
    assert minute == pytest.approx(51.0)
    assert second == pytest.approx(180.0)


@pytest.mark.parametrize("seed", range(6))
def test_a_level_clocks_key_points_show_its_time(seed):
    image = np.zeros((336, 336, 3), np.uint8)

    dial = draw_clock(random.Random(seed), image, LEVEL, DialTime(4, 30, 0))

    centre, twelve, three, minute, hour = dial.keys_xy
    assert angle_of(twelve, centre) == pytest.approx(0, abs=0.1)
    assert angle_of(three, centre) == pytest.approx(90, abs=0.1)
    assert angle_of(hour, centre) == pytest.approx(135, abs=0.1)
    assert angle_of(minute, centre) == pytest.approx(180, abs=0.1)


@pytest.mark.parametrize("seed", range(40))
def test_a_turned_clock_tells_where_twelve_is(seed):
    """Away from its hands, the face about twelve is not the face about two: it has numerals."""
    face = np.zeros((336, 336, 3), np.uint8)
    draw_clock(random.Random(seed), face, LEVEL, DialTime(6, 32, 32), is_turned=True)
    ring = cv2.warpPolar(face, (100, 360), (168, 168), 100, cv2.WARP_POLAR_LINEAR)[:, 45:85]
    twelve, two = (np.roll(ring, 45 - at, axis=0)[:90].astype(int) for at in (270, 330))

    assert np.percentile(np.abs(twelve - two), 99) > 80


@pytest.mark.parametrize("seed", range(6))
def test_a_gauges_needle_is_drawn_up_to_its_tip(seed):
    scale = GaugeScale(0, 10, 5, "bar", math.radians(-135), math.radians(270))
    still, moved = (np.zeros((336, 336, 3), np.uint8) for _ in range(2))

    draw_gauge(random.Random(seed), still, LEVEL, scale, 0.2)
    dial = draw_gauge(random.Random(seed), moved, LEVEL, scale, 0.7)

    x, y = dial.keys_xy[0] * 0.1 + dial.keys_xy[4] * 0.9
    around = np.s_[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4]
    assert np.abs(moved[around].astype(int) - still[around].astype(int)).max() > 40


@pytest.mark.parametrize("seed", range(8))
def test_a_tilted_plane_keeps_the_centre_and_makes_an_ellipse(seed):
    plane = seen_plane(random.Random(seed), 150, 120, 80, 0.0, 0.5)

    rim = plane.to_pixels(circle(1.0))
    _, axes, _ = cv2.fitEllipse(rim)
    assert plane.to_pixels(np.zeros((1, 2)))[0] == pytest.approx((150, 120), abs=0.01)
    assert axes[0] < axes[1] - 1


def test_a_reading_is_the_needles_share_of_the_scale():
    scene = next(s for s in (make_scene(seed, "gauge", 168, 168) for seed in range(50)) if s.gauges)
    truth = scene.gauges[0]

    share = (truth.value - truth.scale.low) / (truth.scale.high - truth.scale.low)

    assert share == pytest.approx(truth.fraction)
