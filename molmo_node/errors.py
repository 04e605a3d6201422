"""The errors that reach a person or a program that uses molmo_node.

Each child stands for something the caller can do; the message says what was found and what
was expected, the hint says the next step. `code` is the same word on the wire.
"""

from __future__ import annotations


class MolmoNodeError(Exception):
    """Base of every foreseen failure.

    Args:
        message: what was attempted, what was found, what was expected.
        hint: the next step, or empty.
    """

    code = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(MolmoNodeError):
    """A setting, a flag or a file that a person wrote is wrong."""

    code = "config_error"


class CameraError(MolmoNodeError):
    """A camera cannot be opened, was lost, or gives no usable frame."""

    code = "camera_error"


class ProtocolError(MolmoNodeError):
    """Bytes from outside that are not a message of ours, or break a limit."""

    code = "protocol_error"


class ModelError(MolmoNodeError):
    """The engine failed on this question; the next one may succeed."""

    code = "model_error"


class DeviceLost(ModelError):
    """The accelerator is gone for this process; only a new process can get it back."""

    code = "device_lost"


class NoAnswer(MolmoNodeError):
    """The question was understood, and cannot be answered: the reason says why."""

    code = "no_answer"


class WorkerLost(MolmoNodeError):
    """The worker died, hung or was stopped while it held this question."""

    code = "worker_lost"


class NotConnected(MolmoNodeError):
    """No node could be reached at the endpoint."""

    code = "not_connected"


class DeadlineExceeded(MolmoNodeError):
    """The time that the asker allowed is over."""

    code = "deadline_exceeded"


class Cancelled(MolmoNodeError):
    """The asker took the question back."""

    code = "cancelled"


class Busy(MolmoNodeError):
    """The queue is full or the model still loads.

    Args:
        wait_ms: after about this many milliseconds a new try is sensible; None if unknown.
    """

    code = "busy"

    def __init__(self, message: str, *, hint: str = "", wait_ms: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.wait_ms = wait_ms


BY_CODE: dict[str, type[MolmoNodeError]] = {
    kind.code: kind
    for kind in (
        MolmoNodeError,
        ConfigError,
        CameraError,
        ProtocolError,
        ModelError,
        DeviceLost,
        NoAnswer,
        WorkerLost,
        NotConnected,
        DeadlineExceeded,
        Cancelled,
        Busy,
    )
}
