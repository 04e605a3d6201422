"""Real children: started, killed, hung, looping and stopped."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest
from supervised import SLEEPER, python, wait_until

from molmo_node.supervisor import Backoff, ProcessSpec
from molmo_node.supervisor.parts import ChildProcess

pytestmark = pytest.mark.process

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(600)"
)


def test_a_killed_child_is_started_again_within_a_second(supervise):
    running = supervise(python(SLEEPER))
    running.wait_for_line("child | up")

    killed_s = time.monotonic()
    os.kill(running.state().pid, signal.SIGKILL)
    running.wait_for("started", times=2)

    assert running.when("started")[1] - killed_s < 1.0
    assert running.told("exited")[0].exit_code == -signal.SIGKILL
    assert running.state().restarts == 1


def test_a_crash_loop_backs_off_and_is_failed_with_its_last_lines(supervise):
    code = "import sys\nfor i in range(80): print('line', i)\nsys.exit('no such model')"
    running = supervise(python(code, backoff=Backoff(first_s=0.2, longest_s=0.4)))

    failed = running.wait_for("failed")

    assert failed.exit_code == 1
    assert len(failed.lines) == 50
    assert {"line 79", "no such model"} <= set(failed.lines)
    assert [event.in_s for event in running.told("restarting")] == [0.0, 0.2]
    assert failed.in_s == 0.4
    assert running.state().state == "failed"
    assert running.state().last_lines == failed.lines


def test_a_crash_loop_costs_hardly_any_time(supervise):
    running = supervise(python("raise SystemExit(3)"))
    running.wait_for("restarting", times=2)  # the next start is a second away
    before_s, from_s = time.process_time(), time.monotonic()
    running.wait_for("failed")
    wait_until(lambda: time.monotonic() - from_s > 2.5, "2.5 s of a crash loop")

    share = (time.process_time() - before_s) / (time.monotonic() - from_s)

    assert share < 0.3  # of the test's own process, which polls beside it; a spin would take 1


def test_a_program_that_does_not_exist_is_a_failed_child(supervise):
    running = supervise(ProcessSpec(name="child", argv=("/nonexistent/program",)))

    exited = running.wait_for("exited")

    assert exited.exit_code == 127
    assert "/nonexistent/program: cannot be started (No such file or directory)" in exited.lines


def test_a_hung_child_is_killed_and_started_again(supervise):
    running = supervise(python(SLEEPER), is_hung=lambda name: "busy since 12 s")

    running.wait_for("started", times=2)

    assert [event.reason for event in running.told("killed_hung")] == ["busy since 12 s"]
    assert running.told("exited")[0].exit_code == -signal.SIGKILL


def test_a_stopped_process_that_hangs_is_killed(supervise):
    hung: list[str] = []
    running = supervise(python(SLEEPER), is_hung=lambda name: hung.pop() if hung else None)
    running.wait_for_line("child | up")

    os.kill(running.state().pid, signal.SIGSTOP)
    hung.append("silent")
    running.wait_for("started", times=2)

    assert running.told("killed_hung")[0].reason == "silent"


def test_both_streams_are_passed_on_line_by_line_under_the_childs_name(supervise):
    code = "import sys; print('one'); print('two', file=sys.stderr); print('three', end='')"
    running = supervise(python(code, restart="never"))

    exited = running.wait_for("exited")

    assert sorted(exited.lines) == ["one", "three", "two"]
    assert sorted(running.sink.getvalue().splitlines()) == [
        "child | one",
        "child | three",
        "child | two",
    ]


def test_the_last_words_of_a_stopped_child_are_kept(supervise):
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n    print('x' * 50_000 + chr(10) + 'goodbye', flush=True); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(600)"
    )
    running = supervise(python(code))
    running.wait_for_line("child | up")

    running.end()

    assert running.state().last_lines[-1] == "goodbye"
    assert running.told("stopped")[0].exit_code == 0


def test_a_child_that_is_done_is_left_alone(supervise):
    running = supervise(
        python("pass", name="done", restart="on-failure"),
        python("raise SystemExit(2)", name="once", restart="never"),
    )

    wait_until(lambda: running.code is not None, "the end of both")

    assert running.code == 1
    assert {found.state for found in running.supervisor.states()} == {"stopped"}
    assert len(running.told("started", "done")) == len(running.told("started", "once")) == 1


def test_a_child_waits_until_what_it_needs_is_ready(supervise):
    ready: set[str] = set()
    running = supervise(
        python(SLEEPER, name="worker", needs=("camera",)),
        python(SLEEPER, name="camera"),
        is_ready=lambda name: name in ready,
    )
    running.wait_for_line("camera | up")
    assert running.state("worker").state == "waiting"

    ready.add("camera")
    running.wait_for("started", "worker")

    assert running.when("ready", "camera") < running.when("started", "worker")


def test_a_child_does_not_wait_for_ever_for_what_it_needs(supervise):
    running = supervise(
        python(SLEEPER, name="worker", needs=("camera",)),
        python(SLEEPER, name="camera", ready_within_s=0.2),
        is_ready=lambda name: False,
    )

    running.wait_for("started", "worker")

    assert running.told("not_ready", "camera")


def test_children_stop_before_what_they_need(supervise):
    running = supervise(
        python(SLEEPER, name="sink", needs=("worker",)),
        python(SLEEPER, name="worker", needs=("camera",)),
        python(SLEEPER, name="camera"),
    )
    running.wait_for_line("sink | up")

    code = running.end()

    assert code == 0
    stopped = [event.name for _, event in running.events if event.kind == "stopped"]
    assert stopped == ["sink", "worker", "camera"]


def test_stubborn_children_are_killed_and_all_is_over_within_five_seconds(supervise):
    running = supervise(
        python(STUBBORN, name="worker", needs=("camera",)), python(STUBBORN, name="camera")
    )
    running.wait_for_line("worker | up")

    from_s = time.monotonic()
    running.end()

    assert time.monotonic() - from_s < 5.0
    assert running.told("stopped", "camera")[0].exit_code == -signal.SIGKILL


def test_a_child_that_sleeps_in_a_driver_does_not_hold_up_the_stop(supervise, monkeypatch):
    waited_for = []

    def wait(process, timeout_s):
        waited_for.append(process)
        raise psutil.TimeoutExpired(timeout_s, process.pid)

    monkeypatch.setattr(ChildProcess, "wait", wait)
    running = supervise(python(SLEEPER))
    running.wait_for_line("child | up")

    assert running.end() == 0

    assert running.state().state == "stopped"
    monkeypatch.undo()
    waited_for[0].wait(5)


def test_what_a_child_leaves_behind_is_killed_with_it(supervise):
    code = (
        "import subprocess, sys\n"
        "left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(left.pid, flush=True)"
    )
    running = supervise(python(code, restart="never"))

    exited = running.wait_for("exited")

    left = int(exited.lines[0])
    wait_until(lambda: not psutil.pid_exists(left) or _is_zombie(left), "the end of the grandchild")


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_children_do_not_see_the_service_managers_variables(supervise):
    env = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1", "KEPT": "1"}
    code = "import os; print(sorted(set(os.environ) & {'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'KEPT'}))"
    running = supervise(python(code, restart="never"), env=env)

    assert running.wait_for("exited").lines == ("['KEPT']",)


def test_no_descriptor_is_left_after_many_restarts(supervise):
    running = supervise(
        python("pass", backoff=Backoff(first_s=0.0, starts_per_minute=1000)),
    )
    running.wait_for("started", times=5)
    before = psutil.Process().num_fds()
    running.wait_for("started", times=25)

    assert psutil.Process().num_fds() - before <= 3  # the pipes of a run that is on
