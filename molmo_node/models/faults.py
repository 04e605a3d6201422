"""What to do when the device fails: free and try smaller, or say that it is lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from molmo_node.errors import DeviceLost, ModelError

log = logging.getLogger(__name__)
_T = TypeVar("_T")

# torch has one class for most of its failures; the words are the driver's and allocators'.
_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cublas_status_alloc_failed")
_LOST_WORDS = (
    "device-side assert",
    "illegal memory access",
    "unspecified launch failure",
    "cuda error",
    "hardware failure",
    "uncorrectable ecc",
    "device lost",
    "hip error",
)


def is_out_of_memory(exc: BaseException) -> bool:
    """Whether memory ran out, on the device or on the host."""
    if isinstance(exc, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(exc, RuntimeError) and any(w in str(exc).lower() for w in _MEMORY_WORDS)


def is_device_lost(exc: BaseException) -> bool:
    """Whether the device's context is broken: every later call would fail as well."""
    return isinstance(exc, RuntimeError) and any(w in str(exc).lower() for w in _LOST_WORDS)


def guarded(tries: Sequence[Callable[[], _T]], free: Callable[[], None], doing: str) -> _T:
    """The first try that has enough memory; they come in order of size.

    Args:
        free: called between two tries, to give back what can be made again.
        doing: for the message, such as "answering".

    Raises:
        ModelError: the last try ran out of memory too.
        DeviceLost: the device broke; the process must end.
    """
    for number, attempt in enumerate(tries, start=1):
        try:
            return attempt()
        except (RuntimeError, MemoryError) as exc:
            if is_out_of_memory(exc):
                log.warning("out of memory", extra={"doing": doing, "attempt": number})
            elif is_device_lost(exc):
                raise DeviceLost(
                    f"the device failed while {doing}: {_first_line(exc)}",
                    hint="the worker leaves and is started again",
                ) from exc
            else:
                raise
        # Outside the handler: the exception's frames no longer hold the failed try's tensors.
        free()
    raise ModelError(
        f"out of memory while {doing}, also with the smallest try",
        hint="--max-crops 4, --dtype bfloat16, or a smaller model",
    )


def _first_line(exc: BaseException) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0]
