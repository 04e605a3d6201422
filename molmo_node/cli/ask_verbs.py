"""point, count, ask, describe, extract, read gauge, read clock: one question, one answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from molmo_node.cli import options
from molmo_node.cli.exits import FAILED
from molmo_node.errors import ConfigError
from molmo_node.messages import Answer, Question, Roi

_Text = Annotated[str, typer.Argument(metavar="TEXT", help="What is meant.")]

read = typer.Typer(
    no_args_is_help=True, help="What a gauge or a clock shows.", rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    for verb in (point, count, ask, describe, extract):
        app.command(epilog=_EXAMPLES[verb.__name__])(verb)
    read.command("gauge", epilog=_EXAMPLES["gauge"])(read_gauge)
    read.command("clock", epilog=_EXAMPLES["clock"])(read_clock)
    app.add_typer(read, name="read")


_EXAMPLES = {
    "point": "Example: molmo-node point 'the red mug' --image desk.jpg --out marked.png",
    "count": "Example: molmo-node count 'bolts' --camera front",
    "ask": "Example: molmo-node ask 'is the valve open?' --timeout-s 20",
    "describe": "Example: molmo-node describe --camera front",
    "extract": "Example: molmo-node extract --schema plate.json --image plate.jpg",
    "gauge": "Example: molmo-node read gauge boiler --image dial.jpg --gauges configs/gauges",
    "clock": "Example: molmo-node read clock --camera hall",
}


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


def point(
    text: _Text,
    camera: options.CameraName = "",
    image: options.ImageFile = None,
    roi: options.RoiText = None,
    refine: options.Refine = False,
    out: options.Out = None,
    json: options.Json = False,
    max_age_ms: options.MaxAge = None,
    timeout_s: options.Timeout = 10.0,
    model: options.ModelName = None,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Where is it? Points in pixels: x y label, one a line."""
    question = Question.point(text, roi=parse_roi(roi), refine=refine)
    _answer(question, camera, image, out, json, max_age_ms, timeout_s, model, None, config, run_dir)


def count(
    text: _Text,
    camera: options.CameraName = "",
    image: options.ImageFile = None,
    roi: options.RoiText = None,
    out: options.Out = None,
    json: options.Json = False,
    max_age_ms: options.MaxAge = None,
    timeout_s: options.Timeout = 10.0,
    model: options.ModelName = None,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """How many are there? The number, then the points that were counted."""
    question = Question.count(text, roi=parse_roi(roi))
    _answer(question, camera, image, out, json, max_age_ms, timeout_s, model, None, config, run_dir)


def ask(
    text: _Text,
    camera: options.CameraName = "",
    image: options.ImageFile = None,
    roi: options.RoiText = None,
    json: options.Json = False,
    max_age_ms: options.MaxAge = None,
    timeout_s: options.Timeout = 30.0,
    model: options.ModelName = None,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """A free question; the answer is text."""
    question = Question.ask(text, roi=parse_roi(roi))
    _answer(
        question, camera, image, None, json, max_age_ms, timeout_s, model, None, config, run_dir
    )


def describe(
    camera: options.CameraName = "",
    image: options.ImageFile = None,
    roi: options.RoiText = None,
    json: options.Json = False,
    max_age_ms: options.MaxAge = None,
    timeout_s: options.Timeout = 30.0,
    model: options.ModelName = None,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """What is to be seen, as text."""
    question = Question.describe(roi=parse_roi(roi))
    _answer(
        question, camera, image, None, json, max_age_ms, timeout_s, model, None, config, run_dir
    )


def extract(
    schema: Annotated[
        Path | None, typer.Option("--schema", metavar="FILE", help="JSON schema of the answer.")
    ] = None,
    camera: options.CameraName = "",
    image: options.ImageFile = None,
    roi: options.RoiText = None,
    json: options.Json = False,
    max_age_ms: options.MaxAge = None,
    timeout_s: options.Timeout = 30.0,
    model: options.ModelName = None,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """The text in the picture as JSON, checked against a schema if one is given."""
    question = Question.extract(_read_schema(schema), roi=parse_roi(roi))
    _answer(
        question, camera, image, None, json, max_age_ms, timeout_s, model, None, config, run_dir
    )


def read_gauge(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Which gauge.")] = "",
    camera: options.CameraName = "",
    image: options.ImageFile = None,
    gauges: options.GaugesFolder = None,
    roi: options.RoiText = None,
    out: options.Out = None,
    json: options.Json = False,
    max_age_ms: options.MaxAge = None,
    timeout_s: options.Timeout = 10.0,
    model: options.ModelName = None,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """What does the gauge read? Its value and unit, or why there is none."""
    question = Question.read_gauge(name, roi=parse_roi(roi))
    _answer(
        question, camera, image, out, json, max_age_ms, timeout_s, model, gauges, config, run_dir
    )


def read_clock(
    camera: options.CameraName = "",
    image: options.ImageFile = None,
    roi: options.RoiText = None,
    out: options.Out = None,
    json: options.Json = False,
    max_age_ms: options.MaxAge = None,
    timeout_s: options.Timeout = 10.0,
    model: options.ModelName = None,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """What time does the clock show? Hour, minute and second, or why there is none."""
    question = Question.read_clock(roi=parse_roi(roi))
    _answer(question, camera, image, out, json, max_age_ms, timeout_s, model, None, config, run_dir)


def _answer(
    question: Question,
    camera: str,
    image: Path | None,
    out: Path | None,
    is_json: bool,
    max_age_ms: float | None,
    timeout_s: float,
    model: str | None,
    gauges: Path | None,
    config: Path | None,
    run_dir: Path | None,
) -> None:
    """Ask this process (a picture) or the node (a camera), print, and set the exit code."""
    from molmo_node.cli import local, session, show

    settings = session.load_settings(
        config, run_dir=run_dir, worker__model=model, gauges__folder=gauges
    ).settings
    if image is not None:
        answer = local.answer_file(settings, image, question)
    elif out is not None:
        raise ConfigError("--out needs --image", hint="the node's frames are not kept here")
    else:
        with session.make_client(settings) as client:
            answer = client.query(
                question, camera=camera, max_age_ms=max_age_ms, timeout_s=timeout_s
            )
    if out is not None and image is not None:
        local.save_marked(image, answer, out)
    print(show.as_json(answer) if is_json else show.as_text(answer))
    if not _is_answered(answer):
        raise typer.Exit(FAILED)


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
