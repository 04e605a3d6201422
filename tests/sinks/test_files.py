"""Files of a running sink: full disks, forbidden folders, and the console."""

from __future__ import annotations

import csv
import json
import resource
import sys
from pathlib import Path

import psutil
import pytest

from molmo_node.sinks.records import iso
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

# Root may write everywhere as long as it has these capabilities; others have none to lose.
LIKE_A_USER = """
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def only_file(folder: Path, suffix: str) -> Path:
    return wait_for(lambda: next(folder.glob(f"*.{suffix}"), None), 15, f"a {suffix} file")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def collect(answers, count: int) -> list[str]:
    """The capture times of so many answers of the bus."""
    return [iso(answers.get(20).frame.stamp_ns) for _ in range(count)]


def test_a_full_disk_is_one_error_and_nothing_is_lost_once_there_is_room(node, tmp_path):
    folder = tmp_path / "readings"
    process = node.sink("csv", {"folder": str(folder)})
    path = only_file(folder, "csv")
    wait_for(lambda: len(rows(path)) >= 2, 10, "rows")
    held = psutil.Process(process.pid)
    _, most = held.rlimit(resource.RLIMIT_FSIZE)

    with node.client.answers(watch="pressure") as answers:
        held.rlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 40, most))
        status = node.sink_status("csv", lambda status: status.state == "degraded")
        times = collect(answers, 5)
        full = path.read_text()
        held.rlimit(resource.RLIMIT_FSIZE, (most, most))
        node.sink_status("csv", lambda status: status.state == "ready" and not status.queue_length)

    assert f"{folder}: cannot be written (file too large)" in status.detail
    assert "make room" in status.detail
    assert full.endswith("\n")
    wait_for(lambda: set(times) <= {row["time"] for row in rows(path)}, 10, "every answer")
    assert process.output.count("ERROR") == 1


def test_a_folder_that_may_not_be_written_is_one_error_until_it_may(node, tmp_path):
    folder = tmp_path / "readings"
    folder.mkdir(mode=0o500)
    config = node.stack.file(
        "jsonl.yaml", json.dumps({"sinks": {"jsonl": {"folder": str(folder)}}})
    )
    process = node.stack.run(
        "sink.jsonl",
        [sys.executable, "-c", LIKE_A_USER, "-m", "molmo_node", "sink", "jsonl", "-c", str(config)],
    )
    status = node.sink_status("jsonl", lambda status: status.state == "degraded")
    assert "permission denied" in status.detail

    folder.chmod(0o700)
    path = only_file(folder, "jsonl")
    answer = wait_for(lambda: [*map(json.loads, path.read_text().splitlines())], 10, "a line")[0]

    assert answer["watch"] in ("pressure", "absent")
    assert answer["frame"]["camera"] == "bench"
    assert process.output.count("ERROR") == 1


def test_the_console_prints_a_line_an_answer(node):
    process = node.sink("console", {"watches": ["pressure"]})

    line = wait_for(
        lambda: next((one for one in process.lines if " bench pressure " in one), None),
        20,
        "a line",
    )

    assert " MPa ±" in line
    assert not [one for one in process.lines if " absent " in one]
