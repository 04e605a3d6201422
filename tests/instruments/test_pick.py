"""Which end of a needle points: a broad counterweight does not, however far it runs on."""

from __future__ import annotations

import pytest

from molmo_node.instruments import Profile, read_gauge
from molmo_node.sim.bench import Bench

# looks of the bench's gauge whose counterweight is broad, or ends in the print behind it
BROAD = (0, 4, 8, 14, 19, 45)


@pytest.mark.parametrize("seed", BROAD)
def test_a_counterweight_is_not_taken_for_the_pointer(seed):
    bench = Bench(seed=seed)
    scene = bench.at(0.0)
    center, *marks, _ = scene.gauges[0].dial.keys_xy.tolist()
    profile = Profile.from_marks(
        scene.image_hwc,
        center=tuple(center),
        marks=[(v, *at) for v, at in zip((0, 5, 10), marks, strict=True)],
        unit="bar",
    )

    refused = 0
    for moment in range(0, 90, 9):
        scene = bench.at(float(moment))
        reading = read_gauge(scene.image_hwc, profile)
        refused += reading.value is None
        if reading.value is not None:
            assert abs(reading.value - scene.gauges[0].value) < 0.1, f"at {moment} s"
    assert refused <= 1
