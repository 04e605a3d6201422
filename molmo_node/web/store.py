"""Readings over hours, and the watches that were made on the page: one SQLite file.

All methods may be called from the event loop: a thread of its own owns the connection.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import platformdirs

from molmo_node.config import Settings, default_run_dir
from molmo_node.errors import ConfigError
from molmo_node.messages import Answer, ClockReading, GaugeReading, WatchSpec

log = logging.getLogger(__name__)
T = TypeVar("T")

VERSION = 1
MOST_ROWS = 5_000_000
MOST_PENDING = 10_000
DAY_NS = 86_400 * 10**9
_SCHEMA = """
CREATE TABLE IF NOT EXISTS readings (
  watch TEXT NOT NULL, stamp_ns INTEGER NOT NULL, value REAL, sigma REAL,
  unit TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS readings_of ON readings (watch, stamp_ns);
CREATE TABLE IF NOT EXISTS watches (
  name TEXT PRIMARY KEY, spec BLOB NOT NULL, is_paused INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS limits (name TEXT PRIMARY KEY, low REAL, high REAL);
"""


class Row(msgspec.Struct, frozen=True):
    """One answer of a watch. `value` is None where nothing was read; `reason` says why."""

    watch: str
    stamp_ns: int
    value: float | None
    sigma: float | None
    unit: str
    status: str
    reason: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Where a reading becomes an alarm; None: no such limit."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class KeptWatch:
    """A watch that was made on the page."""

    spec: WatchSpec
    is_paused: bool


def row_of(answer: Answer) -> Row | None:
    """What is kept of a watch's answer; None where it is nothing that a chart can show."""
    reading = answer.reading
    value, unit, status, sigma = None, "", "ok", None
    if isinstance(reading, GaugeReading):
        value, unit, status, sigma = reading.value, reading.unit, reading.status, reading.sigma
    elif isinstance(reading, ClockReading):
        status, unit = reading.status, "min"
        if reading.hour is not None and reading.minute is not None:
            value = reading.hour * 60.0 + reading.minute + (reading.second or 0) / 60.0
    elif answer.task in ("point", "count"):
        found = answer.count if answer.count is not None else len(answer.points)
        value = None if answer.reason else float(found)
    else:
        return None
    reason = (reading.reason if reading is not None else answer.reason) or ""
    return Row(answer.watch, answer.frame.stamp_ns, value, sigma, unit, status, reason)


def data_file(settings: Settings) -> Path:
    """Where the file lies: as set, or in the state folder; other run_dirs keep it themselves."""
    if settings.web.data_file is not None:
        return settings.web.data_file
    if settings.run_dir == default_run_dir():
        return Path(platformdirs.user_state_dir("molmo_node", appauthor=False)) / "page.sqlite"
    return settings.run_dir / "page.sqlite"


class Store:
    """The file. `add` collects; `flush` writes what was collected.

    Raises:
        ConfigError: the file cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending: list[Row] = []
        self.dropped = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="store")
        try:
            self._db = self._pool.submit(_open, path).result()
        except ConfigError:
            self._pool.shutdown()
            raise

    def add(self, row: Row) -> None:
        """Keep a row at the next `flush`; if the disk cannot follow, the oldest are dropped."""
        self._pending.append(row)
        if len(self._pending) > MOST_PENDING:
            self._pending.pop(0)
            self.dropped += 1

    async def flush(self) -> None:
        """Write what was added since the last call."""
        rows, self._pending = self._pending, []
        if rows:
            await self._do(lambda db: _insert(db, rows))

    async def prune(self, keep_days: float) -> None:
        """Delete what is older than so many days, and the oldest beyond what a file may hold."""
        await self._do(lambda db: _prune(db, time.time_ns() - int(keep_days * DAY_NS)))

    async def series(
        self, watch: str, from_ns: int, to_ns: int, buckets: int
    ) -> list[tuple[int, float | None, float | None, float | None, int, int]]:
        """Readings in equal spans of time, oldest first; spans without any are left out.

        Returns:
            For each span: its middle stamp in ms, mean, lowest and highest value (None where
            nothing was read), how many were read, how many were tried.
        """
        span_ns = max(1, (to_ns - from_ns) // buckets)
        query = (
            "SELECT AVG(stamp_ns) / 1000000, AVG(value), MIN(value), MAX(value),"
            " COUNT(value), COUNT(*) FROM readings"
            " WHERE watch = ? AND stamp_ns >= ? AND stamp_ns < ?"
            " GROUP BY (stamp_ns - ?) / ? ORDER BY 1"
        )
        values = (watch, from_ns, to_ns, from_ns, span_ns)
        found = await self._do(lambda db: db.execute(query, values).fetchall())
        return [(round(row[0]), *row[1:]) for row in found]

    async def rows(self, watch: str, after_ns: int, to_ns: int, most: int) -> list[Row]:
        """Single readings after a stamp, oldest first."""
        query = (
            "SELECT * FROM readings WHERE watch = ? AND stamp_ns > ? AND stamp_ns <= ?"
            " ORDER BY stamp_ns LIMIT ?"
        )
        values = (watch, after_ns, to_ns, most)
        found = await self._do(lambda db: db.execute(query, values).fetchall())
        return [Row(*row) for row in found]

    async def watches(self) -> list[KeptWatch]:
        """The watches that were made on the page."""
        query = "SELECT spec, is_paused FROM watches ORDER BY name"
        found = await self._do(lambda db: db.execute(query).fetchall())
        return [KeptWatch(msgspec.json.decode(spec, type=WatchSpec), bool(p)) for spec, p in found]

    async def keep_watch(self, spec: WatchSpec, is_paused: bool) -> None:
        """Remember a watch over restarts."""
        values = (spec.name, msgspec.json.encode(spec), int(is_paused))
        await self._write("INSERT OR REPLACE INTO watches VALUES (?, ?, ?)", values)

    async def forget_watch(self, name: str) -> None:
        """Forget a watch; its readings stay until they are old."""
        await self._write("DELETE FROM watches WHERE name = ?", (name,))
        await self._write("DELETE FROM limits WHERE name = ?", (name,))

    async def limits(self) -> dict[str, Limits]:
        """The limits of all watches that have some."""
        found = await self._do(lambda db: db.execute("SELECT * FROM limits").fetchall())
        return {name: Limits(low=low, high=high) for name, low, high in found}

    async def set_limits(self, name: str, limits: Limits) -> None:
        """Set where a watch's reading becomes an alarm."""
        values = (name, limits.low, limits.high)
        await self._write("INSERT OR REPLACE INTO limits VALUES (?, ?, ?)", values)

    async def close(self) -> None:
        """Write the rest and close the file."""
        await self.flush()
        await self._do(lambda db: db.close())
        self._pool.shutdown()

    async def _write(self, statement: str, values: tuple[object, ...]) -> None:
        def write(db: sqlite3.Connection) -> None:
            with db:
                db.execute(statement, values)

        await self._do(write)

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, self._db)


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return _connect(path)
        except sqlite3.DatabaseError as exc:
            if isinstance(exc, sqlite3.OperationalError):
                raise
            aside = path.with_suffix(f".broken-{int(time.time())}")
            path.rename(aside)
            log.error("file of readings is damaged, a new one begins", extra={"kept": str(aside)})
            return _connect(path)
    except (OSError, sqlite3.Error) as exc:
        raise ConfigError(
            f"web.data_file {path}: cannot be opened ({exc})", hint="name another file"
        ) from exc


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=2.0)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_SCHEMA)
        found = db.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, VERSION):
            raise ConfigError(f"web.data_file {path}: version {found}, expected {VERSION}")
        db.execute(f"PRAGMA user_version = {VERSION}")
        path.chmod(0o600)
    except BaseException:
        db.close()
        raise
    return db


def _insert(db: sqlite3.Connection, rows: list[Row]) -> None:
    with db:
        db.executemany(
            "INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?, ?)",
            [msgspec.structs.astuple(row) for row in rows],
        )


def _prune(db: sqlite3.Connection, before_ns: int) -> None:
    with db:
        db.execute("DELETE FROM readings WHERE stamp_ns < ?", (before_ns,))
        db.execute(
            "DELETE FROM readings WHERE rowid <= (SELECT MAX(rowid) FROM readings) - ?",
            (MOST_ROWS,),
        )
