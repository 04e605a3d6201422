"""The rules of restarting, cutting lines and telling systemd, without a process."""

from __future__ import annotations

import io
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molmo_node import config
from molmo_node.supervisor import Backoff, launch, process_specs
from molmo_node.supervisor.backoff import RestartSchedule
from molmo_node.supervisor.notify import ServiceManager
from molmo_node.supervisor.output import LONGEST_LINE_BYTES, Output


def starts_of_a_crash_loop(ran_s: float, until_s: float) -> list[float]:
    schedule, now_s, starts = RestartSchedule(Backoff()), 0.0, []
    while now_s < until_s:
        starts.append(now_s)
        schedule.started(now_s)
        now_s += ran_s
        now_s += schedule.died(now_s)
    return starts


def test_a_crash_loop_starts_at_once_then_after_1_2_4_and_up_to_30_s():
    starts = starts_of_a_crash_loop(ran_s=0.0, until_s=200)

    assert starts == [0, 0, 1, 3, 7, 15, 60, 90, 120, 150, 180]


@given(ran_s=st.floats(0.0, 40.0))
def test_there_are_never_more_than_six_starts_in_a_minute(ran_s):
    starts = starts_of_a_crash_loop(ran_s, until_s=600)

    for index in range(len(starts) - 6):
        assert starts[index + 6] - starts[index] >= 60 - 1e-6


def test_a_process_that_ran_long_starts_at_once_and_is_forgiven():
    schedule = RestartSchedule(Backoff())
    for now_s in (0.0, 100.0, 200.0):
        schedule.started(now_s)
        schedule.died(now_s + 1)
    assert schedule.is_failing

    schedule.started(300)

    assert schedule.died(400) == 0.0
    assert not schedule.is_failing


def cut(*pieces: bytes) -> tuple[str, ...]:
    output = Output("child", None)
    for piece in pieces:
        output({"name": "stdout", "data": piece, "pid": 1})
    output.end()
    return output.lines


def test_lines_are_put_together_from_pieces():
    assert cut(b"on", b"e\ntw", b"o\r\n", b"end") == ("one", "two", "end")


def test_a_line_without_end_is_cut():
    lines = cut(b"x" * (2 * LONGEST_LINE_BYTES + 5))

    assert [len(line) for line in lines] == [LONGEST_LINE_BYTES, LONGEST_LINE_BYTES, 5]


@given(st.lists(st.binary(max_size=200)))
def test_any_bytes_become_at_most_fifty_lines(pieces):
    assert len(cut(*pieces)) <= 50


def test_a_closed_terminal_is_no_fault():
    sink = io.StringIO()
    output = Output("child", sink)
    sink.close()

    output({"name": "stdout", "data": b"one\n", "pid": 1})

    assert output.lines == ("one",)


@pytest.fixture
def manager(monkeypatch, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "n"))
        listener.settimeout(1)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
        monkeypatch.setenv("WATCHDOG_USEC", "2000000")
        yield listener


def test_the_service_manager_is_told_once_that_all_is_ready(manager):
    service = ServiceManager()

    for _ in range(3):
        service.ready()
    service.tell("STOPPING=1")

    assert [manager.recv(64), manager.recv(64)] == [b"READY=1", b"STOPPING=1"]


def test_the_watchdog_is_fed_at_half_its_time(manager):
    service = ServiceManager()

    for now_s in (10.0, 10.5, 10.9, 11.0):
        service.alive(now_s)

    manager.setblocking(False)
    assert [manager.recv(64), manager.recv(64)] == [b"WATCHDOG=1", b"WATCHDOG=1"]
    with pytest.raises(BlockingIOError):
        manager.recv(64)


def test_without_a_service_manager_nothing_is_told(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)

    ServiceManager().ready()


def test_a_service_manager_that_is_gone_is_no_fault(monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))

    ServiceManager().ready()


def test_without_a_list_each_camera_and_a_worker_are_started():
    loaded = config.load(None, {}, {"cameras": [{"name": "front"}, {"name": "back"}]})

    specs = process_specs(loaded)

    assert [spec.argv[1:] for spec in specs] == [
        ("-m", "molmo_node", "camera", "--name", "front"),
        ("-m", "molmo_node", "camera", "--name", "back"),
        ("-m", "molmo_node", "worker"),
        ("-m", "molmo_node", "web"),
    ]
    assert config.load(None, specs[0].env).settings == loaded.settings


def test_a_camera_of_another_host_is_not_started_here(tmp_path):
    (tmp_path / "node.key_secret").touch()
    cameras = [
        {"name": name, "endpoint": endpoint}
        for name, endpoint in [
            ("far", "tcp://10.0.0.9:5760"),
            ("shown", "tcp://*:5760"),
            ("near", "tcp://127.0.0.1:5770"),
        ]
    ]
    flags = {"cameras": cameras, "security.keys_dir": str(tmp_path)}

    specs = process_specs(config.load(None, {}, flags))

    assert [spec.name for spec in specs] == ["camera-shown", "camera-near", "worker", "page"]


@pytest.mark.parametrize("why", ["off", "not installed"])
def test_no_page_is_started_where_it_is_off_or_its_extra_is_missing(monkeypatch, why):
    if why == "not installed":
        monkeypatch.setattr(launch, "PAGE_NEEDS", ("starlette", "no_such_package"))
    flags = {"cameras": [{"name": "front"}], "web.enabled": why != "off"}

    specs = process_specs(config.load(None, {}, flags))

    assert [spec.name for spec in specs] == ["camera-front", "worker"]


@pytest.mark.process
def test_loading_circus_leaves_the_root_logger_alone():
    code = (
        "import logging; import molmo_node.supervisor;"
        "raise SystemExit(len(logging.getLogger().handlers))"
    )

    assert subprocess.run([sys.executable, "-c", code], timeout=20).returncode == 0
