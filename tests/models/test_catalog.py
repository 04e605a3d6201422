"""What models are known, what is on disk, and how they are pulled: without a network."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub", reason="needs the [model] extra")

from molmo_node.errors import ConfigError, ModelError
from molmo_node.models import catalog

pytestmark = pytest.mark.model

NAME = "allenai/Molmo-7B-D-0924"
COMMIT = "cab33fb7f1a40091911f81165f8481920621948f"


def put_into_cache(cache: Path, source: Path, name: str) -> Path:
    """A snapshot as the hub's client leaves it: blobs, and links to them."""
    repo = cache / ("models--" + name.replace("/", "--"))
    folder = repo / "snapshots" / COMMIT
    (repo / "blobs").mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    folder.mkdir(parents=True)
    for number, file in enumerate(sorted(source.iterdir())):
        shutil.copy(file, repo / "blobs" / str(number))
        (folder / file.name).symlink_to(repo / "blobs" / str(number))
    return folder


def test_all_published_models_are_known_with_what_they_need() -> None:
    names = [model.name for model in catalog.KNOWN]
    assert len(names) == len(set(names)) == 7
    seven = catalog.known_model("molmo-7b-d-0924")
    assert seven is not None
    assert seven.name == NAME
    assert 16e9 < seven.memory_bytes("bfloat16") < 21e9
    assert 32e9 < seven.memory_bytes("float32") < 38e9
    assert seven.download_bytes == 32_084_101_120
    assert catalog.known_model("gpt") is None


def test_an_empty_cache_lists_the_known_models(tmp_path: Path) -> None:
    entries = catalog.list_models(tmp_path / "none")
    assert [entry.name for entry in entries] == [model.name for model in catalog.KNOWN]
    assert all(entry.on_disk is None for entry in entries)


def test_what_is_on_disk_is_found_whole_or_cut(tiny, tmp_path: Path) -> None:
    folder = put_into_cache(tmp_path, tiny("7b-d"), NAME)
    put_into_cache(tmp_path, tiny("7b-o"), "someone/my-molmo")
    put_into_cache(tmp_path, tiny("7b-o"), "someone/other")

    entries = {entry.name: entry for entry in catalog.list_models(tmp_path)}

    found = entries[NAME].on_disk
    assert found is not None
    assert (found.folder, found.revision, found.is_whole) == (folder, COMMIT, True)
    assert found.nbytes > 100_000
    assert entries["someone/my-molmo"].known is None
    assert "someone/other" not in entries

    shard = next(folder.glob("*.safetensors")).resolve()
    shard.write_bytes(shard.read_bytes()[:-1])
    again = {entry.name: entry for entry in catalog.list_models(tmp_path)}[NAME].on_disk
    assert again is not None
    assert not again.is_whole


def test_a_pull_is_pinned_and_checked(tiny, tmp_path: Path, monkeypatch) -> None:
    asked = {}

    def snapshot(name, patterns, **options):
        asked.update(options, name=name, patterns=patterns)
        return tiny("7b-d")

    monkeypatch.setattr(catalog, "snapshot", snapshot)
    monkeypatch.setattr(catalog.shutil, "disk_usage", lambda _: Usage(free=10**12))

    assert catalog.pull("Molmo-7B-D-0924", cache_dir=tmp_path) == tiny("7b-d")

    assert (asked["name"], asked["revision"]) == (NAME, COMMIT)
    assert not any(pattern.endswith(".py") for pattern in asked["patterns"])


Usage = namedtuple("Usage", "free")


def test_a_pull_that_has_no_room_says_how_much_is_missing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(catalog.shutil, "disk_usage", lambda _: Usage(free=10**9))
    with pytest.raises(ModelError, match="32 GB to fetch, 1 GB free"):
        catalog.pull(NAME, cache_dir=tmp_path / "new")


def test_a_pull_that_arrives_broken_is_an_error(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(catalog, "snapshot", lambda *_, **__: tmp_path)
    with pytest.raises(ModelError, match="did not arrive whole"):
        catalog.pull("someone/my-molmo")


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="no known model"):
        catalog.pull("nothing")


def test_progress_is_told_in_bytes() -> None:
    heard = []
    bar = catalog._bar_class(lambda done, total: heard.append((done, total)))
    with bar(total=100, unit="B", name="x") as arriving, bar(total=3, unit="it") as files:
        arriving.update(40)
        files.update(1)
        arriving.update(60)
    assert heard == [(40, 100), (100, 100)]
