"""`up` and `demo`: the supervised processes, and what a person sees of them."""

from __future__ import annotations

import logging
import signal
import statistics
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from molmo_node.cli import session, show
from molmo_node.cli.board import StatusBoard
from molmo_node.cli.exits import DONE, INTERRUPTED
from molmo_node.cli.signals import StopSignals
from molmo_node.errors import DeadlineExceeded
from molmo_node.messages import Answer

if TYPE_CHECKING:
    from molmo_node.client import Client
    from molmo_node.config import Loaded
    from molmo_node.supervisor import ProcessEvent

log = logging.getLogger(__name__)

LISTEN_S = 0.25


@dataclass
class Outcome:
    """What a run amounted to. Ages are from capture to the answer's arrival here."""

    exit_code: int = DONE
    answers: int = 0
    readings: int = 0
    ages_ms: list[float] = field(default_factory=list)
    restarts: int = 0
    seconds: float = 0.0

    def note(self, answer: Answer) -> None:
        """Count one answer."""
        self.answers += 1
        if answer.reading is not None and answer.reading.status != "refused":
            self.readings += 1
        self.ages_ms.append((time.time_ns() - answer.frame.stamp_ns) / 1e6)

    def summary(self) -> str:
        """One line for the end."""
        age = f"{statistics.median(self.ages_ms):.0f} ms" if self.ages_ms else "-"
        return (
            f"{self.seconds:.0f} s: {self.answers} answers, {self.readings} with a reading,"
            f" median age {age}, {self.restarts} restarts"
        )


def run_stage(
    loaded: Loaded, seconds: float | None, is_json: bool, signals: StopSignals
) -> Outcome:
    """Run the processes of these settings until a signal, or for so many seconds.

    Raises:
        ConfigError: another node runs in this run_dir.
    """
    from molmo_node.supervisor import Announcer, Supervisor, process_specs

    settings = loaded.settings
    session.start_log(settings)
    outcome = Outcome()
    specs = process_specs(loaded)
    with ExitStack() as stack:
        board = stack.enter_context(StatusBoard(settings))

        def on_event(event: ProcessEvent) -> None:
            outcome.restarts += event.kind == "started" and board.was_up(event.name)
            announcer.note(event)
            show_event(event)

        supervisor = Supervisor(specs, on_event, board.hang_reason, is_ready=board.is_ready)
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
