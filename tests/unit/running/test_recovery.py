from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from daemon.config import ExecutionSection
from daemon.core import events as e
from daemon.core.errors import ExchangeUnreachable
from daemon.core.instruments import InstrumentId
from daemon.core.orders import OrderState
from daemon.core.ports import Account
from daemon.running.books.reconcile import Books
from daemon.running.books.recovery import settle, was_cut_off
from daemon.running.books.watch import BookWatch, Rules
from daemon.running.state_text import state_text
from daemon.store.journal import SqliteJournal
from tests.builders import a_bars_closed, a_signal, an_approval
from tests.fakes import FakeVenue, Fate
from tests.unit.core.simulation import (
    ACCOUNTS,
    ALLOTTED,
    ALLOTTED_BTC,
    IDS,
    INSTRUMENTS,
    a_core,
    plain_settings,
)

BTC, ETH, CROSS, SWAP, THERE = IDS  # the last one is BTC too, on another exchange
TS_NS = 10**18
OPENED = e.RunOpened(
    ts_ns=0,
    run="r",
    bot="b",
    mode="paper",
    market="synthetic",
    account="a",
    timeframe="1h",
    timeframe_ns=3_600_000_000_000,
    instruments=tuple(INSTRUMENTS.values()),
    allotted_quote=ALLOTTED,
    balances=ACCOUNTS[0].balances,
    accounts=ACCOUNTS,
    config_hash="",
    first_open_ns=0,
    end_ns=None,
)


class BankingVenue(FakeVenue):
    """Knows its balances too; a deposit comes from somewhere else."""

    deposit = Decimal(0)
    away = 0  # readings that get no answer
    on_reading: Callable[[], None] | None = None  # what happens meanwhile

    start = ACCOUNTS[0].allotted_quote
    coins = ALLOTTED_BTC

    async def account(self, instruments: Sequence[InstrumentId], since_ns: int) -> Account:
        if self.away:
            self.away -= 1
            raise ExchangeUnreachable("nobody answers")
        self.accounted = list(instruments)
        if self.on_reading is not None:
            self.on_reading()
        account = await super().account(instruments, since_ns)
        totals = {"USDT": self.start + self.deposit, "BTC": self.coins, "ETH": Decimal(0)}
        for each in account.fills:
            totals["USDT"] -= each.fill.quantity * each.fill.price + each.fill.fee
            totals[INSTRUMENTS[each.instrument].base] += each.fill.quantity
        return Account(totals=totals, fills=account.fills, open_client_order_ids=())


class Start:
    """A process that begins on the journal of one that was killed."""

    def __init__(self, *fates: Fate, stop_loss_ratio: float = 0.0) -> None:
        self.venue = BankingVenue(*fates)
        self.other = BankingVenue()
        self.other.start, self.other.coins = ACCOUNTS[1].allotted_quote, Decimal(0)
        execution = ExecutionSection(stop_loss_ratio=stop_loss_ratio)
        settings = plain_settings()
        risk = settings.risk.model_copy(update={"max_orders_per_hour": 60})
        self.core = a_core(settings.model_copy(update={"execution": execution, "risk": risk}))
        self.journal: list[e.Event] = []
        self.commands: list[e.Command] = []
        self.waited: list[str] = []
        self.unsettled: list[str] = []
        self._step(OPENED)

    async def take(self, event: e.Input) -> None:
        self._step(event)

    async def sends(self, instrument: InstrumentId, *, is_reply_lost: bool = True) -> str:
        """An order leaves; of its answer the journal knows nothing when it was lost."""
        approval = an_approval(instrument=instrument, quantity=Decimal(2), ts_ns=TS_NS)
        self._step(approval)
        command = self.commands[-1]
        assert isinstance(command, e.SubmitOrder)
        report = await self.venue.submit(command)
        if not is_reply_lost:
            self._step(report)
        return command.client_order_id

    def intends(self, instrument: InstrumentId) -> str:
        """Killed between the commit and the wire."""
        self._step(an_approval(instrument=instrument, quantity=Decimal(2), ts_ns=TS_NS))
        return self.command().client_order_id

    def command(self) -> e.SubmitOrder:
        """The newest one."""
        command = self.commands[-1]
        assert isinstance(command, e.SubmitOrder)
        return command

    async def settles(self, *, is_patient: bool = True) -> list[e.Reconciled]:
        """As a new process does it: what it finds of each exchange."""
        venues = {BTC.exchange: self.venue, THERE.exchange: self.other}
        core, told = self.core, len(self.journal)
        books = Books(OPENED, core.blotter, core.book, core.flows)
        watches = {
            name: BookWatch(name, venue, books, Rules(patience_s=0.0))
            for name, venue in venues.items()
        }

        async def on_away(exchange: str, error: ExchangeUnreachable) -> None:
            self.waited.append(exchange)
            if not is_patient:
                raise error

        self._step(e.Started(ts_ns=TS_NS))
        self.unsettled = await settle(
            core.blotter, venues, watches, self.take, TS_NS, on_away=on_away
        )
        return [each for each in self.journal[told:] if isinstance(each, e.Reconciled)]

    def moves_at_every_reading(self, venue: BankingVenue) -> None:
        """There is never a moment at which no order is made."""

        def move() -> None:
            self.core.blotter.intended_count += 1

        venue.on_reading = move

    def denial(self, signal: e.SignalEmitted) -> e.DenyReason:
        step = self.core.pipeline.step(signal)
        (denial,) = (each for each in step.events if isinstance(each, e.OrderDenied))
        return denial.reason

    def restarts(self) -> None:
        """Killed, and begun again from the journal alone."""
        self.core = a_core(plain_settings())
        self.core.pipeline.recover(self.journal)

    def state(self, order: str) -> OrderState:
        return self.core.blotter.orders[order].state

    def _step(self, event: e.Event) -> None:
        step = self.core.pipeline.step(event)
        self.journal += step.events
        self.commands += step.commands


