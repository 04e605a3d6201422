"""How well instruments are read: a folder of labelled pictures, or dials that are drawn here.

    python tools/eval_instruments.py ../shared/data/instruments --peers --sheet out/sheet.png
    python tools/eval_instruments.py --synthetic 500 --tilts 0,20,35
    python tools/eval_instruments.py --no-dials ../shared/data/pointing/images

A folder holds a labels.json of the form that docs/instruments.md describes. Errors are percent
of full scale for gauges and minutes for clocks. A reader's own best value is scored even where
it was refused ("answered"); "gross accepted" counts wrong ones among those that were given out.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from molmo_node.instruments import draw_reading, read_clocks, read_gauges
from molmo_node.instruments.pixels import ImageRGB
from tools.instrument_sets import Eyes, Row, folder_rows, load, synthetic_rows

GROSS = {"%FS": 10.0, "min": 10.0}
RIGHT = {"%FS": 2.0, "min": 1.0}
NEAR = {"%FS": (1.0, 2.0, 5.0), "min": (1.0, 2.0, 10.0)}
SHEET_TILE_PX = 320
SHEET_COLUMNS = 6


def summary(rows: list[Row]) -> dict[str, Any]:
    """The figures of one method."""
    kind = rows[0].kind
    answered = [row.error for row in rows if row.error is not None]
    accepted = [row for row in rows if row.is_accepted]
    by_confidence = sorted(rows, key=lambda row: -(row.confidence or 0.0))
    return {
        "n": len(rows),
        "kind": kind,
        "within": {f"{limit:g}": sum(e <= limit for e in answered) for limit in NEAR[kind]},
        "within_half": sum(e <= 0.5 for e in answered),
        "median": float(np.median(answered)) if answered else None,
        "answered": len(answered),
        "gross": sum(e > GROSS[kind] for e in answered),
        "refused": len(rows) - len(accepted),
        "accepted_right": sum(r.error is not None and r.error <= RIGHT[kind] for r in accepted),
        "gross_accepted": sum(r.error is not None and r.error > GROSS[kind] for r in accepted),
        "right_at_coverage": _right_at(by_confidence, kind)
        if rows[0].confidence is not None
        else None,
        "cpu_ms_median": float(np.median([row.cpu_ms for row in rows])),
    }


def _right_at(rows: list[Row], kind: str) -> dict[str, float]:
    """Share of right answers among the surest 50, 80 and 100 %."""
    shares = {}
    for percent in (50, 80, 100):
        part = rows[: max(1, round(len(rows) * percent / 100))]
        right = sum(row.error is not None and row.error <= RIGHT[kind] for row in part)
        shares[str(percent)] = right / len(part)
    return shares


def table(rows: list[Row]) -> str:
    """All methods as a Markdown table."""
    head = (
        "| reader | n | ≤ 0.5 | ≤ 1 | ≤ 2 | ≤ 5 (10 min) | median | gross | refused "
        "| gross accepted | right at 50/80/100 % | CPU ms |"
    )
    lines = [head, "|" + " --- |" * 12]
    for method in dict.fromkeys(row.method for row in rows):
        figures = summary([row for row in rows if row.method == method])
        within = " | ".join(str(count) for count in figures["within"].values())
        cover = figures["right_at_coverage"]
        shares = "/".join(f"{100 * share:.0f}" for share in cover.values()) if cover else "–"
        median = "–" if figures["median"] is None else f"{figures['median']:.2f} {figures['kind']}"
        lines.append(
            f"| {method} | {figures['n']} | {figures['within_half']} | {within} | {median} | "
            f"{figures['gross']} | {figures['refused']} | {figures['gross_accepted']} | {shares} | "
            f"{figures['cpu_ms_median']:.0f} |"
        )
    return "\n".join(lines)


def sheet(tiles: list[ImageRGB]) -> ImageRGB:
    """All marked pictures on one."""
    shown = []
    for tile in tiles:
        scale = SHEET_TILE_PX / max(tile.shape[:2])
        small = cv2.resize(tile, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        framed = np.full((SHEET_TILE_PX, SHEET_TILE_PX, 3), 24, np.uint8)
        framed[: small.shape[0], : small.shape[1]] = small
        shown.append(framed)
    while len(shown) % SHEET_COLUMNS:
        shown.append(np.full((SHEET_TILE_PX, SHEET_TILE_PX, 3), 24, np.uint8))
    rows = [np.hstack(shown[i : i + SHEET_COLUMNS]) for i in range(0, len(shown), SHEET_COLUMNS)]
    return np.vstack(rows)


def eyes(engine: str | None, weights: Path | None) -> Eyes | None:
    """The engine that points at gauges, if one was asked for."""
    if engine is None:
        return None
    from molmo_node.models.nano import NanoEngine

    return Eyes(NanoEngine.load(weights) if weights else NanoEngine.load())


def without_dials(folder: Path) -> list[Row]:
    """Pictures that show no dial: every reading is a false one, and gross if it is given out."""
    false = 0
    rows = []
    paths = sorted(path for path in folder.iterdir() if path.suffix in (".jpg", ".png"))
    for path in paths:
        image = load(path)
        clocks = [r for r in read_clocks(image) if r.hour is not None]
        seen = read_gauges(image)
        gauges = [r for r in seen if r.value is not None]
        error = 100.0 if seen[0].votes else None
        accepted = bool(gauges)
        item = f"no dial: {path.name}"
        rows.append(Row("uncalibrated", item, "%FS", error, seen[0].confidence, accepted, 0.0))
        false += bool(clocks or gauges)
        if clocks or gauges:
            print(path.name, [(r.hour, r.minute) for r in clocks], [r.value for r in gauges])
    print(f"{false} of {len(paths)} pictures gave a reading")
    return rows


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("root", nargs="?", type=Path)
    options.add_argument("--peers", action="store_true", help="run other readers too")
    options.add_argument("--json", type=Path, metavar="FILE")
    options.add_argument("--sheet", type=Path, metavar="FILE")
    options.add_argument("--synthetic", type=int, default=0, metavar="COUNT")
    options.add_argument(
        "--first", type=int, default=0, metavar="INDEX", help="for long runs in parts"
    )
    options.add_argument("--tilts", default="0,20,35", metavar="DEGREES")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--readers", default="calibrated,clock", metavar="NAMES")
    options.add_argument("--engine", choices=["nano"], help="also read gauges with its points")
    options.add_argument(
        "--weights", type=Path, metavar="FILE", help="its weights; default: shipped"
    )
    options.add_argument("--no-dials", type=Path, metavar="FOLDER")
    chosen = options.parse_args()
    rows: list[Row] = []
    tiles: list[ImageRGB] = []
    if chosen.root:
        for row, reading, image in folder_rows(
            chosen.root, chosen.peers, eyes(chosen.engine, chosen.weights)
        ):
            rows.append(row)
            if reading is not None:
                tiles.append(draw_reading(image, reading))
    if chosen.synthetic:
        tilts = [float(tilt) for tilt in chosen.tilts.split(",")]
        readers = set(chosen.readers.split(","))
        rows += synthetic_rows(chosen.synthetic, tilts, chosen.seed, readers, chosen.first)
    if rows:
        print(table(rows))
    if chosen.no_dials:
        rows += without_dials(chosen.no_dials)
    if chosen.json:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    if chosen.sheet and tiles:
        chosen.sheet.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(chosen.sheet), sheet(tiles)[:, :, ::-1])


if __name__ == "__main__":
    main()
