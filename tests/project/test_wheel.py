"""What is in the wheel that people install."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from wheel_scan import FORBIDDEN_SUFFIXES, findings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of the sources without any download."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "molmo_node", source / "molmo_node", ignore=ignored)
    command = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [sys.executable, "-m", "pip", *command, "--wheel-dir", str(target), str(source)],
        check=True,
        capture_output=True,
        timeout=50,
    )
    with zipfile.ZipFile(next(target.glob("*.whl"))) as archive:
        yield archive


@pytest.mark.process
def test_nothing_in_the_wheel_runs_what_somebody_sent(wheel):
    sources = [name for name in wheel.namelist() if name.endswith(".py")]

    found = {name: list(findings(wheel.read(name).decode())) for name in sources}

    assert len(sources) > 50
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.process
def test_the_wheel_holds_no_file_that_can_hold_code_unseen(wheel):
    assert [name for name in wheel.namelist() if name.endswith(FORBIDDEN_SUFFIXES)] == []


@pytest.mark.process
def test_the_wheel_is_complete_and_holds_nothing_beside_the_package(wheel):
    names = set(wheel.namelist())
    here = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "molmo_node").rglob("*")
        if path.is_file()
        and path.suffix in {".py", ".yaml", ".jpg", ".png", ".json", ".typed", ".xml"}
    }

    assert here - names == set()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"molmo_node"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from cloudpickle import loads",
        "x = eval(text)",
        "exec(text)",
        "import yaml\nyaml.load(f, Loader=l)",
        "from yaml import load",
        "torch.load(path)",
        "socket.recv_pyobj()",
        "subprocess.run(text, shell=True)",
        "np.load(path, allow_pickle=True)",
        "from_pretrained(name, trust_remote_code=flag)",
    ],
)
def test_the_scan_finds(source):
    assert list(findings(source))


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "yaml.safe_load(f)",
        "'never pickle or eval(x)'",
        "os.execvp(program, argv)",
        "np.load(path, allow_pickle=False)",
        "re.compile(pattern)",
    ],
)
def test_the_scan_lets_pass(source):
    assert list(findings(source)) == []
