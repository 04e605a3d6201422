"""point, count, ask, describe, extract, read gauge, read clock: one question, one answer.

Each verb is the function that makes its question; the options that all verbs share are added
to its signature, so that they are written once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from molmo_node.cli import options
from molmo_node.cli.exits import FAILED
from molmo_node.errors import ConfigError
from molmo_node.messages import Answer, Question, Roi

_Text = Annotated[str, typer.Argument(metavar="TEXT", help="What is meant.")]
_GaugeName = Annotated[str, typer.Argument(metavar="[NAME]", help="Which gauge.")]
_Schema = Annotated[
    Path | None, typer.Option("--schema", metavar="FILE", help="JSON schema of the answer.")
]

read = typer.Typer(
    no_args_is_help=True, help="What a gauge or a clock shows.", rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    for name, make, group, example in (
        ("point", point, app, "point 'the red mug' --image desk.jpg --out marked.png"),
        ("count", count, app, "count 'bolts' --camera front"),
        ("ask", ask, app, "ask 'is the valve open?' --timeout-s 20"),
        ("describe", describe, app, "describe --camera front"),
        ("extract", extract, app, "extract --schema plate.json --image plate.jpg"),
        ("gauge", read_gauge, read, "read gauge boiler --image dial.jpg --gauges configs/gauges"),
        ("clock", read_clock, read, "read clock --camera hall"),
    ):
        group.command(name, epilog=f"Example: molmo-node {example}")(_verb(make))
    app.add_typer(read, name="read")


def parse_roi(text: str | None) -> Roi | None:
    """``X,Y,W,H`` in pixels of the frame.

    Raises:
        ConfigError: not four whole numbers.
    """
    if text is None:
        return None
    try:
        x_px, y_px, width_px, height_px = (int(part) for part in text.split(","))
    except ValueError as exc:
        raise ConfigError(
            f"--roi {text!r} is not X,Y,W,H", hint="four whole numbers, pixels of the frame"
        ) from exc
    return Roi(x_px=x_px, y_px=y_px, width_px=width_px, height_px=height_px)


def point(text: _Text, roi: options.RoiText = None, refine: options.Refine = False) -> Question:
    """Where is it? Points in pixels: x y label, one a line."""
    return Question.point(text, roi=parse_roi(roi), refine=refine)


def count(text: _Text, roi: options.RoiText = None) -> Question:
    """How many are there? The number, then the points that were counted."""
    return Question.count(text, roi=parse_roi(roi))


def ask(text: _Text, roi: options.RoiText = None) -> Question:
    """A free question; the answer is text."""
    return Question.ask(text, roi=parse_roi(roi))


def describe(roi: options.RoiText = None) -> Question:
    """What is to be seen, as text."""
    return Question.describe(roi=parse_roi(roi))


def extract(schema: _Schema = None, roi: options.RoiText = None) -> Question:
    """The text in the picture as JSON, checked against a schema if one is given."""
    return Question.extract(_read_schema(schema), roi=parse_roi(roi))


def read_gauge(name: _GaugeName = "", roi: options.RoiText = None) -> Question:
    """What does the gauge read? Its value and unit, or why there is none."""
    return Question.read_gauge(name, roi=parse_roi(roi))


def read_clock(roi: options.RoiText = None) -> Question:
    """What time does the clock show? Hour, minute and second, or why there is none."""
    return Question.read_clock(roi=parse_roi(roi))


def _answer(
    question: Question,
    camera: options.CameraName = "",
    image: options.ImageFile = None,
    out: options.Out = None,
    json: options.Json = False,
    max_age_ms: options.MaxAge = None,
    timeout_s: options.Timeout = 30.0,
    model: options.ModelName = None,
    gauges: options.GaugesFolder = None,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Ask this process (a picture) or the node (a camera), print, and set the exit code."""
    from molmo_node.cli import local, session, show

    settings = session.load_settings(
        config, run_dir=run_dir, worker__model=model, gauges__folder=gauges
    ).settings
    if image is not None:
        answer = local.answer_file(settings, image, question)
        if out is not None:
            local.save_marked(image, answer, out)
    elif out is not None:
        raise ConfigError("--out needs --image", hint="the node's frames are not kept here")
    else:
        with session.make_client(settings) as client:
            answer = client.query(
                question, camera=camera, max_age_ms=max_age_ms, timeout_s=timeout_s
            )
    print(show.as_json(answer) if json else show.as_text(answer))
    if not _is_answered(answer):
        raise typer.Exit(FAILED)


def _verb(make: Callable[..., Question]) -> Callable[..., None]:
    """The command of a function that makes a question."""
    own = inspect.signature(make, eval_str=True).parameters
    shared = dict(list(inspect.signature(_answer, eval_str=True).parameters.items())[1:])

    def run(**given: object) -> None:
        _answer(make(**{name: given.pop(name) for name in own}), **given)  # type: ignore[arg-type]

    parameters = [*own.values(), *shared.values()]
    keywords = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    run.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    run.__doc__ = make.__doc__
    return run


def _is_answered(answer: Answer) -> bool:
    if answer.reading is not None:
        return answer.reading.status != "refused"
    return answer.reason is None


def _read_schema(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"--schema {path}: cannot be read as text") from exc
