from collections.abc import Sequence
from decimal import Decimal
from random import Random

import pytest

from daemon.config import ExecutionSection
from daemon.core import events as e
from daemon.core.instruments import InstrumentId
from daemon.core.orders import OrderState
from daemon.core.ports import Account
from daemon.running.recovery import settle
from tests.builders import an_approval
from tests.fakes import FakeVenue, Fate
from tests.unit.core.simulation import ACCOUNTS, ALLOTTED, IDS, INSTRUMENTS, a_core, settings_of

BTC, ETH, THERE = IDS  # the last one is BTC too, on another exchange
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
    start = ACCOUNTS[0].allotted_quote

    async def account(self, instruments: Sequence[InstrumentId], since_ns: int) -> Account:
        self.accounted = list(instruments)
        account = await super().account(instruments, since_ns)
        totals = {"USDT": self.start + self.deposit, "BTC": Decimal(0), "ETH": Decimal(0)}
        for each in account.fills:
            totals["USDT"] -= each.fill.quantity * each.fill.price + each.fill.fee
            totals[INSTRUMENTS[each.instrument].base] += each.fill.quantity
        return Account(totals=totals, fills=account.fills, open_client_order_ids=())


class Start:
    """A process that begins on the journal of one that was killed."""

    def __init__(self, *fates: Fate) -> None:
        self.venue = BankingVenue(*fates)
        self.other = BankingVenue()
        self.other.start = ACCOUNTS[1].allotted_quote
        plain = {"execution": ExecutionSection()}
        self.core = a_core(settings_of(Random(0)).model_copy(update=plain))
        self.journal: list[e.Event] = []
        self.commands: list[e.Command] = []
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

    async def settles(self) -> e.Reconciled:
        venues = {BTC.exchange: self.venue, THERE.exchange: self.other}
        return await settle(self.core, venues, OPENED, self.take, TS_NS)

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

    assert reconciled.is_clean
    assert start.state(order) is OrderState.ABSENT
    assert start.venue.sent == []
    assert start.venue.asked == [order]


async def test_an_order_whose_answer_was_lost_is_found_with_its_fills() -> None:
    start = Start(Fate.FILLS)
    order = await start.sends(BTC)

    reconciled = await start.settles()

    assert reconciled.is_clean
    assert start.state(order) is OrderState.FILLED
    assert start.core.book.position(BTC).quantity == 2
    assert start.core.book.cash == ALLOTTED - 200 - Decimal("0.2")
    assert start.venue.sent == [order]


async def test_every_open_order_is_asked_about_and_ended_ones_are_not() -> None:
    start = Start(Fate.FILLS, Fate.HALF_FILLS)
    over = await start.sends(BTC, is_reply_lost=False)
    lost = await start.sends(ETH)
    never = start.intends(THERE)

    await start.settles()

    assert (start.venue.asked, start.other.asked) == ([lost], [never])
    assert (start.venue.accounted, start.other.accounted) == ([BTC, ETH], [THERE])
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

    assert reconciled.is_clean
    assert start.state(order) is OrderState.ADOPTED
    assert start.core.book.position(BTC).quantity == 2


async def test_books_that_differ_halt_and_nothing_may_be_opened() -> None:
    start = Start()
    start.venue.deposit = Decimal(5)

    reconciled = await start.settles()

    assert not reconciled.is_clean
    assert reconciled.differences == (
        "embedded: USDT: the venue holds 6005, start and fills give 6000",
    )
    assert list(start.core.risk.halted) == [e.HaltReason.RECONCILE]


async def test_a_fill_that_one_of_two_exchanges_alone_has_is_booked_on_its_instrument() -> None:
    """The other exchange lists the same symbol, and its books stay as they are."""
    start = Start()
    order = start.intends(THERE)
    await start.other.submit(start.command())

    reconciled = await start.settles()

    assert reconciled.is_clean
    assert start.state(order) is OrderState.FILLED
    book = start.core.book
    assert (book.position(THERE).quantity, book.position(BTC).quantity) == (Decimal(2), Decimal(0))
    assert book.cash_on("embedded") == 6_000
    assert book.cash_on("embedded-b") == 4_000 - 200 - Decimal("0.2")


async def test_the_result_is_the_last_thing_that_is_told() -> None:
    start = Start()

    reconciled = await start.settles()

    assert start.journal[-1] == reconciled
    assert (reconciled.ts_ns, reconciled.differences) == (TS_NS, ())


@pytest.mark.parametrize("fate", [Fate.FILLS, Fate.HALF_FILLS, Fate.RESTS, Fate.REFUSED])
async def test_starting_twice_without_news_changes_nothing(fate: Fate) -> None:
    start = Start(fate)
    await start.sends(BTC)
    await start.settles()
    told = len(start.journal)
    before = (start.core.book.cash, start.core.book.position(BTC).quantity)

    again = await start.settles()

    assert [type(each) for each in start.journal[told:]] == [e.Reconciled]
    assert again.is_clean
    assert (start.core.book.cash, start.core.book.position(BTC).quantity) == before
