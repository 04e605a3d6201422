"""A camera on the network in miniature: RTSP 1.0 with H.264 over the same TCP connection."""

from __future__ import annotations

import base64
import re
import socket
import struct
import threading
from collections.abc import Sequence
from fractions import Fraction
from types import TracebackType

import av
import av.video.frame

from molmo_node.imaging import ImageRgb

SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=framerate:{fps}\r\n"
    "a=fmtp:96 packetization-mode=1\r\na=control:track0\r\n"
)


def access_units(frames: Sequence[ImageRgb], fps: int) -> list[list[bytes]]:
    """H.264 NAL units of each frame; every frame is a key frame with its parameter sets."""
    codec = av.CodecContext.create("libx264", "w")
    codec.height, codec.width = frames[0].shape[:2]
    codec.pix_fmt = "yuv420p"
    codec.time_base = Fraction(1, fps)
    codec.gop_size = 1
    codec.options = {"preset": "ultrafast", "tune": "zerolatency"}
    packets = []
    for number, rgb in enumerate(frames):
        frame = av.video.frame.VideoFrame.from_ndarray(rgb, "rgb24")
        frame.pts = number
        packets += codec.encode(frame)
    packets += codec.encode(None)
    return [[nal for nal in re.split(b"\0{2,3}\1", bytes(packet)) if nal] for packet in packets]


class RtspServer:
    """Serves `units` in a circle to one client after the other.

    Args:
        stall_after, hang_up_after: number of frames after which a viewer gets no more, or is
            disconnected.
        login: ``user:password`` that is asked for.
    """

    def __init__(
        self, units: list[list[bytes]], *, fps: int = 25, stall_after: int | None = None,
        hang_up_after: int | None = None, login: str = "",
    ) -> None:  # fmt: skip
        self._units, self._fps, self._login = units, fps, login
        self._stall_after, self._hang_up_after = stall_after, hang_up_after
        self._stop = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="rtsp-server")

    def __enter__(self) -> RtspServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        self._stop.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                viewer, _ = self._server.accept()
            except OSError:
                return
            with viewer:
                viewer.settimeout(0.05)
                self._attend(viewer)

    def _attend(self, viewer: socket.socket) -> None:
        inbox = b""
        while not self._stop.is_set():
            try:
                part = viewer.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                return
            if not part:
                return
            inbox += part
            while b"\r\n\r\n" in inbox:
                request, _, inbox = inbox.partition(b"\r\n\r\n")
                if self._reply(viewer, request.decode()) == "PLAY":
                    self._play(viewer)
                    return

    def _reply(self, viewer: socket.socket, request: str) -> str:
        verb = request.split(" ", 1)[0]
        number = re.search(r"CSeq: *(\d+)", request)
        status, extra, body = "200 OK", "Session: 1\r\n", ""
        token = base64.b64encode(self._login.encode()).decode()
        if self._login and verb != "OPTIONS" and f"Basic {token}" not in request:
            status, extra = "401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"\r\n'
        elif verb == "DESCRIBE":
            body = SDP.format(fps=self._fps)
            extra += "Content-Type: application/sdp\r\n"
        elif verb == "SETUP":
            extra += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        elif verb == "OPTIONS":
            extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        viewer.sendall(
            f"RTSP/1.0 {status}\r\nCSeq: {number[1] if number else 0}\r\n{extra}"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        return verb if status == "200 OK" else ""

    def _play(self, viewer: socket.socket) -> None:
        sequence = count = 0
        while not self._stop.wait(1 / self._fps):
            if self._hang_up_after is not None and count >= self._hang_up_after:
                return
            if self._stall_after is not None and count >= self._stall_after:
                continue
            nals = self._units[count % len(self._units)]
            try:
                for nal in nals:
                    stamp = count * 90_000 // self._fps
                    viewer.sendall(_interleaved(nal, sequence, stamp, nal is nals[-1]))
                    sequence = (sequence + 1) & 0xFFFF
            except OSError:
                return
            count += 1


def _interleaved(nal: bytes, sequence: int, stamp: int, is_last: bool) -> bytes:
    """One NAL unit as one RTP packet (RFC 6184, single unit mode) in RTSP's framing."""
    packet = struct.pack(">BBHII", 0x80, 96 | is_last << 7, sequence, stamp, 0x1234) + nal
    return struct.pack(">cBH", b"$", 0, len(packet)) + packet
