"""The bridge's ROS parameters: names, defaults, ranges, and what is wrong with given ones.

Needs no ROS. Parameters are dotted names (``watches.mug.text``), as in a parameters file; the
same model describes and checks them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from molmo_node.bus import limits as bus_limits
from molmo_node.config import WatchSettings
from molmo_node.config.fields import Name, Seconds, Section
from molmo_node.config.problems import config_error
from molmo_node.errors import ConfigError
from molmo_node.messages import Task, WatchSpec
from molmo_node.ros2.readings import ReadingLimits

ROS_OWN = ("use_sim_time", "qos_overrides", "start_type_description_service")
"""Parameters that rclpy itself declares."""
WHILE_INACTIVE = (
    "camera_name", "image_topic", "image_type", "image_reliability", "camera_info_topic",
    "depth_topic", "is_rectified", "depth_memory_mb", "frame_id", "max_fps", "stale_after_s",
    "ask_text_service", "autostart",
)  # fmt: skip
"""Parameters that are looked at when the bridge becomes active."""

_TOPIC = r"^$|^[~/]?[A-Za-z_][A-Za-z0-9_/]*$"
Topic = Annotated[str, Field(pattern=_TOPIC, max_length=255)]


def _schema(value: object) -> object:
    try:
        return json.loads(value) if isinstance(value, str) and value else value or None
    except ValueError as exc:
        raise ValueError("expected a JSON schema as text") from exc


class WatchParameters(WatchSettings):
    """A standing question to the worker about this camera."""

    task: Task = "point"
    """What is asked."""
    rate_hz: float = Field(default=1.0, ge=0, le=bus_limits.WATCH_RATE_HZ)
    """How often it is asked; 0 pauses it."""
    answer_schema: Annotated[dict[str, Any] | None, BeforeValidator(_schema)] = None
    """JSON schema of the answer as text, for extract."""


def _named(watches: object) -> object:
    if not isinstance(watches, Mapping):
        return watches
    return {
        name: {**fields, "name": name} if isinstance(fields, Mapping) else fields
        for name, fields in watches.items()
    }


class BridgeParameters(Section):
    """All parameters of the bridge."""

    camera_name: Name = "ros"
    """What the image topic is called as a camera of molmo_node."""
    image_topic: Topic = "image/compressed"
    """Images to look at; empty: none, and only answers about `camera_name` are passed on."""
    image_type: Literal["auto", "compressed", "raw"] = "auto"
    """compressed, raw, or auto: compressed where the topic's name ends so."""
    image_reliability: Literal["best_effort", "reliable"] = "best_effort"
    """Quality of service of the image and depth subscriptions; their depth is 1."""
    camera_info_topic: Topic = "auto"
    """Intrinsics; auto: camera_info beside the image topic."""
    depth_topic: Topic = ""
    """Depth image aligned to the image, 16UC1 in mm or 32FC1 in m; empty: no 3-D points."""
    is_rectified: bool = False
    """The image is rectified: P of camera_info describes it, and there is no distortion."""
    depth_radius_px: int = Field(default=2, ge=0, le=32)
    """The median is taken of a window of 2 * this + 1 pixels a side."""
    depth_slop_ms: float = Field(default=50.0, ge=0, le=10_000)
    """How far the stamps of image and depth may be apart."""
    depth_wait_ms: float = Field(default=200.0, ge=0, le=2_000)
    """How long an answer waits for the depth image of its frame, while depth images come."""
    depth_memory_mb: int = Field(default=128, ge=16, le=4096)
    """Memory for past depth images: an answer comes long after its frame."""
    frame_id: str = Field(default="", max_length=256)
    """Used where the image's header has none."""
    max_fps: float = Field(default=0.0, ge=0, le=240)
    """Images above this rate are skipped; 0: none are."""
    question: str = Field(default="", max_length=bus_limits.PROMPT_BYTES)
    """What ~/ask asks, such as "point the red mug"."""
    timeout_s: Seconds = 10.0
    """How long a service or query waits for its answer."""
    publish_pixel: bool = False
    """Also publish points in pixels on ~/pixel, in a frame named FRAME_ID_pixels."""
    ask_text_service: bool = False
    """Also offer ~/ask_text, a text question in a diagnostic_msgs/AddDiagnostics."""
    stale_after_s: Seconds = 10.0
    """Without a trusted reading for so long, a dial's level is STALE."""
    autostart: bool = True
    """Configure and activate at once; false: wait for a lifecycle manager."""
    watches: Annotated[
        dict[Name, WatchParameters],
        BeforeValidator(_named),
        Field(max_length=bus_limits.WATCHES_PER_CLIENT),
    ] = Field(default_factory=dict)
    """Standing questions by name: task, text, rate_hz, roi, refine, max_age_ms, answer_schema."""
    limits: dict[Name, ReadingLimits] = Field(default_factory=dict, max_length=64)
    """Limits of readings by name: warn_below, warn_above, error_below, error_above."""

    @property
    def is_compressed(self) -> bool:
        """Whether the images come as files (`CompressedImage`)."""
        if self.image_type == "auto":
            return self.image_topic.endswith("compressed")
        return self.image_type == "compressed"

    @property
    def info_topic(self) -> str:
        """Where the intrinsics come from; empty where there are none."""
        if self.camera_info_topic != "auto":
            return self.camera_info_topic
        folder, slash, _ = self.image_topic.removesuffix("/compressed").rpartition("/")
        return f"{folder}{slash}camera_info"

    def specs(self) -> dict[str, WatchSpec]:
        """The watches as the worker takes them; paused ones left out."""
        return {
            name: watch.model_copy(update={"camera": self.camera_name}).spec()
            for name, watch in self.watches.items()
            if watch.rate_hz
        }


def parse(values: Mapping[str, object]) -> BridgeParameters:
    """Check parameters as they stand, all of them together.

    Args:
        values: by dotted name; those that ROS itself declares are passed over.

    Raises:
        ConfigError: names each wrong parameter, what was found, what was expected.
    """
    tree: dict[str, Any] = {}
    for name, value in values.items():
        if value is None or name.split(".")[0] in ROS_OWN:
            continue
        *path, last = name.split(".")
        node = tree
        for part in path:
            inner = node.setdefault(part, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"parameter {name}: {part} is a value, not a group")
            node = inner
        node[last] = value
    try:
        return BridgeParameters(**tree)
    except ValidationError as exc:
        raise config_error(exc, BridgeParameters, lambda _: "parameter") from exc


def refusal(
    current: Mapping[str, object], changes: Mapping[str, object], is_active: bool
) -> str | None:
    """Why parameters may not be changed; None if they may.

    Args:
        changes: the wanted values; None deletes a parameter.
    """
    if is_active and (fixed := sorted(set(changes) & set(WHILE_INACTIVE))):
        return f"{fixed[0]} cannot change while the bridge is active: deactivate it first"
    try:
        parse({**current, **changes})
    except ConfigError as exc:
        return str(exc)
    return None


def described() -> dict[str, tuple[Any, str]]:
    """The parameters that are declared beforehand, each with its default and description."""
    return {
        name: (field.default, field.description or "")
        for name, field in BridgeParameters.model_fields.items()
        if name not in ("watches", "limits")
    }
