from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from daemon.core import events as e
from daemon.core.orders import Leg, OrderState, Side
from tests.builders import BTC, a_halt, a_reconciled, a_rules_change, a_stop_requested
from tests.unit.layers.orders_desk import OrdersDesk

D = Decimal
LIMIT: dict[str, Any] = {"entry_order": "limit", "exit_order": "limit"}


# --- market orders --------------------------------------------------------------------------------


def test_what_is_approved_is_one_market_order_where_the_book_is_deep() -> None:
    desk = OrdersDesk()
    desk.sees()

    desk.approves()
    desk.filled(desk.child().client_order_id)

    assert desk.intended() == [(Leg.ENTRY, "market", "2")]
    assert desk.ends() == [("filled", "2")]


def test_a_thin_book_is_taken_in_slices_each_after_its_interval() -> None:
    desk = OrdersDesk(slice_depth_ratio=0.25, slice_interval_s=10)
    desk.sees(depth="4")
    desk.approves("2.5")

    sent = [desk.child().quantity]
    desk.filled(desk.child().client_order_id)
    assert desk.blotter.child_of(BTC) is None
    desk.passes(5)
    assert desk.commands == []
    while desk.blotter.parents:
        desk.passes(10)
        assert desk.said() == ["AskQuotes"]
        desk.sees(depth="4")
        sent.append(desk.child().quantity)
        desk.filled(desk.child().client_order_id)

    assert sent == [D(1), D(1), D("0.5")]
    assert desk.ends() == [("filled", "2.5")]


def test_slices_of_an_entry_stay_within_the_order_rate_and_those_of_an_exit_do_not() -> None:
    desk = OrdersDesk(slice_depth_ratio=0.25, slice_interval_s=10, orders_per_hour=2)
    desk.sees("8")
    desk.approves("10")
    for _ in range(2):
        desk.filled(desk.child().client_order_id)
        desk.passes(10)
        desk.sees("8")

    assert desk.ends() == [("order_rate", "4.0")]
    desk.exits("4")
    for _ in range(2):
        desk.filled(desk.child().client_order_id)
        desk.passes(10)
        desk.sees("8")
    assert desk.ends()[1:] == [("filled", "4.0")]


def test_no_slice_leaves_a_rest_that_no_exchange_would_take() -> None:
    desk = OrdersDesk(slice_depth_ratio=0.25)
    desk.sees(depth="8")

    desk.approves("2.04")  # two units, and a rest of four hundredths

    assert desk.child().quantity == D("2.04")


def test_without_a_book_the_order_goes_whole() -> None:
    desk = OrdersDesk(slice_depth_ratio=0.25)

    desk.approves("2")

    assert desk.child().quantity == D(2)


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (e.Outcome.REFUSED, "refused"),
        (e.Outcome.NOT_SENT, "not_sent"),
        (e.Outcome.ABSENT, "absent"),
    ],
)
def test_a_child_that_never_was_ends_its_parent_and_is_not_sent_again(
    outcome: e.Outcome, reason: str
) -> None:
    desk = OrdersDesk()
    desk.approves()

    desk.hears(desk.child().client_order_id, outcome=outcome)
    for _ in range(5):
        desk.passes(60)

    assert desk.ends() == [(reason, "0")]
    assert len(desk.intended()) == 1


def test_an_unknown_child_holds_its_parent_until_its_fate_is_known() -> None:
    desk = OrdersDesk()
    desk.approves()
    order = desk.child().client_order_id
    desk.hears(order, outcome=e.Outcome.UNKNOWN)

    for _ in range(5):
        desk.passes(60)
    assert desk.blotter.parents
    assert desk.commands == []

    desk.filled(order)
    assert desk.ends() == [("filled", "2")]


def test_what_expires_in_an_empty_market_is_not_chased() -> None:
    desk = OrdersDesk()
    desk.approves()

    desk.fills(desk.child().client_order_id, "0.5", OrderState.EXPIRED)

    assert desk.ends() == [("expired", "0.5")]


def test_what_is_more_than_the_exchange_takes_at_once_is_closed_in_equal_parts() -> None:
    desk = OrdersDesk()
    desk.sees()
    desk.holds("2.5")
    rules = desk.book.instruments[BTC]
    desk.takes(a_rules_change(instrument=replace(rules, maximum_quantity=D(1))))
    desk.exits("2.5")

    sent = [desk.child().quantity]
    desk.filled(desk.child().client_order_id)
    while desk.blotter.parents:
        desk.passes(10)
        desk.sees()
        sent.append(desk.child().quantity)
        desk.filled(desk.child().client_order_id)

    assert sent == [D("0.8"), D("0.8"), D("0.9")]
    assert desk.ends()[-1] == ("filled", "2.5")


