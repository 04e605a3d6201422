"""When the next frame is due, and when a lost source is tried again. Pure arithmetic."""

from __future__ import annotations

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 2.0
# A device at its nominal rate jitters: a frame that comes this much of a period early is taken.
_EARLY = 0.25


class Pacer:
    """Keeps to a highest rate without drift and without catching up after a pause.

    Args:
        fps: highest rate in Hz; None for no limit.
    """

    def __init__(self, fps: float | None) -> None:
        self._period_ns = round(1e9 / fps) if fps else 0
        self._due_ns: int | None = None

    def wait_s(self, now_ns: int) -> float:
        """Seconds until the next frame is due, 0.0 when it is."""
        return 0.0 if self._due_ns is None else max(0.0, (self._due_ns - now_ns) / 1e9)

    def take(self, now_ns: int) -> bool:
        """Tell whether a frame of this moment is taken; if so, set when the next is due."""
        due_ns = now_ns if self._due_ns is None else self._due_ns
        if now_ns < due_ns - round(_EARLY * self._period_ns):
            return False
        self._due_ns = max(due_ns + self._period_ns, now_ns)
        return True


def retry_s(failures: int) -> float:
    """How long to wait before opening again, after this many failures in a row (1 and up)."""
    return float(min(LONGEST_RETRY_S, FIRST_RETRY_S * 2 ** min(failures - 1, 8)))