async def test_an_intent_that_never_left_is_found_absent_and_nothing_is_sent() -> None:
    start = Start()
    order = start.intends(BTC)

    reconciled = await start.settles()

    assert [each.is_clean for each in reconciled] == [True, True]
    assert start.state(order) is OrderState.ABSENT
    assert start.venue.sent == []
    assert start.venue.asked == [order]


async def test_an_order_whose_answer_was_lost_is_found_with_its_fills() -> None:
    start = Start(Fate.FILLS)
    order = await start.sends(BTC)

    reconciled = await start.settles()

    assert [each.is_clean for each in reconciled] == [True, True]
    assert start.state(order) is OrderState.FILLED
    assert start.core.book.position(BTC).quantity == 2
    assert sum(start.core.book.cash.values()) == ALLOTTED + ALLOTTED_BTC - 200 - Decimal("0.2")
    assert start.venue.sent == [order]


async def test_every_open_order_is_asked_about_and_ended_ones_are_not() -> None:
    start = Start(Fate.FILLS, Fate.HALF_FILLS)
    over = await start.sends(BTC, is_reply_lost=False)
    lost = await start.sends(ETH)
    never = start.intends(THERE)

    await start.settles()

    assert (start.venue.asked, start.other.asked) == ([lost], [never])
    assert (start.venue.accounted, start.other.accounted) == ([BTC, ETH, CROSS, SWAP], [THERE])
    assert [start.state(each) for each in (over, lost, never)] == [
        OrderState.FILLED,
        OrderState.EXPIRED,
        OrderState.ABSENT,
    ]


async def test_a_fill_the_journal_missed_is_booked_before_the_books_are_compared() -> None:
    """Refused by the reply, executed all the same: only the venue's list of trades knows."""
    start = Start(Fate.FILLS)
    order = await start.sends(BTC)
    refused = e.OrderReported(
        ts_ns=TS_NS,
        client_order_id=order,
        outcome=e.Outcome.REFUSED,
        source=e.ReportSource.REPLY,
    )
    await start.take(refused)

    reconciled = await start.settles()

    assert [each.is_clean for each in reconciled] == [True, True]
    assert start.state(order) is OrderState.ADOPTED
    assert start.core.book.position(BTC).quantity == 2


async def test_a_deposit_is_booked_apart_and_halts_nothing() -> None:
    start = Start()
    start.venue.deposit = Decimal(5)

    here, there = await start.settles()

    assert (here.is_clean, there.is_clean) == (True, True)
    assert start.core.flows.on_account("embedded") == {"USDT": Decimal(5)}
    assert sum(start.core.book.cash.values()) == ALLOTTED + ALLOTTED_BTC
    assert not start.core.risk.halted


