"""The example at the end of every verb's help does what it says."""

from __future__ import annotations

import shlex
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

import molmo_node
from molmo_node.cli.main import app
from tests.recording.samples import write as write_recording
from tests.support.stack import Stack
from tests.support.waiting import wait_for

pytestmark = pytest.mark.process

EXAMPLES = Path(molmo_node.__file__).parent / "examples"
SCRIPT = {
    "answers": [
        {"task": "point", "points": [[10, 20, "it"]]},
        {"task": "count", "count": 1, "points": [[10, 20, "it"]]},
        {"task": "read_clock", "time": [10, 8, 31]},
        {"task": "extract", "data": {"serial": "A-17"}, "reply": "{}"},
        {"task": "ask", "reply": "yes"},
        {"task": "describe", "reply": "a bench"},
    ]
}
RUNS_ON = ("up", "camera", "worker", "web", "replay", "sink csv")
OWN_TEST = ("demo", "foxglove", "sink", "ros2")


def commands(
    group: typer.core.TyperGroup, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """All verbs, as their words and their epilog."""
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name), command.epilog or ""


def as_group() -> typer.core.TyperGroup:
    command = typer.main.get_command(app)
    assert isinstance(command, typer.core.TyperGroup)
    return command


@pytest.fixture
def workplace(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A folder with the files that the examples name, and a node that runs."""
    monkeypatch.chdir(tmp_path)
    script = stack.file("answers.yaml", yaml.safe_dump(SCRIPT))
    photo = EXAMPLES / "pressure_run" / "frame_000.jpg"  # what the help's marks were read from
    for name in ("desk.jpg", "dial.jpg", "plate.jpg"):
        shutil.copy(photo, tmp_path / name)
    stack.file("plate.json", '{"type": "object"}')
    write_recording(tmp_path / "run.mcap")
    shutil.copytree(EXAMPLES / "gauges", tmp_path / "configs" / "gauges")
    for suffix in (".yaml", ".jpg"):
        source = tmp_path / "configs" / "gauges" / f"pressure_run{suffix}"
        text = source.read_bytes().replace(b"pressure_run", b"boiler")
        source.with_name(f"boiler{suffix}").write_bytes(text)
    stack.file("configs/robot.yaml", "cameras: [{name: front}]")
    monkeypatch.setenv("MOLMO_NODE_RUN_DIR", str(stack.run_dir))
    monkeypatch.setenv("MOLMO_NODE_WORKER__MODEL", f"scripted:{script}")
    monkeypatch.setenv("MOLMO_NODE_GAUGES__FOLDER", str(tmp_path / "configs" / "gauges"))
    monkeypatch.setenv("MOLMO_NODE_SECURITY__KEYS_DIR", str(tmp_path / "keys"))
    return stack


def test_every_verb_ends_its_help_with_an_example() -> None:
    without = [" ".join(words) for words, epilog in commands(as_group()) if not epilog]

    assert not without


@pytest.mark.timeout(120)
def test_examples_of_verbs_that_end_succeed(workplace: Stack) -> None:
    workplace.camera("front", str(EXAMPLES / "workshop_gauge"))
    workplace.camera("hall")
    workplace.start("worker", "worker")
    workplace.wait_ready(workplace.client(), "front", "hall")

    for words, epilog in commands(as_group()):
        if words[0] in (*RUNS_ON, *OWN_TEST):
            continue
        args = example(words, epilog)
        if words[0] in ("ask", "watch"):  # two cameras run: say which
            args += ["--camera", "front"]
        result = CliRunner().invoke(app, args)
        assert result.exit_code == 0, (args, result.output, result.exception)
        assert result.stdout.strip(), args


@pytest.mark.parametrize("verb", RUNS_ON)
def test_examples_of_verbs_that_run_on_stop_with_zero(workplace: Stack, verb: str) -> None:
    words = tuple(verb.split())
    process = workplace.start(verb, *example(words, dict(commands(as_group()))[words]))
    wait_for(workplace.nodes, 15, "a node")
    client = workplace.client(connect_s=15)
    if verb in ("up", "worker"):
        workplace.wait_status(client, lambda status: status.node == "worker")

    process.send(signal.SIGTERM)

    assert process.wait() == 0, process.output


def example(words: tuple[str, ...], epilog: str) -> list[str]:
    """The arguments of an example, without a shell's redirection."""
    prefix = "Example: molmo-node "
    assert epilog.startswith(prefix), words
    args = shlex.split(epilog.removeprefix(prefix).split(" > ")[0])
    assert args[: len(words)] == list(words), epilog
    return args
