"""topic list|echo|hz and node list: look at a running node from outside."""

from __future__ import annotations

import json as json_module
import time
from typing import TYPE_CHECKING, Annotated

import typer

from molmo_node.cli import options
from molmo_node.errors import ConfigError, DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from molmo_node.client import Client, Subscription
    from molmo_node.messages import Answer, Status

topic = typer.Typer(
    no_args_is_help=True, help="What is sent, and how often.", rich_markup_mode=None
)
node = typer.Typer(no_args_is_help=True, help="What runs on this host.", rich_markup_mode=None)

_Name = Annotated[str, typer.Argument(metavar="TOPIC", help="answer or status.")]
_Count = Annotated[
    int | None, typer.Option("--count", "-n", metavar="MESSAGES", help="End after so many.")
]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    topic.command("list", epilog="Example: molmo-node topic list")(topic_list)
    topic.command("echo", epilog="Example: molmo-node topic echo status --count 3")(topic_echo)
    topic.command("hz", epilog="Example: molmo-node topic hz status --seconds 2")(topic_hz)
    node.command("list", epilog="Example: molmo-node node list --json")(node_list)
    app.add_typer(topic, name="topic")
    app.add_typer(node, name="node")


def topic_list(json: options.Json = False) -> None:
    """The table of topics: type, sender, rate, limit, queue, what gives way."""
    from molmo_node.bus.topics import TOPICS

    for entry in TOPICS.values():
        row = {
            "topic": entry.name,
            "key": entry.key,
            "sender": entry.sender,
            "rate_hz": entry.rate_hz,
            "limit_bytes": entry.limit_bytes,
            "queue_length": entry.queue_length,
            "when_full": entry.when_full,
            "is_recorded": entry.is_recorded,
        }
        if json:
            print(json_module.dumps(row))
        else:
            rate = "on demand" if entry.rate_hz is None else f"{entry.rate_hz:g} Hz"
            print(
                f"{entry.name:<8} {entry.key:<28} {entry.sender:<11} {rate:<10}"
                f" {entry.limit_bytes:>9} B  {entry.queue_length:>3} {entry.when_full}"
            )


def topic_echo(
    name: _Name,
    count: _Count = None,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Print the messages of a topic as JSON, one a line, until Ctrl-C."""
    import msgspec

    def echo(messages: Subscription[Answer] | Subscription[Status]) -> None:
        for number, message in enumerate(messages, start=1):
            print(msgspec.json.encode(message).decode(), flush=True)
            if number == count:
                return

    _listen(name, config, run_dir, echo)


def topic_hz(
    name: _Name,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="SECONDS", min=0.1, help="How long to count.")
    ] = 5.0,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """Count a topic's messages for a while and print their rate."""

    def count(messages: Subscription[Answer] | Subscription[Status]) -> None:
        received, until_s = 0, time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                messages.get(left_s)
            except DeadlineExceeded:
                break
            received += 1
        print(f"{received / seconds:.2f} Hz ({received} messages in {seconds:g} s)")

    _listen(name, config, run_dir, count)


def node_list(
    json: options.Json = False,
    config: options.Config = None,
    run_dir: options.RunDir = None,
) -> None:
    """The nodes that live on this host, and how they are."""
    from molmo_node.bus.lock import running_nodes
    from molmo_node.cli import session

    settings = session.load_settings(config, run_dir=run_dir).settings
    nodes = running_nodes(settings.run_dir)
    states = _states(session.make_client(settings), len(nodes)) if nodes else {}
    for entry in nodes:
        status = states.get(entry.node)
        row = {
            "node": entry.node,
            "kind": entry.kind,
            "pid": entry.pid,
            "address": entry.address,
            "state": status.state if status else "silent",
            "detail": status.detail if status else "",
        }
        if json:
            print(json_module.dumps(row))
        else:
            print(
                f"{row['node']:<20} {row['state']:<9} pid {row['pid']:<8} {row['detail']}".rstrip()
            )
    if not nodes and not json:
        print(f"nothing runs in {settings.run_dir}; `molmo-node up` starts a node")


def _states(client: Client, expected: int) -> dict[str, Status]:
    found: dict[str, Status] = {}
    with client, client.statuses() as statuses:
        until_s = time.monotonic() + 1.0
        while len(found) < expected and (left_s := until_s - time.monotonic()) > 0:
            try:
                status = statuses.get(left_s)
            except DeadlineExceeded:
                break
            found[status.node] = status
    return found


def _listen(
    name: str,
    config: Path | None,
    run_dir: Path | None,
    use: Callable[[Subscription[Answer] | Subscription[Status]], None],
) -> None:
    from molmo_node.cli import session

    if name.rstrip("s") not in ("answer", "statu"):
        raise ConfigError(
            f"topic {name!r} cannot be listened to here",
            hint="listen to answer or status; `molmo-node topic list` shows all topics",
        )
    settings = session.load_settings(config, run_dir=run_dir).settings
    with session.make_client(settings) as client:
        listen = client.answers if name.startswith("answer") else client.statuses
        with listen() as messages:
            use(messages)
