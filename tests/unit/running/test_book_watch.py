"""How long a difference must last, and what is done about it, while the daemon runs."""

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal

import pytest

from daemon.config import Settings
from daemon.config.sections import ExecutionSection
from daemon.core import events as e
from daemon.core.errors import ExchangeUnreachable
from daemon.core.ids import mark_of
from daemon.core.instruments import InstrumentId
from daemon.core.orders import Fill, Leg, OrderState, Side
from daemon.core.ports import Account, VenueFill
from daemon.running.books.reconcile import Books
from daemon.running.books.watch import MONEY_MAX, BookWatch, Hands, Restless, Rules
from tests.builders import a_run_opened, an_approval, an_instrument
from tests.unit.core.simulation import IDS, a_core, plain_settings
from tests.virtual_time import run_virtual

D = Decimal
BTC = IDS[0]
TS_NS = 10**18
OPENED = a_run_opened(
    ts_ns=0,
    instruments=(an_instrument(id=BTC),),
    allotted_quote=D(1_000),
    balances=(e.Balance("USDT", D(5_000)), e.Balance("BTC", D(1))),
)
MARK = mark_of(bot=OPENED.bot, account=OPENED.account)
PATIENCE_S = 30.0


class Bank:
    """An account that tells what the test says; `late` readings show the balances of before."""

    def __init__(self) -> None:
        self.fills: list[VenueFill] = []
        self.open: tuple[str, ...] = ()
        self.moved = D(0)
        self.late = 0
        self.is_away = False
        self.on_reading: Callable[[], None] = lambda: None
        self.asked_since: list[int] = []

    def fills_with(self, order: str, trade: str, side: Side = Side.BUY) -> None:
        fill = Fill(
            trade_id=trade,
            price=D(100),
            quantity=D(2),
            fee=D(0),
            fee_currency="USDT",
            ts_ns=TS_NS + int(trade),
        )
        self.fills.append(
            VenueFill(
                client_order_id=order, venue_order_id="7", instrument=BTC, side=side, fill=fill
            )
        )

    async def account(self, _instruments: Sequence[InstrumentId], since_ns: int) -> Account:
        if self.is_away:
            raise ExchangeUnreachable("nobody answers")
        self.asked_since.append(since_ns)
        self.on_reading()
        counted = self.fills[:-1] if self.late else self.fills
        self.late = max(0, self.late - 1)
        totals = {"USDT": D(5_000) + self.moved, "BTC": D(1)}
        for each in counted:
            sign = 1 if each.side is Side.BUY else -1
            totals["USDT"] -= sign * each.fill.quantity * each.fill.price
            totals["BTC"] += sign * each.fill.quantity
        listed = tuple(each for each in self.fills if each.fill.ts_ns >= since_ns)
        return Account(totals=totals, fills=listed, open_client_order_ids=self.open)


