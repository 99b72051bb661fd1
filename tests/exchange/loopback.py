"""A real ccxt.pro client and an exchange in this process: what every test here is made of.

Belongs here: the fake market, the server's life and the client's config. No fixtures, no hidden
state.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
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
from daemon.embedded.fees import Fees
from daemon.embedded.futures.exchange import SwapExchange
from daemon.embedded.futures.ledger import SwapLedger
from daemon.embedded.key_scope import KeyScope
from daemon.embedded.ledger import Ledger
from daemon.embedded.market import Market
from daemon.embedded.server import Endpoints, ExchangeServer
from daemon.embedded.signing import Credentials
from daemon.embedded.stage import Stage
from tests.exchange.fake_market import FakeMarket

BALANCES = {"USDT": Decimal(100_000), "BTC": Decimal(1), "ETH": Decimal(10)}
CREDENTIALS = Credentials("lab-key", "lab-secret")


def open_ledger(directory: Path, market: Market) -> Ledger:
    return Ledger(directory / "ledger.db", balances=BALANCES, closed_ms=market.from_ms)


@dataclass(slots=True)
class Loopback:
    """A running exchange, one client of it, and the exchange's own endpoints."""

    exchange: Stage
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

    async def play(self, slots: int) -> dict[str, Any]:
        """Acknowledge whatever the exchange waits for until so many more slots were played."""
        clock = await self.get("clock")
        for _ in range(slots):
            clock = await self.ack_all(clock["market_ms"])
        return clock

    async def play_until(self, awaitable: Any, slots_max: int = 200) -> Any:
        """Play slots until the client has what it waits for."""
        task = asyncio.ensure_future(awaitable)
        for _ in range(slots_max):
            if task.done():
                break
            await self.play(1)
        return await next_within(task)

    async def fault(self, **rule: object) -> None:
        """Add one rule to the script in force."""
        url = f"{self.endpoints.rest}/embedded/faults"
        async with self.session.post(url, json=[rule]) as reply:
            answer = await reply.json()
            assert answer == {"added": 1}, answer

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
    wire: WireClock | None = None,
    fees: Fees | None = None,
    scope: KeyScope | None = None,
) -> AsyncIterator[Loopback]:
    """A server on a free port over the state in `directory`, and a client of it."""
    market = market or FakeMarket()
    ledger = open_ledger(directory, market)
    exchange = Exchange(market, ledger, bars_per_s=bars_per_s, wire=wire, fees=fees)
    serving = served(exchange, ccxt_client, weight_max=weight_max, scope=scope)
    with contextlib.closing(ledger):
        async with serving as lab:
            yield lab


@contextlib.asynccontextmanager
async def swap_loopback(
    directory: Path,
    *,
    market: Market | None = None,
    bars_per_s: float | None = None,
    wire: WireClock | None = None,
    balances: Mapping[str, Decimal] | None = None,
) -> AsyncIterator[Loopback]:
    """A server of perpetual swaps over the state in `directory`, and ccxt's own client of it."""
    market = market or FakeMarket()
    ledger = SwapLedger(
        directory / "swaps.db",
        balances=balances or {"USDT": Decimal(10_000)},
        closed_ms=market.from_ms,
    )
    exchange = SwapExchange(market, ledger, bars_per_s=bars_per_s, wire=wire)
    with contextlib.closing(ledger):
        async with served(exchange, ccxt_swap_client) as lab:
            yield lab


@contextlib.asynccontextmanager
async def served(
    exchange: Stage,
    client_of: Callable[[Endpoints], Any],
    *,
    weight_max: int = WEIGHT_MAX,
    scope: KeyScope | None = None,
) -> AsyncIterator[Loopback]:
    """The exchange on a free port, with a client that has loaded its markets."""
    faults = Faults(seed=1)
    server = ExchangeServer(
        exchange, CREDENTIALS, faults=faults, weight_max=weight_max, scope=scope
    )
    endpoints = await server.start()
    client = client_of(endpoints)
    session = aiohttp.ClientSession()
    try:
        await client.load_markets()
        yield Loopback(exchange, endpoints, faults, client, session)
    finally:
        await session.close()
        await client.close()
        await server.stop()


def ccxt_swap_client(endpoints: Endpoints, credentials: Credentials = CREDENTIALS) -> Any:
    """The unmodified ccxt.pro client of USDⓈ-M swaps, with none of its urls left to the outside."""
    import ccxt.pro

    rest, sockets = endpoints.rest, f"ws://127.0.0.1:{endpoints.port}"
    client = ccxt.pro.binanceusdm(
        {
            "apiKey": credentials.key,
            "secret": credentials.secret,
            "urls": {
                "api": {
                    "fapiPublic": f"{rest}/fapi/v1",
                    "fapiPublicV2": f"{rest}/fapi/v2",
                    "fapiPublicV3": f"{rest}/fapi/v3",
                    "fapiPrivate": f"{rest}/fapi/v1",
                    "fapiPrivateV2": f"{rest}/fapi/v2",
                    "fapiPrivateV3": f"{rest}/fapi/v3",
                    "sapi": f"{rest}/sapi/v1",
                    "ws": {"linear": f"{sockets}/ws"},
                }
            },
            "options": {
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
