"""What is made right before rclpy is imported."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

import pytest

from molmo_node.errors import ConfigError
from molmo_node.ros2 import environment


@pytest.fixture
def no_profile(monkeypatch):
    for name in environment.PROFILE_VARIABLES:
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("LD_LIBRARY_PATH", "")


@pytest.mark.parametrize(
    ("library", "variable"),
    [("libfastrtps.so", "FASTRTPS_DEFAULT_PROFILES_FILE"),
     ("libfastdds.so", "FASTDDS_DEFAULT_PROFILES_FILE")],
)  # fmt: skip
def test_the_profile_is_named_as_this_fast_dds_knows_it(
    library, variable, tmp_path, monkeypatch, no_profile
):
    (tmp_path / library).touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", f":/nowhere:{tmp_path}")

    environment.use_profile()

    named = {name for name in environment.PROFILE_VARIABLES if os.environ[name]}
    assert named == {variable}
    assert "<segment_size>67108864<" in Path(os.environ[variable]).read_text()


def test_a_profile_of_the_users_own_stays(monkeypatch, no_profile):
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "/mine.xml")

    environment.use_profile()

    assert os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] == "/mine.xml"
    assert not os.environ["FASTDDS_DEFAULT_PROFILES_FILE"]


def test_too_little_shared_memory_keeps_the_small_segment(monkeypatch, no_profile, caplog):
    usage = type("Usage", (), {"free": 64 * 2**20})
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: usage)

    environment.use_profile()

    assert not any(os.environ[name] for name in environment.PROFILE_VARIABLES)
    assert "too little shared memory" in caplog.text


@pytest.mark.parametrize("kind", ["fastrtps", "fastdds"])
def test_segments_of_the_dead_are_removed_and_of_the_living_left(kind, tmp_path):
    dead, alive = tmp_path / f"{kind}_{'0' * 16}", tmp_path / f"{kind}_{'a' * 16}"
    other = tmp_path / f"{kind}_port7411"
    for path in (dead, alive, other):
        path.touch()
        Path(f"{path}_el").touch()
    with Path(f"{alive}_el").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        removed = environment.remove_stale_segments(tmp_path)

    assert removed == 1
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {name for p in (alive, other) for name in (p.name, f"{p.name}_el")}


def test_another_interpreter_gets_no_library_path_of_the_wheels(monkeypatch):
    monkeypatch.setenv(environment.WHEELS_GUARD, "1")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/env/lib")

    cleaned = environment.clean_environment()

    assert not {environment.WHEELS_GUARD, "LD_LIBRARY_PATH"} & set(cleaned)


def test_a_sourced_ros_keeps_its_library_path(monkeypatch):
    monkeypatch.delenv(environment.WHEELS_GUARD, raising=False)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/ros/jazzy/lib")

    assert environment.clean_environment()["LD_LIBRARY_PATH"] == "/opt/ros/jazzy/lib"


@pytest.mark.parametrize(
    ("machine", "says"), [("x86_64", "molmo_node[ros2]"), ("aarch64", "no wheels for aarch64")]
)
def test_without_rclpy_both_ways_to_it_are_told(machine, says, monkeypatch):
    monkeypatch.setattr(environment, "has_rclpy", lambda: False)
    monkeypatch.setattr(environment.platform, "machine", lambda: machine)

    with pytest.raises(ConfigError) as caught:
        environment.prepare()

    assert sys.executable in caught.value.message
    assert says in caught.value.hint
    assert "source /opt/ros/" in caught.value.hint
