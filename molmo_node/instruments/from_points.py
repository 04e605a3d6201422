"""With a model's eyes: its points say what is what, pixels say exactly where.

A model is asked to point at the dial's centre, the needle's tip and each numbered mark, or at
the hands of a clock. A point is a few pixels off; the straight thing next to it is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from molmo_node.instruments.angles import apart_deg, unit_vector
from molmo_node.instruments.dial import Dial
from molmo_node.instruments.hands import geared
from molmo_node.instruments.needle import Needle, find_needles
from molmo_node.instruments.pixels import ImageRGB
from molmo_node.instruments.polar import PolarView, unroll
from molmo_node.instruments.profile import MARK_TO_RIM
from molmo_node.instruments.scale import Scale
from molmo_node.messages import ClockReading, GaugeReading, Geometry, Vote

PointPx = tuple[float, float]

SNAP_DEG = 12.0
POINT_SIGMA_PX = 4.0
SNAPPED_CONFIDENCE, LOOSE_CONFIDENCE = 0.8, 0.4
BEYOND_ENDS_DEG = 15.0
MOST_GEAR_DEG = 7.0


def read_pointed_gauge(
    image: ImageRGB,
    center: PointPx,
    tip: PointPx,
    marks: Sequence[tuple[float, float, float]],
    unit: str = "",
) -> GaugeReading:
    """Read a gauge from a model's points.

    Args:
        image: ``(H, W, 3) uint8, rgb8``.
        center, tip: the pivot and the needle's tip as pointed at, in pixels.
        marks: two or more (value, x_px, y_px).

    Returns:
        The value at the needle that pixels show next to the pointed tip. With no such needle
        the pointed tip itself is used, at half the confidence and as `doubtful`.

    Raises:
        ConfigError: marks that cannot be a scale.
    """
    reach_px = sum(math.dist(center, mark[1:]) for mark in marks) / max(1, len(marks))
    dial = Dial.circle(*center, reach_px * MARK_TO_RIM)
    scale = Scale.from_angles([(value, dial.angle_deg(x, y)) for value, x, y in marks])
    pointed_deg = dial.angle_deg(*tip)
    needle = _snapped(unroll(image, dial), pointed_deg)
    if needle is None:
        return _gauge_reading(dial, scale, _loose(dial, tip), marks, unit, is_snapped=False)
    return _gauge_reading(dial, scale, needle, marks, unit, is_snapped=True)


def _gauge_reading(
    dial: Dial,
    scale: Scale,
    needle: Needle,
    marks: Sequence[tuple[float, float, float]],
    unit: str,
    *,
    is_snapped: bool,
) -> GaugeReading:
    value = scale.value(needle.angle_deg)
    is_outside = scale.overshoot_deg(needle.angle_deg) > BEYOND_ENDS_DEG
    confidence = SNAPPED_CONFIDENCE if is_snapped else LOOSE_CONFIDENCE
    off_px = POINT_SIGMA_PX / 2 if is_snapped else POINT_SIGMA_PX
    x, y = unit_vector(needle.angle_deg)
    return GaugeReading(
        value=None if is_outside else value,
        unit=unit,
        min=scale.low,
        max=scale.high,
        sigma=abs(scale.units_per_deg) * math.degrees(off_px / dial.radius_px),
        confidence=0.0 if is_outside else confidence,
        status="refused" if is_outside else ("ok" if is_snapped else "doubtful"),
        method="vlm_points",
        reason="outside_sweep" if is_outside else None,
        alternative=value if is_outside else None,
        votes=(Vote(method="vlm_points", value=value, confidence=confidence),),
        geometry=Geometry(
            center=dial.center,
            needle_tip=dial.to_image(needle.length * x, needle.length * y),
            needle_deg=needle.angle_deg,
            sweep_deg=scale.sweep_deg,
            scale_points=tuple(marks),
        ),
    )


def read_pointed_clock(
    image: ImageRGB, center: PointPx, hands: Mapping[str, PointPx], *, roll_deg: float = 0.0
) -> ClockReading:
    """Read a clock from a model's points.

    Args:
        hands: the tips as pointed at, under ``"hour"`` and ``"minute"``.
        roll_deg: where the 12 stands, clockwise from image-up.

    Returns:
        The time, refused with `hands_disagree` where the snapped hands cannot both be true in
        that order.
    """
    reach_px = max(math.dist(center, tip) for tip in hands.values())
    dial = Dial.circle(*center, reach_px * 1.15)
    view = unroll(image, dial)
    snapped = {
        name: _snapped(view, dial.angle_deg(*tip), inner=0.12, shortest=0.28) or _loose(dial, tip)
        for name, tip in hands.items()
    }
    hour, minute = snapped["hour"], snapped["minute"]
    minutes, gear_deg = geared(hour.angle_deg - roll_deg, minute.angle_deg - roll_deg)
    if abs(gear_deg) > MOST_GEAR_DEG:
        return ClockReading(
            hour=None, status="refused", method="vlm_points", reason="hands_disagree",
            gear_deg=gear_deg,
            geometry=Geometry(center=center),
        )  # fmt: skip
    whole = round(minutes) % 720
    return ClockReading(
        hour=whole // 60,
        minute=whole % 60,
        confidence=SNAPPED_CONFIDENCE * (1.0 - abs(gear_deg) / (2 * MOST_GEAR_DEG)),
        method="vlm_points",
        gear_deg=gear_deg,
        votes=(Vote(method="vlm_points", value=minutes, confidence=SNAPPED_CONFIDENCE),),
        geometry=Geometry(center=center, hands_deg=(hour.angle_deg, minute.angle_deg)),
    )


def _snapped(
    view: PolarView, pointed_deg: float, *, inner: float = 0.2, shortest: float = 0.4
) -> Needle | None:
    """The straight thing nearest to where the model pointed, if one is near."""
    needles = find_needles(view, inner=inner, shortest=shortest)
    near = [n for n in needles if apart_deg(n.angle_deg, pointed_deg) < SNAP_DEG]
    return min(near, key=lambda n: apart_deg(n.angle_deg, pointed_deg) - 6 * n.length, default=None)


def _loose(dial: Dial, tip: PointPx) -> Needle:
    """A hand that only the model saw."""
    angle_deg = dial.angle_deg(*tip)
    length = math.dist(dial.center, tip) / dial.radius_px
    return Needle(angle_deg, angle_deg, length, 0.03, 0.0, 2.0)
