"""All figures of molmo-nano, printed and saved, with pictures of the worst misses.

    python -m tools.eval_nano --out FOLDER                         the weights in the package
    python -m tools.eval_nano --out FOLDER --run RUN_FOLDER        a run's averaged weights
    python -m tools.eval_nano --out FOLDER --photos ../shared/data the real photographs too

The scenes are fixed and never trained on. The folder gets report.json and misses_*.png: truth
green, answer red.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from molmo_node.models.nano.decoding import STOP_ABOVE
from molmo_node.models.nano.engine import NanoEngine
from molmo_node.models.nano.network import Nano
from molmo_node.models.nano.weights import WEIGHTS, load_network
from tools.nano_training import checkpoint
from tools.nano_training.evaluate import KINDS, Scored, evaluate, picture_of, summary
from tools.nano_training.optimizer import Optimizer
from tools.nano_training.real_photos import PhotoRow, score_dials, score_pointing

# figure: floor, aim; `<` where less is better
FLOORS: dict[str, tuple[str, float, float]] = {
    "single_hit": (">", 0.80, 0.90),
    "color_only_hit": (">", 0.95, 0.98),
    "noun_only_hit": (">", 0.70, 0.85),
    "multi_f1": (">", 0.75, 0.85),
    "absent": (">", 0.80, 0.90),
    "wrong_abstention": ("<", 0.05, 0.05),
    "count_1_to_5": (">", 0.70, 0.85),
    "gauge_within_2_pct": (">", 0.75, 0.90),
    "clock_within_1_min": (">", 0.70, 0.90),
    "photo_first_point_inside": (">", 0.50, 0.50),
    "photo_centre_near": (">", 0.70, 0.70),
    "photo_tip_near": (">", 0.70, 0.70),
}
_SHEET = 20


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--weights", type=Path, default=WEIGHTS, metavar="FILE")
    source.add_argument("--run", type=Path, metavar="FOLDER", help="a training run")
    parser.add_argument(
        "--photos", type=Path, metavar="FOLDER", help="with pointing/, instruments/"
    )
    parser.add_argument("--scenes", type=int, default=2000, metavar="N")
    parser.add_argument("--side", type=int, default=336, metavar="PX", help="168 for early stages")
    parser.add_argument("--stop-above", type=float, default=STOP_ABOVE, metavar="P")
    return parser.parse_args()


def _network(args: argparse.Namespace) -> Nano:
    if args.run is None:
        return load_network(args.weights)
    model = Nano()
    optimizer = Optimizer(model)
    checkpoint.load(args.run, model, optimizer)
    return checkpoint.averaged(optimizer, model.config)


def _sheet(pictures: list[NDArray[np.uint8]], path: Path) -> None:
    if not pictures:
        return
    height = max(p.shape[0] for p in pictures)
    width = max(p.shape[1] for p in pictures)
    blank = np.zeros((height, width, 3), np.uint8)
    cells = []
    for picture in pictures[:_SHEET]:
        cell = blank.copy()
        cell[: picture.shape[0], : picture.shape[1]] = picture
        cells.append(cell)
    cells += [blank] * (-len(cells) % 5)
    rows = [np.concatenate(cells[i : i + 5], 1) for i in range(0, len(cells), 5)]
    cv2.imwrite(str(path), np.concatenate(rows)[..., ::-1])


def _worst(rows: list[Scored], is_of_group: Callable[[Scored], bool]) -> list[NDArray[np.uint8]]:
    group = sorted((row for row in rows if is_of_group(row)), key=lambda row: -row.badness)
    return [picture_of(row) for row in group[:_SHEET] if row.badness > 0]


def _save_misses(rows: list[Scored], photos: dict[str, list[PhotoRow]], folder: Path) -> None:
    groups: dict[str, Callable[[Scored], bool]] = {
        "pointing": lambda row: "single_hit" in row.figures or "multi_f1" in row.figures,
        "absent": lambda row: "absent" in row.figures,
        "clock": lambda row: "clock_within_1_min" in row.figures,
        "gauge": lambda row: "gauge_within_2_pct" in row.figures,
    }
    for name, is_of_group in groups.items():
        _sheet(_worst(rows, is_of_group), folder / f"misses_{name}.png")
    for name, found in photos.items():
        misses = [row.picture for row in found if row.is_miss]
        _sheet(misses, folder / f"misses_photo_{name}.png")


def _photo_figures(photos: dict[str, list[PhotoRow]]) -> dict[str, tuple[float, int]]:
    values: dict[str, list[float]] = {}
    for rows in photos.values():
        for row in rows:
            for name, value in row.figures.items():
                values.setdefault(name, []).append(value)
    return {name: (float(np.mean(v)), len(v)) for name, v in values.items()}


def _speed(engine: NanoEngine) -> dict[str, float]:
    """Wall milliseconds on one thread, the median of nine."""
    from molmo_node.messages import Question

    image = np.full((540, 960, 3), 127, np.uint8)
    spans: dict[str, list[float]] = {"encode_ms": [], "count_ms": [], "clock_ms": []}
    for _ in range(9):
        started = time.perf_counter()
        frame = engine.encode(image)
        encoded = time.perf_counter()
        engine.ask(frame, [Question.count("objects")])
        counted = time.perf_counter()
        engine.ask(frame, [Question.read_clock()])
        ends = (encoded - started, counted - encoded, time.perf_counter() - counted)
        for name, span in zip(spans, ends, strict=True):
            spans[name].append(span * 1e3)
    return {name: round(float(np.median(values)), 1) for name, values in spans.items()}


def _print(figures: dict[str, tuple[float, int]]) -> None:
    for name, (value, count) in figures.items():
        if name not in FLOORS:
            print(f"{name:28} {value:8.3f}  n {count}")
            continue
        sense, floor, aim = FLOORS[name]
        met = value >= floor if sense == ">" else value <= floor
        verdict = "met" if met else "MISSED"
        print(f"{name:28} {value:8.3f}  n {count:5}  floor {floor} aim {aim}: {verdict}")


def main() -> int:
    """Run the command line; returns the exit code."""
    args = _arguments()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    engine = NanoEngine(_network(args), args.side, args.stop_above)
    rows = evaluate(engine, args.scenes, KINDS)
    photos = {}
    if args.photos:
        photos["pointing"] = score_pointing(engine, args.photos / "pointing" / "labels.json")
        photos["dials"] = score_dials(engine, args.photos / "instruments" / "labels.json")
    figures = summary(rows) | _photo_figures(photos)
    _print(figures)
    for name, found in photos.items():
        print(f"-- {name}")
        for row in found:
            print(row.line)
    report = {
        "scenes": args.scenes,
        "side_px": args.side,
        "stop_above": args.stop_above,
        "figures": {name: {"value": round(v, 4), "n": n} for name, (v, n) in figures.items()},
        "photos": {name: [row.line for row in found] for name, found in photos.items()},
        "speed": _speed(engine),
    }
    (args.out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    _save_misses(rows, photos, args.out)
    print(json.dumps(report["speed"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
