"""Row 23: the disk is full, or may not be written to, while a recording runs."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from molmo_node.messages import Question
from molmo_node.recording.summary import summarize
from tests.support.stack import Process, Stack
from tests.support.waiting import wait_for

# Waits end when what they wait for is there; the limits are for a machine that does much else.
pytestmark = [pytest.mark.process, pytest.mark.timeout(150)]

ROOM_BYTES = 400_000
READY = "recording to"


@pytest.fixture
def full_disk() -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = Path(tempfile.mkdtemp(prefix="mn-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()


class Live:
    """A camera, a worker, and a watch whose answers are seen."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        stack.camera(source="pattern:640x480@30")
        stack.worker({"answers": [{"task": "point", "points": [[1, 2, "it"]]}]})
        self._client = stack.client()
        stack.wait_ready(self._client, "front")
        self._pids = stack.nodes()

    def record(self, out: Path, *args: str) -> Process:
        """Start a recorder."""
        return self._stack.start("record", "record", "--out", str(out), *args)

    def assert_untouched(self) -> None:
        """The same processes answer as before, on new frames, and say nothing of it."""
        with self._client.watch(Question.point("it"), rate_hz=20, idle_s=5) as watch:
            seen = [watch.get(5).frame.seq for _ in range(10)]
        assert seen == sorted(set(seen))
        assert self._stack.nodes() == self._pids
        for name in ("camera.front", "worker"):
            assert "ERROR" not in self._stack.processes[name].output, name


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One for all tests here: what is to be shown is that none of them touches it."""
    run_dir = Path(tempfile.mkdtemp(prefix="mn-"))
    stack = Stack(tmp_path_factory.mktemp("live"), run_dir)
    yield Live(stack)
    stack.close()
    shutil.rmtree(run_dir)


def assert_one_error(process: Process, *said: str) -> None:
    """The recorder ended with a message for a person, once, and no trace."""
    lines = [line for line in process.lines if line.startswith("molmo-node: ")]
    assert len(lines) == 1, process.output
    assert all(word in lines[0] for word in said), lines
    assert "  next: " in process.output
    assert "Traceback" not in process.output


def limit_files(process: Process) -> None:
    """Let no file of this process become longer than `ROOM_BYTES`: as full as a disk can be."""
    psutil.Process(process.pid).rlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, ROOM_BYTES))


def test_full_disk_ends_the_recording_and_nothing_else(live: Live, tmp_path: Path) -> None:
    out = tmp_path / "run.mcap"
    recorder = live.record(out)
    wait_for(lambda: READY in recorder.output, 60, f"the recorder\n{recorder.output}")
    limit_files(recorder)

    assert recorder.wait(within_s=60) == 1

    assert_one_error(recorder, "file too large", "can be read up to byte")
    live.assert_untouched()
    found = summarize(out)
    assert found.damage == "it is cut off"
    assert found.whole_bytes == out.stat().st_size > ROOM_BYTES / 4
    assert found.cameras["front"] > 0
    assert f"up to byte {found.whole_bytes}" in recorder.output


def test_full_file_system_leaves_all_that_was_written(live: Live, full_disk: Path) -> None:
    out = full_disk / "run.mcap"
    recorder = live.record(out)

    assert recorder.wait(within_s=60) == 1

    assert_one_error(recorder, "no space left on device", "can be read up to byte")
    live.assert_untouched()
    found = summarize(out)
    assert found.whole_bytes == out.stat().st_size > 400_000
    assert found.cameras["front"] > 10


def test_folder_that_may_not_be_written_to_is_said_at_once(live: Live, tmp_path: Path) -> None:
    with read_only(tmp_path) as folder:
        recorder = live.record(folder / "run.mcap")

        assert recorder.wait(within_s=60) == 2

        assert_one_error(recorder, str(folder / "run.mcap"), "cannot be made")
    live.assert_untouched()


def test_next_file_that_cannot_be_made_ends_the_recording(live: Live, tmp_path: Path) -> None:
    folder = tmp_path / "taken-away"
    folder.mkdir()
    recorder = live.record(folder / "run.mcap", "--split-s", "1")
    wait_for(lambda: len(list(folder.iterdir())) == 2, 60, f"a split\n{recorder.output}")

    moved = folder.rename(tmp_path / "moved")

    assert recorder.wait(within_s=60) == 2
    assert_one_error(recorder, "run-", "cannot be made")
    live.assert_untouched()
    assert all(not summarize(path).damage for path in moved.iterdir())


@pytest.mark.parametrize(("number", "at_once"), [(signal.SIGTERM, True), (signal.SIGINT, False)])
def test_stopped_at_any_moment_it_leaves_a_whole_file(
    live: Live, tmp_path: Path, number: signal.Signals, at_once: bool
) -> None:
    out = tmp_path / "run.mcap"
    recorder = live.record(out)
    is_up = out.exists if at_once else lambda: READY in recorder.output
    wait_for(is_up, 60, "the file")

    recorder.send(number)

    assert recorder.wait() == (130 if number == signal.SIGINT else 0), recorder.output
    assert "Traceback" not in recorder.output
    assert summarize(out).damage == ""


class read_only:  # noqa: N801  reads like open()
    """A folder in which this user can make nothing: by its mode, or for root by its kind."""

    def __init__(self, parent: Path) -> None:
        self._folder = parent / "read-only"

    def __enter__(self) -> Path:
        self._folder.mkdir()
        self._folder.chmod(0o555)
        try:
            (self._folder / "probe").touch()
        except OSError:
            return self._folder
        return Path("/proc/self")  # root is held back by no mode, but makes no file there

    def __exit__(self, *_: object) -> None:
        self._folder.chmod(0o755)
        shutil.rmtree(self._folder)
