"""What ``--camera TEXT`` means: from one word of a person to the source that is meant."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Literal, get_args
from urllib.parse import urlsplit

from molmo_node.bus import limits
from molmo_node.errors import ConfigError

Kind = Literal["v4l2", "stream", "images", "pattern", "sim", "replay", "ros2"]
WantedEncoding = Literal["auto", "mjpeg", "raw"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
VIDEO_SUFFIXES = frozenset(
    {".avi", ".h264", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpg", ".ts", ".webm"}
)
RECORDING_SUFFIX = ".mcap"
URL_SCHEMES = frozenset({"http", "https", "rtsp", "rtsps", "udp"})
FORMS_HINT = (
    "a camera is a number (0), a device (/dev/video0, /dev/v4l/by-id/…), a stream (rtsp://…),"
    " a video (clip.mp4), pictures (folder/, a.jpg,b.jpg, 'shots/*.png'),"
    " a recording (run.mcap, replay:run.mcap#front@2x), a test pattern (pattern:1280x720@30),"
    " the simulated bench (sim:960x540@10) or a ROS 2 topic (ros2:/camera/image_raw/compressed)"
)
_PATTERN = re.compile(
    r"(?:pattern|sim)(?::(?:(?P<width>\d{1,6})x(?P<height>\d{1,6}))?(?:@(?P<fps>[\d.]{1,8}))?)?"
)
_ROS_TOPIC = re.compile(r"(?=.{1,255}$)/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_REPLAY = re.compile(
    r"(?:replay:)?(?P<file>.+?)(?:#(?P<camera>[a-z0-9][a-z0-9_-]{0,63}))?(?:@(?P<speed>[\d.]{1,8})x)?"
)
_HIGHEST_FPS = 1000.0
SPEEDS = (0.01, 100.0)
# The counter's 24 blocks need 4 px each.
_PATTERN_SIDE_PX = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """A source and how it is wanted. Its `repr` and `label` hold no user and no password.

    Attributes:
        target: device path, URL with credentials, file, folder, glob or comma list.
        label: the target as it may be logged and shown.
        width, height: asked of a device or the pattern; None leaves it to the source.
        fps: highest rate in Hz; also the rate at which files are played. None: the source's own.
        encoding: ``raw`` always gives pixels, ``mjpeg`` always JPEG, ``auto`` what costs least.
        jpeg_quality: 1 to 100, for frames that are compressed here.
        loop: begin again after the last picture of a file or folder.
        speed: of a replay, 1.0 as it was recorded.
        recorded: the camera in a recording; empty: the only one.
    """

    kind: Kind
    target: str = field(repr=False)
    label: str
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    encoding: WantedEncoding = "auto"
    jpeg_quality: int = 85
    loop: bool = True
    speed: float = 1.0
    recorded: str = ""

    def adjusted(
        self,
        *,
        width: int | None = None,
        height: int | None = None,
        fps: float | None = None,
        encoding: str | None = None,
        jpeg_quality: int | None = None,
        loop: bool | None = None,
        speed: float | None = None,
        recorded: str | None = None,
    ) -> SourceSpec:
        """The same source as a configuration wants it; None leaves a field as it is.

        Raises:
            ConfigError: a value is out of its range.
        """
        settings = {
            "width": width, "height": height, "fps": fps, "encoding": encoding,
            "jpeg_quality": jpeg_quality, "loop": loop, "speed": speed, "recorded": recorded,
        }  # fmt: skip
        given = {name: value for name, value in settings.items() if value is not None}
        spec = replace(self, **given)  # type: ignore[arg-type]
        _check_settings(spec)
        return spec


def parse_source(text: str) -> SourceSpec:
    """Say what a person means by a camera's text. Looks at nothing but the text.

    Raises:
        ConfigError: no known form; the hint lists them and offers the nearest word.
    """
    text = text.strip()
    if not text or "\0" in text:
        raise ConfigError("the camera's source is empty", hint=FORMS_HINT)
    if re.fullmatch(r"[0-9]{1,3}", text):
        return _spec("v4l2", f"/dev/video{int(text)}")
    if text == "pattern" or text.startswith("pattern:"):
        return _pattern_spec(text)
    if text == "sim" or text.startswith("sim:"):
        return _sim_spec(text)
    if text.startswith("replay:") or RECORDING_SUFFIX in PurePosixPath(text).name.lower():
        return _replay_spec(text)
    if text.startswith("ros2:"):
        return _ros_spec(text)
    if "://" in text:
        return _url_spec(text)
    if text.startswith(("/dev/video", "/dev/v4l/")):
        return _spec("v4l2", text)
    return _file_spec(text)


def redact(url: str) -> str:
    """A URL without user, password and query, as it may be logged.

    All before the last ``@`` goes: a password may hold ``/`` or ``?`` that nobody escaped.
    """
    scheme, _, rest = url.partition("://")
    shown = rest.rpartition("@")[2].partition("#")[0]
    place, query_mark, _ = shown.partition("?")
    return f"{scheme}://{place}{'?…' if query_mark else ''}"


def _check_settings(spec: SourceSpec) -> None:
    if (spec.width is None) != (spec.height is None):
        raise ConfigError(f"{spec.label}: width and height go together", hint="give both or none")
    if spec.encoding not in get_args(WantedEncoding):
        near = difflib.get_close_matches(spec.encoding, get_args(WantedEncoding), n=1)
        hint = f"did you mean {near[0]}?" if near else ""
        raise ConfigError(f"encoding is auto, mjpeg or raw, not {spec.encoding!r}", hint=hint)
    if spec.fps is not None and not 0.0 < spec.fps <= _HIGHEST_FPS:
        raise ConfigError(f"fps is above 0 and up to {_HIGHEST_FPS:g}, not {spec.fps:g}")
    if not SPEEDS[0] <= spec.speed <= SPEEDS[1]:
        raise ConfigError(f"speed is {SPEEDS[0]:g} to {SPEEDS[1]:g}, not {spec.speed:g}")
    if not 1 <= spec.jpeg_quality <= 100:
        raise ConfigError(f"jpeg_quality is 1 to 100, not {spec.jpeg_quality}")
    if spec.width is not None and spec.height is not None:
        smallest = _PATTERN_SIDE_PX if spec.kind == "pattern" else limits.IMAGE_MIN_SIDE_PX
        _check_size(spec.label, spec.width, spec.height, smallest)


def _check_size(label: str, width: int, height: int, smallest_px: int) -> None:
    sides = (width, height)
    if width * height > limits.IMAGE_PX or max(sides) > limits.IMAGE_SIDE_PX:
        raise ConfigError(
            f"{label}: {width}x{height} px is too large",
            hint=f"at most {limits.IMAGE_SIDE_PX} px a side and {limits.IMAGE_PX} px in all",
        )
    if min(sides) < smallest_px:
        raise ConfigError(
            f"{label}: {width}x{height} px is too small", hint=f"at least {smallest_px} px a side"
        )


def _spec(kind: Kind, target: str) -> SourceSpec:
    return SourceSpec(kind=kind, target=target, label=target)


def _pattern_spec(text: str) -> SourceSpec:
    match = _PATTERN.fullmatch(text)
    if not match:
        raise ConfigError(f"{text!r} is no pattern", hint="write pattern:1280x720@30")
    width, height = int(match["width"] or 1280), int(match["height"] or 720)
    _check_size(text, width, height, _PATTERN_SIDE_PX)
    return SourceSpec(
        kind="pattern", target=text, label=text, width=width, height=height,
        fps=_pattern_fps(text, match["fps"]),
    )  # fmt: skip


def _sim_spec(text: str) -> SourceSpec:
    match = _PATTERN.fullmatch(text)
    if not match:
        raise ConfigError(f"{text!r} is no simulated bench", hint="write sim:960x540@10")
    width, height = int(match["width"] or 960), int(match["height"] or 540)
    if not (320 <= width <= 1024 and 240 <= height <= 1024):
        raise ConfigError(f"{text!r}: the bench is 320 to 1024 px wide and 240 to 1024 px high")
    return SourceSpec(
        kind="sim", target=text, label=text, width=width, height=height,
        fps=_pattern_fps(text, match["fps"] or "10"),
    )  # fmt: skip


def _replay_spec(text: str) -> SourceSpec:
    match = _REPLAY.fullmatch(text)
    if not match or PurePosixPath(match["file"]).suffix.lower() != RECORDING_SUFFIX:
        raise ConfigError(
            f"{text!r} is no recording", hint="write run.mcap, or replay:run.mcap#front@2x"
        )
    try:
        speed = float(match["speed"] or 1.0)
    except ValueError:
        speed = 0.0
    spec = replace(_spec("replay", match["file"]), speed=speed, recorded=match["camera"] or "")
    _check_settings(spec)
    return spec


def _ros_spec(text: str) -> SourceSpec:
    topic = text.removeprefix("ros2:")
    if not _ROS_TOPIC.fullmatch(topic):
        raise ConfigError(
            f"{text[:64]!r} names no ROS 2 topic", hint="write ros2:/camera/image_raw/compressed"
        )
    return SourceSpec(kind="ros2", target=topic, label=text)


def _pattern_fps(text: str, fps_text: str | None) -> float:
    try:
        fps = float(fps_text or 30.0)
    except ValueError:
        fps = 0.0
    if not 0.0 < fps <= _HIGHEST_FPS:
        raise ConfigError(f"{text!r}: a rate above 0 and up to {_HIGHEST_FPS:g} Hz is needed")
    return fps


def _url_spec(text: str) -> SourceSpec:
    scheme = text.partition("://")[0].lower()
    if scheme == "file":
        return _file_spec(text[len("file://") :])
    if scheme not in URL_SCHEMES:
        near = difflib.get_close_matches(scheme, URL_SCHEMES, n=1)
        ask = f"did you mean {near[0]}://…?" if near else FORMS_HINT
        raise ConfigError(f"no camera speaks {scheme[:32]!r}", hint=ask)
    try:
        host, port = urlsplit(text).hostname, urlsplit(text).port
    except ValueError:
        host, port = None, None
    if not host or (scheme == "udp" and not port):
        raise ConfigError(
            f"{redact(text)!r} names no host or has a wrong port",
            hint="write rtsp://user:password@host:554/path; % and @ in a password as %25 and %40",
        )
    return SourceSpec(kind="stream", target=text, label=redact(text))


def _file_spec(text: str) -> SourceSpec:
    suffix = PurePosixPath(text).suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return _spec("images", text)
    if suffix in VIDEO_SUFFIXES and not text.endswith("/"):
        return _spec("stream", text)
    _refuse_unknown_word(text)
    return _spec("images", text)


def _refuse_unknown_word(text: str) -> None:
    """A path without a known suffix is a folder; a mistyped scheme or file type is not."""
    scheme = _SCHEME.match(text)
    word = scheme[1] if scheme else text
    near = difflib.get_close_matches(
        word.lower(), ["pattern", "sim", "replay", "ros2", "rtsp", "http"], n=1
    )
    if scheme or (near and "/" not in text):
        ask = f"did you mean {near[0]}?" if near else FORMS_HINT
        raise ConfigError(f"{word[:64]!r} is no kind of camera", hint=ask)
    name = PurePosixPath(text).name
    if PurePosixPath(name).suffix and not text.endswith("/"):
        raise ConfigError(
            f"{name[:64]!r} is neither a picture nor a video that is known",
            hint=f"pictures: {' '.join(sorted(IMAGE_SUFFIXES))};"
            f" videos: {' '.join(sorted(VIDEO_SUFFIXES))}; a folder ends in /",
        )
