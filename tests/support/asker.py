"""A client as a process: `python -m tests.support.asker RUN_DIR COUNT`: asks, and waits."""

from __future__ import annotations

import sys

from molmo_node.client import Client
from molmo_node.messages import Question


def main() -> None:
    client = Client(run_dir=sys.argv[1])
    pending = [client.submit(Question.ask("slow"), timeout_s=120) for _ in range(int(sys.argv[2]))]
    for one in pending:
        one.result()


if __name__ == "__main__":
    main()
