"""From readings to what a diagnostics viewer and a number topic show. Needs no ROS.

A reading that is not trusted has no number; its diagnostic says why.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from molmo_node.config.fields import Section
from molmo_node.messages import Answer, ClockReading, GaugeReading, Reading

READINGS = 64
"""Most readings that are kept: each is a topic."""


class Level(IntEnum):
    """The levels of `diagnostic_msgs/DiagnosticStatus`."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True)
class Diagnostic:
    """One `diagnostic_msgs/DiagnosticStatus`."""

    level: Level
    name: str
    message: str
    hardware_id: str = ""
    values: tuple[tuple[str, str], ...] = ()


class ReadingLimits(Section):
    """Where a reading is worth a look, and where it is wrong; in the reading's unit."""

    warn_below: float | None = None
    """Below this the level is WARN."""
    warn_above: float | None = None
    """Above this the level is WARN."""
    error_below: float | None = None
    """Below this the level is ERROR."""
    error_above: float | None = None
    """Above this the level is ERROR."""

    def judge(self, value: float) -> tuple[Level, str]:
        """The level of a value, and which limit it passed."""
        for level, low, high in (
            (Level.ERROR, self.error_below, self.error_above),
            (Level.WARN, self.warn_below, self.warn_above),
        ):
            if low is not None and value < low:
                return level, f"below {low:g}"
            if high is not None and value > high:
                return level, f"above {high:g}"
        return Level.OK, ""


NO_LIMITS = ReadingLimits()


def number(reading: Reading) -> float | None:
    """What is published as a number: a gauge's value in its unit, a clock's seconds on the dial.

    None where the reading is not trusted: neither a refused nor a doubtful one is a value that a
    controller may act on.
    """
    if reading.status != "ok":
        return None
    if isinstance(reading, GaugeReading):
        return reading.value
    if reading.hour is None or reading.minute is None:
        return None
    return float((reading.hour * 60 + reading.minute) * 60 + (reading.second or 0))


def shown(reading: Reading) -> str:
    """The value for people, ``4.21 bar`` or ``10:08:31``; empty where there is none."""
    if isinstance(reading, ClockReading):
        if reading.hour is None or reading.minute is None:
            return ""
        second = "" if reading.second is None else f":{reading.second:02d}"
        return f"{reading.hour:02d}:{reading.minute:02d}{second}"
    return "" if reading.value is None else f"{reading.value:.4g} {reading.unit}".strip()


def topic_word(name: str) -> str:
    """A name as one word of a ROS topic: letters, digits and underscores, no digit first."""
    word = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_").replace("__", "_") or "reading"
    return f"_{word}" if word[0].isdigit() else word


def name_of(answer: Answer) -> str:
    """What a reading is called: its watch, else the dial, else the task."""
    dial = answer.reading.name if answer.reading is not None else ""
    return answer.watch or dial or answer.query or answer.task


@dataclass
class _Kept:
    answer: Answer
    came_ns: int
    trusted_ns: int | None = None
    trusted_text: str = ""


class ReadingBoard:
    """The newest reading of each dial; from any thread.

    Args:
        stale_after_s: without a trusted reading for so long, the level is STALE.
    """

    def __init__(self, stale_after_s: float) -> None:
        self._stale_after_s = stale_after_s
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def note(self, answer: Answer, now_ns: int) -> str | None:
        """Keep an answer with a reading.

        Args:
            now_ns: monotonic.

        Returns:
            The reading's name; None where there is no reading, or too many are kept.
        """
        name = name_of(answer)
        with self._lock:
            if answer.reading is None or (len(self._kept) >= READINGS and name not in self._kept):
                return None
            last = self._kept.get(name)
            kept = _Kept(answer, now_ns)
            if number(answer.reading) is not None:
                kept.trusted_ns, kept.trusted_text = now_ns, shown(answer.reading)
            elif last is not None:
                kept.trusted_ns, kept.trusted_text = last.trusted_ns, last.trusted_text
            self._kept[name] = kept
            return name

    def diagnostics(self, limits: Mapping[str, ReadingLimits], now_ns: int) -> list[Diagnostic]:
        """One a reading, by name."""
        with self._lock:
            kept = sorted(self._kept.items())
        return [self._judge(name, one, limits.get(name, NO_LIMITS), now_ns) for name, one in kept]

    def _judge(self, name: str, kept: _Kept, limits: ReadingLimits, now_ns: int) -> Diagnostic:
        reading = kept.answer.reading
        assert reading is not None
        value = number(reading)
        age_s = (now_ns - kept.came_ns) / 1e9
        silent_s = None if kept.trusted_ns is None else (now_ns - kept.trusted_ns) / 1e9
        if value is not None and age_s <= self._stale_after_s:
            level, passed = limits.judge(value)
            message = f"{shown(reading)}, {passed}" if passed else shown(reading)
        else:
            is_stale = (age_s if silent_s is None else silent_s) > self._stale_after_s
            level = Level.STALE if is_stale else Level.WARN
            message = _untrusted(reading, kept, silent_s)
        return Diagnostic(
            level, f"molmo_node: {name}", message, kept.answer.frame.camera,
            _values(reading, kept.answer, age_s),
        )  # fmt: skip


def _untrusted(reading: Reading, kept: _Kept, silent_s: float | None) -> str:
    reason = _why(reading)
    if number(reading) is not None:
        reason = "no newer answer"
    if silent_s is None:
        return f"{reason}; never read"
    return f"{reason}; last {kept.trusted_text}, {silent_s:.0f} s ago"


def _why(reading: Reading) -> str:
    if reading.reason:
        return reading.reason
    return f"doubtful: {shown(reading)}" if shown(reading) else "not read"


def _values(reading: Reading, answer: Answer, age_s: float) -> tuple[tuple[str, str], ...]:
    value = number(reading)
    pairs: list[tuple[str, object]] = [
        ("value", "" if value is None else value),
        ("text", shown(reading) if value is not None else ""),
        ("status", reading.status),
        ("reason", reading.reason or ""),
        ("confidence", round(reading.confidence, 3)),
        ("method", reading.method),
    ]
    if isinstance(reading, GaugeReading):
        given = (("unit", reading.unit), ("min", reading.min), ("max", reading.max),
                 ("sigma", reading.sigma))  # fmt: skip
        pairs += [(key, found) for key, found in given if found not in (None, "")]
    pairs += [("stamp", f"{answer.frame.stamp_ns / 1e9:.9f}"), ("age_s", round(age_s, 1))]
    return tuple((key, str(found)) for key, found in pairs)
