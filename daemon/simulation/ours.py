"""The shipped order path in a simulated world: its core, outbox, venue, recovery and reconciling.

Belongs here: plugging together what ships, as `session` and `live` do, and the script that stands
for layers 1 to 4. `Parts` can be exchanged, so that tests can plant the bugs that must be caught.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from daemon.app import build_core
from daemon.config import load
from daemon.core.bars import Bar, BarSource
from daemon.core.clock import MarketClock
from daemon.core.events import (
    AskQuotes,
    Balance,
    BarsClosed,
    Command,
    HistoryLoaded,
    ModelActivated,
    Payoff,
    RunOpened,
    Started,
)
from daemon.core.inbox import Inbox
from daemon.core.pipeline import Pipeline, on
from daemon.core.ports import Book, Venue
from daemon.core.timeframes import NS_PER_S
from daemon.feature_config import feature_set_of
from daemon.routes import routes
from daemon.running.books.reconcile import Books
from daemon.running.books.recovery import settle
from daemon.running.books.task import BookTask
from daemon.running.order_tasks import follow_open, tick_orders
from daemon.running.quotes import QuoteDesk
from daemon.running.runner import Runner
from daemon.running.world.sites import Site
from daemon.simulation.script import Script
from daemon.simulation.world import CALM_FROM_S, EPOCH_NS, SLOT_S, World
from daemon.venues.ccxt_client import VALIDITY_MS
from daemon.venues.ccxt_venue import GRACE_S, CcxtVenue
from daemon.venues.outbox import Outbox
from daemon.venues.turns import Turns

if TYPE_CHECKING:
    from daemon.app import Core
    from daemon.config import Settings
    from daemon.core.errors import ExchangeUnreachable
    from daemon.core.instruments import InstrumentId
    from daemon.core.ports import Journal, MarketData
    from daemon.layers.features.sets import FeatureSet
    from daemon.simulation.client import ModelClient

SLOT_NS = round(SLOT_S * NS_PER_S)
PUBLISHED_AFTER_S = 0.4
LOOK_AGAIN_S = 10.0
TICK_S = 3.0
QUIET_FROM_S = CALM_FROM_S + 75.0  # in which the books are compared at least once
QUIET_CHECK_S = 5.0
PAYOFF = Payoff(win_ratio=0.02, loss_ratio=0.012, n=500)
NOTHING_ELSE = ("Features", "Inference", "Signals", "Monitoring")  # the script stands for them


def _as_it_is(venue: Venue) -> Venue:
    return venue


class Parts(Struct, frozen=True, kw_only=True):
    """What ships; a test may put something broken in the place of one of them."""

    exchange: str = "binance"
    grace_s: float = GRACE_S
    validity_ms: int = VALIDITY_MS
    venue: Callable[[Venue], Venue] = _as_it_is
    runner: type[Runner] = Runner
    settles: Callable[..., Awaitable[object]] = settle
    compares: bool = True


SHIPPED = Parts()


@cache
def settings_of(name: str, changed: tuple[tuple[str, object], ...]) -> tuple[Settings, FeatureSet]:
    """Settings as configured by nobody, with these changes."""
    told: dict[str, object] = {
        "data.exchange": name,
        "data.timeframe": "1m",
        "data.symbols": ("BTC/USDT",),
        # Nothing that keeps a script from ordering: here it is orders that are looked at.
        "risk.trade_unknown_model": "always",
        "risk.max_losses_in_a_row": 0,
        "risk.max_refusals_in_a_row": 0,
    }
    settings = load(None, {**told, **dict(changed)}, {})
    return settings, feature_set_of(settings)


class Process:
    """One process of the bot, from its start to its end or its death."""

    def __init__(
        self,
        world: World,
        journal: Journal,
        parts: Parts,
        changed: tuple[tuple[str, object], ...],
    ) -> None:
        self._world = world
        self._parts = parts
        self._name = world.instrument.id.exchange
        self._settings, features = settings_of(self._name, changed)
        self._ids: list[InstrumentId] = [world.instrument.id]
        self.core: Core = build_core(self._settings, features, None, self._ids)
        self._pipeline = self._routes()
        self.client: ModelClient = world.client()
        self.inbox = Inbox(now_ns=lambda _event: self._now_ns())
        self._account = CcxtVenue(
            self.client,
            self._name,
            validity_ms=parts.validity_ms,
            grace_s=parts.grace_s,
            rng=world.rng,
            wire=world.wire,
        )
        self.venue = parts.venue(self._account)
        self.clock = MarketClock(world.wire, market_ns=world.wire.now_ns())
        self.site = self._site()
        self.outbox = Outbox(self.venue, self.inbox.put)
        self.quotes = QuoteDesk(
            {self._name: self.site},
            self.inbox.put,
            within_s=self._settings.execution.quote_within_s,
            turns=Turns(is_ordered=False),
        )
        self._books = BookTask(
            self.site,
            self._settings.execution,
            self.outbox,
            put=self.inbox.put,
            rest=self._rest,
            emit=lambda *_said, **_fields: None,
        )
        self._journal = journal
        self.runner = parts.runner(self._pipeline, journal, self.inbox, act=self._act)
        self.runner.observers.append(self._books.note)
        self._next_slot = 0

    async def main(self) -> None:
        """Recover, trade by the script, and end when the chaos is over and all is quiet."""
        opened = await self._recover()
        follow_open(self.core.blotter, {self._name: self.outbox})
        tasks = [
            self.runner.run(),
            self.outbox.run(),
            self.quotes.run(),
            self._feed(),
            tick_orders(
                self.core.is_due,
                self.inbox.put,
                self._now_ns,
                lambda: self.runner.is_idle,
                every_s=TICK_S,
            ),
        ]
        if self._parts.compares:
            tasks.append(self._books.run())
        running = [asyncio.create_task(each) for each in tasks]
        quiet = asyncio.create_task(self._quiet())
        await asyncio.wait([*running, quiet], return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            if task.done():
                task.result()
        del opened

    def wanted_stop(self, held: Decimal) -> Decimal:
        """What the stop behind this position must be for; 0 when it needs none."""
        rules = self._world.instrument
        quantity = rules.quantize_down(max(Decimal(0), held))
        is_sellable = rules.takes(quantity, self._world.exchange.price)
        is_wanted = self._settings.execution.stop_loss_ratio and is_sellable
        return quantity if is_wanted else Decimal(0)

    # --- parts ----------------------------------------------------------------------------------

    def _routes(self) -> Pipeline:
        """The shipped routes; where layers 1 to 4 would decide, the script does."""
        script = Script(self._world, self.core.book)
        kept = [
            row
            for row in routes(self.core)
            if type(getattr(row.handler, "__self__", None)).__name__ not in NOTHING_ELSE
        ]
        return Pipeline([*kept, on(BarsClosed, script.on_bars_closed)])

    def _site(self) -> Site:
        shown = cast("MarketData", _Market(self.client, self._world))
        return Site(
            exchange=self._name,
            market="model",
            market_key="model",
            label="model",
            account="model",
            clock=self.clock,
            market_data=shown,
            history_data=shown,
            venue=self.venue,
            instruments=(self._world.instrument,),
            first_open_ns=EPOCH_NS,
            tell_doubts_to=self._account.tell_doubts_to,
        )

    def _act(self, command: Command) -> None:
        if isinstance(command, AskQuotes):
            self.quotes.post(command)
        else:
            self.outbox.post(cast("Any", command))

    def _now_ns(self) -> int:
        return self.clock.now_ns()

    # --- starting -------------------------------------------------------------------------------

    async def _recover(self) -> RunOpened:
        known = [event for _, event in self._journal.read()]
        self._replay(known)
        opened = next((each for each in known if isinstance(each, RunOpened)), None)
        take = self.runner.take
        if opened is None:
            opened = self._opened()
            await take(opened)
        if not any(isinstance(each, ModelActivated) for each in known):
            await take(self._model())
            await take(HistoryLoaded(ts_ns=EPOCH_NS, bars=self._bar(-1).bars))
        now_ns = self._now_ns()
        await take(Started(ts_ns=now_ns))
        books = Books(opened, self.core.blotter, self.core.book, self.core.flows)
        watch = self._books.watch(books, SLOT_NS)
        await self._parts.settles(
            self.core.blotter,
            {self._name: self.venue},
            {self._name: watch},
            take,
            now_ns,
            on_away=self._wait,
        )
        return opened

    def _replay(self, known: list[Any]) -> None:
        self._pipeline.recover(known)
        closes = [each.bars[0].close_ns for each in known if isinstance(each, BarsClosed)]
        self._next_slot = (max(closes) - EPOCH_NS) // SLOT_NS if closes else 0

    @staticmethod
    async def _wait(_exchange: str, _error: ExchangeUnreachable) -> None:
        await asyncio.sleep(LOOK_AGAIN_S)

    def _opened(self) -> RunOpened:
        instrument, risk = self._world.instrument, self._settings.risk
        held = self._world.opening
        return RunOpened(
            ts_ns=EPOCH_NS,
            run="simulated",
            bot=self._settings.run.name,
            mode="live",
            market="model",
            account="model",
            timeframe="1m",
            timeframe_ns=SLOT_NS,
            instruments=(instrument,),
            allotted_quote=risk.allotted_quote,
            balances=tuple(Balance(name, held[name]) for name in sorted(held)),
            config_hash="",
            first_open_ns=EPOCH_NS,
            end_ns=None,
        )

    @staticmethod
    def _model() -> ModelActivated:
        return ModelActivated(
            ts_ns=EPOCH_NS,
            model="script",
            feature_fingerprint="",
            feature_names=(),
            horizon_bars=1,
            trained_through_ns=EPOCH_NS,
            long_payoff=PAYOFF,
            short_payoff=PAYOFF,
            auc=0.6,
            auc_low=0.55,
            auc_high=0.65,
        )

    # --- running --------------------------------------------------------------------------------

    async def _feed(self) -> None:
        """Every slot's bar, those that closed while nobody was there at once."""
        while True:
            slot = self._next_slot
            published_s = (slot + 1) * SLOT_S + PUBLISHED_AFTER_S
            await asyncio.sleep(max(0.0, published_s - self._world.timeline.now_s))
            self._next_slot += 1
            await self.inbox.put(self._bar(slot))

    def _bar(self, slot: int) -> BarsClosed:
        price = float(self._world.close_of(slot))
        open_ns = EPOCH_NS + slot * SLOT_NS
        bar = Bar(
            instrument=self._ids[0],
            open_ns=open_ns,
            close_ns=open_ns + SLOT_NS,
            open=price,
            high=price,
            low=price,
            close=price,
            volume=1.0,
            received_ns=self._now_ns(),
            source=BarSource.STREAM,
        )
        return BarsClosed(ts_ns=max(bar.close_ns, self._now_ns()), bars=(bar,))

    async def _rest(self) -> None:
        while len(self.inbox) or not self.runner.is_idle:  # noqa: ASYNC110  # two parties
            await asyncio.sleep(0.02)

    async def _quiet(self) -> None:
        timeline = self._world.timeline
        await asyncio.sleep(max(0.0, CALM_FROM_S - timeline.now_s))
        self._world.calm()
        await asyncio.sleep(max(0.0, QUIET_FROM_S - timeline.now_s))
        while not self._is_quiet():  # noqa: ASYNC110  # four parties, none knows it all
            await asyncio.sleep(QUIET_CHECK_S)

    def _is_quiet(self) -> bool:
        return (
            self.runner.is_idle
            and not len(self.inbox)
            and not self.quotes.in_flight
            and not self.outbox.in_flight
            and not self.core.blotter.parents
            and not self.core.blotter.unresolved()
            and self._is_protected()
        )

    def _is_protected(self) -> bool:
        stop = self.core.blotter.stop_of(self._ids[0])
        held = self.core.book.position(self._ids[0]).quantity
        if stop is None:
            return not self.wanted_stop(held)
        return stop.leaves_quantity == self._world.instrument.quantize_down(held)


class _Market:
    """The order book, which is all that is read of the market here."""

    def __init__(self, client: ModelClient, world: World) -> None:
        self._client = client
        self._world = world
        self.exchange = world.instrument.id.exchange

    async def book(self, _instrument: InstrumentId, _levels: int) -> Book:
        """As `CcxtMarket` would: an answer, or ExchangeUnreachable."""
        bids, asks = await self._client.fetch_book()
        return Book(bids=tuple(bids), asks=tuple(asks))
