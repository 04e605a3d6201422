"""watch VERB …: a standing question whose answers are printed as they come."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from molmo_node.cli import options
from molmo_node.cli.ask_verbs import parse_roi
from molmo_node.errors import ConfigError
from molmo_node.messages import Question, Task


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: molmo-node watch read-gauge boiler --rate-hz 2 --count 3")(watch)


def watch(
    verb: Annotated[str, typer.Argument(metavar="VERB", help="point, count, read-gauge, …")],
    text: Annotated[str, typer.Argument(metavar="[TEXT]", help="What is meant.")] = "",
    rate_hz: Annotated[
        float, typer.Option("--rate-hz", metavar="HERTZ", min=0.001, help="How often.")
    ] = 1.0,
    count: Annotated[
        int | None, typer.Option("--count", "-n", metavar="ANSWERS", help="End after so many.")
    ] = None,
    camera: options.CameraName = "",
    roi: options.RoiText = None,
    json: options.Json = False,
    max_age_ms: options.MaxAge = None,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Ask again and again, until Ctrl-C; the watch ends with this program."""
    from molmo_node.cli import session, show

    question = Question(task=as_task(verb), text=text, roi=parse_roi(roi))
    settings = session.load_settings(config, run_dir=run_dir).settings
    with (
        session.make_client(settings) as client,
        client.watch(question, camera=camera, rate_hz=rate_hz, max_age_ms=max_age_ms) as answers,
    ):
        for number, answer in enumerate(answers, start=1):
            print(show.as_json(answer) if json else show.with_frame(answer), flush=True)
            if number == count:
                return


def as_task(verb: str) -> Task:
    """A task as people write it: ``read-gauge`` and ``read_gauge`` are the same.

    Raises:
        ConfigError: no such task.
    """
    for task in get_args(Task):
        if verb.replace("-", "_") == task:
            found: Task = task
            return found
    known = ", ".join(name.replace("_", "-") for name in get_args(Task))
    raise ConfigError(f"{verb!r} cannot be watched", hint=f"watch one of: {known}")
