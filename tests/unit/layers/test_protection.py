from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from daemon.core import events as e
from daemon.core.orders import Leg, OrderState, OrderType, Side
from daemon.running.order_tasks import is_left_alone
from tests.builders import (
    BTC,
    a_policy_act,
    a_rules_change,
    a_stop_requested,
    an_exchange_back,
)
from tests.unit.layers.orders_desk import OrdersDesk

D = Decimal
STOP: dict[str, Any] = {"stop_loss_ratio": 0.05}


def a_protected_desk(quantity: str = "2") -> OrdersDesk:
    desk = OrdersDesk(**STOP)
    desk.holds(quantity)
    desk.rests(desk.stop().client_order_id)
    return desk


def test_a_position_gets_a_stop_below_what_it_cost() -> None:
    desk = OrdersDesk(**STOP)

    desk.holds("2")

    stop = desk.stop()
    assert (stop.leg, stop.order_type, stop.side) == (Leg.STOP, OrderType.STOP, Side.SELL)
    assert (stop.quantity, stop.stop_price) == (D(2), D(95))
    assert stop.is_exit
    (command,) = desk.commands
    assert isinstance(command, e.SubmitOrder)
    assert command.stop_price == D(95)


def test_without_a_ratio_nothing_is_protected() -> None:
    desk = OrdersDesk()

    desk.holds("2")
    desk.passes(60)

    assert [leg for leg, _, _ in desk.intended()] == [Leg.ENTRY]


def test_dust_is_not_protected_for_no_exchange_would_take_the_stop() -> None:
    desk = OrdersDesk(**STOP)
    desk.approves("2")

    desk.fills(desk.child().client_order_id, "0.05", OrderState.EXPIRED)
    desk.passes(60)

    assert [leg for leg, _, _ in desk.intended()] == [Leg.ENTRY]


def a_desk_with_little(price: str) -> OrdersDesk:
    """A tenth of a unit is held; the exchange takes nothing that is worth less than five."""
    desk = OrdersDesk(**STOP)
    desk.approves("0.1", decision_price=D(price))
    desk.fills(desk.child().client_order_id, "0.1", OrderState.FILLED, price=price)
    return desk


@pytest.mark.parametrize("mark", ["51", "49"])
def test_a_stop_that_rests_stays_however_little_it_is_worth_by_now(mark: str) -> None:
    desk = a_desk_with_little("53")
    stop = desk.stop().client_order_id
    desk.rests(stop)

    desk.book.marks[BTC] = D(mark)
    desk.passes(1)

    assert desk.commands == []
    assert desk.stop().client_order_id == stop


def test_what_could_be_sold_now_gets_a_stop_though_it_is_worth_less_than_the_smallest_order() -> (
    None
):
    desk = a_desk_with_little("51")

    assert (desk.stop().quantity, desk.stop().stop_price) == (D("0.1"), D("48.45"))


def test_an_exit_cancels_the_stop_first_and_sells_when_its_end_is_known() -> None:
    desk = a_protected_desk()
    stop = desk.stop().client_order_id

    desk.exits("2")
    assert desk.said() == ["OrderCancelRequested", "CancelOrder"]
    desk.hears(stop, state=OrderState.CANCELED, filled_quantity=D(0))

    assert desk.child().leg is Leg.EXIT
    assert desk.child().quantity == D(2)
    desk.filled(desk.child().client_order_id)
    assert desk.ends()[-1] == ("filled", "2")
    assert desk.blotter.stop_of(BTC) is None


def test_a_stop_whose_cancel_got_no_answer_is_settled_before_a_daemon_ends() -> None:
    """It rests for all we know; if the cancel did arrive, the position would sleep unprotected."""
    desk = a_protected_desk()
    before = is_left_alone(desk.blotter)
    desk.exits("2")
    desk.takes(a_stop_requested(ts_ns=desk.now_ns))
    order = desk.stop().client_order_id

    assert (before, is_left_alone(desk.blotter)) == (True, False)
    desk.passes(10)
    assert desk.said() == ["OrderCancelRequested", "CancelOrder"]
    desk.hears(order, state=OrderState.CANCELED, filled_quantity=D(0))
    assert desk.stop().client_order_id != order
    desk.rests(desk.stop().client_order_id)
    assert is_left_alone(desk.blotter)


