"""Builds the world a run trades in: an exchange in the box, or a real one on paper.

Belongs here: which clock, feed and venue are plugged into the core. The run itself belongs to
`session`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.core.clock import MarketClock, WireClock
from daemon.core.errors import LiveRefused
from daemon.core.timeframes import NS_PER_MS, floor_to_grid, timeframe_ns
from daemon.venues.embedded_link import EmbeddedLink, EmbeddedMarket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.config import Settings
    from daemon.core.events import RunOpened
    from daemon.core.instruments import Instrument
    from daemon.core.ports import Account, MarketData, Venue
    from daemon.exchange_process import ExchangeProcess
    from daemon.venues.paper_venue import PaperVenue

EMBEDDED = "embedded"
SYNTHETIC = "synthetic"
LOCKSTEP = "lock-step"


@dataclass(slots=True, kw_only=True)
class World:
    """Everything outside the core, ready to use; `market_key` names whose bars and models these
    are.
    """

    market: str
    market_key: str
    label: str
    account: str
    clock: MarketClock
    market_data: MarketData
    history_data: MarketData
    venue: Venue
    instruments: tuple[Instrument, ...]
    first_open_ns: int
    ends_ns: int | None = None
    link: EmbeddedLink | None = None
    exchange: ExchangeProcess | None = None
    is_lockstep: bool = False
    page_limit: int = 500
    sends_empty_bars: bool = True
    has_stream: bool = True
    paper: PaperVenue | None = None

    @property
    def market_rate(self) -> float:
        """Market seconds per wire second; 0 in lock-step."""
        return self.clock.rate

    async def server_ns(self) -> int:
        """The real exchange's clock."""
        return await self.market_data.server_ns()

    async def close(self) -> None:
        """Let go of every connection, then of the exchange if it is our child."""
        await self.venue.close()
        await self.market_data.close()
        if self.history_data is not self.market_data:
            await self.history_data.close()
        if self.link is not None:
            await self.link.close()
        if self.exchange is not None:
            await self.exchange.stop()


def market_name(market: str) -> str:
    """What a market is called in events and logs: a recording by its file, not where it lies."""
    return market.rsplit("/", 1)[-1]


async def embedded_world(exchange: ExchangeProcess, settings: Settings, *, market: str) -> World:
    """The embedded exchange as a signed account, over the wire, exactly as a real one would be."""
    from daemon.venues.ccxt_client import make_client
    from daemon.venues.ccxt_market import CcxtMarket
    from daemon.venues.ccxt_venue import CcxtVenue

    endpoint = exchange.endpoint
    link = EmbeddedLink(endpoint.rest)
    now = await link.clock()
    length_ns = timeframe_ns(settings.data.timeframe)
    clock = MarketClock(WireClock(), market_ns=now.market_ns, rate=now.rate)
    urls = {"rest": endpoint.rest, "stream": endpoint.stream, "ws_api": endpoint.ws_api}
    keys = (endpoint.key, endpoint.secret)
    validity_ms = settings.execution.validity_ms
    public = make_client(EMBEDDED, urls=urls)
    history = make_client(EMBEDDED, urls=urls)
    private = make_client(EMBEDDED, urls=urls, credentials=keys, validity_ms=validity_ms)
    inner = CcxtMarket(public, EMBEDDED, settings.data.timeframe)
    market_data = EmbeddedMarket(inner, link, clock, length_ns)
    grace_s = settings.execution.grace_s
    venue = CcxtVenue(private, EMBEDDED, validity_ms=validity_ms, grace_s=grace_s)
    try:
        instruments = await market_data.instruments(settings.data.symbols)
    except BaseException:
        for client in (market_data, history, private):
            await client.close()
        raise
    is_recording = market != SYNTHETIC
    return World(
        market=market_name(market),
        market_key=f"{'replay' if is_recording else 'synthetic'}-{endpoint.fingerprint}",
        label=now.label,
        account=now.instance,
        clock=clock,
        market_data=market_data,
        history_data=CcxtMarket(history, EMBEDDED, settings.data.timeframe),
        venue=venue,
        instruments=instruments,
        first_open_ns=now.from_ms * NS_PER_MS,
        ends_ns=None if now.end_ms is None else now.end_ms * NS_PER_MS,
        link=link,
        exchange=exchange,
        is_lockstep=now.mode == LOCKSTEP,
        page_limit=inner.page_limit,
        sends_empty_bars=inner.sends_empty_bars,
    )


async def embedded_account(
    exchange: ExchangeProcess, settings: Settings, opened: RunOpened
) -> Account:
    """What an embedded exchange says this run's account holds and has done."""
    from daemon.venues.ccxt_client import make_client
    from daemon.venues.ccxt_venue import CcxtVenue

    endpoint = exchange.endpoint
    client = make_client(
        EMBEDDED,
        urls={"rest": endpoint.rest, "stream": endpoint.stream, "ws_api": endpoint.ws_api},
        credentials=(endpoint.key, endpoint.secret),
        validity_ms=settings.execution.validity_ms,
    )
    venue = CcxtVenue(
        client,
        EMBEDDED,
        validity_ms=settings.execution.validity_ms,
        grace_s=settings.execution.grace_s,
    )
    try:
        return await venue.account([each.id for each in opened.instruments], opened.ts_ns)
    finally:
        await venue.close()


async def real_world(
    settings: Settings, *, mode: str, urls: Mapping[str, str] | None = None
) -> World:
    """A real exchange's market on paper: its live book, our fills; nothing is ever sent to it.

    `urls` lead the unchanged client of that exchange to a stand-in on loopback, for tests.
    """
    from daemon.venues.ccxt_client import make_client
    from daemon.venues.ccxt_market import CcxtMarket
    from daemon.venues.paper_venue import PaperVenue

    exchange = settings.data.exchange
    if mode == "live":
        msg = f"live trading on {exchange} is not armed; only paper is possible here"
        raise LiveRefused(msg)
    length_ns = timeframe_ns(settings.data.timeframe)
    public, history = make_client(exchange, urls=urls), make_client(exchange, urls=urls)
    market_data = CcxtMarket(public, exchange, settings.data.timeframe)
    try:
        instruments = await market_data.instruments(settings.data.symbols)
        server_ns = await market_data.server_ns()
    except BaseException:
        await market_data.close()
        raise
    clock = MarketClock(WireClock(), market_ns=server_ns)
    paper = PaperVenue(
        market_data,
        instruments,
        clock,
        start={settings.data.quote: Decimal(settings.risk.allotted_quote)},
        fee_bps=settings.execution.fee_bps,
        latency_ms=settings.execution.paper_latency_ms,
    )
    return World(
        market=exchange,
        market_key=exchange,
        label=f"LIVE MARKET {exchange}, PAPER ORDERS",
        account=f"paper-{settings.run.name}",
        clock=clock,
        market_data=market_data,
        history_data=CcxtMarket(history, exchange, settings.data.timeframe),
        venue=paper,
        instruments=instruments,
        first_open_ns=floor_to_grid(server_ns, length_ns),
        page_limit=market_data.page_limit,
        sends_empty_bars=market_data.sends_empty_bars,
        has_stream=market_data.has_stream,
        paper=paper,
    )
