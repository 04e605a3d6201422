"""Real photographs: the packaged examples always, the shared set where it is at hand."""

from __future__ import annotations

from typing import Any

import pytest

from molmo_node.gauge_profiles import load_profile
from molmo_node.instruments import Profile, read_gauge
from tests.instruments.pictures import (
    EXAMPLES,
    ROOT,
    load,
    needs_shared,
    shared_image,
    shared_labels,
)
from tools.instrument_sets import gauge_error_pct, labelled_profile

PRESSURE_RUN_MPA = {
    "000": 0.039, "003": 0.112, "006": 0.209, "009": 0.263,
    "012": 0.313, "016": 0.388, "020": 0.504, "023": 0.632,
}  # fmt: skip
WORKSHOP_GAUGE_MPA = {1: 0.129, 2: 0.058, 3: 0.4, 4: 0.738, 5: 0.652, 6: 0.695}


def test_one_profile_reads_the_whole_packaged_run_within_half_a_percent() -> None:
    profile = load_profile(EXAMPLES / "gauges" / "pressure_run.yaml")

    for number, mpa in PRESSURE_RUN_MPA.items():
        reading = read_gauge(load(EXAMPLES / "pressure_run" / f"frame_{number}.jpg"), profile)

        assert reading.value == pytest.approx(mpa, abs=0.005), number


def test_one_profile_reads_six_photos_from_different_places() -> None:
    profile = load_profile(EXAMPLES / "gauges" / "workshop_gauge.yaml")

    for number, mpa in WORKSHOP_GAUGE_MPA.items():
        reading = read_gauge(load(EXAMPLES / "workshop_gauge" / f"photo_{number}.jpg"), profile)

        assert reading.value == pytest.approx(mpa, abs=0.01), number


def test_profile_of_one_gauge_refuses_the_other() -> None:
    profile = load_profile(EXAMPLES / "gauges" / "workshop_gauge.yaml")

    reading = read_gauge(load(EXAMPLES / "pressure_run" / "frame_000.jpg"), profile)

    assert reading.value is None
    assert reading.reason == "registration_lost"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs" / "gauges").glob("*.yaml")), ids=lambda p: p.stem
)
def test_every_commented_example_loads(path: Any) -> None:
    assert load_profile(path).name == path.stem


@needs_shared
def test_water_meter_of_the_commented_example_reads_its_photo() -> None:
    profile = load_profile(ROOT / "configs" / "gauges" / "water_meter.yaml")

    reading = read_gauge(shared_image("images/meter_water_a1.jpg"), profile)

    assert reading.value == pytest.approx(0.0651, abs=0.0001)


@needs_shared
@pytest.mark.timeout(240)
def test_all_shared_gauges_are_read_within_two_percent_and_most_within_one() -> None:
    errors_pct = []
    for item in shared_labels()["items"]:
        if item["kind"] in ("clock", "watch"):
            continue
        image = shared_image(item["file"])
        value = read_gauge(image, labelled_profile(item, image)).value
        assert value is not None, item["file"]
        errors_pct.append(gauge_error_pct(value, item) or 0.0)

    assert len(errors_pct) == 27
    assert max(errors_pct) <= 2.0
    assert sum(error <= 1.0 for error in errors_pct) >= 25


@needs_shared
@pytest.mark.timeout(240)
def test_profile_of_frame_0_reads_the_shared_sequence_within_half_a_percent() -> None:
    frames = shared_labels()["sequence"]["frames"]
    first = frames[0]
    profile = Profile.from_marks(
        shared_image(first["file"]), first["centre"], first["scale_points"], "MPa", min=0, max=1
    )

    for frame in frames:
        reading = read_gauge(shared_image(frame["file"]), profile)

        assert reading.value == pytest.approx(frame["reading"], abs=0.005), frame["file"]
