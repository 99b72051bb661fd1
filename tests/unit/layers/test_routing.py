from decimal import Decimal
from typing import Any

import pytest

from daemon.core import events as e
from daemon.core.instruments import InstrumentId
from daemon.core.orders import Leg, Order, OrderState, Side
from daemon.core.repute import Tolerance
from tests.builders import (
    BTC,
    a_clock_checked,
    a_feed_recovered,
    a_feed_stale,
    a_halt,
    an_account_opened,
    an_instrument,
)
from tests.unit.layers.orders_desk import OrdersDesk

D = Decimal
THERE = InstrumentId("okx", BTC.symbol)
ELSE_THERE = InstrumentId("okx", "ETH/USDT")
Levels = tuple[tuple[str, str], ...]


def a_desk(
    *, there_quote: int = 10_000, tolerance: Tolerance | None = None, **config: Any
) -> OrdersDesk:
    """Two exchanges that list one thing, with money on both; fees of nothing unless said."""
    accounts = (an_account_opened(BTC.exchange, 10_000), an_account_opened("okx", there_quote))
    defaults = {"fee_bps": 0.0, "slice_depth_ratio": 0.0}
    return OrdersDesk(
        ids=(BTC, THERE, ELSE_THERE),
        opened={"accounts": accounts, "is_routed": True},
        tolerance=tolerance,
        **defaults | config,
    )


def quotes(desk: OrdersDesk, here: Levels, there: Levels, **changes: Any) -> None:
    """Offers on both exchanges; bids are a little lower and deep."""

    def book(instrument: InstrumentId, asks: Levels) -> e.Quote:
        levels = tuple((D(price), D(quantity)) for price, quantity in asks)
        error = "" if levels else "nobody answers"
        bids = ((D(90), D(1_000)),) if levels else ()
        return e.Quote(
            instrument=instrument, taken_ns=desk.now_ns, bids=bids, asks=levels, error=error
        )

    desk.sees_books(book(BTC, here), book(THERE, there), **changes)


def sent(desk: OrdersDesk) -> dict[str, Decimal]:
    """What is open, by exchange."""
    return {each.instrument.exchange: each.quantity for each in children(desk)}


def children(desk: OrdersDesk) -> list[Order]:
    return [each for each in desk.blotter.all_open() if each.leg is not Leg.STOP]


def child_on(desk: OrdersDesk, exchange: str) -> Order:
    (order,) = (each for each in children(desk) if each.instrument.exchange == exchange)
    return order


# --- where to -------------------------------------------------------------------------------------


def test_all_of_it_goes_where_it_is_cheaper() -> None:
    desk = a_desk()
    quotes(desk, (("101", "50"),), (("100", "50"),))

    desk.approves("2")

    assert sent(desk) == {"okx": D(2)}


def test_fees_are_part_of_the_price() -> None:
    desk = a_desk(fee_bps_on={"okx": 150.0})
    quotes(desk, (("101", "50"),), (("100", "50"),))

    desk.approves("2")

    assert sent(desk) == {BTC.exchange: D(2)}


def test_a_thin_book_is_left_for_the_next_one_where_that_costs_less() -> None:
    desk = a_desk()
    quotes(desk, (("100", "1.5"), ("103", "50")), (("101", "50"),))

    desk.approves("4")

    assert sent(desk) == {BTC.exchange: D("1.5"), "okx": D("2.5")}


def test_parts_are_whole_lots_and_never_more_than_was_approved() -> None:
    desk = a_desk()
    quotes(desk, (("100", "1.234"), ("103", "50")), (("101", "0.777"), ("102", "50")))

    desk.approves("3")

    assert all(quantity % D("0.1") == 0 for quantity in sent(desk).values())
    assert sum(sent(desk).values()) <= D(3)


def test_what_is_too_small_for_one_exchange_goes_to_the_other() -> None:
    desk = a_desk()
    quotes(desk, (("100", "0.04"), ("103", "50")), (("101", "50"),))

    desk.approves("2")

    assert sent(desk) == {"okx": D(2)}


def test_no_exchange_is_asked_for_money_that_lies_on_another() -> None:
    desk = a_desk(there_quote=100)
    quotes(desk, (("101", "50"),), (("100", "50"),))

    desk.approves("3")

    assert sent(desk) == {BTC.exchange: D(2), "okx": D(1)}


