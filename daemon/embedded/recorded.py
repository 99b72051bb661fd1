"""Makes a market from recorded bars; what the recording lacks is an outage.

Belongs here: the grid, duplicates, ticks and lots of a recording. Reading files belongs in
store.recordings, a market without a recording in synthetic.
"""

import hashlib
import struct
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from types import MappingProxyType

from daemon.embedded.book import DEPTH_QUOTE, BookShape, book_around
from daemon.embedded.listings import split_symbol
from daemon.embedded.market import BOOK_LEVELS, Book, MarketBar, MarketSymbol
from daemon.embedded.recorded_symbol import RecordedSymbol, Row, instant, recorded_symbol

# Of an hour's turnover, the share that stands on the best level of a thin market's book.
THIN_DEPTH_SHARE = 1e-3
HOUR_MS = 3_600_000


class RecordedMarket:
    """Bars by symbol ("BTC/USDT") as rows (open ms UTC, open, high, low, close, volume).

    With several symbols the market spans the time they all cover. `timeframe_ms` None takes the
    commonest spacing, `from_ms` None streams after `history_bars` slots of history. The grid starts
    at the epoch; identical duplicate rows count once. Raises ValueError, in one line, for
    conflicting duplicates, rows off the grid, impossible prices, and when FROM or the history does
    not fit the data. Methods raise KeyError for a symbol id that is not recorded.
    """

    def __init__(
        self,
        rows_by_symbol: Mapping[str, Sequence[Row]],
        *,
        timeframe_ms: int | None = None,
        from_ms: int | None = None,
        history_bars: int = 0,
        name: str = "recording",
    ) -> None:
        self._name = name
        if not rows_by_symbol:
            raise ValueError(f"{name}: no symbol to replay")
        for symbol, rows in rows_by_symbol.items():
            split_symbol(symbol)
            if not rows:
                raise ValueError(f"{name}: no bars of {symbol}")
        self._timeframe_ms = timeframe_ms or _commonest_spacing_ms(name, rows_by_symbol)
        self._recorded: dict[str, RecordedSymbol] = {}
        for symbol, rows in rows_by_symbol.items():
            made = recorded_symbol(f"{name}: {symbol}", symbol, rows, self._timeframe_ms)
            self._recorded[made.instrument.id] = made
        if len(self._recorded) < len(rows_by_symbol):
            raise ValueError(f"{name}: two of {', '.join(rows_by_symbol)} share one venue id")
        self._first_open_ms = max(each.opens[0] for each in self._recorded.values())
        last_open_ms = min(each.opens[-1] for each in self._recorded.values())
        self._end_ms = last_open_ms + self._timeframe_ms
        if last_open_ms < self._first_open_ms:
            raise ValueError(f"{name}: the symbols have no time in common")
        self._from_ms = self._stream_start(from_ms, history_bars)
        self._depth_quote = {
            symbol_id: min(
                DEPTH_QUOTE,
                THIN_DEPTH_SHARE * each.typical_turnover_quote * HOUR_MS / self._timeframe_ms,
            )
            for symbol_id, each in self._recorded.items()
        }
        self._fingerprint = self._content_hash()

    @property
    def label(self) -> str:
        return f"REPLAY {self._name}"

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def timeframe_ms(self) -> int:
        return self._timeframe_ms

    @property
    def symbols(self) -> Mapping[str, MarketSymbol]:
        return MappingProxyType({key: each.instrument for key, each in self._recorded.items()})

    @property
    def first_open_ms(self) -> int:
        return self._first_open_ms

    @property
    def from_ms(self) -> int:
        return self._from_ms

    @property
    def end_ms(self) -> int | None:
        return self._end_ms

    def bar(self, symbol_id: str, open_ms: int) -> MarketBar | None:
        found = self.bars(symbol_id, open_ms, open_ms, 1)
        return found[0] if found else None

    def bars(
        self, symbol_id: str, start_open_ms: int, end_open_ms: int, limit: int
    ) -> list[MarketBar]:
        recorded = self._recorded[symbol_id]
        start_ms = max(start_open_ms, self._first_open_ms)
        end_ms = min(end_open_ms, self._end_ms - self._timeframe_ms)
        start = bisect_left(recorded.opens, start_ms)
        stop = min(bisect_right(recorded.opens, end_ms), start + max(limit, 0))
        return [recorded.bar(index) for index in range(start, stop)]

    def path(self, symbol_id: str, open_ms: int) -> tuple[Decimal, ...]:
        bar = self.bar(symbol_id, open_ms)
        return () if bar is None else (bar.open, bar.high, bar.low, bar.close)

    def book(self, symbol_id: str, price: Decimal, open_ms: int, levels: int = BOOK_LEVELS) -> Book:
        shape = BookShape(
            key=f"{self._fingerprint}/{symbol_id}/{open_ms}",
            levels=levels,
            depth_quote=self._depth_quote[symbol_id],
        )
        return book_around(self._recorded[symbol_id].instrument, price, shape)

    def _stream_start(self, from_ms: int | None, history_bars: int) -> int:
        step, first_ms, end_ms = self._timeframe_ms, self._first_open_ms, self._end_ms
        span = f"{self._name}: holds {instant(first_ms)} to {instant(end_ms)}"
        slots = (end_ms - first_ms) // step
        if from_ms is None:
            if slots <= history_bars:
                raise ValueError(
                    f"{span}, {slots} slots: expected more than the {history_bars} of history"
                )
            return first_ms + history_bars * step
        if not first_ms <= from_ms < end_ms:
            raise ValueError(f"{span}: FROM {instant(from_ms)} lies outside")
        if (from_ms - first_ms) % step:
            raise ValueError(
                f"{span}: FROM {instant(from_ms)} is no bar's open at a spacing of {step} ms"
            )
        before = (from_ms - first_ms) // step
        if before < history_bars:
            raise ValueError(
                f"{span}: FROM {instant(from_ms)} leaves {before} slots of history, "
                f"expected at least {history_bars}"
            )
        return from_ms

    def _content_hash(self) -> str:
        digest = hashlib.sha256(f"recorded/{self._timeframe_ms}".encode())
        for symbol_id in sorted(self._recorded):
            recorded = self._recorded[symbol_id]
            digest.update(recorded.instrument.symbol.encode())
            for row in recorded.rows:
                digest.update(struct.pack("<q5d", *row))
        return digest.hexdigest()[:16]


def _commonest_spacing_ms(name: str, rows_by_symbol: Mapping[str, Sequence[Row]]) -> int:
    spacings: Counter[int] = Counter()
    for rows in rows_by_symbol.values():
        stamps = sorted({row[0] for row in rows})
        spacings.update(b - a for a, b in pairwise(stamps))
    if not spacings:
        raise ValueError(f"{name}: one bar has no spacing: expected two or more, or a timeframe")
    # Of equally common spacings the smaller one fits the other as a hole.
    return min(spacings, key=lambda spacing: (-spacings[spacing], spacing))
