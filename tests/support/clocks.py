"""A clock that stands until a test moves it."""

from __future__ import annotations

from molmo_node.clock import Clock


class FakeClock(Clock):
    """Both clocks, set by hand."""

    def __init__(self, mono_s: float = 1000.0) -> None:
        self.now_ns = int(mono_s * 1e9)

    def mono_ns(self) -> int:
        """The time that was set."""
        return self.now_ns

    def wall_ns(self) -> int:
        """The same, long after 1970."""
        return self.now_ns + 10**18

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ns += int(seconds * 1e9)