def test_no_order_is_worth_so_much_that_the_exchange_might_refuse_it() -> None:
    desk = OrdersDesk()
    rules = desk.book.instruments[BTC]
    desk.takes(a_rules_change(instrument=replace(rules, maximum_notional=D(150))))
    desk.sees()

    desk.approves("2")

    assert desk.child().quantity == D(1)


# --- limit orders ---------------------------------------------------------------------------------


def test_a_limit_order_stands_on_our_side_of_the_book() -> None:
    desk = OrdersDesk(**LIMIT)
    desk.sees(bid="99", ask="101")

    desk.approves()

    assert (desk.child().price, desk.child().order_type.value) == (D(99), "limit")


def test_the_offset_moves_it_toward_the_other_side_and_never_beyond() -> None:
    near = OrdersDesk(**LIMIT, limit_offset_bps=50)
    near.sees(bid="99", ask="101")
    near.approves()
    far = OrdersDesk(**LIMIT, limit_offset_bps=5_000)
    far.sees(bid="99", ask="101")
    far.approves()

    assert near.child().price == D("99.49")  # 99.495 on the grid of a hundredth, never above
    assert far.child().price == D(101)


def test_without_a_book_a_limit_order_goes_at_the_market() -> None:
    desk = OrdersDesk(**LIMIT)

    desk.approves()

    assert (desk.child().price, desk.child().order_type.value) == (None, "market")


def test_what_rests_too_long_is_cancelled_and_quoted_anew_for_what_is_left() -> None:
    desk = OrdersDesk(**LIMIT, requote_s=15)
    desk.sees()
    desk.approves()
    first = desk.child().client_order_id
    desk.rests(first)
    desk.fills(first, "0.5")

    desk.passes(14)
    assert desk.said() == []
    desk.passes(1)
    assert desk.said() == ["OrderCancelRequested", "CancelOrder"]
    desk.hears(first, state=OrderState.CANCELED, filled_quantity=D("0.5"))
    assert "AskQuotes" in desk.said()
    desk.sees(bid="98", ask="100")

    assert (desk.child().price, desk.child().quantity) == (D(98), D("1.5"))
    assert desk.child().client_order_id != first


def test_a_cancel_that_came_too_late_counts_what_filled_and_sends_nothing_more() -> None:
    desk = OrdersDesk(**LIMIT, requote_s=15)
    desk.sees()
    desk.approves()
    order = desk.child().client_order_id
    desk.rests(order)
    desk.passes(15)

    desk.filled(order)

    assert desk.ends() == [("filled", "2")]
    assert len(desk.intended()) == 1


def test_a_cancel_without_an_answer_is_said_again_and_the_order_is_not_replaced() -> None:
    desk = OrdersDesk(**LIMIT, requote_s=15)
    desk.sees()
    desk.approves()
    desk.rests(desk.child().client_order_id)
    desk.passes(15)

    desk.passes(5)
    assert desk.commands == []
    desk.passes(5)

    assert desk.said() == ["OrderCancelRequested", "CancelOrder"]
    assert len(desk.intended()) == 1


def test_an_entry_out_of_time_is_given_up() -> None:
    desk = OrdersDesk(**LIMIT, requote_s=15, order_timeout_s=20)
    desk.sees()
    desk.approves()
    order = desk.child().client_order_id
    desk.rests(order)
    desk.passes(21)

    desk.hears(order, state=OrderState.CANCELED, filled_quantity=D(0))

    assert desk.ends() == [("timed_out", "0")]


def test_an_exit_out_of_time_goes_at_the_market() -> None:
    desk = OrdersDesk(exit_order="limit", requote_s=15, order_timeout_s=20)
    desk.holds("2")
    desk.sees()
    desk.exits("2")
    order = desk.child().client_order_id
    desk.rests(order)
    desk.passes(21)

    desk.hears(order, state=OrderState.CANCELED, filled_quantity=D(0))

    assert desk.intended()[-1] == (Leg.EXIT, "market", str(desk.child().quantity))
    assert desk.child().quantity == D(2)


def test_the_next_child_waits_for_its_quotes_and_asks_again_when_none_come() -> None:
    desk = OrdersDesk(**LIMIT, requote_s=15, order_timeout_s=600)
    desk.sees()
    desk.approves()
    order = desk.child().client_order_id
    desk.rests(order)
    desk.passes(15)
    desk.hears(order, state=OrderState.CANCELED, filled_quantity=D(0))

    desk.passes(15)

    assert desk.said() == ["AskQuotes"]
    assert len(desk.intended()) == 1


# --- halts ----------------------------------------------------------------------------------------


