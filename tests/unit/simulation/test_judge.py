from decimal import Decimal

from msgspec.structs import replace

from daemon.core.orders import OrderType, Side
from daemon.simulation.judge import Beliefs, Wrong, judge
from daemon.simulation.ledger import ModelOrder, Trade, Wish

ONE = Decimal(1)
RIGHT = Beliefs(known={"a"}, filled={"a": ONE}, position=ONE, decided={"a": ONE}, decision_of={})


def an_order(tag: str = "a", *, side: Side = Side.BUY, number: int = 1) -> ModelOrder:
    wish = Wish(tag=tag, client_order_id=tag, side=side, kind=OrderType.MARKET, quantity=ONE)
    trade = Trade(
        trade_id=number,
        order_id=number,
        is_buy=side is Side.BUY,
        price=ONE,
        quantity=ONE,
        fee=Decimal(0),
        fee_currency="BNB",
        at_s=0.0,
        visible_s=0.0,
        is_maker=False,
    )
    return ModelOrder(
        order_id=number,
        wish=wish,
        at_s=0.0,
        visible_s=0.0,
        status="FILLED",
        filled=ONE,
        trades=[trade],
    )


def test_a_bot_that_knows_what_the_exchange_knows_is_right() -> None:
    assert judge([an_order()], RIGHT, "BTC") == set()


def test_two_orders_for_one_decision_are_doubled_and_above_it() -> None:
    found = judge([an_order(), an_order(number=2)], RIGHT, "BTC")

    assert {Wrong.DOUBLED, Wrong.ABOVE, Wrong.POSITION} <= found


def test_an_order_that_the_bot_does_not_know_is_orphaned() -> None:
    nothing = replace(RIGHT, known=set(), filled={}, position=Decimal(0))

    assert judge([an_order()], nothing, "BTC") == {Wrong.ORPHANED, Wrong.POSITION}


def test_an_order_that_only_the_bot_knows_is_lost() -> None:
    assert judge([], RIGHT, "BTC") == {Wrong.LOST, Wrong.POSITION}


def test_an_order_that_was_said_never_to_have_been_there_is_given_up() -> None:
    assert judge([an_order()], replace(RIGHT, given_up={"a"}), "BTC") == {Wrong.GIVEN_UP}


def test_selling_more_than_was_bought_is_oversold() -> None:
    sold = replace(RIGHT, position=-ONE)

    assert judge([an_order(side=Side.SELL)], sold, "BTC") == {Wrong.OVERSOLD}


def test_a_position_without_its_stop_is_unprotected() -> None:
    wanting = replace(RIGHT, wanted_stop=ONE)

    assert judge([an_order()], wanting, "BTC") == {Wrong.UNPROTECTED}
