"""Figures into medians, ratios against raw ZeroMQ, and verdicts on what is required."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

from tools.transport.base import BASELINE, Case
from tools.transport.run import CaseResult

VIEW, COPY = "ours-view", "ours-copy"
VIEW_RATIO, COPY_RATIO, CPU_RATIO = 0.5, 0.75, 0.4
BUSY_MARGIN_MS = 20.0
INTEGRITY_FRAMES = 100_000

Figure = Callable[[CaseResult], float]


@dataclass(frozen=True)
class Group:
    """Cases that differ in their peer only. `rounds` holds one result a peer and round."""

    name: str
    case: Case
    rounds: list[dict[str, CaseResult]]

    def peers(self) -> list[str]:
        """Those with at least one result, in the order they ran."""
        return list(dict.fromkeys(peer for results in self.rounds for peer in results))

    def median(self, peer: str, figure: Figure) -> float | None:
        """Over the rounds in which this peer ran; None if it never did."""
        values = [figure(results[peer]) for results in self.rounds if peer in results]
        return median(values) if values else None

    def ratio(self, peer: str, figure: Figure) -> float | None:
        """Against raw ZeroMQ of the same round, then the median: the machine's mood cancels."""
        values = [
            figure(results[peer]) / base
            for results in self.rounds
            if peer in results and BASELINE in results and (base := figure(results[BASELINE])) > 0
        ]
        return median(values) if values else None


@dataclass(frozen=True)
class Verdict:
    """One requirement, what was found, and whether that is enough; None was not measured."""

    requirement: str
    found: float | None
    most: float
    unit: str = ""

    @property
    def is_met(self) -> bool:
        """Whether it was measured and is enough."""
        return self.found is not None and self.found <= self.most

    @property
    def line(self) -> str:
        """As printed."""
        word = "PASS      " if self.is_met else "FALL-SHORT"
        found = "not measured" if self.found is None else f"{self.found:.2f}{self.unit}"
        return f"{word} {self.requirement}: {found} (at most {self.most:g}{self.unit})"


def p50_ms(result: CaseResult) -> float:
    """Publish to usable array, the slowest subscriber's median."""
    return result.p50_ms


def publisher_cpu_ms(result: CaseResult) -> float:
    """CPU of the publisher's process a frame, and of the daemon that some peers have."""
    return result.publisher.cpu_ms + result.broker_cpu_ms


def judge_rate(group: Group) -> list[Verdict]:
    """The requirements on 1080p at 30 Hz to three subscribers."""
    cpu = [ratio for peer in (VIEW, COPY) if (ratio := group.ratio(peer, publisher_cpu_ms))]
    return [
        Verdict(f"{group.name}: view p50 / raw ZeroMQ", group.ratio(VIEW, p50_ms), VIEW_RATIO),
        Verdict(f"{group.name}: copy p50 / raw ZeroMQ", group.ratio(COPY, p50_ms), COPY_RATIO),
        Verdict(f"{group.name}: publisher CPU / raw ZeroMQ", max(cpu, default=None), CPU_RATIO),
    ]


def judge_busy(group: Group) -> list[Verdict]:
    """The age of what a busy consumer gets: one period and a margin."""
    most_ms = 1e3 / group.case.rate_hz + BUSY_MARGIN_MS
    return [
        Verdict(f"{group.name}: {peer} age p50", group.median(peer, p50_ms), most_ms, " ms")
        for peer in (VIEW, COPY)
    ]


def judge_integrity(group: Group) -> list[Verdict]:
    """No frame that was handed over as whole may be another picture than its number says."""
    verdicts = []
    for peer in (VIEW, COPY):
        results = [results[peer] for results in group.rounds if peer in results]
        checked = sum(report.checked for r in results for report in r.subscribers)
        wrong = sum(result.wrong for result in results) if checked >= INTEGRITY_FRAMES else None
        verdicts.append(Verdict(f"{group.name}: {peer} wrong or torn of {checked}", wrong, 0))
    return verdicts


def table(group: Group) -> Iterable[str]:
    """The group's figures, a line a peer: medians over the rounds."""
    yield f"\n{group.name}, medians of {len(group.rounds)} rounds"
    yield (
        f"  {'transport':<10} {'p50 ms':>8} {'p99 ms':>8} {'/ raw':>6}"
        f" {'pub CPU ms':>10} {'/ raw':>6} {'sub CPU ms':>10}"
        f" {'checked':>8} {'wrong':>5} {'passed over':>11}"
    )
    for peer in group.peers():
        results = [results[peer] for results in group.rounds if peer in results]
        reports = [report for result in results for report in result.subscribers]
        yield (
            f"  {peer:<10} {_number(group.median(peer, p50_ms)):>8}"
            f" {_number(group.median(peer, lambda r: r.p99_ms)):>8}"
            f" {_number(group.ratio(peer, p50_ms)):>6}"
            f" {_number(group.median(peer, publisher_cpu_ms)):>10}"
            f" {_number(group.ratio(peer, publisher_cpu_ms)):>6}"
            f" {_number(median(report.cpu_ms for report in reports)):>10}"
            f" {sum(report.checked for report in reports):>8}"
            f" {sum(report.wrong for report in reports):>5}"
            f" {sum(report.passed_over for report in reports):>11}"
        )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
