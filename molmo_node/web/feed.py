"""One camera for all who look at it: one encoder, the newest frame, a bounded shelf of the last."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from molmo_node import imaging
from molmo_node.bus.frames import Frame
from molmo_node.bus.receiver import FrameReceiver, FrameStats
from molmo_node.bus.sockets import Transport
from molmo_node.clock import SYSTEM_CLOCK, Clock
from molmo_node.errors import CameraError, ProtocolError
from molmo_node.messages import FrameHeader, FrameRef
from molmo_node.worker.cameras import CameraPlace

log = logging.getLogger(__name__)

JPEG_QUALITY = 90
SHELF_BYTES = 24 * 1024 * 1024
OLDEST_ASKED_MS = 2_000.0


@dataclass(frozen=True)
class Picture:
    """A frame as the page shows it: which one, its size in pixels, and its JPEG."""

    ref: FrameRef
    width: int
    height: int
    jpeg: bytes


class Looker(Protocol):
    """Somebody who looks at a camera."""

    @property
    def is_awake(self) -> bool:
        """Whether pictures are taken: a tab that sleeps takes none."""
        ...

    def offer(self, picture: Picture) -> None:
        """The newest picture; replaces one that was not taken yet."""
        ...


class Shelf:
    """The last pictures, so that an answer can be shown on the very frame it was made from."""

    def __init__(self, most_bytes: int = SHELF_BYTES) -> None:
        self._most_bytes = most_bytes
        self._pictures: OrderedDict[tuple[str, int], Picture] = OrderedDict()
        self.held_bytes = 0

    def put(self, picture: Picture) -> None:
        """Keep a picture; the oldest go until all fit."""
        key = (picture.ref.session, picture.ref.seq)
        old = self._pictures.pop(key, None)
        self.held_bytes += len(picture.jpeg) - (len(old.jpeg) if old else 0)
        self._pictures[key] = picture
        while self.held_bytes > self._most_bytes and len(self._pictures) > 1:
            _, gone = self._pictures.popitem(last=False)
            self.held_bytes -= len(gone.jpeg)

    def find(self, session: str, seq: int) -> Picture | None:
        """The picture of that frame, if it is still here."""
        return self._pictures.get((session, seq))


class CameraFeed:
    """Encodes each frame once, however many look, and only while somebody is awake.

    Belongs to the event loop's thread. A camera that gives JPEG is passed through untouched.

    Args:
        max_fps: most pictures a second; where `needs_all` is set every frame is encoded.
    """

    def __init__(
        self,
        transport: Transport,
        place: CameraPlace,
        max_fps: float,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.name = place.name
        self.expected_hz = place.rate_hz
        self.shelf = Shelf()
        self.lookers: set[Looker] = set()
        self.needs_all = False
        self.encoded = 0
        self._period_s = 1.0 / max_fps
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._encoding = asyncio.Lock()
        self._newest: Picture | None = None
        self._receiver = FrameReceiver(
            transport, place.address, place.name, on_frame=self._note_arrival, clock=clock
        )
        self._task = asyncio.create_task(self._run(), name=f"feed-{place.name}")

    @property
    def stats(self) -> FrameStats:
        """What the receiver has counted."""
        return self._receiver.stats

    @property
    def header(self) -> FrameHeader | None:
        """The newest frame that was announced."""
        return self._receiver.newest

    def age_ms(self) -> float | None:
        """Since the newest frame came; None before the first."""
        received_ns = self.stats.received_ns
        return None if received_ns is None else (self._clock.mono_ns() - received_ns) / 1e6

    async def look(self, looker: Looker) -> None:
        """Show somebody the newest picture at once, and then every one that comes."""
        self.lookers.add(looker)
        if self.header is not None:
            with contextlib.suppress(CameraError):
                looker.offer(await self.newest(None))

    async def newest(self, oldest_ms: float | None = OLDEST_ASKED_MS) -> Picture:
        """The newest frame's picture, now; it is on the shelf afterwards.

        Raises:
            CameraError: there is none, or it is older than `oldest_ms`.
        """
        age_ms = self.age_ms()
        limit_ms = _patient_ms(oldest_ms, self.expected_hz)
        if age_ms is None or (limit_ms is not None and age_ms > limit_ms):
            seen = (
                "no frame yet" if age_ms is None else f"its last frame is {age_ms / 1e3:.1f} s old"
            )
            raise CameraError(
                f"camera {self.name}: {seen}",
                hint="it is opened again by itself; `molmo-node cameras` shows what is connected",
            )
        picture = await self._encode()
        if picture is None:
            raise CameraError(f"camera {self.name}: its newest frame cannot be read")
        return picture

    async def close(self) -> None:
        """Stop; the receiver's thread ends."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self._receiver.close)

    def _note_arrival(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._arrived.set)

    async def _run(self) -> None:
        next_s = 0.0
        offered: Picture | None = None
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            if not any(looker.is_awake for looker in self.lookers):
                continue
            if not self.needs_all and (wait_s := next_s - self._loop.time()) > 0:
                await asyncio.sleep(wait_s)
            next_s = max(next_s + self._period_s, self._loop.time())
            try:
                picture = await self._encode()
            except Exception:
                log.exception("picture cannot be made", extra={"camera": self.name})
                continue
            if picture is None or picture is offered:
                continue
            offered = picture
            for looker in list(self.lookers):
                looker.offer(picture)

    async def _encode(self) -> Picture | None:
        """The newest frame, encoded unless it is the one that was encoded last."""
        async with self._encoding:
            header, last = self.header, self._newest
            if header is not None and last is not None and _same(header.ref, last.ref):
                return last
            picture = await asyncio.to_thread(self._take)
            if picture is None:
                return None
            if last is None or not _same(picture.ref, last.ref):
                self.encoded += 1
                self._newest = picture
                self.shelf.put(picture)
            return self._newest

    def _take(self) -> Picture | None:
        frame = self._receiver.take()
        if frame is None:
            return None
        try:
            return to_picture(frame)
        except ProtocolError as exc:
            log.warning("frame cannot be read", extra={"camera": self.name, "why": exc.message})
            return None


def to_picture(frame: Frame) -> Picture:
    """A frame as JPEG: its own bytes where it is JPEG, else encoded."""
    header = frame.header
    if header.encoding == "jpeg":
        jpeg = imaging.without_turning(frame.body.tobytes())
    else:
        jpeg = imaging.encode_jpeg(frame.rgb(), JPEG_QUALITY)
    return Picture(header.ref, header.width, header.height, jpeg)


def _same(one: FrameRef, other: FrameRef) -> bool:
    return (one.session, one.seq) == (other.session, other.seq)


def _patient_ms(oldest_ms: float | None, expected_hz: float | None) -> float | None:
    """A camera that is slow by itself is given three of its periods."""
    if oldest_ms is None or not expected_hz:
        return oldest_ms
    return max(oldest_ms, 3e3 / expected_hz)
