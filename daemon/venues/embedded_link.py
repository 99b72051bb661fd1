"""What only an embedded exchange offers: its warped clock, its acknowledgements and its ledger,
over loopback HTTP.

Belongs here: the `/embedded/*` calls. Everything a real exchange offers too goes through ccxt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from daemon.core.errors import ExchangeUnreachable
from daemon.core.timeframes import NS_PER_MS, rfc3339

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import aiohttp

    from daemon.core.bars import RawBar, RawTrade
    from daemon.core.clock import MarketClock
    from daemon.core.instruments import Instrument, InstrumentId
    from daemon.core.ports import Book, MarketData

TIMEOUT_S = 10.0


class ExchangeClock(Struct, frozen=True, kw_only=True):
    """The exchange's own words about its market time."""

    market_ms: int
    wall_ms: int
    rate: float  # market ms per wall ms; 0 in lock-step
    mode: str
    slot_open_ms: int
    from_ms: int
    end_ms: int | None
    ended: bool
    timeframe_ms: int
    label: str
    fingerprint: str
    instance: str
    awaiting: tuple[str, ...] = ()
    bars_per_s: float | None = None
    kind: str = "spot"

    @property
    def pace(self) -> float:
        """The rate once it runs: a market with a pace stands until somebody listens."""
        return 0.0 if self.bars_per_s is None else self.bars_per_s * self.timeframe_ms / 1_000

    @property
    def market_ns(self) -> int:
        return self.market_ms * NS_PER_MS


class EmbeddedLink:
    """One HTTP session to an embedded exchange; every failure is ExchangeUnreachable."""

    def __init__(self, rest: str) -> None:
        self._rest = rest
        self._session: aiohttp.ClientSession | None = None

    async def clock(self) -> ExchangeClock:
        return msgspec.json.decode(await self._call("GET", "/embedded/clock"), type=ExchangeClock)

    async def ack(self, run: str, symbols: Sequence[str], close_ns: int) -> ExchangeClock:
        """Say that the decision on these bars is committed and its orders are answered."""
        body = {"run": run, "symbols": list(symbols), "bar": rfc3339(close_ns)}
        reply = await self._call("POST", "/embedded/ack", body)
        return msgspec.json.decode(reply, type=ExchangeClock)

    async def ledger(self) -> dict[str, object]:
        """Orders, fills and balances as the exchange itself has written them down."""
        reply: dict[str, object] = msgspec.json.decode(await self._call("GET", "/embedded/ledger"))
        return reply

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _call(self, method: str, path: str, body: object = None) -> bytes:
        import aiohttp  # commands that only look never pay for it

        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            self._session = aiohttp.ClientSession(timeout=timeout)
        try:
            async with self._session.request(method, self._rest + path, json=body) as reply:
                content = await reply.read()
                if reply.status != 200:
                    msg = f"{method} {path} answered {reply.status}: {content[:200]!r}"
                    raise ExchangeUnreachable(msg)
                return content
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            msg = f"the embedded exchange at {self._rest} does not answer ({type(error).__name__})"
            raise ExchangeUnreachable(msg) from error


class EmbeddedMarket:
    """MarketData of an embedded exchange: the same ccxt calls, with the market clock kept on the
    exchange's.
    """

    def __init__(
        self, inner: MarketData, link: EmbeddedLink, clock: MarketClock, timeframe_ns: int
    ) -> None:
        self.exchange = inner.exchange
        self._inner = inner
        self._link = link
        self.clock = clock
        self._timeframe_ns = timeframe_ns

    async def instruments(self, symbols: Sequence[str]) -> tuple[Instrument, ...]:
        return await self._inner.instruments(symbols)

    async def watch(self, instrument: InstrumentId) -> AsyncIterator[RawBar]:
        async for raw in self._inner.watch(instrument):
            if raw.is_closed and isinstance(raw.open_ms, int):
                # The exchange says this bar is over, so by its clock at least its close has come.
                self.clock.at_least(raw.open_ms * NS_PER_MS + self._timeframe_ns)
            yield raw

    async def trades(self, instrument: InstrumentId) -> AsyncIterator[RawTrade]:
        async for trade in self._inner.trades(instrument):
            if isinstance(trade.ts_ms, int):
                self.clock.anchor(trade.ts_ms * NS_PER_MS)
            yield trade

    async def fetch(self, instrument: InstrumentId, since_ns: int, limit: int) -> list[RawBar]:
        rows = await self._inner.fetch(instrument, since_ns, limit)
        self.clock.anchor((await self._link.clock()).market_ns)
        return rows

    async def untraded(self, symbols: Sequence[str]) -> dict[str, str]:
        return await self._inner.untraded(symbols)

    async def server_ns(self) -> int:
        return await self._inner.server_ns()

    async def book(self, instrument: InstrumentId, levels: int) -> Book:
        return await self._inner.book(instrument, levels)

    async def close(self) -> None:
        await self._inner.close()
        await self._link.close()
