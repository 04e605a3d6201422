"""camera, worker, up, demo: the processes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from molmo_node.cli import options
from molmo_node.cli.exits import INTERRUPTED
from molmo_node.cli.ros2_verb import with_ros
from molmo_node.cli.signals import StopSignals
from molmo_node.errors import ConfigError

if TYPE_CHECKING:
    from molmo_node.config import CameraSettings, Settings

_Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--camera",
        metavar="[NAME=]SOURCE",
        help="0, /dev/v4l/by-id/…, rtsp://…, clip.mp4, folder/, pattern; may be repeated.",
    ),
]
_DEMO_OPENING = (
    "a simulated camera looks at a bench; molmo-nano, the small model in the package, answers."
    " Ctrl-C ends it"
)
_Seconds = Annotated[
    float | None,
    typer.Option("--seconds", metavar="SECONDS", min=0.1, help="End by itself after so long."),
]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command(epilog="Example: molmo-node up --camera 0 --model scripted:answers.yaml")(up)
    app.command(epilog="Example: molmo-node demo --seconds 20")(demo)
    app.command(epilog="Example: molmo-node camera --name front --source pattern:1280x720@30")(
        camera
    )
    app.command(epilog="Example: molmo-node worker --model none --gauges configs/gauges")(worker)


def up(
    camera: _Sources = None,
    model: options.ModelName = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:N.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option("--dtype", metavar="DTYPE", help="auto, float32, bfloat16 ….")
    ] = None,
    max_crops: Annotated[
        int | None, typer.Option("--max-crops", metavar="CROPS", min=1, help="Fewer is faster.")
    ] = None,
    prefill_ahead: Annotated[
        str | None,
        typer.Option("--prefill-ahead", metavar="off|idle|always", help="Look before asked."),
    ] = None,
    gauges: options.GaugesFolder = None,
    seconds: _Seconds = None,
    json: options.Json = False,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Start cameras and a worker, keep them alive, print the watches' answers."""
    signals = StopSignals()
    from molmo_node.cli import session
    from molmo_node.cli.stage import run_stage

    loaded = session.load_settings(
        config,
        run_dir=run_dir,
        cameras=_camera_flags(camera),
        worker__model=model,
        worker__device=device,
        worker__dtype=dtype,
        worker__max_crops=max_crops,
        worker__prefill_ahead=prefill_ahead,
        gauges__folder=gauges,
    )
    if not (loaded.settings.cameras or loaded.settings.processes):
        raise ConfigError(
            "no camera is configured",
            hint="molmo-node up --camera 0 (or pattern, a video, a folder), or -c FILE;"
            " `molmo-node demo` needs none",
        )
    _finish(run_stage(loaded, seconds, json, signals).exit_code)


def demo(seconds: _Seconds = None, json: options.Json = False) -> None:
    """Ask about a simulated bench, whose truth is known: camera, worker, answers, no set-up."""
    signals = StopSignals()
    import shutil
    import tempfile

    from molmo_node.cli import demo_truth, session
    from molmo_node.cli.stage import run_stage

    settings_file = Path(__file__).parents[1] / "examples" / "demo.yaml"
    with tempfile.TemporaryDirectory(prefix="molmo-demo-") as folder:
        # The page may write profiles; those of the package are examples for everybody.
        gauges = shutil.copytree(settings_file.parent / "gauges", Path(folder) / "gauges")
        loaded = session.load_settings(settings_file, run_dir=Path(folder), gauges__folder=gauges)
        print(_DEMO_OPENING, file=sys.stderr)
        outcome = run_stage(loaded, seconds, json, signals, demo_truth.is_right)
    print(outcome.summary(), file=sys.stderr if json else sys.stdout)
    _finish(outcome.exit_code if outcome.answered else 1)


def camera(
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Its name in topics.")] = "",
    source: Annotated[
        str | None, typer.Option("--source", metavar="SOURCE", help="What to capture from.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option("--fps", metavar="HERTZ", min=0.01, help="Frames per second.")
    ] = None,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Capture from one source and publish its frames, in the foreground."""
    signals = StopSignals()
    from molmo_node.camera.node import CameraNode
    from molmo_node.cli import nodes, session

    settings = session.load_settings(config, run_dir=run_dir).settings
    session.start_log(settings)
    chosen = _choose(settings, name, source)
    wanted = nodes.camera_options(settings, chosen, source, fps)
    if wanted.spec.kind == "ros2":
        with_ros(settings)
    node = CameraNode(wanted)
    signals.attach(node.stop)
    _finish(signals.exit_code(node.run()))


def worker(
    model: options.ModelName = None,
    gauges: options.GaugesFolder = None,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Answer questions about this host's cameras, in the foreground."""
    signals = StopSignals()
    from molmo_node.cli import nodes, session

    settings = session.load_settings(
        config, run_dir=run_dir, worker__model=model, gauges__folder=gauges
    ).settings
    session.start_log(settings)
    node = nodes.make_worker(settings)
    signals.attach(node.stop)
    _finish(signals.exit_code(node.run()))


def _finish(exit_code: int) -> None:
    if exit_code in (0, INTERRUPTED):
        raise typer.Exit(exit_code)
    # A hung engine's thread would keep the interpreter from ending.
    import os

    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def _camera_flags(texts: list[str] | None) -> list[dict[str, Any]] | None:
    if not texts:
        return None
    cameras = []
    for number, text in enumerate(texts, start=1):
        name, separator, source = text.partition("=")
        if not separator or not name.replace("-", "").replace("_", "").isalnum():
            name, source = "front" if number == 1 else f"camera-{number}", text
        cameras.append({"name": name, "source": source})
    return cameras


def _choose(settings: Settings, name: str, source: str | None) -> CameraSettings:
    """The configured camera of that name, or one made of the flags."""
    from molmo_node.config import CameraSettings

    for configured in settings.cameras:
        if configured.name == name or (not name and len(settings.cameras) == 1):
            return configured
    if source is None:
        known = ", ".join(entry.name for entry in settings.cameras) or "none"
        raise ConfigError(
            f"camera {name!r} is not configured (configured: {known})",
            hint="say what to capture from: --source 0",
        )
    from pydantic import ValidationError

    try:
        return CameraSettings(name=name or "front", source=source)
    except ValidationError as exc:
        raise ConfigError(
            f"--name {name!r} cannot name a camera", hint="use a-z, 0-9, - and _"
        ) from exc
