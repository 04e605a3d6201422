"""From a dial's five key points to what it reads: plane geometry, no network."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_TURN = 2 * math.pi


def makes_a_dial(marks_xy: NDArray[np.float64], tips_xy: NDArray[np.float64]) -> bool:
    """Whether marks stand at like distances from the centre, and tips not beyond them.

    A tilt of 60 degrees halves a distance; points that belong to two dials differ by more.

    Args:
        marks_xy, tips_xy: ``(n, 2)`` in pixels from the centre.
    """
    reach = np.linalg.norm(marks_xy, axis=1)
    tips = np.linalg.norm(tips_xy, axis=1)
    return bool(reach.max() <= 2 * reach.min() and tips.max() <= 1.4 * reach.max())


def _unit_face(keys_xy: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Minute and hour hand on the face's own axes, by the affine map that centre, 12 and 3 fix."""
    centre, twelve, three = keys_xy[:3]
    axes = np.stack((three - centre, centre - twelve), 1)
    if abs(float(np.linalg.det(axes))) < 25.0:  # px²: the three lie in a line
        return None
    if not makes_a_dial(keys_xy[1:3] - centre, keys_xy[3:5] - centre):
        return None
    return np.asarray(np.linalg.solve(axes, (keys_xy[3:5] - centre).T).T)


def clock_time(keys_xy: NDArray[np.float64]) -> tuple[int, int, float] | None:
    """The time that hands show, hour and minute hand made consistent.

    The minute is the minute hand's. The hour is the one whose hour hand, at that minute,
    comes nearest to the hour hand seen.

    Args:
        keys_xy: ``(5, 2)``: centre, 12, 3, minute tip, hour tip, in pixels.

    Returns:
        Hour 0 to 11, minute 0 to 59, and by how many degrees the hour hand misses that time
        (at most 15); None where the points do not make a dial.
    """
    hands = _unit_face(keys_xy)
    if hands is None:
        return None
    minute_rad, hour_rad = (math.atan2(x, y * -1) % _TURN for x, y in hands)
    minutes = minute_rad * 30 / math.pi
    exact_hours = hour_rad * 6 / math.pi
    hour = round(exact_hours - minutes / 60) % 12
    miss_hours = (exact_hours - minutes / 60 - hour + 6) % 12 - 6
    minute = int(minutes + 0.25)  # hands move evenly: a minute is shown until it is over
    if minute == 60:
        hour, minute = (hour + 1) % 12, 0
    return hour, minute, abs(miss_hours) * 30


def gauge_fraction(keys_xy: NDArray[np.float64]) -> float | None:
    """Where the needle stands on the scale: 0 at the first mark, 1 at the last.

    Both halves of the scale are read by angle on their own, so that a tilt that narrows one
    of them costs little (median 0.1 % of the scale on drawn dials, 0.8 % in nine of ten; an
    affine fit of the whole scale loses four times as much to perspective). On a register dial
    the last mark is the first one and the scale a whole turn; there a tilt costs up to 6 %.

    Args:
        keys_xy: ``(5, 2)``: centre, first mark, middle, last mark, needle tip, in pixels.

    Returns:
        The fraction, limited to 0..1; None where the points do not make a scale.
    """
    to_marks = keys_xy[1:] - keys_xy[0]
    if not makes_a_dial(to_marks[:3], to_marks[3:]):
        return None
    first, middle, last, needle = (math.atan2(x, -y) for x, y in to_marks)
    lower, upper = (middle - first) % _TURN, (last - middle) % _TURN
    span = lower + upper
    if not 0.5 < span < _TURN + 0.3 or min(lower, upper) < 0.2:
        return None
    past = (needle - first) % _TURN
    if past > span + (_TURN - span) / 2:
        past -= _TURN
    fraction = 0.5 * past / lower if past < lower else 0.5 + 0.5 * (past - lower) / upper
    return min(1.0, max(0.0, fraction))
