"""sink KIND: answers of a running node to somewhere else, in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from molmo_node.cli import options
from molmo_node.cli.signals import StopSignals

sink = typer.Typer(
    no_args_is_help=True,
    help="Answers to files, a broker, or Prometheus, while this runs.",
    rich_markup_mode=None,
)

_Watches = Annotated[
    list[str] | None,
    typer.Option("--watch", metavar="NAME", help="Only this watch; may be repeated."),
]
_Folder = Annotated[
    Path | None, typer.Option("--folder", metavar="FOLDER", help="Where the files go.")
]
_Host = Annotated[str | None, typer.Option("--host", metavar="HOST", help="Where it is.")]
_Port = Annotated[int | None, typer.Option("--port", metavar="PORT", help="Its port.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    sink.command("console", epilog="Example: molmo-node sink console --watch boiler")(console)
    sink.command("jsonl", epilog="Example: molmo-node sink jsonl --folder readings")(jsonl)
    sink.command("csv", epilog="Example: molmo-node sink csv --folder readings")(csv)
    sink.command("mqtt", epilog="Example: molmo-node sink mqtt --host broker.local")(mqtt)
    sink.command("prometheus", epilog="Example: molmo-node sink prometheus --port 9464")(prometheus)
    app.add_typer(sink, name="sink")


def console(
    watch: _Watches = None,
    json: options.Json = False,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Print the watches' answers, a line each."""
    _run("console", config, run_dir, watches=watch, format="json" if json else None)


def jsonl(
    folder: _Folder = None,
    watch: _Watches = None,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Append whole answers to a file a day, a JSON object a line."""
    _run("jsonl", config, run_dir, watches=watch, folder=folder)


def csv(
    folder: _Folder = None,
    watch: _Watches = None,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Append a table row an answer to a file a day."""
    _run("csv", config, run_dir, watches=watch, folder=folder)


def mqtt(
    host: _Host = None,
    port: _Port = None,
    username: Annotated[
        str | None, typer.Option("--username", metavar="NAME", help="If the broker asks for one.")
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option("--password-file", metavar="FILE", help="Holds the password alone."),
    ] = None,
    watch: _Watches = None,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Publish readings, cameras and the node to a broker; Home Assistant finds them by itself."""
    _run(
        "mqtt", config, run_dir,
        watches=watch, host=host, port=port, username=username, password_file=password_file,
    )  # fmt: skip


def prometheus(
    host: _Host = None,
    port: _Port = None,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Serve /metrics for a Prometheus, without the page."""
    _run("prometheus", config, run_dir, host=host, port=port)


def _run(kind: str, config: Path | None, run_dir: Path | None, **flags: Any) -> None:
    signals = StopSignals()
    from molmo_node.cli import nodes, session

    given = {f"sinks__{kind}__{key}": value for key, value in flags.items()}
    # Named here, it is on; what a file says of it stays.
    switch: dict[str, Any] = {f"sinks__{kind}": {}}
    settings = session.load_settings(config, run_dir=run_dir, **switch, **given).settings
    session.start_log(settings)
    node = nodes.make_sink_node(settings, kind)
    signals.attach(node.stop)
    raise typer.Exit(signals.exit_code(node.run()))
