"""What is wrong with a grabbed frame, if anything. Looks at headers, never decodes."""

from __future__ import annotations

import numpy as np

from molmo_node import imaging
from molmo_node.bus import limits
from molmo_node.camera.base import Grabbed, RejectReason
from molmo_node.errors import ProtocolError

_SHAPES = {"rgb8": (3,), "bgr8": (3,), "mono8": ()}


def fault(grabbed: Grabbed, *, last_mono_ns: int, now_mono_ns: int) -> RejectReason | None:
    """Judge a frame; None means good.

    Args:
        last_mono_ns: stamp of the last good frame; a frame from before it is refused.
        now_mono_ns: a stamp from the future is refused too, else it would shut out what follows.
            The wall clock is not judged: it may jump.
    """
    if grabbed.nbytes == 0:
        return "empty"
    if not last_mono_ns <= grabbed.mono_ns <= now_mono_ns:
        return "stamp"
    if grabbed.encoding in imaging.CHANNELS:
        return _raw_fault(grabbed)
    return _file_fault(grabbed)


def _raw_fault(grabbed: Grabbed) -> RejectReason | None:
    body = grabbed.body
    if isinstance(body, np.ndarray):
        shape = (grabbed.height, grabbed.width, *_SHAPES[grabbed.encoding])
        if body.dtype != np.uint8 or body.shape != shape or not body.flags.c_contiguous:
            return "shape"
    elif grabbed.nbytes != grabbed.height * grabbed.stride:
        return "shape"
    return _size_fault(grabbed)


def _file_fault(grabbed: Grabbed) -> RejectReason | None:
    if grabbed.nbytes > limits.FRAME_BYTES:
        return "size"
    try:
        if imaging.sniff(grabbed.body) != grabbed.encoding:
            return "encoding"
    except ProtocolError:
        return "encoding"
    try:
        declared = imaging.image_size(grabbed.body, grabbed.encoding)
    except ProtocolError:
        return "header"
    if declared != (grabbed.width, grabbed.height):
        return "header"
    return None if imaging.is_complete(grabbed.body, grabbed.encoding) else "truncated"


def _size_fault(grabbed: Grabbed) -> RejectReason | None:
    try:
        imaging.check_size(grabbed.width, grabbed.height)
    except ProtocolError:
        return "size"
    return None
