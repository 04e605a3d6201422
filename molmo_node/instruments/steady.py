"""Readings over time: a median against single slips, a rate limit that always lets go again."""

from __future__ import annotations

import statistics
from collections import deque

import msgspec

from molmo_node.messages import GaugeReading

SIGMAS = 3.0
RECOVER_AFTER = 3


class SteadyReading:
    """Filters one gauge's readings.

    A change faster than `highest_rate_per_s` is refused as `implausible_rate`; when as many
    readings in a row as `RECOVER_AFTER` agree with each other, the new value is true after all:
    so one wrong value that was let in can never lock the right ones out.

    Args:
        window: the median is taken over this many accepted readings; 1 switches it off.
        highest_rate_per_s: in units a second; None: no limit.
        most_age_s: older readings are forgotten.
    """

    def __init__(
        self, *, window: int = 3, highest_rate_per_s: float | None = None, most_age_s: float = 60.0
    ) -> None:
        self._rate_per_s = highest_rate_per_s
        self._most_age_s = most_age_s
        self._accepted: deque[tuple[float, float]] = deque(maxlen=max(1, window))
        self._doubted: deque[tuple[float, float]] = deque(maxlen=RECOVER_AFTER)

    def update(self, reading: GaugeReading, mono_s: float) -> GaugeReading:
        """The reading to report for a new one.

        Args:
            mono_s: when its frame was captured, monotonic, rising from call to call.

        Returns:
            The reading with the median as its value; one without a value, and the reason
            `implausible_rate`, where it changed too fast; a refused reading as it is.
        """
        if reading.value is None:
            return reading
        while self._accepted and mono_s - self._accepted[0][0] > self._most_age_s:
            self._accepted.popleft()
        slack = SIGMAS * (reading.sigma or 0.0)
        if self._accepted and not self._is_near(self._accepted[-1], mono_s, reading.value, slack):
            if not self._agrees_with_doubted(mono_s, reading.value, slack):
                return msgspec.structs.replace(
                    reading, value=None, status="refused", reason="implausible_rate",
                    alternative=reading.value,
                )  # fmt: skip
            self._accepted.clear()
        self._doubted.clear()
        self._accepted.append((mono_s, reading.value))
        median = statistics.median(value for _, value in self._accepted)
        return msgspec.structs.replace(reading, value=median)

    def _agrees_with_doubted(self, mono_s: float, value: float, slack: float) -> bool:
        """Remember a value that came too fast; true once enough of them in a row agree."""
        if self._doubted and not self._is_near(self._doubted[-1], mono_s, value, slack):
            self._doubted.clear()
        self._doubted.append((mono_s, value))
        return len(self._doubted) == RECOVER_AFTER

    def _is_near(
        self, earlier: tuple[float, float], mono_s: float, value: float, slack: float
    ) -> bool:
        if self._rate_per_s is None:
            return True
        then_s, then_value = earlier
        return abs(value - then_value) <= self._rate_per_s * max(0.0, mono_s - then_s) + slack
