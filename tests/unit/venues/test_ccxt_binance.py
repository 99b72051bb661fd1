"""Reading the dialect's raw words: exact, complete, or an error, never a guess."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.core.events import Outcome, ReportSource
from daemon.core.orders import OrderState
from daemon.venues.answers import reported
from daemon.venues.ccxt_binance import (
    read_execution,
    read_order,
    read_totals,
    read_trade,
)

MS = 1_704_067_200_123


def an_order_reply(**changed: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "orderId": 77,
        "clientOrderId": "tdone",
        "transactTime": MS,
        "executedQty": "0.30000000",
        "status": "FILLED",
        "fills": [
            {
                "price": "50000.01000000",
                "qty": "0.10000000",
                "commission": "0.00010000",
                "commissionAsset": "BTC",
                "tradeId": 5,
            },
            {
                "price": "50000.02000000",
                "qty": "0.20000000",
                "commission": "0.00020000",
                "commissionAsset": "BTC",
                "tradeId": 6,
            },
        ],
        **changed,
    }


def an_execution(**changed: Any) -> dict[str, Any]:
    return {
        "e": "executionReport",
        "c": "tdone",
        "C": "",
        "x": "TRADE",
        "X": "PARTIALLY_FILLED",
        "i": 77,
        "l": "0.10000000",
        "z": "0.20000000",
        "L": "50000.01000000",
        "n": "0.00010000",
        "N": "BTC",
        "T": MS,
        "t": 6,
        "m": False,
        **changed,
    }


def test_an_order_is_read_to_the_last_digit() -> None:
    told = read_order(an_order_reply())

    assert (told.client_order_id, told.venue_order_id) == ("tdone", "77")
    assert (told.state, told.filled_quantity, told.ts_ns) == (
        OrderState.FILLED,
        Decimal("0.3"),
        MS * 1_000_000,
    )
    assert [(each.trade_id, each.price, each.fee) for each in told.fills] == [
        ("5", Decimal("50000.01"), Decimal("0.0001")),
        ("6", Decimal("50000.02"), Decimal("0.0002")),
    ]
    assert told.has_all_fills


def test_an_order_that_counts_more_than_its_fills_says_so() -> None:
    assert not read_order(an_order_reply(executedQty="0.4")).has_all_fills


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("NEW", OrderState.ACCEPTED),
        ("PENDING_NEW", OrderState.ACCEPTED),
        ("PARTIALLY_FILLED", OrderState.PARTLY_FILLED),
        ("FILLED", OrderState.FILLED),
        ("CANCELED", OrderState.CANCELED),
        ("EXPIRED", OrderState.EXPIRED),
        ("EXPIRED_IN_MATCH", OrderState.EXPIRED),
        ("REJECTED", OrderState.REFUSED),
        ("SOMETHING_NEW", None),
    ],
)
def test_every_status_has_a_state_and_an_unknown_word_has_none(
    status: str, state: OrderState | None
) -> None:
    assert read_order(an_order_reply(status=status)).state is state


def test_a_rejected_order_is_refused_and_an_unknown_status_is_told_as_it_is() -> None:
    rejected = read_order(an_order_reply(status="REJECTED", executedQty="0", fills=[]))
    unknown = read_order(an_order_reply(status="SOMETHING_NEW"))

    assert reported(rejected, 1, ReportSource.LOOKUP).outcome is Outcome.REFUSED
    partly = reported(replace(rejected, filled_quantity=Decimal("0.4")), 1, ReportSource.LOOKUP)
    assert (partly.outcome, partly.state) == (Outcome.ACKNOWLEDGED, OrderState.EXPIRED)
    report = reported(unknown, 1, ReportSource.LOOKUP)
    assert (report.outcome, report.state) == (Outcome.ACKNOWLEDGED, None)
    assert report.reason == "status SOMETHING_NEW"


@pytest.mark.parametrize(
    "reply",
    [
        {},
        an_order_reply(orderId=None),
        an_order_reply(clientOrderId=None),
        an_order_reply(executedQty=None),
        an_order_reply(executedQty="NaN"),
        an_order_reply(transactTime="soon"),
        an_order_reply(fills=[{"price": "1"}]),
    ],
)
def test_a_reply_that_lacks_something_is_an_error(reply: dict[str, Any]) -> None:
    with pytest.raises((LookupError, ValueError)):
        read_order(reply)


def test_a_trade_of_the_account_is_read_exactly() -> None:
    row = {
        "id": 28457,
        "orderId": 77,
        "price": "4.00000100",
        "qty": "12.00000000",
        "commission": "10.10000000",
        "commissionAsset": "BNB",
        "time": MS,
        "isBuyer": True,
        "isMaker": False,
    }
    owner, is_buy, fill = read_trade(row)

    assert (owner, is_buy) == ("77", True)
    assert (fill.trade_id, fill.price, fill.fee, fill.fee_currency) == (
        "28457",
        Decimal("4.000001"),
        Decimal("10.1"),
        "BNB",
    )
    assert read_trade({**row, "isBuyer": False})[1] is False


def test_a_push_about_a_fill_tells_the_fill() -> None:
    told = read_execution(an_execution())

    assert told.client_order_id == "tdone"
    assert told.state is OrderState.PARTLY_FILLED
    assert told.filled_quantity == Decimal("0.2")
    assert [(each.trade_id, each.quantity) for each in told.fills] == [("6", Decimal("0.1"))]


def test_a_push_about_a_cancel_names_the_order_and_not_the_cancel() -> None:
    told = read_execution(an_execution(x="CANCELED", X="CANCELED", c="their-cancel", C="tdone"))

    assert told.client_order_id == "tdone"
    assert told.state is OrderState.CANCELED
    assert told.fills == ()


def test_balances_are_free_plus_locked_of_what_is_held() -> None:
    rows = [
        {"asset": "BTC", "free": "1.00000001", "locked": "0.5"},
        {"asset": "ETH", "free": "0.00000000", "locked": "0.00000000"},
    ]

    assert read_totals({"balances": rows}) == {"BTC": Decimal("1.50000001")}


@given(st.decimals(0, 10**9, places=8), st.decimals(0, 10**9, places=8))
def test_no_digit_is_ever_lost(quantity: Decimal, price: Decimal) -> None:
    told = read_execution(an_execution(l=f"{quantity:f}", L=f"{price:f}"))

    assert (told.fills[0].quantity, told.fills[0].price) == (quantity, price)
