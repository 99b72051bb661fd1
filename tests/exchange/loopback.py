"""A real ccxt.pro client and an exchange in this process: what every test here is made of.

Belongs here: the fake market, the server's life and the client's config. No fixtures, no hidden state.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from daemon.core.clock import WireClock
from daemon.core.timeframes import NS_PER_MS, rfc3339
from daemon.embedded.account import ZERO
from daemon.embedded.budget import WEIGHT_MAX
from daemon.embedded.exchange import Exchange
from daemon.embedded.faults import Faults
from daemon.embedded.ledger import Ledger
from daemon.embedded.market import BOOK_LEVELS, Book, Market, MarketBar, MarketSymbol
from daemon.embedded.server import Endpoints, ExchangeServer
from daemon.embedded.signing import Credentials

HOUR_MS = 3_600_000
FROM_MS = 1_704_067_200_000
BALANCES = {"USDT": Decimal(100_000), "BTC": Decimal(1), "ETH": Decimal(10)}
CREDENTIALS = Credentials("lab-key", "lab-secret")

BTC = MarketSymbol(
    "BTC/USDT", "BTCUSDT", "BTC", "USDT",
    Decimal("0.01"), Decimal("0.00001"), Decimal("0.00001"), Decimal(5),
)  # fmt: skip
ETH = MarketSymbol(
    "ETH/USDT", "ETHUSDT", "ETH", "USDT",
    Decimal("0.01"), Decimal("0.0001"), Decimal("0.0001"), Decimal(5),
)  # fmt: skip


@dataclass(slots=True)
class FakeMarket:
    """Prices one can compute by head: bar n of a symbol opens at base + n and closes at base + n + 1.

    The path is open, high (close + 2), low (open - 3), close; 4 base units are traded in each bar. Every
    book level holds `level_quantity`, one tick apart, the best ones a tick from the price.
    `holes` are (symbol id, slots after from_ms); the last `ends_after` slot streamed is the end.
    """

    holes: frozenset[tuple[str, int]] = frozenset()
    history_bars: int = 50
    ends_after: int | None = None
    level_quantity: Decimal = Decimal("0.5")
    base: Mapping[str, int] = field(default_factory=lambda: {"BTCUSDT": 50_000, "ETHUSDT": 3_000})
    label: str = "SYNTHETIC fake"
    fingerprint: str = "00000000000000ff"
    timeframe_ms: int = HOUR_MS
    from_ms: int = FROM_MS

    @property
    def symbols(self) -> Mapping[str, MarketSymbol]:
        return {"BTCUSDT": BTC, "ETHUSDT": ETH}

    @property
    def first_open_ms(self) -> int:
        return self.from_ms - self.history_bars * self.timeframe_ms

    @property
    def end_ms(self) -> int | None:
        if self.ends_after is None:
            return None
        return self.from_ms + self.ends_after * self.timeframe_ms

    def bar(self, symbol_id: str, open_ms: int) -> MarketBar | None:
        slot, rest = divmod(open_ms - self.from_ms, self.timeframe_ms)
        is_outside = open_ms < self.first_open_ms or (self.end_ms or open_ms + 1) <= open_ms
        if rest or is_outside or (symbol_id, slot) in self.holes:
            return None
        price = Decimal(self.base[symbol_id] + slot)
        return MarketBar(open_ms, price, price + 3, price - 3, price + 1, Decimal(4), 40)

    def bars(
        self, symbol_id: str, start_open_ms: int, end_open_ms: int, limit: int
    ) -> list[MarketBar]:
        found = []
        late_ms = (start_open_ms - self.from_ms) % self.timeframe_ms
        open_ms = max(start_open_ms + (self.timeframe_ms - late_ms) % self.timeframe_ms, 0)
        while open_ms <= end_open_ms and len(found) < limit:
            bar = self.bar(symbol_id, open_ms)
            found += [] if bar is None else [bar]
            open_ms += self.timeframe_ms
        return found

    def path(self, symbol_id: str, open_ms: int) -> tuple[Decimal, ...]:
        bar = self.bar(symbol_id, open_ms)
        return () if bar is None else (bar.open, bar.high, bar.low, bar.close)

    def book(self, symbol_id: str, price: Decimal, open_ms: int, levels: int = BOOK_LEVELS) -> Book:
        del open_ms
        tick = self.symbols[symbol_id].tick
        return Book(
            tuple((price - tick * (n + 1), self.level_quantity) for n in range(levels)),
            tuple((price + tick * (n + 1), self.level_quantity) for n in range(levels)),
        )


class StandingWireClock(WireClock):
    """Wire time that moves only when told, for pace and receive windows."""

    def __init__(self, now_ns: int = 1_700_000_000_000 * NS_PER_MS) -> None:
        self.ns = now_ns

    def now_ns(self) -> int:
        return self.ns

    def monotonic_s(self) -> float:
        return self.ns / 1e9

    def pass_s(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)


def open_ledger(directory: Path, market: Market) -> Ledger:
    return Ledger(directory / "ledger.db", balances=BALANCES, closed_ms=market.from_ms)


@dataclass(slots=True)
class Loopback:
    """A running exchange, one client of it, and the exchange's own endpoints."""

    exchange: Exchange
    endpoints: Endpoints
    faults: Faults
    client: Any
    session: aiohttp.ClientSession

    async def ack(self, symbol: str, close_ms: int) -> dict[str, Any]:
        body = {"run": "test", "symbol": symbol, "bar": rfc3339(close_ms * NS_PER_MS)}
        async with self.session.post(f"{self.endpoints.rest}/embedded/ack", json=body) as reply:
            clock: dict[str, Any] = await reply.json()
            assert reply.status == 200, clock
            return clock

    async def ack_all(self, close_ms: int) -> dict[str, Any]:
        """Acknowledge a bar for every symbol the exchange waits for."""
        clock = await self.get("clock")
        for symbol in clock["awaiting"]:
            clock = await self.ack(symbol, close_ms)
        return clock

    async def get(self, name: str) -> dict[str, Any]:
        async with self.session.get(f"{self.endpoints.rest}/embedded/{name}") as reply:
            answer: dict[str, Any] = await reply.json()
            return answer


