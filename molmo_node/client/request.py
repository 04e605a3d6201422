"""One message of a client that waits for its reply."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal

from molmo_node.errors import BY_CODE, Busy, MolmoNodeError
from molmo_node.messages import Accepted, Answer, Error, Status

Reply = Answer | Accepted | Status


@dataclass(eq=False)
class Request:
    """A message that waits for its reply.

    Attributes:
        parts: as sent: the message, and an attached picture.
        deadline_ns: monotonic; then `future` fails.
        connect_until_ns: monotonic; then it fails if there never was a worker.
        is_again: a worker that had it has died; the next one's `Busy` is then no reply.
        send_after_ns: monotonic; it is not sent before.
        retries: how often it may be asked again after a worker died while working on it.
        future: resolves to Answer, Accepted or Status, or fails with an error of ours.
    """

    id: str
    parts: list[bytes]
    deadline_ns: int
    retries: int = 0
    connect_until_ns: int = 0
    is_sent: bool = False
    is_started: bool = False
    is_again: bool = False
    send_after_ns: int = 0
    awaits: Literal["answer", "accepted", "status"] = "answer"
    future: Future[Reply] = field(default_factory=Future)

    def fail(self, error: MolmoNodeError) -> None:
        """End it without a reply, unless whoever waits has given up."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


def to_exception(error: Error) -> MolmoNodeError:
    """An error message as the exception it stands for."""
    if error.code == Busy.code:
        return Busy(error.message, hint=error.hint, wait_ms=error.wait_ms)
    return BY_CODE.get(error.code, MolmoNodeError)(error.message, hint=error.hint)
