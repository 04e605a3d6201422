"""Several opinions on one dial: agreement makes a value surer, disagreement refuses it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from molmo_node.instruments.hands import minutes_apart
from molmo_node.messages import ClockReading, GaugeReading, Vote

SAME_SHARE = 0.03
"""Of full scale: methods that differ by less saw the same."""
SAME_MIN = 2.0
UNSURE_RIGHT = 0.5
"""Of the times that hands alone were refused for, about every second one is right."""
DEFAULT_SIGMA_SHARE = 0.02


def fuse_gauges(readings: Sequence[GaugeReading]) -> GaugeReading:
    """One reading from several methods that read the same dial in the same unit.

    Args:
        readings: one or more, the most trusted method first: its geometry, unit and range are
            kept. A method that refused only casts a vote.

    Returns:
        The mean weighted by 1/sigma² where the methods agree within 3 % of full scale; refused
        with `methods_disagree` and the other value as `alternative` where they do not.
    """
    votes = tuple(vote for reading in readings for vote in _votes(reading))
    told = [reading for reading in readings if reading.value is not None]
    if not told:
        return msgspec.structs.replace(readings[0], votes=votes)
    first = told[0]
    if len(told) == 1:
        return msgspec.structs.replace(first, votes=votes)
    full_scale = _full_scale(first)
    values = [reading.value for reading in told if reading.value is not None]
    if max(values) - min(values) > SAME_SHARE * full_scale:
        return msgspec.structs.replace(
            first, value=None, status="refused", method="fused", reason="methods_disagree",
            confidence=0.0, votes=votes,
            alternative=max(values, key=lambda value: abs(value - values[0])),
        )  # fmt: skip
    weights = [1.0 / _sigma(reading, full_scale) ** 2 for reading in told]
    total = sum(weights)
    return msgspec.structs.replace(
        first,
        value=sum(w * value for w, value in zip(weights, values, strict=True)) / total,
        sigma=1.0 / math.sqrt(total),
        confidence=_either([reading.confidence for reading in told]),
        method="fused",
        votes=votes,
    )


def fuse_clocks(
    hands: ClockReading, told: tuple[int, int, int | None] | None, told_by: str, confidence: float
) -> ClockReading:
    """Hands that were measured and a time that a model said.

    Args:
        told: (hour, minute, second or None), or None where the model declined.
        told_by: the model's name, for the vote.
        confidence: how far the model is trusted on its own, 0..1; at or above 0.5 its time
            stands alone, as doubtful, where no hands were read.

    Returns:
        The hands' time where both agree within two minutes; refused with `methods_disagree`
        and the model's time as `alternative` where they do not. A time that the hands alone
        were not sure of (`low_confidence`) stands where the model says the same.
    """
    if told is None:
        return hands
    minutes = told[0] % 12 * 60.0 + told[1]
    votes = (*hands.votes, Vote(method=told_by, value=minutes, confidence=confidence))
    if hands.hour is None:
        if (settled := _settled(hands, minutes, confidence)) is not None:
            return msgspec.structs.replace(settled, votes=votes)
        if confidence < 0.5:
            return msgspec.structs.replace(hands, votes=votes)
        return msgspec.structs.replace(
            hands, hour=told[0] % 12, minute=told[1], second=told[2], status="doubtful",
            method="vlm_text", confidence=confidence, votes=votes,
        )  # fmt: skip
    if minutes_apart(hands.hour * 60.0 + (hands.minute or 0), minutes) <= SAME_MIN:
        both = _either([hands.confidence, confidence])
        return msgspec.structs.replace(hands, method="fused", confidence=both, votes=votes)
    return msgspec.structs.replace(
        hands, hour=None, minute=None, second=None, status="refused", method="fused",
        reason="methods_disagree", confidence=0.0, votes=votes,
        alternative=f"{told[0] % 12 or 12}:{told[1]:02d}",
    )  # fmt: skip


def _settled(hands: ClockReading, told: float, confidence: float) -> ClockReading | None:
    """The time that hands were not sure of, where a model says the same; None where not."""
    unsure = hands.votes[0].value if hands.votes else None
    if hands.reason != "low_confidence" or unsure is None or minutes_apart(unsure, told) > SAME_MIN:
        return None
    whole = round(unsure) % 720
    return msgspec.structs.replace(
        hands, hour=whole // 60, minute=whole % 60, status="ok", method="fused", reason=None,
        alternative=None, confidence=_either([UNSURE_RIGHT, confidence]),
    )  # fmt: skip


def _votes(reading: GaugeReading) -> tuple[Vote, ...]:
    if reading.votes:
        return reading.votes
    vote = Vote(
        method=reading.method, value=reading.value, confidence=reading.confidence,
        reason=reading.reason,
    )  # fmt: skip
    return (vote,)


def _full_scale(reading: GaugeReading) -> float:
    if reading.min is None or reading.max is None or reading.max <= reading.min:
        return max(abs(reading.value or 0.0), 1e-9)
    return reading.max - reading.min


def _sigma(reading: GaugeReading, full_scale: float) -> float:
    return reading.sigma or DEFAULT_SIGMA_SHARE * full_scale


def _either(confidences: Sequence[float]) -> float:
    """Independent methods: wrong only if all are."""
    return 1.0 - math.prod(1.0 - confidence for confidence in confidences)
