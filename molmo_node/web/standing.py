"""Watches that were made on the page: held at the worker, kept over restarts, paused, removed."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from typing import Any

import msgspec

from molmo_node.bus import limits
from molmo_node.client import AsyncClient
from molmo_node.errors import Busy, MolmoNodeError, NoAnswer, ProtocolError
from molmo_node.messages import Question, Roi, Task, WatchSpec
from molmo_node.web.store import KeptWatch, Limits, Store
from molmo_node.worker.door import check_spec

log = logging.getLogger(__name__)

RETRY_S = 2.0


class NewWatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/watches`; without a name it gets one made of the question."""

    task: Task
    text: str = ""
    camera: str = ""
    roi: Roi | None = None
    refine: bool = False
    schema: str | None = None
    rate_hz: float = 1.0
    name: str = ""
    low: float | None = None
    high: float | None = None


class WatchChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `PATCH /api/watches/NAME`: what is not given stays; null takes a limit away."""

    paused: bool | None = None
    low: float | msgspec.UnsetType | None = msgspec.UNSET
    high: float | msgspec.UnsetType | None = msgspec.UNSET


class Standing:
    """The page's own watches, by name."""

    def __init__(self, client: AsyncClient, store: Store) -> None:
        self._client = client
        self._store = store
        self._kept: dict[str, KeptWatch] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._faults: dict[str, str] = {}
        self.limits: dict[str, Limits] = {}

    async def load(self) -> None:
        """Take up what was kept."""
        self.limits = await self._store.limits()
        for kept in await self._store.watches():
            self._kept[kept.spec.name] = kept
            if not kept.is_paused:
                self._begin(kept.spec)

    @property
    def specs(self) -> list[WatchSpec]:
        """All of them, the paused too."""
        return [kept.spec for kept in self._kept.values()]

    def facts(self, name: str) -> dict[str, Any]:
        """What the page knows of a watch: whose it is, paused or not, its limits and fault."""
        kept, at = self._kept.get(name), self.limits.get(name, Limits())
        return {
            "is_own": kept is not None,
            "is_paused": kept is not None and kept.is_paused,
            "fault": self._faults.get(name, ""),
            "low": at.low,
            "high": at.high,
        }

    async def add(self, new: NewWatch, taken: set[str]) -> WatchSpec:
        """Make a watch; it stands as soon as the worker takes it.

        Args:
            taken: names that stand already.

        Raises:
            MolmoNodeError: outside the limits, the name is taken, or the worker refuses it.
        """
        spec = _spec(new, taken | self._kept.keys())
        check_spec(spec)
        if spec.name in taken or spec.name in self._kept:
            raise ProtocolError(f"a watch is named {spec.name!r} already", hint="choose another")
        if len(self._kept) >= limits.WATCHES_PER_CLIENT:
            raise Busy(f"the page may have {limits.WATCHES_PER_CLIENT} watches", hint="remove one")
        await self._client.hold(spec)
        self._kept[spec.name] = KeptWatch(spec, is_paused=False)
        await self._store.keep_watch(spec, is_paused=False)
        if new.low is not None or new.high is not None:
            await self._set_limits(spec.name, Limits(low=new.low, high=new.high))
        return spec

    async def change(self, name: str, change: WatchChange) -> None:
        """Pause or go on (own watches only), and set limits (every watch).

        Raises:
            NoAnswer: it is none of the page's own.
        """
        if change.paused is not None:
            await self._pause(name, change.paused)
        old = self.limits.get(name, Limits())
        low = old.low if change.low is msgspec.UNSET else change.low
        high = old.high if change.high is msgspec.UNSET else change.high
        if (low, high) != (old.low, old.high):
            await self._set_limits(name, Limits(low=low, high=high))

    async def remove(self, name: str) -> None:
        """End a watch and forget it; its readings stay until they are old.

        Raises:
            NoAnswer: it is none of the page's own.
        """
        self._own(name)
        self._end(name)
        del self._kept[name]
        self.limits.pop(name, None)
        await self._store.forget_watch(name)

    async def close(self) -> None:
        """Stop trying. The worker ends the watches when their lease is over."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _pause(self, name: str, is_paused: bool) -> None:
        kept = self._own(name)
        if is_paused == kept.is_paused:
            return
        self._kept[name] = KeptWatch(kept.spec, is_paused)
        await self._store.keep_watch(kept.spec, is_paused)
        if is_paused:
            self._end(name)
        else:
            self._begin(kept.spec)

    async def _set_limits(self, name: str, at: Limits) -> None:
        if at.low is not None and at.high is not None and at.low >= at.high:
            raise ProtocolError(f"low {at.low:g} is not below high {at.high:g}")
        self.limits[name] = at
        await self._store.set_limits(name, at)

    def _own(self, name: str) -> KeptWatch:
        kept = self._kept.get(name)
        if kept is None:
            raise NoAnswer(
                f"no watch {name!r} was made on this page",
                hint="one from the settings file is changed there, a program's by that program",
            )
        return kept

    def _begin(self, spec: WatchSpec) -> None:
        self._tasks[spec.name] = asyncio.create_task(self._hold(spec), name=f"watch-{spec.name}")

    def _end(self, name: str) -> None:
        if (task := self._tasks.pop(name, None)) is not None:
            task.cancel()
        self._faults.pop(name, None)
        self._client.release(name)

    async def _hold(self, spec: WatchSpec) -> None:
        """Try until the worker takes it: it may come later, or load for minutes."""
        while True:
            try:
                await self._client.hold(spec)
            except MolmoNodeError as exc:
                self._faults[spec.name] = str(exc)
                await asyncio.sleep(RETRY_S)
            else:
                self._faults.pop(spec.name, None)
                return


def _spec(new: NewWatch, taken: set[str]) -> WatchSpec:
    question = Question(
        task=new.task, text=new.text, roi=new.roi, refine=new.refine, schema=new.schema
    )
    name = new.name or free_name(new.text or new.task, taken)
    return WatchSpec(name=name, question=question, camera=new.camera, rate_hz=new.rate_hz)


def free_name(text: str, taken: set[str]) -> str:
    """A name made of a question's text that no other watch has."""
    base = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or f"watch-{time.time_ns()}"
    number, name = 2, base
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name
