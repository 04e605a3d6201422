"""gauge new, gauge check: calibrate a dial once on a picture, and see how well it reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from molmo_node.cli import options
from molmo_node.cli.exits import FAILED
from molmo_node.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from molmo_node.instruments import Profile
    from molmo_node.messages import GaugeReading

gauge = typer.Typer(no_args_is_help=True, help="Calibrated dials.", rich_markup_mode=None)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="What the gauge is called.")]
_Picture = Annotated[
    Path, typer.Option("--image", "-i", metavar="FILE", help="A sharp picture of the dial.")
]
_Center = Annotated[
    str | None, typer.Option("--center", metavar="X,Y", help="The needle's pivot, pixels.")
]
_Marks = Annotated[
    list[str] | None,
    typer.Option("--mark", metavar="VALUE=X,Y", help="A scale mark; two or more, best its ends."),
]
_Unit = Annotated[str | None, typer.Option("--unit", metavar="UNIT", help="bar, °C, MPa, …")]
_Plausible = Annotated[
    str | None, typer.Option("--plausible", metavar="LOW,HIGH", help="Values outside are refused.")
]
_Accept = Annotated[bool, typer.Option("--accept", help="Take what was found in the picture.")]
_Folder = Annotated[
    Path | None, typer.Option("--folder", metavar="FOLDER", help="Read all pictures in it.")
]
_OnePicture = Annotated[
    Path | None, typer.Option("--image", "-i", metavar="FILE", help="Read this picture.")
]

NEW_EXAMPLE = (
    "Example: molmo-node gauge new boiler --image dial.jpg --center 318,311"
    " --mark 0=214,402 --mark 1=415,410 --unit MPa --gauges configs/gauges"
)
CHECK_EXAMPLE = (
    "Example: molmo-node gauge check configs/gauges/boiler.yaml --image dial.jpg --out sheet.png"
)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    gauge.command("new", epilog=NEW_EXAMPLE)(new)
    gauge.command("check", epilog=CHECK_EXAMPLE)(check)
    app.add_typer(gauge, name="gauge")


def new(
    name: _Name,
    image: _Picture,
    center: _Center = None,
    mark: _Marks = None,
    unit: _Unit = None,
    plausible: _Plausible = None,
    accept: _Accept = False,
    out: options.Out = None,
    gauges: options.GaugesFolder = None,
    config: options.Config = None,
) -> None:
    """Write a calibration profile; what is not given is proposed from the picture."""
    from molmo_node.bus import limits
    from molmo_node.cli import local, session
    from molmo_node.gauge_profiles import save_profile

    if not limits.NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot name a gauge", hint="use a-z, 0-9, - and _")
    settings = session.load_settings(config, gauges__folder=gauges).settings
    rgb = local.load_picture(image)
    profile = _profile(rgb, name, center, mark or [], unit, plausible)
    _show_trial(rgb, profile, out)
    is_proposed = center is None or not mark
    if is_proposed and not accept:
        print("not written: --accept takes this proposal, --center, --mark and --unit correct it")
        return
    folder = settings.gauges.folder or Path("configs/gauges")
    folder.mkdir(parents=True, exist_ok=True)
    save_profile(folder / f"{name}.yaml", profile)
    print(f"written: {folder / name}.yaml")


def check(
    profile: Annotated[Path, typer.Argument(metavar="PROFILE", help="A profile's YAML file.")],
    image: _OnePicture = None,
    folder: _Folder = None,
    out: options.Out = None,
) -> None:
    """Read pictures with a profile: a table, and with --out a contact sheet."""
    from molmo_node import imaging
    from molmo_node.camera.spec import IMAGE_SUFFIXES
    from molmo_node.cli import local, show
    from molmo_node.gauge_profiles import load_profile
    from molmo_node.instruments import draw_reading, read_gauge
    from molmo_node.overlay import contact_sheet

    files = [image] if image else []
    files += sorted(
        p for p in (folder or Path()).glob("*") if folder and p.suffix in IMAGE_SUFFIXES
    )
    if not files:
        raise ConfigError("no picture to read", hint="give --image FILE or --folder FOLDER")
    calibrated = load_profile(profile)
    tiles, refused = [], 0
    for file in files:
        rgb = local.load_picture(file)
        reading = read_gauge(rgb, calibrated)
        refused += reading.value is None
        print(f"{file.name:<28} {show.reading_text(reading)}")
        tiles.append(draw_reading(rgb, reading))
    print(f"{len(files) - refused} of {len(files)} read")
    if out is not None:
        out.write_bytes(imaging.encode(contact_sheet(tiles), out.suffix))
    if refused == len(files):
        raise typer.Exit(FAILED)


def _profile(
    rgb: NDArray[np.uint8],
    name: str,
    center: str | None,
    marks: list[str],
    unit: str | None,
    plausible: str | None,
) -> Profile:
    """The profile of the flags; what they leave out is found in the picture."""
    from molmo_node.instruments import Profile, propose_profile

    where = _pair(center, "--center X,Y") if center else None
    placed = [_mark(text) for text in marks]
    if where is None or not placed:
        proposed, _ = propose_profile(rgb, name=name)
        where = where or proposed.center
        placed = placed or [(mark.value, mark.x_px, mark.y_px) for mark in proposed.marks]
        unit = proposed.unit if unit is None else unit
        print(f"found: center {where[0]:.0f},{where[1]:.0f}, unit {unit or 'unknown'}, marks")
        for value, x_px, y_px in placed:
            print(f"  --mark {value:g}={x_px:.0f},{y_px:.0f}")
    return Profile.from_marks(
        rgb,
        center=where,
        marks=placed,
        unit=unit or "",
        name=name,
        plausible=_pair(plausible, "--plausible LOW,HIGH") if plausible else None,
    )


def _show_trial(rgb: NDArray[np.uint8], profile: Profile, out: Path | None) -> None:
    """What it reads on this picture, and how far ten slightly changed ones lie apart."""
    from molmo_node import imaging
    from molmo_node.cli import show
    from molmo_node.instruments import draw_reading, read_gauge, try_profile

    reading: GaugeReading = read_gauge(rgb, profile)
    print(f"on this picture: {show.reading_text(reading)}")
    trial = try_profile(rgb, profile)
    spread = "none was read" if trial.spread is None else f"{trial.spread:.2g} {profile.unit} apart"
    print(f"{len(trial.readings)} test readings: {spread}, {trial.refused} refused")
    if out is not None:
        out.write_bytes(imaging.encode(draw_reading(rgb, reading), out.suffix))


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
