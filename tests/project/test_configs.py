"""Every example and launch file loads, and every unit file names what is there."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

import pytest

from molmo_node import config
from molmo_node.errors import ConfigError
from molmo_node.supervisor import process_specs

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.yaml"))
UNITS = sorted((ROOT / "launch" / "systemd").glob("*.service"))


@pytest.fixture
def keys(tmp_path):
    """A folder with a key, for the files that reach beyond this machine."""
    (tmp_path / "node.key_secret").touch()
    return {"security.keys_dir": str(tmp_path)}


def names(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.name)


def test_there_are_examples_of_each_kind():
    assert {path.stem for path in CONFIGS} >= {
        "usb-camera", "rtsp-camera", "folder", "video", "two-gauges", "mqtt",
    }  # fmt: skip
    assert {path.stem for path in LAUNCH_FILES} >= {"demo", "robot", "gauges", "fleet", "plant"}
    assert UNITS


@names(CONFIGS + LAUNCH_FILES)
def test_it_loads_and_its_watches_are_askable(path, keys):
    settings = config.load(path, {}, keys).settings

    assert [watch.spec().name for watch in settings.watches] == [w.name for w in settings.watches]
    assert settings.cameras


@names(CONFIGS + LAUNCH_FILES)
def test_it_explains_itself(path):
    assert path.read_text().startswith("# ")


@names(LAUNCH_FILES)
def test_it_starts_a_process_for_each_camera_of_this_host_a_worker_and_each_sink(path, keys):
    loaded = config.load(path, {}, keys)

    specs = {spec.name: spec.argv[3:] for spec in process_specs(loaded)}

    here = [camera.name for camera in loaded.settings.cameras if camera.endpoint is None]
    expected = {f"camera-{name}": ("camera", "--name", name) for name in here}
    sinks = {f"sink-{kind}": ("sink", kind) for kind in loaded.settings.sinks.kinds}
    assert specs == expected | {"worker": ("worker",)} | sinks


def test_the_fleet_is_refused_without_keys(tmp_path):
    with pytest.raises(ConfigError, match=r"fleet\.yaml.*there are no keys in"):
        config.load(ROOT / "launch" / "fleet.yaml", {}, {"security.keys_dir": str(tmp_path)})


@names(UNITS)
def test_a_unit_waits_for_ready_and_is_watched(path):
    unit = ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read(path)

    service = unit["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 1
    assert service["RuntimeDirectoryMode"] == "0700"
    assert "/.venv/bin/molmo-node up --config /etc/molmo_node/" in service["ExecStart"]
