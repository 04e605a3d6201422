"""Pictures as bytes: what they say about themselves, and their pixels.

Everything here judges data from outside: a camera's packet, a file, a client's attachment. The
header is read by us and held to `bus.limits` before a decoder sees the bytes, so that a picture
bomb costs microseconds; whatever a decoder then says becomes a ProtocolError of ours.
"""

from __future__ import annotations

import os
import struct
from types import ModuleType
from typing import cast

import numpy as np
from numpy.typing import NDArray

from molmo_node.bus import limits
from molmo_node.errors import ConfigError, ProtocolError
from molmo_node.messages import Encoding

ImageRgb = NDArray[np.uint8]
Body = bytes | bytearray | memoryview | NDArray[np.uint8]

CHANNELS: dict[str, int] = {"rgb8": 3, "bgr8": 3, "mono8": 1}

_JPEG_MAGIC = b"\xff\xd8\xff"
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER_BYTES = 33
_MARKERS_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE_MARKERS = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
# Real files have under 100 segments before the frame header and about 10 scans; without these
# bounds a small file can keep the header walk, or libjpeg, busy for minutes.
_JPEG_SEGMENTS = 1024
_JPEG_SCANS = 100
_TAIL_BYTES = 4096
_APP1 = 0xE1
_EXIF_WITHIN_BYTES = 65_536


def load_cv2() -> ModuleType:
    """Import OpenCV with its own picture limit set, which only works before the first import."""
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(limits.IMAGE_PX))
    import cv2

    return cv2


def sniff(body: Body) -> Encoding:
    """Tell by its first bytes what a picture file is; names and mime types are not believed.

    Raises:
        ProtocolError: neither JPEG nor PNG.
    """
    view = _bytes_view(body)
    head = bytes(view[: len(_PNG_MAGIC)])
    if head.startswith(_JPEG_MAGIC):
        return "jpeg"
    if head == _PNG_MAGIC:
        return "png"
    raise ProtocolError(
        f"picture of {len(view)} bytes is neither JPEG nor PNG", hint="send JPEG or PNG"
    )


def image_size(body: Body, encoding: Encoding) -> tuple[int, int]:
    """Read the size that a JPEG or PNG file declares, without decoding it.

    Returns:
        (width, height) in pixels, within the limits.

    Raises:
        ProtocolError: not such a file, its header is broken, or a side is outside the limits.
    """
    if encoding not in ("jpeg", "png"):
        raise ProtocolError(f"{encoding} bytes declare no size, only jpeg and png do")
    view = _bytes_view(body)
    if len(view) > limits.FRAME_BYTES:
        raise ProtocolError(f"picture of {len(view)} bytes, at most {limits.FRAME_BYTES} allowed")
    if sniff(view) != encoding:
        raise ProtocolError(f"picture is not {encoding}, as it was said to be")
    width, height = _jpeg_size(view) if encoding == "jpeg" else _png_size(view)
    check_size(width, height)
    return width, height


def check_size(width: int, height: int) -> None:
    """Hold a picture's size to the limits.

    Raises:
        ProtocolError: a side is too small or too large, or there are too many pixels.
    """
    sides_fit = all(
        limits.IMAGE_MIN_SIDE_PX <= side <= limits.IMAGE_SIDE_PX for side in (width, height)
    )
    if not sides_fit or width * height > limits.IMAGE_PX:
        raise ProtocolError(
            f"picture of {width}x{height} px; sides of {limits.IMAGE_MIN_SIDE_PX} to"
            f" {limits.IMAGE_SIDE_PX} px and {limits.IMAGE_PX} px in all are allowed",
            hint="scale the picture, or cut out the part that is asked about",
        )


def is_complete(body: Body, encoding: Encoding) -> bool:
    """Tell whether a JPEG or PNG file has its end mark; cameras pad JPEGs behind it."""
    tail = bytes(_bytes_view(body)[-_TAIL_BYTES:])
    return (b"\xff\xd9" if encoding == "jpeg" else b"IEND") in tail


def without_turning(body: bytes) -> bytes:
    """The same picture file without Exif, in which a camera says how it was held.

    The node's decoders ignore that, browsers do not: they would show other places than those that
    were looked at. A file without Exif, as nearly all are, is given back as it is.
    """
    if sniff(body) == "png":
        return body if b"eXIf" not in body else _png_without(body, b"eXIf")
    if body.find(b"Exif\0\0", 0, _EXIF_WITHIN_BYTES) < 0:
        return body
    at, kept = 2, [body[:2]]
    while at + 4 <= len(body) and body[at] == 0xFF and body[at + 1] != 0xDA:
        length = 2 + int.from_bytes(body[at + 2 : at + 4], "big")
        if body[at + 1] != _APP1:
            kept.append(body[at : at + length])
        at += length
    return b"".join([*kept, body[at:]])


def decode_rgb(
    body: Body, encoding: Encoding, width: int, height: int, stride: int = 0
) -> ImageRgb:
    """Turn a frame's body into pixels.

    Args:
        body: a JPEG or PNG file, or ``height * stride`` raw bytes (or such an array).
        width, height: what the message says; a file that declares another size is refused.
        stride: bytes from one raw row to the next; 0 means rows without padding.

    Returns:
        ``(H, W, 3) uint8, rgb8, C-contiguous``. Unpadded rgb8 is a view of `body`, not a copy,
        and read-only where `body` is.

    Raises:
        ProtocolError: the bytes are not that picture, are cut short, or break a limit.
    """
    check_size(width, height)
    if encoding in CHANNELS:
        return _raw_to_rgb(body, encoding, width, height, stride)
    declared = image_size(body, encoding)
    if declared != (width, height):
        raise ProtocolError(
            f"{encoding} declares {declared[0]}x{declared[1]} px, the message {width}x{height}"
        )
    view = _bytes_view(body)
    rgb = _decode_jpeg(view) if encoding == "jpeg" else _decode_png(view)
    if rgb.shape != (height, width, 3):
        raise ProtocolError(f"{encoding} decoded to shape {rgb.shape}, not {(height, width, 3)}")
    return rgb


