"""foxglove: the node live in Foxglove's app."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from molmo_node.cli import options
from molmo_node.cli.signals import StopSignals


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: molmo-node foxglove --port 8765")(foxglove)


def foxglove(
    host: Annotated[
        str, typer.Option("--host", metavar="HOST", help="An address of this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="0: any that is free.")
    ] = 8765,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-origin", metavar="ORIGIN", help="Of a web page that may connect, too."
        ),
    ] = None,
    fps: Annotated[
        float, typer.Option("--fps", metavar="HERTZ", min=0.1, help="Most frames of each camera.")
    ] = 15.0,
    jpeg_quality: Annotated[
        int, typer.Option("--jpeg-quality", metavar="1-100", min=1, max=100, help="Of raw frames.")
    ] = 75,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Serve frames, overlays, readings and questions to Foxglove's app, until Ctrl-C."""
    signals = StopSignals()
    from molmo_node.cli import nodes, session
    from molmo_node.recording.needed import need_packages

    need_packages("foxglove", ("foxglove", "google.protobuf", "foxglove_schemas_protobuf"))
    from molmo_node.foxglove.viewer import Viewer, ViewerOptions

    settings = session.load_settings(config, run_dir=run_dir).settings
    session.start_log(settings)
    workers, cameras = nodes.worker_and_cameras(settings)
    viewer = Viewer(
        ViewerOptions(
            run_dir=settings.run_dir, workers=workers, cameras=cameras, host=host, port=port,
            allowed_origins=tuple(allow_origin or ()), fps=fps, quality=jpeg_quality,
            security=session.security_of(settings),
        )
    )  # fmt: skip
    signals.attach(viewer.stop)
    print(f"in Foxglove: Open connection, {viewer.url}", file=sys.stderr, flush=True)
    viewer.run()
    raise typer.Exit(signals.exit_code(0))