async def test_an_account_that_holds_less_than_the_bot_owns_halts() -> None:
    start = Start()
    start.venue.deposit = Decimal(-5)

    here, there = await start.settles()

    assert (here.is_clean, there.is_clean) == (False, True)
    assert here.differences == (
        "USDT: the venue holds 5995, less than the 6000 we own",
        "USDT: the venue holds 5995, start and fills give 6000",
    )
    assert list(start.core.risk.halted) == [e.HaltReason.RECONCILE]


async def test_an_exchange_that_is_away_is_waited_for_or_ends_the_start() -> None:
    start = Start()
    start.other.away = 2

    reconciled = await start.settles()

    assert [each.is_clean for each in reconciled] == [True, True]
    assert start.waited == ["embedded-b"] * 2
    start.venue.away = 1
    with pytest.raises(ExchangeUnreachable):
        await start.settles(is_patient=False)


async def test_an_exchange_without_a_quiet_moment_ends_no_start_and_opens_nothing() -> None:
    start = Start()
    start.moves_at_every_reading(start.other)

    reconciled = await start.settles()

    assert [(each.exchange, each.is_clean) for each in reconciled] == [(BTC.exchange, True)]
    assert start.unsettled == [THERE.exchange]
    signals = (a_signal(instrument=each, ts_ns=TS_NS) for each in (BTC, THERE))
    denied = [start.denial(each) for each in signals]
    assert denied[1] is e.DenyReason.NOT_RECONCILED
    assert denied[0] is not e.DenyReason.NOT_RECONCILED


async def test_a_fill_that_one_of_two_exchanges_alone_has_is_booked_on_its_instrument() -> None:
    """The other exchange lists the same symbol, and its books stay as they are."""
    start = Start()
    order = start.intends(THERE)
    await start.other.submit(start.command())

    reconciled = await start.settles()

    assert [each.is_clean for each in reconciled] == [True, True]
    assert start.state(order) is OrderState.FILLED
    book = start.core.book
    assert (book.position(THERE).quantity, book.position(BTC).quantity) == (Decimal(2), Decimal(0))
    assert book.cash_on("embedded", "USDT") == 6_000
    assert book.cash_on("embedded-b", "USDT") == 4_000 - 200 - Decimal("0.2")


async def test_the_result_is_the_last_thing_that_is_told() -> None:
    start = Start()

    reconciled = await start.settles()

    assert start.journal[-2:] == reconciled
    assert [(each.ts_ns, each.differences) for each in reconciled] == [(TS_NS, ())] * 2


@pytest.mark.parametrize("fate", [Fate.FILLS, Fate.HALF_FILLS, Fate.RESTS, Fate.REFUSED])
async def test_twenty_starts_without_news_change_nothing(fate: Fate) -> None:
    start = Start(fate)
    start.venue.deposit = Decimal("0.01")
    await start.sends(BTC)
    await start.settles()
    start.restarts()
    await start.settles()
    before = state_text(start.core)

    for _ in range(20):
        told = len(start.journal)
        start.restarts()
        again = await start.settles()

        fresh = [type(each) for each in start.journal[told:]]
        assert fresh == [e.Started, e.Reconciled, e.Reconciled]
        assert all(each.is_clean for each in again)
        assert state_text(start.core) == before


async def test_a_journal_says_whether_its_last_process_was_asked_to_end(tmp_path: Path) -> None:
    started, stopped = e.Started(ts_ns=1), e.StopRequested(ts_ns=2)
    journal = SqliteJournal.open(tmp_path / "journal.db")
    said = [was_cut_off(journal)]
    for event in (started, stopped, a_bars_closed(), started, e.RunClosed(ts_ns=3)):
        await journal.append([event], is_durable=False)
        said.append(was_cut_off(journal))
    await journal.close()

    assert said == [False, True, False, False, True, False]


async def test_a_stop_that_the_start_itself_intends_waits_to_be_sent_and_is_not_looked_for() -> (
    None
):
    """It would be found absent, made anew, and then both would leave."""
    start = Start(Fate.FILLS, stop_loss_ratio=0.02)
    entry = await start.sends(BTC)
    start.venue.away = 1

    await start.settles()

    assert start.waited == [BTC.exchange]
    stops = [each for each in start.commands if isinstance(each, e.SubmitOrder) and each.is_resting]
    assert len(stops) == 1
    assert start.state(stops[0].client_order_id) is OrderState.INTENDED
    assert set(start.venue.asked) == {entry}
