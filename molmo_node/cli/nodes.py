"""From settings to the nodes that run in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from molmo_node.bus.address import Address, node_address
from molmo_node.cli.session import security_of, worker_address
from molmo_node.errors import CameraError, ConfigError

if TYPE_CHECKING:
    from molmo_node.camera.node import CameraOptions
    from molmo_node.config import CameraSettings, Settings
    from molmo_node.ros2.active import Surroundings
    from molmo_node.sinks.node import SinkNode
    from molmo_node.worker.node import WorkerNode


def camera_address(settings: Settings, camera: CameraSettings) -> Address:
    """Where a camera publishes."""
    if camera.endpoint:
        return Address(camera.endpoint)
    return node_address(settings.run_dir, f"camera.{camera.name}")


def camera_options(
    settings: Settings, camera: CameraSettings, source: str | None, fps: float | None
) -> CameraOptions:
    """What a camera's process needs; `source` and `fps` go before its settings."""
    from molmo_node.camera.node import CameraOptions, resume_seq
    from molmo_node.camera.spec import parse_source
    from molmo_node.camera.watchdog import Limits

    spec = parse_source(source or camera.source).adjusted(
        width=camera.width,
        height=camera.height,
        fps=fps or camera.fps,
        encoding=camera.encoding,
        jpeg_quality=camera.jpeg_quality,
        loop=camera.loop,
    )
    return CameraOptions(
        name=camera.name,
        spec=spec,
        address=camera_address(settings, camera),
        run_dir=settings.run_dir,
        frame_id=camera.frame_id,
        limits=Limits(
            late_s=max(0.25, camera.stale_after_s - 0.5),
            read_hang_s=max(0.5, camera.hang_after_s - 1.0),
        ),
        security=security_of(settings),
        first_seq=resume_seq(),
    )


def replay_options(
    settings: Settings, source: str, name: str, speed: float | None, loop: bool, waits: bool
) -> CameraOptions:
    """What the process of a replayed camera needs.

    Args:
        name: of the camera; empty: as it was recorded. One that is configured keeps its endpoint.

    Raises:
        ConfigError: the recording cannot be read, or it is not clear which camera is meant.
    """
    from molmo_node.camera.node import CameraOptions, resume_seq
    from molmo_node.camera.replay import choose_camera, look_into, recorded_frame_id
    from molmo_node.camera.spec import parse_source
    from molmo_node.config import CameraSettings

    spec = parse_source(source).adjusted(speed=speed, loop=loop)
    if spec.kind != "replay":
        raise ConfigError(f"{source!r} is no recording", hint="`molmo-node record` makes *.mcap")
    try:
        spec = spec.adjusted(recorded=choose_camera(spec, look_into(spec).cameras))
        frame_id = recorded_frame_id(spec)
    except CameraError as exc:
        raise ConfigError(exc.message, hint=exc.hint) from exc
    known = {camera.name: camera for camera in settings.cameras}
    chosen = known.get(name or spec.recorded) or CameraSettings(name=name or spec.recorded)
    return CameraOptions(
        name=chosen.name,
        spec=spec,
        address=camera_address(settings, chosen),
        run_dir=settings.run_dir,
        frame_id=chosen.frame_id or frame_id,
        security=security_of(settings),
        first_seq=resume_seq(),
        awaits_subscriber=waits,
    )


def worker_and_cameras(settings: Settings) -> tuple[tuple[Address], dict[str, Address]]:
    """Where the worker is, and the cameras that these settings name."""
    cameras = {camera.name: camera_address(settings, camera) for camera in settings.cameras}
    return (worker_address(settings),), cameras


def make_worker(settings: Settings) -> WorkerNode:
    """The worker that these settings describe, not yet running."""
    from molmo_node.worker.cameras import CameraPlace
    from molmo_node.worker.loading import StoredGauges, make_answerer, make_gauges
    from molmo_node.worker.node import WorkerNode, WorkerOptions

    gauges = make_gauges(settings)

    def refresh() -> None:
        if isinstance(gauges, StoredGauges):
            gauges.store.reload_if_changed()

    options = WorkerOptions(
        address=worker_address(settings),
        run_dir=settings.run_dir,
        cameras=tuple(
            CameraPlace(camera.name, camera_address(settings, camera), camera.fps)
            for camera in settings.cameras
        ),
        watches=tuple(watch.spec() for watch in settings.watches),
        longest_query_s=settings.worker.longest_query_s,
        queries_waiting=settings.worker.queries_waiting,
        queries_waiting_per_client=settings.worker.queries_waiting_per_client,
        prefill_ahead=settings.worker.prefill_ahead,
        security=security_of(settings),
    )
    return WorkerNode(options, lambda progress: make_answerer(settings, gauges, progress), refresh)


def make_sink_node(settings: Settings, kind: str) -> SinkNode:
    """The sink of this kind that these settings describe, not yet running."""
    from molmo_node.sinks.kinds import make_sink
    from molmo_node.sinks.node import SinkNode, SinkOptions

    section = getattr(settings.sinks, kind)
    options = SinkOptions(
        kind=kind,
        worker=worker_address(settings),
        run_dir=settings.run_dir,
        buffer=getattr(section, "buffer", 1000),
        security=security_of(settings),
    )
    return SinkNode(options, lambda view: make_sink(kind, section, view))


def ros_surroundings(settings: Settings) -> Surroundings:
    """Where the bridge to ROS 2 finds the worker, and publishes its camera."""
    from molmo_node.ros2.active import Surroundings
    from molmo_node.ros2.worker_link import WorkerPlace

    (worker_place,), known = worker_and_cameras(settings)

    def place(name: str) -> Address:
        return known.get(name) or node_address(settings.run_dir, f"camera.{name}")

    worker = WorkerPlace(worker_place.text, settings.run_dir, security_of(settings))
    return Surroundings(worker, place)
