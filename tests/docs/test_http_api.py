"""docs/http_api.md names what the code gives, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from molmo_node.client.view import NodeView
from molmo_node.sinks.metrics import PREFIX, NodeMetrics
from molmo_node.web import health
from tests.support import said

PAGE = (Path(__file__).parents[2] / "docs" / "http_api.md").read_text()


def first_cells(title: str) -> set[str]:
    """The names in the first column of the table under a heading."""
    text = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    return {name for row in rows[1:] for name in re.findall(r"`([^`]+)`", row)}


def test_every_metric_is_on_the_page_and_no_other():
    view = NodeView()
    metrics = NodeMetrics(view)
    clock = said.clock_answer()
    full = said.worker(
        load_pct=1.0, busy_since_ns=0, counters={"answered": 1},
        watches=(said.BOILER, said.watch("c", "read_clock"), said.watch("n", "count"),
                 said.watch("p", "point")),
    )  # fmt: skip
    for message in (
        full, said.camera(), said.read(4.2), said.read(None, seq=2), clock,
        said.found("n", "count"), said.found("p", "point"), said.read(4.2, seq=3),
    ):  # fmt: skip
        view.note(message)
        metrics.note(message)

    text = metrics.exposition()[0].decode()
    kinds = dict(re.findall(rf"# TYPE {PREFIX}(\w+) (\w+)", text))
    suffix = {"counter": "_total", "info": "_info"}

    assert {name + suffix.get(kind, "") for name, kind in kinds.items()} == first_cells("Metrics")


def test_every_state_is_on_the_page():
    assert first_cells("Health") - {"state"} == set(get_args(health.State))