@contextlib.asynccontextmanager
async def loopback(
    directory: Path,
    *,
    market: Market | None = None,
    bars_per_s: float | None = None,
    weight_max: int = WEIGHT_MAX,
) -> AsyncIterator[Loopback]:
    """A server on a free port over the state in `directory`, and a client that knows its markets."""
    market = market or FakeMarket()
    ledger = open_ledger(directory, market)
    exchange = Exchange(market, ledger, bars_per_s=bars_per_s)
    faults = Faults(seed=1)
    server = ExchangeServer(exchange, CREDENTIALS, faults=faults, weight_max=weight_max)
    endpoints = await server.start()
    client = ccxt_client(endpoints)
    session = aiohttp.ClientSession()
    try:
        await client.load_markets()
        yield Loopback(exchange, endpoints, faults, client, session)
    finally:
        await session.close()
        await client.close()
        await server.stop()
        ledger.close()


def ccxt_client(endpoints: Endpoints, credentials: Credentials = CREDENTIALS) -> Any:
    """The unmodified ccxt.pro client with its urls overridden, and none left to the outside."""
    import ccxt.pro

    rest, sockets = endpoints.rest, f"ws://127.0.0.1:{endpoints.port}"
    client = ccxt.pro.binance(
        {
            "apiKey": credentials.key,
            "secret": credentials.secret,
            "urls": {
                "api": {
                    "public": f"{rest}/api/v3",
                    "private": f"{rest}/api/v3",
                    "v1": f"{rest}/api/v1",
                    "sapi": f"{rest}/sapi/v1",
                    "sapiV2": f"{rest}/sapi/v2",
                    "sapiV3": f"{rest}/sapi/v3",
                    "sapiV4": f"{rest}/sapi/v4",
                    "ws": {
                        "spot": f"{sockets}/stream/ws",
                        "margin": f"{sockets}/stream/ws",
                        "ws-api": {"spot": f"{sockets}/ws-api/v3"},
                    },
                }
            },
            "options": {
                "defaultType": "spot",
                "fetchMarkets": {"types": ["spot"]},
                "fetchCurrencies": False,
                "fetchMargins": False,
                "OHLCVLimit": 5,
                "warnOnFetchOpenOrdersWithoutSymbol": False,
            },
            "streaming": {"keepAlive": 10_000},
            "rateLimiterAlgorithm": "rollingWindow",
            "rollingWindowSize": 60_000.0,
            "timeout": 5_000,
        }
    )
    cut_off(client, endpoints)
    return client


def cut_off(client: Any, endpoints: Endpoints) -> None:
    """Point every url that the config did not override at a closed path of this exchange."""
    client.urls["api"] = _rewritten(client.urls["api"], f"{endpoints.rest}/nowhere")


def urls_of(client: Any) -> Iterator[str]:
    """Every url the client could call."""
    yield from _leaves(client.urls["api"])


def is_loopback(url: str) -> bool:
    return urlsplit(url).hostname == "127.0.0.1"


async def next_within(awaitable: Any, seconds: float = 10.0) -> Any:
    async with asyncio.timeout(seconds):
        return await awaitable


def exact(value: object) -> Decimal:
    """The Decimal of a number as a client shows it."""
    return ZERO if value is None else Decimal(str(value))


def _rewritten(node: Any, nowhere: str) -> Any:
    if isinstance(node, dict):
        return {key: _rewritten(value, nowhere) for key, value in node.items()}
    return node if not isinstance(node, str) or is_loopback(node) else nowhere


def _leaves(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for value in node.values():
            yield from _leaves(value)
    elif isinstance(node, str):
        yield node


def dumps(value: object) -> str:
    return json.dumps(value)
