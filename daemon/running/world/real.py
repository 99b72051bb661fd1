"""Builds a real exchange as a run trades on it: on paper, in shadow, or armed with real orders.

Belongs here: what the three differ in. What they have in common with the exchange in the box is in
`world.embedded`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.core.clock import MarketClock, WireClock
from daemon.core.timeframes import floor_to_grid, timeframe_ns
from daemon.running.golive.gate import fingerprint, refuse_unarmed
from daemon.running.world.claim import Claim
from daemon.running.world.embedded import HISTORY_WITHIN_S, paper_terms, transport_for, venue_of
from daemon.running.world.listed import NOTHING_KNOWN, Listed, Wanted, listed
from daemon.running.world.live_account import (
    LIVE,
    LiveKey,
    account_client,
    checks_of,
)
from daemon.running.world.shadow import SHADOW, refuse_shadow, shadowed, unheard
from daemon.running.world.sites import OrderSide, Site
from daemon.venues.budget import Use
from daemon.venues.read_only import wall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.config import Settings
    from daemon.core.events import RunOpened
    from daemon.core.instruments import Instrument, InstrumentId
    from daemon.core.ports import Account
    from daemon.layers.ingestion.feed_config import Transport
    from daemon.running.world.shadow import Note
    from daemon.store.golive import Arming
    from daemon.venues.ccxt_market import CcxtMarket


async def real_site(
    settings: Settings,
    *,
    exchange: str,
    symbols: Sequence[str],
    mode: str,
    urls: Mapping[str, str] | None = None,
    accepts_unverified: bool = False,
    is_closing: bool = False,
    known: Mapping[InstrumentId, Instrument] = NOTHING_KNOWN,
    note: Note = unheard,
) -> Site:
    """A real exchange's market: on paper its live book with our fills, and nothing is ever sent to
    it; in shadow the same beside its account, which is only read; live its account, where an arming
    lets orders be sent.

    `urls` lead the unchanged client of that exchange to a stand-in on loopback, for tests. What
    only closes what is held, `is_closing`, needs no arming. `known` are the run's instruments.
    """
    wanted = Wanted(symbols, known)
    if mode == SHADOW:
        refuse_shadow(settings)
        return await _shadow_site(settings, exchange, wanted, urls, accepts_unverified, note)
    if mode != LIVE:
        return await _paper_site(settings, exchange, wanted, urls)
    arming = None if is_closing else refuse_unarmed(settings)
    return await _live_site(settings, exchange, wanted, urls, accepts_unverified, arming)


async def real_account(
    settings: Settings, exchange: str, opened: RunOpened, urls: Mapping[str, str] | None = None
) -> Account:
    """What a real account holds and has done since the run opened; it is only read."""
    client = account_client(settings, exchange, urls)
    wall(client, exchange)
    venue = venue_of(client, settings, exchange)
    try:
        return await venue.account([each.id for each in opened.instruments], opened.ts_ns)
    finally:
        await venue.close()


async def _paper_site(
    settings: Settings, exchange: str, wanted: Wanted, urls: Mapping[str, str] | None
) -> Site:
    from daemon.venues.paper_venue import PaperVenue

    market = await _market(settings, exchange, wanted, urls)
    is_funded = market.data.tells_funding and any(each.is_swap for each in market.instruments)
    paper = PaperVenue(
        market.data,
        market.instruments,
        market.clock,
        start={each.quote: settings.allotted[each.quote] for each in market.instruments},
        timeframe_ns=timeframe_ns(settings.data.fetched_timeframe),
        terms=paper_terms(settings, exchange),
        funding=market.data.funding if is_funded else None,
    )
    orders = OrderSide(
        label=f"LIVE MARKET {exchange}, PAPER ORDERS",
        account=f"paper-{settings.run.name}",
        venue=paper,
        paper=paper,
    )
    return market.site(settings, orders)


async def _shadow_site(  # noqa: PLR0917  # what an account is made of
    settings: Settings,
    exchange: str,
    wanted: Wanted,
    urls: Mapping[str, str] | None,
    accepts_unverified: bool,
    note: Note,
) -> Site:
    client = account_client(settings, exchange, urls)
    wall(client, exchange)
    account = venue_of(client, settings, exchange)
    try:
        ask = checks_of(
            client, exchange, accepts_unverified=accepts_unverified, must_trade=False, urls=urls
        )
        key: LiveKey | None = LiveKey(ask, await ask())
        market = await _market(settings, exchange, wanted, urls)
    except BaseException:
        await account.close()
        raise
    try:
        venue, paper, key = await shadowed(
            account,
            client,
            market.data,
            market.instruments,
            market.clock,
            paper_terms(settings, exchange),
            key,
            timeframe_ns=timeframe_ns(settings.data.fetched_timeframe),
            note=note,
        )
    except BaseException:
        for each in (account, market.data, market.history):
            await each.close()
        raise
    orders = OrderSide(
        label=f"LIVE MARKET {exchange}, SHADOW ORDERS",
        account=f"shadow-{settings.run.name}",
        venue=venue,
        paper=paper,
        key=key,
    )
    return market.site(settings, orders)


async def _live_site(  # noqa: PLR0917  # what an account is made of
    settings: Settings,
    exchange: str,
    wanted: Wanted,
    urls: Mapping[str, str] | None,
    accepts_unverified: bool,
    arming: Arming | None,
) -> Site:
    """Signed orders to a real account, once its key was found fit."""
    client = account_client(settings, exchange, urls)
    venue = venue_of(client, settings, exchange)
    claim = None
    try:
        name, owner = settings.run.name, fingerprint(settings)
        claim = Claim.take(name, exchange, owner or "", urls)
        ask = checks_of(client, exchange, accepts_unverified=accepts_unverified, urls=urls)
        key = LiveKey(ask, await ask())
        market = await _market(settings, exchange, wanted, urls)
    except BaseException:
        await venue.close()
        if claim is not None:
            claim.close()
        raise

    orders = OrderSide(
        label=f"LIVE MARKET {exchange}, REAL ORDERS",
        account=f"live-{settings.run.name}",
        venue=venue,
        key=key,
        tell_doubts_to=venue.tell_doubts_to,
        arming=arming,
        claim=claim,
    )
    return market.site(settings, orders)


@dataclass(slots=True, kw_only=True)
class _Market:
    """The public side of a real exchange, connected: all that a site is made of but its orders."""

    exchange: str
    public: Any
    data: CcxtMarket
    history: CcxtMarket
    transport: Transport
    listed: Listed
    clock: MarketClock
    server_ns: int

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        return self.listed.instruments

    def site(self, settings: Settings, orders: OrderSide) -> Site:
        return Site(
            exchange=self.exchange,
            market=self.exchange,
            market_key=self.exchange,
            clock=self.clock,
            market_data=self.data,
            history_data=self.history,
            instruments=self.instruments,
            first_open_ns=floor_to_grid(self.server_ns, timeframe_ns(settings.data.timeframe)),
            page_limit=self.data.page_limit,
            sends_empty_bars=self.data.sends_empty_bars,
            transport=self.transport,
            on_wire_time=self.public.budget.set_time,
            label=orders.label,
            account=orders.account,
            venue=orders.venue,
            paper=orders.paper,
            tell_doubts_to=orders.tell_doubts_to,
            key=orders.key,
            arming=orders.arming,
            claim=orders.claim,
            untraded=self.listed.untraded,
        )


async def _market(
    settings: Settings, exchange: str, wanted: Wanted, urls: Mapping[str, str] | None
) -> _Market:
    from daemon.venues.ccxt_client import make_client
    from daemon.venues.ccxt_market import CcxtMarket

    fetched = settings.data.fetched_timeframe
    public = make_client(exchange, urls=urls)
    data = CcxtMarket(public, exchange, fetched)
    try:
        transport = transport_for(settings, exchange, data)
        found = await listed(data, exchange, wanted)
        server_ns = await data.server_ns()
    except BaseException:
        await data.close()
        raise
    history = make_client(exchange, urls=urls, use=Use.HISTORY)
    return _Market(
        exchange=exchange,
        public=public,
        data=data,
        history=CcxtMarket(history, exchange, fetched, within_s=HISTORY_WITHIN_S),
        transport=transport,
        listed=found,
        clock=MarketClock(WireClock(), market_ns=server_ns),
        server_ns=server_ns,
    )
