"""`up` and `demo`: the supervised processes, and what a person sees of them."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from molmo_node.cli import session, show
from molmo_node.cli.board import StatusBoard
from molmo_node.cli.exits import INTERRUPTED
from molmo_node.cli.signals import StopSignals
from molmo_node.cli.tally import Judge, Outcome, cannot_tell
from molmo_node.errors import DeadlineExceeded

if TYPE_CHECKING:
    from molmo_node.client import Client
    from molmo_node.config import Loaded
    from molmo_node.supervisor import ProcessEvent

log = logging.getLogger(__name__)

LISTEN_S = 0.25
SILENT_VERBS = frozenset({"record", "foxglove"})
"""They say no status of their own: they are ready when they run."""


def run_stage(
    loaded: Loaded,
    seconds: float | None,
    is_json: bool,
    signals: StopSignals,
    judge: Judge = cannot_tell,
) -> Outcome:
    """Run the processes of these settings until a signal, or for so many seconds.

    `judge` says of each answer whether it is right.

    Raises:
        ConfigError: another node runs in this run_dir.
    """
    from molmo_node.supervisor import Announcer, Supervisor, process_specs

    settings = loaded.settings
    session.start_log(settings)
    outcome = Outcome(judge)
    specs = process_specs(loaded)
    with ExitStack() as stack:
        board = stack.enter_context(StatusBoard(settings))

        def on_event(event: ProcessEvent) -> None:
            outcome.restarts += event.kind == "started" and board.was_up(event.name)
            announcer.note(event)
            show_event(event)

        silent = {spec.name for spec in specs if SILENT_VERBS & set(spec.argv)}

        def is_ready(name: str) -> bool:
            return name in silent or board.is_ready(name)

        supervisor = Supervisor(specs, on_event, board.hang_reason, is_ready=is_ready)
        announcer = stack.enter_context(Announcer(settings.run_dir, supervisor.states))
        listener = _Listener(session.make_client(settings), outcome, is_json)
        signals.attach(supervisor.stop)  # until `run` takes them over
        timer = threading.Timer(seconds or 0.0, supervisor.stop)
        if seconds:
            timer.start()
        started_s = time.monotonic()
        try:
            outcome.exit_code = supervisor.run()
        finally:
            timer.cancel()
            listener.close()
        outcome.seconds = time.monotonic() - started_s
        if signal.SIGINT in (signals.received, supervisor.stop_signal):
            outcome.exit_code = INTERRUPTED
    return outcome


def show_event(event: ProcessEvent) -> None:
    """What happened to a process, on stderr; of one that died, its last lines."""
    facts = {
        "pid": event.pid,
        "exit": event.exit_code,
        "again in": None if event.in_s is None else f"{event.in_s:g} s",
        "because": event.reason or None,
    }
    text = ", ".join(f"{key} {value}" for key, value in facts.items() if value is not None)
    print(f"{event.name}: {event.kind.replace('_', ' ')} ({text})", file=sys.stderr, flush=True)
    if event.kind == "failed":
        for line in event.lines:
            print(f"  {event.name} | {line}", file=sys.stderr)


class _Listener:
    """Prints the watches' answers as they come, in a thread of its own."""

    def __init__(self, client: Client, outcome: Outcome, is_json: bool) -> None:
        self._client = client
        self._outcome = outcome
        self._is_json = is_json
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="answers")
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._is_stopping.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        with self._client.answers() as answers:
            while not self._is_stopping.is_set():
                try:
                    answer = answers.get(LISTEN_S)
                except DeadlineExceeded:
                    continue
                self._outcome.note(answer)
                text = show.as_json(answer) if self._is_json else show.with_frame(answer)
                print(text, flush=True)
