"""`molmo-node`: the verbs, and what happens to their errors."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from molmo_node import __version__
from molmo_node.cli import (
    ask_verbs,
    camera_verbs,
    config_verbs,
    doctor,
    foxglove_verb,
    gauge_verbs,
    key_verbs,
    model_verbs,
    record_verbs,
    ros2_verb,
    run_verbs,
    sink_verbs,
    topic_verbs,
    watch_verb,
    web_verb,
)
from molmo_node.cli.exits import INTERRUPTED, exit_code, show_error
from molmo_node.errors import MolmoNodeError

app = typer.Typer(
    name="molmo-node",
    help="A vision node: ask a camera where things are and what its dials read.",
    epilog="Example: molmo-node point 'the red mug' --image desk.jpg",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verbs in (
    run_verbs, ask_verbs, watch_verb, camera_verbs, gauge_verbs, topic_verbs, config_verbs,
    key_verbs, model_verbs, sink_verbs, web_verb, record_verbs, foxglove_verb, ros2_verb, doctor,
):  # fmt: skip
    verbs.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Its version.")
    ] = False,
) -> None:
    """A vision node: ask a camera where things are and what its dials read."""


def main() -> None:
    """The console script: runs a verb and turns its errors into messages and exit codes."""
    try:
        app()
    except MolmoNodeError as exc:
        show_error(exc)
        sys.exit(exit_code(exc))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # `molmo-node topic echo | head`: the reader has seen enough.
        sys.stderr.close()
