"""Row 6: the camera is unplugged, and comes back."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

import molmo_node
from molmo_node.client import Client
from molmo_node.errors import MolmoNodeError
from tests.support.camera_view import CameraView, held, rings
from tests.support.machine import count, within
from tests.support.stack import Stack

pytestmark = pytest.mark.process

CYCLES = count("MOLMO_TEST_CAMERA_CYCLES", 6)
PICTURES = Path(molmo_node.__file__).parent / "examples" / "workshop_gauge"
LOST_S, BACK_S = 2.0, 3.0


def camera_says(state: str):
    return lambda status: status.node == "camera.front" and status.state == state


def wait_and_time(stack: Stack, client: Client, is_it, since_s: float) -> float:
    stack.wait_status(client, is_it, what="the camera's state")
    return time.monotonic() - since_s


@pytest.mark.timeout(300)
def test_camera_that_goes_and_comes_back_is_one_camera(stack: Stack) -> None:
    shots, away = stack.folder / "shots", stack.folder / "away"
    shutil.copytree(PICTURES, shots)
    camera = stack.start(
        "camera.front", "camera", "--name", "front", "--source", str(shots), "--fps", "20"
    )
    stack.worker({"answers": [{"reply": "here"}]})
    client = stack.client()
    stack.wait_ready(client, "front")
    lost_s, back_s, leaks = [], [], []

    with CameraView(stack.run_dir) as view:
        for _ in range(CYCLES):
            view.next()
            leaks.append((*held(camera.pid), len(rings(camera.pid))))
            shots.rename(away)
            lost_s.append(wait_and_time(stack, client, camera_says("lost"), time.monotonic()))
            before = view.receiver.newest
            away.rename(shots)
            since_s = time.monotonic()
            after = view.next(than=before)
            back_s.append(time.monotonic() - since_s)
            assert before is not None
            assert after.ref.seq > before.ref.seq
            assert after.ref.frame_id == before.ref.frame_id == "front"
            assert after.ref.session != before.ref.session
    assert view.receiver.stats.gaps == 0
    assert client.point("mug").text == "here"
    check_nothing_leaks(leaks)
    within(f"{CYCLES} cycles, camera reported lost after", max(lost_s), LOST_S)
    within(f"{CYCLES} cycles, camera back after", max(back_s), BACK_S)


def test_lost_camera_gives_no_old_frame_to_a_question(stack: Stack) -> None:
    shots = stack.folder / "shots"
    shutil.copytree(PICTURES, shots)
    stack.start("camera.front", "camera", "--name", "front", "--source", str(shots), "--fps", "20")
    stack.camera("other")
    stack.worker({"answers": [{"reply": "here"}]})
    client = stack.client()
    stack.wait_ready(client, "front", "other")

    shutil.rmtree(shots)
    gone_s = time.monotonic()
    status = stack.wait_status(
        client,
        lambda status: (
            status.node == "worker"
            and any(camera.name == "front" and not camera.alive for camera in status.cameras)
        ),
        what="the worker's word that the camera is lost",
    )
    told_s = time.monotonic() - gone_s

    other = next(camera for camera in status.cameras if camera.name == "other")
    assert other.alive
    assert other.on_rate
    with pytest.raises(MolmoNodeError):
        client.point("mug", camera="front", timeout_s=0.5)
    assert client.point("mug", camera="other").frame.camera == "other"
    within("worker reports the lost camera after", told_s, LOST_S + 0.6)


def check_nothing_leaks(held_each_cycle: list[tuple[int, int, int]]) -> None:
    """From the second cycle on (the first one warms up): descriptors, threads and rings."""
    first, last = held_each_cycle[1], held_each_cycle[-1]
    print(f"descriptors, threads, rings: {first} in cycle 2, {last} in cycle {CYCLES}")
    assert last[0] <= first[0] + 2
    assert last[1] <= first[1]
    assert last[2] == first[2] == 1
