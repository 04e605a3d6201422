"""A whole worker with a scripted engine, in a thread of the test."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from molmo_node.bus.address import Address, node_address
from molmo_node.models.scripted import ScriptedEngine
from molmo_node.worker.answering import Answerer
from molmo_node.worker.dials import NoGauges
from molmo_node.worker.node import WorkerNode, WorkerOptions

SCRIPT = {"answers": [{"task": "point", "points": [[12.5, 20.0, "mug"]], "reply": "there"}]}


class WorkerThread:
    """Starts at once; `close` ends it and gives its exit code."""

    def __init__(self, run_dir: Path, script: dict[str, Any] | None = None, **options: Any) -> None:
        address = options.pop("address", node_address(run_dir, "worker"))
        self.node = WorkerNode(
            WorkerOptions(address=Address(address.text), run_dir=run_dir, **options),
            lambda progress: Answerer(ScriptedEngine(script or SCRIPT), NoGauges()),
        )
        self.exit_code: int | None = None
        self._thread = threading.Thread(target=self._run, name="worker")
        self._thread.start()

    def wait(self, within_s: float = 5.0) -> int | None:
        """Wait until it ends by itself."""
        self._thread.join(within_s)
        assert not self._thread.is_alive(), f"the worker still runs after {within_s} s"
        return self.exit_code

    def close(self) -> int | None:
        """Stop it and wait."""
        self.node.stop()
        return self.wait()

    def _run(self) -> None:
        self.exit_code = self.node.run()
