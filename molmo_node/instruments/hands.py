"""How a clock's two hands belong together: the gear relation.

The hour hand moves 30° while the minute hand goes round: so where the hour hand stands between
two hours says which minute it must be, and a swap of the hands nearly always contradicts itself.
"""

from __future__ import annotations

MINUTES_ROUND = 720.0


def minutes_apart(first: float, second: float) -> float:
    """The shorter way round the dial, in minutes."""
    half = MINUTES_ROUND / 2
    return abs((first - second + half) % MINUTES_ROUND - half)


def geared(hour_deg: float, minute_deg: float) -> tuple[float, float]:
    """The time that two hands show.

    Args:
        hour_deg, minute_deg: clockwise from the 12.

    Returns:
        Minutes since 12 in [0, 720), and how far the hour hand stands ahead of where the minute
        hand says, in [-15, 15] degrees.
    """
    minute = (minute_deg % 360.0) / 6.0
    past_deg = hour_deg % 360.0 - minute / 2.0
    hours = round(past_deg / 30.0)
    return (60.0 * (hours % 12) + minute) % MINUTES_ROUND, past_deg - 30.0 * hours
