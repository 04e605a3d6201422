"""~/ask and ~/find_point with types of their own: where molmo_node_interfaces was built."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from geometry_msgs.msg import Point as RosPoint
from molmo_node_interfaces.action import Point
from molmo_node_interfaces.srv import Ask
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import CallbackGroup

from molmo_node.errors import MolmoNodeError
from molmo_node.ros2.outputs import header_of
from molmo_node.ros2.places import Located
from molmo_node.ros2.questions import make_question
from molmo_node.ros2.readings import number

if TYPE_CHECKING:
    from molmo_node.ros2.bridge import BridgeNode
    from molmo_node.ros2.services import Asker

FEEDBACK_S = 0.1


class Typed:
    """The service ~/ask (`Ask`) and the action ~/find_point (`Point`)."""

    def __init__(self, node: BridgeNode, asker: Asker, group: CallbackGroup) -> None:
        self._node = node
        self._asker = asker
        self._service = node.create_service(Ask, "~/ask", self._ask, callback_group=group)
        self._action = ActionServer(
            node, Point, "~/find_point", self._find,
            callback_group=group, cancel_callback=lambda _: CancelResponse.ACCEPT,
        )  # fmt: skip

    def close(self) -> None:
        """Remove both."""
        self._node.destroy_service(self._service)
        self._action.destroy()

    def _ask(self, request: Any, response: Any) -> Any:
        try:
            roi = tuple(int(value) for value in request.roi)
            question = make_question(request.task, request.text, roi, request.refine)  # type: ignore[arg-type]
            located = self._asker.ask(question, request.timeout_s)
        except MolmoNodeError as exc:
            return _failed(response, exc)
        answer = located.answer
        response.text = answer.text
        response.value = math.nan
        if answer.reading is not None:
            value = number(answer.reading)
            response.value = math.nan if value is None else value
            response.unit = getattr(answer.reading, "unit", "s")
        return _filled(response, located)

    def _find(self, goal: Any) -> Any:
        """Runs in a thread of its own until the answer is there, or the goal is cancelled."""
        asked, started_s = goal.request, time.monotonic()
        result, feedback = Point.Result(), Point.Feedback()
        try:
            question = make_question("point", asked.text, refine=asked.refine)
            with self._asker.place():
                pending = self._asker.submit(question, asked.timeout_s)
                while not pending.is_done(FEEDBACK_S):
                    if goal.is_cancel_requested:
                        pending.cancel()
                        goal.canceled()
                        result.code, result.message = "cancelled", "the goal was cancelled"
                        return result
                    feedback.waited_s = time.monotonic() - started_s
                    goal.publish_feedback(feedback)
                located = pending.result()
        except MolmoNodeError as exc:
            goal.abort()
            return _failed(result, exc)
        goal.succeed()
        return _filled(result, located)


def _failed(response: Any, error: MolmoNodeError) -> Any:
    response.success = False
    response.code, response.message = error.code, str(error)
    if hasattr(response, "value"):
        response.value = math.nan
    return response


def _filled(response: Any, located: Located) -> Any:
    answer = located.answer
    reading_reason = None if answer.reading is None else answer.reading.reason
    response.success = True
    response.header = header_of(answer)
    response.pixels = [RosPoint(x=point.x_px, y=point.y_px) for point in answer.points]
    response.labels = [point.label for point in answer.points]
    places = located.points_m or (None,) * len(answer.points)
    response.points = [_place(point_m) for point_m in places]
    response.reason = answer.reason or reading_reason or located.reason
    response.answer_json = located.as_json()
    return response


def _place(point_m: tuple[float, float, float] | None) -> RosPoint:
    x, y, z = (math.nan,) * 3 if point_m is None else point_m
    return RosPoint(x=x, y=y, z=z)
