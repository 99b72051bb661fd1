"""One life of a daemon's order path on a faulty exchange: its core, journal, outbox, venue and
comparing, all as they ship, over the wire through the unmodified ccxt client.

Belongs here: plugging them together, starting and dying. What is said to it and asked of it belongs
to `money_desk`; only the market and the signals are made up.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from daemon.app import build_core
from daemon.config import load
from daemon.core import events as e
from daemon.core.clock import MarketClock, WireClock
from daemon.core.inbox import Inbox
from daemon.core.pipeline import Pipeline
from daemon.core.timeframes import NS_PER_MS
from daemon.feature_config import feature_set_of
from daemon.routes import routes
from daemon.running.books.reconcile import Books
from daemon.running.books.recovery import settle
from daemon.running.books.task import BookTask
from daemon.running.listing_watch import ListingWatch, news_of_rules
from daemon.running.order_tasks import follow_open, tick_orders
from daemon.running.quotes import QuoteDesk
from daemon.running.runner import Runner
from daemon.running.world.sites import Site
from daemon.store.journal import SqliteJournal
from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_market import CcxtMarket
from daemon.venues.ccxt_venue import CcxtVenue
from daemon.venues.outbox import Outbox
from daemon.venues.turns import Turns
from tests.builders import a_model_activated, a_payoff
from tests.exchange.fake_market import FROM_MS, HOUR_MS, FakeMarket
from tests.exchange.loopback import BALANCES, CREDENTIALS, Loopback

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.core.instruments import Instrument, InstrumentId

D = Decimal
NAME = "embedded"
VALIDITY_MS = 400
GRACE_S = 0.3
RATE = 5.0  # time passes faster for orders that are worked, so that tests wait less
# Without a model there is nothing to learn, predict or monitor.
NOTHING_ELSE = ("Features", "Inference", "Signals", "Monitoring")
GOOD = a_payoff(win_ratio=0.02, loss_ratio=0.012)
SETTINGS: dict[str, object] = {
    "data.symbols": ("BTC/USDT",),
    "execution.validity_ms": VALIDITY_MS,
    "execution.grace_s": GRACE_S,
    "execution.quote_within_s": 3.0,  # a busy machine is no fault of an exchange
    "execution.reconcile_every_s": 600.0,
    "execution.reconcile_patience_s": 0.3,
    "execution.slice_depth_ratio": 0.0,
    "risk.trade_unknown_model": "always",
    "risk.max_losses_in_a_row": 0,
    "risk.max_refusals_in_a_row": 0,
    "risk.max_position_ratio": 0.1,
    "risk.max_order_notional_quote": D(1_000),
    "risk.allotted_quote": D(10_000),
}


class MoneyLife:
    """A daemon that lives, dies, and lives again on the same journal and account."""

    def __init__(
        self, lab: Loopback, folder: Path, shown: FakeMarket, changed: dict[str, object]
    ) -> None:
        self._shown = shown
        self.lab = lab
        self.id: InstrumentId
        self.journal_path = folder / "journal.db"
        self.journal_max_bytes: int | None = None  # of the next life
        self._settings = load(None, SETTINGS | changed, {})
        self._running: list[asyncio.Task[None]] = []
        self._slot = 0
        self.told: list[e.Event] = []  # every event of this life
        self.said: list[tuple[str, dict[str, Any]]] = []

    # --- a life ---------------------------------------------------------------------------------

    async def live(self) -> None:
        """Recover and settle as a start does, then go on."""
        ends = self.lab.endpoints
        urls = {"rest": ends.rest, "stream": ends.stream, "ws_api": ends.ws_api}
        self._public = make_client(NAME, urls=urls)
        self._signed = make_client(
            NAME,
            urls=urls,
            credentials=(CREDENTIALS.key, CREDENTIALS.secret),
            validity_ms=VALIDITY_MS,
        )
        self._market = CcxtMarket(self._public, NAME, "1h")
        self.venue = CcxtVenue(self._signed, NAME, validity_ms=VALIDITY_MS, grace_s=GRACE_S)
        instruments = await self._market.instruments(list(self._settings.data.symbols))
        self.id = instruments[0].id
        self._build(instruments)
        opened = await self._recover(instruments)
        for event in news_of_rules(self.core.book.instruments, instruments, self.now_ns()):
            await self.runner.take(event)
        self.listing = ListingWatch(
            self._market, instruments, now_ns=self.now_ns, put=self.inbox.put
        )
        books = Books(opened, self.core.blotter, self.core.book, self.core.flows)
        self.books = books
        watch = self._books_task.watch(books, HOUR_MS * NS_PER_MS)
        try:
            await settle(
                self.core.blotter,
                {NAME: self.venue},
                {NAME: watch},
                self.runner.take,
                self.now_ns(),
                on_away=_not_away,
            )
        finally:
            follow_open(self.core.blotter, {NAME: self.outbox})
        ticks = tick_orders(
            self.core.is_due, self.inbox.put, self.now_ns, lambda: self.runner.is_idle, every_s=0.05
        )
        work = [self.runner.run(), self.outbox.run(), self.quotes.run(), ticks]
        self._running = [asyncio.create_task(each) for each in work]

    async def die(self) -> None:
        """Let go of everything at once; the journal keeps what was committed."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running = []
        await asyncio.gather(self.venue.close(), self._market.close())  # ccxt takes its time
        await self._journal.close()

    def now_ns(self) -> int:
        return self.clock.now_ns()

    # --- parts ----------------------------------------------------------------------------------

    def _build(self, instruments: tuple[Instrument, ...]) -> None:
        features = feature_set_of(self._settings)
        self.core = build_core(self._settings, features, None, [each.id for each in instruments])
        kept = [
            row
            for row in routes(self.core)
            if type(getattr(row.handler, "__self__", None)).__name__ not in NOTHING_ELSE
        ]
        begun_ns = (FROM_MS + self._slot * HOUR_MS) * NS_PER_MS
        self.clock = MarketClock(WireClock(), market_ns=begun_ns, rate=RATE)
        self.inbox = Inbox()
        self.outbox = Outbox(self.venue, self.inbox.put)
        site = Site(
            exchange=NAME,
            market="fake",
            market_key="fake",
            label="fake",
            account="lab",
            clock=self.clock,
            market_data=self._market,
            history_data=self._market,
            venue=self.venue,
            instruments=instruments,
            first_open_ns=FROM_MS * NS_PER_MS,
            tell_doubts_to=self.venue.tell_doubts_to,
        )
        self.quotes = QuoteDesk(
            {NAME: site},
            self.inbox.put,
            within_s=self._settings.execution.quote_within_s,
            turns=Turns(is_ordered=False),
        )
        self._books_task = BookTask(
            site,
            self._settings.execution,
            self.outbox,
            put=self.inbox.put,
            rest=self._rest,
            emit=lambda name, **fields: self.said.append((name, fields)),
        )
        self._journal = SqliteJournal.open(
            self.journal_path, busy_timeout_ms=50, size_max_bytes=self.journal_max_bytes
        )
        self.runner = Runner(Pipeline(kept), self._journal, self.inbox, act=self._act)
        self.runner.observers.append(self.told.extend)

    async def _recover(self, instruments: tuple[Instrument, ...]) -> e.RunOpened:
        known = [event for _, event in self._journal.read()]
        self.runner._pipeline.recover(known)
        opened = next((each for each in known if isinstance(each, e.RunOpened)), None)
        if opened is None:
            opened = self._opened(instruments)
            await self.runner.take(opened)
            await self.runner.take(
                a_model_activated(
                    ts_ns=opened.ts_ns,
                    trained_through_ns=opened.ts_ns,
                    long_payoff=GOOD,
                    short_payoff=GOOD,
                )
            )
        await self.runner.take(e.Started(ts_ns=self.now_ns()))
        return opened

    def _opened(self, instruments: tuple[Instrument, ...]) -> e.RunOpened:
        return e.RunOpened(
            ts_ns=FROM_MS * NS_PER_MS,
            run="faulty",
            bot=self._settings.run.name,
            mode="live",
            market="fake",
            account="lab",
            timeframe="1h",
            timeframe_ns=HOUR_MS * NS_PER_MS,
            instruments=instruments,
            allotted_quote=self._settings.risk.allotted_quote,
            balances=tuple(e.Balance(name, total) for name, total in sorted(BALANCES.items())),
            config_hash="",
            first_open_ns=FROM_MS * NS_PER_MS,
            end_ns=None,
        )

    def _act(self, command: e.Command) -> None:
        if isinstance(command, e.AskQuotes):
            self.quotes.post(command)
        else:
            self.outbox.post(cast("Any", command))

    async def _rest(self) -> None:
        while len(self.inbox) or not self.runner.is_idle:  # noqa: ASYNC110  # two parties
            await asyncio.sleep(0.01)

    def _is_quiet(self) -> bool:
        is_idle = self.runner.is_idle and not len(self.inbox) and not self.quotes.in_flight
        return is_idle and not self.outbox.in_flight

    def _raise_if_ended(self) -> None:
        for task in self._running:
            if task.done():
                task.result()
                msg = "a task of the daemon ended"
                raise AssertionError(msg)


async def _not_away(_exchange: str, error: Exception) -> None:
    raise error
