"""docs/faults.md and the tests of this folder name the same faults."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "faults.md"
ROW = re.compile(r"^\| (\d+) \|.*\| `(test_(\d\d)_\w+\.py)` \|$", re.MULTILINE)


def rows() -> list[tuple[str, str, str]]:
    """Row number, test file and the file's own number, for each line of the table."""
    return ROW.findall(TABLE.read_text())


def test_every_line_of_the_table_is_a_row() -> None:
    lines = [line for line in TABLE.read_text().splitlines() if re.match(r"\| \d", line)]

    assert len(rows()) == len(lines) > 0


def test_table_and_files_are_the_same() -> None:
    assert sorted(name for _, name, _ in rows()) == sorted(
        path.name for path in HERE.glob("test_[0-9]*.py")
    )


def test_files_are_named_for_their_rows() -> None:
    assert all(int(row) == int(number) for row, _, number in rows())
    numbers = [int(row) for row, _, _ in rows()]
    assert numbers == sorted(set(numbers))
