"""Test doubles at the ports, scripted by the test; tests/contract shows what they keep."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core.bars import RawBar
from daemon.core.errors import ExchangeUnreachable
from daemon.core.instruments import Instrument, InstrumentId
from daemon.core.ports import Book
from daemon.core.timeframes import NS_PER_MS

if TYPE_CHECKING:
    from daemon.core.clock import Clock


class FakeMarketData:
    """Streams say what the test says; REST answers from `rows`, or not at all while `is_away`."""

    def __init__(self, exchange: str = "embedded", page_limit: int = 1_000) -> None:
        self.exchange = exchange
        self.page_limit = page_limit
        self.rows: dict[InstrumentId, list[RawBar]] = {}
        self.fetched: list[tuple[InstrumentId, int, int]] = []
        self.is_away = False
        self.clock: Clock | None = None  # when given, REST knows no candle that opens later
        self.watched: dict[InstrumentId, int] = {}
        self.order_book = Book(
            bids=((Decimal("99.9"), Decimal(5)), (Decimal("99.8"), Decimal(5))),
            asks=((Decimal("100.1"), Decimal(5)), (Decimal("100.2"), Decimal(5))),
        )
        self._streams: dict[InstrumentId, asyncio.Queue[RawBar | Exception]] = {}

    def say(self, instrument: InstrumentId, *raws: RawBar) -> None:
        """What the stream sends next."""
        for raw in raws:
            self._stream(instrument).put_nowait(raw)

    def break_stream(self, instrument: InstrumentId, error: Exception) -> None:
        self._stream(instrument).put_nowait(error)

    async def instruments(self, symbols: Sequence[str]) -> tuple[Instrument, ...]:
        raise NotImplementedError

    async def watch(self, instrument: InstrumentId) -> AsyncIterator[RawBar]:
        self.watched[instrument] = self.watched.get(instrument, 0) + 1
        self._streams[instrument] = stream = self._stream(instrument)
        while True:
            said = await stream.get()
            if isinstance(said, Exception):
                raise said
            yield said

    async def fetch(self, instrument: InstrumentId, since_ns: int, limit: int) -> list[RawBar]:
        self.fetched.append((instrument, since_ns, limit))
        if self.is_away:
            msg = "nobody answers"
            raise ExchangeUnreachable(msg)
        now_ns = 2**63 if self.clock is None else self.clock.now_ns()
        found = [
            raw
            for raw in self.rows.get(instrument, [])
            if not isinstance(raw.open_ms, int) or since_ns <= raw.open_ms * NS_PER_MS <= now_ns
        ]
        return found[: min(limit, self.page_limit)]

    async def book(self, instrument: InstrumentId, levels: int) -> Book:
        if self.is_away:
            msg = f"no book of {instrument}"
            raise ExchangeUnreachable(msg)
        return Book(bids=self.order_book.bids[:levels], asks=self.order_book.asks[:levels])

    async def close(self) -> None: ...

    def _stream(self, instrument: InstrumentId) -> asyncio.Queue[RawBar | Exception]:
        return self._streams.setdefault(instrument, asyncio.Queue())
