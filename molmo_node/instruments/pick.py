"""Which of the straight things on a dial is the needle, and which of its ends is the tip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from molmo_node.instruments.angles import apart_deg
from molmo_node.instruments.dial import Dial
from molmo_node.instruments.fallback import blob_direction, ridge_peak
from molmo_node.instruments.needle import Needle, find_needles
from molmo_node.instruments.pixels import ImageRGB, Mask
from molmo_node.instruments.polar import DIRECTIONS, STEPS_PER_DEG, PolarView
from molmo_node.instruments.scale import Scale

BEYOND_ENDS_DEG = 14.0
MOST_SWEEP_DEG = 352.0
COARSE_SIGMA_DEG = 1.2
BENT_SIGMA_DEG = 0.35
SHORT_POINTER = 0.5
DROP_DEG = 8.0
SAME_BAR_DEG = 8.0
CLEARLY_NEARER = 0.01
FAR_FAINTER = 0.5
END_DEG = 10.0
MOST_EDGE = 0.25
EDGE_MISS = 0.025
PLAIN_TAIL = 0.7
RIDGE_BANDS = ((0.3, 0.75), (0.62, 0.86))
RIDGE_CLEAR = 1.25
SURE_RIDGE = 1.8
NARROW_SWEEP_DEG = 130.0
"""Panel meters sweep a quarter turn; their pivot is hidden, and most of the ring is no face."""


@dataclass(frozen=True)
class Pick:
    """The needle chosen on a dial.

    Attributes:
        clearness: 0..1, how much it stands out from the next best.
        other: the runner-up on another bar or the other end, if one is possible.
        method: which finder saw it: "run", "ridge" or "blob".
    """

    needle: Needle
    clearness: float
    other: Needle | None
    method: str


def allowed_directions(scale: Scale, beyond_deg: float = BEYOND_ENDS_DEG) -> Mask:
    """``(DIRECTIONS,)``: where a needle on this scale can point."""
    if scale.wraps or scale.sweep_deg + 2 * beyond_deg >= MOST_SWEEP_DEG:
        return np.ones(DIRECTIONS, bool)
    start_deg = scale.angle_deg(scale.low if scale.direction == "clockwise" else scale.high)
    past_start_deg = (np.arange(DIRECTIONS) / STEPS_PER_DEG - start_deg + beyond_deg) % 360.0
    return np.asarray(past_start_deg <= scale.sweep_deg + 2 * beyond_deg)


def pick_needle(image: ImageRGB, view: PolarView, dial: Dial, scale: Scale) -> Pick | None:
    """Find the needle of a calibrated dial.

    On a dial that goes all the way round the pointer is often a drop: its far end says which of
    the straight things it is. On the others a run from the hub is trusted where it is straight,
    else a thin ridge is looked for; on panel meters, which sweep a quarter turn, the ridge first.
    """
    allowed = allowed_directions(scale)
    is_narrow = scale.sweep_deg < NARROW_SWEEP_DEG
    if is_narrow and (ridge := _ridge_pick(view, allowed, SURE_RIDGE)):
        return ridge
    seen = find_needles(view, most=5)
    needles = [needle for needle in seen if _is_allowed(needle, allowed)]
    if scale.wraps and (drop := _drop_pick(image, dial, needles)):
        return drop
    chosen = choose(needles, seen)
    if chosen and chosen.needle.sigma_deg <= COARSE_SIGMA_DEG:
        return _unbent(chosen)
    return _ridge_pick(view, allowed, RIDGE_CLEAR) or chosen


def _unbent(pick: Pick) -> Pick:
    """A needle that touches print, by the middle of its parts about the pivot, which is known."""
    needle = pick.needle
    if needle.sigma_deg <= BENT_SIGMA_DEG or needle.middle_deg is None:
        return pick
    return replace(pick, needle=replace(needle, angle_deg=needle.middle_deg))


def choose(needles: Sequence[Needle], seen: Sequence[Needle] = ()) -> Pick | None:
    """The pointer among straight things: the thin front of a bar, else the longest.

    Args:
        needles: those that can be the pointer.
        seen: all of them, since a counterweight may lie outside the scale; `needles` if empty.
    """
    if not needles:
        return None
    ordered = sorted(needles, key=lambda n: -(n.length + 0.002 * min(n.contrast, 60.0)))
    longest = ordered[0]
    rather = [
        n for n in ordered if _is_rather(n, longest) or _is_front(n, longest, seen or ordered)
    ]
    best = max(rather, key=_weight, default=longest)
    best = _through_pivot(best, ordered)
    others = [n for n in ordered if apart_deg(n.angle_deg, best.angle_deg) > SAME_BAR_DEG]
    other = max(others, key=_weight, default=None)
    clearness = 1.0 if other is None else _clearness(best, other)
    return Pick(best, clearness, other, "run")


def _is_rather(needle: Needle, longest: Needle) -> bool:
    """Whether a line is the pointer although one longer by a little is there: it is finer."""
    is_fine = needle.width < 0.5 * longest.width and needle.contrast > 0.8 * longest.contrast
    return is_fine and needle.length > 0.92 * longest.length


def _is_front(needle: Needle, longest: Needle, needles: Sequence[Needle]) -> bool:
    """Whether a line is the front of a bar whose other end is broader: its counterweight.

    Lines at the edge of a counterweight are thin as well, but pass the pivot by; and one that
    runs on from it into print is long, but faint.
    """
    if needle.length <= 0.5 * longest.length:
        return False
    return any(_is_tail(other, needle) for other in needles if other is not needle)


def _is_tail(tail: Needle, front: Needle) -> bool:
    edge_deg = math.degrees(min(MOST_EDGE, tail.width))
    if not front.is_opposite(tail, END_DEG + edge_deg) or front.miss > tail.miss + EDGE_MISS:
        return False
    is_thinner = front.width < 0.8 * tail.width and front.contrast > FAR_FAINTER * tail.contrast
    return is_thinner or tail.contrast < FAR_FAINTER * front.contrast


def _through_pivot(best: Needle, needles: Sequence[Needle]) -> Needle:
    """Of lines along one bar the one that meets the pivot: the others run on into print."""
    along = [
        needle
        for needle in needles
        if apart_deg(needle.angle_deg, best.angle_deg) <= SAME_BAR_DEG
        and needle.length > 0.5 * best.length
        and needle.miss < best.miss - CLEARLY_NEARER
        and needle.sigma_deg < best.sigma_deg
    ]
    return min(along, key=lambda needle: needle.miss, default=best)


def _weight(needle: Needle) -> float:
    return needle.length * min(needle.contrast, 60.0)


def _clearness(best: Needle, other: Needle) -> float:
    """1 where the runner-up is short, faint or plainly the thick tail; 0.3 where it is as good."""
    least = PLAIN_TAIL if _is_tail(other, best) else 0.3
    if best.is_opposite(other):
        thinner = 1.0 - best.width / max(other.width, 1e-6)
        longer = 1.0 - other.length / max(best.length, 1e-6)
        return float(np.clip(0.3 + 1.2 * max(thinner, 0.0) + 2.0 * max(longer, 0.0), least, 1.0))
    return float(np.clip(1.5 - _weight(other) / max(_weight(best), 1e-6), least, 1.0))


def _is_allowed(needle: Needle, allowed: Mask) -> bool:
    return bool(allowed[int(needle.angle_deg * STEPS_PER_DEG) % DIRECTIONS])


def _drop_pick(image: ImageRGB, dial: Dial, needles: Sequence[Needle]) -> Pick | None:
    found = blob_direction(image, dial)
    if found is None or found[1] < SHORT_POINTER:
        return None
    angle_deg, reach = found
    near = [needle for needle in needles if apart_deg(needle.angle_deg, angle_deg) < DROP_DEG]
    if not near:
        return Pick(Needle(angle_deg, angle_deg, reach, 0.1, 0.0, 1.0), 0.7, None, "blob")
    best = min(near, key=lambda needle: apart_deg(needle.angle_deg, angle_deg))
    return Pick(best, 0.9, None, "run")


def _ridge_pick(view: PolarView, allowed: Mask, least_ratio: float) -> Pick | None:
    """The strongest ridge; the outer band, which is sharper in angle, where it sees it too."""
    inner, outer = (ridge_peak(view, *band, allowed) for band in RIDGE_BANDS)
    is_outer = outer[1] > 0.5 * inner[1]
    angle_deg, ratio = outer if is_outer else inner
    if ratio < least_ratio:
        return None
    reach = RIDGE_BANDS[1 if is_outer else 0][1]
    needle = Needle(angle_deg, angle_deg, reach, 0.03, 0.0, 1.0 / ratio)
    return Pick(needle, min(1.0, 0.4 * ratio), None, "ridge")
