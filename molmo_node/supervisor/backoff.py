"""When a dead process may start again. Pure: times come in, a delay goes out."""

from __future__ import annotations

from collections import deque

from molmo_node.supervisor.spec import Backoff

_MINUTE_S = 60.0


class RestartSchedule:
    """The starts and deaths of one process, and the delay that follows from them.

    All times are seconds of one monotonic clock.
    """

    def __init__(self, rule: Backoff) -> None:
        self._rule = rule
        self._starts: deque[float] = deque(maxlen=rule.starts_per_minute)
        self.early_deaths = 0

    def started(self, now_s: float) -> None:
        """Note a start."""
        self._starts.append(now_s)

    def died(self, now_s: float, served_s: float = 0.0) -> float:
        """Note a death.

        Args:
            served_s: how long it had been ready.

        Returns:
            Seconds until the next start: 0 after a good run.
        """
        ran_s = now_s - self._starts[-1] if self._starts else 0.0
        rule = self._rule
        if ran_s >= rule.stable_after_s or served_s >= rule.stable_when_served_s:
            self.early_deaths = 0
            self._starts.clear()
        else:
            self.early_deaths += 1
        return max(self._delay_s(), self._until_allowed_s(now_s))

    @property
    def is_failing(self) -> bool:
        """Whether it died early so often in a row that a person should look."""
        return self.early_deaths >= self._rule.failed_after

    def _delay_s(self) -> float:
        if self.early_deaths <= 1:
            return 0.0
        doubled = self._rule.first_s * 2.0 ** min(self.early_deaths - 2, 30)
        return min(doubled, self._rule.longest_s)

    def _until_allowed_s(self, now_s: float) -> float:
        if len(self._starts) < self._rule.starts_per_minute:
            return 0.0
        return max(0.0, self._starts[0] + _MINUTE_S - now_s)
