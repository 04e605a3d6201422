"""Pictures that visitors brought, or froze from a camera: a few, in memory, for an hour."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict

from molmo_node import imaging
from molmo_node.errors import NoAnswer
from molmo_node.messages import FrameRef
from molmo_node.web.feed import Picture

MOST_PICTURES = 16
MOST_BYTES = 64 * 1024 * 1024
KEPT_S = 3600.0


class Pictures:
    """Pictures by an id that nobody guesses. The oldest go when there is no room."""

    def __init__(self) -> None:
        self._pictures: OrderedDict[str, tuple[float, Picture]] = OrderedDict()

    def add(self, picture: Picture) -> str:
        """Keep a picture, and give its id."""
        picture_id = secrets.token_urlsafe(12)
        self._pictures[picture_id] = time.monotonic(), picture
        while len(self._pictures) > MOST_PICTURES or self._held_bytes() > MOST_BYTES:
            self._pictures.popitem(last=False)
        return picture_id

    def get(self, picture_id: str) -> Picture:
        """The picture of an id.

        Raises:
            NoAnswer: it is unknown or was kept long enough.
        """
        at_s, picture = self._pictures.get(picture_id, (0.0, None))
        if picture is None or time.monotonic() - at_s > KEPT_S:
            raise NoAnswer("that picture is not kept any more", hint="choose it again")
        return picture

    def _held_bytes(self) -> int:
        return sum(len(picture.jpeg) for _, picture in self._pictures.values())


def uploaded(body: bytes) -> Picture:
    """A JPEG or PNG file as a picture; it is decoded once, so that what is kept can be read.

    Raises:
        ProtocolError: neither, damaged, or outside the limits.
    """
    encoding = imaging.sniff(body)
    width, height = imaging.image_size(body, encoding)
    imaging.decode_rgb(body, encoding, width, height)
    ref = FrameRef(
        camera="", session="upload", seq=0, stamp_ns=time.time_ns(), mono_ns=time.monotonic_ns()
    )
    return Picture(ref, width, height, imaging.without_turning(body))
