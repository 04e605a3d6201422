"""What can be set, with defaults, ranges and units. Pure values: reads no file or variable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, Self

import platformdirs
from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from molmo_node.bus import limits
from molmo_node.bus.rundir import default_run_dir
from molmo_node.config.fields import (
    Dtype,
    Endpoint,
    Name,
    PrefillAhead,
    Seconds,
    Section,
    SidePx,
    SourceText,
    Transport,
)
from molmo_node.config.page import WebSettings
from molmo_node.config.processes import ProcessSettings, start_waves
from molmo_node.config.sinks import SinksSettings
from molmo_node.messages import Question, Roi, Task, WatchSpec

ENV_PREFIX = "MOLMO_NODE_"


class CameraSettings(Section):
    """One camera, here or on another host."""

    name: Name
    """The camera's name in topics and answers."""
    source: SourceText = "pattern"
    """Device number or path, rtsp:// URL, video file, folder of pictures, or `pattern`."""
    endpoint: Endpoint | None = None
    """Where its frames are published; none: a socket in this host's run_dir."""
    fps: float | None = Field(default=None, gt=0, le=240)
    """Frames per second to ask for; none: the source's own rate."""
    width: SidePx | None = None
    """Width in pixels to ask for; none: the source's own size."""
    height: SidePx | None = None
    """Height in pixels to ask for; none: the source's own size."""
    encoding: Literal["auto", "mjpeg", "raw"] = "auto"
    """How frames are sent to other hosts and asked of the device."""
    jpeg_quality: int = Field(default=85, ge=1, le=100)
    """JPEG quality where frames are encoded here, 1 to 100."""
    frame_id: str = ""
    """ROS frame of the optical centre; empty: the camera's name."""
    loop: bool = True
    """Start a video file or folder again at its end."""
    stale_after_s: Seconds = 2.0
    """Seconds without a frame after which the camera is reported lost."""
    hang_after_s: Seconds = 5.0
    """Seconds after which a source that does not return is abandoned and restarted."""

    @model_validator(mode="after")
    def _whole_size(self) -> Self:
        if (self.width is None) != (self.height is None):
            raise ValueError("expected both width and height, or neither")
        return self


class WorkerSettings(Section):
    """The process that answers."""

    model: str = Field(default="none", min_length=1)
    """`none` (dials only), `scripted:FILE`, an engine's name or a checkpoint folder."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")
    """auto, cpu, cuda, cuda:N or mps."""
    dtype: Dtype = "auto"
    """auto, float32, bfloat16 or float16."""
    max_crops: int | None = Field(default=None, ge=1, le=36)
    """Most crops a picture is cut into; none: the checkpoint's own number."""
    prefill_ahead: PrefillAhead = "off"
    """Look at frames before a question comes: never, when idle, or always."""
    longest_query_s: Seconds = 60.0
    """Seconds after which a question that still runs means that the worker hangs."""
    queries_waiting: int = Field(default=limits.QUERIES_WAITING, ge=1, le=limits.QUERIES_WAITING)
    """Length of the question queue; a full one answers Busy."""
    queries_waiting_per_client: int = Field(
        default=limits.QUERIES_WAITING_PER_CLIENT, ge=1, le=limits.QUERIES_WAITING_PER_CLIENT
    )
    """The share of the queue that one client may fill."""
    endpoint: Endpoint | None = None
    """Where questions are taken; none: a socket in this host's run_dir."""


class GaugeSettings(Section):
    """Calibrated dials."""

    folder: Path | None = None
    """Folder of calibration profiles, one YAML file a gauge."""