def test_a_stop_that_sold_first_leaves_the_exit_nothing() -> None:
    desk = a_protected_desk()
    stop = desk.stop().client_order_id
    desk.exits("2")

    desk.filled(stop)

    assert desk.ends()[-1] == ("nothing_left", "0")
    assert [leg for leg, _, _ in desk.intended()].count(Leg.EXIT) == 0


def test_a_stop_that_sold_a_part_leaves_the_exit_the_rest() -> None:
    desk = a_protected_desk()
    stop = desk.stop().client_order_id
    desk.exits("2")

    desk.fills(stop, "0.5", OrderState.CANCELED)

    assert desk.child().quantity == D("1.5")


def test_an_exit_waits_for_a_stop_of_which_nobody_knows_the_fate() -> None:
    desk = OrdersDesk(**STOP)
    desk.holds("2")
    stop = desk.stop().client_order_id
    desk.hears(stop, outcome=e.Outcome.UNKNOWN)

    desk.exits("2")
    for _ in range(6):
        desk.passes(10)
    assert [leg for leg, _, _ in desk.intended()].count(Leg.EXIT) == 0

    desk.hears(stop, outcome=e.Outcome.ABSENT)
    assert desk.child().quantity == D(2)


def test_a_stop_that_does_not_fit_is_cancelled_and_made_anew_only_then() -> None:
    desk = a_protected_desk("2")
    stop = desk.stop().client_order_id
    desk.fills(stop, "0.5")  # half a unit went, 1.5 are held and 1.5 of the stop are left

    desk.passes(1)
    assert desk.commands == []
    desk.approves("1")  # more is bought
    desk.filled(desk.child().client_order_id)
    assert desk.said()[-1] == "CancelOrder"
    assert [leg for leg, _, _ in desk.intended()].count(Leg.STOP) == 1

    desk.hears(stop, state=OrderState.CANCELED, filled_quantity=D("0.5"))

    assert desk.stop().quantity == D("2.5")


def test_a_stop_set_off_and_rejected_is_said_to_have_failed_and_holds_no_exit_back() -> None:
    desk = a_protected_desk()
    stop = desk.stop().client_order_id

    desk.hears(
        stop,
        outcome=e.Outcome.REFUSED,
        source=e.ReportSource.LOOKUP,
        reason="status rejected",
    )

    (failed,) = [each for each in desk.facts if isinstance(each, e.ProtectionFailed)]
    assert failed.reason == "status rejected"
    assert desk.blotter.stop_of(BTC) is None
    desk.exits("2")
    assert (desk.child().leg, desk.child().quantity) == (Leg.EXIT, D(2))


def test_a_stop_that_vanished_is_made_anew() -> None:
    desk = a_protected_desk()
    first = desk.stop().client_order_id

    desk.hears(first, state=OrderState.CANCELED, filled_quantity=D(0))

    assert desk.stop().client_order_id != first
    assert desk.stop().quantity == D(2)


def test_a_stop_that_the_exchange_forgot_is_made_anew_with_an_alarm() -> None:
    desk = a_protected_desk()
    first = desk.stop().client_order_id

    desk.hears(first, outcome=e.Outcome.ABSENT, source=e.ReportSource.LOOKUP)

    (halt,) = [each for each in desk.facts if isinstance(each, e.TradingHalted)]
    assert halt.reason is e.HaltReason.RECONCILE
    assert first in halt.detail
    assert desk.stop().client_order_id != first
    assert desk.stop().quantity == D(2)


def test_a_stop_that_the_exchange_forgot_holds_no_exit_back() -> None:
    desk = a_protected_desk()
    stop = desk.stop().client_order_id
    desk.fills(stop, "0.5")
    desk.exits("1.5")
    assert desk.said()[-1] == "CancelOrder"

    desk.hears(stop, outcome=e.Outcome.ABSENT, source=e.ReportSource.LOOKUP)

    assert (desk.child().leg, desk.child().quantity) == (Leg.EXIT, D("1.5"))


def test_a_refused_stop_is_said_to_have_failed_and_not_tried_again_at_once() -> None:
    desk = OrdersDesk(**STOP)
    desk.holds("2")

    desk.hears(
        desk.stop().client_order_id, outcome=e.Outcome.REFUSED, reason="would trigger immediately"
    )

    (failed,) = [each for each in desk.facts if isinstance(each, e.ProtectionFailed)]
    assert (failed.reason, failed.attempts) == ("would trigger immediately", 1)
    assert desk.commands == []


