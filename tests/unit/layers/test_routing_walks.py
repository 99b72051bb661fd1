"""Random walks of routed orders: whatever two exchanges answer, nothing is sold twice, and one that
falls silent keeps back nothing on the other.
"""

import random
from decimal import Decimal
from typing import Any, Final

import pytest

from daemon.core import events as e
from daemon.core.instruments import InstrumentId
from daemon.core.orders import Leg, Order, OrderState, Side
from daemon.layers.risk.flattening import Flattening
from tests.builders import BTC, a_halt, an_account_opened, orders_ticked
from tests.unit.layers.orders_desk import OrdersDesk

D = Decimal
LOT: Final = D("0.1")
THERE: Final = InstrumentId("okx", BTC.symbol)
BOTH: Final = (BTC, THERE)
STEPS: Final = 120
TRIES: Final = 200


class Walk:
    """A desk, and two exchanges that answer as the dice say."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.config: dict[str, Any] = {
            "ids": BOTH,
            "opened": {
                "accounts": tuple(an_account_opened(each.exchange, 10_000) for each in BOTH),
                "is_routed": True,
            },
            "fee_bps": 0.0,
            "stop_loss_ratio": self.dice.choice((0.0, 0.05)),
            "slice_depth_ratio": self.dice.choice((0.0, 0.5)),
            "entry_order": self.dice.choice(("market", "limit")),
            "exit_order": self.dice.choice(("market", "limit")),
        }
        self.desk = OrdersDesk(**self.config)
        self._leaving = Flattening(self.desk.book, self.desk.blotter)
        self._signals = 0
        self._has_failed = False

    def goes_on(self) -> None:
        kind = self.dice.random()
        if kind < 0.25:
            self.passes(self.dice.choice((1, 11, 30, 130)))
        elif kind < 0.85:
            orders = list(self.desk.blotter.all_open())
            if orders:
                self._answer(self.dice.choice(orders))
        else:
            self.wants()
        self._show_books()

    def passes(self, seconds: float) -> None:
        self.desk.passes(seconds)
        self._show_books()

    def wants(self, *, may_enter: bool = True) -> None:
        """What risk would approve now."""
        desk, self._signals = self.desk, self._signals + 1
        held = sum((desk.book.position(each).quantity for each in BOTH), D(0))
        is_idle = not any(desk.blotter.open_orders(each) for each in BOTH)
        if desk.blotter.parent_of(BTC) is not None:
            return
        if held >= LOT and self._leaving.may_leave(BTC):
            desk.exits(str(held), trace=f"exit {self._signals}")
        elif held < LOT and is_idle and may_enter:
            self._see_books()
            desk.approves("3", trace=f"entry {self._signals}")

    def answers_at_last(self, instrument: InstrumentId) -> None:
        """This exchange works as it should, but for one exit; of what is sent to the other one
        nothing is heard.
        """
        for order in list(self.desk.blotter.all_open()):
            ours = order.client_order_id
            if order.instrument != instrument:
                if order.state is OrderState.INTENDED:
                    self.desk.hears(ours, outcome=e.Outcome.UNKNOWN)
            elif order.leg is Leg.EXIT and not self._has_failed:
                self._has_failed = True
                self.desk.hears(ours, outcome=e.Outcome.NOT_SENT)
            elif order.is_resting and order.is_unresolved:
                self.desk.rests(ours)
            elif order.cancel_requested_ns is not None:
                self._cancelled(order)
            elif order.leg is not Leg.STOP:
                self.desk.filled(ours)

    def oversold(self) -> list[str]:
        """Where orders might sell more than is held, or several work side by side."""
        found = []
        for each in BOTH:
            orders = self.desk.blotter.open_orders(each)
            sells = sum((o.leaves_quantity for o in orders if o.side is Side.SELL), D(0))
            held = self.desk.book.position(each).quantity
            if sells > held or sum(o.leg is not Leg.STOP for o in orders) > 1:
                found.append(f"{each}: {held} held, {orders}")
        return found

    def _answer(self, order: Order) -> None:
        desk, ours = self.desk, order.client_order_id
        match self.dice.choice(_possible(order)):
            case "rests":
                desk.rests(ours)
            case "filled":
                desk.filled(ours)
            case "part" if order.leaves_quantity > LOT:
                lots = self.dice.randint(1, int(order.leaves_quantity / LOT) - 1)
                is_over = not order.is_resting
                desk.fills(ours, str(LOT * lots), OrderState.EXPIRED if is_over else None)
            case "cancelled":
                self._cancelled(order)
            case e.Outcome() as outcome:
                desk.hears(ours, outcome=outcome)

    def _cancelled(self, order: Order) -> None:
        filled = order.filled_quantity
        self.desk.hears(order.client_order_id, state=OrderState.CANCELED, filled_quantity=filled)

    def _show_books(self) -> None:
        for asked in [each for each in self.desk.commands if isinstance(each, e.AskQuotes)]:
            self._see_books(direction=asked.direction, trace=asked.trace)

    def _see_books(self, **changes: Any) -> None:
        """One of them often shows none."""
        quotes = [
            e.Quote(
                instrument=each,
                taken_ns=self.desk.now_ns,
                bids=((D(99), D(1_000)),),
                asks=((price, D(self.dice.choice((1, 5, 50)))),),
            )
            for each, price in zip(BOTH, (D(100), D(101)), strict=True)
        ]
        if self.dice.random() < 0.5:
            quotes.pop()
        self.desk.sees_books(*quotes, **changes)


def _possible(order: Order) -> list[Any]:
    """What an exchange, or nobody, may say of it next."""
    if order.state is OrderState.INTENDED:
        lost = [e.Outcome.UNKNOWN, e.Outcome.NOT_SENT, e.Outcome.REFUSED]
        return [*lost, *(["rests"] * 2 if order.is_resting else ["filled", "part"])]
    if order.is_unresolved:
        return [e.Outcome.ABSENT, e.Outcome.REFUSED, "rests" if order.is_resting else "filled"]
    asked = [] if order.cancel_requested_ns is None else ["cancelled"] * 3
    return [*asked, "filled", *(["part"] if order.leg is not Leg.STOP else ["nothing"] * 9)]


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_sold_twice_and_silence_there_keeps_back_nothing_here(seed: int) -> None:
    walk = Walk(seed)
    desk = walk.desk
    for _ in range(STEPS):
        walk.goes_on()
        assert walk.oversold() == []

    assert len(desk.intended()) > 5

    again = desk.recovered(**walk.config)
    assert (again.blotter.parents, again.blotter.orders) == (
        desk.blotter.parents,
        desk.blotter.orders,
    )
    tick = orders_ticked(ts_ns=desk.now_ns)
    assert again.takes(tick) == desk.takes(tick)

    desk.takes(a_halt(ts_ns=desk.now_ns))
    desk.takes(e.FlattenRequested(ts_ns=desk.now_ns, reason="test", who="test"))
    for _ in range(TRIES):
        walk.answers_at_last(BTC)
        walk.passes(5)
        walk.wants(may_enter=False)
        assert walk.oversold() == []
    assert desk.book.position(BTC).quantity < LOT
