"""One picture and the questions due on it: dials by `instruments`, the rest by the engine.

Pure but for the engine: no sockets, no threads. Questions on the same region share one encoding.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from molmo_node.errors import ModelError, MolmoNodeError, NoAnswer, ProtocolError
from molmo_node.messages import (
    Answer,
    FrameRef,
    GaugeReading,
    Question,
    Reading,
    Roi,
    Timing,
    Work,
)
from molmo_node.models.engine import Engine, Reply, never_cancelled
from molmo_node.worker.dials import (
    DIAL_TASKS,
    Gauges,
    read_dial,
    see_gauge,
    unknown_gauge,
    wants_engine,
    with_engine,
)
from molmo_node.worker.refine import refine_points
from molmo_node.worker.regions import crop, shift_point, shift_reading

log = logging.getLogger(__name__)

ImageHWC = NDArray[np.uint8]
Result = Answer | MolmoNodeError
_Dial = tuple[Reading, float] | MolmoNodeError  # and the milliseconds it took


class Answerer:
    """Answers questions about pictures with one engine and one set of gauges.

    Args:
        engine: None for a worker that only reads calibrated dials.
    """

    def __init__(self, engine: Engine | None, gauges: Gauges) -> None:
        self.engine = engine
        self.gauges = gauges

    def answer(
        self,
        image_hwc: ImageHWC,
        frame: FrameRef,
        questions: Sequence[Question],
        drafts: Sequence[str | None] = (),
        is_cancelled: Callable[[int], bool] = never_cancelled,
    ) -> list[Result]:
        """Answer all questions about one picture.

        Args:
            image_hwc: ``(H, W, 3) uint8, rgb8``.
            drafts: per question the text its last answer had, or None; empty for none.

        Returns:
            For each question, in order, its answer (without id and watch) or its error.
        """
        results: list[Result | None] = [None] * len(questions)
        by_roi: dict[Roi | None, list[int]] = defaultdict(list)
        for index, question in enumerate(questions):
            by_roi[question.roi].append(index)
        for roi, indices in by_roi.items():
            part = [questions[index] for index in indices]
            texts = [drafts[index] for index in indices] if drafts else []
            found = self._answer_region(
                image_hwc, roi, part, texts, _renumbered(is_cancelled, indices)
            )
            for index, result in zip(indices, found, strict=True):
                results[index] = _with_frame(result, questions[index], frame, image_hwc)
        return [result for result in results if result is not None]

    def look(self, image_hwc: ImageHWC) -> None:
        """Have the engine see a picture before it is asked about, if there is an engine."""
        if self.engine is not None:
            self.engine.encode(image_hwc)

    def refusal(self, question: Question) -> NoAnswer | None:
        """Why a question cannot be answered here at all, before a picture is looked at."""
        if question.task == "read_gauge":
            return unknown_gauge(question.text, self.gauges)
        if question.task in self.tasks():
            return None
        name = self.engine.name if self.engine else "none"
        return NoAnswer(
            f"{question.task} cannot be answered by the running engine {name!r}",
            hint=f"it answers: {', '.join(sorted(self.tasks()))}; "
            "`molmo-node models` lists engines that can",
        )

    def tasks(self) -> set[str]:
        """What can be asked here: dials always, the rest if the engine can."""
        return {*DIAL_TASKS, *(self.engine.tasks if self.engine else ())}

    def _answer_region(
        self,
        image_hwc: ImageHWC,
        roi: Roi | None,
        questions: list[Question],
        drafts: Sequence[str | None],
        is_cancelled: Callable[[int], bool],
    ) -> list[Result]:
        try:
            region = crop(image_hwc, roi)
        except ProtocolError as exc:
            return [exc] * len(questions)
        origin = (roi.x_px, roi.y_px) if roi else (0, 0)
        results: list[Result | None] = [self.refusal(question) for question in questions]
        open_indices = [index for index, result in enumerate(results) if result is None]
        dials = {
            index: self._read_dial(region, questions[index])
            for index in open_indices
            if questions[index].task in DIAL_TASKS
        }
        to_ask = [
            index
            for index in open_indices
            if self._needs_engine(questions[index], dials.get(index))
        ]
        replies: dict[int, Reply | MolmoNodeError] = {}
        if to_ask:
            part = [questions[index] for index in to_ask]
            texts = [drafts[index] for index in to_ask] if drafts else []
            found = self._ask(region, part, texts, _renumbered(is_cancelled, to_ask))
            replies = dict(zip(to_ask, found, strict=True))
        for index in open_indices:
            reply = replies.get(index)
            if index in dials:
                dial = self._seen_again(region, dials[index], reply)
                results[index] = self._dial_answer(questions[index], dial, reply, origin)
            elif reply is not None:
                results[index] = self._to_answer(reply, questions[index], origin)
        return [result for result in results if result is not None]

    def _needs_engine(self, question: Question, dial: _Dial | None) -> bool:
        if self.engine is None or question.task not in self.engine.tasks:
            return False
        return dial is None or (isinstance(dial, tuple) and wants_engine(dial[0], self.engine))

    def _read_dial(self, region: ImageHWC, question: Question) -> _Dial:
        started = time.perf_counter()
        try:
            reading = read_dial(region, question, self.gauges)
        except MolmoNodeError as exc:
            return exc
        except Exception:
            log.exception("dial reader failed", extra={"task": question.task})
            return ModelError("the dial reader failed", hint="the worker's log has the trace")
        return reading, (time.perf_counter() - started) * 1e3

    def _seen_again(
        self, region: ImageHWC, dial: _Dial, reply: Reply | MolmoNodeError | None
    ) -> _Dial:
        """A gauge that pixels did not read, with the engine's eyes."""
        if self.engine is None or not isinstance(reply, Reply) or not isinstance(dial, tuple):
            return dial
        reading, total_ms = dial
        if not isinstance(reading, GaugeReading):
            return dial
        started = time.perf_counter()

        def ask(questions: Sequence[Question]) -> list[Reply]:
            replies = self._ask(region, list(questions), (), never_cancelled)
            return [each if isinstance(each, Reply) else Reply() for each in replies]

        try:
            reading = see_gauge(region, reading, reply, self.engine, ask)
        except Exception:
            log.exception("gauge reader failed on the engine's points")
        return reading, total_ms + (time.perf_counter() - started) * 1e3

    def _dial_answer(
        self,
        question: Question,
        dial: _Dial,
        reply: Reply | MolmoNodeError | None,
        origin: tuple[int, int],
    ) -> Result:
        if isinstance(dial, MolmoNodeError):
            return dial
        reading, total_ms = dial
        model, timing, work = "instruments", Timing(total=total_ms), Work()
        if isinstance(reply, Reply) and self.engine is not None:
            reading = with_engine(reading, reply, self.engine)
            model = f"instruments+{self.engine.name}"
            timing = msgspec.structs.replace(
                reply.timing_ms, total=total_ms + reply.timing_ms.total
            )
            work = reply.work
        return _blank(
            question.task,
            reading=shift_reading(reading, origin),
            reason=reading.reason,
            text=reply.text if isinstance(reply, Reply) else "",
            model=model,
            timing_ms=timing,
            work=work,
        )

    def _ask(
        self,
        region: ImageHWC,
        questions: list[Question],
        drafts: Sequence[str | None],
        is_cancelled: Callable[[int], bool],
    ) -> Sequence[Reply | MolmoNodeError]:
        assert self.engine is not None
        try:
            encoded = self.engine.encode(region)
            replies = self.engine.ask(encoded, questions, drafts, is_cancelled)
            refined = [
                refine_points(self.engine, region, question, reply, partial(is_cancelled, index))
                if question.refine and reply.points
                else reply
                for index, (question, reply) in enumerate(zip(questions, replies, strict=True))
            ]
            return [_within(reply, region) for reply in refined]
        except MolmoNodeError as exc:
            return [exc] * len(questions)
        except Exception:
            # The asker learns that it failed, the log how: a library's text may hold anything.
            log.exception("engine failed", extra={"engine": self.engine.name})
            failure = ModelError(
                f"the engine {self.engine.name!r} failed on this question",
                hint="the worker's log has the trace",
            )
            return [failure] * len(questions)

    def _to_answer(
        self, reply: Reply | MolmoNodeError, question: Question, origin: tuple[int, int]
    ) -> Result:
        if isinstance(reply, MolmoNodeError):
            return reply
        assert self.engine is not None
        return _blank(
            question.task,
            points=tuple(shift_point(point, origin) for point in reply.points),
            count=reply.count,
            data=reply.data,
            text=reply.text,
            reason=reply.no_answer,
            model=self.engine.name,
            timing_ms=reply.timing_ms,
            work=reply.work,
        )


def _within(reply: Reply, region: ImageHWC) -> Reply | ModelError:
    """The reply, unless it points outside the picture: such a point is wrong, not to be moved."""
    height, width = region.shape[:2]
    for point in reply.points:
        if not (0 <= point.x_px <= width and 0 <= point.y_px <= height):  # nor is NaN within
            return ModelError(
                f"the engine pointed outside the picture, at {point.x_px:.1f},{point.y_px:.1f} "
                f"of {width}x{height} px"
            )
    return reply


def _renumbered(is_cancelled: Callable[[int], bool], indices: list[int]) -> Callable[[int], bool]:
    return lambda index: is_cancelled(indices[index])


def _blank(task: str, **fields: object) -> Answer:
    nowhere = FrameRef(camera="", session="", seq=0, stamp_ns=0, mono_ns=0)
    return msgspec.convert(
        {"task": task, "frame": nowhere, "width": 0, "height": 0, **fields}, Answer
    )


def _with_frame(result: Result, question: Question, frame: FrameRef, image_hwc: ImageHWC) -> Result:
    if isinstance(result, MolmoNodeError):
        return result
    height, width = image_hwc.shape[:2]
    return msgspec.structs.replace(
        result, query=question.text, frame=frame, width=width, height=height
    )
