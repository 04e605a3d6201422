"""A worker as a process whose engine says which frame it saw: the pattern's own counter.

`python -m tests.support.counter_worker RUN_DIR DELAY_S`
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from molmo_node.bus.address import node_address
from molmo_node.camera.pattern import read_counter
from molmo_node.cli.signals import StopSignals
from molmo_node.messages import TASKS, Question
from molmo_node.models.engine import ImageHWC, Reply
from molmo_node.worker.answering import Answerer, NoGauges
from molmo_node.worker.node import WorkerNode, WorkerOptions


class CounterEngine:
    """Answers every question with the number drawn into the picture, after a while."""

    name = "counter"
    tasks = frozenset(TASKS)

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s

    def encode(self, image_hwc: ImageHWC) -> ImageHWC:
        """Keep the picture itself: it is read after the delay, when others have come."""
        return image_hwc

    def ask(
        self,
        frame: ImageHWC,
        questions: Sequence[Question],
        drafts: Sequence[str | None] = (),
        is_cancelled: Callable[[int], bool] = lambda _: False,
    ) -> list[Reply]:
        time.sleep(self._delay_s)
        return [Reply(count=read_counter(frame)) for _ in questions]

    def close(self) -> None:
        """Nothing is held."""


def main() -> int:
    signals = StopSignals()
    run_dir, delay_s = Path(sys.argv[1]), float(sys.argv[2])

    def load(_: Any) -> Answerer:
        return Answerer(CounterEngine(delay_s), NoGauges())

    node = WorkerNode(WorkerOptions(node_address(run_dir, "worker"), run_dir), load)
    signals.attach(node.stop)
    return node.run()


if __name__ == "__main__":
    sys.exit(main())
