"""Several looks at a dial: each maps back to the frame, and one that errs is outvoted."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.model
pytest.importorskip("torch")
from molmo_node.models.nano import closer  # noqa: E402

KEYS = np.array([(200, 150), (150, 200), (200, 90), (250, 200), (240, 120)], np.float64)


def test_a_spot_of_the_frame_is_found_in_every_cut_and_back():
    frame = np.zeros((300, 400, 3), np.uint8)
    frame[118:123, 238:243] = 255

    for cut in closer.cuts_around(frame, KEYS):
        rows, columns = np.nonzero(cut.image_hwc[..., 0] > 128)
        spot = cut.in_frame([(float(columns.mean()), float(rows.mean()))])[0]
        assert spot == pytest.approx((240, 120), abs=1.0)


def test_the_frame_around_a_dial_at_its_edge_is_gray():
    cut = closer.cuts_around(np.zeros((160, 210, 3), np.uint8), KEYS)[0]

    assert cut.image_hwc[-1, -1].tolist() == [127, 127, 127]
    assert closer.as_batch([cut, cut]).shape == (2, 3, closer.SIDE_PX, closer.SIDE_PX)


def test_a_dial_of_a_few_pixels_is_not_looked_at_again():
    assert closer.cuts_around(np.zeros((300, 400, 3), np.uint8), KEYS * 0.05) == []


def test_a_look_that_takes_the_tail_for_the_tip_is_outvoted():
    wrong = KEYS.copy()
    wrong[4] = (160, 180)

    keys, count = closer.agreed([wrong, KEYS, KEYS + 1.0, KEYS - 1.0])

    assert count == 3
    assert keys == pytest.approx(KEYS)


def test_a_single_look_stands():
    keys, count = closer.agreed([KEYS])

    assert count == 1
    assert keys == pytest.approx(KEYS)
