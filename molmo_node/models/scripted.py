"""An engine that answers from a file: for integration without a GPU, and for fault tests.

The file is YAML (docs/scripted.md has an example):

    name: scripted              # what answers name as their model
    load_s: 0.0                 # how long loading takes
    load_fault: null            # or the message of an error on loading
    answers:                    # the first that fits is used
      - task: point             # any task when left out
        text: red mug           # any text when left out
        delay_s: 0.0            # how long the engine is busy with the batch
        fault: null             # error | device_lost | hang | exit
        points: [[12.5, 80.0, red mug]]    # pixels of the picture
        reply: '<point …>'      # the text
        count: 1
        time: [10, 8, 31]
        data: {serial: A-17}
        no_answer: null
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from molmo_node.errors import ConfigError, DeviceLost, ModelError
from molmo_node.messages import TASKS, Point, Question, Task, Timing, Work
from molmo_node.models.engine import ImageHWC, Reply, never_cancelled

STEP_S = 0.005
Delay = Annotated[float, msgspec.Meta(ge=0, le=86_400)]


class ScriptedAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule of the script."""

    task: Task | None = None
    text: str | None = None
    delay_s: Delay = 0.0
    fault: Literal["error", "device_lost", "hang", "exit"] | None = None
    points: tuple[tuple[float, float, str], ...] = ()
    reply: str = ""
    count: int | None = None
    time: tuple[int, int, int | None] | None = None
    data: Any = None
    no_answer: str | None = None

    def fits(self, question: Question) -> bool:
        """Whether this rule is for that question."""
        return self.task in (None, question.task) and self.text in (None, question.text)


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole script file."""

    name: str = "scripted"
    load_s: Delay = 0.0
    load_fault: str | None = None
    answers: tuple[ScriptedAnswer, ...] = ()


@dataclass(frozen=True)
class ScriptedFrame:
    """What the scripted engine keeps of a picture: its size."""

    width: int
    height: int


class ScriptedEngine:
    """Answers as its script says.

    Args:
        script: the file's content, see the module's description.

    Raises:
        ConfigError: an unknown key or a wrong value, named.
        ModelError: the script says that loading fails.
    """

    def __init__(self, script: Mapping[str, Any]) -> None:
        try:
            self._script = msgspec.convert(dict(script), Script)
        except msgspec.ValidationError as exc:
            raise ConfigError(f"script: {exc}", hint="docs/scripted.md lists the keys") from exc
        time.sleep(self._script.load_s)
        if self._script.load_fault:
            raise ModelError(self._script.load_fault)
        self.name = self._script.name
        tasks = {answer.task for answer in self._script.answers}
        self.tasks: frozenset[Task] = frozenset(
            TASKS if None in tasks else (task for task in tasks if task)
        )

    def encode(self, image_hwc: ImageHWC) -> ScriptedFrame:
        """Note the picture's size."""
        height, width = image_hwc.shape[:2]
        return ScriptedFrame(width, height)

    def ask(
        self,
        frame: ScriptedFrame,
        questions: Sequence[Question],
        drafts: Sequence[str | None] = (),
        is_cancelled: Callable[[int], bool] = never_cancelled,
    ) -> list[Reply]:
        """Answer by the first rule that fits each question, after the longest delay of all."""
        rules = [self._rule(question) for question in questions]
        for rule in rules:
            _act_out(rule.fault)
        started = time.perf_counter()
        delay_s = max((rule.delay_s for rule in rules), default=0.0)
        while (left_s := started + delay_s - time.perf_counter()) > 0:
            if all(is_cancelled(index) for index in range(len(rules))):
                break
            time.sleep(min(STEP_S, left_s))
        decode_ms = (time.perf_counter() - started) * 1e3
        return [_reply(rule, decode_ms) for rule in rules]

    def close(self) -> None:
        """Nothing is held."""

    def _rule(self, question: Question) -> ScriptedAnswer:
        for answer in self._script.answers:
            if answer.fits(question):
                return answer
        return ScriptedAnswer(
            no_answer=f"the script has no answer for {question.task} {question.text!r}"
        )


def load_scripted(path: str, **_options: Any) -> ScriptedEngine:
    """The engine of a script file.

    Raises:
        ConfigError: the file cannot be read, or is no script.
    """
    try:
        script = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as exc:
        raise ConfigError(f"script {path}: cannot be read") from exc
    return ScriptedEngine(script)


def _reply(rule: ScriptedAnswer, decode_ms: float) -> Reply:
    return Reply(
        text=rule.reply,
        points=tuple(Point(x_px=x, y_px=y, label=label) for x, y, label in rule.points),
        count=rule.count,
        time=rule.time,
        data=rule.data,
        no_answer=rule.no_answer,
        timing_ms=Timing(decode=decode_ms, total=decode_ms),
        work=Work(vision_forwards=1),
    )


def _act_out(fault: str | None) -> None:
    if fault == "error":
        raise ModelError("the script says that this question fails")
    if fault == "device_lost":
        raise DeviceLost("the script says that the device is lost")
    if fault == "exit":
        os._exit(1)
    while fault == "hang":
        time.sleep(0.1)
