"""Row 19: every answer names the frame whose pixels were looked at."""

from __future__ import annotations

import signal
import sys

import pytest

from molmo_node.client import Client
from molmo_node.messages import Answer, FrameRef, Question
from tests.support.camera_view import CameraView
from tests.support.machine import count
from tests.support.stack import Stack

pytestmark = pytest.mark.process

ANSWERS = count("MOLMO_TEST_FRAME_ANSWERS", 1_000)
DELAY_S = 0.05  # one and a half frames of 30 Hz: the next one always comes in between
AT_ONCE = 16


class Seen:
    """All headers of a camera as they come, by session and number."""

    def __init__(self, view: CameraView) -> None:
        self.refs: dict[tuple[str, int], FrameRef] = {}
        self._receiver = view.receiver
        view.receiver._on_frame = self._note

    def _note(self) -> None:
        header = self._receiver.newest
        assert header is not None
        self.refs[header.ref.session, header.ref.seq] = header.ref


def ask_many(client: Client, total: int) -> list[Answer]:
    """Answers to questions of which some always wait."""
    pending = [client.submit(Question.count("it"), timeout_s=30) for _ in range(AT_ONCE)]
    answers: list[Answer] = []
    while len(answers) < total:
        answers.append(pending.pop(0).result())
        pending.append(client.submit(Question.count("it"), timeout_s=30))
    answers += [one.result() for one in pending]
    return answers


def mismatches(answers: list[Answer]) -> list[Answer]:
    """Answers whose frame is not the one looked at: a fresh pattern counts as its camera does."""
    return [answer for answer in answers if answer.count != answer.frame.seq]


@pytest.mark.timeout(120)
def test_answers_carry_the_frame_that_was_looked_at(stack: Stack) -> None:
    camera = stack.camera(source="pattern:320x240@30")
    argv = [sys.executable, "-m", "tests.support.counter_worker", str(stack.run_dir), str(DELAY_S)]
    stack.run("worker", argv)
    client = stack.client()
    stack.wait_ready(client, "front")

    with CameraView(stack.run_dir) as view:
        seen = Seen(view)
        view.next()
        answers = ask_many(client, ANSWERS // 2)
        camera.send(signal.SIGKILL)  # a new life: the numbers begin again, in another session
        camera.wait()
        stack.camera(source="pattern:320x240@30")
        answers += ask_many(client, ANSWERS // 2)

    sessions = {answer.frame.session for answer in answers}
    known = [one for one in answers if (one.frame.session, one.frame.seq) in seen.refs]
    wrong = [one for one in known if seen.refs[one.frame.session, one.frame.seq] != one.frame]
    print(
        f"{len(answers)} answers on {len({(a.frame.session, a.frame.seq) for a in answers})} frames"
        f" of {len(sessions)} sessions, {len(known)} compared with the camera's own headers"
    )
    assert len(sessions) == 2
    assert len(answers) >= ANSWERS
    assert mismatches(answers) == []
    assert len(known) > 0.8 * len(answers)
    assert wrong == []
