"""What publishers and subscribers report, and how a subscriber counts."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass

import numpy as np

from tools.pictures import checksum
from tools.transport.base import WARMUP_FRAMES, Received


@dataclass(frozen=True)
class PublisherReport:
    """`cpu_ms` is the process's CPU per counted frame, its I/O threads included."""

    frames: int
    cpu_ms: float


@dataclass(frozen=True)
class SubscriberReport:
    """What one subscriber saw after the warm-up.

    Attributes:
        checked: frames whose checksum was taken and which were whole after it.
        wrong: of these, frames that were not the picture their number says, or came twice
            or out of order.
        passed_over: frames that the transport itself found overwritten, before or after use.
        p50_ms, p99_ms: from the publisher's clock before `send` to an array that can be used.
        cpu_ms: this process's CPU per checked frame.
    """

    checked: int
    wrong: int
    passed_over: int
    p50_ms: float
    p99_ms: float
    cpu_ms: float


class Meter:
    """Counts what a subscriber receives.

    Args:
        checksums: of the pictures that are sent in rotation; empty for a lossy transport.
    """

    def __init__(self, checksums: list[int]) -> None:
        self._checksums = checksums
        self._ages_ns: list[int] = []
        self._last = -1
        self._cpu_from_s = self._cpu_to_s = 0.0
        self.wrong = self.passed_over = 0

    @property
    def checked(self) -> int:
        """Frames that were whole after use."""
        return len(self._ages_ns)

    def note(self, frame: Received) -> bool:
        """Use a frame once, as any consumer must; False if it does not count."""
        usable_ns = time.monotonic_ns()
        if frame.image_hwc is None:
            self.passed_over += 1
            return False
        found = checksum(frame.image_hwc)
        if frame.number < WARMUP_FRAMES:
            return False
        if not frame.is_whole():
            self.passed_over += 1
            return False
        if not self._ages_ns:
            self._cpu_from_s = cpu_s()
        self.wrong += not self._is_right(frame.number, found)
        self._last = frame.number
        self._ages_ns.append(usable_ns - frame.stamp_ns)
        self._cpu_to_s = cpu_s()
        return True

    def report(self) -> SubscriberReport:
        """The figures so far."""
        ages_ms = np.array(self._ages_ns or [0]) / 1e6
        cpu_ms = (self._cpu_to_s - self._cpu_from_s) * 1e3 / max(1, self.checked - 1)
        return SubscriberReport(
            checked=self.checked,
            wrong=self.wrong,
            passed_over=self.passed_over,
            p50_ms=float(np.percentile(ages_ms, 50)),
            p99_ms=float(np.percentile(ages_ms, 99)),
            cpu_ms=cpu_ms,
        )

    def _is_right(self, number: int, found: int) -> bool:
        if number <= self._last:
            return False
        return not self._checksums or found == self._checksums[number % len(self._checksums)]


def cpu_s() -> float:
    """CPU seconds that this process has used, user and system, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
