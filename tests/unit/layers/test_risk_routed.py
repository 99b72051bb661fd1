"""One position on several exchanges, of which each has lots and minimums of its own."""

from decimal import Decimal

from daemon.core import events as e
from daemon.core.instruments import InstrumentId
from tests.builders import (
    BTC,
    CLOSE_NS,
    a_flatten_requested,
    a_model_activated,
    a_reconciled,
    a_run_opened,
    an_acceptance,
    an_account_opened,
    an_instrument,
    an_order_filled,
    an_unknown_outcome,
)
from tests.unit.layers.test_risk import GOOD, Desk

D = Decimal
THERE = InstrumentId("okx", BTC.symbol)
ELSE_THERE = InstrumentId("okx", "ETH/USDT")


def routed(here_lot: str, there_lot: str) -> Desk:
    """Two exchanges that list one thing, at 100 on both."""
    lots = {BTC: D(here_lot), THERE: D(there_lot)}
    opened = a_run_opened(
        instruments=(
            *(an_instrument(id=each, lot=lot, minimum_quantity=lot) for each, lot in lots.items()),
            an_instrument(id=ELSE_THERE, base="ETH", lot=D("0.1")),
        ),
        accounts=tuple(an_account_opened(each.exchange, 10_000) for each in lots),
        is_routed=True,
    )
    activated = a_model_activated(long_payoff=GOOD, short_payoff=GOOD)
    desk = Desk(journal=[opened, activated, a_reconciled()])
    desk.closes(100.0, BTC, hour=-1)
    for each in lots:
        desk.closes(100.0, each)
    return desk


def closed(verdict: e.Event) -> Decimal:
    assert isinstance(verdict, e.OrderApproved), verdict
    return verdict.quantity


def test_what_is_less_than_a_lot_of_the_first_exchange_is_left_where_it_can_be() -> None:
    desk = routed("1", "0.1")
    desk.buys("0.54", instrument=THERE)

    assert closed(desk.asked(e.Direction.FLAT)) == D("0.5")


def test_a_position_is_left_in_the_lots_of_every_exchange() -> None:
    desk = routed("1", "0.1")
    desk.buys("2", instrument=BTC)
    desk.buys("0.5", instrument=THERE)

    assert closed(desk.asked(e.Direction.FLAT)) == D("2.5")


def test_a_part_is_left_in_lots_and_never_more_than_it() -> None:
    desk = routed("1", "0.1")
    desk.buys("3", instrument=BTC)
    desk.buys("0.5", instrument=THERE)

    assert closed(desk.asked(e.Direction.FLAT, close_ratio=0.5)) == D("1.2")


def test_a_flatten_closes_it_too() -> None:
    desk = routed("1", "0.1")
    desk.buys("0.5", instrument=THERE)

    told = desk.takes(a_flatten_requested(ts_ns=CLOSE_NS))

    assert [each.quantity for each in told if isinstance(each, e.OrderApproved)] == [D("0.5")]


def test_nothing_is_opened_on_top_of_what_only_the_other_exchange_could_sell() -> None:
    desk = routed("1", "0.1")
    desk.buys("0.5", instrument=THERE)

    assert desk.denied() == "already_positioned"


def test_what_no_exchange_takes_is_no_position_and_cannot_be_left() -> None:
    desk = routed("1", "0.1")
    desk.buys("0.05", instrument=THERE)

    assert desk.denied() == "approved"
    assert desk.denied(e.Direction.FLAT, trace="another") == "nothing_to_close"


def test_nothing_is_bought_where_fees_of_other_trades_would_eat_it_on_any_exchange() -> None:
    desk = routed("0.1", "0.1")
    desk.intends("tdother", ELSE_THERE)
    desk.takes(an_acceptance(client_order_id="tdother", instrument=ELSE_THERE))
    filled = an_order_filled(
        client_order_id="tdother", instrument=ELSE_THERE, fee=D("0.01"), fee_currency="BTC"
    )
    desk.takes(filled)

    assert desk.denied() == "fee_asset"


def a_position_beside_an_order_of_unknown_fate() -> Desk:
    """2 held here, and an order there that was let go of."""
    desk = routed("0.1", "0.1")
    desk.buys("2", instrument=BTC)
    desk.intends("tdlost", THERE)
    desk.takes(an_unknown_outcome(client_order_id="tdlost", instrument=THERE))
    return desk


def test_what_is_held_on_one_exchange_is_left_beside_an_order_of_unknown_fate_on_another() -> None:
    desk = a_position_beside_an_order_of_unknown_fate()

    assert closed(desk.asked(e.Direction.FLAT)) == D(2)
    assert desk.denied(trace="another") == "unresolved_order"


def test_a_flatten_closes_it_beside_such_an_order_too() -> None:
    desk = a_position_beside_an_order_of_unknown_fate()

    told = desk.takes(a_flatten_requested(ts_ns=CLOSE_NS))

    assert [each.quantity for each in told if isinstance(each, e.OrderApproved)] == [D(2)]


def test_nothing_is_left_on_the_exchange_on_which_an_order_is_of_unknown_fate() -> None:
    desk = routed("0.1", "0.1")
    desk.buys("2", instrument=THERE)
    desk.intends("tdlost", THERE)
    desk.takes(an_unknown_outcome(client_order_id="tdlost", instrument=THERE))

    assert desk.denied(e.Direction.FLAT) == "unresolved_order"
    told = desk.takes(a_flatten_requested(ts_ns=CLOSE_NS))
    assert not [each for each in told if isinstance(each, e.SignalEmitted)]
