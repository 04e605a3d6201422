"""Angles on a dial: degrees clockwise from image-up, as a person reads a clock."""

from __future__ import annotations

import math


def clockwise_deg(dx_px: float, dy_px: float) -> float:
    """Direction of the vector (x right, y down): 0 is up, 90 is right; in [0, 360)."""
    return math.degrees(math.atan2(dx_px, -dy_px)) % 360.0


def signed_deg(angle_deg: float) -> float:
    """The same direction in [-180, 180)."""
    return (angle_deg + 180.0) % 360.0 - 180.0


def apart_deg(first_deg: float, second_deg: float) -> float:
    """How far two directions are apart, in [0, 180]."""
    return abs(signed_deg(first_deg - second_deg))


def unit_vector(angle_deg: float) -> tuple[float, float]:
    """The direction as (x right, y down), length 1."""
    angle_rad = math.radians(angle_deg)
    return math.sin(angle_rad), -math.cos(angle_rad)
