"""What a model's points say of a gauge: which dial, which end of the needle. Pixels say where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from molmo_node.instruments.angles import apart_deg
from molmo_node.instruments.dial import Dial
from molmo_node.instruments.needle import Needle
from molmo_node.instruments.perspective import PointXY
from molmo_node.instruments.pick import Pick

ON_DIAL = 0.35
SAME_NEEDLE_DEG = 15.0
UNCLEAR = 0.6
"""Below this clearness the pixels do not tell the tip from the tail."""
MARKS_TO_RIM = 1.2


@dataclass(frozen=True)
class DialHint:
    """A gauge as a model points at it, in pixels.

    Attributes:
        center: the pivot.
        tip: of the needle.
        marks: places on the printed scale, whatever their values.
        told_by: the model's name, for the vote.
        trust: 0..1, how often its needle is right.
    """

    center: PointXY
    tip: PointXY
    marks: tuple[PointXY, ...] = ()
    told_by: str = "vlm_points"
    trust: float = 0.5

    @property
    def dial(self) -> Dial:
        """A round dial about the pivot; a rim found there is the better one."""
        reaches = [math.dist(self.center, mark) for mark in self.marks]
        reach_px = max(reaches, default=1.2 * math.dist(self.center, self.tip))
        return Dial.circle(*self.center, max(4.0, reach_px * MARKS_TO_RIM))

    def is_on(self, dial: Dial) -> bool:
        """The hint is about this dial."""
        return math.hypot(*dial.to_unit(*self.center)) < ON_DIAL

    def sees(self, dial: Dial, needle: Needle) -> bool:
        """The model's needle is this one, from the dial's pivot."""
        return apart_deg(dial.angle_deg(*self.tip), needle.angle_deg) < SAME_NEEDLE_DEG

    def chosen(self, dial: Dial, pick: Pick) -> Pick:
        """The pick with its ends swapped where pixels do not tell them apart and the model does."""
        other = pick.other
        if other is None or pick.clearness >= UNCLEAR or self.sees(dial, pick.needle):
            return pick
        return replace(pick, needle=other, other=pick.needle) if self.sees(dial, other) else pick


def hint_on(dial: Dial, hints: Sequence[DialHint]) -> DialHint | None:
    """The hint about a dial, if there is one."""
    return next((hint for hint in hints if hint.is_on(dial)), None)
