"""Read a calibrated gauge: register the profile to the frame, find the needle, look it up."""

from __future__ import annotations

import math

import cv2
import numpy as np

from molmo_node.instruments.dial import Dial
from molmo_node.instruments.pick import Pick, pick_needle
from molmo_node.instruments.pixels import ImageRGB, gray_of
from molmo_node.instruments.polar import unroll
from molmo_node.instruments.profile import Profile
from molmo_node.instruments.registers import read_registers
from molmo_node.instruments.registration import Registration
from molmo_node.instruments.scale import Scale
from molmo_node.messages import GaugeReading, Geometry, Reason

OVERSHOOT_DEG = 12.0
"""A needle rests on a stop pin a little below zero, or goes a little beyond full scale."""
PIVOT_SIGMA_PX = 0.7
MARK_SIGMA_PX = 1.0
LEAST_CONFIDENCE = 0.5
GLARE_LEVEL = 250
GLARE_SHARE = 0.25
FEWEST_DARK_POINTS = 20
BLUR_RATIO = 0.12


def read_gauge(image: ImageRGB, profile: Profile) -> GaugeReading:
    """Read one gauge in a frame.

    Args:
        image: ``(H, W, 3) uint8, rgb8``: a frame of the camera that the profile was made with;
            the dial may have moved, turned or changed its size in it.

    Returns:
        A reading with the value in the profile's unit; its value is None, with a reason, where
        the dial was not found (`registration_lost`, `blurred`), is covered by `glare`, shows
        `no_needle`, or where the value cannot be trusted.
    """
    found = profile.reference.find(image)
    if found is None or not found.is_trusted:
        return _refused(profile, _why_lost(image, profile), found, None)
    if profile.registers:
        return read_registers(image, profile, found)
    dial = profile.dial.moved(found.affine)
    if _is_glared(image, profile, dial, found):
        return _refused(profile, "glare", found, dial)
    scale = profile.scale
    ignore = profile.glare_mask(found.affine, image.shape[1], image.shape[0])
    # the dial's own turn must not enter the scale, so the disc keeps the profile's axes
    pick = pick_needle(image, unroll(image, dial, ignore), dial, scale)
    if pick is None:
        return _refused(profile, "no_needle", found, dial)
    return _reading(profile, found, dial, scale, pick)


def _reading(
    profile: Profile, found: Registration, dial: Dial, scale: Scale, pick: Pick
) -> GaugeReading:
    angle_deg = pick.needle.angle_deg
    value = scale.value(angle_deg)
    confidence = _confidence(found, pick)
    reason = _doubt(profile, scale, angle_deg, value, confidence)
    other = None if pick.other is None else scale.value(pick.other.angle_deg)
    return GaugeReading(
        value=None if reason else value,
        unit=profile.unit,
        min=scale.low,
        max=scale.high,
        sigma=_sigma(found, dial, scale, pick),
        confidence=confidence,
        status="refused" if reason else "ok",
        method="profile",
        reason=reason,
        name=profile.name,
        alternative=value if reason else other,
        geometry=_geometry(profile, found, dial, scale, pick),
    )


def _doubt(
    profile: Profile, scale: Scale, angle_deg: float, value: float, confidence: float
) -> Reason | None:
    """Why a value is not to be trusted, or None."""
    if scale.overshoot_deg(angle_deg) > OVERSHOOT_DEG:
        return "outside_sweep"
    if profile.plausible and not profile.plausible[0] <= value <= profile.plausible[1]:
        return "outside_range"
    return "low_confidence" if confidence < LEAST_CONFIDENCE else None


def _confidence(found: Registration, pick: Pick) -> float:
    """0..1: how well the dial fits its patch, how straight the needle is, how clear the choice."""
    fits = np.clip((found.correlation - 0.2) / 0.5, 0.0, 1.0)
    straight = math.exp(-((pick.needle.sigma_deg / 2.0) ** 2))
    return float(fits * straight * pick.clearness)


def _sigma(found: Registration, dial: Dial, scale: Scale, pick: Pick) -> float:
    """One standard deviation in units: needle line, pivot, marks and registration together."""
    radius_px = dial.radius_px
    pivot_px = math.hypot(PIVOT_SIGMA_PX, found.rms_px / math.sqrt(max(1, found.inliers / 4)))
    parts_deg = (
        pick.needle.sigma_deg,
        math.degrees(pivot_px / (radius_px * max(0.3, pick.needle.length))),
        math.degrees(MARK_SIGMA_PX / radius_px),
    )
    return abs(scale.units_per_deg) * math.hypot(*parts_deg)


def _geometry(
    profile: Profile, found: Registration, dial: Dial, scale: Scale, pick: Pick
) -> Geometry:
    angle_rad = math.radians(pick.needle.angle_deg)
    sin, cos = math.sin(angle_rad), -math.cos(angle_rad)
    length = pick.needle.length
    marks = np.array([(mark.x_px, mark.y_px) for mark in profile.marks])
    seen = marks @ found.affine[:, :2].T + found.affine[:, 2]
    long_px, short_px, tilt_deg = dial.axes_px
    return Geometry(
        center=dial.center,
        needle_tip=dial.to_image(length * sin, length * cos),
        needle_tail=dial.to_image(-0.2 * sin, -0.2 * cos),
        needle_deg=pick.needle.angle_deg,
        sweep_deg=scale.sweep_deg,
        ellipse=(*dial.center, long_px, short_px, tilt_deg),
        scale_points=tuple(
            (mark.value, float(x), float(y))
            for mark, (x, y) in zip(profile.marks, seen, strict=True)
        ),
        registration_rms_px=found.rms_px,
        registration_inliers=found.inliers,
    )


def _refused(
    profile: Profile, reason: Reason, found: Registration | None, dial: Dial | None
) -> GaugeReading:
    geometry = None
    if dial is not None and found is not None:
        geometry = Geometry(
            center=dial.center,
            registration_rms_px=found.rms_px,
            registration_inliers=found.inliers,
        )
    return GaugeReading(
        value=None,
        unit=profile.unit,
        min=profile.min,
        max=profile.max,
        status="refused",
        method="profile",
        reason=reason,
        name=profile.name,
        geometry=geometry,
    )


def _why_lost(image: ImageRGB, profile: Profile) -> Reason:
    """A frame far softer than the patch is blurred; else the dial is not there."""
    return (
        "blurred"
        if _sharpness(image) < BLUR_RATIO * _sharpness(profile.patch)
        else "registration_lost"
    )


def _sharpness(image: ImageRGB) -> float:
    """Strength of the strongest fine edges against the picture's contrast."""
    gray = gray_of(image).astype(np.float32)
    edges = np.abs(cv2.Laplacian(gray, cv2.CV_32F))
    return float(np.percentile(edges, 99.0)) / max(4.0, float(gray.std()))


def _is_glared(image: ImageRGB, profile: Profile, dial: Dial, found: Registration) -> bool:
    """Burnt out where the profile's picture shows print: a bright face alone is no glare."""
    places = profile.reference.dark_points @ found.affine[:, :2].T + found.affine[:, 2]
    offsets = np.linalg.solve(dial.matrix, (places - dial.center).T)
    x, y = np.round(places[np.hypot(*offsets) < 1.0]).astype(int).T
    is_seen = (x >= 0) & (y >= 0) & (x < image.shape[1]) & (y < image.shape[0])
    if is_seen.sum() < FEWEST_DARK_POINTS:
        return False
    return float((image[y[is_seen], x[is_seen]].min(axis=1) >= GLARE_LEVEL).mean()) > GLARE_SHARE
