"""cameras: which devices are there, what they can do, and a picture of each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from molmo_node.cli import options


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: molmo-node cameras --snapshot pictures/")(cameras)


def cameras(
    snapshot: Annotated[
        Path | None,
        typer.Option("--snapshot", metavar="FOLDER", help="Save a picture of each here."),
    ] = None,
    json: options.Json = False,
) -> None:
    """List camera devices: stable name, formats, who holds them."""
    import json as json_module
    from dataclasses import asdict

    from molmo_node.camera.devices import list_devices

    devices = list_devices()
    for device in devices:
        picture = _save_snapshot(device.stable_id, snapshot) if snapshot else None
        if json:
            print(json_module.dumps({**asdict(device), "picture": picture}))
            continue
        print(f"{device.stable_id}  {device.name}  ({device.path})")
        if device.problem:
            print(f"  cannot be asked: {device.problem}")
        if device.held_by:
            print(f"  held by {', '.join(device.held_by)}")
        for entry in device.formats:
            print(f"  {entry}")
        if picture:
            print(f"  picture: {picture}")
    if not devices and not json:
        print("no camera device here (/dev/video*)")
        print("  without one: molmo-node up --camera pattern, a video file or a folder of pictures")


def _save_snapshot(stable_id: str, folder: Path) -> str:
    from molmo_node import imaging
    from molmo_node.camera.devices import snapshot
    from molmo_node.camera.spec import parse_source
    from molmo_node.errors import CameraError

    try:
        rgb = snapshot(parse_source(stable_id))
    except CameraError as exc:
        return f"none: {exc.message}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{Path(stable_id).name}.jpg"
    path.write_bytes(imaging.encode_jpeg(rgb))
    return str(path)
