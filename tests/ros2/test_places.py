"""Depth, intrinsics, and where the points of an answer are."""

from __future__ import annotations

import json
import math
import threading

import cv2
import numpy as np
import pytest

from molmo_node.errors import ProtocolError
from molmo_node.ros2.depth import DepthHistory, depth_image
from molmo_node.ros2.pinhole import pinhole
from molmo_node.ros2.places import Locator
from tests.ros2.messages import answer, camera_info, header, image
from tests.ros2.scene import THINGS, Scene

SCENE = Scene()
SIZE = (640, 480)


def millimetres(depth_m):
    return np.nan_to_num(depth_m * 1000).round().astype(np.uint16)


def depth_message(encoding="32FC1", depth_m=None, **fields):
    depth_m = SCENE.depth_m() if depth_m is None else depth_m
    return image(millimetres(depth_m) if encoding == "16UC1" else depth_m, encoding, **fields)


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.name)
def test_a_pixel_and_its_depth_give_back_the_point(thing):
    camera = pinhole(camera_info(SCENE), is_rectified=False)

    found = camera.deproject(*SCENE.pixel(thing.center_m), thing.center_m[2], SIZE)

    assert math.dist(found, thing.center_m) < 1e-6


def test_even_at_the_corner_of_a_wide_lens():
    camera = pinhole(camera_info(SCENE), is_rectified=False)
    truth = (0.69, -0.5, 1.2)

    assert math.dist(camera.deproject(*SCENE.pixel(truth), 1.2, SIZE), truth) < 1e-5


@pytest.mark.parametrize(
    ("model", "d"),
    [
        ("rational_polynomial", [0.2, -0.1, 0.001, -0.002, 0.05, 0.3, -0.05, 0.01]),
        ("equidistant", [0.05, -0.01, 0.002, -0.001]),
        ("plumb_bob", [0.0] * 5),
    ],
)
def test_the_other_lens_models_agree_with_opencv(model, d):
    info = camera_info(SCENE, distortion_model=model, d=d)
    truth, matrix = np.array([[[0.3, -0.2, 1.0]]]), np.array(SCENE.k).reshape(3, 3)
    project = cv2.fisheye.projectPoints if model == "equidistant" else cv2.projectPoints
    seen = project(truth, np.zeros(3), np.zeros(3), matrix, np.array(d))[0].ravel() + 0.5

    found = pinhole(info, is_rectified=False).deproject(*seen, 2.0, SIZE)

    assert math.dist(found, (0.6, -0.4, 2.0)) < 1e-5


def test_a_rectified_image_is_described_by_p_and_the_right_camera_by_its_base():
    p = [500.0, 0.0, 320.0, -60.0, 0.0, 500.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0]

    found = pinhole(camera_info(SCENE, p=p), is_rectified=True).deproject(320.5, 240.5, 2.0, SIZE)

    assert found == pytest.approx((0.12, 0.0, 2.0))


def test_region_binning_and_scaling_leave_the_point_where_it_is():
    truth = THINGS[0].center_m
    x_px, y_px = SCENE.pixel(truth)
    roi = camera_info(SCENE).roi
    roi.x_offset, roi.y_offset, roi.width, roi.height = 200, 100, 400, 200
    binned = pinhole(camera_info(SCENE, roi=roi, binning_x=2, binning_y=2), is_rectified=False)
    whole = pinhole(camera_info(SCENE), is_rectified=False)

    in_region = binned.deproject((x_px - 200) / 2, (y_px - 100) / 2, truth[2], (200, 100))
    twice_as_large = whole.deproject(2 * x_px, 2 * y_px, truth[2], (1280, 960))

    assert math.dist(in_region, truth) < 1e-6
    assert math.dist(twice_as_large, truth) < 1e-6


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"k": [0.0] * 9}, "not calibrated"),
        ({"k": [float("nan")] * 9}, "not calibrated"),
        ({"width": 0}, "not calibrated"),
        ({"distortion_model": "equidistant"}, "'equidistant' with 5 coefficients is not known"),
        ({"d": [0.1] * 7}, "7 coefficients is not known"),
    ],
)
def test_intrinsics_that_cannot_be_used_are_refused(fields, says):
    with pytest.raises(ProtocolError, match=says):
        pinhole(camera_info(SCENE, **fields), is_rectified=False)


@pytest.mark.parametrize("is_bigendian", [0, 1])
@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_the_median_of_what_is_left_of_the_depth_is_the_surfaces(encoding, is_bigendian):
    depth_m = SCENE.depth_m()
    rows = millimetres(depth_m) if encoding == "16UC1" else depth_m
    rows = rows.byteswap() if is_bigendian else rows
    depth = depth_image(image(rows, encoding, 6, is_bigendian=is_bigendian))

    for thing in THINGS:
        found_m = depth.median_m(*SCENE.pixel(thing.center_m), SIZE, 2)
        assert found_m == pytest.approx(thing.center_m[2], abs=0.005)


