"""Photographs are scored as their labels say: a first point inside, or none where nothing is."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from molmo_node.messages import Point
from molmo_node.models.engine import Reply

pytestmark = pytest.mark.model
pytest.importorskip("torch")
from molmo_node.models.nano.words import Phrase, parse_phrase  # noqa: E402
from tools.nano_training.real_photos import PHRASES, score_pointing  # noqa: E402

SQUARE = [[[10, 10], [30, 10], [30, 30], [10, 30]]]


class Says:
    """Gives the same points to every question."""

    def __init__(self, *points_xy):
        self._points = tuple(Point(x_px=x, y_px=y) for x, y in points_xy)

    def encode(self, image_hwc):
        return image_hwc

    def ask(self, frame, questions):
        return [Reply(points=self._points) for _ in questions]


@pytest.fixture
def labels(tmp_path):
    cv2.imwrite(str(tmp_path / "bowl.png"), np.zeros((40, 60, 3), np.uint8))
    queries = [
        {"query": "the bowl", "count": 1, "regions": [{"polygons": SQUARE}]},
        {"query": "the banana", "count": 0, "regions": []},
        {"query": "the spoon", "count": 1, "regions": [{"polygons": SQUARE}]},  # not its word
    ]
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"items": [{"image": "bowl.png", "queries": queries}]}))
    return path


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        (Says((20, 20), (50, 5)), [1, 0]),
        (Says((50, 5), (20, 20)), [0, 0]),
        (Says(), [0, 1]),
    ],
    ids=["first inside", "first outside", "none"],
)
def test_the_first_point_counts_and_absence_wants_none(labels, engine, expected):
    rows = score_pointing(engine, labels)

    assert [row.figures["photo_first_point_inside"] for row in rows] == expected
    assert [row.is_miss for row in rows] == [not hit for hit in expected]


def test_every_query_is_said_in_words_that_the_model_knows():
    assert all(isinstance(parse_phrase(said), Phrase) for said in PHRASES.values())