@pytest.mark.parametrize("is_first", [True, False])
def test_what_no_stop_is_held_for_is_closed_at_the_market_though_the_daemon_stops(
    *, is_first: bool
) -> None:
    """It would sleep unprotected; any other exit ends when the daemon is told to stop."""
    desk = OrdersDesk(**STOP, exit_order="limit")
    desk.holds("2")
    stopped = a_stop_requested(ts_ns=desk.now_ns)

    if is_first:
        desk.takes(stopped)
    desk.hears(desk.stop().client_order_id, outcome=e.Outcome.REFUSED, reason="too many stops")
    desk.sees()
    desk.exits("2")  # which is what risk answers
    if not is_first:
        desk.rests(desk.child().client_order_id)
        desk.takes(stopped)
        desk.hears(desk.child().client_order_id, state=OrderState.CANCELED, filled_quantity=D(0))
        desk.sees()

    assert (desk.child().leg, desk.child().order_type) == (Leg.EXIT, OrderType.MARKET)
    desk.filled(desk.child().client_order_id)
    assert desk.ends()[-1] == ("filled", "2")
    assert desk.book.position(BTC).quantity == 0


def test_an_exit_of_what_is_protected_ends_when_the_daemon_stops() -> None:
    desk = OrdersDesk(**STOP)
    desk.holds("2")
    desk.rests(desk.stop().client_order_id)
    desk.takes(a_stop_requested(ts_ns=desk.now_ns))

    desk.exits("2")

    assert desk.ends()[-1] == ("stopped", "0")


def test_what_no_stop_is_held_for_is_bought_no_further() -> None:
    desk = OrdersDesk(**STOP, slice_depth_ratio=0.25)
    desk.sees("8")
    desk.approves("10")
    desk.filled(desk.child().client_order_id)
    desk.passes(1)

    desk.hears(desk.stop().client_order_id, outcome=e.Outcome.REFUSED, reason="too many stops")

    assert desk.ends() == [("unprotected", "2.0")]
    desk.passes(10)
    assert not [each for each in desk.commands if isinstance(each, e.AskQuotes)]


@pytest.mark.parametrize("action", ["reduce", "close"])
def test_what_the_policy_gives_up_is_bought_no_further(action: str) -> None:
    desk = OrdersDesk(slice_depth_ratio=0.25)
    desk.sees("8")
    desk.approves("10")
    desk.filled(desk.child().client_order_id)
    desk.passes(1)

    desk.takes(a_policy_act(ts_ns=desk.now_ns, action=e.PolicyAction(action)))

    assert desk.ends() == [("policy", "2.0")]
    desk.passes(10)
    assert not [each for each in desk.commands if isinstance(each, e.AskQuotes)]


def test_an_entry_that_rests_is_cancelled_when_the_policy_gives_it_up_and_an_exit_goes_on() -> None:
    desk = OrdersDesk(entry_order="limit", exit_order="limit")
    desk.sees()
    desk.approves("2")
    entry = desk.child().client_order_id
    desk.rests(entry)

    desk.takes(a_policy_act(ts_ns=desk.now_ns, action=e.PolicyAction.CLOSE))

    assert desk.said() == ["OrderCancelRequested", "CancelOrder"]
    desk.fills(entry, "0.5")
    desk.hears(entry, state=OrderState.CANCELED, filled_quantity=D("0.5"))
    assert desk.ends() == [("policy", "0.5")]
    desk.sees()
    desk.exits("0.5")
    desk.rests(desk.child().client_order_id)
    desk.takes(a_policy_act(ts_ns=desk.now_ns, action=e.PolicyAction.CLOSE))
    assert desk.said() == []


def test_the_rest_of_an_entry_that_no_stop_is_held_for_is_cancelled() -> None:
    desk = OrdersDesk(**STOP, entry_order="limit")
    desk.sees()
    desk.approves("2")
    entry = desk.child().client_order_id
    desk.fills(entry, "0.5", OrderState.PARTLY_FILLED)
    desk.passes(1)

    desk.hears(desk.stop().client_order_id, outcome=e.Outcome.REFUSED, reason="too many stops")

    assert desk.said()[-2:] == ["OrderCancelRequested", "CancelOrder"]
    again = desk.recovered(**STOP, entry_order="limit")
    again.hears(entry, state=OrderState.CANCELED, filled_quantity=D("0.5"))
    assert again.ends()[-1] == ("unprotected", "0.5")


