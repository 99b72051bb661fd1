from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from daemon.core import events as e
from daemon.core.instruments import InstrumentId
from daemon.core.orders import Fill, Leg, OrderState, OrderType, Side
from daemon.core.ports import Account, OpenOrder, VenueFill
from daemon.running.books.adoption import LeftBehind, adoptable, left_behind
from daemon.running.books.reconcile import Books
from daemon.running.books.watch import BookWatch, Hands, Rules
from daemon.running.state_text import state_text
from tests.builders import a_run_opened, an_approval, an_instrument
from tests.unit.core.simulation import IDS, a_core, plain_settings
from tests.virtual_time import run_virtual

D = Decimal
BTC = IDS[0]
RULES = an_instrument(id=BTC)
TS_NS = 10**18
MARK = "td2345"


def a_fill(order: str, trade: int, side: Side = Side.BUY, **changes: Any) -> VenueFill:
    made: dict[str, Any] = {
        "trade_id": str(trade),
        "price": D(100),
        "quantity": D(2),
        "fee": D(0),
        "fee_currency": "USDT",
        "ts_ns": TS_NS + trade,
    }
    return VenueFill(
        client_order_id=order,
        venue_order_id="7",
        instrument=BTC,
        side=side,
        fill=Fill(**made | changes),
    )


def a_stop(order: str, quantity: str = "2") -> OpenOrder:
    return OpenOrder(
        client_order_id=order,
        instrument=BTC,
        side=Side.SELL,
        order_type=OrderType.STOP,
        quantity=D(quantity),
        stop_price=D(90),
    )


def filled(each: VenueFill) -> e.OrderReported:
    """The whole order, as it is told when it is looked up."""
    assert each.client_order_id is not None
    return e.OrderReported(
        ts_ns=TS_NS + 160,
        client_order_id=each.client_order_id,
        outcome=e.Outcome.ACKNOWLEDGED,
        source=e.ReportSource.LOOKUP,
        state=OrderState.FILLED,
        filled_quantity=each.fill.quantity,
        fills=(each.fill,),
    )


class Bank:
    """An account as it stands."""

    def __init__(self, fills: Sequence[VenueFill], *is_open: OpenOrder, base: str = "2") -> None:
        self._fills = tuple(fills)
        self._open = is_open
        self._totals = {"BTC": D(base), "USDT": D(5_000)}

    async def account(self, instruments: Sequence[InstrumentId], since_ns: int) -> Account:
        is_asked = BTC in instruments
        return Account(
            totals=self._totals,
            fills=tuple(e for e in self._fills if is_asked and e.fill.ts_ns >= since_ns),
            open_client_order_ids=tuple(e.client_order_id for e in self._open if is_asked),
            open_orders=self._open if is_asked else (),
        )


def left(bank: Bank, *known: str) -> LeftBehind:
    return run_virtual(left_behind(bank, [RULES], MARK, set(known)))  # type: ignore[arg-type]


def test_of_an_earlier_run_what_is_still_held_is_left_and_nothing_before_it() -> None:
    bank = Bank(
        [
            a_fill(f"{MARK}a", 1),
            a_fill(f"{MARK}b", 2, Side.SELL),
            a_fill(f"{MARK}c", 3, quantity=D("0.5")),
            a_fill(f"{MARK}c", 4, quantity=D("0.25"), price=D(110)),
            a_fill("by-hand", 5),
        ]
    )

    found = left(bank)

    (order,) = found.orders
    assert (order.client_order_id, order.quantity) == (f"{MARK}c", D("0.75"))
    assert order.settled == ("3", "4")
    assert found.tied_up == {"USDT": D("77.5")}


def test_a_flat_account_known_orders_and_those_of_others_leave_nothing() -> None:
    flat = Bank([a_fill(f"{MARK}a", 1), a_fill(f"{MARK}b", 2, Side.SELL)])
    known = Bank([a_fill(f"{MARK}a", 1)])
    others = Bank([a_fill("td9999x", 1), a_fill("by-hand", 2)])
    sold = Bank([a_fill(f"{MARK}a", 1)], base="0")

    assert left(flat).orders == ()
    assert left(known, f"{MARK}a").orders == ()
    assert left(others).orders == ()
    assert left(sold).orders == ()