class WatchSettings(Section):
    """A standing question; its answers are a topic."""

    name: Name
    """The watch's name in topics and answers."""
    task: Task
    """What is asked."""
    text: str = Field(default="", max_length=limits.PROMPT_BYTES)
    """The phrase for point, count and ask; the gauge's name for read_gauge."""
    camera: str = ""
    """Whose frames are asked about; may be left out where there is one camera."""
    rate_hz: float = Field(default=1.0, gt=0, le=limits.WATCH_RATE_HZ)
    """How often it is asked."""
    roi: tuple[int, int, int, int] | None = None
    """x, y, width, height in pixels of the frame: only this part is looked at."""
    refine: bool = False
    """Look a second time, at full resolution, around each point."""
    answer_schema: dict[str, Any] | None = None
    """JSON schema of the answer, for extract."""
    max_age_ms: float | None = Field(default=None, gt=0)
    """Frames older than this are not asked about."""

    @model_validator(mode="after")
    def _askable(self) -> Self:
        if self.task in ("point", "count", "ask") and not self.text:
            raise ValueError(f"expected a text for the task {self.task}")
        if self.roi is not None and (min(self.roi[:2]) < 0 or min(self.roi[2:]) < 1):
            raise ValueError("expected roi as x, y, width, height in pixels, width and height >= 1")
        return self

    def spec(self) -> WatchSpec:
        """The watch as the worker takes it."""
        box = None if self.roi is None else Roi(**dict(zip(_ROI_FIELDS, self.roi, strict=True)))
        schema = None if self.answer_schema is None else json.dumps(self.answer_schema)
        question = Question(
            task=self.task, text=self.text, roi=box, refine=self.refine, schema=schema
        )
        return WatchSpec(
            name=self.name,
            question=question,
            camera=self.camera,
            rate_hz=self.rate_hz,
            max_age_ms=self.max_age_ms,
        )


_ROI_FIELDS = ("x_px", "y_px", "width_px", "height_px")


def _default_keys_dir() -> Path:
    return Path(platformdirs.user_config_dir("molmo_node", appauthor=False)) / "keys"


class SecuritySettings(Section):
    """Who may connect. Without keys nothing listens beyond this machine."""

    transport_security: Transport = "auto"
    """off: no keys; auto: keys beyond this machine; required: keys everywhere."""
    keys_dir: Path = Field(default_factory=_default_keys_dir)
    """Folder of the CURVE keys that `molmo-node keys new` writes."""
    allowed_clients: tuple[Name, ...] = ()
    """Names whose keys are let in; empty: every public key in keys_dir."""


class Ros2Settings(Section):
    """The bridge to ROS 2; its own settings are ROS parameters."""

    python: Path | None = None
    """Python of an environment with rclpy, for `molmo-node ros2` and cameras of ros2: topics."""


class LogSettings(Section):
    """What is logged, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is written."""
    format: Literal["text", "json"] = "text"
    """text for people, json for machines: one object a line."""


class Settings(BaseSettings):
    """A node's settings file."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
    )

    run_dir: Path = Field(default_factory=default_run_dir)
    """Folder, mode 0700, of this node's sockets and locks."""
    cameras: tuple[CameraSettings, ...] = ()
    """The cameras, each with a name of its own."""
    worker: WorkerSettings = WorkerSettings()
    """How questions are answered."""
    gauges: GaugeSettings = GaugeSettings()
    """Where the calibrated dials are described."""
    watches: tuple[WatchSettings, ...] = Field(default=(), max_length=limits.WATCHES)
    """Standing questions."""
    security: SecuritySettings = Field(default_factory=SecuritySettings)
    """Who may connect."""
    ros2: Ros2Settings = Ros2Settings()
    """Where ROS 2 is."""
    log: LogSettings = LogSettings()
    """What is logged."""
    web: WebSettings = WebSettings()
    """The live page."""
    sinks: SinksSettings = SinksSettings()
    """Where answers go beside the bus; each has a process of its own."""
    processes: tuple[ProcessSettings, ...] = ()
    """What `molmo-node up` starts; empty: a process for each camera, and a worker."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the caller only: `load` lays the sources over each other itself,
        because it remembers which one each value came from."""
        return (init_settings,)

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        for kind in ("cameras", "watches", "processes"):
            _check_unique(kind, [item.name for item in getattr(self, kind)])
        _check_watched([camera.name for camera in self.cameras], self.watches)
        start_waves({process.name: process.needs for process in self.processes})
        return self


def _check_unique(kind: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{kind}: expected a name of its own for each, found {twice[0]!r} twice")


def _check_watched(cameras: list[str], watches: tuple[WatchSettings, ...]) -> None:
    for watch in watches:
        if not watch.camera and len(cameras) > 1:
            raise ValueError(
                f"watches: {watch.name} names no camera, expected one of {', '.join(cameras)}"
            )
        if watch.camera and watch.camera not in cameras:
            known = ", ".join(cameras) or "a camera under `cameras`"
            raise ValueError(
                f"watches: {watch.name} looks at camera {watch.camera!r}, expected {known}"
            )