class Desk:
    """A running core with one exchange, and the watch over its books."""

    def __init__(
        self,
        foreign: Literal["ignore", "halt"] = "ignore",
        settings: Settings | None = None,
    ) -> None:
        self.on_look_up: Callable[[str], None] = lambda _order: None
        self.on_entered: Callable[[e.Input], None] = lambda _event: None
        self.bank = Bank()
        self.core = a_core(settings or plain_settings())
        self.entered: list[e.Input] = []
        self.looked_up: list[str] = []
        self.orders: list[str] = []
        self.core.pipeline.step(OPENED)
        books = Books(OPENED, self.core.blotter, self.core.book, self.core.flows)
        venue = self.bank
        rules = Rules(patience_s=PATIENCE_S, foreign=foreign)
        self.watch = BookWatch(BTC.exchange, venue, books, rules)  # type: ignore[arg-type]

    def buys(self, *, state: OrderState = OrderState.FILLED, is_booked: bool = True) -> str:
        """An order that filled; its fill is booked here, too, unless it was missed."""
        ts_ns = TS_NS + len(self.orders)
        step = self.core.pipeline.step(an_approval(instrument=BTC, quantity=D(2), ts_ns=ts_ns))
        (command,) = step.commands
        assert isinstance(command, e.SubmitOrder)
        order = command.client_order_id
        self.orders.append(order)
        self.bank.fills_with(order, str(len(self.orders)))
        fills = (self.bank.fills[-1].fill,) if is_booked else ()
        self.core.pipeline.step(
            e.OrderReported(
                ts_ns=ts_ns,
                client_order_id=order,
                outcome=e.Outcome.ACKNOWLEDGED,
                source=e.ReportSource.REPLY,
                state=state,
                filled_quantity=D(2) if is_booked else D(0),
                fills=fills,
            )
        )
        return order

    def stops(self) -> list[str]:
        open_orders = self.core.blotter.open_orders(BTC)
        return [each.client_order_id for each in open_orders if each.leg is Leg.STOP]

    def reports(self, order: str, state: OrderState) -> None:
        """What the venue says of an order of which nothing has filled."""
        self.core.pipeline.step(
            e.OrderReported(
                ts_ns=TS_NS + 10**6,
                client_order_id=order,
                outcome=e.Outcome.ACKNOWLEDGED,
                source=e.ReportSource.LOOKUP,
                state=state,
                filled_quantity=D(0),
            )
        )

    def checks(self, *, times: int = 1) -> tuple[bool, float]:
        """The result of the last of so many, and how long all of them took."""

        async def go() -> tuple[bool, float]:
            for _ in range(times):
                result = await self.watch.check(self._hands())
            return result, asyncio.get_running_loop().time()

        return run_virtual(go())

    @property
    def told(self) -> list[e.Reconciled]:
        return [each for each in self.entered if isinstance(each, e.Reconciled)]

    @property
    def halts(self) -> list[e.HaltReason]:
        return list(self.core.risk.halted)

    def _hands(self) -> Hands:
        async def enter(event: e.Input) -> None:
            self.entered.append(event)
            self.core.pipeline.step(event)
            self.on_entered(event)

        async def look_up(command: e.LookUpOrder) -> None:
            self.looked_up.append(command.client_order_id)
            self.on_look_up(command.client_order_id)

        async def rest() -> None: ...

        return Hands(enter=enter, look_up=look_up, rest=rest, now_ns=lambda: TS_NS + 10**12)


def test_books_that_agree_are_said_to_once_and_read_from_there_on() -> None:
    desk = Desk()
    desk.buys()

    is_equal, took_s = desk.checks(times=3)

    assert (is_equal, took_s) == (True, 0.0)
    assert [each.is_clean for each in desk.told] == [True]
    assert desk.entered == desk.told
    first, *rest = desk.bank.asked_since
    assert first == OPENED.ts_ns
    assert all(TS_NS - 10**12 < since_ns <= TS_NS for since_ns in rest)


def test_a_fill_that_was_missed_is_booked_and_is_no_difference() -> None:
    """Canceled with nothing filled, said the venue; its list of trades says otherwise."""
    desk = Desk()
    desk.buys(state=OrderState.CANCELED, is_booked=False)

    is_equal, _ = desk.checks()

    assert is_equal
    assert desk.core.book.position(BTC).quantity == 2
    assert desk.watch.status()["missed_fills"] == 1
    assert desk.halts == []


def test_a_balance_that_is_shown_late_is_no_difference_until_it_lasts() -> None:
    desk = Desk()
    desk.checks()
    desk.buys()
    desk.bank.late = 6

    is_equal, took_s = desk.checks()

    assert is_equal
    assert took_s < PATIENCE_S
    assert desk.told[1:] == []
    assert desk.core.flows.on_account(BTC.exchange) == {}


def test_money_that_came_and_stays_is_booked_apart_once() -> None:
    desk = Desk()
    desk.buys()
    desk.checks()
    desk.bank.moved = D("12.5")

    first, took_s = desk.checks()
    again, _ = desk.checks(times=3)

    assert (first, again) == (True, True)
    assert took_s >= PATIENCE_S
    assert [type(each) for each in desk.entered] == [e.Reconciled, e.FundsMoved]
    assert desk.core.flows.on_account(BTC.exchange) == {"USDT": D("12.5")}
    assert desk.halts == []
    assert desk.core.book.cash == {(BTC.exchange, "USDT"): D(800)}


def test_money_and_orders_that_never_stand_still_end_the_comparison() -> None:
    desk = Desk()
    desk.checks()
    desk.bank.moved = D(1)

    def move(event: e.Input) -> None:
        """While money of others is booked, an order fills and more money comes."""
        if isinstance(event, e.FundsMoved):
            desk.buys()
            desk.bank.moved += 1

    desk.on_entered = move

    with pytest.raises(Restless):
        desk.checks()

    booked = [each for each in desk.entered if isinstance(each, e.FundsMoved)]
    assert [each.amount for each in booked] == [1] * MONEY_MAX
    assert desk.halts == []
    desk.on_entered = lambda _event: None
    assert desk.checks()[0]
    assert desk.core.flows.on_account(BTC.exchange) == {"USDT": desk.bank.moved}


