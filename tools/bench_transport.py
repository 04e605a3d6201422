"""Measures frame transport between processes of this machine, beside its peers.

    python tools/bench_transport.py [--json FILE]

Three kinds of runs, each with a publisher process and subscriber processes: paced at 30 Hz,
paced with subscribers that are busy 0.3 s a frame, and unpaced with a checksum of every frame.
All peers take turns within every round, and ratios are taken within a round, so that other
work on the machine falls on all alike. docs/transport.md says more.

Exit code 0 when every requirement is met, 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # when run as a file

from tools.transport import judge
from tools.transport.base import BASELINE, KINDS, Case
from tools.transport.judge import Group, Verdict
from tools.transport.run import Bench, CaseFailed, CaseResult, missing

SIZES = {"vga": (640, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
RATE_HZ = 30.0
BUSY_S = 0.3
BUSY_FRAMES = 240  # a busy subscriber takes every tenth, so this run lasts longer
INTEGRITY_SIZE = (320, 240)


@dataclass(frozen=True)
class Plan:
    """What to run, how often, with whom, and what it must show (None: figures only)."""

    group: Group
    rounds: int
    peers: list[str]
    verdicts: Callable[[Group], list[Verdict]]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, judge."""
    options = _parser().parse_args(arguments)
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="molmo-bench-") as folder:
        bench = Bench(Path(folder), dict(pair.split("=", 1) for pair in options.python))
        peers = [peer for peer in options.peers.split(",") if _is_there(peer, bench)]
        plans = _plans(options, peers)
        for plan in plans:
            for _ in range(plan.rounds):
                plan.group.rounds.append(_round(bench, plan))
            print(*judge.table(plan.group), sep="\n", flush=True)
            verdicts += plan.verdicts(plan.group)
    print("", *(verdict.line for verdict in verdicts), sep="\n")
    if options.json:
        _save(options.json, [plan.group for plan in plans], verdicts)
    return 0 if all(verdict.is_met for verdict in verdicts) else 1


def _plans(options: argparse.Namespace, peers: list[str]) -> list[Plan]:
    frames = int(options.seconds * RATE_HZ)
    plans = []
    for size in options.sizes.split(","):
        for subscribers in options.subscribers:
            case = Case("", *SIZES[size], subscribers, RATE_HZ, frames)
            group = Group(f"{size} 30 Hz x{subscribers}", case, [])
            is_judged = (size, subscribers) == ("1080p", 3)
            plans.append(
                Plan(group, options.rounds, peers, judge.judge_rate if is_judged else _nothing)
            )
        if options.no_busy:
            continue
        case = Case("", *SIZES[size], 1, RATE_HZ, BUSY_FRAMES, busy_s=BUSY_S)
        group = Group(f"{size} 30 Hz busy {BUSY_S} s", case, [])
        plans.append(Plan(group, options.rounds, peers, judge.judge_busy))
    own = [peer for peer in peers if peer in (judge.VIEW, judge.COPY)]
    case = Case("", *INTEGRITY_SIZE, 1, 0.0, 0, checked_frames=options.integrity_frames)
    plans.append(Plan(Group("320x240 unpaced", case, []), 1, own, judge.judge_integrity))
    return plans


def _round(bench: Bench, plan: Plan) -> dict[str, CaseResult]:
    results = {}
    for peer in plan.peers:
        try:
            results[peer] = bench.run(replace(plan.group.case, peer=peer))
        except CaseFailed as exc:
            print(f"{plan.group.name}, {peer}: no result, {exc}", file=sys.stderr, flush=True)
    return results


def _nothing(group: Group) -> list[Verdict]:
    """Figures without a requirement."""
    return []


def _is_there(peer: str, bench: Bench) -> bool:
    reason = missing(peer, bench.python(peer))
    if reason:
        print(f"{peer}: skipped, {reason}", file=sys.stderr)
    return not reason


def _save(path: Path, groups: list[Group], verdicts: list[Verdict]) -> None:
    """One object a line: every result, then every verdict."""
    with path.open("w") as file:
        for group in groups:
            for number, results in enumerate(group.rounds):
                for result in results.values():
                    row = {"group": group.name, "round": number, **asdict(result)}
                    file.write(json.dumps(row) + "\n")
        for verdict in verdicts:
            file.write(json.dumps({**asdict(verdict), "is_met": verdict.is_met}) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--sizes", default="vga,1080p", metavar="LIST", help="of " + ", ".join(SIZES)
    )
    parser.add_argument("--subscribers", type=int, nargs="+", default=[1, 3], metavar="N")
    parser.add_argument("--seconds", type=float, default=4.0, help="of counted frames a run")
    parser.add_argument("--rounds", type=int, default=3, help="times all peers take their turn")
    parser.add_argument(
        "--peers", default=",".join(KINDS), metavar="LIST", help=f"with {BASELINE} for ratios"
    )
    parser.add_argument("--integrity-frames", type=int, default=judge.INTEGRITY_FRAMES, metavar="N")
    parser.add_argument("--no-busy", action="store_true", help="leave out the busy subscribers")
    parser.add_argument(
        "--python", action="append", default=[], metavar="PEER=FILE",
        help="the interpreter of a peer that lives in another environment",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="every figure, one object a line")
    return parser


if __name__ == "__main__":
    sys.exit(main())
