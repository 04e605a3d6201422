from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from molmo_node.errors import ConfigError
from molmo_node.gauge_profiles import ProfileStore, load_profile, save_profile
from molmo_node.instruments import Profile, Register, read_gauge
from tests.instruments.pictures import plain_gauge, point_at

CENTER = (160.0, 160.0)
MARKS = [(value, *point_at(CENTER, -135 + 27 * value, 109.0)) for value in (0, 2, 5, 8, 10)]


@pytest.fixture
def profile() -> Profile:
    return Profile.from_marks(
        plain_gauge(-60), CENTER, MARKS, "bar", name="boiler", min=0, max=10,
        plausible=(0, 9), highest_rate_per_s=2.5, glare=[[(1, 1), (9, 1), (9, 9)]],
    )  # fmt: skip


def edit(path: Path, **changes: Any) -> None:
    mapping = yaml.safe_load(path.read_text()) | changes
    path.write_text(yaml.safe_dump({k: v for k, v in mapping.items() if v is not ...}))
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1_000_000))


def test_saved_profile_loads_as_it_was_and_reads(tmp_path: Path, profile: Profile) -> None:
    save_profile(tmp_path / "boiler.yaml", profile)

    loaded = load_profile(tmp_path / "boiler.yaml")

    assert loaded == profile
    assert read_gauge(plain_gauge(0), loaded).value == pytest.approx(5, abs=0.05)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boiler.jpg", "boiler.yaml"]


def test_register_chain_survives_the_file(tmp_path: Path) -> None:
    chain = [
        Register((100.0, 100.0), (100.0, 60.0), 10.0),
        Register((200.0, 100.0), (200.0, 60.0), 1.0, "counterclockwise", 0.5),
    ]
    meter = Profile.from_registers(plain_gauge(0), chain, "m³", name="meter")
    save_profile(tmp_path / "meter.yaml", meter)

    assert load_profile(tmp_path / "meter.yaml") == meter


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unitt": "bar"}, r"unitt: unknown key .*unit"),
        ({"picture_size_px": ...}, r"picture_size_px: missing"),
        ({"min": "zero"}, r"min: expected `float \| null`, got `str`"),
        ({"max": 0}, r"max: 0.0 is not above min 0.0"),
        ({"max": float("nan")}, r"max: nan"),
        ({"marks": [{"value": 1, "x_px": 2}]}, r"marks\[0\]\.y_px: missing"),
        ({"marks": [{"value": 1, "x_px": 2, "y_px": 3, "z": 1}]}, r"marks\[0\]\.z: unknown key"),
        ({"marks": []}, r"marks: 0 marks"),
        ({"direction": "left"}, r"direction: invalid enum value"),
        ({"plausible": {"min": 5, "max": 2}}, r"plausible\.max"),
        ({"highest_rate_per_s": -1}, r"highest_rate_per_s"),
        ({"glare": [[[1, 2]]]}, r"glare\[0\]"),
        ({"patch_offset_px": [300, 300]}, r"patch_offset_px"),
        ({"patch": "../boiler.jpg"}, r"patch: '../boiler.jpg'"),
        ({"patch": "gone.jpg"}, r"patch: gone.jpg cannot be read"),
        ({"patch": "boiler.yaml"}, r"patch: boiler.yaml is not a picture"),
    ],
)
def test_wrong_file_is_named_with_its_key(
    tmp_path: Path, profile: Profile, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "boiler.yaml"
    save_profile(path, profile)
    edit(path, **changes)

    with pytest.raises(ConfigError, match=message) as caught:
        load_profile(path)

    assert str(path) in caught.value.message


@pytest.mark.parametrize("text", ["", "- a list", "a: [1", "\x00"])
def test_file_that_is_no_mapping_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "boiler.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=r"boiler\.yaml"):
        load_profile(path)


def test_store_takes_a_changed_file(tmp_path: Path, profile: Profile) -> None:
    save_profile(tmp_path / "boiler.yaml", profile)
    store = ProfileStore(tmp_path)
    edit(tmp_path / "boiler.yaml", unit="kPa")

    assert store.reload_if_changed() == ("boiler",)
    assert store.get("boiler").unit == "kPa"
    assert store.reload_if_changed() == ()


def test_store_keeps_the_old_profile_while_a_file_is_half_written(
    tmp_path: Path, profile: Profile
) -> None:
    path = tmp_path / "boiler.yaml"
    save_profile(path, profile)
    store = ProfileStore(tmp_path)
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])

    assert store.reload_if_changed() == ()
    assert store.get("boiler") == profile
    assert str(path) in store.errors["boiler"].message

    path.write_text(whole + "\n")
    assert store.reload_if_changed() == ("boiler",)
    assert store.errors == {}


def test_store_forgets_a_file_that_is_gone(tmp_path: Path, profile: Profile) -> None:
    save_profile(tmp_path / "boiler.yaml", profile)
    store = ProfileStore(tmp_path)
    (tmp_path / "boiler.yaml").unlink()

    assert store.reload_if_changed() == ("boiler",)
    with pytest.raises(ConfigError, match="no gauge profile 'boiler'; known: none"):
        store.get("boiler")


def test_store_of_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert ProfileStore(tmp_path / "none").names() == ()


def test_asking_for_a_broken_profile_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "boiler.yaml").write_text("unit: bar")

    with pytest.raises(ConfigError, match="patch"):
        ProfileStore(tmp_path).get("boiler")


def test_mapping_is_plain_enough_for_yaml(profile: Profile) -> None:
    mapping = profile.to_mapping()

    assert yaml.safe_load(yaml.safe_dump(mapping)) == mapping
    assert Profile.from_mapping(mapping, np.asarray(profile.patch)) == profile
