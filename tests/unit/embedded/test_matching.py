from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from daemon.embedded.account import (
    ZERO,
    Balance,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from daemon.embedded.depth import LiveBook
from daemon.embedded.market import Book
from daemon.embedded.refusals import RequestError
from daemon.embedded.settlement import Execution
from tests.exchange.fake_market import BTC
from tests.unit.embedded.desk import PRICE, START, TICK, Desk, a_desk, a_request, refusal_of


def test_a_market_order_walks_the_levels_and_pays_the_fee_in_what_it_gets() -> None:
    desk = a_desk()

    outcome = desk.place(a_request(kind=OrderType.MARKET, quantity="1.2"))

    steps = [(fill.price, fill.quantity, fill.fee, fill.fee_asset) for fill in outcome.fills]
    assert steps == [
        (Decimal("50000.01"), Decimal("0.5"), Decimal("0.0005"), "BTC"),
        (Decimal("50000.02"), Decimal("0.5"), Decimal("0.0005"), "BTC"),
        (Decimal("50000.03"), Decimal("0.2"), Decimal("0.0002"), "BTC"),
    ]
    assert outcome.order.status is OrderStatus.FILLED
    assert desk.total("BTC") == Decimal("2.1988")
    assert desk.total("USDT") == 100_000 - outcome.order.cumulative_quote


def test_what_a_market_order_took_stays_gone_until_the_price_moves() -> None:
    desk = a_desk()
    desk.place(a_request(kind=OrderType.MARKET, quantity="0.7"))

    second = desk.place(a_request(kind=OrderType.MARKET, quantity="0.1"))
    desk.move(PRICE)
    third = desk.place(a_request(kind=OrderType.MARKET, quantity="0.1"))

    assert second.fills[0].price == Decimal("50000.02")
    assert third.fills[0].price == Decimal("50000.01")


def test_a_market_order_beyond_the_book_expires_with_what_it_got() -> None:
    desk = a_desk()
    desk.settlement.account.receive("BTC", Decimal(9))

    outcome = desk.place(a_request(Side.SELL, OrderType.MARKET, quantity="3"))

    assert outcome.order.status is OrderStatus.EXPIRED
    assert outcome.order.executed == Decimal("2.5")
    assert outcome.reports[-1].execution is Execution.EXPIRED


def test_a_market_order_for_a_quote_amount_spends_no_more_than_that() -> None:
    desk = a_desk()

    outcome = desk.place(a_request(kind=OrderType.MARKET, quantity=None, quote_quantity="30000"))

    spent = outcome.order.cumulative_quote
    assert 30_000 - PRICE * BTC.lot - 1 < spent <= 30_000
    assert outcome.order.status is OrderStatus.FILLED
    assert desk.total("USDT") == 100_000 - spent


def test_a_limit_order_takes_what_it_reaches_and_rests_with_the_remainder() -> None:
    desk = a_desk()

    outcome = desk.place(a_request(quantity="1.2", price="50000.02"))

    assert [fill.quantity for fill in outcome.fills] == [Decimal("0.5"), Decimal("0.5")]
    assert outcome.order.status is OrderStatus.PARTIALLY_FILLED
    locked = desk.settlement.account.balances["USDT"].locked
    assert locked == Decimal("0.2") * Decimal("50000.02")


def test_a_resting_order_fills_at_its_own_price_as_maker_when_the_path_goes_through() -> None:
    desk = a_desk()
    desk.place(a_request(quantity="1", price="49990"))

    untouched = desk.move(Decimal(49_991))
    crossed = desk.move(Decimal(49_980), volume=Decimal("0.3"))

    assert untouched is None
    assert crossed is not None
    assert [(fill.price, fill.quantity, fill.is_maker) for fill in crossed.fills] == [
        (Decimal(49_990), Decimal(1), True)
    ]


def test_a_resting_order_that_is_only_touched_gets_no_more_than_was_traded() -> None:
    desk = a_desk()
    desk.place(a_request(quantity="1", price="49990"))

    touched = desk.move(Decimal(49_990), volume=Decimal("0.3"))

    assert touched is not None
    assert touched.order.executed == Decimal("0.3")
    assert touched.order.status is OrderStatus.PARTIALLY_FILLED


def test_ioc_expires_what_it_cannot_have_at_once_and_fok_takes_all_or_nothing() -> None:
    desk = a_desk()

    ioc = desk.place(a_request(quantity="1.2", price="50000.02", time_in_force=TimeInForce.IOC))
    fok = desk.place(a_request(quantity="0.9", price="50000.03", time_in_force=TimeInForce.FOK))

    assert (ioc.order.status, ioc.order.executed) == (OrderStatus.EXPIRED, Decimal(1))
    assert (fok.order.status, fok.order.executed) == (OrderStatus.EXPIRED, ZERO)
    assert desk.settlement.account.balances["USDT"].locked == 0


def test_a_post_only_order_that_would_take_is_refused() -> None:
    request = a_request(kind=OrderType.LIMIT_MAKER, price="50000.01")

    assert refusal_of(a_desk(), request) == (-2010, "Order would immediately match and take.")


def test_an_order_never_trades_with_its_own_account() -> None:
    desk = a_desk()
    own = desk.place(a_request(Side.SELL, price="50000.02", client_order_id="own"))

    outcome = desk.place(a_request(kind=OrderType.MARKET, quantity="0.8"))

    expired = outcome.reports[0]
    assert expired.order.order_id == own.order.order_id
    assert expired.order.status is OrderStatus.EXPIRED_IN_MATCH
    assert outcome.order.executed == Decimal("0.8")


def test_a_cancel_gives_back_what_was_locked() -> None:
    desk = a_desk()
    placed = desk.place(a_request(quantity="1", price="40000"))
    order = desk.settlement.open_orders[placed.order.order_id]

    outcome = desk.matching.cancel(order, 2, "cancel-id")

    assert outcome.reports[0].cancel_client_id == "cancel-id"
    assert desk.settlement.account.balances["USDT"] == Balance(START["USDT"], ZERO)
    assert desk.settlement.open_orders == {}


def test_an_open_client_id_is_taken_and_free_again_once_its_order_is_done() -> None:
    desk = a_desk()
    desk.place(a_request(price="40000"))

    refused = refusal_of(desk, a_request(price="41000"))
    order = next(iter(desk.settlement.open_orders.values()))
    desk.matching.cancel(order, 2, "x")
    again = desk.place(a_request(price="41000"))

    assert refused == (-2010, "Duplicate order sent.")
    assert again.order.order_id == 2


def test_every_rule_of_the_symbol_refuses_with_its_own_code() -> None:
    desk = a_desk()
    market = OrderType.MARKET

    assert refusal_of(desk, a_request(price="40000.001")) == (-1013, "Filter failure: PRICE_FILTER")
    assert refusal_of(desk, a_request(kind=market, quantity="0.000015")) == (
        -1013,
        "Filter failure: LOT_SIZE",
    )
    assert refusal_of(desk, a_request(kind=market, quantity="0.000000001"))[0] == -1111
    assert refusal_of(desk, a_request(kind=market, quantity="0.00005")) == (
        -1013,
        "Filter failure: NOTIONAL",
    )
    assert refusal_of(desk, a_request(kind=market, quantity="0")) == (-1013, "Invalid quantity.")
    assert refusal_of(desk, a_request(quantity="2.1", price="50000")) == (
        -2010,
        "Account has insufficient balance for requested action.",
    )
    assert desk.settlement.account.balances["USDT"] == Balance(START["USDT"], ZERO)


ACTIONS = st.one_of(
    st.tuples(
        st.just("place"),
        st.sampled_from(Side),
        st.sampled_from(OrderType),
        st.sampled_from(TimeInForce),
        st.integers(1, 150_000),
        st.integers(-400, 400),
    ),
    st.tuples(st.just("quote"), st.sampled_from(Side), st.integers(500, 9_000_000), st.just(0)),
    st.tuples(st.just("move"), st.integers(-600, 600), st.integers(0, 200_000), st.just(0)),
    st.tuples(st.just("cancel"), st.integers(0, 50), st.just(0), st.just(0)),
)


def act(desk: Desk, action: tuple[object, ...], number: int) -> None:
    match action:
        case (
            "place",
            Side() as side,
            OrderType() as kind,
            TimeInForce() as force,
            int(lots),
            int(ticks),
        ):
            price = str(desk.price + ticks * TICK)
            request = a_request(
                side,
                kind,
                quantity=str(lots * BTC.lot),
                price=price if kind.has_limit else None,
                stop_price=str(desk.price + lots % 399 * TICK - 2) if kind.is_stop else None,
                time_in_force=force if kind is OrderType.LIMIT else TimeInForce.GTC,
                client_order_id=f"c{number}",
            )
            desk.place(request, number)
        case ("quote", Side() as side, int(cents), _):
            quote = str(cents * TICK)
            kind = OrderType.MARKET
            desk.place(a_request(side, kind, quantity=None, quote_quantity=quote), number)
        case ("move", int(ticks), int(lots), _):
            desk.move(desk.price + ticks * TICK, lots * BTC.lot)
            desk.trigger(desk.price)
        case ("cancel", int(which), *_):
            orders = list(desk.settlement.open_orders.values())
            if orders:
                chosen = orders[which % len(orders)]
                desk.outcomes.append(desk.matching.cancel(chosen, number, f"x{number}"))


@given(st.lists(ACTIONS, max_size=40))
def test_no_asset_is_made_or_lost_and_no_book_goes_below_nothing(
    actions: list[tuple[object, ...]],
) -> None:
    desk = a_desk()

    for number, action in enumerate(actions):
        try:
            act(desk, action, number)
        except RequestError:
            assert desk.settlement.reports == []
        assert all(quantity > 0 for _, quantity in desk.book.bids + desk.book.asks)

    fills = [
        report.fill
        for outcome in desk.outcomes
        for report in outcome.reports
        if report.fill is not None
    ]
    expected = dict(START)
    for fill in fills:
        sign = 1 if fill.side is Side.BUY else -1
        expected["BTC"] += sign * fill.quantity
        expected["USDT"] -= sign * fill.quantity * fill.price
        expected[fill.fee_asset] -= fill.fee
    assert {asset: desk.total(asset) for asset in START} == expected
    assert len({fill.trade_id for fill in fills}) == len(fills)
    locked = {"BTC": ZERO, "USDT": ZERO}
    for order in desk.settlement.open_orders.values():
        asset, held = "BTC", order.leaves_quantity
        if order.side is Side.BUY:
            price = order.price or order.stop_price
            asset, held = "USDT", order.leaves_quantity * price
        assert order.locked == held
        locked[asset] += held
    balances = desk.settlement.account.balances
    assert {asset: balances[asset].locked for asset in START} == locked
    for outcome in desk.outcomes:
        order = outcome.order
        own = [fill for fill in fills if fill.order_id == order.order_id]
        assert order.executed <= order.quantity
        assert sum((fill.quantity for fill in own), ZERO) >= order.executed


def test_a_book_of_a_market_without_offers_refuses_a_quote_order() -> None:
    desk = a_desk()
    desk.book = LiveBook(Book((), ()))

    request = a_request(kind=OrderType.MARKET, quantity=None, quote_quantity="100")

    assert refusal_of(desk, request) == (-1013, "Filter failure: LOT_SIZE")
