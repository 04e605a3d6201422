"""From what a source gives to what the configuration asks for: ``auto``, ``raw`` or ``mjpeg``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from molmo_node import imaging
from molmo_node.camera.base import Grabbed
from molmo_node.camera.spec import SourceSpec

Convert = Callable[[Grabbed], Grabbed]


def unchanged(grabbed: Grabbed) -> Grabbed:
    """``auto``: every frame travels as the source gave it."""
    return grabbed


def to_rgb8(grabbed: Grabbed) -> Grabbed:
    """``raw``: pixels.

    Raises:
        ProtocolError: the file's body is damaged.
    """
    if grabbed.encoding == "rgb8":
        return grabbed
    return replace(grabbed, body=_pixels(grabbed), encoding="rgb8")


def to_jpeg(grabbed: Grabbed, quality: int) -> Grabbed:
    """``mjpeg``: JPEG; a frame that is JPEG already passes untouched.

    Raises:
        ProtocolError: the body is damaged.
    """
    if grabbed.encoding == "jpeg":
        return grabbed
    body = imaging.encode_jpeg(_pixels(grabbed), quality)
    return replace(grabbed, body=body, encoding="jpeg")


def converter(spec: SourceSpec) -> Convert:
    """The conversion that a spec asks for."""
    if spec.encoding == "raw":
        return to_rgb8
    if spec.encoding == "mjpeg":
        return lambda grabbed: to_jpeg(grabbed, spec.jpeg_quality)
    return unchanged


def _pixels(grabbed: Grabbed) -> imaging.ImageRgb:
    return imaging.decode_rgb(grabbed.body, grabbed.encoding, grabbed.width, grabbed.height)
