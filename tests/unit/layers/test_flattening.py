"""What is asked to be flat is asked until it is; and nothing rests behind a daemon that ends."""

from decimal import Decimal
from typing import Any

import pytest

from daemon.core import events as e
from daemon.core.orders import Leg, OrderState
from tests.builders import (
    CLOSE_NS,
    ETH,
    a_flatten_requested,
    a_halt,
    a_resume_requested,
    a_stop_requested,
)
from tests.unit.layers.orders_desk import OrdersDesk
from tests.unit.layers.test_risk import Desk

D = Decimal
SECOND_NS = 1_000_000_000
LIMIT: dict[str, Any] = {"entry_order": "limit", "exit_order": "limit"}


def closed(events: list[e.Event]) -> dict[str, str]:
    """Symbol and quantity of each exit that was approved."""
    return {
        each.instrument.symbol: f"{each.quantity:f}"
        for each in events
        if isinstance(each, e.OrderApproved) and each.is_exit
    }


def asked(events: list[e.Event]) -> list[str]:
    return [each.reason.value for each in events if isinstance(each, e.SignalEmitted)]


def held(**config: Any) -> Desk:
    desk = Desk(**config)
    desk.buys("4")
    desk.buys("3", instrument=ETH)
    return desk


def tick(desk: Desk, after_s: float) -> list[e.Event]:
    return desk.takes(e.OrdersTicked(ts_ns=CLOSE_NS + round(after_s * SECOND_NS)))


# --- risk asks for it -----------------------------------------------------------------------------


def test_a_flatten_halts_and_closes_all_of_ours_whatever_else_stands_in_the_way_of_entries() -> (
    None
):
    desk = held()
    desk.takes(a_halt(reason=e.HaltReason.DRAWDOWN))

    events = desk.takes(a_flatten_requested(ts_ns=CLOSE_NS))

    assert closed(events) == {"BTC/USDT": "4.000", "ETH/USDT": "3.000"}
    halted = [each.reason.value for each in events if isinstance(each, e.TradingHalted)]
    states = [each.state.value for each in events if isinstance(each, e.TradingStateChanged)]
    assert (halted, states) == (["operator"], ["reducing"])
    assert desk.denied() == "halted"


def test_what_is_still_held_is_asked_for_again_ever_more_seldom() -> None:
    desk = held()
    desk.takes(a_flatten_requested(ts_ns=CLOSE_NS))

    asked_at = [at for at in range(1, 60) if asked(tick(desk, at))]

    assert asked_at == [2, 6, 14, 30]


def test_what_a_late_fill_brings_is_closed_too_until_a_resume() -> None:
    desk = Desk()
    desk.takes(a_flatten_requested(ts_ns=CLOSE_NS))
    assert not asked(tick(desk, 1))
    desk.buys("2")

    assert closed(tick(desk, 2)) == {"BTC/USDT": "2.000"}

    desk.takes(a_resume_requested(ts_ns=CLOSE_NS + 3 * SECOND_NS))
    assert not asked(tick(desk, 1_000))
    assert desk.risk.halts.state is e.TradingState.ACTIVE


def test_an_entry_on_its_way_is_waited_for() -> None:
    desk = held()
    desk.intends("tdonitsway")

    events = desk.takes(a_flatten_requested(ts_ns=CLOSE_NS))

    assert closed(events) == {"ETH/USDT": "3.000"}


def test_a_flatten_is_in_force_after_a_restart() -> None:
    desk = held()
    desk.takes(a_flatten_requested(ts_ns=CLOSE_NS))

    again = Desk(journal=desk.journal)

    assert again.risk.halts.state is e.TradingState.REDUCING
    assert closed(tick(again, 2)) == {"BTC/USDT": "4.000", "ETH/USDT": "3.000"}


# --- execution does it ----------------------------------------------------------------------------


def test_a_stop_is_cancelled_and_known_to_be_over_before_anything_is_sold() -> None:
    desk = OrdersDesk(stop_loss_ratio=0.05)
    desk.holds("2")
    stop = desk.stop().client_order_id
    desk.rests(stop)
    desk.takes(a_flatten_requested(ts_ns=desk.now_ns))

    desk.exits("2")
    assert desk.said() == ["OrderCancelRequested", "CancelOrder"]
    desk.hears(stop, state=OrderState.CANCELED, filled_quantity=D(0))

    child = desk.child()
    assert (child.leg, child.quantity, child.order_type.value) == (Leg.EXIT, D(2), "market")
    desk.filled(child.client_order_id)
    assert not list(desk.blotter.all_open())


def test_an_exit_that_rests_at_its_price_goes_on_at_the_market() -> None:
    desk = OrdersDesk(**LIMIT)
    desk.sees()
    desk.holds("2")
    desk.exits("2")
    resting = desk.child().client_order_id
    desk.rests(resting)

    desk.takes(a_flatten_requested(ts_ns=desk.now_ns))
    assert desk.said() == ["OrderCancelRequested", "CancelOrder"]
    desk.hears(resting, state=OrderState.CANCELED, filled_quantity=D(0))
    desk.sees()

    assert desk.child().order_type.value == "market"


# --- a stop of the daemon -------------------------------------------------------------------------


@pytest.mark.parametrize("is_exit", [False, True])
def test_what_rests_is_taken_away_when_the_daemon_ends_and_the_position_protected(
    is_exit: bool,
) -> None:
    desk = OrdersDesk(stop_loss_ratio=0.05, **LIMIT)
    desk.sees()
    if is_exit:
        desk.holds("2")
        desk.rests(desk.stop().client_order_id)
        desk.exits("2")
        desk.hears(desk.stop().client_order_id, state=OrderState.CANCELED, filled_quantity=D(0))
    else:
        desk.approves("2")
    resting = desk.child().client_order_id
    desk.rests(resting)

    desk.takes(a_stop_requested(ts_ns=desk.now_ns))
    assert desk.said() == ["OrderCancelRequested", "CancelOrder"]
    desk.fills(resting, "0.5", OrderState.CANCELED)

    assert desk.ends()[-1] == ("stopped", "0.5")
    assert desk.blotter.child_of(desk.stop().instrument) is None
    assert desk.stop().quantity == (D("1.5") if is_exit else D("0.5"))


def test_after_a_stop_was_asked_for_nothing_that_comes_late_is_sent_until_the_next_start() -> None:
    desk = OrdersDesk(stop_loss_ratio=0.05)
    desk.holds("2")
    desk.rests(desk.stop().client_order_id)
    desk.takes(a_stop_requested(ts_ns=desk.now_ns))
    assert desk.said() == []

    desk.approves("1")
    assert desk.ends()[-1] == ("stopped", "0")

    desk.takes(e.Started(ts_ns=desk.now_ns))
    desk.approves("1")
    assert desk.child().quantity == D(1)
