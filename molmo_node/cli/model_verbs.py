"""models: which models are known, what they need, what is on disk; and pulling them."""

from __future__ import annotations

import json as json_module
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from molmo_node.cli import options

if TYPE_CHECKING:
    from collections.abc import Callable

    from molmo_node.models.catalog import Entry

_Pull = Annotated[
    str | None,
    typer.Option("--pull", metavar="NAME", help="Fetch this one; goes on if broken off."),
]
_Revision = Annotated[
    str | None, typer.Option("--revision", metavar="COMMIT", help="Pull this commit or tag.")
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: molmo-node models")(models)


def models(pull: _Pull = None, revision: _Revision = None, json: options.Json = False) -> None:
    """List models with the memory they need and what is on disk, or fetch one."""
    from molmo_node.models import catalog

    if pull is not None:
        folder = catalog.pull(pull, revision=revision, progress=_progress())
        print(folder)
        return
    for entry in catalog.list_models():
        print(json_module.dumps(_row(entry)) if json else _line(entry))
    if not json:
        print("\nmolmo-node up --model NAME uses one. Also: nano (small, in the package),")
        print("scripted:FILE (answers from a file) and none (dials need no model)")


def _row(entry: Entry) -> dict[str, object]:
    known, there = entry.known, entry.on_disk
    return {
        "name": entry.name,
        "parameters": known.parameters if known else None,
        "memory_bytes": {dtype: known.memory_bytes(dtype) for dtype in ("bfloat16", "float32")}
        if known
        else None,
        "download_bytes": known.download_bytes if known else None,
        "licence": known.licence if known else None,
        "note": known.note if known else "",
        "folder": str(there.folder) if there else None,
        "is_whole": there.is_whole if there else False,
    }


def _line(entry: Entry) -> str:
    known, there = entry.known, entry.on_disk
    needs = "                           "
    if known:
        memory = [known.memory_bytes(dtype) / 1e9 for dtype in ("bfloat16", "float32")]
        needs = (
            f"{known.parameters / 1e9:5.1f} B  {memory[0]:4.0f} GB bf16 {memory[1]:4.0f} GB fp32"
        )
    disk = "not here"
    if there:
        disk = str(there.folder) if there.is_whole else "here in part: pull it to go on"
    return f"{entry.name:<26} {needs}  {disk}"


def _progress() -> Callable[[int, int], None] | None:
    """A line on a terminal that shows how much has come; nothing elsewhere."""
    if not sys.stderr.isatty():
        return lambda _done, _total: None
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    bar = Progress(
        BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    )
    task = bar.add_task("pull", total=None)
    bar.start()

    def show(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)
        if total and done >= total:
            bar.stop()

    return show
