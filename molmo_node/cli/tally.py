"""What a run amounted to: how much was asked, answered and right, and how old the answers were."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from molmo_node.cli.exits import DONE
from molmo_node.messages import Answer

Judge = Callable[[Answer], bool | None]
"""Says whether an answer is right; None where it cannot be told."""


def cannot_tell(answer: Answer) -> None:
    """The judge of cameras that look at the world."""


def is_answered(answer: Answer) -> bool:
    """Whether it says something, and not only why there is nothing to say."""
    if answer.reading is not None:
        return answer.reading.status != "refused"
    return not answer.reason


@dataclass
class WatchTally:
    """One watch's answers. Ages are from capture to the answer's arrival here."""

    asked: int = 0
    answered: int = 0
    judged: int = 0
    right: int = 0
    ages_ms: list[float] = field(default_factory=list)

    def row(self, name: str) -> str:
        """One line of the table."""
        right = f"{100 * self.right / self.judged:.0f} %" if self.judged else "-"
        age = f"{statistics.median(self.ages_ms):.0f} ms" if self.ages_ms else "-"
        return f"{name:<14} {self.asked:>7} {self.answered:>9} {right:>7} {age:>11}"


@dataclass
class Outcome:
    """All answers of a run; `judge` knows the truth of some."""

    judge: Judge = cannot_tell
    exit_code: int = DONE
    restarts: int = 0
    seconds: float = 0.0
    watches: dict[str, WatchTally] = field(default_factory=dict)
    frames: set[tuple[str, str, int]] = field(default_factory=set)
    first_s: float | None = None

    def note(self, answer: Answer) -> None:
        """Count one answer."""
        if self.first_s is None:
            self.first_s = time.monotonic()
        tally = self.watches.setdefault(answer.watch or answer.task, WatchTally())
        tally.asked += 1
        tally.ages_ms.append((time.time_ns() - answer.frame.stamp_ns) / 1e6)
        if is_answered(answer):
            tally.answered += 1
            self.frames.add((answer.frame.camera, answer.frame.session, answer.frame.seq))
        verdict = self.judge(answer)
        if verdict is not None:
            tally.judged += 1
            tally.right += verdict

    @property
    def answered(self) -> int:
        """Answers that say something."""
        return sum(tally.answered for tally in self.watches.values())

    def summary(self) -> str:
        """A table for the end: a line a watch, then the totals."""
        lines = [f"{'watch':<14} {'asked':>7} {'answered':>9} {'right':>7} {'median age':>11}"]
        lines += [tally.row(name) for name, tally in sorted(self.watches.items())]
        spent_s = max(0.1, time.monotonic() - self.first_s) if self.first_s else self.seconds
        lines.append(
            f"{len(self.frames) / spent_s:.1f} frames and {self.answered / spent_s:.1f} questions"
            f" answered a second, for {spent_s:.0f} s; {self.restarts} restarts"
        )
        return "\n".join(lines)
