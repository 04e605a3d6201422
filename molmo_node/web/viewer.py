"""One browser tab at the WebSocket: newest only, and no more than it has acknowledged.

Server to tab: text messages (JSON), and pictures as one binary message: four bytes with the
length of a JSON header (big endian), the header, the JPEG. Tab to server: ``{"look": CAMERA}``,
and ``{"seen": N}`` once it has drawn picture N. Without that, two pictures are sent and no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from molmo_node.errors import NoAnswer
from molmo_node.web.cameras import Feeds
from molmo_node.web.feed import CameraFeed, Picture
from molmo_node.web.replies import json_bytes

IN_FLIGHT = 2
AWAKE_S = 2.0
MESSAGE_BYTES = 1024


class FromTab(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a tab may say."""

    look: str | None = None
    seen: int | None = None


_DECODER = msgspec.json.Decoder(FromTab)


class Viewer:
    """What one tab is shown. Holds one picture, and the newest message of each kind."""

    def __init__(self, socket: WebSocket, feeds: Feeds) -> None:
        self._socket = socket
        self._feeds = feeds
        self._feed: CameraFeed | None = None
        self._picture: Picture | None = None
        self._offered: Picture | None = None
        self._mail: dict[str, str] = {}
        self._wake = asyncio.Event()
        self._number = self._seen = 0
        self._last_word_s = time.monotonic()
        self.sent = self.skipped = 0

    @property
    def is_awake(self) -> bool:
        """Whether it can take a picture now, or took one a moment ago."""
        has_room = self._number - self._seen < IN_FLIGHT
        return has_room or time.monotonic() - self._last_word_s < AWAKE_S

    def offer(self, picture: Picture) -> None:
        """The newest picture; one that was not sent yet is dropped and counted.

        Who begins to look may be offered the same one twice.
        """
        if picture is self._offered:
            return
        self.skipped += self._picture is not None
        self._picture = self._offered = picture
        self._wake.set()

    def tell(self, kind: str, text: str) -> None:
        """A message; one of the same kind that was not sent yet is replaced."""
        self._mail[kind] = text
        self._wake.set()

    async def run(self) -> None:
        """Serve the tab until it goes."""
        sender = asyncio.create_task(self._send_all(), name="viewer")
        try:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                while True:
                    await self._obey(await self._socket.receive_text())
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
            self._look_away()

    async def _obey(self, text: str) -> None:
        try:
            if len(text) > MESSAGE_BYTES:
                raise msgspec.ValidationError("too long")
            word = _DECODER.decode(text)
        except (msgspec.DecodeError, RecursionError):
            await self._socket.close(1008)
            raise WebSocketDisconnect(1008) from None
        self._last_word_s = time.monotonic()
        if word.seen is not None:
            self._seen = max(self._seen, min(word.seen, self._number))
            self._wake.set()
        if word.look is not None:
            await self._look(word.look)

    async def _look(self, name: str) -> None:
        self._look_away()
        if not name:
            return
        try:
            self._feed = self._feeds.get(name)
        except NoAnswer as exc:
            self.tell("error", json_bytes({"type": "error", "message": str(exc)}).decode())
            return
        await self._feed.look(self)

    def _look_away(self) -> None:
        if self._feed is not None:
            self._feed.lookers.discard(self)
        self._feed = self._picture = self._offered = None

    async def _send_all(self) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._mail:
                    await self._socket.send_text(self._mail.pop(next(iter(self._mail))))
                if self._picture is not None and self._number - self._seen < IN_FLIGHT:
                    await self._send_picture(self._picture)

    async def _send_picture(self, picture: Picture) -> None:
        self._picture = None
        self._number += 1
        self.sent += 1
        header = json_bytes(
            {
                "n": self._number,
                "camera": picture.ref.camera,
                "session": picture.ref.session,
                "seq": picture.ref.seq,
                "stamp_ms": picture.ref.stamp_ns / 1e6,
                "width": picture.width,
                "height": picture.height,
                "skipped": self.skipped,
            }
        )
        await self._socket.send_bytes(struct.pack(">I", len(header)) + header + picture.jpeg)
