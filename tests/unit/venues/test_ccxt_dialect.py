"""ccxt's structures of an order, read to exact types; what is odd is an error, never a guess."""

from decimal import Decimal
from typing import Any

import pytest

from daemon.core.errors import LiveRefused
from daemon.core.orders import OrderState, OrderType
from daemon.venues.capabilities import CAPABILITIES
from daemon.venues.ccxt_dialect import BinanceDialect, UnifiedDialect, dialect_of
from tests.unit.venues.orders import ETH

READ = UnifiedDialect(CAPABILITIES["kraken"])


def an_order(**changes: Any) -> dict[str, Any]:
    told = {
        "id": "T1",
        "clientOrderId": "tdone",
        "status": "open",
        "filled": "0",
        "amount": "0.5",
        "timestamp": 1_700_000_000_000,
        "lastUpdateTimestamp": None,
    }
    return told | changes


def a_trade(**changes: Any) -> dict[str, Any]:
    told = {
        "id": "1",
        "order": "T1",
        "side": "buy",
        "price": "0.00000123",
        "amount": "1e-7",
        "timestamp": 1_700_000_000_000,
        "takerOrMaker": "maker",
        "fee": {"cost": "0.1", "currency": "BNB"},
        "fees": [],
    }
    return told | changes


@pytest.mark.parametrize(
    ("status", "filled", "state"),
    [
        ("open", "0", OrderState.ACCEPTED),
        ("open", "0.1", OrderState.PARTLY_FILLED),
        ("closed", "0.5", OrderState.FILLED),
        ("closed", "0.4", OrderState.EXPIRED),
        ("closed", "0", OrderState.EXPIRED),
        ("canceled", "0.1", OrderState.CANCELED),
        ("expired", "0", OrderState.EXPIRED),
        ("rejected", "0", OrderState.REFUSED),
        ("foo", "0", None),
        (None, "0", None),
    ],
)
def test_a_status_is_a_state_only_where_it_is_a_word_we_know(
    status: str | None, filled: str, state: OrderState | None
) -> None:
    assert READ.order(an_order(status=status, filled=filled)).state is state


def test_filled_whole_is_what_the_exchange_calls_so_or_what_adds_up() -> None:
    by_word = UnifiedDialect(CAPABILITIES["bybit"])

    def said(word: str, amount: str | None) -> OrderState | None:
        told = an_order(status="closed", filled="0.2", amount=amount, info={"orderStatus": word})
        return by_word.order(told).state

    # Where a market buy does not repeat its unit, ccxt's amount is what was filled.
    assert said("PartiallyFilledCanceled", "0.2") is OrderState.EXPIRED
    assert said("Filled", "0.2") is OrderState.FILLED
    assert said("Filled", None) is OrderState.FILLED
    assert said("Filled", "0.5") is OrderState.EXPIRED
    by_quantity = an_order(status="closed", filled="0.2", amount=None)
    assert READ.order(by_quantity).state is OrderState.EXPIRED


@pytest.mark.parametrize(
    "odd",
    [{"filled": None}, {"filled": "nan"}, {"id": None}, {"id": ""}, {"timestamp": None}],
)
def test_an_order_without_what_matters_is_no_reading(odd: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, LookupError)):
        READ.order(an_order(**odd))


def test_a_trade_is_exact_and_a_rebate_is_negative() -> None:
    owner, is_buy, fill = READ.trade(a_trade(fee={"cost": "-0.1", "currency": "BNB"}))

    assert (owner, is_buy, fill.is_maker) == ("T1", True, True)
    assert (fill.price, fill.quantity) == (Decimal("0.00000123"), Decimal("0.0000001"))
    assert (fill.fee, fill.fee_currency) == (Decimal("-0.1"), "BNB")


def test_fees_in_one_currency_add_up_and_in_two_are_no_reading() -> None:
    fees = [{"cost": "0.1", "currency": "BTC"}, {"cost": "0.2", "currency": "BTC"}]
    assert READ.trade(a_trade(fees=fees))[2].fee == Decimal("0.3")

    with pytest.raises(ValueError, match="fees in BNB and BTC"):
        READ.trade(a_trade(fees=[*fees, {"cost": "1", "currency": "BNB"}]))


@pytest.mark.parametrize("odd", [{"side": "hold"}, {"order": None}, {"price": None}])
def test_an_odd_trade_is_no_reading(odd: dict[str, Any]) -> None:
    with pytest.raises((ValueError, LookupError)):
        READ.trade(a_trade(**odd))


def test_a_reply_that_repeats_another_id_is_about_another_order() -> None:
    assert READ.created({"id": "T1"}, "tdone").venue_order_id == "T1"

    with pytest.raises(ValueError, match="another order"):
        READ.created({"id": "T1", "clientOrderId": "tdtwo"}, "tdone")
    with pytest.raises(ValueError, match="the id is missing"):
        READ.created({"id": None, "clientOrderId": "tdone"}, "tdone")


@pytest.mark.parametrize(
    ("told", "kind", "price", "stop_price"),
    [
        ({"price": "90"}, OrderType.LIMIT, "90", None),
        ({"price": None}, OrderType.MARKET, None, None),
        ({"price": "0", "triggerPrice": "47.5"}, OrderType.STOP, None, "47.5"),
        (
            {"price": None, "stopLossPrice": "47.5", "triggerPrice": ""},
            OrderType.STOP,
            None,
            "47.5",
        ),
        ({"price": "90", "triggerPrice": "0"}, OrderType.LIMIT, "90", None),
    ],
)
def test_what_is_set_off_by_a_price_is_a_stop(
    told: dict[str, Any], kind: OrderType, price: str | None, stop_price: str | None
) -> None:
    order = READ.open_order(ETH, an_order(side="sell", **told))

    assert (order.order_type, order.quantity) == (kind, Decimal("0.5"))
    assert order.price == (None if price is None else Decimal(price))
    assert order.stop_price == (None if stop_price is None else Decimal(stop_price))
    with pytest.raises(ValueError, match="hold"):
        READ.open_order(ETH, an_order(side="hold", **told))


def test_gates_prefix_is_ours_to_put_on_and_to_take_off() -> None:
    read = UnifiedDialect(CAPABILITIES["gate"])

    assert read.order(an_order(clientOrderId="t-tdone")).client_order_id == "tdone"
    assert read.created({"id": "1", "clientOrderId": "t-tdone"}, "tdone").state


def test_what_is_held_is_free_and_locked_together() -> None:
    told = {"total": {"BTC": "0.1", "USDT": "0", "ETH": None}}

    assert READ.totals(told) == {"BTC": Decimal("0.1")}


def test_binance_is_read_raw_the_others_by_ccxt_and_the_rest_not_at_all() -> None:
    assert isinstance(dialect_of("embedded-b"), BinanceDialect)
    assert isinstance(dialect_of("kraken"), UnifiedDialect)
    with pytest.raises(LiveRefused, match="orders on upbit are not supported"):
        dialect_of("upbit")
