"""A worker whose engine reads the mark in the picture: ``… counting_worker RUN_DIR``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from molmo_node.bus.address import node_address
from molmo_node.cli.signals import StopSignals
from molmo_node.messages import Question, Task
from molmo_node.models.engine import ImageHWC, Reply, never_cancelled
from molmo_node.worker.answering import Answerer
from molmo_node.worker.dials import NoGauges
from molmo_node.worker.node import WorkerNode, WorkerOptions
from tools.node.marks import read_mark


@dataclass(frozen=True)
class MarkedFrame:
    """What the engine keeps of a picture."""

    width: int
    height: int
    mark: int | None


class MarkEngine:
    """Counts to the number that is drawn in the picture."""

    name = "marks"
    tasks: frozenset[Task] = frozenset({"count"})

    def encode(self, image_hwc: ImageHWC) -> MarkedFrame:
        """Read the mark."""
        height, width = image_hwc.shape[:2]
        return MarkedFrame(width, height, read_mark(image_hwc))

    def ask(
        self,
        frame: MarkedFrame,
        questions: Sequence[Question],
        drafts: Sequence[str | None] = (),
        is_cancelled: Callable[[int], bool] = never_cancelled,
    ) -> list[Reply]:
        """The mark, to every question."""
        return [Reply(count=frame.mark) for _ in questions]

    def close(self) -> None:
        """Nothing is held."""


def main() -> int:
    """Run until stopped."""
    signals = StopSignals()
    run_dir = Path(sys.argv[1])
    options = WorkerOptions(address=node_address(run_dir, "worker"), run_dir=run_dir)
    worker = WorkerNode(options, lambda _: Answerer(MarkEngine(), NoGauges()))
    signals.attach(worker.stop)
    return signals.exit_code(worker.run())


if __name__ == "__main__":
    sys.exit(main())
