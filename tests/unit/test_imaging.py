"""Picture files from outside become pixels or a ProtocolError, cheaply."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from molmo_node import imaging
from molmo_node.bus import limits
from molmo_node.errors import ProtocolError


def photo(width: int = 96, height: int = 64) -> imaging.ImageRgb:
    """A smooth colour picture that JPEG keeps within a few grey levels."""
    y, x = np.mgrid[0:height, 0:width]
    planes = (x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height))
    return np.stack(planes, axis=-1).astype(np.uint8)


def png(rgb: imaging.ImageRgb) -> bytes:
    cv2 = imaging.load_cv2()
    return bytes(cv2.imencode(".png", rgb[..., ::-1])[1])


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )


def png_bomb(side_width: int = 16384, side_height: int = 8192) -> bytes:
    """A valid 0.4 MB file of one colour that unpacks to 134 Mpx."""
    rows = zlib.compress(bytes((side_width * 3 + 1) * side_height), 9)
    idat = b"IDAT" + rows
    end = b"\x00\x00\x00\x00IEND\xaeB`\x82"
    body = struct.pack(">I", len(rows)) + idat + struct.pack(">I", zlib.crc32(idat))
    return png_header(side_width, side_height) + body + end


def jpeg_header(width: int, height: int) -> bytes:
    frame = struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xd9"


JPEG = imaging.encode_jpeg(photo())
PNG = png(photo())


def test_size_is_read_from_the_header_of_both_kinds():
    assert imaging.image_size(JPEG, "jpeg") == (96, 64)
    assert imaging.image_size(memoryview(PNG), "png") == (96, 64)


def test_a_thumbnail_in_front_of_the_frame_header_is_not_taken_for_the_picture():
    thumbnail = imaging.encode_jpeg(photo(40, 40))
    exif = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 8) + b"Exif\0\0" + thumbnail

    assert imaging.image_size(JPEG[:2] + exif + JPEG[2:], "jpeg") == (96, 64)


@pytest.mark.parametrize(("body", "encoding"), [(JPEG, "jpeg"), (PNG, "png")])
def test_files_decode_to_rgb(body, encoding):
    rgb = imaging.decode_rgb(body, encoding, 96, 64)

    assert rgb.shape == (64, 96, 3)
    assert rgb.flags.c_contiguous
    assert np.abs(rgb.astype(int) - photo()).max() <= (0 if encoding == "png" else 12)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8"])
@pytest.mark.parametrize("padding", [0, 5])
def test_raw_rows_decode_with_and_without_padding(encoding, padding):
    want = photo()
    rows = {"rgb8": want, "bgr8": want[..., ::-1], "mono8": want[..., :1]}[encoding].reshape(64, -1)
    body = np.pad(rows, ((0, 0), (0, padding))).tobytes()

    rgb = imaging.decode_rgb(body, encoding, 96, 64, stride=rows.shape[1] + padding)

    expected = np.repeat(want[..., :1], 3, axis=2) if encoding == "mono8" else want
    np.testing.assert_array_equal(rgb, expected)
    assert rgb.flags.c_contiguous


def test_unpadded_rgb8_is_a_view_of_the_body():
    body = photo()

    assert np.shares_memory(imaging.decode_rgb(body, "rgb8", 96, 64), body)


@pytest.mark.parametrize("encoding", ["jpeg", "png"])
@pytest.mark.parametrize("kept", [0.05, 0.3, 0.6, 0.9, 0.99])
def test_a_file_cut_short_is_refused(encoding, kept):
    body = {"jpeg": JPEG, "png": PNG}[encoding]

    with pytest.raises(ProtocolError):
        imaging.decode_rgb(body[: int(len(body) * kept)], encoding, 96, 64)


def test_a_jpeg_with_missing_pixels_but_an_end_mark_is_refused():
    with pytest.raises(ProtocolError):
        imaging.decode_rgb(JPEG[: len(JPEG) * 2 // 3] + b"\xff\xd9", "jpeg", 96, 64)


def test_a_webcam_jpeg_with_stray_bytes_and_padding_still_decodes():
    webcam = JPEG[:-2] + b"\x12\x34\x56" + JPEG[-2:] + bytes(200)

    assert imaging.is_complete(webcam, "jpeg")
    assert imaging.decode_rgb(webcam, "jpeg", 96, 64).shape == (64, 96, 3)


def test_a_motion_jpeg_frame_without_huffman_tables_decodes():
    out, at = bytearray(JPEG[:2]), 2
    while JPEG[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(JPEG[at + 2 : at + 4], "big")
        if JPEG[at + 1] != 0xC4:
            out += JPEG[at:end]
        at = end

    assert imaging.decode_rgb(bytes(out + JPEG[at:]), "jpeg", 96, 64).shape == (64, 96, 3)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        pytest.param(png_bomb(), "png", id="png of 134 Mpx"),
        pytest.param(jpeg_header(65500, 65500), "jpeg", id="jpeg header of 65500 squared"),
        pytest.param(jpeg_header(8192, 8192), "jpeg", id="sides fit, pixels do not"),
        pytest.param(jpeg_header(1, 1), "jpeg", id="too small"),
        pytest.param(png_header(0, 0), "png", id="no pixels"),
        pytest.param(b"\xff\xd8" + b"\xff" * 16_000_000, "jpeg", id="endless fill bytes"),
        pytest.param(b"\xff\xd8" + b"\xff\xe0\x00\x02" * 4_000_000, "jpeg", id="endless segments"),
        pytest.param(b"\xff\xd8\xff\xe0" + b"\x00" * 17_000_000, "jpeg", id="17 MB"),
    ],
)
def test_a_bomb_is_refused_before_decoding(body, encoding):
    claimed = (1024, 1024)
    took_ms = []
    for _ in range(20):
        started = time.process_time()
        with pytest.raises(ProtocolError):
            imaging.decode_rgb(body, encoding, *claimed)
        took_ms.append((time.process_time() - started) * 1e3)
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            imaging.decode_rgb(body, encoding, *claimed)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert sorted(took_ms)[10] < 5
    assert peak_bytes < 5_000_000


def test_a_progressive_jpeg_with_thousands_of_scans_is_refused():
    head = jpeg_header(64, 64).replace(b"\xff\xc0", b"\xff\xc2")[:-2]

    with pytest.raises(ProtocolError, match="scans"):
        imaging.image_size(head + b"\xff\xda\x00\x02" * 5000 + b"\xff\xd9", "jpeg")


@pytest.mark.parametrize(
    ("body", "encoding", "width", "height", "stride"),
    [
        (JPEG, "jpeg", 95, 64, 0),
        (JPEG, "png", 96, 64, 0),
        (PNG, "jpeg", 96, 64, 0),
        (b"", "jpeg", 96, 64, 0),
        (b"GIF89a" + bytes(100), "png", 96, 64, 0),
        (bytes(10), "rgb8", 96, 64, 0),
        (b"", "rgb8", 96, 64, 0),
        (bytes(96 * 64 * 3), "rgb8", 96, 64, 100),
        (bytes(96 * 64 * 3), "rgb8", 96, 64, -1),
        (np.zeros((64, 96), np.float32), "mono8", 96, 64, 0),
        (bytes(31 * 31 * 3), "rgb8", 31, 31, 0),
    ],
)
def test_a_body_that_is_not_what_the_message_says_is_refused(body, encoding, width, height, stride):
    with pytest.raises(ProtocolError):
        imaging.decode_rgb(body, encoding, width, height, stride)


@settings(deadline=None)  # a loaded machine is no failure
@given(st.binary(max_size=300), st.sampled_from(["jpeg", "png"]))
@example(b"\xff\xd8\xff", "jpeg")
@example(b"\xff\xd8\xff\xc0\x00\x11\x08", "jpeg")
@example(b"\x89PNG\r\n\x1a\n", "png")
def test_any_bytes_give_a_size_or_a_protocol_error(tail, encoding):
    magic = b"\xff\xd8\xff" if encoding == "jpeg" else b"\x89PNG\r\n\x1a\n"
    for body in (tail, magic + tail):
        try:
            width, height = imaging.image_size(body, encoding)
        except ProtocolError:
            continue
        assert min(width, height) >= limits.IMAGE_MIN_SIDE_PX
        assert width * height <= limits.IMAGE_PX


@settings(deadline=None)  # a loaded machine is no failure
@given(st.data(), st.sampled_from(["jpeg", "png"]))
def test_a_damaged_file_decodes_or_is_a_protocol_error(data, encoding):
    body = bytearray({"jpeg": JPEG, "png": PNG}[encoding])
    for at in data.draw(st.lists(st.integers(0, len(body) - 1), min_size=1, max_size=4)):
        body[at] = data.draw(st.integers(0, 255))
    try:
        rgb = imaging.decode_rgb(bytes(body), encoding, 96, 64)
    except ProtocolError:
        return
    assert rgb.shape == (64, 96, 3)


@settings(deadline=None)  # a loaded machine is no failure
@given(
    st.integers(limits.IMAGE_MIN_SIDE_PX, 200),
    st.integers(limits.IMAGE_MIN_SIDE_PX, 200),
    st.integers(1, 100),
)
def test_every_size_survives_encoding(width, height, quality):
    body = imaging.encode_jpeg(photo(width, height), quality)

    assert imaging.image_size(body, "jpeg") == (width, height)
    assert imaging.decode_rgb(body, imaging.sniff(body), width, height).shape == (height, width, 3)


EXIF_TURNED = bytes([
    0xFF, 0xE1, 0, 0x22, *b"Exif\0\0MM", 0, 0x2A, 0, 0, 0, 8,
    0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0,
])  # fmt: skip


def test_a_jpeg_that_says_it_is_turned_loses_that_and_no_pixel():
    plain = imaging.encode_jpeg(np.full((48, 64, 3), 90, np.uint8))
    turned = plain[:2] + EXIF_TURNED + plain[2:]

    assert imaging.without_turning(turned) == plain
    assert imaging.without_turning(plain) is plain


def test_a_png_that_says_it_is_turned_loses_that_and_no_pixel():
    plain = imaging.encode(np.full((48, 64, 3), 90, np.uint8), ".png")
    chunk = (4).to_bytes(4, "big") + b"eXIf" + b"MM\0*" + bytes(4)
    turned = plain[:33] + chunk + plain[33:]

    assert imaging.without_turning(turned) == plain
    assert imaging.without_turning(plain) is plain


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_turned_jpeg_that_is_cut_short_is_no_trap(cut):
    plain = imaging.encode_jpeg(np.full((48, 64, 3), 90, np.uint8))

    assert len(imaging.without_turning((plain[:2] + EXIF_TURNED + plain[2:])[: 4 + cut])) <= 4 + cut
