from decimal import Decimal

import pytest

from daemon.embedded.account import NOT_WORKING, OrderStatus, OrderType, Side, TimeInForce
from daemon.embedded.depth import LiveBook
from daemon.embedded.settlement import Execution
from tests.exchange.fake_market import FakeMarket
from tests.unit.embedded.desk import a_desk, a_request, refusal_of

LOSS, LOSS_LIMIT = OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT
PROFIT, PROFIT_LIMIT = OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT


def test_a_stop_waits_with_its_money_locked_and_off_the_book() -> None:
    desk = a_desk()

    outcome = desk.place(a_request(Side.SELL, LOSS, quantity="0.4", stop_price="49900"))

    order = outcome.order
    assert [report.execution for report in outcome.reports] == [Execution.NEW]
    assert (order.status, order.working_ms, order.is_waiting) == ("NEW", NOT_WORKING, True)
    assert desk.locked("BTC") == Decimal("0.4")
    assert desk.settlement.resting_of("BTCUSDT") == []
    assert desk.move(Decimal(49_901)) is None


def test_a_sell_stop_takes_the_book_at_the_price_that_triggers_it() -> None:
    desk = a_desk()
    desk.place(a_request(Side.SELL, LOSS, quantity="0.7", stop_price="49900"))

    untouched = desk.trigger(Decimal("49900.01"))
    outcome = desk.trigger(Decimal(49_890))

    assert untouched is None
    assert outcome is not None
    told = [(report.execution, report.order.status) for report in outcome.reports]
    assert told == [
        (Execution.NEW, OrderStatus.NEW),
        (Execution.TRADE, OrderStatus.PARTIALLY_FILLED),
        (Execution.TRADE, OrderStatus.FILLED),
    ]
    steps = [(fill.price, fill.quantity, fill.is_maker) for fill in outcome.fills]
    assert steps == [
        (Decimal("49889.99"), Decimal("0.5"), False),
        (Decimal("49889.98"), Decimal("0.2"), False),
    ]
    assert outcome.order.working_ms == 3
    assert desk.locked("BTC") == 0


def test_a_stop_beyond_the_book_expires_with_what_it_got() -> None:
    desk = a_desk()
    desk.settlement.account.receive("BTC", Decimal(9))
    desk.place(a_request(Side.SELL, LOSS, quantity="4", stop_price="49900"))

    outcome = desk.trigger(Decimal(49_900))

    assert outcome is not None
    assert outcome.order.status is OrderStatus.EXPIRED
    assert outcome.order.executed == Decimal("2.5")
    assert desk.locked("BTC") == 0


def test_a_buy_stop_locks_its_stop_price_and_buys_no_more_than_the_money_pays_for() -> None:
    desk = a_desk()
    desk.place(a_request(Side.BUY, LOSS, quantity="1.99", stop_price="50200"))
    locked = desk.locked("USDT")

    outcome = desk.trigger(Decimal(55_000))

    assert locked == Decimal("1.99") * 50_200
    assert outcome is not None
    assert outcome.order.status is OrderStatus.EXPIRED
    assert Decimal("1.8") < outcome.order.executed < Decimal("1.82")
    assert 0 <= desk.total("USDT") < 1
    assert desk.locked("USDT") == 0


def test_a_limit_stop_takes_what_its_limit_allows_and_rests_with_the_remainder() -> None:
    desk = a_desk()
    request = a_request(Side.SELL, LOSS_LIMIT, quantity="0.8", price="49889.99", stop_price="49900")
    desk.place(request)

    outcome = desk.trigger(Decimal(49_890))
    rest = desk.move(Decimal(49_895))

    assert outcome is not None
    assert [fill.quantity for fill in outcome.fills] == [Decimal("0.5")]
    assert outcome.order.status is OrderStatus.PARTIALLY_FILLED
    assert not outcome.order.is_waiting
    assert rest is not None
    assert [(fill.quantity, fill.is_maker) for fill in rest.fills] == [(Decimal("0.3"), True)]


def test_a_limit_stop_below_the_market_rests_whole_when_it_is_triggered() -> None:
    desk = a_desk()
    desk.place(a_request(Side.SELL, LOSS_LIMIT, price="49950", stop_price="49900"))

    outcome = desk.trigger(Decimal(49_890))

    assert outcome is not None
    assert [report.execution for report in outcome.reports] == [Execution.NEW]
    assert desk.settlement.resting_of("BTCUSDT")[0].price == 49_950
    assert desk.locked("BTC") == Decimal("0.1")


@pytest.mark.parametrize("force", [TimeInForce.IOC, TimeInForce.FOK])
def test_a_limit_stop_that_may_not_rest_expires_when_it_cannot_trade_at_once(
    force: TimeInForce,
) -> None:
    desk = a_desk()
    request = a_request(
        Side.SELL, LOSS_LIMIT, price="49950", stop_price="49900", time_in_force=force
    )
    desk.place(request)

    outcome = desk.trigger(Decimal(49_890))

    assert outcome is not None
    assert outcome.order.status is OrderStatus.EXPIRED
    assert outcome.order.executed == 0
    assert desk.locked("BTC") == 0


