"""Chained register dials: each shows one digit, and the next finer one says where between two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from molmo_node.instruments.dial import Dial
from molmo_node.instruments.pick import Pick, pick_needle
from molmo_node.instruments.pixels import ImageRGB
from molmo_node.instruments.polar import unroll
from molmo_node.instruments.profile import Profile, Register
from molmo_node.instruments.registration import Registration
from molmo_node.messages import GaugeReading, Geometry, Vote

DIGIT_SIGMA = 0.1
MOST_DISAGREEMENT = 0.35
"""Digits by which a dial may differ from what the finer dials say before it is refused."""


@dataclass(frozen=True)
class _Turn:
    register: Register
    dial: Dial
    digits: float
    pick: Pick


def read_registers(image: ImageRGB, profile: Profile, found: Registration) -> GaugeReading:
    """The total of a chain; refused with `no_needle` or `methods_disagree`."""
    turns = [_read_one(image, register, found) for register in profile.registers]
    seen = [turn for turn in turns if turn is not None]
    if len(seen) < len(turns):
        return GaugeReading(
            value=None, unit=profile.unit, status="refused", method="profile",
            reason="no_needle", name=profile.name,
        )  # fmt: skip
    total, worst = carry([(turn.digits, turn.register.factor) for turn in seen])
    is_sure = worst <= MOST_DISAGREEMENT
    confidence = min(turn.pick.clearness for turn in seen) * (1.0 - worst)
    return GaugeReading(
        value=total if is_sure else None,
        unit=profile.unit,
        min=0.0,
        max=10.0 * max(turn.register.factor for turn in seen),
        sigma=DIGIT_SIGMA * min(turn.register.factor for turn in seen),
        confidence=confidence,
        status="ok" if is_sure else "refused",
        method="profile",
        reason=None if is_sure else "methods_disagree",
        name=profile.name,
        alternative=None if is_sure else total,
        votes=tuple(_vote(turn) for turn in seen),
        geometry=_geometry(seen, found),
    )


def carry(turns: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Resolve a chain of dials into one number.

    A dial between 4 and 5 is near 5 because the finer dial is near 9: so each dial's digit is
    the one that leaves the fraction which the finer dials show.

    Args:
        turns: (digits 0..10 that the dial shows, what one digit is worth), in any order.

    Returns:
        The total, and the worst disagreement in digits, 0..0.5.
    """
    ordered = sorted(turns, key=lambda turn: turn[1])
    digits, factor = ordered[0]
    total, worst = (digits % 10.0) * factor, 0.0
    for digits, factor in ordered[1:]:
        fraction = total / factor
        whole = round(digits - fraction)
        worst = max(worst, abs(digits - fraction - whole))
        total += (whole % 10) * factor
    return total, worst


def _read_one(image: ImageRGB, register: Register, found: Registration) -> _Turn | None:
    dial = register.dial.moved(found.affine)
    scale = register.scale
    pick = pick_needle(image, unroll(image, dial), dial, scale)
    if pick is None:
        return None
    digits = (scale.value(pick.needle.angle_deg) + register.offset) % 10.0
    return _Turn(register, dial, digits, pick)


def _vote(turn: _Turn) -> Vote:
    return Vote(
        method=f"register ×{turn.register.factor:g}",
        value=turn.digits,
        confidence=turn.pick.clearness,
    )


def _geometry(turns: Sequence[_Turn], found: Registration) -> Geometry:
    return Geometry(
        center=turns[0].dial.center,
        hands_deg=tuple(turn.pick.needle.angle_deg for turn in turns),
        registration_rms_px=found.rms_px,
        registration_inliers=found.inliers,
    )
