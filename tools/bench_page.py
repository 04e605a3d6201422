"""Many viewers at one page: pictures a second for each, and what a viewer costs in memory.

    python tools/bench_page.py --viewers 20 --seconds 20

Starts a camera (`pattern:640x480@15`) and the page as processes, and connects viewers that
acknowledge what they get, as the browser's page does; one more never does (a tab that sleeps).
Prints a table; exit code 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from websockets.asyncio.client import connect

PROMISED_HZ = 10.0
PROMISED_BYTES = 1_000_000
START_S = 60.0


@dataclass
class Got:
    """What one viewer got."""

    pictures: int = 0
    octets: int = 0
    first_seq: int = -1
    last_seq: int = -1


async def view(url: str, until_s: float, acknowledges: bool) -> Got:
    """Look at camera `front` until a time (monotonic seconds)."""
    got = Got()
    address = url.replace("http://", "ws://") + "/api/live"
    async with connect(address, max_size=None, compression=None) as socket:
        await socket.send('{"look": "front"}')
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                message = await asyncio.wait_for(socket.recv(), left_s)
            except TimeoutError:
                break
            if isinstance(message, str):
                continue
            (length,) = struct.unpack_from(">I", message)
            header = json.loads(message[4 : 4 + length])
            got.pictures += 1
            got.octets += len(message)
            got.last_seq = header["seq"]
            got.first_seq = got.first_seq if got.first_seq >= 0 else header["seq"]
            if acknowledges:
                await socket.send(json.dumps({"seen": header["n"]}))
    return got


async def measure(url: str, page: psutil.Process, viewers: int, seconds: float) -> dict[str, Any]:
    """Frames for each viewer, encodings, and the page's memory with none and with all."""
    await view(url, time.monotonic() + 3.0, True)  # warm: buffers and caches are there
    before = page.memory_info().rss
    encoded = camera(url)["encoded"]
    cpu_s, started_s = sum(page.cpu_times()[:2]), time.monotonic()
    watching = [view(url, started_s + seconds, True) for _ in range(viewers)]
    sleeping = view(url, started_s + seconds, False)
    peak = asyncio.create_task(_peak(page, started_s + seconds))
    *found, asleep = await asyncio.gather(*watching, sleeping)
    took_s = time.monotonic() - started_s
    return {
        "slowest_hz": min(got.pictures for got in found) / took_s,
        "mean_hz": sum(got.pictures for got in found) / len(found) / took_s,
        "asleep_pictures": asleep.pictures,
        "encoded_hz": (camera(url)["encoded"] - encoded) / took_s,
        "bytes_a_viewer": (await peak - before) / (viewers + 1),
        "mbytes_s": sum(got.octets for got in found) / took_s / 1e6,
        "cpu_share": (sum(page.cpu_times()[:2]) - cpu_s) / took_s,
    }


async def _peak(page: psutil.Process, until_s: float) -> int:
    most = 0
    while time.monotonic() < until_s:
        most = max(most, page.memory_info().rss)
        await asyncio.sleep(0.2)
    return most


def camera(url: str) -> dict[str, Any]:
    """What the page says of camera `front`."""
    with urllib.request.urlopen(f"{url}/api/state", timeout=10) as reply:
        found: dict[str, Any] = next(c for c in json.load(reply)["cameras"] if c["name"] == "front")
    return found


def wait_for_url(page: subprocess.Popen[str]) -> str:
    """The address that the page prints."""
    assert page.stderr is not None
    for line in page.stderr:
        if "the page is at " in line:
            return line.rpartition(" ")[2].strip().rstrip("/")
    raise SystemExit("the page ended before it listened")


def wait_for_camera(url: str) -> None:
    """Until its frames come."""
    until_s = time.monotonic() + START_S
    while time.monotonic() < until_s:
        try:
            if camera(url)["alive"]:
                return
        except (OSError, StopIteration):
            pass
        time.sleep(0.1)
    raise SystemExit("no frames came")


def main() -> int:
    """Start everything, measure, print, end everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--source", default="pattern:640x480@15")
    options = parser.parse_args()
    run_dir = Path(tempfile.mkdtemp(prefix="mb-"))
    env = {**os.environ, "MOLMO_NODE_RUN_DIR": str(run_dir)}
    program = [sys.executable, "-m", "molmo_node"]
    source = ["camera", "--name", "front", "--source", options.source]
    front = subprocess.Popen([*program, *source], env=env, stderr=subprocess.DEVNULL)
    page = subprocess.Popen(
        [*program, "web", "--port", "0"], env=env, stderr=subprocess.PIPE, text=True
    )
    try:
        url = wait_for_url(page)
        wait_for_camera(url)
        process = psutil.Process(page.pid)
        found = asyncio.run(measure(url, process, options.viewers, options.seconds))
    finally:
        for one in (page, front):
            one.terminate()
            one.wait(10)
        shutil.rmtree(run_dir)
    for name, value in found.items():
        print(f"{name:<16} {value:,.1f}")
    is_kept = found["slowest_hz"] >= PROMISED_HZ and found["bytes_a_viewer"] <= PROMISED_BYTES
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
