"""The dial wizard: propose a calibration, try it, and save the profile the worker reads with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from molmo_node import imaging
from molmo_node.bus import limits
from molmo_node.errors import Busy, ConfigError, MolmoNodeError, ProtocolError
from molmo_node.instruments import Profile, propose_profile, read_gauge, try_profile
from molmo_node.messages import GaugeReading
from molmo_node.web.cameras import Feeds
from molmo_node.web.feed import CameraFeed, Picture
from molmo_node.web.pictures import Pictures

T = TypeVar("T")

TRIALS = 10
FRAMES_WITHIN_S = 60.0
MOST_MARKS = 64
NO_FOLDER = "start the node with --gauges FOLDER, or set gauges.folder in its settings file"


class Placed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scale mark: its value and where it is printed."""

    value: float
    x_px: float
    y_px: float


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `/api/wizard/try` and `/api/wizard/save`.

    With `camera` the ten test readings are of ten frames as they come; without it, of the
    picture itself, changed a little ten times.
    """

    picture: str
    center: tuple[float, float]
    marks: tuple[Placed, ...]
    unit: str = ""
    plausible: tuple[float, float] | None = None
    highest_rate_per_s: float | None = None
    name: str = ""
    camera: str = ""
    replace: bool = False


class Wizard:
    """The steps from a picture to a profile. One heavy step at a time."""

    def __init__(self, feeds: Feeds, pictures: Pictures, folder: Path | None) -> None:
        self._feeds = feeds
        self._pictures = pictures
        self._folder = folder
        self._working = asyncio.Lock()

    @property
    def can_save(self) -> bool:
        """Whether there is a folder for profiles."""
        return self._folder is not None

    def names(self) -> list[str]:
        """The gauges that have a profile."""
        found = self._folder.glob("*.yaml") if self._folder is not None else ()
        return sorted(path.stem for path in found)

    async def propose(self, picture_id: str) -> dict[str, Any]:
        """Centre, marks and unit as found in the picture.

        Raises:
            NoAnswer: no dial or scale was found.
            ModelError: the numbers cannot be read without the extra [ocr].
        """
        picture = self._pictures.get(picture_id)
        profile, reading = await self._do(lambda: propose_profile(_pixels(picture)))
        return {
            "center": profile.center,
            "marks": [msgspec.to_builtins(Placed(**vars_of(mark))) for mark in profile.marks],
            "unit": profile.unit,
            "reading": msgspec.to_builtins(reading),
        }

    async def try_out(self, wanted: Calibration) -> dict[str, Any]:
        """What the calibration reads on its picture, ten test readings, and their spread.

        Raises:
            MolmoNodeError: the marks are no scale, or the camera gives no frames.
        """
        profile, here = await self._do(lambda: self._made(wanted))
        if wanted.camera:
            readings = await self._of_frames(self._feeds.get(wanted.camera), profile)
        else:
            image = _pixels(self._pictures.get(wanted.picture))
            readings = (await self._do(lambda: try_profile(image, profile))).readings
        values = [reading.value for reading in readings if reading.value is not None]
        return {
            "reading": msgspec.to_builtins(here),
            "readings": [msgspec.to_builtins(_short(reading)) for reading in readings],
            "spread": max(values) - min(values) if values else None,
            "refused": len(readings) - len(values),
            "source": f"camera {wanted.camera}" if wanted.camera else "picture",
        }

    async def save(self, wanted: Calibration) -> dict[str, Any]:
        """Write NAME.yaml and its picture; a worker that runs reads it within a second.

        Raises:
            ConfigError: no folder, a wrong or taken name, or the marks are no scale.
        """
        if self._folder is None:
            raise ConfigError("there is no folder for gauge profiles", hint=NO_FOLDER)
        if not limits.NAME.fullmatch(wanted.name):
            raise ConfigError(
                f"{wanted.name[:80]!r} cannot name a gauge", hint="use a-z, 0-9, - and _"
            )
        # The name holds no dot and no slash: it cannot leave the folder.
        path = self._folder / f"{wanted.name}.yaml"
        if path.exists() and not wanted.replace:
            raise ConfigError(
                f"a gauge is named {wanted.name!r} already", hint="choose another name, or replace"
            )
        profile, _ = await self._do(lambda: self._made(wanted))
        await asyncio.to_thread(_write, path, profile)
        return {"name": wanted.name, "file": path.name}

    def _made(self, wanted: Calibration) -> tuple[Profile, GaugeReading]:
        if len(wanted.marks) > MOST_MARKS:
            raise ProtocolError(f"{len(wanted.marks)} marks, at most {MOST_MARKS} allowed")
        low_high = wanted.plausible
        if low_high is not None and low_high[0] >= low_high[1]:
            raise ConfigError(f"plausible range: {low_high[0]:g} is not below {low_high[1]:g}")
        image = _pixels(self._pictures.get(wanted.picture))
        profile = Profile.from_marks(
            image,
            center=wanted.center,
            marks=[(mark.value, mark.x_px, mark.y_px) for mark in wanted.marks],
            unit=wanted.unit[:32],
            name=wanted.name,
            plausible=low_high,
            highest_rate_per_s=wanted.highest_rate_per_s,
        )
        return profile, read_gauge(image, profile)

    async def _of_frames(self, feed: CameraFeed, profile: Profile) -> Sequence[GaugeReading]:
        readings: list[GaugeReading] = []
        last: tuple[str, int] | None = None
        loop = asyncio.get_running_loop()
        until_s = loop.time() + FRAMES_WITHIN_S
        while len(readings) < TRIALS and loop.time() < until_s:
            picture = await feed.newest()
            key = (picture.ref.session, picture.ref.seq)
            if key == last:
                await asyncio.sleep(0.02)
                continue
            last = key
            readings.append(await self._do(lambda p=picture: read_gauge(_pixels(p), profile)))  # type: ignore[misc]
        return readings

    async def _do(self, work: Callable[[], T]) -> T:
        if self._working.locked():
            raise Busy("another calibration is being worked on", wait_ms=2000.0)
        async with self._working:
            try:
                return await asyncio.to_thread(work)
            except (ValueError, ZeroDivisionError, np.linalg.LinAlgError) as exc:
                raise ConfigError(
                    "these marks are no scale", hint="two or more marks at their printed places"
                ) from exc


def vars_of(mark: Any) -> dict[str, float]:
    """A profile's mark as the page writes it."""
    return {"value": mark.value, "x_px": mark.x_px, "y_px": mark.y_px}


def _short(reading: GaugeReading) -> GaugeReading:
    return msgspec.structs.replace(reading, geometry=None, votes=())


def _pixels(picture: Picture) -> NDArray[np.uint8]:
    encoding = imaging.sniff(picture.jpeg)
    return imaging.decode_rgb(picture.jpeg, encoding, picture.width, picture.height)


def _write(path: Path, profile: Profile) -> None:
    from molmo_node.gauge_profiles import save_profile

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_profile(path, profile)
    except MolmoNodeError:
        raise
    except OSError as exc:
        raise ConfigError(f"{path.parent}: cannot be written ({exc.strerror})") from exc
