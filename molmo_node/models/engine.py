"""The seam between the worker and whatever answers questions about a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from molmo_node.messages import Point, Question, Task, Timing, Work

ImageHWC = NDArray[np.uint8]


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An engine's answer to one question.

    `points` are in pixels of the image given to `encode`. `time` is (hour 0..11, minute,
    second or None). `no_answer` says why there is nothing; the other fields are then empty.
    """

    text: str = ""
    points: tuple[Point, ...] = ()
    count: int | None = None
    time: tuple[int, int, int | None] | None = None
    value: float | None = None
    unit: str = ""
    data: Any = None
    no_answer: str | None = None
    timing_ms: Timing = Timing()
    work: Work = Work()


class EncodedFrame(Protocol):
    """An image the engine has looked at; questions on it share that work."""

    @property
    def width(self) -> int:
        """Pixels of the image given to `encode`."""
        ...

    @property
    def height(self) -> int:
        """Pixels of the image given to `encode`."""
        ...


def never_cancelled(index: int) -> bool:
    """The default of `Engine.ask`: no question is ever taken back."""
    return False


@runtime_checkable
class Engine(Protocol):
    """Answers questions about pictures. Called from one thread only.

    Attributes:
        name: what the answers name as their model.
        tasks: the tasks it can answer; others are refused before they reach it.
    """

    name: str
    tasks: frozenset[Task]

    def encode(self, image_hwc: ImageHWC) -> EncodedFrame:
        """Look at an image, once for all questions.

        Args:
            image_hwc: ``(H, W, 3) uint8, rgb8, C-contiguous``; the engine does not change it.

        Raises:
            ModelError: this image cannot be encoded; the engine lives on.
        """
        ...

    def ask(
        self,
        frame: Any,
        questions: Sequence[Question],
        drafts: Sequence[str | None] = (),
        is_cancelled: Callable[[int], bool] = never_cancelled,
    ) -> list[Reply]:
        """Answer all questions about one frame, in their order, as one batch.

        Args:
            frame: what this engine's own `encode` gave.
            drafts: for each question the text expected (a watch's last answer), or None; a
                draft never changes an answer, only the work it takes. Empty: no drafts.
            is_cancelled: asked between decoding steps with a question's index; a cancelled
                question's reply may be anything and is dropped.

        Raises:
            ModelError: these questions failed; the engine lives on.
        """
        ...

    def close(self) -> None:
        """Free memory and devices. The engine is not used afterwards."""
        ...