@pytest.mark.parametrize("outcome", [e.Outcome.NOT_SENT, e.Outcome.ABSENT])
def test_a_stop_that_did_not_get_there_is_tried_thrice_each_time_later(outcome: e.Outcome) -> None:
    desk = OrdersDesk(**STOP)
    desk.holds("2")
    waits = []
    for _ in range(3):
        desk.hears(desk.stop().client_order_id, outcome=outcome)
        failed = [each for each in desk.facts if isinstance(each, e.ProtectionFailed)]
        waited = 0
        while not desk.commands:
            desk.passes(1)
            waited += 1
        waits.append(waited)

    assert waits == [5, 10, 20]
    assert [each.attempts for each in failed] == [3]


def test_an_exchange_that_answers_again_is_asked_for_the_stop_at_once() -> None:
    """After a long silence the next attempt was up to ten minutes away."""
    desk = OrdersDesk(**STOP)
    desk.holds("2")
    for _ in range(8):
        desk.hears(desk.stop().client_order_id, outcome=e.Outcome.NOT_SENT)
        waited = 0
        while not desk.commands:
            desk.passes(10)
            waited += 10
    assert waited == 600
    desk.hears(desk.stop().client_order_id, outcome=e.Outcome.NOT_SENT)

    desk.takes(an_exchange_back(exchange="elsewhere"))
    desk.passes(1)
    assert desk.commands == []

    desk.takes(an_exchange_back(ts_ns=desk.now_ns))
    desk.passes(1)
    assert desk.stop().quantity == D(2)


def test_a_position_whose_stop_is_still_to_be_tried_again_is_named_until_it_rests() -> None:
    """A daemon that was told to stop ended between two attempts, and it slept without a stop."""
    desk = OrdersDesk(**STOP)
    desk.holds("2")
    assert desk.execution.unprotected == []  # it is on its way

    desk.hears(desk.stop().client_order_id, outcome=e.Outcome.NOT_SENT)
    assert desk.execution.unprotected == [BTC]

    desk.passes(5)
    desk.rests(desk.stop().client_order_id)
    assert desk.execution.unprotected == []


def test_success_forgets_earlier_failures() -> None:
    desk = OrdersDesk(**STOP)
    desk.holds("2")
    desk.hears(desk.stop().client_order_id, outcome=e.Outcome.NOT_SENT)
    desk.passes(5)
    desk.rests(desk.stop().client_order_id)

    desk.hears(desk.stop().client_order_id, state=OrderState.EXPIRED, filled_quantity=D(0))

    assert desk.stop().quantity == D(2), "it is tried again at once"


def test_the_price_of_a_stop_is_never_nothing() -> None:
    desk = OrdersDesk(stop_loss_ratio=0.99999)

    desk.approves("2000000", decision_price=D("0.01"))
    desk.fills(desk.child().client_order_id, "2000000", OrderState.FILLED, price="0.01")

    assert desk.intended()[0][0] is Leg.ENTRY
    assert all(each.stop_price != 0 for each in desk.blotter.all_open())


def test_after_a_restart_the_same_stop_is_known_and_no_other_is_made() -> None:
    desk = a_protected_desk()

    again = desk.recovered(**STOP)
    again.passes(60)

    assert again.commands == []
    assert again.stop().client_order_id == desk.stop().client_order_id


def test_a_spot_position_below_nothing_is_not_bought_back_by_a_stop() -> None:
    desk = OrdersDesk(**STOP)
    desk.holds("2")
    stop = desk.stop().client_order_id
    desk.hears(stop, state=OrderState.CANCELED, filled_quantity=D(0))
    again = desk.stop().client_order_id
    desk.filled(again)

    desk.fills(stop, "2")  # the first one had not been cancelled after all
    desk.passes(600)

    assert desk.book.position(BTC).quantity == D(-2)
    assert desk.blotter.stop_of(BTC) is None


def test_what_is_more_than_the_exchange_takes_at_once_is_protected_as_far_as_it_goes() -> None:
    desk = a_protected_desk("2")
    rules = replace(desk.book.instruments[BTC], maximum_quantity=D("1.5"))
    desk.takes(a_rules_change(instrument=rules))

    desk.passes(60)
    assert desk.commands == []  # what rests already is worth more than what would be taken now
    desk.hears(desk.stop().client_order_id, state=OrderState.EXPIRED, filled_quantity=D(0))
    desk.rests(desk.stop().client_order_id)
    assert desk.stop().quantity == D("1.5")
    desk.passes(60)
    assert desk.commands == []
