"""A user's labels are checked with errors that say what is wrong, and become batches."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.model
torch = pytest.importorskip("torch")
from molmo_node.errors import ConfigError  # noqa: E402
from tools.nano_training.labels import OwnBatches, read_labels  # noqa: E402
from tools.nano_training.recipe import Stage, Turn  # noqa: E402

GAUGE = {
    "center": [100, 80], "first_mark": [60, 120], "middle_mark": [100, 30],
    "last_mark": [140, 120], "needle_tip": [130, 60],
}  # fmt: skip


def write(folder, *items, version: int = 1):
    cv2.imwrite(str(folder / "own.jpg"), np.full((160, 200, 3), 120, np.uint8))
    path = folder / "labels.json"
    path.write_text(json.dumps({"version": version, "items": list(items)}))
    return path


def test_points_and_dials_become_questions(tmp_path):
    points = {"query": "the red mugs", "at": [[10, 20], [30, 40]]}
    path = write(tmp_path, {"image": "own.jpg", "points": [points], "gauge": GAUGE})

    pictures = read_labels(path)

    mugs, gauge = pictures[0].questions
    assert mugs.points_xy.tolist() == [[10, 20], [30, 40]]
    assert gauge.is_ordered
    assert gauge.points_xy[4].tolist() == [130, 60]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"image": "none.jpg", "gauge": GAUGE}, "missing"),
        ({"image": "own.jpg"}, "nothing is labelled"),
        ({"image": "own.jpg", "points": [{"query": "the cat", "at": [[1, 1]]}]}, "the cat"),
        ({"image": "own.jpg", "points": [{"query": "mug", "at": [[300, 1]]}]}, "outside"),
        ({"image": "own.jpg", "gauge": {"center": [1, 2]}}, "first_mark"),
        ({"image": "own.jpg", "colour": 3}, "colour"),
        ({"image": "own.jpg", "points": [{"query": "mug", "at": [[1, "x"]]}]}, "float"),
    ],
)
def test_a_wrong_item_is_named(tmp_path, item, said):
    with pytest.raises(ConfigError, match=said):
        read_labels(write(tmp_path, item))


def test_a_wrong_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_labels(tmp_path / "absent.json")
    with pytest.raises(ConfigError, match="no items"):
        read_labels(write(tmp_path))
    with pytest.raises(ConfigError, match="version 2"):
        read_labels(write(tmp_path, {"image": "own.jpg", "gauge": GAUGE}, version=2))


def test_a_batch_keeps_every_labelled_point_in_the_picture(tmp_path):
    none = {"query": "star", "at": []}
    path = write(tmp_path, {"image": "own.jpg", "points": [none], "gauge": GAUGE})
    stage = Stage("own", 10, (Turn(84, 6, {"objects": 1.0}),), 0.0)
    maker = OwnBatches(read_labels(path), stage)

    first, again = maker(1, 3), maker(1, 3)

    own = first.targets.point_rows[:, 0] < 3
    assert torch.equal(first.images, again.images)
    assert int(own.sum()) == 3 * 5
    assert bool((first.targets.patch >= 0).all())
    assert bool((first.targets.offset_xy.abs() <= 0.5).all())
