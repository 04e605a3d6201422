"""What the bridge holds while it is active: subscriptions, the camera on the bus, the worker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import wait
from contextlib import ExitStack
from dataclasses import dataclass
from time import monotonic

from rclpy.lifecycle import LifecycleNode

from molmo_node.bus.address import Address
from molmo_node.camera.node import CameraNode, CameraOptions
from molmo_node.camera.spec import SourceSpec
from molmo_node.client.request import Request
from molmo_node.clock import SYSTEM_CLOCK
from molmo_node.messages import Answer, Question
from molmo_node.ros2.depth import DepthHistory
from molmo_node.ros2.images import Arrived
from molmo_node.ros2.outputs import Outputs
from molmo_node.ros2.parameters import BridgeParameters
from molmo_node.ros2.places import Located, Locator
from molmo_node.ros2.readings import Diagnostic, Level, ReadingBoard
from molmo_node.ros2.slot import NewestSlot
from molmo_node.ros2.source import SlotSource
from molmo_node.ros2.subscribing import ImageInput
from molmo_node.ros2.worker_link import WorkerLink, WorkerPlace

log = logging.getLogger(__name__)

STOP_S = 3.0
SILENT_S = 2.0


@dataclass(frozen=True)
class Surroundings:
    """Where the bridge finds the rest of the node.

    Attributes:
        camera_address: where a camera of that name publishes.
    """

    worker: WorkerPlace
    camera_address: Callable[[str], Address]


class Asked:
    """A question on its way."""

    def __init__(self, link: WorkerLink, locator: Locator, request: Request) -> None:
        self._link = link
        self._locator = locator
        self._request = request

    def is_done(self, within_s: float) -> bool:
        """Wait a while; whether `result` would return or raise at once."""
        return bool(wait([self._request.future], within_s).done)

    def result(self) -> Located:
        """Wait for the answer, and look up where its points are.

        Raises:
            MolmoNodeError: why there is none.
        """
        answer = self._request.future.result()
        assert isinstance(answer, Answer)
        return self._locator.locate(answer)

    def cancel(self) -> None:
        """Take the question back."""
        self._link.cancel(self._request)


class Active:
    """Subscribes, publishes the images on the bus, keeps the watches standing; until `close`.

    Raises:
        MolmoNodeError: the camera's name is taken, or keys are missing.
    """

    def __init__(
        self,
        node: LifecycleNode,
        parameters: BridgeParameters,
        surroundings: Surroundings,
        outputs: Outputs,
        board: ReadingBoard,
    ) -> None:
        self._parameters = parameters
        self._outputs = outputs
        self._board = board
        self._slot: NewestSlot[Arrived] = NewestSlot()
        self._seen, self._seen_s = 0, monotonic()
        depths = DepthHistory(parameters.depth_memory_mb * 2**20)
        self.locator = Locator(depths if parameters.depth_topic else None)
        self._input: ImageInput | None = None
        with ExitStack() as undo:  # what fails here leaves nothing behind
            undo.callback(self._slot.close)
            if parameters.image_topic:
                undo.callback(_CameraThread(parameters, surroundings, self._slot).close)
            self.link = WorkerLink(surroundings.worker, parameters.camera_name, self._on_answer)
            undo.callback(self.link.close)
            self.apply(parameters, True)
            if parameters.image_topic:
                self._input = self._subscribe(node)
                undo.callback(self._input.close)
            self._undo = undo.pop_all()

    def apply(self, parameters: BridgeParameters, is_enabled: bool) -> None:
        """Take over parameters that may change while active."""
        self._parameters = parameters
        self.locator.adjust(
            is_rectified=parameters.is_rectified,
            radius_px=parameters.depth_radius_px,
            slop_ms=parameters.depth_slop_ms,
            wait_ms=parameters.depth_wait_ms,
        )
        self.link.watch(parameters.specs() if is_enabled else {})

    def ask(self, question: Question, timeout_s: float) -> Asked:
        """Ask about the newest image."""
        return Asked(self.link, self.locator, self.link.ask(question, timeout_s))

    def diagnostic(self) -> Diagnostic:
        """How the images and the worker are."""
        level, message = self._state()
        problems = self.link.problems()
        lost = self._input.lost if self._input else 0
        values = [
            ("image_topic", self._parameters.image_topic),
            ("images_received", self._slot.received),
            ("images_skipped", self._slot.replaced),
            ("images_lost", lost),
            ("worker", "connected" if self.link.is_connected else "not connected"),
            *((f"watch {name}", why) for name, why in problems.items()),
        ]
        depths = self.locator.depths
        if depths is not None:
            values += [("depth_received", depths.received), ("depth_rejected", depths.rejected)]
        pairs = tuple((key, str(value)) for key, value in values)
        return Diagnostic(level, "molmo_node: bridge", message, self._parameters.camera_name, pairs)

    def close(self) -> None:
        """Unsubscribe, leave the bus, end the watches."""
        self._undo.close()

    def _subscribe(self, node: LifecycleNode) -> ImageInput:
        wanted = self._parameters
        found = ImageInput(
            node, wanted.image_topic, wanted.is_compressed, self._slot, wanted.image_reliability
        )
        if wanted.info_topic:
            found.also_info(wanted.info_topic, self.locator.note_info)
        if self.locator.depths is not None:
            found.also_depth(wanted.depth_topic, self.locator.depths.add)
        return found

    def _on_answer(self, answer: Answer) -> None:
        """In the link's listening thread."""
        self._outputs.publish(self.locator.locate(answer))
        name = self._board.note(answer, SYSTEM_CLOCK.mono_ns())
        if name is not None:
            self._outputs.publish_number(name, answer)

    def _state(self) -> tuple[Level, str]:
        now_s = monotonic()
        if self._slot.received != self._seen:
            self._seen, self._seen_s = self._slot.received, now_s
        silent_s = now_s - self._seen_s
        topic = self._parameters.image_topic
        if not self.link.is_connected:
            return Level.ERROR, "no worker: start one with `molmo-node up` or `molmo-node worker`"
        if topic and silent_s > SILENT_S:
            return Level.ERROR, f"no image on {topic} for {silent_s:.0f} s"
        if problems := self.link.problems():
            return Level.WARN, f"watches that do not stand: {', '.join(sorted(problems))}"
        if self._input is not None and self._input.lost:
            return Level.WARN, "images were lost on their way: see docs/ros2.md, raw images"
        return Level.OK, "active"


class _CameraThread:
    """The images as a camera on the bus, for the worker and everybody else."""

    def __init__(
        self,
        parameters: BridgeParameters,
        surroundings: Surroundings,
        slot: NewestSlot[Arrived],
    ) -> None:
        self._slot = slot
        topic = parameters.image_topic
        spec = SourceSpec(
            kind="ros2", target=topic, label=f"ros2:{topic}", fps=parameters.max_fps or None
        )
        options = CameraOptions(
            name=parameters.camera_name,
            spec=spec,
            address=surroundings.camera_address(parameters.camera_name),
            run_dir=surroundings.worker.run_dir,
            frame_id=parameters.frame_id,
            security=surroundings.worker.security,
        )
        self._node = CameraNode(
            options, lambda: SlotSource(spec, SYSTEM_CLOCK, slot), self._note_hang
        )
        self._thread = threading.Thread(target=self._node.run, name="ros2-camera")
        self._thread.start()

    def close(self) -> None:
        """Stop publishing."""
        self._node.stop()  # first: the end of the stream would end it too, at the same moment
        self._slot.close()
        self._thread.join(STOP_S)

    def _note_hang(self, next_seq: int) -> None:
        log.error("images hang and are given up until the bridge is activated again")