def test_a_halt_cancels_an_entry_that_rests_and_sends_no_more_of_it() -> None:
    desk = OrdersDesk(**LIMIT)
    desk.sees()
    desk.approves()
    order = desk.child().client_order_id
    desk.rests(order)

    desk.takes(a_halt())
    assert desk.said() == ["OrderCancelRequested", "CancelOrder"]
    desk.hears(order, state=OrderState.CANCELED, filled_quantity=D(0))

    assert desk.ends() == [("halted", "0")]
    assert len(desk.intended()) == 1


def test_a_halt_between_two_slices_ends_the_entry_and_leaves_an_exit_alone() -> None:
    for is_exit in (False, True):
        desk = OrdersDesk(slice_depth_ratio=0.25)
        if is_exit:
            desk.holds("2")
        desk.sees(depth="4")
        desk.approves("2", is_exit=is_exit, side=Side.SELL if is_exit else Side.BUY)
        desk.filled(desk.child().client_order_id)

        desk.takes(a_halt())
        desk.passes(20)
        desk.sees(depth="4")

        assert (desk.blotter.child_of(BTC) is not None) is is_exit
        assert desk.ends()[-1:] != [("halted", "1")] or not is_exit


# --- exits ----------------------------------------------------------------------------------------


def test_an_exit_never_sells_more_than_is_held() -> None:
    desk = OrdersDesk()
    desk.holds("1.5")

    desk.exits("2")

    assert desk.child().quantity == D("1.5")


def test_an_exit_from_nothing_ends_at_once() -> None:
    desk = OrdersDesk()

    desk.exits("2")

    assert desk.ends() == [("nothing_left", "0")]
    assert desk.commands == []


# --- over a restart -------------------------------------------------------------------------------


def test_a_desk_that_knows_only_the_journal_goes_on_where_the_other_stood() -> None:
    config = {**LIMIT, "requote_s": 15.0}
    desk = OrdersDesk(**config)
    desk.sees()
    desk.approves()
    desk.rests(desk.child().client_order_id)
    again = desk.recovered(**config)

    steps = [(each.passes(15), each.said()) for each in (desk, again)]

    assert steps[0] == steps[1]
    assert steps[0][1] == ["OrderCancelRequested", "CancelOrder"]


def test_an_entry_does_not_follow_a_price_that_ran_away() -> None:
    desk = OrdersDesk(entry_order="limit")
    desk.sees()
    desk.approves("2")
    desk.rests(desk.child().client_order_id)
    desk.passes(16)
    desk.hears(desk.child().client_order_id, state=OrderState.CANCELED, filled_quantity=D(0))

    desk.sees(bid="199", ask="201")

    assert desk.ends() == [("price_collar", "0")]
    assert len(desk.intended()) == 1


def test_an_entry_whose_first_book_is_far_from_its_decision_is_not_sent() -> None:
    desk = OrdersDesk()
    desk.sees(bid="999", ask="1000")

    desk.approves("2")

    assert desk.ends() == [("price_collar", "0")]
    assert desk.intended() == []


@pytest.mark.parametrize("news", [a_stop_requested(), a_halt()])
@pytest.mark.parametrize("is_unknown", [False, True])
def test_what_comes_to_rest_when_no_more_is_to_be_sent_is_cancelled(
    news: e.Event, *, is_unknown: bool
) -> None:
    """It was on its way when the daemon stopped, and could not be cancelled yet."""
    desk = OrdersDesk(entry_order="limit")
    desk.sees()
    desk.approves("2")
    entry = desk.child().client_order_id
    if is_unknown:
        desk.hears(entry, outcome=e.Outcome.UNKNOWN)
    desk.takes(news)
    assert desk.commands == []

    desk.rests(entry)

    assert desk.said() == ["OrderAccepted", "OrderCancelRequested", "CancelOrder"]
    desk.hears(entry, state=OrderState.CANCELED, filled_quantity=D(0))
    assert desk.ends() == [("stopped" if isinstance(news, e.StopRequested) else "halted", "0")]


@pytest.mark.parametrize("news", [a_stop_requested(), a_halt()])
def test_a_cancel_that_came_to_nothing_is_sent_again_before_the_next_quote_would_be_due(
    news: e.Event,
) -> None:
    desk = OrdersDesk(entry_order="limit", requote_s=600)
    desk.sees()
    desk.approves("2")
    entry = desk.child().client_order_id
    desk.rests(entry)
    desk.takes(news)
    assert desk.said() == ["OrderCancelRequested", "CancelOrder"]

    desk.passes(5)
    assert desk.said() == [], "its answer may still come"
    desk.passes(6)

    assert desk.said() == ["OrderCancelRequested", "CancelOrder"]


