from decimal import Decimal
from typing import Any

import pytest

from daemon.core import blotter as blotters
from daemon.core.blotter import ORDERS_REMEMBERED_MAX, Blotter
from daemon.core.errors import IllegalTransition
from daemon.core.orders import OrderState
from tests.builders import (
    BTC,
    ETH,
    ORDER,
    a_refusal,
    an_absence,
    an_acceptance,
    an_intent,
    an_order_completed,
    an_order_filled,
    an_order_not_sent,
    an_unknown_outcome,
)

OTHER = "tdother"


def a_blotter(**changes: Any) -> Blotter:
    blotter = Blotter()
    blotter.apply_order_intended(an_intent(quantity=Decimal(2), **changes))
    return blotter


def filled(quantity: str, trade_id: str = "1", **changes: Any) -> Any:
    return an_order_filled(quantity=Decimal(quantity), trade_id=trade_id, **changes)


def test_an_intent_is_an_open_unresolved_order() -> None:
    blotter = a_blotter()

    order = blotter.orders[ORDER]
    assert blotter.open_orders(BTC) == blotter.unresolved() == [order]
    assert (order.state, order.intended_ns) == (OrderState.INTENDED, an_intent().ts_ns)
    assert (order.is_exit, blotter.intended_count) == (False, 1)


def test_the_same_intent_twice_is_a_bug_and_ends_the_daemon() -> None:
    blotter = a_blotter()

    with pytest.raises(AssertionError, match="made once"):
        blotter.apply_order_intended(an_intent())


def test_an_accepted_order_is_open_and_resolved() -> None:
    blotter = a_blotter()

    blotter.apply_order_accepted(an_acceptance(venue_order_id="4711"))

    assert blotter.unresolved() == []
    assert blotter.open_orders(BTC)[0].venue_order_id == "4711"


def test_an_order_of_unknown_outcome_stays_open_and_unresolved() -> None:
    blotter = a_blotter()

    blotter.apply_order_outcome_unknown(an_unknown_outcome())

    assert blotter.unresolved() == list(blotter.all_open())
    assert blotter.orders[ORDER].state is OrderState.UNKNOWN


def test_what_never_was_is_not_open() -> None:
    refused, not_sent, absent = a_blotter(), a_blotter(), a_blotter()

    refused.apply_order_refused(a_refusal())
    not_sent.apply_order_not_sent(an_order_not_sent())
    absent.apply_order_absent(an_absence())

    assert [list(each.all_open()) for each in (refused, not_sent, absent)] == [[], [], []]


def test_fills_add_up_and_the_order_stays_open_until_it_is_completed() -> None:
    blotter = a_blotter()
    blotter.apply_order_accepted(an_acceptance())

    blotter.apply_order_filled(filled("0.5", "1", price=Decimal(100)))
    blotter.apply_order_filled(filled("1.5", "2", price=Decimal(200)))
    order = blotter.orders[ORDER]
    was_open = order.is_open
    blotter.apply_order_completed(an_order_completed())

    assert [order.filled_quantity, order.filled_notional, order.leaves_quantity] == list(
        map(Decimal, (2, 350, 0))
    )
    assert (was_open, order.state, blotter.open_orders(BTC)) == (True, OrderState.FILLED, [])
    assert blotter.fill_count == 2


def test_the_same_trade_twice_is_a_bug_and_ends_the_daemon() -> None:
    blotter = a_blotter()
    blotter.apply_order_accepted(an_acceptance())
    blotter.apply_order_filled(filled("0.5"))

    with pytest.raises(AssertionError, match="folded once"):
        blotter.apply_order_filled(filled("0.5"))


def test_a_fill_after_the_end_is_counted_and_the_order_stays_ended() -> None:
    blotter = a_blotter()
    blotter.apply_order_accepted(an_acceptance())
    blotter.apply_order_completed(an_order_completed(state=OrderState.CANCELED))

    blotter.apply_order_filled(filled("0.5"))

    assert blotter.orders[ORDER].state is OrderState.CANCELED
    assert blotter.orders[ORDER].filled_quantity == Decimal("0.5")
    assert list(blotter.all_open()) == []


def test_a_fill_of_an_order_believed_gone_adopts_it_once_and_for_all() -> None:
    blotter = a_blotter()
    blotter.apply_order_absent(an_absence())

    blotter.apply_order_filled(filled("0.5", "1", is_adopted=True))
    blotter.apply_order_filled(filled("1.5", "2", is_adopted=True))

    assert blotter.orders[ORDER].state is OrderState.ADOPTED
    assert blotter.orders[ORDER].filled_quantity == 2
    assert list(blotter.all_open()) == []


def test_news_that_cannot_be_leave_the_order_as_it_was() -> None:
    blotter = a_blotter()
    blotter.apply_order_refused(a_refusal())

    with pytest.raises(IllegalTransition):
        blotter.apply_order_accepted(an_acceptance())

    assert blotter.orders[ORDER].state is OrderState.REFUSED


def test_open_entries_count_with_what_they_leave_and_exits_do_not() -> None:
    blotter = a_blotter(decision_price=Decimal(100))
    blotter.apply_order_accepted(an_acceptance())
    blotter.apply_order_filled(filled("0.5"))
    blotter.apply_order_intended(
        an_intent(client_order_id=OTHER, instrument=ETH, quantity=Decimal(9), is_exit=True)
    )

    assert blotter.pending_entries(BTC) == 150
    assert blotter.pending_entries(ETH) == 0


def test_only_ended_orders_are_forgotten_and_the_moment_is_remembered() -> None:
    blotter = a_blotter()
    blotter.apply_order_intended(an_intent(client_order_id=OTHER))
    blotter.apply_order_refused(a_refusal(client_order_id=OTHER))

    for number in range(ORDERS_REMEMBERED_MAX - 1):
        blotter.apply_order_intended(an_intent(client_order_id=f"td{number}", ts_ns=number))

    assert len(blotter.orders) == blotters.ORDERS_REMEMBERED_MAX
    assert OTHER not in blotter.orders
    assert ORDER in blotter.orders
    assert blotter.forgotten_ns == ORDERS_REMEMBERED_MAX - 2
