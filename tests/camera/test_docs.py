"""The manual's tables of causes are those of the error messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from molmo_node.camera.causes import STREAM_CAUSES, V4L2_CAUSES

MANUAL = (Path(__file__).parents[2] / "docs" / "cameras.md").read_text()


@pytest.mark.parametrize("line", sorted({*V4L2_CAUSES.values(), *STREAM_CAUSES.values()}))
def test_every_cause_and_its_next_step_are_in_the_manual(line):
    cause, hint = line

    assert cause in MANUAL
    assert hint in MANUAL