def test_what_filled_when_no_more_is_to_be_sent_is_not_cancelled() -> None:
    desk = OrdersDesk(entry_order="limit", stop_loss_ratio=0.05)
    desk.sees()
    desk.approves("2")
    desk.takes(a_stop_requested())

    desk.filled(desk.child().client_order_id)
    assert "CancelOrder" not in desk.said()
    desk.rests(desk.stop().client_order_id)
    assert desk.said() == ["OrderAccepted"], "a stop is to rest"


def test_an_entry_waits_for_a_book_and_is_never_sent_blind() -> None:
    desk = OrdersDesk(entry_order="limit")
    desk.sees()
    desk.approves("2")
    desk.rests(desk.child().client_order_id)
    desk.passes(16)
    desk.hears(desk.child().client_order_id, state=OrderState.CANCELED, filled_quantity=D(0))

    desk.sees_books(e.Quote(instrument=BTC, taken_ns=desk.now_ns, error="no book within 2 s"))

    assert len(desk.intended()) == 1
    desk.passes(10)
    assert desk.said() == ["AskQuotes"]
    desk.passes(120)
    assert desk.ends() == [("timed_out", "0")]


def test_an_exit_that_rests_for_more_than_is_held_is_cancelled() -> None:
    desk = OrdersDesk(stop_loss_ratio=0.05, exit_order="limit")
    desk.sees()
    desk.holds("2")
    stop = desk.stop().client_order_id
    desk.rests(stop)
    desk.exits("2")
    desk.hears(stop, state=OrderState.CANCELED, filled_quantity=D(0))
    exit_order = desk.child().client_order_id
    desk.rests(exit_order)
    desk.fills(stop, "1.5")  # it was told to be gone, and was not

    desk.passes(1)

    (command,) = desk.commands
    assert isinstance(command, e.CancelOrder)
    assert command.client_order_id == exit_order
    desk.hears(exit_order, state=OrderState.CANCELED, filled_quantity=D(0))
    desk.sees()
    assert desk.child().quantity == D("0.5")


def test_an_entry_that_rests_for_more_than_is_wanted_is_cancelled() -> None:
    desk = OrdersDesk(**LIMIT)
    desk.sees()
    desk.approves("2")
    first = desk.child().client_order_id
    desk.rests(first)
    desk.passes(15)
    desk.hears(first, state=OrderState.CANCELED, filled_quantity=D(0))
    desk.sees()
    second = desk.child().client_order_id
    desk.rests(second)
    desk.fills(first, "1.5")  # it was told to be gone, and was not

    desk.passes(1)

    (command,) = desk.commands
    assert isinstance(command, e.CancelOrder)
    assert command.client_order_id == second
    desk.hears(second, state=OrderState.CANCELED, filled_quantity=D(0))
    desk.sees()
    assert desk.child().quantity == D("0.5")


def test_a_clock_that_was_set_back_delays_no_second_cancel() -> None:
    desk = OrdersDesk(stop_loss_ratio=0.05)
    desk.holds("2")
    desk.rests(desk.stop().client_order_id)
    desk.exits("2")

    desk.passes(-3_600)

    assert desk.said() == ["OrderCancelRequested", "CancelOrder"]


def unsure(desk: OrdersDesk) -> None:
    desk.takes(
        a_reconciled(ts_ns=desk.now_ns, is_clean=False, exchange=BTC.exchange, foreign=("tdx",))
    )


def test_an_exit_goes_no_further_beside_orders_that_nobody_intended() -> None:
    desk = OrdersDesk(exit_order="limit")
    desk.holds("2")
    desk.sees()
    desk.exits("2")
    resting = desk.child().client_order_id
    desk.rests(resting)

    unsure(desk)

    assert desk.said() == ["OrderCancelRequested", "CancelOrder"]
    desk.hears(resting, state=OrderState.CANCELED, filled_quantity=D(0))
    assert desk.ends() == [("filled", "2"), ("foreign_order", "0")]
    desk.passes(600)
    assert desk.said() == []
    desk.exits("2")  # as if no gate had stopped it
    assert desk.ends()[-1] == ("foreign_order", "0")


def test_an_exit_that_waits_for_its_stop_sells_nothing_once_others_may_have_sold_it() -> None:
    desk = OrdersDesk(stop_loss_ratio=0.05)
    desk.holds("2")
    stop = desk.stop().client_order_id
    desk.rests(stop)
    desk.exits("2")

    unsure(desk)
    desk.hears(stop, state=OrderState.CANCELED, filled_quantity=D(0))
    desk.passes(600)

    assert [each[0] for each in desk.intended()] == [Leg.ENTRY, Leg.STOP]
    assert desk.ends()[-1] == ("foreign_order", "0")

    desk.takes(a_reconciled(ts_ns=desk.now_ns, is_clean=True, exchange=BTC.exchange))
    desk.passes(1)
    assert desk.stop().quantity == 2, "protected again once both sides agree"
