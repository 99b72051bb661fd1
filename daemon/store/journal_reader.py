"""The reading side of the journal: turns chained rows of SQLite into proven events again.

Belongs here: order, proof and queries of what one run committed. Writing it belongs to `journal`.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, func, or_, select

from daemon.core.errors import JournalBroken
from daemon.core.events import Event, decode
from daemon.store.schema import (
    BUSY_TIMEOUT_MS,
    EVENT,
    JOURNAL,
    Unusable,
    open_reader,
    reading,
)

CHAIN_BYTES = 32
ROWS_PER_FETCH = 1_000

E = TypeVar("E", bound=Event)


def chained(previous: bytes, step: int, kind: str, body: str) -> bytes:
    """The chain value of a row: a hash of the row before it and of everything this row says."""
    return blake2b(previous + f"{step}|{kind}|{body}".encode(), digest_size=CHAIN_BYTES).digest()


class Tip(Struct, frozen=True):
    """Where the journal ends; an empty one ends at zero with an empty chain value."""

    seq: int = 0
    step: int = 0
    chain: bytes = b""


class JournalReader:
    """Reads a journal, also while its daemon writes it; never changes it."""

    def __init__(self, path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        self._path = path
        self._busy_timeout_ms = busy_timeout_ms

    @classmethod
    def open(cls, path: Path) -> "JournalReader":
        """JournalBroken when there is no journal at `path` that this program can read."""
        reader = cls(path)
        reader.last_step()
        return reader

    def read(self, last_step: int | None = None) -> Iterator[tuple[int, Event]]:
        """All (step number, event) in order, steps from 1, as of now, or no further than a step.

        JournalBroken names the first row that was changed, lost, or is not an event. The chain
        cannot show that rows are missing at the end.
        """
        for tip, event in self.read_rows(last_step):
            yield tip.step, event

    def read_rows(self, last_step: int | None = None) -> Iterator[tuple[Tip, Event]]:
        """The same with each row's place and chain value."""
        tip = Tip()
        with self._connection() as connection:
            statement = select(EVENT).order_by(EVENT.c.seq)
            if last_step is not None:
                statement = statement.where(EVENT.c.step <= last_step)
            for row in connection.execute(statement).yield_per(ROWS_PER_FETCH):
                seq, step, ts_ns, kind, body, chain = row
                if seq != tip.seq + 1 or step not in (tip.step, tip.step + 1) or step == 0:
                    raise JournalBroken(f"{self._named(tip.seq + 1)} is missing or out of place")
                if chain != chained(tip.chain, step, kind, body):
                    raise JournalBroken(f"{self._named(seq)} was changed after it was written")
                tip = Tip(seq, step, chain)
                yield tip, self._decoded(seq, ts_ns, kind, body)

    def read_kinds(self, *kinds: type[E], after_step: int = 0) -> Iterator[tuple[int, E]]:
        """(step number, event) of these types alone, in order; does not prove the chain."""
        names = [kind.__name__ for kind in kinds]
        statement = select(EVENT).where(EVENT.c.kind.in_(names)).order_by(EVENT.c.seq)
        if after_step:
            statement = statement.where(EVENT.c.step > after_step)
        with self._connection() as connection:
            for seq, step, ts_ns, kind, body, _ in connection.execute(statement).yield_per(
                ROWS_PER_FETCH
            ):
                event = self._decoded(seq, ts_ns, kind, body)
                assert isinstance(event, kinds), f"{self._named(seq)} is not a {kind}"
                yield step, event

    def read_saying(
        self, texts: Iterable[str], kinds: Iterable[type[E]] = ()
    ) -> Iterator[tuple[int, Event]]:
        """(step number, event) of rows whose JSON holds one of these texts, in order, and of these
        types alone where there are any; does not prove the chain.
        """
        names = [kind.__name__ for kind in kinds]
        says = or_(*(func.instr(EVENT.c.body, text) > 0 for text in texts))
        statement = select(EVENT).where(says).order_by(EVENT.c.seq)
        if names:
            statement = statement.where(EVENT.c.kind.in_(names))
        with self._connection() as connection:
            for seq, step, ts_ns, kind, body, _ in connection.execute(statement).yield_per(
                ROWS_PER_FETCH
            ):
                yield step, self._decoded(seq, ts_ns, kind, body)

    def latest(self, kind: type[E]) -> E | None:
        """The newest event of this type."""
        statement = (
            select(EVENT).where(EVENT.c.kind == kind.__name__).order_by(EVENT.c.seq.desc()).limit(1)
        )
        with self._connection() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        event = self._decoded(row.seq, row.ts_ns, row.kind, row.body)
        assert isinstance(event, kind), f"{self._named(row.seq)} is not a {kind.__name__}"
        return event

    def counts(self) -> dict[str, int]:
        """How many events of each type there are, by type name."""
        statement = select(EVENT.c.kind, func.count()).group_by(EVENT.c.kind).order_by(EVENT.c.kind)
        with self._connection() as connection:
            return dict(iter(connection.execute(statement)))

    def last_step(self) -> int:
        """Number of the newest committed step; 0 when there is none."""
        with self._connection() as connection:
            return connection.execute(select(func.max(EVENT.c.step))).scalar_one() or 0

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            connection = open_reader(self._path, JOURNAL, busy_timeout_ms=self._busy_timeout_ms)
            try:
                with reading(connection):
                    yield connection
            finally:
                connection.close()
        except Unusable as error:
            raise JournalBroken(f"journal {self._path} cannot be read: {error}") from error

    def _decoded(self, seq: int, ts_ns: int, kind: str, body: str) -> Event:
        try:
            event = decode(body.encode())
        except (msgspec.DecodeError, ValueError) as error:
            raise JournalBroken(f"{self._named(seq)} is not an event: {error}") from error
        if type(event).__name__ != kind or event.ts_ns != ts_ns:
            raise JournalBroken(f"{self._named(seq)} says another type or time than its event")
        return event

    def _named(self, seq: int) -> str:
        return f"journal {self._path}: row {seq}"
