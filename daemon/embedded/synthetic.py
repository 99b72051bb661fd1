"""Makes an endless market from a seed, with a planted edge that is known exactly.

Belongs here: slots, decimals and what identifies such a market. The random process belongs in
process, the symbols' parameters in listings.
"""

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType

from daemon.embedded.book import BookShape, book_around
from daemon.embedded.changes import Change, Regime, Regimes
from daemon.embedded.factors import CHUNK_BARS, MarketProcess, Setting
from daemon.embedded.listings import listing
from daemon.embedded.market import BOOK_LEVELS, Book, MarketBar, MarketSymbol
from daemon.embedded.process import SymbolChunk, SymbolProcess

DEFAULT_FROM_MS = 1_704_067_200_000  # 2024-01-01T00:00Z
PROCESS_VERSION = 1
# The process starts this many bars, or a multiple, before the stream. So a longer training window
# usually reads further back in the same market instead of getting another one.
GENESIS_BARS = 8_192


class SyntheticMarket:
    """Same arguments, same market, in any process and in whatever order it is asked.

    `edge` in [0, 1]: the best possible probability of the next bar's direction is 0.5 + edge/2 on
    average; `changes` say what it, or something else, becomes later. Raises ValueError, in one
    line, for arguments that make no market. Methods raise KeyError for a symbol id that is not
    listed.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        timeframe_ms: int,
        *,
        from_ms: int = DEFAULT_FROM_MS,
        history_bars: int = 0,
        seed: int = 0,
        edge: float = 0.0,
        changes: Sequence[Change] = (),
    ) -> None:
        _check(timeframe_ms, from_ms, history_bars, edge)
        listings = [listing(symbol) for symbol in symbols]
        self._symbols = {each.instrument.id: each.instrument for each in listings}
        if not symbols or len(self._symbols) < len(symbols):
            raise ValueError(f"symbols {list(symbols)!r}: expected at least one, each once")
        self._seed, self._edge, self._changes = seed, edge, tuple(changes)
        self._timeframe_ms, self._from_ms = timeframe_ms, from_ms
        self._first_open_ms = from_ms - history_bars * timeframe_ms
        genesis_bars = -(-history_bars // GENESIS_BARS) * GENESIS_BARS
        self._genesis_ms = from_ms - genesis_bars * timeframe_ms
        regimes = Regimes(Regime(edge=edge), self._changes, from_ms)
        setting = Setting(seed, regimes, timeframe_ms, self._genesis_ms)
        shared = MarketProcess(setting)
        self._processes = {
            each.instrument.id: SymbolProcess(setting, each, shared) for each in listings
        }

    @property
    def label(self) -> str:
        changes = f" changes={len(self._changes)}" if self._changes else ""
        return f"SYNTHETIC seed={self._seed} edge={self._edge:.2f}{changes}"

    @property
    def fingerprint(self) -> str:
        spec = (
            "synthetic",
            PROCESS_VERSION,
            self._seed,
            float(self._edge),
            self._timeframe_ms,
            self._first_open_ms,
            self._from_ms,
            sorted(each.symbol for each in self._symbols.values()),
            *self._changes,
        )
        return hashlib.sha256(repr(spec).encode()).hexdigest()[:16]

    @property
    def timeframe_ms(self) -> int:
        return self._timeframe_ms

    @property
    def symbols(self) -> Mapping[str, MarketSymbol]:
        return MappingProxyType(self._symbols)

    @property
    def first_open_ms(self) -> int:
        return self._first_open_ms

    @property
    def from_ms(self) -> int:
        return self._from_ms

    @property
    def end_ms(self) -> int | None:
        return None

    def bar(self, symbol_id: str, open_ms: int) -> MarketBar | None:
        found = self._locate(symbol_id, open_ms)
        if found is None:
            return None
        chunk, row = found
        instrument = self._symbols[symbol_id]
        prices = chunk.path[row]
        tick = instrument.tick
        return MarketBar(
            open_ms=open_ms,
            open=int(prices[0]) * tick,
            high=int(prices.max()) * tick,
            low=int(prices.min()) * tick,
            close=int(prices[-1]) * tick,
            volume=chunk.volume[row] * instrument.lot,
            trades=chunk.trades[row],
        )

    def bars(
        self, symbol_id: str, start_open_ms: int, end_open_ms: int, limit: int
    ) -> list[MarketBar]:
        step = self._timeframe_ms
        offset = max(start_open_ms, self._first_open_ms) - self._genesis_ms
        first = self._genesis_ms + -(-offset // step) * step
        end = min(end_open_ms, first + (limit - 1) * step)
        found = (self.bar(symbol_id, open_ms) for open_ms in range(first, end + 1, step))
        return [each for each in found if each is not None]

    def path(self, symbol_id: str, open_ms: int) -> tuple[Decimal, ...]:
        found = self._locate(symbol_id, open_ms)
        if found is None:
            return ()
        chunk, row = found
        tick = self._symbols[symbol_id].tick
        return tuple(ticks * tick for ticks in chunk.path[row].tolist())

    def book(self, symbol_id: str, price: Decimal, open_ms: int, levels: int = BOOK_LEVELS) -> Book:
        shape = BookShape(key=f"{self._seed}/{symbol_id}/{open_ms}", levels=levels)
        return book_around(self._symbols[symbol_id], price, shape)

    def probability_up(self, symbol_id: str, open_ms: int) -> float:
        """The true probability, given all before it, that this bar closes above the last close.

        Nothing the exchange serves contains it; it is for tests and reports. Raises ValueError
        for a slot outside the market.
        """
        found = self._locate(symbol_id, open_ms)
        if found is None:
            raise ValueError(f"{open_ms} is no slot of this market")
        chunk, row = found
        return chunk.probability_up[row]

    def _locate(self, symbol_id: str, open_ms: int) -> tuple[SymbolChunk, int] | None:
        process = self._processes[symbol_id]
        position, past_grid = divmod(open_ms - self._genesis_ms, self._timeframe_ms)
        if past_grid or open_ms < self._first_open_ms:
            return None
        index, row = divmod(position, CHUNK_BARS)
        return process.chunk(index), row


def _check(timeframe_ms: int, from_ms: int, history_bars: int, edge: float) -> None:
    if timeframe_ms <= 0:
        raise ValueError(f"timeframe of {timeframe_ms} ms: expected more than zero")
    if from_ms % timeframe_ms:
        raise ValueError(f"from {from_ms} ms: not on the {timeframe_ms} ms grid of the timeframe")
    if history_bars < 0 or from_ms < history_bars * timeframe_ms:
        raise ValueError(f"history of {history_bars} bars: expected zero or more, none before 1970")
    if not 0.0 <= edge <= 1.0:
        raise ValueError(f"edge {edge}: expected a number from 0 to 1")
