"""record, record info, record repair, replay: recordings."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from molmo_node.cli import options
from molmo_node.cli.signals import StopSignals
from molmo_node.errors import ConfigError

if TYPE_CHECKING:
    from molmo_node.config import Settings
    from molmo_node.recording.recorder import RecorderOptions
    from molmo_node.recording.summary import Summary

record = typer.Typer(
    invoke_without_command=True,
    rich_markup_mode=None,
    epilog="Example: molmo-node record --out run.mcap --seconds 60",
)
_File = Annotated[Path, typer.Argument(metavar="FILE", help="A recording (*.mcap).")]
_MB = 1_000_000


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    record.command("info", epilog="Example: molmo-node record info run.mcap")(record_info)
    record.command("repair", epilog="Example: molmo-node record repair run.mcap --out whole.mcap")(
        record_repair
    )
    app.add_typer(record, name="record")
    app.command(epilog="Example: molmo-node replay run.mcap --speed 2 --loop")(replay)


@record.callback()
def record_all(
    context: typer.Context,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Default: molmo-DATE-TIME.mcap here."),
    ] = None,
    camera: Annotated[
        list[str] | None,
        typer.Option("--camera", metavar="NAME", help="Only this camera; may be repeated."),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option("--fps", metavar="HERTZ", min=0.01, help="At most so many frames a second."),
    ] = None,
    jpeg_quality: Annotated[
        int, typer.Option("--jpeg-quality", metavar="1-100", min=1, max=100, help="Of raw frames.")
    ] = 85,
    lossless: Annotated[
        bool, typer.Option("--lossless", help="Raw frames as PNG: larger, every pixel kept.")
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", metavar="SECONDS", min=0.1, help="End after so long."),
    ] = None,
    max_mb: Annotated[
        float | None, typer.Option("--max-mb", metavar="MB", min=0.1, help="End at this size.")
    ] = None,
    split_mb: Annotated[
        float | None,
        typer.Option("--split-mb", metavar="MB", min=0.1, help="A new file at this size."),
    ] = None,
    split_s: Annotated[
        float | None,
        typer.Option("--split-s", metavar="SECONDS", min=1.0, help="A new file after so long."),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", metavar="FILES", min=1, help="Of split files, keep the newest."),
    ] = None,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Record frames, answers, readings and states into an MCAP file, until Ctrl-C."""
    if context.invoked_subcommand is not None:
        return
    signals = StopSignals()
    from molmo_node.cli import session
    from molmo_node.recording.needed import need_packages

    need_packages()
    from molmo_node.recording.parts import Bounds
    from molmo_node.recording.recorder import Recorder

    settings = session.load_settings(config, run_dir=run_dir).settings
    session.start_log(settings)
    _check_bounds(max_mb, split_mb, split_s, keep)
    most_mb = split_mb or max_mb
    bounds = Bounds(
        most_bytes=None if most_mb is None else int(most_mb * _MB),
        most_s=split_s,
        splits=bool(split_mb or split_s),
        kept=keep,
    )
    wanted = {"fps": fps, "quality": jpeg_quality, "lossless": lossless, "seconds": seconds}
    recorder = Recorder(_options(settings, _out(out), camera or [], bounds=bounds, **wanted))
    signals.attach(recorder.stop)
    print(f"recording to {recorder.path}; Ctrl-C ends it", file=sys.stderr, flush=True)
    counters = recorder.run()
    print(" ".join(f"{name}={value}" for name, value in counters.items()))
    if not counters["messages"]:
        print(
            f"molmo-node: nothing came from {settings.run_dir}\n"
            "  next: `molmo-node node list` shows what runs; --config or --run-dir name another",
            file=sys.stderr,
        )
    raise typer.Exit(signals.exit_code(0))


def record_info(file: _File, json: options.Json = False) -> None:
    """What a recording holds; reads it through and checks every chunk. Exit code 1: cut off."""
    from molmo_node.recording.needed import need_packages

    need_packages()
    from molmo_node.recording.summary import summarize

    summary = summarize(file)
    print(json_module.dumps(_as_json(summary)) if json else _as_text(summary))
    raise typer.Exit(1 if summary.damage else 0)