def test_a_stale_feed_a_clock_that_is_off_and_a_silent_book_get_nothing() -> None:
    for trouble in ("stale", "clock", "silent"):
        desk = a_desk()
        if trouble == "stale":
            desk.takes(a_feed_stale(instrument=THERE))
        elif trouble == "clock":
            desk.takes(a_clock_checked(exchange="okx", is_trusted=False))
        quotes(desk, (("101", "50"),), () if trouble == "silent" else (("100", "50"),))

        desk.approves("2")

        assert sent(desk) == {BTC.exchange: D(2)}, trouble


def test_an_exchange_whose_price_is_beyond_belief_gets_nothing_and_stops_nobody() -> None:
    desk = a_desk()
    quotes(desk, (("101", "50"),), (("50", "50"),))

    desk.approves("2")

    assert sent(desk) == {BTC.exchange: D(2)}


def ordered_there(desk: OrdersDesk, outcome: e.Outcome) -> None:
    """Something else was ordered on the second exchange, with that outcome."""
    desk.approves("1", instrument=ELSE_THERE)
    (order,) = desk.blotter.open_orders(ELSE_THERE)
    desk.hears(order.client_order_id, outcome=outcome)


def test_an_exchange_with_too_many_orders_of_unknown_fate_gets_no_more() -> None:
    desk = a_desk(tolerance=Tolerance(unresolved_max=1))
    ordered_there(desk, e.Outcome.UNKNOWN)
    quotes(desk, (("101", "50"),), (("100", "50"),))

    desk.approves("2")

    assert [each.instrument for each in children(desk) if each.instrument != ELSE_THERE] == [BTC]


def test_an_exchange_that_refuses_gets_no_more_until_its_pause_is_over() -> None:
    desk = a_desk(tolerance=Tolerance(refusals_max=1, refusal_pause_bars=1))
    ordered_there(desk, e.Outcome.REFUSED)
    quotes(desk, (("101", "50"),), (("100", "50"),))

    desk.approves("2")
    first = sent(desk)
    desk.filled(child_on(desk, BTC.exchange).client_order_id)
    desk.passes(3_600)
    quotes(desk, (("101", "50"),), (("100", "50"),))
    desk.approves("2")

    assert (first, sent(desk)) == ({BTC.exchange: D(2)}, {"okx": D(2)})


def test_who_is_well_again_is_asked_again() -> None:
    desk = a_desk()
    desk.takes(a_feed_stale(instrument=THERE))
    desk.takes(a_feed_recovered(instrument=THERE))
    quotes(desk, (("101", "50"),), (("100", "50"),))

    desk.approves("2")

    assert sent(desk) == {"okx": D(2)}


def test_when_nobody_can_take_it_that_is_said() -> None:
    desk = a_desk()
    quotes(desk, (), ())

    desk.approves("2")

    assert desk.ends() == [("nowhere", "0")]
    assert desk.commands == []


# --- going on -------------------------------------------------------------------------------------


def test_a_parent_ends_when_all_its_children_have() -> None:
    desk = a_desk()
    quotes(desk, (("100", "1"), ("103", "50")), (("101", "50"),))
    desk.approves("3")

    desk.filled(child_on(desk, BTC.exchange).client_order_id)
    assert desk.ends() == []
    desk.filled(child_on(desk, "okx").client_order_id)

    assert desk.ends() == [("filled", "3.0")]


def test_what_one_exchange_refuses_goes_to_the_other_and_not_back() -> None:
    for outcome in (e.Outcome.REFUSED, e.Outcome.NOT_SENT, e.Outcome.ABSENT):
        desk = a_desk()
        quotes(desk, (("101", "50"),), (("100", "50"),))
        desk.approves("2")

        desk.hears(child_on(desk, "okx").client_order_id, outcome=outcome)
        assert "AskQuotes" in desk.said()
        quotes(desk, (("101", "50"),), (("100", "50"),))
        assert sent(desk) == {BTC.exchange: D(2)}
        desk.hears(child_on(desk, BTC.exchange).client_order_id, outcome=outcome)

        assert len(desk.ends()) == 1
        assert len(desk.intended()) == 2


