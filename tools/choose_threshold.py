"""The confidence at which a reader dares to give a value: chosen by leaving instruments out.

    python tools/eval_instruments.py FOLDER --json out/e.json
    python tools/choose_threshold.py out/e.json

For each instrument the smallest threshold without a gross error among all *other* instruments
is taken and applied to it: so the coverage and the gross errors printed are of pictures that
the threshold has not seen. The last column is the threshold chosen on all of them.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

GROSS = 10.0
RIGHT = {"%FS": 2.0, "min": 1.0}
READERS = ("calibrated", "uncalibrated", "clock")
STEP = 0.05


def instrument_of(item: str) -> str:
    """Pictures of one instrument share a name up to its number."""
    return re.sub(r"[_\d]*\.\w+.*$", "", item)


def smallest_without_gross(rows: list[dict[str, Any]]) -> float:
    """One step above the surest gross error, at least one step."""
    gross = [row["confidence"] for row in rows if (row["error"] or 0.0) > GROSS]
    return STEP * (int(max(gross, default=0.0) / STEP) + 1)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("json", type=Path)
    rows = json.loads(options.parse_args().json.read_text(encoding="utf-8"))
    print("| reader | instruments | accepted | right | gross accepted | threshold |")
    print("| --- | --- | --- | --- | --- | --- |")
    for reader in READERS:
        own = [row for row in rows if row["method"] == reader and row["confidence"] is not None]
        kinds = {instrument_of(row["item"]) for row in own}
        accepted: list[dict[str, Any]] = []
        for kind in kinds:
            others = [row for row in own if instrument_of(row["item"]) != kind]
            threshold = smallest_without_gross(others)
            accepted += [
                row
                for row in own
                if instrument_of(row["item"]) == kind
                and row["error"] is not None
                and row["confidence"] >= threshold
            ]
        right = sum(row["error"] <= RIGHT[row["kind"]] for row in accepted)
        gross = sum(row["error"] > GROSS for row in accepted)
        print(
            f"| {reader} | {len(kinds)} | {len(accepted)}/{len(own)} | {right} | {gross} | "
            f"{smallest_without_gross(own):.2f} |"
        )


if __name__ == "__main__":
    main()
