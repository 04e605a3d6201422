"""A camera process and a worker process on a private stage of their own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from molmo_node.bus.lock import running_nodes
from molmo_node.client import Client
from molmo_node.errors import MolmoNodeError
from molmo_node.imaging import encode_jpeg
from tools.node.marks import draw_mark
from tools.pictures import photo_like

ROOT = Path(__file__).resolve().parents[2]
CAMERA = "front"
PICTURES = 97  # prime: a mix-up by a ring's slots or by a batch is another picture
BACKGROUNDS = 7
READY_S = 30.0
STOP_S = 8.0
SCRIPT = "answers:\n  - points: [[640.0, 360.0, centre]]\n"


def make_pictures(folder: Path, width: int, height: int) -> int:
    """Write `PICTURES` marked JPEG files, in the order of their marks.

    Returns:
        The mean length of a file in bytes.
    """
    backgrounds = photo_like(width, height, BACKGROUNDS)
    lengths = []
    for number in range(PICTURES):
        picture = backgrounds[number % BACKGROUNDS].copy()
        draw_mark(picture, number)
        body = encode_jpeg(picture)
        (folder / f"{number:03d}.jpg").write_bytes(body)
        lengths.append(len(body))
    return sum(lengths) // len(lengths)


@contextlib.contextmanager
def running(run_dir: Path, pictures: Path, rate_hz: float, worker: list[str]) -> Iterator[Client]:
    """A camera that plays the pictures, a worker, and a client of theirs.

    Args:
        worker: its arguments after the interpreter.

    Raises:
        TimeoutError: they were not ready in time.
    """
    camera = ["-m", "molmo_node", "camera", "--name", CAMERA, "--source", str(pictures)]
    camera += ["--fps", str(rate_hz), "--run-dir", str(run_dir)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(_process(camera))
        _wait_for_camera(run_dir)
        stack.enter_context(_process(worker))
        client = stack.enter_context(Client(run_dir=run_dir, connect_s=READY_S))
        _wait_until_ready(client)
        yield client


def scripted_worker(run_dir: Path, folder: Path) -> list[str]:
    """The command line of a worker whose engine answers at once."""
    script = folder / "script.yaml"
    script.write_text(SCRIPT)
    model = f"scripted:{script}"
    return ["-m", "molmo_node", "worker", "--model", model, "--run-dir", str(run_dir)]


def counting_worker(run_dir: Path) -> list[str]:
    """The command line of a worker whose engine reads marks."""
    return ["-m", "tools.node.counting_worker", str(run_dir)]


@contextlib.contextmanager
def _process(arguments: list[str]) -> Iterator[None]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_camera(run_dir: Path) -> None:
    until_s = time.monotonic() + READY_S
    while not any(entry.kind == "camera" for entry in running_nodes(run_dir)):
        if time.monotonic() > until_s:
            raise TimeoutError(f"no camera within {READY_S:.0f} s")
        time.sleep(0.05)


def _wait_until_ready(client: Client) -> None:
    until_s = time.monotonic() + READY_S
    while time.monotonic() < until_s:
        with contextlib.suppress(MolmoNodeError):
            status = client.status()
            if status.state in ("ready", "busy") and any(c.alive for c in status.cameras):
                return
        time.sleep(0.05)
    raise TimeoutError(f"the worker was not ready, with a camera, within {READY_S:.0f} s")
