"""The bridge's lifecycle node: parameters and transitions; what it does is in `active`."""

from __future__ import annotations

import array
import logging
from collections.abc import Callable, Iterable
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from molmo_node.clock import SYSTEM_CLOCK
from molmo_node.errors import MolmoNodeError, NotConnected
from molmo_node.ros2 import parameters as params
from molmo_node.ros2.active import Active, Surroundings
from molmo_node.ros2.outputs import Outputs
from molmo_node.ros2.readings import Diagnostic, Level, ReadingBoard
from molmo_node.ros2.services import Services

log = logging.getLogger(__name__)

DIAGNOSE_S = 1.0


class BridgeNode(LifecycleNode):
    """Unconfigured → inactive (publishers and services) → active (subscriptions, watches).

    Attributes:
        problem: why the last transition failed.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(
            "molmo_node",
            allow_undeclared_parameters=True,
            automatically_declare_parameters_from_overrides=True,
        )
        self.problem: MolmoNodeError | None = None
        self._surroundings = surroundings
        self._is_enabled = True
        self._active: Active | None = None
        self._outputs: Outputs | None = None
        self._offered: Services | None = None
        self._timer: Any = None
        self._board = ReadingBoard(10.0)
        self._declare()
        self.add_on_set_parameters_callback(self._judge)
        self.add_post_set_parameters_callback(self._take_over)

    @property
    def given(self) -> params.BridgeParameters:
        """The parameters as they stand.

        Raises:
            ConfigError: names each wrong one.
        """
        return params.parse(self._values())

    def active(self) -> Active:
        """What is there while the node is active.

        Raises:
            NotConnected: it is not.
        """
        if self._active is None:
            raise NotConnected("the bridge is not active", hint="ros2 lifecycle set NODE activate")
        return self._active

    def enable(self, is_enabled: bool) -> None:
        """Let the watches stand, or end them for a while; questions are answered all the same."""
        self._is_enabled = is_enabled
        if self._active is not None:
            self._active.apply(self.given, is_enabled)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the parameters; make publishers and services."""
        return self._guarded(self._configure, self._clean_up)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe, join the bus, let the watches stand."""
        done = self._guarded(self._activate, self._deactivate)
        if done == TransitionCallbackReturn.SUCCESS:
            super().on_activate(state)
        return done

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drop the subscriptions, leave the bus, end the watches."""
        done = self._guarded(self._deactivate, self.drop)
        super().on_deactivate(state)
        return done

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Remove publishers and services."""
        return self._guarded(self._clean_up, self.drop)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drop everything, from whatever state."""
        return self._guarded(self.drop, self.drop)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drop everything: the node is unconfigured again."""
        return self._guarded(self.drop, self.drop)

    def drop(self) -> None:
        """Let go of everything; safe to call twice."""
        self._deactivate()
        self._clean_up()

    def _configure(self) -> None:
        given = self.given
        self._board = ReadingBoard(given.stale_after_s)
        self._outputs = Outputs(self, given.publish_pixel)
        self._offered = Services(self, self._outputs, given.ask_text_service)
        # Not the node's own clock: a paused simulation would stop it.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(DIAGNOSE_S, self._diagnose, clock=steady)

    def _activate(self) -> None:
        assert self._outputs is not None
        self._active = Active(self, self.given, self._surroundings, self._outputs, self._board)
        self.enable(self._is_enabled)

    def _deactivate(self) -> None:
        active, self._active = self._active, None
        if active is not None:
            active.close()

    def _clean_up(self) -> None:
        if self._timer is not None:
            self.destroy_timer(self._timer)
        if self._offered is not None:
            self._offered.close()
        if self._outputs is not None:
            self._outputs.close()
        self._timer = self._offered = self._outputs = None

    def _guarded(
        self, step: Callable[[], None], undo: Callable[[], None]
    ) -> TransitionCallbackReturn:
        """Run a step of a transition; rclpy itself would swallow what it raises."""
        self.problem = None
        try:
            step()
        except MolmoNodeError as exc:
            self.problem = exc
            log.error("transition failed", extra={"why": str(exc)})
            undo()
            return TransitionCallbackReturn.FAILURE
        except Exception:
            log.exception("transition failed in an unforeseen way")
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _declare(self) -> None:
        for name, (default, description) in params.described().items():
            descriptor = ParameterDescriptor(
                name=name, description=description, dynamic_typing=True
            )
            if self.has_parameter(name):
                self.set_descriptor(name, descriptor)
            else:
                self.declare_parameter(name, default, descriptor)

    def _values(self) -> dict[str, object]:
        found = self.get_parameters_by_prefix("")
        return {name: _plain(parameter.value) for name, parameter in found.items()}

    def _judge(self, changes: Iterable[Parameter]) -> SetParametersResult:
        wanted = {change.name: _plain(change.value) for change in changes}
        why = params.refusal(self._values(), wanted, self._active is not None)
        return SetParametersResult(successful=why is None, reason=why or "")

    def _take_over(self, _: Iterable[Parameter]) -> None:
        self.enable(self._is_enabled)

    def _diagnose(self) -> None:
        active, outputs = self._active, self._outputs
        if outputs is None:
            return
        idle = Diagnostic(Level.OK, "molmo_node: bridge", "inactive")
        own = idle if active is None else active.diagnostic()
        dials = self._board.diagnostics(self.given.limits, SYSTEM_CLOCK.mono_ns())
        outputs.diagnose([own, *dials])


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, array.array | tuple) else value
