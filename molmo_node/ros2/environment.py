"""What must be right before rclpy is imported: the interpreter, Fast DDS' profile, old segments."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import logging
import os
import platform
import re
import shutil
import sys
from pathlib import Path

from molmo_node.bus.ring import SHM_DIR
from molmo_node.errors import ConfigError

log = logging.getLogger(__name__)

PROFILE = Path(__file__).with_name("fastdds.xml")
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
SEGMENT_BYTES = 64 * 1024 * 1024
# What the wheels' start file leaves in the environment of everything that it starts.
WHEELS_GUARD = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"
_SEGMENT = re.compile(r"fast(rtps|dds)_[0-9a-z]{16}")


def has_rclpy() -> bool:
    """Whether this interpreter finds rclpy; nothing of it is imported."""
    return importlib.util.find_spec("rclpy") is not None


def prepare() -> None:
    """Make ready for rclpy, in this process.

    Raises:
        ConfigError: rclpy is not there, or cannot be imported; the hint says how to get it.
    """
    if not has_rclpy():
        raise ConfigError(f"{sys.executable} has no rclpy", hint=_how_to_get_it())
    use_profile()
    remove_stale_segments()
    try:
        import rclpy  # noqa: F401
    except ImportError as exc:
        hint = "another environment's wheels started this process: unset " + WHEELS_GUARD
        if not os.environ.get(WHEELS_GUARD):
            hint = "source /opt/ros/DISTRO/setup.bash of the distribution that this Python is of"
        raise ConfigError(f"rclpy cannot be imported: {exc}", hint=hint) from exc


def clean_environment() -> dict[str, str]:
    """Our variables for another interpreter, without what the wheels' start file put there.

    With its guard variable inherited, another environment's wheels would not set their own
    library path, and rclpy would not find its libraries there.
    """
    env = dict(os.environ)
    if env.pop(WHEELS_GUARD, None):
        env.pop("LD_LIBRARY_PATH", None)
    return env


def use_profile() -> None:
    """Point Fast DDS at our profile, unless the user has one or there is no memory for it."""
    if any(os.environ.get(name) for name in PROFILE_VARIABLES):
        return
    with contextlib.suppress(OSError):
        if shutil.disk_usage(SHM_DIR).free < 2 * SEGMENT_BYTES:
            log.warning(
                "too little shared memory for raw images, Fast DDS keeps its small segment",
                extra={"folder": str(SHM_DIR), "next": "docker run --shm-size=512m"},
            )
            return
    os.environ[_profile_variable()] = str(PROFILE)


def _profile_variable() -> str:
    """The name that this Fast DDS knows: until 2.14 (Jazzy) its older one, which 3 complains of."""
    folders = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    is_new = any(folder and Path(folder, "libfastdds.so").exists() for folder in folders)
    return PROFILE_VARIABLES[0] if is_new else PROFILE_VARIABLES[1]


def remove_stale_segments(folder: Path = SHM_DIR) -> int:
    """Remove the Fast DDS segments whose process is gone; a killed one leaves 64 MB each.

    A living owner holds an exclusive `flock` on the file of the segment's name and ``_el``: the
    rule by which Fast DDS' own ``fastdds shm clean`` tells them apart.

    Returns:
        How many were removed.
    """
    removed = 0
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if _SEGMENT.fullmatch(path.name) and _is_abandoned(Path(f"{path}_el")):
                with contextlib.suppress(OSError):
                    path.unlink()
                    removed += 1
                    Path(f"{path}_el").unlink()
    if removed:
        log.info("segments of dead processes removed", extra={"segments": removed})
    return removed


def _is_abandoned(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # another user's, or one that is just being made
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _how_to_get_it() -> str:
    native = "source /opt/ros/DISTRO/setup.bash, then use an environment made with"
    native += " python3 -m venv --system-site-packages"
    if platform.machine() != "x86_64":
        return f"there are no wheels for {platform.machine()}: {native}"
    return (
        "python3 -m venv ros-env && ros-env/bin/pip install 'molmo_node[ros2]', and name it:"
        f" ros2.python: ros-env/bin/python; or {native}"
    )