def test_what_was_decided_long_ago_is_sent_to_nobody_else() -> None:
    desk = a_desk(order_timeout_s=120)
    quotes(desk, (("101", "50"),), (("100", "50"),))
    desk.approves("2")
    order = child_on(desk, "okx").client_order_id
    desk.hears(order, outcome=e.Outcome.UNKNOWN)

    desk.passes(8 * 3_600)  # the exchange was away, or we were
    desk.hears(order, outcome=e.Outcome.ABSENT)
    quotes(desk, (("101", "50"),), (("100", "50"),))

    assert sent(desk) == {}
    assert desk.ends() == [("timed_out", "0")]


def test_an_unknown_child_is_not_replaced_anywhere() -> None:
    desk = a_desk()
    quotes(desk, (("101", "50"),), (("100", "50"),))
    desk.approves("2")

    desk.hears(child_on(desk, "okx").client_order_id, outcome=e.Outcome.UNKNOWN)
    for _ in range(4):
        desk.passes(30)
        quotes(desk, (("101", "50"),), (("100", "50"),))

    assert sent(desk) == {"okx": D(2)}
    assert len(desk.intended()) == 1


def a_half_known_entry(**config: Any) -> tuple[OrdersDesk, Order]:
    """1 bought here, and an order for 2 there of which nobody can say what became of it."""
    desk = a_desk(order_timeout_s=120, **config)
    quotes(desk, (("100", "1"), ("103", "50")), (("101", "50"),))
    desk.approves("3")
    desk.filled(child_on(desk, BTC.exchange).client_order_id)
    there = child_on(desk, "okx")
    desk.hears(there.client_order_id, outcome=e.Outcome.UNKNOWN)
    return desk, there


def test_an_entry_of_unknown_fate_there_lets_go_in_time_of_what_was_bought_here() -> None:
    desk, there = a_half_known_entry()
    desk.passes(60)
    assert desk.ends() == []

    desk.passes(60)
    assert desk.ends() == [("timed_out", "1.0")]
    desk.exits("1")
    desk.filled(child_on(desk, BTC.exchange).client_order_id)

    assert desk.book.position(BTC).quantity == 0
    assert sent(desk) == {"okx": D(2)}
    assert desk.ends() == [("timed_out", "1.0")], "the exit waits for what comes of the other one"
    desk.filled(there.client_order_id)
    desk.passes(30)
    quotes(desk, (), (), direction=e.Direction.FLAT)
    assert desk.ends()[1:] == [("filled", "1")]
    assert desk.book.position(THERE).quantity == D(2)


def test_a_halt_lets_go_of_it_at_once_and_what_it_buys_late_is_protected() -> None:
    desk, there = a_half_known_entry(stop_loss_ratio=0.05)
    desk.takes(a_halt())

    desk.passes(1)
    assert desk.ends() == [("halted", "1.0")]
    desk.filled(there.client_order_id)
    desk.passes(1)

    stop = desk.blotter.stop_of(THERE)
    assert stop is not None
    assert stop.quantity == D(2)


def test_what_comes_to_rest_after_its_parent_was_let_go_is_cancelled_until_it_is_gone() -> None:
    desk, there = a_half_known_entry(entry_order="limit")
    desk.passes(120)

    desk.rests(there.client_order_id)
    first = desk.said()[-2:]
    desk.passes(11)
    again = desk.said()
    desk.hears(there.client_order_id, state=OrderState.CANCELED, filled_quantity=D(0))

    assert first == again == ["OrderCancelRequested", "CancelOrder"]
    assert not children(desk)


def test_an_entry_that_rests_where_nobody_answers_a_cancel_is_let_go_too() -> None:
    desk, there = a_half_known_entry(entry_order="limit")
    desk.rests(there.client_order_id)
    desk.takes(a_halt(ts_ns=desk.now_ns))
    assert "CancelOrder" in desk.said()

    desk.passes(5)
    assert desk.ends() == []
    desk.passes(5)
    assert desk.ends() == [("halted", "1.0")]
    desk.exits("1", trace="another")
    desk.filled(child_on(desk, BTC.exchange).client_order_id)

    assert desk.book.position(BTC).quantity == 0
    assert "CancelOrder" in [type(each).__name__ for each in desk.passes(10).commands]