@pytest.mark.parametrize(
    ("side", "kind", "stop_price", "before", "at"),
    [
        (Side.SELL, LOSS, "49900", "49900.01", "49900"),
        (Side.BUY, LOSS, "50100", "50099.99", "50100"),
        (Side.SELL, PROFIT, "50100", "50099.99", "50100"),
        (Side.BUY, PROFIT, "49900", "49900.01", "49900"),
    ],
)
def test_each_kind_waits_on_its_own_side_and_is_triggered_at_its_price(
    side: Side, kind: OrderType, stop_price: str, before: str, at: str
) -> None:
    desk = a_desk()
    desk.place(a_request(side, kind, stop_price=stop_price))

    assert desk.trigger(Decimal(before)) is None
    outcome = desk.trigger(Decimal(at))

    assert outcome is not None
    assert outcome.order.status is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("side", "kind", "stop_price"),
    [
        (Side.SELL, LOSS, "50000"),
        (Side.SELL, LOSS_LIMIT, "50000.01"),
        (Side.BUY, LOSS, "50000"),
        (Side.SELL, PROFIT_LIMIT, "49999"),
        (Side.BUY, PROFIT, "50000"),
    ],
)
def test_a_stop_that_would_trigger_at_once_is_refused(
    side: Side, kind: OrderType, stop_price: str
) -> None:
    price = "49000" if kind.has_limit else None

    refused = refusal_of(a_desk(), a_request(side, kind, price=price, stop_price=stop_price))

    assert refused == (-2010, "Stop price would trigger immediately.")


def test_a_stop_price_keeps_the_rules_of_prices_and_stops_are_few() -> None:
    desk = a_desk()
    odd = a_request(Side.SELL, LOSS, stop_price="49900.001")
    refused = refusal_of(desk, odd)
    for number in range(5):
        client_order_id = f"s{number}"
        desk.place(a_request(Side.SELL, LOSS, stop_price="49900", client_order_id=client_order_id))

    assert refused == (-1013, "Filter failure: PRICE_FILTER")
    one_more = refusal_of(desk, a_request(Side.SELL, LOSS, stop_price="49900"))
    assert one_more == (-1013, "Filter failure: MAX_NUM_ALGO_ORDERS")
    assert desk.place(a_request(price="40000")).order.is_open


def test_a_stop_does_not_keep_an_order_of_the_other_side_from_trading() -> None:
    desk = a_desk()
    desk.place(a_request(Side.SELL, LOSS_LIMIT, price="49000", stop_price="49900"))

    bought = desk.place(a_request(kind=OrderType.MARKET, client_order_id="b"))

    assert bought.order.status is OrderStatus.FILLED
    assert len(desk.settlement.waiting_of("BTCUSDT")) == 1


def test_a_triggered_stop_never_trades_with_its_own_account() -> None:
    desk = a_desk()
    desk.place(a_request(Side.SELL, LOSS, stop_price="49900"))
    desk.place(a_request(price="49899.99", client_order_id="own"))
    stops = desk.matching.due_stops("BTCUSDT", Decimal(49_900))
    book = LiveBook(FakeMarket().book("BTCUSDT", Decimal(49_900), 0, levels=5))

    outcome = desk.matching.trigger(stops, book, 3)

    told = [(report.order.client_order_id, report.execution) for report in outcome.reports]
    assert told == [
        ("a", Execution.NEW),
        ("own", Execution.TRADE_PREVENTION),
        ("a", Execution.TRADE),
    ]


def test_stops_of_one_price_are_triggered_in_their_age_and_the_first_takes_first() -> None:
    desk = a_desk()
    for name in ("old", "young"):
        desk.place(
            a_request(Side.SELL, LOSS, quantity="0.5", stop_price="49900", client_order_id=name)
        )

    outcome = desk.trigger(Decimal(49_900))

    assert outcome is not None
    fills = [report.fill for report in outcome.reports if report.fill is not None]
    assert [(fill.client_order_id, fill.price) for fill in fills] == [
        ("old", Decimal("49899.99")),
        ("young", Decimal("49899.98")),
    ]


def test_a_canceled_stop_gives_its_money_back_and_is_triggered_no_more() -> None:
    desk = a_desk()
    placed = desk.place(a_request(Side.SELL, LOSS, stop_price="49900"))

    own = desk.settlement.open_orders[placed.order.order_id]
    canceled = desk.matching.cancel(own, 2, "x")

    assert canceled.order.status is OrderStatus.CANCELED
    assert desk.locked("BTC") == 0
    assert desk.trigger(Decimal(49_000)) is None
