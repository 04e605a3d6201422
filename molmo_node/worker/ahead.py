"""Prefill ahead: look at a frame before anybody asks, so that a question costs its text only.

The engine keeps what it saw of its last pictures; here the frames themselves are kept, and a
question is given the one that was looked at while that is young enough. The answer names the
frame it was made from, as ever.
"""

from __future__ import annotations

from typing import Literal

from molmo_node.bus.frames import Frame
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.worker.health import captured_ns

Policy = Literal["off", "idle", "always"]

FRESH_NS = 300_000_000
TALK_NS = 30_000_000_000


class LookAhead:
    """When to look ahead, and at what was looked.

    Args:
        policy: ``off``; ``idle``: while nothing is due and a question came within the last
            half minute; ``always``: whenever nothing is due.
    """

    def __init__(self, policy: Policy = "off", clock: Clock = SYSTEM_CLOCK) -> None:
        self._policy = policy
        self._clock = clock
        self._asked_ns: int | None = None
        self._seen: dict[str, tuple[Frame, int]] = {}

    def note_question(self) -> None:
        """A question came."""
        self._asked_ns = self._clock.mono_ns()

    def is_wanted(self) -> bool:
        """Whether an idle engine should look at the newest frame now."""
        if self._policy != "idle":
            return self._policy == "always"
        return self._asked_ns is not None and self._clock.mono_ns() - self._asked_ns < TALK_NS

    def has_seen(self, camera: str, session: str, seq: int) -> bool:
        """Whether that frame is the one that was looked at last."""
        seen = self._seen.get(camera)
        ref = seen[0].header.ref if seen else None
        return ref is not None and (ref.session, ref.seq) == (session, seq)

    def keep(self, frame: Frame) -> None:
        """A frame was looked at. Called from the engine's thread."""
        self._seen[frame.header.ref.camera] = frame, self._clock.mono_ns()

    def fresh(self, camera: str, after_ns: int, most_age_ns: int) -> Frame | None:
        """The frame that was looked at, if it may be asked about.

        Args:
            after_ns: it must be captured after this (monotonic).
            most_age_ns: the asker's limit; 0.3 s at most in any case.
        """
        seen = self._seen.get(camera)
        if seen is None:
            return None
        frame, kept_ns = seen
        since_ns = captured_ns(frame.header, kept_ns)
        is_young = self._clock.mono_ns() - since_ns <= min(most_age_ns, FRESH_NS)
        return frame if is_young and since_ns > after_ns else None
