"""What a person writes behind --camera means what they expect, or says what is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from molmo_node.camera.base import KINDS
from molmo_node.camera.spec import parse_source, redact
from molmo_node.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "kind", "target"),
    [
        ("0", "v4l2", "/dev/video0"),
        (" 12 ", "v4l2", "/dev/video12"),
        ("/dev/video2", "v4l2", "/dev/video2"),
        ("/dev/v4l/by-id/usb-A_cam-video-index0", "v4l2", "/dev/v4l/by-id/usb-A_cam-video-index0"),
        ("rtsp://10.0.0.2/live", "stream", "rtsp://10.0.0.2/live"),
        ("RTSP://u:p@host:8554/a", "stream", "RTSP://u:p@host:8554/a"),
        ("http://cam/video.mjpg", "stream", "http://cam/video.mjpg"),
        ("udp://239.0.0.1:5000", "stream", "udp://239.0.0.1:5000"),
        ("clip.MP4", "stream", "clip.MP4"),
        ("/data/a b.mkv", "stream", "/data/a b.mkv"),
        ("file:///data/clip.avi", "stream", "/data/clip.avi"),
        ("folder/", "images", "folder/"),
        ("shots", "images", "shots"),
        ("./2026-11-21", "images", "./2026-11-21"),
        ("shots.d/", "images", "shots.d/"),
        ("a.jpg", "images", "a.jpg"),
        ("a.jpg,b.PNG", "images", "a.jpg,b.PNG"),
        ("shots/*.jpeg", "images", "shots/*.jpeg"),
        ("pattern", "pattern", "pattern"),
    ],
)
def test_a_source_is_what_it_looks_like(text, kind, target):
    spec = parse_source(text)

    assert (spec.kind, spec.target) == (kind, target)
    assert spec.kind in KINDS


@pytest.mark.parametrize(
    ("text", "width", "height", "fps"),
    [
        ("pattern", 1280, 720, 30.0),
        ("pattern:640x480", 640, 480, 30.0),
        ("pattern:640x480@7.5", 640, 480, 7.5),
        ("pattern:@5", 1280, 720, 5.0),
    ],
)
def test_a_pattern_has_size_and_rate(text, width, height, fps):
    spec = parse_source(text)

    assert (spec.width, spec.height, spec.fps) == (width, height, fps)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "a camera is a number"),
        ("patern:640x480", "did you mean pattern?"),
        ("patern", "did you mean pattern?"),
        ("rtps://cam/live", "did you mean rtsp"),
        ("ftp://cam/clip.mp4", "a camera is a number"),
        ("rtsp://", "rtsp://user:password@host"),
        ("rtsp://user:pa:ss@host:99999/x", "%40"),
        ("udp://239.0.0.1", "host"),
        ("usb:0", "a camera is a number"),
        ("notes.txt", "pictures: .jpeg .jpg .png"),
        ("pattern:0x0", ""),
        ("pattern:99999x99999", ""),
        ("pattern:640x480@0", ""),
        ("pattern:640x480@.", ""),
        ("pattern:big", "pattern:1280x720@30"),
    ],
)
def test_what_is_no_source_says_the_next_step(text, hint):
    with pytest.raises(ConfigError) as failure:
        parse_source(text)

    assert hint in failure.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://admin:s3cret@10.0.0.2:554/live",
        "rtsp://admin:s3cr@s3cret@10.0.0.2/live",
        "http://cam/video?user=admin&password=s3cret",
        "rtsp://admin:s3cret@[::1/broken",
    ],
)
def test_no_password_is_shown(url):
    assert "s3cret" not in redact(url)
    assert "admin" not in redact(url)
    try:
        shown = repr(parse_source(url))
    except ConfigError as exc:
        shown = str(exc)
    assert "s3cret" not in shown


@settings(deadline=None)  # a loaded machine is no failure
@given(st.one_of(st.text(max_size=60), st.from_regex(r"[a-z]{1,6}:(//)?[a-z0-9:@/?.\[\]-]{0,30}")))
def test_any_text_is_a_source_or_a_config_error(text):
    try:
        spec = parse_source(text)
    except ConfigError:
        return
    assert spec.kind in KINDS
    assert spec.target


@settings(deadline=None)  # a loaded machine is no failure
@given(st.text(alphabet="abc1:/?#%", min_size=4, max_size=20))
def test_no_generated_password_is_shown(password):
    secret = f"Q{password}Q"

    assert secret not in redact(f"rtsp://user:{secret}@host/path")


def test_settings_that_are_given_replace_those_of_the_text():
    spec = parse_source("pattern:640x480@7").adjusted(fps=5.0, encoding="mjpeg", loop=False)

    assert (spec.width, spec.height, spec.fps) == (640, 480, 5.0)
    assert (spec.encoding, spec.loop, spec.jpeg_quality) == ("mjpeg", False, 85)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 640}, "width and height go together"),
        ({"width": 64, "height": 16}, "too small"),
        ({"width": 9000, "height": 100}, "too large"),
        ({"fps": 0.0}, "fps is above 0"),
        ({"fps": float("nan")}, "fps is above 0"),
        ({"encoding": "jpeg"}, "did you mean mjpeg"),
        ({"jpeg_quality": 0}, "jpeg_quality is 1 to 100"),
    ],
)
def test_a_setting_out_of_its_range_says_which(settings, message):
    with pytest.raises(ConfigError, match=message):
        parse_source("/dev/video0").adjusted(**settings)
