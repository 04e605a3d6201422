"""web: the live page alone, for a node that runs."""

from __future__ import annotations

from typing import Annotated

import typer

from molmo_node.cli import options
from molmo_node.cli.signals import StopSignals
from molmo_node.errors import ConfigError

_Host = Annotated[
    str | None, typer.Option("--host", metavar="HOST", help="Where it listens; else this machine.")
]
_Port = Annotated[
    int | None, typer.Option("--port", metavar="PORT", min=0, max=65535, help="0: any free one.")
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: molmo-node web --host 127.0.0.1")(web)


def web(
    host: _Host = None,
    port: _Port = None,
    gauges: options.GaugesFolder = None,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Serve the live page for a running node, in the foreground."""
    signals = StopSignals()
    from molmo_node.cli import session
    from molmo_node.supervisor.launch import page_is_installed

    if not page_is_installed():
        raise ConfigError("the page needs an extra", hint="pip install 'molmo_node[web]'")
    from molmo_node.web.serve import PageNode

    settings = session.load_settings(
        config, run_dir=run_dir, web__host=host, web__port=port, gauges__folder=gauges
    ).settings
    session.start_log(settings)
    node = PageNode(settings)
    signals.attach(node.stop)
    raise typer.Exit(signals.exit_code(node.run()))
