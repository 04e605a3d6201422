"""Time, in one place, so that tests can replace it.

The monotonic clock measures and orders; the wall clock is only for stamps that people, files
and other machines see.
"""

from __future__ import annotations

import time


class Clock:
    """The machine's clocks. Both are read together where a frame is stamped."""

    def mono_ns(self) -> int:
        """Nanoseconds of CLOCK_MONOTONIC: comparable between processes of one boot of one host."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC; may jump."""
        return time.time_ns()


SYSTEM_CLOCK = Clock()
