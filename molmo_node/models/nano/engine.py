"""molmo-nano behind the engine seam: pictures of any size in, points and readings out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from molmo_node.errors import ModelError
from molmo_node.messages import Point, Question, Task, Timing, Work
from molmo_node.models.engine import EncodedFrame, ImageHWC, Reply, never_cancelled
from molmo_node.models.nano import tint, vocabulary
from molmo_node.models.nano.closer import LOOKS, agreed, as_batch, cuts_around
from molmo_node.models.nano.decoding import (
    DOUBT_BELOW,
    NO_DIAL_ABOVE,
    STOP_ABOVE,
    Pointed,
    Tokens,
    point,
)
from molmo_node.models.nano.dials import clock_time, gauge_fraction
from molmo_node.models.nano.network import Encoded, Nano
from molmo_node.models.nano.text import count_text, point_text
from molmo_node.models.nano.weights import WEIGHTS, load_network
from molmo_node.models.nano.words import Phrase, parse_phrase, what_can_be_asked

_CLOCK_LABELS = ("center", "twelve", "three", "minute hand", "hour hand")
_GAUGE_LABELS = ("center", "first mark", "middle mark", "last mark", "needle")


@dataclass(frozen=True)
class NanoFrame:
    """A picture that molmo-nano has looked at: its size and pixels, the square that they were
    fitted into by `scale`, features and their cost."""

    width: int
    height: int
    image_hwc: ImageHWC
    square_hwc: ImageHWC
    seen: Encoded
    scale: float
    encode_ms: float


@dataclass
class _Cost:
    """What one answer took; a second look counts as decoding."""

    encode_ms: float
    decode_ms: float
    forwards: int
    looks: int = 1

    def entered(self, reply: Reply) -> Reply:
        """The reply with its cost."""
        total_ms = self.encode_ms + self.decode_ms
        return msgspec.structs.replace(
            reply,
            timing_ms=Timing(prefill=self.encode_ms, decode=self.decode_ms, total=total_ms),
            work=Work(decode_forwards=self.forwards, vision_forwards=self.looks, crops=self.looks),
        )


class NanoEngine:
    """The embedded engine. It knows some colours and things, clocks and gauges, and says so."""

    name = "molmo-nano"
    # Of real dials it reads too few (MODEL_CARD.md) to overrule what pixels say by themselves.
    dial_confidence = 0.3
    tasks: frozenset[Task] = frozenset({"point", "count", "read_gauge", "read_clock"})

    def __init__(self, model: Nano, side_px: int = 336, stop_above: float = STOP_ABOVE) -> None:
        """
        Args:
            side_px: the square that a picture is fitted into, a multiple of 84.
            stop_above: probability of "no more points" that ends an answer.
        """
        self._model = model
        self.side_px = side_px
        self._stop_above = stop_above

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> NanoEngine:
        """The engine with the weights that ship in the package, or with others.

        Raises:
            ModelError: the weights cannot be read.
        """
        return cls(load_network(path))

    def encode(self, image_hwc: ImageHWC) -> NanoFrame:
        """Look at a picture, ``(H, W, 3) uint8, rgb8``; see `Engine.encode`."""
        if image_hwc.ndim != 3 or image_hwc.shape[2] != 3 or image_hwc.dtype != np.uint8:
            raise ModelError(
                f"a picture of {image_hwc.shape} {image_hwc.dtype}, expected (H, W, 3) uint8"
            )
        started = time.perf_counter()
        height, width = image_hwc.shape[:2]
        scale = self.side_px / max(height, width)
        square = _shrunk(image_hwc, scale, self.side_px)
        with torch.inference_mode():
            pixels = torch.from_numpy(square).permute(2, 0, 1)[None].float()
            seen = self._model.encode(pixels / 127.5 - 1)
        encode_ms = (time.perf_counter() - started) * 1e3
        return NanoFrame(width, height, image_hwc, square, seen, scale, encode_ms)

    def ask(
        self,
        frame: EncodedFrame,
        questions: Sequence[Question],
        drafts: Sequence[str | None] = (),
        is_cancelled: Callable[[int], bool] = never_cancelled,
    ) -> list[Reply]:
        """Answer all questions about one picture; see `Engine.ask`. Drafts are not needed."""
        if not isinstance(frame, NanoFrame):
            raise ModelError("the picture was encoded by another engine")
        understood = [_understood(question) for question in questions]
        tokens = {i: item for i, item in enumerate(understood) if isinstance(item, tuple)}
        replies = [Reply() if isinstance(item, tuple) else item for item in understood]
        if not tokens:
            return replies
        started, asked = time.perf_counter(), list(tokens)
        answers, forwards = self._point(
            frame, list(tokens.values()), lambda number: is_cancelled(asked[number])
        )
        decode_ms = (time.perf_counter() - started) * 1e3
        for index, answer in zip(asked, answers, strict=True):
            cost = _Cost(frame.encode_ms, decode_ms, forwards)
            replies[index] = self._reply(frame, questions[index], answer, cost)
        return replies

    def close(self) -> None:
        """Nothing is held but memory."""

    def _point(
        self, frame: NanoFrame, tokens: list[Tokens], is_cancelled: Callable[[int], bool]
    ) -> tuple[list[Pointed], int]:
        favor = tint.favor(frame.square_hwc, [vocabulary.color_in(asked) for asked in tokens])
        with torch.inference_mode():
            answers, forwards = point(
                self._model,
                frame.seen,
                tokens,
                is_cancelled,
                self._stop_above,
                favor,
                NO_DIAL_ABOVE,
            )
        for answer in answers:
            answer.points_xy = [(x / frame.scale, y / frame.scale) for x, y in answer.points_xy]
        return answers, forwards

    def _reply(self, frame: NanoFrame, question: Question, answer: Pointed, cost: _Cost) -> Reply:
        if question.task in ("point", "count"):
            return cost.entered(_pointing_reply(frame, question, answer))
        started = time.perf_counter()
        closer = self._look_closer(frame, question, answer)
        if closer is not answer:
            cost.looks += len(LOOKS)
            cost.forwards += vocabulary.KEY_POINTS
            cost.decode_ms += (time.perf_counter() - started) * 1e3
        return cost.entered(_reading_reply(frame, question, closer))

    def _look_closer(self, frame: NanoFrame, question: Question, answer: Pointed) -> Pointed:
        """Read a dial again from cuts of the frame as it was given; see `closer`. Where the
        first look doubted that there is one, the closer ones must be sure of it."""
        if len(answer.points_xy) != vocabulary.KEY_POINTS:
            return answer
        cuts = cuts_around(frame.image_hwc, np.array(answer.points_xy))
        is_doubted = answer.stop_p[0] > STOP_ABOVE
        if not cuts:
            return Pointed() if is_doubted else answer
        with torch.inference_mode():
            seen = self._model.encode(as_batch(cuts))
            found, _ = point(self._model, seen, [_reading_tokens(question)] * len(cuts))
        looks = [
            cut.in_frame(look.points_xy)
            for cut, look in zip(cuts, found, strict=True)
            if len(look.points_xy) == vocabulary.KEY_POINTS
        ]
        if is_doubted and np.mean([look.stop_p[0] for look in found]) > DOUBT_BELOW:
            return Pointed()
        if not looks:
            return answer
        keys, _ = agreed(looks)
        return Pointed([(float(x), float(y)) for x, y in keys])


def _shrunk(image_hwc: ImageHWC, scale: float, side_px: int) -> NDArray[np.uint8]:
    """The picture, resized by `scale`, in the top left corner of a grey square."""
    height, width = image_hwc.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    square = np.full((side_px, side_px, 3), 127, np.uint8)
    square[: size[1], : size[0]] = cv2.resize(image_hwc, size, interpolation=how)
    return square


def _reading_tokens(question: Question) -> Tokens:
    noun = "clock" if question.task == "read_clock" else "gauge"
    return vocabulary.question_tokens(vocabulary.ASK_READ, Phrase("", noun))


def _understood(question: Question) -> Tokens | Reply:
    """The question in the network's tokens, or the reply that says why it cannot be said."""
    if question.task in ("read_clock", "read_gauge"):
        return _reading_tokens(question)
    if question.task not in ("point", "count"):
        return Reply(no_answer=f"molmo-nano cannot {question.task}; it points, counts and reads")
    phrase = parse_phrase(question.text)
    if isinstance(phrase, Phrase):
        return vocabulary.question_tokens(vocabulary.ASK_POINT, phrase)
    found = f"{phrase!r} is not among its words" if phrase else "nothing to look for was named"
    return Reply(no_answer=f"{found}: {what_can_be_asked()}")


