"""A capture loop's account of itself: its state and its counters."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from molmo_node.camera.base import REJECT_REASONS, RejectReason
from molmo_node.messages import NodeState

log = logging.getLogger(__name__)

Report = Callable[[NodeState, str], None]


class Ledger:
    """State for two threads, counters for the capture thread alone.

    Args:
        report: takes each change of state, one at a time.
    """

    def __init__(self, camera: str, report: Report) -> None:
        self._camera = camera
        self._report = report
        # Held over `report`, so that reports arrive in the order of the changes.
        self._lock = threading.Lock()
        self._state: tuple[NodeState, str] = ("starting", "")
        self._rejected_since_good: RejectReason | None = None
        self._counts = dict.fromkeys(("grabbed", "sent", "skipped", "rejected", "reopened"), 0)
        self._counts |= {f"rejected_{reason}": 0 for reason in REJECT_REASONS}

    @property
    def state(self) -> NodeState:
        """The state reported last."""
        return self._state[0]

    def enter(self, state: NodeState, detail: str = "") -> None:
        """Report a state, unless it is the last one with the same detail."""
        with self._lock:
            if (state, detail) == self._state and state != "starting":
                return
            self._state = (state, detail)
            level = logging.WARNING if state in ("lost", "failed") else logging.INFO
            facts = {"camera": self._camera, "state": state, "detail": detail}
            log.log(level, "camera state", extra=facts)
            self._report(state, detail)

    def count(self, name: str) -> None:
        """Add one to a counter."""
        self._counts[name] += 1

    def reject(self, reason: RejectReason) -> None:
        """Count a frame that was grabbed and is not used."""
        self._rejected_since_good = reason
        self.count("rejected")
        self.count(f"rejected_{reason}")
        log.debug("frame rejected", extra={"camera": self._camera, "reason": reason})

    def good(self) -> None:
        """A good frame came: what was rejected before it no longer explains a silence."""
        self._rejected_since_good = None

    def silence(self) -> str:
        """Why there is no good frame, as far as it is known."""
        if self._rejected_since_good:
            return f"frames come but are rejected: {self._rejected_since_good}"
        return "no frame in time"

    def counters(self) -> dict[str, int]:
        """A copy of the totals."""
        return dict(self._counts)