def test_without_another_exchange_an_entry_of_unknown_fate_is_waited_for() -> None:
    desk = OrdersDesk(order_timeout_s=120)
    desk.approves("2")
    desk.hears(desk.child().client_order_id, outcome=e.Outcome.UNKNOWN)

    desk.passes(600)

    assert desk.ends() == []


def test_an_exit_sells_everywhere_what_is_held_there() -> None:
    desk = a_desk()
    quotes(desk, (("100", "1"), ("103", "50")), (("101", "50"),))
    desk.approves("3")
    for each in children(desk):
        desk.filled(each.client_order_id)

    desk.exits("3")

    assert {each.instrument.exchange: (each.side, each.quantity) for each in children(desk)} == {
        BTC.exchange: (Side.SELL, D(1)),
        "okx": (Side.SELL, D(2)),
    }


def a_protected_split(**config: Any) -> tuple[OrdersDesk, Order, Order]:
    """1 held here and 2 there, and the stops that rest behind them."""
    desk = a_desk(stop_loss_ratio=0.05, **config)
    quotes(desk, (("100", "1"), ("103", "50")), (("101", "50"),))
    desk.approves("3")
    for each in children(desk):
        desk.filled(each.client_order_id)
    here, there = desk.blotter.stop_of(BTC), desk.blotter.stop_of(THERE)
    assert here is not None
    assert there is not None
    assert (here.quantity, there.quantity) == (D(1), D(2))
    for each in (here, there):
        desk.rests(each.client_order_id)
    return desk, here, there


def cancelled(desk: OrdersDesk, order: Order) -> None:
    desk.hears(order.client_order_id, state=OrderState.CANCELED, filled_quantity=D(0))


def test_an_exit_sells_on_each_exchange_once_no_stop_there_may_sell_it() -> None:
    desk, here, there = a_protected_split()

    desk.exits("3")
    assert children(desk) == []
    cancelled(desk, here)
    first = sent(desk)
    cancelled(desk, there)

    assert (first, sent(desk)) == ({BTC.exchange: D(1)}, {BTC.exchange: D(1), "okx": D(2)})


def test_what_is_held_on_one_exchange_is_sold_while_another_one_says_nothing_of_its_stop() -> None:
    desk, here, there = a_protected_split()
    desk.exits("3")

    cancelled(desk, here)
    desk.filled(child_on(desk, BTC.exchange).client_order_id)
    for _ in range(3):
        desk.passes(30)
        quotes(desk, (("101", "50"),), ())

    assert desk.book.position(BTC).quantity == 0
    assert desk.ends() == [("filled", "3.0")]  # of the entry: the exit waits for the other one
    assert "CancelOrder" in [type(each).__name__ for each in desk.passes(30).commands]
    cancelled(desk, there)
    desk.filled(child_on(desk, "okx").client_order_id)
    assert desk.ends()[1:] == [("filled", "3.0")]


def test_slices_go_on_on_one_exchange_beside_an_order_of_unknown_fate_on_another() -> None:
    desk, here, there = a_protected_split(slice_depth_ratio=0.5, slice_interval_s=10)
    desk.exits("3")
    cancelled(desk, here)
    cancelled(desk, there)
    desk.hears(child_on(desk, "okx").client_order_id, outcome=e.Outcome.UNKNOWN)
    first = child_on(desk, BTC.exchange)
    desk.fills(first.client_order_id, "0.4", OrderState.EXPIRED)

    desk.passes(30)
    assert "AskQuotes" in desk.said()
    quotes(desk, (("101", "50"),), (), direction=e.Direction.FLAT)

    assert sent(desk) == {BTC.exchange: D("0.6"), "okx": D(2)}
    desk.filled(child_on(desk, BTC.exchange).client_order_id)
    for _ in range(3):
        desk.passes(30)
        quotes(desk, (("101", "50"),), (), direction=e.Direction.FLAT)
    assert sent(desk) == {"okx": D(2)}, "never more than was approved, what is unknown counted"


LOST = [e.Outcome.NOT_SENT, e.Outcome.REFUSED, e.Outcome.ABSENT]