def encode_jpeg(rgb: ImageRgb, quality: int = 85) -> bytes:
    """Compress ``(H, W, 3) uint8, rgb8`` to a JPEG file with 4:2:0 colour; quality 1 to 100."""
    import simplejpeg

    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(rgb), quality=quality, colorspace="RGB", colorsubsampling="420"
    )
    return encoded


def encode(rgb: ImageRgb, suffix: str) -> bytes:
    """A picture file of the kind that a name's ending says: ``.jpg``, ``.jpeg`` or ``.png``.

    Raises:
        ConfigError: another ending.
    """
    if suffix.lower() in (".jpg", ".jpeg"):
        return encode_jpeg(rgb, 92)
    if suffix.lower() == ".png":
        _, file = load_cv2().imencode(".png", rgb[..., ::-1])
        return bytes(file)
    raise ConfigError(f"a picture cannot be written as {suffix!r}", hint="use .jpg or .png")


def _bytes_view(body: Body) -> memoryview:
    """The body as single bytes, without a copy where it is contiguous."""
    if isinstance(body, np.ndarray):
        return np.ascontiguousarray(body).reshape(-1).view(np.uint8).data
    return memoryview(body).cast("B")


def _png_size(view: memoryview) -> tuple[int, int]:
    if len(view) < _PNG_HEADER_BYTES or bytes(view[8:16]) != b"\x00\x00\x00\x0dIHDR":
        raise ProtocolError("PNG without a header chunk")
    width, height = struct.unpack_from(">II", view, 16)
    return int(width), int(height)


def _png_without(body: bytes, kind: bytes) -> bytes:
    at, kept = len(_PNG_MAGIC), [_PNG_MAGIC]
    while at + 12 <= len(body):
        length = 12 + int.from_bytes(body[at : at + 4], "big")
        if body[at + 4 : at + 8] != kind:
            kept.append(body[at : at + length])
        at += length
    return b"".join(kept)


def _jpeg_size(view: memoryview) -> tuple[int, int]:
    """Walk the segments up to the frame header (ITU-T T.81, annex B)."""
    at = 2
    for _ in range(_JPEG_SEGMENTS):
        if at + 4 > len(view) or view[at] != 0xFF:
            break
        marker = view[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _MARKERS_WITHOUT_LENGTH:
            at += 2
        elif marker in _FRAME_MARKERS:
            return _jpeg_frame_size(view, at)
        else:
            at += 2 + max(2, int.from_bytes(view[at + 2 : at + 4], "big"))
    raise ProtocolError("JPEG without a frame header")


def _jpeg_frame_size(view: memoryview, at: int) -> tuple[int, int]:
    if at + 9 > len(view):
        raise ProtocolError("JPEG cut off in its frame header")
    if view[at + 1] in _PROGRESSIVE_MARKERS and bytes(view).count(b"\xff\xda") > _JPEG_SCANS:
        raise ProtocolError(f"progressive JPEG with more than {_JPEG_SCANS} scans")
    height, width = struct.unpack_from(">HH", view, at + 5)
    return int(width), int(height)


def _decode_jpeg(view: memoryview) -> ImageRgb:
    import simplejpeg

    try:
        return cast(ImageRgb, simplejpeg.decode_jpeg(view, colorspace="RGB"))
    except ValueError as exc:
        # Some webcams leave stray bytes before a marker; libjpeg calls that corrupt although all
        # pixels are there. Every other warning means missing pixels.
        if "extraneous bytes before marker" not in str(exc):
            raise ProtocolError("JPEG is damaged or cut short") from exc
    try:
        return cast(ImageRgb, simplejpeg.decode_jpeg(view, colorspace="RGB", strict=False))
    except ValueError as exc:
        raise ProtocolError("JPEG is damaged") from exc


def _decode_png(view: memoryview) -> ImageRgb:
    cv2 = load_cv2()
    # Orientation marks are ignored: the size is the one that the header declares.
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        rgb = cv2.imdecode(np.frombuffer(view, np.uint8), flags)
    except cv2.error as exc:
        raise ProtocolError("PNG is damaged") from exc
    if rgb is None:
        raise ProtocolError("PNG is damaged or cut short")
    return cast(ImageRgb, rgb)


def _raw_to_rgb(body: Body, encoding: Encoding, width: int, height: int, stride: int) -> ImageRgb:
    channels = CHANNELS[encoding]
    row_bytes = width * channels
    stride = stride or row_bytes
    view = _bytes_view(body)
    if stride < row_bytes or len(view) != height * stride:
        raise ProtocolError(
            f"{encoding} {width}x{height} with stride {stride}: the body has {len(view)} bytes,"
            f" {height * max(stride, row_bytes)} are needed"
        )
    rows = (
        np.frombuffer(view, np.uint8)
        .reshape(height, stride)[:, :row_bytes]
        .reshape(height, width, channels)
    )
    if encoding == "mono8":
        return np.repeat(rows, 3, axis=2)
    return np.ascontiguousarray(rows if encoding == "rgb8" else rows[..., ::-1])