@pytest.mark.parametrize("hole", [0.0, -1.0, float("nan"), float("inf"), float("-inf")])
def test_a_hole_is_no_distance(hole):
    depth_m = np.full((480, 640), hole, np.float32)
    depth_m[240, 320] = 1.5
    depth = depth_image(depth_message(depth_m=depth_m))

    assert depth.median_m(320.5, 240.5, SIZE, 0) == 1.5
    assert depth.median_m(320.5, 240.5, SIZE, 2) is None
    assert depth.median_m(10.0, 10.0, SIZE, 2) is None


def test_the_median_never_lies_between_two_surfaces():
    depth_m = np.full((480, 640), 3.0, np.float32)
    depth_m[:, :321] = 1.0
    depth = depth_image(depth_message(depth_m=depth_m))

    assert {depth.median_m(x + 0.5, 240.0, SIZE, 2) for x in range(310, 330)} == {1.0, 3.0}


@pytest.mark.parametrize("at", [(0.0, 0.0), (639.99, 479.99), (640.0, 480.0), (-1.0, 5.0)])
def test_the_edge_is_looked_up_and_beyond_it_there_is_nothing(at):
    depth = depth_image(depth_message(depth_m=np.full((480, 640), 2.0, np.float32)))

    is_inside = 0 <= at[0] < 640 and 0 <= at[1] < 480
    assert depth.median_m(*at, SIZE, 2) == (2.0 if is_inside else None)


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (image(np.zeros((48, 64, 3), np.uint8), "rgb8"), "expected 16UC1"),
        (depth_message(step=64), "has 1228800 bytes"),
        (depth_message(height=20_000), "sides of 32 to"),
    ],
)
def test_what_is_no_depth_image_is_counted_with_its_reason(message, says):
    history = DepthHistory(10**7)

    history.add(message)

    assert (history.received, history.rejected) == (0, 1)
    assert says in history.problem


def test_the_history_keeps_to_its_memory_and_gives_the_nearest_stamp():
    history = DepthHistory(3 * 480 * 640 * 4)
    for stamp_ns in range(0, 500, 100):
        history.add(depth_message(header=header(stamp_ns)))

    assert history.nearest(310, 20).stamp_ns == 300
    assert history.nearest(350, 20) is None
    assert history.nearest(100, 20) is None  # it made room


def test_an_answer_that_is_quicker_than_its_depth_waits_for_it():
    history = DepthHistory(10**8)
    late = threading.Timer(0.05, history.add, [depth_message(header=header(100))])
    late.start()

    assert history.nearest(100, 0, wait_s=10.0).stamp_ns == 100
    late.join()


@pytest.fixture
def locator():
    locator = Locator(DepthHistory(10**8))
    locator.note_info(camera_info(SCENE))
    return locator


def test_points_are_located_in_the_depth_of_their_own_frame(locator):
    locator.depths.add(depth_message("16UC1"))
    asked = answer(*(SCENE.pixel(thing.center_m) for thing in THINGS))

    located = locator.locate(asked)

    for thing, found in zip(THINGS, located.points_m, strict=True):
        assert math.dist(found, thing.center_m) < 0.01
    told = json.loads(located.as_json())
    assert told["points_m"] == [list(found) for found in located.points_m]
    assert (told["depth_reason"], told["frame"]["stamp_ns"]) == (None, 5_000_000_007)


def test_without_its_depth_a_point_has_no_place_and_a_reason(locator):
    def reason(stamp_ns):
        located = locator.locate(answer((10.0, 10.0), stamp_ns=stamp_ns))
        assert located.points_m == (None,)
        return located.reason

    flat = np.full((100, 300), 1.0, np.float32)
    locator.depths.add(depth_message(depth_m=flat, header=header(10**9)))
    empty = np.zeros((480, 640), np.float32)
    locator.depths.add(depth_message(depth_m=empty, header=header(2 * 10**9)))

    assert "within 50 ms" in reason(5 * 10**9)
    assert "300x100 px is not aligned" in reason(10**9)
    assert reason(2 * 10**9) == "holes in the depth"
    locator.note_info(camera_info(SCENE, k=[0.0] * 9))
    assert "not calibrated" in reason(2 * 10**9)


def test_without_a_depth_topic_nothing_is_looked_for():
    located = Locator(None).locate(answer((10.0, 10.0)))

    assert (located.points_m, located.reason) == ((), "")
