"""Pictures from a folder, a list or a glob; the files' bytes travel untouched."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from molmo_node import imaging
from molmo_node.bus import limits
from molmo_node.camera.base import BadFrame, EndOfStream, Grabbed, SourceInfo
from molmo_node.camera.causes import FILE_CAUSES, camera_error
from molmo_node.camera.spec import IMAGE_SUFFIXES, SourceSpec
from molmo_node.clock import Clock
from molmo_node.errors import CameraError, ProtocolError
from molmo_node.messages import Encoding

DEFAULT_FPS = 5.0


class ImagesSource:
    """JPEG and PNG files in the order of their names, again and again or once.

    A folder or glob is listed anew for every pass, so that pictures may come and go. Sizes may
    change from picture to picture. The capture loop paces.
    """

    def __init__(self, spec: SourceSpec, clock: Clock) -> None:
        self._spec = spec
        self._clock = clock
        self._pending: list[Path] = []
        self._passes = 0

    def open(self) -> SourceInfo:
        """List the pictures.

        Raises:
            CameraError: there are none.
        """
        self._pending = self._listed()
        return SourceInfo(
            backend="files", stable_id=self._spec.label, is_live=False,
            fps=self._spec.fps or DEFAULT_FPS, asked_width=self._spec.width,
            asked_height=self._spec.height, asked_fps=self._spec.fps,
        )  # fmt: skip

    def read(self) -> Grabbed:
        """Give the next picture's bytes; a file that is no picture is the loop's to reject.

        Raises:
            BadFrame: the file is too large, unreadable, or gone while others are there.
            CameraError: all are gone.
        """
        if not self._pending:
            if not self._spec.loop:
                raise EndOfStream
            self._pending = self._listed()
        path = self._pending.pop(0)
        body = self._bytes_of(path)
        encoding, width, height = _describe(path, body)
        # A camera knows its frame's size beforehand: the grab ends when it is known here too.
        stamp_ns, mono_ns = self._clock.wall_ns(), self._clock.mono_ns()
        return Grabbed(
            body=body, encoding=encoding, width=width, height=height,
            stamp_ns=stamp_ns, mono_ns=mono_ns,
        )  # fmt: skip

    def close(self) -> None:
        """Forget the list; no file stays open between reads."""
        self._pending = []

    def _bytes_of(self, path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                body = file.read(limits.FRAME_BYTES + 1)
        except OSError as exc:
            self._listed()  # raises where the last picture is gone
            raise BadFrame("unreadable") from exc
        if len(body) > limits.FRAME_BYTES:
            raise BadFrame("size")
        return body

    def _listed(self) -> list[Path]:
        try:
            paths = expand(self._spec.target)
        except OSError as exc:
            raise camera_error(self._spec.label, exc, FILE_CAUSES) from exc
        if not paths:
            raise CameraError(
                f"{self._spec.label}: no JPEG or PNG picture there",
                hint="name a folder, files separated by commas, or a quoted glob: 'shots/*.jpg'",
            )
        return paths


def expand(target: str) -> list[Path]:
    """The pictures that exist behind a file, folder, glob or comma list; sorted, lists as given.

    A name that exists as it stands wins over its meaning as a glob or list.
    """
    whole = Path(os.path.expanduser(target))
    if whole.is_dir():
        return sorted(path for path in whole.iterdir() if _is_picture(path))
    if whole.is_file():
        return [whole]
    parts = [os.path.expanduser(part.strip()) for part in target.split(",") if part.strip()]
    found = [name for part in parts for name in ([part] if _exists(part) else _globbed(part))]
    return [Path(name) for name in found if _is_picture(Path(name))]


def _exists(name: str) -> bool:
    return Path(name).is_file()


def _globbed(pattern: str) -> list[str]:
    return sorted(glob.glob(pattern))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _describe(path: Path, body: bytes) -> tuple[Encoding, int, int]:
    """Encoding and size as the bytes say; size 0x0 and the name's encoding where they do not."""
    try:
        encoding = imaging.sniff(body)
        return encoding, *imaging.image_size(body, encoding)
    except ProtocolError:
        return "png" if path.suffix.lower() == ".png" else "jpeg", 0, 0
