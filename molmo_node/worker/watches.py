"""Standing questions: permanent ones from the configuration, leased ones from clients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from molmo_node.bus import limits, wire
from molmo_node.errors import Busy, ConfigError, ProtocolError
from molmo_node.messages import WatchSpec
from molmo_node.worker.door import check_spec

if TYPE_CHECKING:
    from molmo_node.instruments import SteadyReading

EARLY_SHARE = 0.25


@dataclass(eq=False)
class StandingWatch:
    """A watch and when it is due. `owner` is None for one from the configuration.

    Attributes:
        next_due_ns: monotonic; due on the first frame at or after it.
        lease_until_ns: monotonic; None means for ever.
        draft: the text of its last answer, the engine's draft for the next.
        steady: the filter over time of a watched gauge, made at its first reading.
    """

    spec: WatchSpec
    owner: bytes | None = None
    lease_until_ns: int | None = None
    next_due_ns: int = 0
    draft: str | None = field(default=None)
    steady: SteadyReading | None = None


class Watches:
    """All watches of a worker. Belongs to one thread."""

    def __init__(self) -> None:
        self._by_name: dict[str, StandingWatch] = {}

    @property
    def specs(self) -> tuple[WatchSpec, ...]:
        """What stands, for the status."""
        return tuple(watch.spec for watch in self._by_name.values())

    def replace_permanent(self, specs: list[WatchSpec]) -> None:
        """Set the configuration's watches; leased ones stay.

        Raises:
            ConfigError: two of one name, or a spec outside the limits.
        """
        leased = {name: w for name, w in self._by_name.items() if w.owner is not None}
        self._by_name = {}
        for spec in specs:
            try:
                check_spec(spec)
            except ProtocolError as exc:
                raise ConfigError(f"watch {spec.name!r}: {exc.message}") from exc
            if spec.name in self._by_name:
                raise ConfigError(f"two watches are named {spec.name!r}")
            self._by_name[spec.name] = StandingWatch(spec)
        self._by_name = {**leased, **self._by_name}
        if self._spec_bytes() > limits.WATCHES_BYTES:
            raise ConfigError(f"all watches together exceed {limits.WATCHES_BYTES} bytes")

    def lease(self, owner: bytes, spec: WatchSpec, until_ns: int) -> None:
        """Make a leased watch, or renew it.

        Raises:
            ProtocolError: outside the limits, or the name stands for another watch.
            Busy: too many watches.
        """
        check_spec(spec)
        watch = self._by_name.get(spec.name)
        if watch is None:
            self._check_room(owner, spec)
            self._by_name[spec.name] = StandingWatch(spec, owner, until_ns)
        elif watch.spec != spec or watch.owner is None:
            raise ProtocolError(
                f"another watch is named {spec.name!r}", hint="choose another name for yours"
            )
        else:
            watch.owner, watch.lease_until_ns = owner, until_ns

    def end(self, owner: bytes, name: str) -> None:
        """End a leased watch; nothing happens if it is not this owner's."""
        watch = self._by_name.get(name)
        if watch is not None and watch.owner == owner:
            del self._by_name[name]

    def expire(self, now_ns: int) -> list[WatchSpec]:
        """Remove the watches whose lease is over."""
        over = [
            watch.spec
            for watch in self._by_name.values()
            if watch.lease_until_ns is not None and watch.lease_until_ns <= now_ns
        ]
        for spec in over:
            del self._by_name[spec.name]
        return over

    def due(self, camera: str, frame_ns: int, is_only_camera: bool) -> list[StandingWatch]:
        """The watches that a frame captured at `frame_ns` (monotonic) is for.

        Each is then due again one period later; periods that passed without a frame are
        skipped, never made up for. A frame that is a little early counts: a watch at the
        camera's own rate sees every frame, though no two are quite one period apart.
        """
        found = []
        for watch in self._by_name.values():
            is_here = watch.spec.camera == camera or (not watch.spec.camera and is_only_camera)
            period_ns = int(1e9 / watch.spec.rate_hz)
            if is_here and frame_ns >= watch.next_due_ns - period_ns * EARLY_SHARE:
                late_ns = frame_ns - watch.next_due_ns
                start_ns = watch.next_due_ns if late_ns < period_ns else frame_ns
                watch.next_due_ns = start_ns + period_ns
                found.append(watch)
        return found

    def _spec_bytes(self) -> int:
        """What they take in the status, which has its own limit and tells of all of them."""
        return sum(len(wire.encode(spec)) for spec in self.specs)

    def _check_room(self, owner: bytes, spec: WatchSpec) -> None:
        leased = [watch for watch in self._by_name.values() if watch.owner is not None]
        own = sum(watch.owner == owner for watch in leased)
        if len(leased) >= limits.WATCHES or own >= limits.WATCHES_PER_CLIENT:
            raise Busy(
                f"{own} watches of yours, {len(leased)} leased in all: no more are taken",
                hint="end some with `unwatch`",
            )
        if self._spec_bytes() + len(wire.encode(spec)) > limits.WATCHES_BYTES:
            raise Busy(
                f"all watches together may take {limits.WATCHES_BYTES} bytes",
                hint="use shorter texts and schemas",
            )
