"""Builds the exchange in the box as a run trades on it, and what all exchanges have in common.

Belongs here: which clock, feed and venue are plugged into the core. Real exchanges belong to
`world.real`, the run itself to `session`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from daemon.core.clock import MarketClock, WireClock
from daemon.core.errors import UsageRefused
from daemon.core.timeframes import NS_PER_MS, floor_to_grid, timeframe_ns
from daemon.layers.ingestion.feed_config import Transport, transport_of
from daemon.running.world.listed import NOTHING_KNOWN, Wanted, listed
from daemon.running.world.live_account import checked
from daemon.running.world.shadow import SHADOW, shadowed, unheard
from daemon.running.world.sites import OrderSide, Site
from daemon.venues.budget import Use
from daemon.venues.embedded_link import EmbeddedLink, EmbeddedMarket
from daemon.venues.read_only import wall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from daemon.config import Settings
    from daemon.core.events import RunOpened
    from daemon.core.instruments import Instrument, InstrumentId
    from daemon.core.ports import Account
    from daemon.running.world.exchange_process import ExchangeProcess
    from daemon.running.world.shadow import Note
    from daemon.venues.ccxt_market import CcxtMarket
    from daemon.venues.ccxt_venue import CcxtVenue
    from daemon.venues.embedded_link import ExchangeClock
    from daemon.venues.paper_terms import PaperTerms

SYNTHETIC = "synthetic"
LOCKSTEP = "lock-step"
LOCKSTEP_ORDER_PATIENCE_S = 120.0  # the market waits, so an order may wait for room too
HISTORY_WITHIN_S = 900.0  # a page may have to wait for the next minute's budget


def market_name(market: str) -> str:
    """What a market is called in events and logs: a recording by its file, not where it lies."""
    return market.rsplit("/", 1)[-1]


async def embedded_site(
    process: ExchangeProcess,
    settings: Settings,
    *,
    exchange: str,
    symbols: Sequence[str],
    market: str,
    state_dir: Path | None,
    accepts_unverified: bool = False,
    known: Mapping[InstrumentId, Instrument] = NOTHING_KNOWN,
    note: Note = unheard,
) -> Site:
    """The embedded exchange as a signed account, over the wire, exactly as a real one would be."""
    endpoint = process.endpoint
    link = EmbeddedLink(endpoint.rest)
    now = await link.clock()
    clock = MarketClock(WireClock(), market_ns=now.market_ns, rate=now.rate)
    public, inner, history = _markets(process, settings, exchange)
    if now.mode == LOCKSTEP:
        public.budget.let_orders_wait(LOCKSTEP_ORDER_PATIENCE_S)
    market_data = EmbeddedMarket(inner, link, clock, timeframe_ns(settings.data.fetched_timeframe))
    client = _account_client(process, settings, exchange)
    account = venue_of(client, settings, exchange)
    try:
        found = await listed(market_data, exchange, Wanted(symbols, known))
        orders = await _orders(
            settings, client, account, market_data, found.instruments, now, accepts_unverified, note
        )
    except BaseException:
        for each in (market_data, history, account):
            await each.close()
        raise
    return Site(
        exchange=exchange,
        market=market_name(market),
        market_key=embedded_key(exchange, market, endpoint.fingerprint),
        clock=clock,
        market_data=market_data,
        history_data=history,
        instruments=found.instruments,
        untraded=found.untraded,
        # What has passed of the bar that is open by then is fetched, as after a restart.
        first_open_ns=floor_to_grid(now.from_ms * NS_PER_MS, timeframe_ns(settings.data.timeframe)),
        link=link,
        process=process,
        state_dir=state_dir,
        is_lockstep=now.mode == LOCKSTEP,
        market_rate=now.pace,
        page_limit=inner.page_limit,
        sends_empty_bars=inner.sends_empty_bars,
        on_wire_time=public.budget.set_time,
        transport=transport_for(settings, exchange, inner),
        label=orders.label,
        account=orders.account,
        venue=orders.venue,
        paper=orders.paper,
        tell_doubts_to=orders.tell_doubts_to,
        key=orders.key,
        arming=orders.arming,
    )


def _markets(
    process: ExchangeProcess, settings: Settings, exchange: str
) -> tuple[Any, CcxtMarket, CcxtMarket]:
    """Its public client, and what is asked by it: of now, and of the past."""
    from daemon.venues.ccxt_client import make_client
    from daemon.venues.ccxt_market import CcxtMarket

    urls, fetched = _urls(process), settings.data.fetched_timeframe
    public = make_client(exchange, urls=urls)
    history = make_client(exchange, urls=urls, use=Use.HISTORY)
    return (
        public,
        CcxtMarket(public, exchange, fetched),
        CcxtMarket(history, exchange, fetched, within_s=HISTORY_WITHIN_S),
    )


async def _orders(  # noqa: PLR0917  # the world of an account
    settings: Settings,
    client: Any,
    account: CcxtVenue,
    market_data: EmbeddedMarket,
    instruments: tuple[Instrument, ...],
    now: ExchangeClock,
    accepts_unverified: bool,
    note: Note,
) -> OrderSide:
    """The parts of a site that hang on the mode: signed orders, or a shadow of them."""
    exchange, is_shadow = instruments[0].id.exchange, settings.run.mode == SHADOW
    if is_shadow:
        wall(client, exchange)
    key = await checked(settings, client, exchange, accepts_unverified)
    if not is_shadow:
        return OrderSide(
            label=now.label,
            account=now.instance,
            venue=account,
            tell_doubts_to=account.tell_doubts_to,
            key=key,
        )
    terms = paper_terms(settings, exchange)
    if now.mode == LOCKSTEP:  # the market waits, so nothing is late
        terms = replace(terms, latency_ms=0, latency_jitter_ms=0)
    venue, paper, key = await shadowed(
        account,
        client,
        market_data,
        instruments,
        market_data.clock,
        terms,
        key,
        timeframe_ns=timeframe_ns(settings.data.fetched_timeframe),
        note=note,
    )
    return OrderSide(
        label=f"{now.label}, SHADOW ORDERS",
        account=now.instance,
        venue=venue,
        paper=paper,
        key=key,
    )


def transport_for(settings: Settings, exchange: str, market: CcxtMarket) -> Transport:
    try:
        return transport_of(
            settings.data.transport,
            has_candles=market.has_candle_stream,
            has_trades=market.has_trade_stream,
        )
    except ValueError as error:
        msg = f"{exchange} {error}"
        raise UsageRefused(msg) from None


def embedded_key(exchange: str, market: str, fingerprint: str) -> str:
    """Whose bars these are: two exchanges that replay one recording have a series each."""
    kind = "synthetic" if market == SYNTHETIC else "replay"
    _, _, label = exchange.partition("-")
    return "-".join(each for each in (kind, fingerprint, label) if each)


async def embedded_account(
    process: ExchangeProcess, settings: Settings, exchange: str, opened: RunOpened
) -> Account:
    """What an embedded exchange says this run's account holds and has done."""
    venue = venue_of(_account_client(process, settings, exchange), settings, exchange)
    ours = [each.id for each in opened.instruments if each.id.exchange == exchange]
    try:
        return await venue.account(ours, opened.ts_ns)
    finally:
        await venue.close()


