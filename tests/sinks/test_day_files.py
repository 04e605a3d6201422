"""Whole lines in a file a day."""

from __future__ import annotations

import os

import pytest

from molmo_node.sinks.base import SinkDown
from molmo_node.sinks.day_files import DayFiles
from tests.support.clocks import FakeClock

DAY_S = 86_400


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def files(tmp_path, clock):
    files = DayFiles(tmp_path / "out", "csv", header="a,b", clock=clock)
    yield files
    files.close()


def texts(tmp_path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((tmp_path / "out").iterdir())}


def test_each_file_begins_with_the_header_once(files, tmp_path):
    files.append(["1,2"])
    files.close()
    files.append(["3,4", "5,6"])

    assert texts(tmp_path) == {"2001-09-09.csv": "a,b\n1,2\n3,4\n5,6\n"}


def test_a_new_day_is_a_new_file(files, tmp_path, clock):
    files.append(["1,2"])
    clock.advance(DAY_S)
    files.append(["3,4"])

    assert texts(tmp_path) == {"2001-09-09.csv": "a,b\n1,2\n", "2001-09-10.csv": "a,b\n3,4\n"}


def test_old_days_are_removed_where_that_is_wanted_and_nothing_else(tmp_path, clock):
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("2001-09-07.csv", "2001-09-08.csv", "2001-09-07.txt", "notes.csv"):
        (folder / name).write_text("x\n")
    files = DayFiles(folder, "csv", keep_days=2, clock=clock)
    files.append(["1,2"])
    files.close()

    assert sorted(texts(tmp_path)) == [
        "2001-09-07.txt", "2001-09-08.csv", "2001-09-09.csv", "notes.csv",
    ]  # fmt: skip


def test_a_line_that_a_power_cut_left_unfinished_is_removed(files, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "2001-09-09.csv").write_text("a,b\n1,2\n3,")

    files.append(["5,6"])

    assert texts(tmp_path) == {"2001-09-09.csv": "a,b\n1,2\n5,6\n"}


def test_a_file_that_was_moved_away_is_made_anew(files, tmp_path):
    files.append(["1,2"])
    path = tmp_path / "out" / "2001-09-09.csv"
    path.rename(tmp_path / "rotated.csv")

    files.append(["3,4"])

    assert path.read_text() == "a,b\n3,4\n"
    assert (tmp_path / "rotated.csv").read_text() == "a,b\n1,2\n"


def test_what_a_full_disk_took_in_part_is_taken_back(files, tmp_path, monkeypatch):
    files.append(["1,2"])
    written = []

    def short_of_room(descriptor, body, offset):
        if written:
            raise OSError(28, "No space left on device")
        written.append(real(descriptor, bytes(body[:3]), offset))
        return written[-1]

    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", short_of_room)
    with pytest.raises(SinkDown, match="no space left on device"):
        files.append(["3,4", "5,6"])
    assert written == [3]
    assert texts(tmp_path) == {"2001-09-09.csv": "a,b\n1,2\n"}

    monkeypatch.undo()
    files.append(["3,4", "5,6"])
    assert texts(tmp_path) == {"2001-09-09.csv": "a,b\n1,2\n3,4\n5,6\n"}


def test_a_folder_that_cannot_be_made_closes_the_way_out(tmp_path, clock):
    (tmp_path / "file").write_text("")
    files = DayFiles(tmp_path / "file" / "out", "csv", clock=clock)

    with pytest.raises(SinkDown, match=r"cannot be written \(not a directory\)"):
        files.check()


def test_links_are_not_followed(files, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "2001-09-09.csv").symlink_to(tmp_path / "victim")

    with pytest.raises(SinkDown):
        files.append(["1,2"])
    assert not (tmp_path / "victim").exists()
