"""The daemon's order path on a faulty exchange: its core, journal, outbox, venue and comparing, all
as they ship, over the wire through the unmodified ccxt client.

Belongs here: plugging them together, and saying what a model would. What must come of a fault
belongs to the tests; only the market and the signals are made up.
"""

from __future__ import annotations

import asyncio
import contextlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from daemon.app import build_core, routes
from daemon.config import load
from daemon.core import events as e
from daemon.core.bars import Bar, BarSource
from daemon.core.clock import MarketClock, WireClock
from daemon.core.inbox import Inbox
from daemon.core.pipeline import Pipeline
from daemon.core.timeframes import NS_PER_MS
from daemon.feature_config import feature_set_of
from daemon.running.book_task import BookTask
from daemon.running.order_tasks import follow_open, tick_orders
from daemon.running.quotes import QuoteDesk
from daemon.running.reconcile import Books
from daemon.running.recovery import settle
from daemon.running.runner import Runner
from daemon.running.sites import Site
from daemon.store.journal import SqliteJournal
from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_market import CcxtMarket
from daemon.venues.ccxt_venue import CcxtVenue
from daemon.venues.outbox import Outbox
from tests.both_sides import differences, doubled_or_unintended, unprotected
from tests.builders import a_model_activated, a_payoff
from tests.exchange.fake_market import FROM_MS, HOUR_MS, FakeMarket
from tests.exchange.loopback import BALANCES, CREDENTIALS, Loopback, loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from daemon.core.instruments import Instrument, InstrumentId
    from daemon.core.orders import Order

