"""Closed bars on disk: appends them with their revisions and reads them back as bars or as arrays.

Belongs here: storing and finding bars and the gaps between them. Deciding whether a bar is believed
belongs to layer 1.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from sqlalchemy import Connection

from daemon.core.bars import Bar, BarQuality, BarSource, MissCause, Suspicion
from daemon.core.errors import TradingdError
from daemon.core.instruments import InstrumentId
from daemon.store.bar_statements import (
    DELETE_GAP,
    EDGES,
    GAPS,
    GAPS_BESIDE,
    INSERT,
    INSERT_GAP,
    NEXT_SERIES,
    RANGE,
    RANGE_NUMBERS,
    ROWS,
    SPAN,
    STAMP,
    TAIL,
)
from daemon.store.gaps import Gap, overlaid, untold
from daemon.store.schema import (
    BARS,
    BUSY_TIMEOUT_MS,
    Unusable,
    fetching,
    open_reader,
    open_writer,
    transaction,
)

Row: TypeAlias = tuple[int, int, float, float, float, float, float, int, str, str, int, str | None]
BarArrays: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]

ALWAYS_NS = 2**63 - 1
_PRICES = slice(2, 7)  # open, high, low, close, volume within a Row
_RECEIVED = 7
_COLUMNS = ("open_ns", "open", "high", "low", "close", "volume")
_NUMBERS = np.dtype([(name, "i8" if name == "open_ns" else "f8") for name in _COLUMNS])


class BarStoreBroken(TradingdError):
    """The bars on disk cannot be read or written; what they say can be fetched again."""


class Appended(Struct, frozen=True):
    """What became of appended bars."""

    added: int = 0
    known: int = 0  # the same numbers were there already
    revised: int = 0  # other numbers were there: both are kept, the newer are read


class Span(Struct, frozen=True):
    """Extent of one series: bars between the first and the last open time, in ns UTC."""

    first_open_ns: int
    last_open_ns: int
    bars: int


class SeriesKey(Struct, frozen=True, order=True):
    """What one series of bars is called in the store."""

    market: str
    symbol: str
    timeframe_ns: int


class BarStore:
    """One database file. Blocking, and for one thread at a time: the daemon goes through a Worker.

    `market` names where the bars come from and keeps apart what must not be mixed, for example two
    synthetic markets with different seeds. All times are open times in ns UTC; ranges are
    half-open.
    """

    def __init__(self, path: Path, connection: Connection) -> None:
        self._path = path
        self._connection = connection

    @classmethod
    def open(
        cls, path: Path, *, read_only: bool = False, busy_timeout_ms: int = BUSY_TIMEOUT_MS
    ) -> "BarStore":
        """Open the store, making it when it is not there (not when `read_only`); BarStoreBroken."""
        opened = open_reader if read_only else open_writer
        try:
            return cls(path, opened(path, BARS, busy_timeout_ms=busy_timeout_ms))
        except Unusable as error:
            raise BarStoreBroken(f"bar store {path} cannot be opened: {error}") from error

    def append(
        self, market: str, timeframe_ns: int, bars: Iterable[Bar], *, is_retold: bool = False
    ) -> Appended:
        """Store bars of any symbols in one transaction; overlaps with what is there do no harm.

        A bar whose prices and volume are the newest already is left out; one that differs becomes
        the newest revision. What is retold is no news: a bar that came before at the same time is
        left out too. BarStoreBroken, and then none of them is stored; ValueError for a bar of
        another timeframe.
        """
        by_symbol: dict[str, list[Bar]] = defaultdict(list)
        for bar in bars:
            if bar.close_ns - bar.open_ns != timeframe_ns:
                length_ns = bar.close_ns - bar.open_ns
                raise ValueError(f"a bar of {length_ns} ns is not of timeframe {timeframe_ns} ns")
            by_symbol[bar.instrument.symbol].append(bar)
        added = known = revised = 0
        with self.writing():
            for symbol, its_bars in by_symbol.items():
                rows, new = self._new_rows(
                    (market, symbol, timeframe_ns), its_bars, is_retold=is_retold
                )
                if rows:
                    self._connection.exec_driver_sql(INSERT, rows)
                added += new
                revised += len(rows) - new
                known += len(its_bars) - len(rows)
        return Appended(added, known, revised)

    def tail(
        self,
        market: str,
        instrument: InstrumentId,
        timeframe_ns: int,
        n: int,
        *,
        until_ns: int = ALWAYS_NS,
    ) -> list[Bar]:
        """The newest `n` bars that open before `until_ns`, oldest first."""
        newest: list[Row] = []
        with self.rows(TAIL, market, instrument.symbol, timeframe_ns, until_ns) as rows:
            for row in rows:  # newest slot first, and in each its newest revision first
                if len(newest) == n:
                    break
                if not newest or newest[-1][0] != row[0]:
                    newest.append(row)
        return [_bar(instrument, timeframe_ns, row) for row in reversed(newest)]

    def read(
        self,
        market: str,
        instrument: InstrumentId,
        timeframe_ns: int,
        since_ns: int = 0,
        until_ns: int = ALWAYS_NS,
    ) -> list[Bar]:
        """The newest revision of every bar with since_ns <= open < until_ns, in order."""
        key = (market, instrument.symbol, timeframe_ns, since_ns, until_ns)
        with self.rows(RANGE, *key) as rows:
            newest = {row[0]: row for row in rows}  # a later revision takes the place of an earlier
        return [_bar(instrument, timeframe_ns, row) for row in newest.values()]

    def read_arrays(
        self,
        market: str,
        symbol: str,
        timeframe_ns: int,
        since_ns: int = 0,
        until_ns: int = ALWAYS_NS,
    ) -> BarArrays:
        """The same as arrays: open times (n,) and open, high, low, close, volume (n, 5)."""
        with self.rows(RANGE_NUMBERS, market, symbol, timeframe_ns, since_ns, until_ns) as rows:
            table = np.fromiter(rows, _NUMBERS)
        opens = table["open_ns"]
        is_newest = np.append(opens[1:] != opens[:-1], np.True_)[: len(opens)]
        columns = table.view(np.float64).reshape(-1, len(_COLUMNS))
        return opens[is_newest], columns[is_newest, 1:]

    def edges(self, market: str, symbol: str, timeframe_ns: int) -> tuple[int, int] | None:
        """First and last open time of the series; None when it has no bar."""
        key = (market, symbol, timeframe_ns)
        with self.rows(EDGES, *key, *key) as rows:
            ((first, last),) = rows
        return None if first is None else (first, last)

    def stamp(
        self, market: str, symbol: str, timeframe_ns: int, since_ns: int, until_ns: int
    ) -> tuple[object, ...]:
        """Another one whenever rows came to this range or went from it, in less time than reading.

        Rows are never changed in place, so their count, revisions and arrivals tell; the sum of
        closes is for a range that was pruned and filled again.
        """
        with self.rows(STAMP, market, symbol, timeframe_ns, since_ns, until_ns) as rows:
            (found,) = rows
        return tuple(found)

    def revisions(self, market: str, instrument: InstrumentId, bar: Bar) -> list[Bar]:
        """Everything ever stored for the slot of `bar`, oldest first."""
        length_ns = bar.close_ns - bar.open_ns
        key = (market, instrument.symbol, length_ns, bar.open_ns, bar.open_ns + 1)
        with self.rows(RANGE, *key) as rows:
            return [_bar(instrument, length_ns, row) for row in rows]

    def span(self, market: str, symbol: str, timeframe_ns: int) -> Span | None:
        """From where to where the series reaches and how many slots of it are filled."""
        with self.rows(SPAN, market, symbol, timeframe_ns) as rows:
            ((first, last, bars),) = rows
        return None if first is None else Span(first, last, bars)

    def series(self) -> list[SeriesKey]:
        """Every series of which there is at least one bar, in order."""
        found: list[SeriesKey] = []
        key = ("", "", 0)
        while True:
            with self.rows(NEXT_SERIES, *key) as rows:
                row = next(rows, None)
            if row is None:
                return found
            found.append(SeriesKey(*row))
            key = row

    def revision_count(self, market: str, symbol: str, timeframe_ns: int) -> int:
        """Rows of the series that are not the first of their slot."""
        with self.rows(ROWS, market, symbol, timeframe_ns) as rows:
            ((count,),) = rows
        span = self.span(market, symbol, timeframe_ns)
        return int(count) - (0 if span is None else span.bars)

    def add_gaps(self, market: str, symbol: str, timeframe_ns: int, gaps: Iterable[Gap]) -> None:
        """Record slots without a bar in one transaction; newer causes replace older ones."""
        key = (market, symbol, timeframe_ns)
        with self.writing():
            for gap in gaps:
                until_ns = gap.until_ns(timeframe_ns)
                sql = self._connection.exec_driver_sql
                beside = [
                    Gap(first, count, MissCause(cause))
                    for first, count, cause in sql(GAPS_BESIDE, (*key, until_ns, gap.first_open_ns))
                ]
                for old in beside:
                    sql(DELETE_GAP, (*key, old.first_open_ns))
                for new in overlaid(beside, gap, timeframe_ns):
                    assert new.cause is not None, "a gap is recorded with its cause"
                    sql(INSERT_GAP, (*key, new.first_open_ns, new.count, new.cause.value))

    def gaps(self, market: str, symbol: str, timeframe_ns: int) -> list[Gap]:
        """Gaps as they were recorded, in order, and how many of their slots have a bar by now."""
        with self.rows(GAPS, market, symbol, timeframe_ns) as rows:
            return [Gap(first, n, MissCause(cause), found) for first, n, cause, found in rows]

    def holes(self, market: str, symbol: str, timeframe_ns: int) -> list[Gap]:
        """Recorded gaps, filled or not, and slots between bars that nobody ever accounted for."""
        known = self.gaps(market, symbol, timeframe_ns)
        opens, _ = self.read_arrays(market, symbol, timeframe_ns)
        found = [*known, *untold(opens, known, timeframe_ns)]
        return sorted(found, key=lambda gap: gap.first_open_ns)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def rows(self, text: str, *values: object) -> Iterator[Iterator[Any]]:
        """Rows of one statement; BarStoreBroken."""
        try:
            with fetching(self._connection, text, values) as rows:
                yield rows
        except Unusable as error:
            raise BarStoreBroken(f"bar store {self._path} cannot be read: {error}") from error

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """All that is written inside, by whatever methods, is stored, or nothing of it is."""
        if self._connection.in_transaction():
            yield self._connection
            return
        try:
            with transaction(self._connection, is_durable=False):
                yield self._connection
        except Unusable as error:
            raise BarStoreBroken(f"bar store {self._path} cannot be written: {error}") from error

    def _new_rows(
        self, key: tuple[str, str, int], bars: Sequence[Bar], *, is_retold: bool
    ) -> tuple[list[tuple[object, ...]], int]:
        """Rows to insert, and how many of them are the first of their slot."""
        since_ns = min(bar.open_ns for bar in bars)
        until_ns = max(bar.open_ns for bar in bars) + 1
        there: dict[int, tuple[int, tuple[float, ...]]] = {}
        told: set[tuple[object, ...]] = set()
        for row in self._connection.exec_driver_sql(RANGE, (*key, since_ns, until_ns)):
            there[row[0]] = (row[1], row[_PRICES])
            if is_retold:
                told.add((row[0], row[_RECEIVED], row[_PRICES]))
        rows: list[tuple[object, ...]] = []
        new = 0
        for bar in bars:
            prices = (bar.open, bar.high, bar.low, bar.close, bar.volume)
            revision, newest = there.get(bar.open_ns, (-1, None))
            # The same arrival again is no news in a story that is retold. Of one that is new it
            # is: in lock-step two runs of one market hear of a slot at the very same moment.
            if prices == newest or (bar.open_ns, bar.received_ns, prices) in told:
                continue
            revision += 1
            new += revision == 0
            there[bar.open_ns] = (revision, prices)
            suspicion = None if bar.suspicion is None else bar.suspicion.value
            origin = (bar.received_ns, bar.source.value, bar.quality.value, bar.is_final, suspicion)
            rows.append((*key, bar.open_ns, revision, *prices, *origin))
        return rows, new


def _bar(instrument: InstrumentId, timeframe_ns: int, row: Row) -> Bar:
    open_ns, _, open_, high, low, close, volume = row[:7]
    received_ns, source, quality, is_final, suspicion = row[7:]
    return Bar(
        instrument=instrument,
        open_ns=open_ns,
        close_ns=open_ns + timeframe_ns,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        received_ns=received_ns,
        source=_SOURCES[source],
        quality=_QUALITIES[quality],
        is_final=bool(is_final),
        suspicion=None if suspicion is None else Suspicion(suspicion),
    )


_SOURCES = {each.value: each for each in BarSource}
_QUALITIES = {each.value: each for each in BarQuality}
