"""gauge new: calibrate a dial once, on a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from molmo_node.cli import options
from molmo_node.errors import ConfigError

gauge = typer.Typer(no_args_is_help=True, help="Calibrated dials.", rich_markup_mode=None)

EXAMPLE = (
    "Example: molmo-node gauge new boiler --image dial.jpg --center 318,311"
    " --mark 0=214,402 --mark 1=415,410 --unit MPa --gauges configs/gauges"
)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    gauge.command("new", epilog=EXAMPLE)(new)
    app.add_typer(gauge, name="gauge")


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the gauge is called.")],
    image: Annotated[
        Path, typer.Option("--image", "-i", metavar="FILE", help="A sharp picture of the dial.")
    ],
    center: Annotated[
        str, typer.Option("--center", metavar="X,Y", help="The needle's pivot, pixels.")
    ],
    mark: Annotated[
        list[str],
        typer.Option(
            "--mark", metavar="VALUE=X,Y", help="A scale mark; two or more, best its ends."
        ),
    ],
    unit: Annotated[str, typer.Option("--unit", metavar="UNIT", help="bar, °C, MPa, …")] = "",
    plausible: Annotated[
        str | None,
        typer.Option("--plausible", metavar="LOW,HIGH", help="Values outside are refused."),
    ] = None,
    gauges: options.GaugesFolder = None,
    config: options.Config = None,
) -> None:
    """Write a calibration profile, and read the picture with it once."""
    from molmo_node.bus import limits
    from molmo_node.cli import local, session, show
    from molmo_node.gauge_profiles import save_profile
    from molmo_node.instruments import Profile, read_gauge

    if not limits.NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot name a gauge", hint="use a-z, 0-9, - and _")
    settings = session.load_settings(config, gauges__folder=gauges).settings
    folder = settings.gauges.folder or Path("configs/gauges")
    rgb = local.load_picture(image)
    profile = Profile.from_marks(
        rgb,
        center=_pair(center, "--center X,Y"),
        marks=[_mark(text) for text in mark],
        unit=unit,
        name=name,
        plausible=_pair(plausible, "--plausible LOW,HIGH") if plausible else None,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    save_profile(path, profile)
    print(f"{path}: on this picture it reads {show.reading_text(read_gauge(rgb, profile))}")


def _mark(text: str) -> tuple[float, float, float]:
    value, _, place = text.partition("=")
    x_px, y_px = _pair(place, "--mark VALUE=X,Y")
    try:
        return float(value), x_px, y_px
    except ValueError as exc:
        raise ConfigError(f"--mark {text!r}: {value!r} is no number") from exc


def _pair(text: str, form: str) -> tuple[float, float]:
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError as exc:
        raise ConfigError(f"{text!r} is not two numbers", hint=f"write {form}") from exc
    return first, second