def test_what_traded_since_the_run_opened_is_not_in_its_opening_balances() -> None:
    bank = Bank([a_fill(f"{MARK}a", 1), a_fill(f"{MARK}b", 2)])

    found = run_virtual(
        left_behind(bank, [RULES], MARK, set(), TS_NS + 1)  # type: ignore[arg-type]
    )

    assert [each.client_order_id for each in found.orders] == [f"{MARK}a"]


def test_a_fee_in_base_does_not_leave_dust_that_counts_as_a_position() -> None:
    bank = Bank(
        [
            a_fill(f"{MARK}a", 1, fee=D("0.001"), fee_currency="BTC"),
            a_fill(f"{MARK}b", 2, Side.SELL, quantity=D("1.999")),
        ]
    )

    assert left(bank).orders == ()


def test_a_stop_that_rests_is_adopted_with_its_price() -> None:
    (bought, stop) = left(Bank([a_fill(f"{MARK}a", 1)], a_stop(f"{MARK}s"))).orders

    assert (bought.order_type, bought.is_open) == (OrderType.MARKET, False)
    assert (stop.order_type, stop.stop_price, stop.is_open) == (OrderType.STOP, D(90), True)
    assert stop.settled == ()


class Desk:
    """A core on an account that its journal is too young, or too old, to know."""

    def __init__(self, bank: Bank, *, usdt: str = "5000") -> None:
        balances = (e.Balance("USDT", D(usdt)), e.Balance("BTC", D(2)))
        self.opened = a_run_opened(
            ts_ns=TS_NS + 100, instruments=(RULES,), allotted_quote=D(1_000), balances=balances
        )
        self.core = a_core(plain_settings())
        self.journal: list[e.Event] = []
        self.commands: list[e.Command] = []
        self.bank = bank
        self.takes(self.opened)

    @property
    def books(self) -> Books:
        return Books(self.opened, self.core.blotter, self.core.book, self.core.flows)

    def takes(self, event: e.Event) -> None:
        step = self.core.pipeline.step(event)
        self.journal += step.events
        self.commands += step.commands

    def settles(self, *fills: VenueFill, is_adopting: bool = False) -> bool:
        """What a start does after its look-ups; the venue says that what traded is over."""

        async def enter(event: e.Input) -> None:
            self.takes(event)

        async def look_up(command: e.LookUpOrder) -> None:
            traded = [each for each in fills if each.client_order_id == command.client_order_id]
            self.takes(
                e.OrderReported(
                    ts_ns=TS_NS + 200,
                    client_order_id=command.client_order_id,
                    outcome=e.Outcome.ACKNOWLEDGED,
                    source=e.ReportSource.LOOKUP,
                    state=OrderState.FILLED if traded else OrderState.ACCEPTED,
                    filled_quantity=sum((each.fill.quantity for each in traded), D(0)),
                    fills=tuple(each.fill for each in traded),
                )
            )

        async def rest() -> None: ...

        hands = Hands(enter=enter, look_up=look_up, rest=rest, now_ns=lambda: TS_NS + 200)
        venue: Any = self.bank
        watch = BookWatch(BTC.exchange, venue, self.books, Rules(patience_s=0.0))
        return run_virtual(watch.check(hands, is_adopting=is_adopting))

    @property
    def mark(self) -> str:
        return self.books.mark_on(BTC.exchange)


def test_adopted_orders_are_booked_once_and_the_opening_balances_hold_them_already() -> None:
    desk = Desk(Bank([]))
    bought = a_fill(f"{desk.mark}a", 1)
    desk.bank = Bank([bought])
    orders = adoptable([bought], [], are_settled=True)
    desk.takes(e.BooksAdopted(ts_ns=TS_NS + 150, exchange=BTC.exchange, orders=orders))
    desk.takes(filled(bought))
    desk.takes(filled(bought))

    assert desk.core.book.position(BTC).quantity == 2
    assert desk.core.book.cash == {(BTC.exchange, "USDT"): D(800)}
    assert desk.commands == []
    assert desk.settles()
    assert desk.core.risk.halted == {}


