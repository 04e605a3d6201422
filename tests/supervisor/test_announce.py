"""What the supervisor says on the bus."""

from __future__ import annotations

import pytest

from molmo_node.client import Client
from molmo_node.messages import ProcessHealth, Status
from molmo_node.supervisor import Announcer, Backoff, ChildState, ProcessEvent
from molmo_node.supervisor.announce import LINES, LINES_BYTES
from tests.supervisor.supervised import Running, python
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process


def heard(run_dir, is_it) -> Status:
    with Client(run_dir=run_dir) as client, client.statuses(idle_s=8) as statuses:
        return next(
            status
            for status in statuses
            if status.node == "supervisor" and status.processes and is_it(status)
        )


def of(status: Status, name: str) -> ProcessHealth:
    return next(one for one in status.processes if one.name == name)


def test_a_death_is_told_with_its_code_and_last_lines(run_dir):
    code = "import sys; print('no such camera'); print('giving up', file=sys.stderr); sys.exit(3)"
    runs: list[Running] = []
    with Announcer(run_dir, lambda: [s for run in runs for s in run.supervisor.states()]) as told:
        running = Running(
            python(code, "broken", backoff=Backoff(first_s=30.0)),
            python("import time; time.sleep(600)", "well"),
            on_event=told.note,
        )
        runs.append(running)
        try:
            status = heard(run_dir, lambda s: of(s, "broken").lines and s.state == "degraded")
        finally:
            running.end()

    broken = of(status, "broken")
    assert (broken.exit_code, broken.state) in [(3, "restarting"), (3, "failed")]
    assert set(broken.lines) == {"no such camera", "giving up"}
    assert broken.exited_ns
    assert of(status, "well").state == "running"
    assert of(status, "well").lines == ()


def test_a_supervisor_says_goodbye_and_leaves_its_name_free(run_dir):
    states = [ChildState("well", "running", 1, True, 0, None, ())]
    for _ in range(2):
        with Announcer(run_dir, lambda: states):
            assert heard(run_dir, lambda s: s.state == "ready").kind == "supervisor"

    assert not list(run_dir.glob("supervisor*"))


def test_a_flood_of_long_lines_stays_within_a_status(run_dir):
    names = [f"child-{number}" for number in range(20)]
    states = [ChildState(name, "failed", None, False, 9, 1, ()) for name in names]
    lines = tuple("x" * 4000 for _ in range(50))
    with Announcer(run_dir, lambda: states) as announcer:
        for name in names:
            announcer.note(ProcessEvent("exited", name, exit_code=1, lines=(*lines, "the last")))
        status = heard(run_dir, lambda s: all(one.lines for one in s.processes))

    assert sum(len(line) for one in status.processes for line in one.lines) <= LINES_BYTES
    assert all(one.lines[-1] == "the last" and len(one.lines) <= LINES for one in status.processes)


def test_the_reason_of_a_killed_process_outlives_its_end(run_dir):
    states = [ChildState("worker", "restarting", None, False, 1, -9, ())]
    with Announcer(run_dir, lambda: states) as announcer:
        announcer.note(ProcessEvent("killed_hung", "worker", reason="silent for 3.1 s"))
        announcer.note(ProcessEvent("exited", "worker", exit_code=-9))
        status = heard(run_dir, lambda s: of(s, "worker").exit_code == -9)

    assert of(status, "worker").reason == "silent for 3.1 s"
    wait_for(lambda: not list(run_dir.glob("supervisor*")), 2, "its files are gone")