D = Decimal
NAME = "embedded"
VALIDITY_MS = 400
GRACE_S = 0.3
WITHIN_S = 15.0
RATE = 5.0  # time passes faster for orders that are worked, so that tests wait less
FIRST_BARS = 2  # a price must have one before it to be believed
# Without a model there is nothing to learn, predict or monitor.
NOTHING_ELSE = ("Features", "Inference", "Signals", "Monitoring")
GOOD = a_payoff(win_ratio=0.02, loss_ratio=0.012)
SETTINGS: dict[str, object] = {
    "data.symbols": ("BTC/USDT",),
    "execution.validity_ms": VALIDITY_MS,
    "execution.grace_s": GRACE_S,
    "execution.quote_within_s": 0.5,
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


class MoneyDesk:
    """One life of a daemon; `again` gives it the next one on the same journal and account."""

    def __init__(
        self, lab: Loopback, folder: Path, shown: FakeMarket, changed: dict[str, object]
    ) -> None:
        self._shown = shown
        self.lab = lab
        self.id: InstrumentId
        self._folder = folder
        self._changed = changed
        self._settings = load(None, SETTINGS | changed, {})
        self._running: list[asyncio.Task[None]] = []
        self._slot = 0
        self.told: list[e.Event] = []  # every event of this life
        self.said: list[tuple[str, dict[str, Any]]] = []

    # --- a life ---------------------------------------------------------------------------------

    async def begin(self) -> None:
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
        while self._slot < FIRST_BARS:
            await self.bar()

    async def stops(self) -> None:
        """Ask for the end as a stop does."""
        await self.inbox.put(e.StopRequested(ts_ns=self.now_ns()))
        await self.settled()

    async def die(self) -> None:
        """Let go of everything at once; the journal keeps what was committed."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running = []
        await self.venue.close()
        await self._market.close()
        await self._journal.close()

    async def restarts(self) -> None:
        """Die where it stands, and live again on the same journal and account."""
        await self.die()
        self.told, self.said = [], []
        await self.begin()

    async def subscribed(self) -> None:
        """Until the exchange has confirmed the stream of reports."""
        url = self._signed.urls["api"]["ws"]["ws-api"]["spot"]

        def is_there() -> bool:
            socket = self._signed.clients.get(url)
            return socket is not None and "orders" in socket.futures

        await self.until(is_there)

    # --- what is said to it ---------------------------------------------------------------------

    async def bar(self) -> None:
        """The exchange plays a slot, and its bar is taken."""
        await self.lab.play(1)
        self._slot += 1
        clock = await self.lab.get("clock")
        self.clock.anchor(clock["market_ms"] * NS_PER_MS, RATE)
        shown = self._shown.bar("BTCUSDT", FROM_MS + (self._slot - 1) * HOUR_MS)
        assert shown is not None
        price = float(shown.close)
        close_ns = FROM_MS * NS_PER_MS + self._slot * HOUR_MS * NS_PER_MS
        bar = Bar(
            instrument=self.id,
            open_ns=close_ns - HOUR_MS * NS_PER_MS,
            close_ns=close_ns,
            open=price,
            high=price,
            low=price,
            close=price,
            volume=4.0,
            received_ns=close_ns,
            source=BarSource.STREAM,
        )
        await self.inbox.put(e.BarsClosed(ts_ns=max(close_ns, self.now_ns()), bars=(bar,)))

    async def wants(self, direction: e.Direction, *, waits: bool = True) -> None:
        """What a model would say of the newest bar."""
        await self._rest()
        is_flat = direction is e.Direction.FLAT
        self._signals = getattr(self, "_signals", 0) + 1
        signal = e.SignalEmitted(
            ts_ns=self.now_ns(),
            instrument=self.id,
            trace=f"{self._slot:016x}{self._signals:016x}",
            close_ns=self.core.book.marked_ns[self.id],
            direction=direction,
            reason=e.SignalReason.HORIZON if is_flat else e.SignalReason.MODEL,
            model="",
            price=float(self.core.book.marks[self.id]),
            probability_up=None if is_flat else 0.9,
            win_probability=None if is_flat else 0.9,
            confidence=None if is_flat else 0.8,
            edge_ratio=None,
            expires_ns=None,
        )
        await self.inbox.put(cast("Any", signal))
        if waits:
            await self.settled()

    async def buys(self, *, waits: bool = True) -> None:
        await self.wants(e.Direction.LONG, waits=waits)

    async def sells(self, *, waits: bool = True) -> None:
        await self.wants(e.Direction.FLAT, waits=waits)

    async def settled(self, within_s: float = WITHIN_S) -> None:
        """Until nothing is on its way and nothing is being worked."""
        async with asyncio.timeout(within_s):
            while not self._is_quiet() or self.core.blotter.parents or self._unresolved():
                self._raise_if_ended()
                await asyncio.sleep(0.01)

    async def heard(self, kind: type[e.Event], within_s: float = WITHIN_S) -> Any:
        """The newest event of a kind, once there is one."""
        async with asyncio.timeout(within_s):
            while not (found := self.all(kind)):
                self._raise_if_ended()
                await asyncio.sleep(0.01)
        return found[-1]

    async def until(self, is_so: Any, within_s: float = WITHIN_S) -> None:
        async with asyncio.timeout(within_s):
            while not is_so():
                self._raise_if_ended()
                await asyncio.sleep(0.01)

    async def compare(self) -> bool:
        """As the daemon does now and then; True when both sides agree."""
        await self._books_task.compare()
        await self._rest()
        return [fields["equal"] for name, fields in self.said if name == "books.compared"][-1:] == [
            True
        ]

    # --- what is asked of it --------------------------------------------------------------------

    @property
    def held(self) -> Decimal:
        return self.core.book.position(self.id).quantity

    @property
    def orders(self) -> list[Order]:
        return list(self.core.blotter.orders.values())

    @property
    def stop_order(self) -> Order | None:
        return self.core.blotter.stop_of(self.id)

    def all(self, kind: type[e.Event]) -> list[Any]:
        return [each for each in self.told if isinstance(each, kind)]

    def states(self) -> list[str]:
        """(leg, state) of every order, in the order of their intents."""
        return [f"{each.leg} {each.state}" for each in self.orders]

    async def assert_books_are_right(self, *, is_protected: bool = True) -> None:
        """Whatever happened: nothing doubled, nothing lost, both sides equal to the last digit."""
        await self.settled()
        ledger = await self.lab.get("ledger")
        wrong = list(doubled_or_unintended(ledger, self.core.blotter.orders))
        wrong += differences(ledger, self.books)
        if is_protected:
            await self.until(lambda: self.is_protected)
            ledger = await self.lab.get("ledger")
            wrong += unprotected(ledger, self.books)
        assert wrong == []
        assert await self.compare(), self.said[-3:]

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
            is_ordered=False,
        )
        self._books_task = BookTask(
            site,
            self._settings.execution,
            self.outbox,
            put=self.inbox.put,
            rest=self._rest,
            emit=lambda name, **fields: self.said.append((name, fields)),
        )
        self._journal = SqliteJournal.open(self._folder / "journal.db")
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

    def _unresolved(self) -> bool:
        return bool(self.core.blotter.unresolved())

    @property
    def is_protected(self) -> bool:
        """The stop that rests is for all that is held and can be sold, or there is none to be."""
        stop = self.stop_order
        ratio = D(repr(self._settings.execution.stop_loss_ratio))
        rules = self.core.book.instruments[self.id]
        quantity = rules.quantize_down(self.held)
        takes = ratio and rules.takes(quantity, self.core.book.marks[self.id] * (1 - ratio))
        wanted = quantity if takes else D(0)
        is_known = stop is None or not stop.is_unresolved
        return is_known and wanted == (D(0) if stop is None else stop.leaves_quantity)

    def _raise_if_ended(self) -> None:
        for task in self._running:
            if task.done():
                task.result()
                msg = "a task of the daemon ended"
                raise AssertionError(msg)


@contextlib.asynccontextmanager
async def money_desk(
    folder: Path, market: FakeMarket | None = None, **changed: object
) -> AsyncIterator[MoneyDesk]:
    """A daemon that trades BTC/USDT on an exchange in this process; settings as section__key."""
    settings = {name.replace("__", "."): value for name, value in changed.items()}
    shown = market or FakeMarket()
    async with loopback(folder, market=shown) as lab:
        desk = MoneyDesk(lab, folder, shown, settings)
        try:
            await desk.begin()
            yield desk
        finally:
            await desk.die()


async def _not_away(_exchange: str, error: Exception) -> None:
    raise error
