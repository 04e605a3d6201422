"""Asking through ROS: ~/ask, ~/ask_text, ~/query, ~/enable, and ~/find_point where it is built.

Handlers that wait for an answer run in threads of the executor; no more of them at once than
leave threads free for images and transitions.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.srv import AddDiagnostics
from rclpy.callback_groups import ReentrantCallbackGroup
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from molmo_node.errors import Busy, MolmoNodeError
from molmo_node.messages import Error, Question
from molmo_node.ros2.active import Asked
from molmo_node.ros2.outputs import Outputs
from molmo_node.ros2.places import Located
from molmo_node.ros2.questions import parse_question

if TYPE_CHECKING:
    from molmo_node.ros2.bridge import BridgeNode

try:
    from molmo_node.ros2.typed import Typed
except ImportError:  # molmo_node_interfaces is built by its users: docs/ros2.md
    Typed = None  # type: ignore[assignment,misc]

ASKING = 4
"""Questions of services and actions that wait at once; more are told to come back."""
THREADS = ASKING + 4


class Asker:
    """Questions of services: a number of them at once, each with its deadline."""

    def __init__(self, node: BridgeNode) -> None:
        self._node = node
        self._free = threading.Semaphore(ASKING)

    def ask(self, question: Question, timeout_s: float = 0.0) -> Located:
        """Ask about the newest image and wait.

        Args:
            timeout_s: 0 for the parameter of that name.

        Raises:
            MolmoNodeError: why there is no answer; `Busy` when too many wait.
        """
        with self.place():
            return self.submit(question, timeout_s).result()

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the places of those that wait.

        Raises:
            Busy: all are taken.
        """
        if not self._free.acquire(blocking=False):
            raise Busy(f"{ASKING} questions wait already", hint="ask again later")
        try:
            yield
        finally:
            self._free.release()

    def submit(self, question: Question, timeout_s: float = 0.0) -> Asked:
        """Ask without waiting, from within a `place`."""
        return self._node.active().ask(question, timeout_s or self._node.given.timeout_s)


class Services:
    """All services of the bridge; they answer in every state, and say so where it is the wrong one.

    Args:
        offers_text: whether ~/ask_text is there.
    """

    def __init__(self, node: BridgeNode, outputs: Outputs, offers_text: bool) -> None:
        self._node = node
        self._outputs = outputs
        self._group = ReentrantCallbackGroup()
        self._asker = Asker(node)
        self._typed = None if Typed is None else Typed(node, self._asker, self._group)
        self._offered = [node.create_service(SetBool, "~/enable", self._enable)]
        if self._typed is None:
            self._add(Trigger, "~/ask", self._ask)
        if offers_text:
            self._add(AddDiagnostics, "~/ask_text", self._ask_text)
        self._queries = node.create_subscription(String, "~/query", self._query, 10)

    def close(self) -> None:
        """Remove them."""
        for service in self._offered:
            self._node.destroy_service(service)
        self._node.destroy_subscription(self._queries)
        if self._typed is not None:
            self._typed.close()

    def _add(self, kind: type[Any], name: str, handler: Any) -> None:
        made = self._node.create_service(kind, name, handler, callback_group=self._group)
        self._offered.append(made)

    def _enable(self, request: Any, response: Any) -> Any:
        self._node.enable(request.data)
        response.success = True
        response.message = "watches stand" if request.data else "watches are ended"
        return response

    def _ask(self, _: Any, response: Any) -> Any:
        """`std_srvs/Trigger`: the question is the parameter of that name."""
        return self._reply(response, self._node.given.question)

    def _ask_text(self, request: Any, response: Any) -> Any:
        """`diagnostic_msgs/AddDiagnostics`: the only common service from text to text."""
        return self._reply(response, request.load_namespace)

    def _reply(self, response: Any, text: str) -> Any:
        try:
            response.message = self._asker.ask(parse_question(text)).as_json()
            response.success = True
        except MolmoNodeError as exc:
            response.success = False
            response.message = json.dumps(_fields(exc))
        return response

    def _query(self, message: Any) -> None:
        """Ask without waiting: the answer, or the error, comes on ~/answers."""
        try:
            question = parse_question(message.data)
            request = self._node.active().link.ask(question, self._node.given.timeout_s)
        except MolmoNodeError as exc:
            self._outputs.publish_error(Error(id="", **_fields(exc)))
            return
        request.future.add_done_callback(lambda done: self._note_failure(request.id, done))

    def _note_failure(self, query_id: str, done: Future[Any]) -> None:
        error = None if done.cancelled() else done.exception()
        if isinstance(error, MolmoNodeError):
            self._outputs.publish_error(Error(id=query_id, **_fields(error)))


def _fields(error: MolmoNodeError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "hint": error.hint}
