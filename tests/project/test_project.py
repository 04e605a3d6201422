"""Project files: pins, make targets, licence."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TESTED_EXTRAS = (
    "model", "web", "mqtt", "metrics", "record", "foxglove", "dev", "ros2", "ros2-kilted",
)  # fmt: skip


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in found}


def requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    texts = [*PROJECT["dependencies"], *(text for name in TESTED_EXTRAS for text in extras[name])]
    return [Requirement(text) for text in texts]


def test_constraints_are_names_and_versions_only():
    line = re.compile(r"# .*|[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.!+]*")

    assert all(line.fullmatch(text) for text in (ROOT / "constraints.txt").read_text().splitlines())


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_what_we_ask_for_is_pinned_to_a_version_that_we_accept(requirement):
    version = pins()[canonicalize_name(requirement.name)]

    assert requirement.specifier.contains(version)


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=20,
    )  # fmt: skip


@pytest.mark.process
def test_make_alone_lists_its_targets():
    listed = make().stdout

    assert all(f"make {name}" in listed for name in ("demo", "test", "lint", "bench", "clean"))


@pytest.mark.process
def test_demo_seconds_are_passed_on():
    assert "molmo-node demo --seconds 7\n" in make("-n", "demo", "SECONDS=7").stdout
    assert "molmo-node demo \n" in make("-n", "demo").stdout


@pytest.mark.process
def test_a_machine_without_a_new_python_is_told_so(tmp_path):
    venv = tmp_path / "venv"

    done = make(f"{venv}/.made", f"VENV={venv}", "PYTHON=")

    assert done.returncode == 2
    assert "no Python >= 3.11 found" in done.stderr


@pytest.mark.process
def test_a_python_without_venv_is_told_what_to_install(tmp_path):
    venv = tmp_path / "venv"
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)

    done = make(f"{venv}/.made", f"VENV={venv}", f"PYTHON={python}")

    assert done.returncode == 2
    assert "sudo apt install python3-venv" in done.stderr
    assert not venv.exists()


def test_the_licence_is_whole():
    text = (ROOT / "LICENSE").read_text()

    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert PROJECT["license"] == "Apache-2.0"


def test_the_readme_opens_with_the_two_commands():
    opening = (ROOT / "README.md").read_text().partition("\n## ")[0]

    assert "    make demo" in opening
    assert "    make test" in opening
