"""The durable list of all steps: turns the events of each step into chained rows of SQLite.

Belongs here: encoding, ordering and committing one run's events. Deciding what a step is belongs to
the pipeline, reading to `journal_reader`, tables and SQLite's settings to `schema`.
"""

import asyncio
import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias, TypeVar

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, insert, select

from daemon.core.errors import JournalBroken
from daemon.core.events import Event, encode
from daemon.store.journal_reader import JournalReader, Tip, chained
from daemon.store.schema import (
    BUSY_TIMEOUT_MS,
    EVENT,
    JOURNAL,
    Unusable,
    open_writer,
    reading,
    text_of,
    transaction,
)
from daemon.store.worker import WAITING_MAX, Worker

ROWS_A_TRANSACTION = 10_000

E = TypeVar("E", bound=Event)
_Row: TypeAlias = tuple[int, int, int, str, str, bytes]

_INSERT = text_of(insert(EVENT))


class _Waiting(Struct, frozen=True):
    """An encoded step that waits for its commit."""

    rows: list[tuple[int, str, str]]
    is_durable: bool


class SqliteJournal:
    """The writing side: steps are committed in call order, several at once when several wait.

    After one failure every append fails: memory is ahead of the disk, so the daemon must restart.
    """

    def __init__(self, path: Path, connection: Connection, tip: Tip) -> None:
        self._path = path
        self._connection = connection
        self._tip = tip
        self._reader = JournalReader(path)
        self._worker = Worker("journal")
        self._room = asyncio.Semaphore(WAITING_MAX)
        self._waiting: deque[_Waiting] = deque()
        self._broken: str | None = None
        self._is_closed = False

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
        size_max_bytes: int | None = None,
    ) -> "SqliteJournal":
        """Continue the journal at `path`, or begin it; JournalBroken when it cannot be written."""
        try:
            connection = open_writer(
                path, JOURNAL, busy_timeout_ms=busy_timeout_ms, size_max_bytes=size_max_bytes
            )
            with reading(connection):
                newest = select(EVENT).order_by(EVENT.c.seq.desc()).limit(1)
                row = connection.execute(newest).one_or_none()
        except Unusable as error:
            raise JournalBroken(f"journal {path} cannot be opened: {error}") from error
        return cls(path, connection, Tip() if row is None else Tip(row.seq, row.step, row.chain))

    async def append(self, events: Sequence[Event], *, is_durable: bool) -> None:
        """Commit one step; on return it survives a kill, and a power cut when `is_durable`.

        Calls made at the same time share a commit and keep their order. JournalBroken when the
        step was not written, or holds a number that JSON has no word for.
        """
        assert events, "a step has at least the event that caused it"
        async with self._room:
            self._refuse_when_broken()
            try:
                rows = [(event.ts_ns, type(event).__name__, _body(event)) for event in events]
            except ValueError as error:
                self._broken = str(error)
                self._refuse_when_broken()
            self._waiting.append(_Waiting(rows, is_durable))
            await self._worker.run(self._commit_waiting)

    def read(self) -> Iterator[tuple[int, Event]]:
        """All committed (step number, event) in order; see `JournalReader.read`."""
        return self._reader.read()

    def read_kinds(self, *kinds: type[E]) -> Iterator[tuple[int, E]]:
        """Committed events of these types; see `JournalReader.read_kinds`."""
        return self._reader.read_kinds(*kinds)

    def last_step(self) -> int:
        """Number of the newest committed step; 0 when there is none."""
        return self._tip.step

    async def close(self) -> None:
        """Commit what still waits and let go of the file; appends after that fail."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if self._broken is None:
                await self._worker.run(self._commit_waiting)
        finally:
            self._broken = self._broken or "it is closed"
            await self._worker.run(self._connection.close)
            self._worker.close()

    def _refuse_when_broken(self) -> None:
        if self._broken is not None:
            raise JournalBroken(f"journal {self._path} cannot be written: {self._broken}")

    def _commit_waiting(self) -> None:
        """Runs in the worker. Whoever comes first commits for all; the others find nothing left."""
        self._refuse_when_broken()
        group: list[_Waiting] = []
        while self._waiting:
            group.append(self._waiting.popleft())
        if not group:
            return
        tip, rows = self._rows(group)
        is_durable = any(step.is_durable for step in group)
        try:
            with transaction(self._connection, is_durable=is_durable):
                self._connection.exec_driver_sql(_INSERT, rows)
        except BaseException as error:
            self._broken = str(error)
            raise JournalBroken(f"journal {self._path} cannot be written: {error}") from error
        self._tip = tip

    def _rows(self, group: list[_Waiting]) -> tuple[Tip, list[_Row]]:
        tip = self._tip
        rows: list[_Row] = []
        for number, waiting in enumerate(group, tip.step + 1):
            for ts_ns, kind, body in waiting.rows:
                tip = Tip(tip.seq + 1, number, chained(tip.chain, number, kind, body))
                rows.append((tip.seq, number, ts_ns, kind, body, tip.chain))
        return tip, rows


class WholeJournal:
    """Keeps the steps of something that is over soon: in large transactions, without a flush each.

    What a crash leaves behind is not to be continued; whoever writes it begins anew.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tip = Tip()
        self._rows: list[_Row] = []

    @property
    def chain(self) -> bytes:
        """The hash that the newest row ends with."""
        return self._tip.chain

    def keep(self, step: Sequence[Event]) -> Sequence[Event]:
        """Take one step, and hand it on."""
        tip, number = self._tip, self._tip.step + 1
        for event in step:
            kind, body = type(event).__name__, _body(event)
            tip = Tip(tip.seq + 1, number, chained(tip.chain, number, kind, body))
            self._rows.append((tip.seq, number, event.ts_ns, kind, body, tip.chain))
        self._tip = tip
        if len(self._rows) >= ROWS_A_TRANSACTION:
            self.flush()
        return step

    def flush(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            with transaction(self._connection, is_durable=False):
                self._connection.exec_driver_sql(_INSERT, rows)


@contextmanager
def write_whole(path: Path) -> Iterator[WholeJournal]:
    """A journal at `path`, where none may be, complete and on the disk when the block ends."""
    try:
        connection = open_writer(path, JOURNAL, busy_timeout_ms=BUSY_TIMEOUT_MS)
        try:
            writer = WholeJournal(connection)
            yield writer
            writer.flush()
            with transaction(connection, is_durable=True):
                pass  # a flush of the file covers what was committed before without one
        finally:
            connection.close()
    except Unusable as error:
        raise JournalBroken(f"journal {path} cannot be written: {error}") from error


def _body(event: Event) -> str:
    body = encode(event).decode()
    # JSON writes a float that is not finite as null, and a Decimal as text: only a line that holds
    # one of these words can hide one, so all others are spared the walk.
    if "null" in body or "NaN" in body or "Infinity" in body:
        value = _not_finite(msgspec.to_builtins(event, builtin_types=(Decimal,)))
        if value is not None:
            raise ValueError(f"{type(event).__name__} holds {value}, which is not a number")
    return body


def _not_finite(value: object) -> float | Decimal | None:
    """The first number inside that is NaN or infinite."""
    if isinstance(value, float):
        return None if math.isfinite(value) else value
    if isinstance(value, Decimal):
        return None if value.is_finite() else value
    if isinstance(value, dict):
        return _not_finite(list(value.values()))
    if isinstance(value, (list, tuple)):
        return next((found for part in value if (found := _not_finite(part)) is not None), None)
    return None
