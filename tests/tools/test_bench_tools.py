"""The benchmarks count right: a benchmark that cannot fail shows nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from molmo_node.imaging import decode_rgb, encode_jpeg
from tools.node.marks import draw_mark, read_mark
from tools.pictures import checksum, photo_like
from tools.transport.base import KINDS, WARMUP_FRAMES, Case, Received
from tools.transport.judge import Group, Verdict, judge_integrity, judge_rate
from tools.transport.meter import Meter, PublisherReport, SubscriberReport
from tools.transport.run import CaseResult

ROOT = Path(__file__).resolve().parents[2]
PICTURES = photo_like(64, 48, 3)
SUMS = [checksum(picture) for picture in PICTURES]


def received(number: int, picture: int, is_whole: bool = True) -> Received:
    return Received(WARMUP_FRAMES + number, 0, PICTURES[picture], lambda: is_whole)


def first_with(picture: int) -> int:
    """The first counted number that stands for this picture."""
    return (picture - WARMUP_FRAMES) % len(PICTURES)


def result(
    peer: str, p50_ms: float, cpu_ms: float, checked: int = 100, wrong: int = 0
) -> CaseResult:
    case = Case(peer, 1920, 1080, 3, 30.0, 100)
    report = SubscriberReport(checked, wrong, 0, p50_ms, p50_ms, 1.0)
    return CaseResult(case, PublisherReport(100, cpu_ms), [report])


def test_a_frame_with_the_picture_of_another_number_is_wrong():
    meter = Meter(SUMS)
    meter.note(received(first_with(0), picture=1))
    assert (meter.checked, meter.wrong) == (1, 1)


def test_a_frame_that_comes_again_is_wrong():
    meter = Meter(SUMS)
    for _ in range(2):
        meter.note(received(first_with(1), picture=1))
    assert meter.wrong == 1


def test_a_frame_that_was_found_overwritten_is_passed_over():
    meter = Meter(SUMS)
    meter.note(received(first_with(0), picture=1, is_whole=False))
    assert (meter.checked, meter.wrong, meter.passed_over) == (0, 0, 1)


def test_warm_up_frames_do_not_count():
    meter = Meter(SUMS)
    assert not meter.note(Received(WARMUP_FRAMES - 1, 0, PICTURES[0]))
    assert meter.checked == 0


@pytest.mark.parametrize("changed", [0, 1000, 64 * 48 * 3 - 1])
def test_a_checksum_sees_one_changed_byte(changed: int):
    image = PICTURES[0].copy()
    image.reshape(-1)[changed] ^= 1
    assert checksum(image) != SUMS[0]


def test_ratios_are_taken_within_a_round():
    rounds = [
        {"ours-view": result("ours-view", 1.0, 1.0), "raw-zmq": result("raw-zmq", 4.0, 4.0)},
        {"ours-view": result("ours-view", 10.0, 9.0), "raw-zmq": result("raw-zmq", 40.0, 36.0)},
    ]
    group = Group("g", result("", 0, 0).case, rounds)
    assert group.ratio("ours-view", lambda found: found.p50_ms) == pytest.approx(0.25)


def test_a_peer_that_did_not_run_falls_short():
    group = Group("g", result("", 0, 0).case, [{"ours-view": result("ours-view", 1.0, 1.0)}])
    assert not any(verdict.is_met for verdict in judge_rate(group))


def test_too_few_checked_frames_prove_nothing():
    group = Group("g", result("", 0, 0).case, [{"ours-view": result("ours-view", 1.0, 1.0)}])
    assert [verdict.found for verdict in judge_integrity(group)] == [None, None]


def test_one_wrong_frame_falls_short():
    rounds = [{"ours-view": result("ours-view", 1.0, 1.0, checked=100_000, wrong=1)}]
    view, _ = judge_integrity(Group("g", result("", 0, 0).case, rounds))
    assert not view.is_met
    assert view.line.startswith("FALL-SHORT")


def test_a_verdict_names_what_was_found_and_what_is_allowed():
    assert Verdict("age", 12.345, 53.3, " ms").line == "PASS       age: 12.35 ms (at most 53.3 ms)"


@pytest.mark.parametrize("number", [0, 1, 96, 0xA5A5, 0xFFFF])
def test_a_mark_survives_jpeg(number: int):
    picture = photo_like(320, 240, 1)[0]
    draw_mark(picture, number)
    jpeg = encode_jpeg(picture)
    assert read_mark(decode_rgb(jpeg, "jpeg", 320, 240)) == number


def test_a_picture_without_a_mark_has_no_number():
    assert read_mark(np.zeros((240, 320, 3), np.uint8)) is None


@pytest.mark.process
def test_the_transport_benchmark_measures_and_judges(tmp_path: Path):
    figures = tmp_path / "figures.jsonl"
    arguments = ["--sizes", "vga", "--subscribers", "1", "--seconds", "0.3", "--rounds", "1"]
    arguments += ["--peers", "ours-view,raw-zmq", "--integrity-frames", "50", "--no-busy"]

    done = subprocess.run(
        [sys.executable, ROOT / "tools/bench_transport.py", *arguments, "--json", figures],
        capture_output=True, text=True, timeout=50,
    )  # fmt: skip

    rows = [json.loads(line) for line in figures.read_text().splitlines()]
    checked = {row["case"]["peer"]: row["subscribers"][0] for row in rows if "case" in row}
    assert set(checked) == {"ours-view", "raw-zmq"} <= set(KINDS)
    assert all(report["checked"] > 0 and report["wrong"] == 0 for report in checked.values())
    assert done.returncode == 1  # 50 frames prove nothing
    assert "FALL-SHORT" in done.stdout
