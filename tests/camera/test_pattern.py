"""A pattern frame proves its own number, also after JPEG."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molmo_node import imaging
from molmo_node.camera.base import make_source
from molmo_node.camera.pattern import background, draw, read_counter
from molmo_node.camera.spec import parse_source

from .fakes import FakeClock

NOON_NS = 1_700_000_000_000_000_000


@pytest.mark.parametrize("size", [(1280, 720), (640, 480), (96, 96), (1921, 1081)])
@pytest.mark.parametrize("quality", [30, 85])
def test_the_counter_survives_jpeg(size, quality):
    base = background(*size)
    for number in (0, 1, 12345, 2**32 - 1):
        rgb = draw(base, number, NOON_NS)
        body = imaging.encode_jpeg(rgb, quality)

        assert read_counter(imaging.decode_rgb(body, "jpeg", *size)) == number


@settings(deadline=None)  # a loaded machine is no failure
@given(st.integers(0, 2**32 - 1))
def test_every_number_is_read_back(number):
    assert read_counter(draw(background(192, 96), number, NOON_NS)) == number


@pytest.mark.parametrize("damage", ["flipped block", "mirrored", "grey", "noise", "too small"])
def test_a_picture_without_an_intact_counter_has_no_number(damage):
    rgb = draw(background(480, 320), 77, NOON_NS)
    if damage == "flipped block":
        rgb[0:20, 0:20] = 255 - rgb[0:20, 0:20]
    elif damage == "mirrored":
        rgb = rgb[:, ::-1]
    elif damage == "grey":
        rgb = background(480, 320)
    elif damage == "noise":
        rgb = np.random.default_rng(1).integers(0, 2, rgb.shape, np.uint8) * 255
    else:
        rgb = rgb[:, :90]

    assert read_counter(rgb) is None


def test_the_source_counts_from_zero_and_gives_each_frame_its_own_memory():
    source = make_source(parse_source("pattern:320x240@10"), FakeClock())
    info = source.open()
    frames = [source.read() for _ in range(5)]
    source.close()

    assert [read_counter(frame.body) for frame in frames] == [0, 1, 2, 3, 4]
    assert (info.width, info.height, info.fps, info.is_live) == (320, 240, 10.0, False)
    assert frames[0].stride == 960
    assert not np.shares_memory(frames[0].body, frames[1].body)


def test_text_and_clock_are_drawn():
    base = background(640, 480)

    shown = draw(base, 5, NOON_NS)
    later = draw(base, 5, NOON_NS + 1_000_000_000)

    assert (shown[200:300] != base[200:300]).any()
    assert (shown != later).any()
