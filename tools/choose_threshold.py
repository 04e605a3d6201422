"""The confidence at which a reader dares to give a value: a rule, and a check that it is kept.

    python tools/eval_instruments.py FOLDER --json out/shared.json
    python tools/eval_instruments.py --no-dials FOLDER --json out/none.json
    python tools/choose_threshold.py out/*.json
    python tools/choose_threshold.py tests/instruments/threshold_evidence.json --check

The rule. A threshold costs 20 for each gross error that it lets out, 1 for each other wrong
value that it lets out, and 1 for each right value that it holds back. For each instrument the
cheapest threshold on all *other* instruments is taken; of equally cheap ones the highest. The
most cautious of these is the default, in steps of 0.05. The coverage and the errors printed are
of each instrument under the threshold that has not seen it.

The second table says what confidence means: in each band, how many values were right.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

GROSS = 10.0
RIGHT = {"%FS": 2.0, "min": 1.0}
READERS = ("calibrated", "uncalibrated", "clock")
STEP = 0.05
GROSS_COST, WRONG_COST, HELD_BACK_COST = 20.0, 1.0, 1.0
BANDS = (0.0, 0.3, 0.45, 0.6, 0.8, 1.01)

Row = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """What the rule gives for one reader, and how it does on instruments it has not seen."""

    threshold: float
    instruments: int
    accepted: int
    right: int
    gross: int


def instrument_of(item: str) -> str:
    """Pictures of one instrument share a name up to its number."""
    return re.sub(r"[_\d]*\.\w+.*$", "", item)


def is_right(row: Row) -> bool:
    """Within the error that counts as right for its kind."""
    return row["error"] is not None and row["error"] <= RIGHT[row["kind"]]


def cost(rows: Sequence[Row], threshold: float) -> float:
    """What a threshold costs on these rows."""
    total = 0.0
    for row in rows:
        if row["error"] is None:
            continue
        is_out = row["confidence"] >= threshold
        if is_right(row):
            total += 0.0 if is_out else HELD_BACK_COST
        elif is_out:
            total += GROSS_COST if row["error"] > GROSS else WRONG_COST
    return total


def cheapest(rows: Sequence[Row]) -> float:
    """The cheapest threshold; of equally cheap ones the highest."""
    steps = [round(STEP * k, 2) for k in range(1, round(1 / STEP))]
    return min(steps, key=lambda threshold: (cost(rows, threshold), -threshold))


def choose(rows: Sequence[Row]) -> Choice:
    """The rule, on the rows of one reader."""
    told = [row for row in rows if row["error"] is not None]
    thresholds = {
        kind: cheapest([row for row in told if instrument_of(row["item"]) != kind])
        for kind in sorted({instrument_of(row["item"]) for row in told})
    }
    out = [row for row in told if row["confidence"] >= thresholds[instrument_of(row["item"])]]
    return Choice(
        threshold=max(thresholds.values()),
        instruments=len(thresholds),
        accepted=len(out),
        right=sum(is_right(row) for row in out),
        gross=sum(row["error"] > GROSS for row in out),
    )


def defaults() -> dict[str, float]:
    """The thresholds that the readers have."""
    from molmo_node.instruments import clock, gauge, uncalibrated

    modules = {"calibrated": gauge, "uncalibrated": uncalibrated, "clock": clock}
    return {reader: float(module.LEAST_CONFIDENCE) for reader, module in modules.items()}


def by_reader(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of each reader; drawn dials' names carry their tilt behind the reader's."""
    found: dict[str, list[Row]] = {reader: [] for reader in READERS}
    for row in rows:
        reader = row["method"].split(" ")[0]
        if reader in found and row["confidence"] is not None and "+" not in row["method"]:
            found[reader].append(row)
    return {reader: own for reader, own in found.items() if own}


def _print_choices(rows: dict[str, list[Row]]) -> None:
    print("| reader | instruments | accepted | right | gross accepted | rule | default |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for reader, own in rows.items():
        choice = choose(own)
        print(
            f"| {reader} | {choice.instruments} | {choice.accepted}/{len(own)} | {choice.right} | "
            f"{choice.gross} | {choice.threshold:.2f} | {defaults()[reader]:.2f} |"
        )


def _print_reliability(rows: dict[str, list[Row]]) -> None:
    print("\n| reader | confidence | values | mean confidence | right |")
    print("| --- | --- | --- | --- | --- |")
    for reader, own in rows.items():
        for low, high in pairwise(BANDS):
            band = [r for r in own if r["error"] is not None and low <= r["confidence"] < high]
            if band:
                mean = sum(row["confidence"] for row in band) / len(band)
                share = sum(is_right(row) for row in band) / len(band)
                print(
                    f"| {reader} | {low:.2f}–{min(high, 1):.2f} | {len(band)} | {mean:.2f} | "
                    f"{share:.2f} |"
                )


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("json", type=Path, nargs="+")
    options.add_argument(
        "--check", action="store_true", help="fail where a default is not the rule's"
    )
    options.add_argument("--readers", default=",".join(READERS), metavar="NAMES")
    chosen = options.parse_args()
    rows = [row for path in chosen.json for row in json.loads(path.read_text(encoding="utf-8"))]
    own = {r: part for r, part in by_reader(rows).items() if r in chosen.readers.split(",")}
    _print_choices(own)
    _print_reliability(own)
    wrong = [reader for reader, part in own.items() if choose(part).threshold != defaults()[reader]]
    if chosen.check and wrong:
        raise SystemExit(f"the default is not the rule's for: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