def _points(frame: NanoFrame, answer: Pointed, labels: Sequence[str]) -> tuple[Point, ...]:
    return tuple(
        Point(
            x_px=min(max(x, 0.0), float(frame.width)),
            y_px=min(max(y, 0.0), float(frame.height)),
            label=label,
        )
        for (x, y), label in zip(answer.points_xy, labels, strict=True)
    )


def _pointing_reply(frame: NanoFrame, question: Question, answer: Pointed) -> Reply:
    label = " ".join(question.text.split()).replace('"', "'")
    points = _points(frame, answer, [label] * len(answer.points_xy))  # the surest first
    if question.task == "count":
        text = count_text(points, frame.width, frame.height, label)
        return Reply(text=text, points=points, count=len(points))
    if not points:
        return Reply(text="There are none.", no_answer="molmo-nano sees none")
    return Reply(text=point_text(points, frame.width, frame.height, label), points=points)


def _reading_reply(frame: NanoFrame, question: Question, answer: Pointed) -> Reply:
    is_clock = question.task == "read_clock"
    noun = "clock" if is_clock else "gauge"
    if len(answer.points_xy) != vocabulary.KEY_POINTS:
        return Reply(text="There are none.", no_answer=f"molmo-nano sees no {noun}")
    keys = np.array(answer.points_xy)
    points = _points(frame, answer, _CLOCK_LABELS if is_clock else _GAUGE_LABELS)
    tags = point_text(points, frame.width, frame.height, noun)
    if is_clock:
        time_read = clock_time(keys)
        if time_read is None:
            return Reply(no_answer="molmo-nano's points on the clock do not make a dial")
        hour, minute, miss_deg = time_read
        text = f"{tags} The time is {hour or 12}:{minute:02d}."
        data = {"hour_hand_miss_deg": round(miss_deg, 1)}
        return Reply(text=text, points=points, time=(hour, minute, None), data=data)
    fraction = gauge_fraction(keys)
    if fraction is None:
        return Reply(no_answer="molmo-nano's points on the gauge do not make a scale")
    value = round(100 * fraction, 1)
    text = f"{tags} The needle stands at {value} % of the scale."
    return Reply(text=text, points=points, value=value, unit="% of scale")