def test_money_of_others_halts_where_the_rule_says_so() -> None:
    desk = Desk(foreign="halt")
    desk.bank.moved = D(-1)

    is_equal, _ = desk.checks()

    assert not is_equal
    assert desk.halts == [e.HaltReason.RECONCILE]
    assert desk.core.flows.on_account(BTC.exchange) == {}


def test_an_account_that_lost_what_is_ours_halts_is_told_once_and_never_lifted_by_itself() -> None:
    desk = Desk()
    desk.checks()
    desk.bank.moved = D(-4_500)

    first, took_s = desk.checks()
    known, at_once_s = desk.checks()
    desk.bank.moved = D(0)
    back, _ = desk.checks()

    assert (first, known, back) == (False, False, True)
    assert took_s >= PATIENCE_S
    assert at_once_s == 0.0
    assert [each.is_clean for each in desk.told] == [True, False, True]
    assert desk.told[1].differences[0] == "USDT: the venue holds 500, less than the 1000 we own"
    assert desk.halts == [e.HaltReason.RECONCILE]


@pytest.mark.parametrize("is_open", [True, False])
def test_an_order_with_our_mark_that_we_never_made_halts_at_once(is_open: bool) -> None:
    """Another process has our key, our name and our account; or our journal was lost."""
    desk = Desk()
    desk.checks()
    if is_open:
        desk.bank.open = (f"{MARK}other",)
    else:
        desk.bank.fills_with(f"{MARK}other", "9")

    is_equal, took_s = desk.checks()

    assert (is_equal, took_s) == (False, 0.0)
    assert desk.told[-1].foreign == (f"{MARK}other",)
    assert desk.halts == [e.HaltReason.FOREIGN_ORDER]


def test_orders_of_other_bots_and_people_are_not_ours_to_mind() -> None:
    desk = Desk()
    desk.bank.open = ("tdanotherbotofours", "by-hand")
    desk.bank.fills_with("tdanotherbotofours", "9")

    is_equal, _ = desk.checks()

    assert is_equal
    assert desk.halts == []


def test_orders_of_others_halt_where_the_rule_says_so() -> None:
    desk = Desk(foreign="halt")
    desk.bank.open = ("by-hand",)

    is_equal, _ = desk.checks()

    assert not is_equal
    assert desk.halts == [e.HaltReason.FOREIGN_ORDER]


def test_an_order_that_stands_elsewhere_than_we_believe_is_looked_up_before_it_halts() -> None:
    desk = Desk()
    order = desk.buys()
    desk.checks()
    desk.bank.open = (order,)

    is_equal, took_s = desk.checks()

    assert not is_equal
    assert took_s >= PATIENCE_S
    assert desk.looked_up == [order]
    assert desk.halts == [e.HaltReason.RECONCILE]


def test_a_reading_during_which_an_order_moved_counts_for_nothing() -> None:
    desk = Desk()
    desk.checks()
    moves = [desk.buys, desk.buys]

    def move() -> None:
        if moves:
            moves.pop()()

    desk.bank.on_reading = move

    is_equal, _ = desk.checks()

    assert is_equal
    assert [each.is_clean for each in desk.told] == [True]


def test_without_a_quiet_moment_nothing_is_said() -> None:
    desk = Desk()

    def move() -> None:
        desk.buys()

    desk.bank.on_reading = move

    with pytest.raises(Restless):
        desk.checks()

    assert desk.told == []


def test_without_an_answer_nothing_is_said() -> None:
    desk = Desk()
    desk.bank.is_away = True

    with pytest.raises(ExchangeUnreachable):
        desk.checks()

    assert desk.told == []


def test_a_stop_that_vanished_is_looked_up_and_made_anew() -> None:
    execution = ExecutionSection(stop_loss_ratio=0.1)
    desk = Desk(settings=plain_settings().model_copy(update={"execution": execution}))
    desk.buys()
    (stop,) = desk.stops()
    desk.reports(stop, OrderState.ACCEPTED)
    desk.bank.open = (stop,)
    desk.checks()
    desk.bank.open = ()
    desk.on_look_up = lambda order: desk.reports(order, OrderState.CANCELED)

    is_equal, _ = desk.checks()

    assert is_equal
    assert desk.looked_up == [stop]
    assert desk.halts == []
    (again,) = desk.stops()
    assert again != stop
