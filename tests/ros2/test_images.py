"""ROS image messages as frames."""

from __future__ import annotations

import numpy as np
import pytest

from molmo_node import imaging
from molmo_node.camera.base import BadFrame
from molmo_node.camera.validate import fault
from molmo_node.errors import CameraError
from molmo_node.ros2.images import Arrived, to_grabbed
from tests.ros2.messages import compressed, header, image

RGB = np.random.default_rng(3).integers(0, 256, (48, 64, 3), np.uint8)


def grabbed_rgb(message):
    grabbed = to_grabbed(Arrived(message, 9))
    assert fault(grabbed, last_mono_ns=0, now_mono_ns=10) is None
    return imaging.decode_rgb(grabbed.body, grabbed.encoding, grabbed.width, grabbed.height)


@pytest.mark.parametrize("pad_bytes", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "channels"),
    [
        ("rgb8", [0, 1, 2]),
        ("bgr8", [2, 1, 0]),
        ("8UC3", [2, 1, 0]),
        ("rgba8", [0, 1, 2, 0]),
        ("bgra8", [2, 1, 0, 0]),
    ],
)
def test_colours_keep_their_places_whatever_the_padding(encoding, channels, pad_bytes):
    message = image(RGB[..., channels], encoding, pad_bytes)

    np.testing.assert_array_equal(grabbed_rgb(message), RGB)


def test_grey_stays_grey():
    shown = grabbed_rgb(image(RGB[..., 0], "mono8", 3))

    np.testing.assert_array_equal(shown, np.repeat(RGB[..., :1], 3, axis=2))


def test_raw_pixels_are_a_view_of_the_message():
    message = image(RGB, "rgb8")

    body = to_grabbed(Arrived(message, 9)).body

    assert np.shares_memory(body, np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize("order", ["RGGB", "BGGR", "GBRG", "GRBG"])
def test_a_bayer_mosaic_of_one_colour_is_that_colour(order):
    color = {"R": 200, "G": 90, "B": 30}
    tile = np.array([color[letter] for letter in order], np.uint8).reshape(2, 2)

    shown = grabbed_rgb(image(np.tile(tile, (24, 32)), f"bayer_{order.lower()}8"))

    np.testing.assert_array_equal(shown[10, 10], [200, 90, 30])


@pytest.mark.parametrize(
    ("encoding", "pair"), [("yuv422", [128, 81, 128, 81]), ("yuv422_yuy2", [81, 128, 81, 128])]
)
def test_yuv_luma_is_found_in_its_bytes(encoding, pair):
    shown = grabbed_rgb(image(np.tile(np.array(pair, np.uint8), (48, 32)).reshape(48, 64, 2),
                              encoding))  # fmt: skip

    assert np.ptp(shown) <= 2
    assert shown[0, 0, 0] == pytest.approx((81 - 16) * 255 / 219, abs=2)


def test_a_file_travels_untouched_with_its_stamp_and_frame():
    body = imaging.encode_jpeg(RGB)

    grabbed = to_grabbed(Arrived(compressed(body, header=header(1_999_999_999_999_999_999)), 9))

    assert (bytes(grabbed.body), grabbed.encoding) == (body, "jpeg")
    assert (grabbed.width, grabbed.height) == (64, 48)
    assert (grabbed.stamp_ns, grabbed.mono_ns) == (1_999_999_999_999_999_999, 9)
    assert grabbed.frame_id == "camera_optical"
    assert fault(grabbed, last_mono_ns=0, now_mono_ns=10) is None


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (image(RGB, "rgb8", step=64 * 3 - 1), "shape"),
        (image(RGB, "rgb8", height=49), "shape"),
        (image(RGB, "rgb8", step=0), "shape"),
        (image(RGB, "rgb8", width=0), "size"),
        (image(RGB, "rgb8", width=100_000), "size"),
        (image(RGB, "rgb8", header=header(frame_id="x" * 300)), "header"),
        (compressed(b""), "empty"),
        (compressed(b"depth \x00 compressed"), "encoding"),
        (compressed(imaging.encode_jpeg(RGB)[:20]), "header"),
    ],
)
def test_a_contradictory_message_is_one_bad_frame(message, reason):
    with pytest.raises(BadFrame) as caught:
        to_grabbed(Arrived(message, 9))

    assert caught.value.reason == reason


def test_a_depth_image_is_no_picture_and_the_person_is_told_where_it_belongs():
    with pytest.raises(CameraError, match=r"16UC1.*depth_topic"):
        to_grabbed(Arrived(image(RGB[..., 0].astype(np.uint16), "16UC1"), 9))