def passes_unheard(desk: OrdersDesk, seconds: float, **changes: Any) -> None:
    """Time in which the other exchange says nothing."""
    desk.passes(seconds)
    quotes(desk, (("101", "50"),), (), direction=e.Direction.FLAT, **changes)


@pytest.mark.parametrize("outcome", LOST)
def test_an_exit_that_came_to_nothing_here_is_tried_again_although_the_other_exchange_is_away(
    outcome: e.Outcome,
) -> None:
    desk, here, there = a_protected_split(order_timeout_s=120)
    desk.exits("3")
    cancelled(desk, here)
    cancelled(desk, there)
    unknown = child_on(desk, "okx")
    desk.hears(unknown.client_order_id, outcome=e.Outcome.UNKNOWN)
    desk.hears(child_on(desk, BTC.exchange).client_order_id, outcome=outcome)
    passes_unheard(desk, 60)
    assert desk.ends() == [("filled", "3.0")]

    passes_unheard(desk, 60)
    stop = desk.blotter.stop_of(BTC)
    assert desk.ends()[1:] == [("timed_out", "0")]
    assert stop is not None, "it waits for the next exit with a stop behind it"
    assert desk.blotter.stop_of(THERE) is None, "what is there may be sold already"
    desk.exits("3", trace="another")
    cancelled(desk, stop)

    assert sent(desk) == {BTC.exchange: D(1), "okx": D(2)}
    desk.filled(child_on(desk, BTC.exchange).client_order_id)
    desk.filled(unknown.client_order_id)
    passes_unheard(desk, 30, trace="another")
    assert (desk.book.position(BTC).quantity, desk.book.position(THERE).quantity) == (D(0), D(0))
    assert desk.ends()[2:] == [("nothing_left", "1.0")]
    assert children(desk) == []


def test_it_is_tried_again_too_beside_a_stop_that_does_not_end() -> None:
    desk, here, _ = a_protected_split(order_timeout_s=120)
    desk.exits("3")
    cancelled(desk, here)
    desk.hears(child_on(desk, BTC.exchange).client_order_id, outcome=e.Outcome.NOT_SENT)

    passes_unheard(desk, 60)
    assert len(desk.ends()) == 1
    passes_unheard(desk, 60)

    assert desk.ends()[1:] == [("timed_out", "0")]
    assert desk.blotter.stop_of(BTC) is not None


def test_a_flatten_does_not_wait_so_long_to_try_it_again() -> None:
    desk, here, _ = a_protected_split(order_timeout_s=120)
    desk.takes(e.FlattenRequested(ts_ns=desk.now_ns, reason="test", who="test"))
    desk.exits("3")
    cancelled(desk, here)
    desk.hears(child_on(desk, BTC.exchange).client_order_id, outcome=e.Outcome.NOT_SENT)

    passes_unheard(desk, 5)
    assert len(desk.ends()) == 1
    passes_unheard(desk, 5)

    assert desk.ends()[1:] == [("timed_out", "0")]


def test_an_exit_is_for_whole_lots_of_each_exchange_whatever_the_lots_of_the_others_are() -> None:
    desk = a_desk()
    quotes(desk, (("100", "1.4"), ("103", "50")), (("101", "50"),))
    desk.approves("3.4")
    for each in children(desk):
        desk.filled(each.client_order_id)
    coarse = an_instrument(id=THERE, lot=D(1), minimum_quantity=D(1))
    desk.takes(e.RulesChanged(ts_ns=desk.now_ns, instrument=coarse, detail="lot 0.1 -> 1"))

    desk.exits("3")

    assert sent(desk) == {BTC.exchange: D("1.4"), "okx": D(1)}


def test_without_routing_each_exchange_is_alone() -> None:
    accounts = (an_account_opened(BTC.exchange, 10_000), an_account_opened("okx", 10_000))
    desk = OrdersDesk(ids=(BTC, THERE), opened={"accounts": accounts}, slice_depth_ratio=0.0)
    quotes(desk, (("101", "50"),), (("100", "50"),))

    desk.approves("2")
    desk.approves("1", instrument=THERE)

    assert sent(desk) == {BTC.exchange: D(2), "okx": D(1)}
