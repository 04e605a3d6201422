"""Train molmo-nano, from nothing or from where a run was stopped.

    python -m tools.train_nano --run FOLDER                  # go on until the recipe's end
    python -m tools.train_nano --run FOLDER --cpu-minutes 30 # go on for half an hour

CPU or GPU by what is there. The folder holds the checkpoint, the curve (curve.jsonl, curve.png)
and, after `--export`, the weights to ship. See docs/nano.md.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from tools.nano_training import recipe
from tools.nano_training.loop import Limits, Run


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, required=True, help="the run's folder")
    parser.add_argument("--until-step", type=int, default=recipe.total_steps())
    parser.add_argument("--cpu-minutes", type=float, default=1e9, metavar="MINUTES")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--drawing-processes", type=int, default=1, metavar="N")
    parser.add_argument("--evaluate-every", type=int, default=500, metavar="STEPS")
    parser.add_argument("--evaluate-scenes", type=int, default=100, metavar="N")
    return parser.parse_args()


def main() -> int:
    """Run the command line; returns the exit code."""
    args = _arguments()
    asked_to_stop = False

    def on_signal(number: int, frame: object) -> None:
        nonlocal asked_to_stop
        asked_to_stop = True

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)

    def on_row(row: dict[str, Any]) -> None:
        print(json.dumps(row), flush=True)

    limits = Limits(
        until_step=args.until_step,
        cpu_s=args.cpu_minutes * 60,
        evaluate_every=args.evaluate_every,
        evaluate_scenes=args.evaluate_scenes,
        drawing_processes=args.drawing_processes,
        threads=args.threads,
    )
    run = Run(
        args.run, torch.device(args.device), limits, on_row, should_stop=lambda: asked_to_stop
    )
    progress = run.go_on()
    print(f"step {progress.step}, {progress.pictures} pictures, {progress.cpu_s:.0f} CPU-s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
