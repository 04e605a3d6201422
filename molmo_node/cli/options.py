"""Options that several verbs share, under one name and with one meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="Settings file (YAML)."),
]
RunDir = Annotated[
    Path | None,
    typer.Option("--run-dir", metavar="FOLDER", help="Folder of this node's sockets."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")]
ImageFile = Annotated[
    Path | None,
    typer.Option(
        "--image", "-i", metavar="FILE", help="Ask about this picture; no running node is needed."
    ),
]
CameraName = Annotated[
    str, typer.Option("--camera", metavar="NAME", help="Which camera; the only one if left out.")
]
Timeout = Annotated[
    float, typer.Option("--timeout-s", metavar="SECONDS", min=0.01, help="The deadline.")
]
MaxAge = Annotated[
    float | None,
    typer.Option(
        "--max-age-ms", metavar="MILLISECONDS", min=0.0, help="Oldest frame that may be used."
    ),
]
RoiText = Annotated[
    str | None,
    typer.Option("--roi", metavar="X,Y,W,H", help="Look only at this part (pixels of the frame)."),
]
Refine = Annotated[
    bool, typer.Option("--refine", help="A second look at full resolution around each point.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="Save the picture with the answer drawn in."),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="none, scripted:FILE, an engine's name, a checkpoint folder or a hub name.",
    ),
]
GaugesFolder = Annotated[
    Path | None,
    typer.Option("--gauges", metavar="FOLDER", help="Folder of calibration profiles."),
]
