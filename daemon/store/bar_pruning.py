"""Takes old bars out of the store, with the gaps and the quarantine of their time, piece by piece.

Belongs here: deleting so that a writer beside waits for moments only, and a kill leaves whole
pieces. How old is too old belongs to `pruning`.
"""

from pathlib import Path
from typing import Self

from msgspec import Struct
from sqlalchemy import Connection, bindparam, delete, func, or_, select

from daemon.core.bars import MissCause
from daemon.store.bar_statements import DELETE_GAP, GAPS, INSERT_GAP
from daemon.store.bars import BarStoreBroken, SeriesKey
from daemon.store.gaps import Gap, clipped
from daemon.store.schema import (
    BAR,
    BARS,
    BUSY_TIMEOUT_MS,
    QUARANTINE,
    Unusable,
    open_writer,
    text_of,
    transaction,
)

ROWS_PER_COMMIT = 5_000
ALWAYS_NS = 2**63 - 1
# A rebuild needs as much disk again for a moment, so it has to be worth it.
FREE_SHARE_MIN = 0.2

_OLD = (
    BAR.c.market == bindparam("market"),
    BAR.c.symbol == bindparam("symbol"),
    BAR.c.timeframe_ns == bindparam("timeframe_ns"),
    BAR.c.open_ns < bindparam("until_ns"),
)
COUNT_OLD = text_of(select(func.count()).select_from(BAR).where(*_OLD))
DELETE_OLD = text_of(delete(BAR).where(*_OLD))
NEXT_PIECE = text_of(
    select(BAR.c.open_ns)
    .where(*_OLD)
    .order_by(BAR.c.open_ns)
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)
DELETE_QUARANTINED = text_of(
    delete(QUARANTINE).where(
        QUARANTINE.c.market == bindparam("market"),
        QUARANTINE.c.symbol == bindparam("symbol"),
        QUARANTINE.c.timeframe_ns == bindparam("timeframe_ns"),
        or_(
            QUARANTINE.c.open_ns < bindparam("until_ns"),
            QUARANTINE.c.open_ns.is_(None) & (QUARANTINE.c.seen_ns < bindparam("seen_ns")),
        ),
    )
)


class PrunedSeries(Struct, frozen=True):
    """Rows that were deleted of one series, or would be."""

    key: SeriesKey
    until_ns: int  # what opens before this is gone
    rows: int


class BarPruning:
    """A writing connection of its own to the bar store; a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._connection: Connection = open_writer(path, BARS, busy_timeout_ms=BUSY_TIMEOUT_MS)
        except Unusable as error:
            raise BarStoreBroken(f"bar store {path} cannot be opened: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def count(self, key: SeriesKey, until_ns: int) -> int:
        """Rows that `prune` would delete."""
        values = (key.market, key.symbol, key.timeframe_ns, until_ns)
        return int(self._connection.exec_driver_sql(COUNT_OLD, values).scalar_one())

    def prune(self, key: SeriesKey, until_ns: int) -> int:
        """Delete everything of a series that opens before `until_ns`; how many rows of bars.

        Oldest first, so that what a kill leaves is a shorter series and never one with a new hole.
        """
        series = (key.market, key.symbol, key.timeframe_ns)
        rows = 0
        try:
            while True:
                with transaction(self._connection, is_durable=False):
                    piece = (*series, until_ns, 1, ROWS_PER_COMMIT)
                    first = self._connection.exec_driver_sql(NEXT_PIECE, piece).scalar()
                    bound_ns = until_ns if first is None else int(first)
                    gone = self._connection.exec_driver_sql(DELETE_OLD, (*series, bound_ns))
                    rows += gone.rowcount
                    self._trim_gaps(key, bound_ns)
                    seen = (*series, bound_ns, bound_ns)
                    self._connection.exec_driver_sql(DELETE_QUARANTINED, seen)
                if first is None:
                    return rows
        except Unusable as error:
            raise BarStoreBroken(f"bar store {self._path} cannot be written: {error}") from error

    def rebuild(self) -> int:
        """Give free pages back to the disk where there are many; how many bytes. Blocks readers."""
        sql = self._connection.exec_driver_sql
        pages, size = sql("PRAGMA page_count").scalar_one(), sql("PRAGMA page_size").scalar_one()
        free = sql("PRAGMA freelist_count").scalar_one()
        self._connection.rollback()  # the pragmas began a transaction, and a rebuild needs none
        if free < FREE_SHARE_MIN * pages:
            return 0
        driver = self._connection.connection.driver_connection
        assert driver is not None
        driver.execute("VACUUM")
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return int(free * size)

    def _trim_gaps(self, key: SeriesKey, until_ns: int) -> None:
        series = (key.market, key.symbol, key.timeframe_ns)
        sql = self._connection.exec_driver_sql
        for first_ns, count, cause, _ in sql(GAPS, series).fetchall():
            if first_ns >= until_ns:
                break
            sql(DELETE_GAP, (*series, first_ns))
            gap = Gap(first_ns, count, MissCause(cause))
            for rest in clipped([gap], [(until_ns, ALWAYS_NS)], key.timeframe_ns):
                sql(INSERT_GAP, (*series, rest.first_open_ns, rest.count, cause))
