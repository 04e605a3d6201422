"""What a person gets wrong: a clear error, the next step, exit code 2, and nothing broken."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.stack import Stack
from tests.support.strangers import close_raw, raw_socket

pytestmark = pytest.mark.process


def run(*args: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "molmo_node", *args]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30)


def check_error(done: subprocess.CompletedProcess[str], *said: str, code: int = 2) -> None:
    """One message that says what was found, one next step, no trace, nothing on stdout."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "  next: " in done.stderr
    for words in said:
        assert words in done.stderr


def test_unknown_config_key_offers_the_nearest_and_names_its_line(tmp_path: Path) -> None:
    config = tmp_path / "node.yaml"
    config.write_text("worker:\n  modle: none\n")

    check_error(
        run("worker", "-c", str(config)), f"{config}:2", "modle", "did you mean worker.model?"
    )


def test_unknown_variable_offers_the_nearest(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MOLMO_NODE_WORKERS__MODEL", "none")

    check_error(run("config", "show"), "MOLMO_NODE_WORKERS__MODEL", "did you mean")


@pytest.mark.parametrize(
    ("argv", "missing"),
    [
        (("worker", "-c", "absent.yaml"), "absent.yaml"),
        (("point", "mug", "--image", "absent.jpg"), "absent.jpg"),
    ],
)
def test_missing_file_is_named(argv: tuple[str, ...], missing: str, stack: Stack) -> None:
    process = stack.start("verb", *argv)

    code = process.wait(within_s=20)

    assert code == 2, process.output
    assert missing in process.output
    assert "  next: " in process.output
    assert "Traceback" not in process.output


def test_port_in_use_names_endpoint_and_next_step(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        endpoint = f"tcp://127.0.0.1:{holder.getsockname()[1]}"
        config = stack.file("w.yaml", yaml.safe_dump({"worker": {"endpoint": endpoint}}))
        process = stack.start("worker", "worker", "-c", str(config))
        code = process.wait(within_s=20)

    assert code == 2
    assert endpoint in process.output
    assert "  next: " in process.output
    assert not list(stack.run_dir.glob("*.lock"))


def test_malformed_message_is_answered_and_nothing_is_lost(stack: Stack) -> None:
    import msgpack
    import zmq

    stack.camera()
    worker = stack.worker({"answers": [{"reply": "here"}]})
    client = stack.client()
    stack.wait_ready(client, "front")
    stranger = raw_socket(zmq.DEALER, f"ipc://{stack.run_dir}/worker.0")

    stranger.send(b"\x93 not a message")
    assert stranger.poll(5_000)
    error = msgpack.unpackb(stranger.recv())
    close_raw(stranger)

    assert (error["type"], error["code"]) == ("error", "protocol_error")
    assert "not a client message" in error["message"]
    assert client.point("mug").text == "here"
    assert worker.is_alive()
    assert client.status().counters["rejected"] == 1


def test_picture_bomb_is_a_clear_error_at_the_command_line(tmp_path: Path) -> None:
    from tests.faults.test_13_oversized import png_bomb

    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(png_bomb())

    check_error(run("point", "mug", "--image", str(bomb)), "11586x11586 px", code=1)