def record_repair(
    file: _File,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Default: FILE with .repaired.mcap."),
    ] = None,
) -> None:
    """Write all that can be read of a recording into a new, whole one."""
    from molmo_node.recording.needed import need_packages

    need_packages()
    from molmo_node.recording.repair import repair
    from molmo_node.recording.summary import look

    target = out or file.with_suffix(".repaired.mcap")
    contents = repair(file, target)
    whole = look(target)
    found = contents.damage or "it was whole"
    print(
        f"{target}: {whole.topics.total()} messages, {whole.duration_s:.1f} s,"
        f" {contents.chunks} chunks of {file} ({found})"
    )


def replay(
    file: Annotated[
        str, typer.Argument(metavar="FILE[#CAMERA]", help="A recording, and which camera of it.")
    ],
    speed: Annotated[
        float | None,
        typer.Option("--speed", metavar="FACTOR", min=0.01, max=100.0, help="1 is as recorded."),
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Again and again.")] = False,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Its name; as recorded if left out.")
    ] = "",
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Begin at once, not when somebody subscribes.")
    ] = False,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Be the camera of a recording: the same frames, at the recorded times or faster."""
    signals = StopSignals()
    from molmo_node.camera.node import CameraNode
    from molmo_node.cli import nodes, session

    settings = session.load_settings(config, run_dir=run_dir).settings
    session.start_log(settings)
    node = CameraNode(nodes.replay_options(settings, file, name, speed, loop, not no_wait))
    signals.attach(node.stop)
    raise typer.Exit(signals.exit_code(node.run()))


def _out(out: Path | None) -> Path:
    import time

    if out is None:
        return Path(time.strftime("molmo-%Y%m%d-%H%M%S.mcap"))
    if out.suffix.lower() != ".mcap":
        raise ConfigError(f"--out {out}: a recording is named *.mcap", hint=f"--out {out}.mcap")
    return out


def _check_bounds(
    max_mb: float | None, split_mb: float | None, split_s: float | None, keep: int | None
) -> None:
    if max_mb and split_mb:
        raise ConfigError(
            "--max-mb ends the recording and --split-mb begins a new file: give one of them"
        )
    if max_mb and split_s:
        raise ConfigError("--max-mb and --split-s do not go together", hint="use --split-mb")
    if keep and not (split_mb or split_s):
        raise ConfigError("--keep counts split files", hint="add --split-mb or --split-s")


def _options(settings: Settings, out: Path, only: list[str], **wanted: Any) -> RecorderOptions:
    from molmo_node import __version__
    from molmo_node.cli import nodes, session
    from molmo_node.messages import PROTOCOL_VERSION
    from molmo_node.recording.recorder import RecorderOptions

    workers, cameras = nodes.worker_and_cameras(settings)
    return RecorderOptions(
        out=out,
        run_dir=settings.run_dir,
        workers=workers,
        cameras=cameras,
        only=frozenset(only),
        security=session.security_of(settings),
        about={"version": __version__, "protocol": str(PROTOCOL_VERSION)},
        **wanted,
    )


def _as_json(summary: Summary) -> dict[str, Any]:
    return {
        "file": str(summary.path), "bytes": summary.nbytes, "whole_bytes": summary.whole_bytes,
        "chunks": summary.chunks, "damage": summary.damage or None,
        "first_ns": summary.first_ns, "last_ns": summary.last_ns,
        "duration_s": summary.duration_s, "topics": dict(sorted(summary.topics.items())),
        "schemas": dict(sorted(summary.schemas.items())), "cameras": summary.cameras,
        "metadata": summary.metadata,
    }  # fmt: skip


def _as_text(summary: Summary) -> str:
    import time

    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(summary.first_ns / 1e9))
    lines = [
        f"{summary.path}: {summary.nbytes / _MB:.2f} MB, {summary.duration_s:.1f} s from {began},"
        f" {summary.topics.total()} messages in {summary.chunks} chunks"
    ]
    for topic, count in sorted(summary.topics.items()):
        lines.append(f"  {count:>7}  {topic}  {summary.schemas[topic]}")
    if summary.damage:
        lines.append(
            f"  {summary.damage}: whole up to byte {summary.whole_bytes};"
            f" next: molmo-node record repair {summary.path}"
        )
    return "\n".join(lines)
