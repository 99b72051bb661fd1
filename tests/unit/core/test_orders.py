from decimal import Decimal
from itertools import product

import pytest

from daemon.core.errors import IllegalTransition
from daemon.core.orders import TERMINAL, TRANSITIONS, Order, OrderState, Side
from tests.builders import BTC, ORDER, TRACE

S = OrderState
ALL_PAIRS = list(product(OrderState, OrderState))


def an_order(state: OrderState = S.INTENDED, quantity: str = "2") -> Order:
    return Order(
        client_order_id=ORDER,
        instrument=BTC,
        side=Side.BUY,
        quantity=Decimal(quantity),
        decision_price=Decimal(100),
        trace=TRACE,
        intended_ns=7,
        state=state,
    )


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(OrderState)


@pytest.mark.parametrize(("before", "after"), ALL_PAIRS)
def test_a_step_of_the_table_is_taken_and_any_other_leaves_the_order_as_it_was(
    before: OrderState, after: OrderState
) -> None:
    order = an_order(before)

    if after in TRANSITIONS[before]:
        order.move_to(after)
        assert order.state is after
    else:
        with pytest.raises(IllegalTransition, match=f"{before} cannot become {after}"):
            order.move_to(after)
        assert order.state is before


def test_nothing_leads_back_to_an_intent() -> None:
    assert all(S.INTENDED not in following for following in TRANSITIONS.values())


def test_an_order_that_ended_stays_ended_and_one_believed_gone_can_only_be_adopted() -> None:
    believed_gone = {S.REFUSED, S.NOT_SENT, S.ABSENT, S.ADOPTED}

    after_the_end = {state: TRANSITIONS[state] for state in TERMINAL}

    assert after_the_end == {
        state: frozenset({S.ADOPTED} if state in believed_gone else ()) for state in TERMINAL
    }


def test_what_has_filled_is_never_unknown_refused_or_absent_again() -> None:
    lost = {S.UNKNOWN, S.REFUSED, S.NOT_SENT, S.ABSENT}

    assert not lost & TRANSITIONS[S.PARTLY_FILLED]
    assert lost & TRANSITIONS[S.ACCEPTED] == {S.REFUSED}, "nothing of it has filled"


def test_from_every_open_state_an_end_can_be_reached() -> None:
    for state in OrderState:
        reached, fresh = {state}, {state}
        while fresh:
            fresh = {each for known in fresh for each in TRANSITIONS[known]} - reached
            reached |= fresh

        assert reached & TERMINAL


def test_an_order_is_unresolved_while_nobody_knows_whether_the_venue_has_it() -> None:
    unresolved = {state for state in OrderState if an_order(state).is_unresolved}

    assert unresolved == {S.INTENDED, S.UNKNOWN}
    assert all(an_order(state).is_open for state in unresolved)


def test_more_filled_than_ordered_leaves_nothing_rather_than_less() -> None:
    order = an_order(quantity="2")
    order.filled_quantity = Decimal("2.5")

    assert order.leaves_quantity == 0