def test_orders_that_came_after_an_old_copy_of_the_journal_are_taken_over_when_asked() -> None:
    fills = [a_fill("", 101), a_fill("", 102, Side.SELL), a_fill("", 103)]
    desk = Desk(Bank([]), usdt="5200")
    names = [f"{desk.mark}{each}" for each in "abc"]
    fills = [
        a_fill(name, each, side)
        for name, each, side in zip(
            names, (101, 102, 103), (Side.BUY, Side.SELL, Side.BUY), strict=True
        )
    ]
    desk.bank = Bank(fills, base="4")

    assert not desk.settles(*fills)
    assert list(desk.core.risk.halted) == [e.HaltReason.FOREIGN_ORDER]
    assert desk.settles(*fills, is_adopting=True)
    assert desk.core.book.position(BTC).quantity == 2
    assert list(desk.core.blotter.all_open()) == []
    assert list(desk.core.risk.halted) == [e.HaltReason.FOREIGN_ORDER]


def test_an_adopted_stop_goes_on_protecting_and_any_other_open_order_is_to_end() -> None:
    desk = Desk(Bank([]))
    limit = OpenOrder(
        client_order_id=f"{desk.mark}l",
        instrument=BTC,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        quantity=D(1),
        price=D(95),
    )
    orders = adoptable([], [limit, a_stop(f"{desk.mark}s")], are_settled=True)

    desk.takes(e.BooksAdopted(ts_ns=TS_NS + 150, exchange=BTC.exchange, orders=orders))

    known = desk.core.blotter.orders
    assert known[f"{desk.mark}s"].leg is Leg.STOP
    assert known[f"{desk.mark}s"].stop_price == 90
    (cancel,) = desk.commands
    assert isinstance(cancel, e.CancelOrder)
    assert cancel.client_order_id == f"{desk.mark}l"


def test_an_open_order_without_a_price_is_taken_over_once_it_has_traded() -> None:
    desk = Desk(Bank([]), usdt="5200")
    name = f"{desk.mark}m"
    rests = OpenOrder(
        client_order_id=name,
        instrument=BTC,
        side=Side.BUY,
        order_type=OrderType.MARKET,
        quantity=D(2),
    )
    assert adoptable([], [rests], are_settled=True) == ()
    desk.bank = Bank([], rests)

    assert not desk.settles(is_adopting=True)
    assert list(desk.core.risk.halted) == [e.HaltReason.FOREIGN_ORDER]
    assert name not in desk.core.blotter.orders

    bought = a_fill(name, 101)
    desk.bank = Bank([bought])
    assert desk.settles(bought, is_adopting=True)
    assert desk.core.blotter.orders[name].decision_price == bought.fill.price


def test_a_core_recovered_from_an_adoption_is_the_same_and_no_id_is_made_twice() -> None:
    desk = Desk(Bank([]))
    desk.takes(an_approval(instrument=BTC, quantity=D(1), close_ns=TS_NS))
    first = desk.commands[-1]
    assert isinstance(first, e.SubmitOrder)
    other = Desk(Bank([]))
    bought = a_fill(first.client_order_id, 1)

    other.takes(
        e.BooksAdopted(
            ts_ns=TS_NS + 150,
            exchange=BTC.exchange,
            orders=adoptable([bought], [], are_settled=True),
        )
    )
    other.takes(filled(bought))
    again = a_core(plain_settings())
    again.pipeline.recover(other.journal)
    other.takes(an_approval(instrument=BTC, quantity=D(1), close_ns=TS_NS))

    second = other.commands[-1]
    assert isinstance(second, e.SubmitOrder)
    assert second.client_order_id != first.client_order_id
    again.pipeline.step(an_approval(instrument=BTC, quantity=D(1), close_ns=TS_NS))
    assert state_text(again) == state_text(other.core)
