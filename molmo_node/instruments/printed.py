"""Numbers as they are printed on a scale: where each stands, and what they rise by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

FEWEST = 3
SAME_VALUE, MISREAD = 0.01, 0.2
"""In steps: off by less is the same number, by up to a fifth is it misread in one digit."""


@dataclass(frozen=True)
class Number:
    """A printed number in the plane of the rectified dial; x right, y down, in radii."""

    value: float
    x: float
    y: float
    score: float


def printed_step(values: Sequence[float]) -> float:
    """The largest step of which nearly all numbers are multiples, counted from the first fitting.

    One in five, at least one of four or more, may be misread. 0 where there is no such step.
    """
    ordered = sorted(values)
    most_wrong = max(1, len(ordered) // 5) if len(ordered) > FEWEST else 0
    steps = sorted({round(b - a, 9) for a, b in pairwise(ordered)}, reverse=True)
    for step in steps:
        for base in ordered[: most_wrong + 1]:
            wrong = sum(_off_step(value, base, step) > SAME_VALUE for value in ordered)
            if wrong <= most_wrong:
                return step
    return 0.0


def _off_step(value: float, base: float, step: float) -> float:
    """How far a value is from a multiple of the step, in steps."""
    steps = (value - base) / step
    return abs(steps - round(steps))


def stepped(numbers: Sequence[Number]) -> list[Number]:
    """The numbers with a misread one, 608 among 400, 800 and 1000, put right or left out."""
    step = printed_step([number.value for number in numbers])
    if step <= 0:
        return list(numbers)
    base = max(
        (number.value for number in numbers),
        key=lambda value: sum(_off_step(n.value, value, step) <= SAME_VALUE for n in numbers),
    )
    kept: dict[float, Number] = {}
    for number in numbers:
        value = round(base + step * round((number.value - base) / step), 9)
        if _off_step(number.value, base, step) < MISREAD:
            kept.setdefault(value, replace(number, value=value))
    return list(kept.values())