def _account_client(process: ExchangeProcess, settings: Settings, exchange: str) -> Any:
    from daemon.venues.ccxt_client import make_client

    return make_client(
        exchange,
        urls=_urls(process),
        credentials=(process.endpoint.key, process.endpoint.secret),
        validity_ms=settings.execution.validity_ms,
        use=Use.ACCOUNT,
    )


def venue_of(client: Any, settings: Settings, exchange: str) -> CcxtVenue:
    from daemon.venues.ccxt_venue import CcxtVenue

    execution = settings.execution
    return CcxtVenue(client, exchange, validity_ms=execution.validity_ms, grace_s=execution.grace_s)


def _urls(process: ExchangeProcess) -> dict[str, str]:
    endpoint = process.endpoint
    return {"rest": endpoint.rest, "stream": endpoint.stream, "ws_api": endpoint.ws_api}


def paper_terms(settings: Settings, exchange: str) -> PaperTerms:
    """What a paper venue assumes of its exchange, as configured."""
    from daemon.venues.paper_terms import FeeTier, PaperTerms

    execution = settings.execution
    return PaperTerms(
        maker_fee_bps=execution.maker_fee_bps,
        taker_fee_bps=execution.fee_bps_on.get(exchange, execution.fee_bps),
        tiers=tuple(FeeTier(*each) for each in execution.fee_tiers),
        latency_ms=execution.paper_latency_ms,
        latency_jitter_ms=execution.paper_latency_jitter_ms,
        recovery_s=execution.paper_recovery_s,
        extra_slippage_bps=execution.paper_extra_slippage_bps,
        seed=settings.run.seed,
        leverage=Decimal(repr(settings.risk.max_leverage)),
        maintenance_ratio=Decimal(repr(settings.risk.maintenance_margin_ratio)),
    )
