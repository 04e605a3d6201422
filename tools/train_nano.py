"""Train molmo-nano, from nothing or from where a run was stopped.

    python -m tools.train_nano --run FOLDER                     go on until the recipe's end
    python -m tools.train_nano --run FOLDER --cpu-minutes 30    go on for half an hour
    python -m tools.train_nano --run FOLDER --data labels.json  teach the shipped model own pictures
    python -m tools.train_nano --run FOLDER --export FILE       write the weights to ship

CPU or GPU by what is there. The folder holds the checkpoint, curve.jsonl and curve.png.
docs/nano.md describes the recipe and the format of labels.json.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from molmo_node.errors import MolmoNodeError
from molmo_node.models.nano.weights import WEIGHTS
from tools.nano_training.checkpoint import Progress, export
from tools.nano_training.drawing import RecipeBatches
from tools.nano_training.labels import OwnBatches, read_labels
from tools.nano_training.loop import Limits, Run
from tools.nano_training.recipe import FINE_TUNING


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--data", type=Path, metavar="LABELS_JSON")
    parser.add_argument(
        "--start-from", type=Path, metavar="FILE", help="exported weights, where a run was lost"
    )
    parser.add_argument(
        "--cutouts", type=Path, metavar="FILE", help="of tools.make_cutouts, for the last stages"
    )
    parser.add_argument("--export", type=Path, metavar="FILE")
    parser.add_argument("--until-step", type=int, default=1 << 40, metavar="STEP")
    parser.add_argument("--cpu-minutes", type=float, default=1e9, metavar="MINUTES")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--drawing-processes", type=int, default=1, metavar="N")
    parser.add_argument("--evaluate-every", type=int, default=500, metavar="STEPS")
    parser.add_argument("--evaluate-scenes", type=int, default=100, metavar="N")
    return parser.parse_args()


def _print_row(row: dict[str, Any]) -> None:
    print(json.dumps(row), flush=True)


def _make_run(args: argparse.Namespace, stop: list[int]) -> Run:
    limits = Limits(
        until_step=args.until_step,
        cpu_s=args.cpu_minutes * 60,
        evaluate_every=args.evaluate_every,
        evaluate_scenes=args.evaluate_scenes,
        drawing_processes=args.drawing_processes,
        threads=args.threads,
    )
    run = Run(args.run, torch.device(args.device), limits, _print_row)
    run.should_stop = lambda: bool(stop)
    run.start_from, run.keeps_progress = args.start_from, args.start_from is not None
    run.maker = RecipeBatches(args.cutouts)
    if args.data:
        run.recipe = FINE_TUNING
        run.maker = OwnBatches(read_labels(args.data), FINE_TUNING.stages[0])
        run.start_from, run.keeps_progress = args.start_from or WEIGHTS, False
    run.limits = limits.up_to(run.recipe.total_steps)
    return run


def _report(progress: Progress) -> None:
    print(f"step {progress.step}, {progress.pictures} pictures, {progress.cpu_s:.0f} CPU-s")


def main() -> int:
    """Run the command line; returns the exit code."""
    args, stop = _arguments(), []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda caught, frame: stop.append(caught))
    try:
        if args.export:
            print(f"{args.export}  sha256 {export(args.run, args.export)}")
        else:
            _report(_make_run(args, stop).go_on())
    except MolmoNodeError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
