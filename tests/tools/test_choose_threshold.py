"""The default thresholds are the rule's, on evidence that is kept beside the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tools.choose_threshold import by_reader, cheapest, choose, cost, defaults

EVIDENCE = Path(__file__).parents[1] / "instruments" / "threshold_evidence.json"


def row(item: str, error: float | None, confidence: float) -> dict[str, Any]:
    return {
        "method": "uncalibrated", "item": item, "kind": "%FS",
        "error": error, "confidence": confidence,
    }  # fmt: skip


def test_gross_error_let_out_costs_twenty_right_values_held_back() -> None:
    rows = [row("a_1.jpg", 40.0, 0.62), row("b_1.jpg", 0.1, 0.5), row("c_1.jpg", 3.0, 0.2)]

    assert cost(rows, 0.1) == 21.0
    assert cost(rows, 0.55) == 21.0
    assert cost(rows, 0.65) == 1.0
    assert cheapest(rows) == 0.95


def test_each_instrument_is_judged_by_the_others() -> None:
    rows = [row("a_1.jpg", 40.0, 0.62), row("b_1.jpg", 0.1, 0.8), row("b_2.jpg", 0.1, 0.5)]

    choice = choose(rows)

    assert choice.instruments == 2
    assert choice.threshold == 0.95  # nothing right is left without b
    assert choice.gross == 1  # without a, nothing says that 0.62 is too low


def test_default_threshold_of_uncalibrated_gauges_is_the_rules() -> None:
    rows = by_reader(json.loads(EVIDENCE.read_text(encoding="utf-8")))["uncalibrated"]

    choice = choose(rows)

    assert choice.threshold == defaults()["uncalibrated"]
    assert choice.gross == 0
