"""What each row of the capability table says is what the pinned ccxt signs; nothing is sent.

An upgrade of ccxt that changes the name of a field, drops our id, or writes an exponent fails here.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import ccxt
import pytest
from msgspec.structs import replace

from daemon.core.errors import LiveRefused
from daemon.core.events import SubmitOrder
from daemon.core.ids import client_order_id_for
from daemon.core.instruments import InstrumentId
from daemon.core.orders import OrderType, Side
from daemon.venues.capabilities import (
    AT_ONCE,
    CAPABILITIES,
    LIMIT,
    MARKET,
    SINCE,
    STOP,
    Look,
    row_of,
)
from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_departures import NotAsIntended, departing, watch_departures
from daemon.venues.ccxt_pages import order_trades
from daemon.venues.ccxt_requests import NotSupported, Request, asking, request_of
from tests.contract.payloads import an_exchange
from tests.contract.signing import SYMBOL, Caught, Signed, a_signing_client

EXCHANGES = sorted(CAPABILITIES.keys() - {"embedded"})
KINDS = [(name, kind) for name in EXCHANGES for kind in sorted(CAPABILITIES[name].kinds)]
OURS = client_order_id_for(
    bot="a", account="b", instrument=InstrumentId("x", SYMBOL), close_ns=1, leg="entry", ordinal=0
)
SINCE_MS = 1_700_000_000_000
TICK = Decimal("0.00000001")
DEADLINE = "2026-01-01T00:00:05Z"
each_exchange = pytest.mark.parametrize("exchange", EXCHANGES)


def an_order(kind: str, side: Side = Side.SELL, **changes: Any) -> SubmitOrder:
    """Tiny, so that a float's exponent would show. At once is what some make of a market buy."""
    fields: dict[str, Any] = {
        "ts_ns": 0,
        "client_order_id": OURS,
        "instrument": InstrumentId("x", SYMBOL),
        "side": side,
        "order_type": OrderType.MARKET if kind == AT_ONCE else OrderType(kind),
        "quantity": Decimal("0.00000012"),
        "decision_price": Decimal("0.00000123"),
        "price": Decimal("0.00000123") if kind == LIMIT else None,
        "stop_price": Decimal("0.00000045") if kind == STOP else None,
    }
    return SubmitOrder(**fields | changes)


def asked(exchange: str, order: SubmitOrder) -> Request:
    return request_of(CAPABILITIES[exchange], order, tick=TICK, deadline=DEADLINE)


@asynccontextmanager
async def a_client(exchange: str, **options: Any) -> AsyncIterator[tuple[Any, list[Signed]]]:
    client, signed = a_signing_client(exchange, **options)
    watch_departures(client, lambda: 0.0)
    client.timeout_on_exit = 0
    try:
        yield client, signed
    finally:
        await client.close()


async def create(client: Any, request: Request) -> bool:
    """Whether the request would have left, as it was intended."""
    with departing(request.expected) as departure:
        try:
            await client.create_order(
                request.symbol,
                request.ccxt_type,
                request.side,
                request.quantity,
                request.price,
                request.params,
            )
        except Caught:
            return departure.has_left
    return False


async def ask(client: Any, exchange: str, look: Look) -> None:
    row = CAPABILITIES[exchange]
    with pytest.raises(Caught):
        await asking(client, look, row, SYMBOL, OURS, theirs="THEIR-ID", since_ms=SINCE_MS)


@each_exchange
def test_our_ids_fit_what_each_exchange_takes(exchange: str) -> None:
    row = CAPABILITIES[exchange]

    assert re.fullmatch(row.id_pattern, row.sent_as(OURS))
    assert row.ours(row.sent_as(OURS)) == OURS


@pytest.mark.parametrize(("exchange", "kind"), KINDS)
async def test_each_kind_of_order_is_signed_as_its_row_says(exchange: str, kind: str) -> None:
    side = Side.BUY if kind == AT_ONCE else Side.SELL
    request = asked(exchange, an_order(kind, side))
    async with a_client(exchange) as (client, signed):
        assert await create(client, request)

        (sent,) = signed
        told = sent.told
        if exchange == "bybit":
            assert sent.headers["X-BAPI-RECV-WINDOW"] == "5000"
        assert sent.fields[row_id(exchange)] == [CAPABILITIES[exchange].sent_as(OURS)]
        assert "0.00000012" in told
        assert not re.search(r"\d[eE]-\d", told)
        assert "None" not in told
        assert not any("canary-secret" in each for each in (told, *sent.headers.values()))


def row_id(exchange: str) -> str:
    return CAPABILITIES[exchange].id_field


@each_exchange
async def test_a_market_buy_says_how_much_to_buy_not_what_to_spend(exchange: str) -> None:
    request = asked(exchange, an_order(MARKET, Side.BUY))
    async with a_client(exchange) as (client, signed):
        assert await create(client, request)

        fields = signed[0].fields
        assert "quoteOrderQty" not in fields
        assert "quote_size" not in fields
        is_at_once = AT_ONCE in CAPABILITIES[exchange].kinds
        assert (request.price is not None) == is_at_once
        if is_at_once:
            # A cent in a hundred beyond what was decided on, and not a tick less.
            assert request.price == "0.00000125"


@each_exchange
async def test_an_order_is_looked_for_by_our_id_or_among_all_of_its_time(exchange: str) -> None:
    row = CAPABILITIES[exchange]
    is_found_by_id = False
    async with a_client(exchange) as (client, signed):
        for look in (*row.looks, *row.last_looks):
            signed.clear()
            await ask(client, exchange, look)

            (sent,) = signed
            told = sent.told
            assert "None" not in told
            assert sent.method == "GET" or exchange == "kraken"
            if look.order_id or look.params.keys() - {SINCE}:
                assert row.sent_as(OURS) in told
                assert "clientOrderId=" not in told.replace("origClientOrderId=", "")
                is_found_by_id = True
            else:
                assert OURS not in told
    assert is_found_by_id or exchange in {"bitget", "coinbase"}


@each_exchange
async def test_a_cancel_names_the_one_order_it_means(exchange: str) -> None:
    row = CAPABILITIES[exchange]
    async with a_client(exchange) as (client, signed):
        await ask(client, exchange, row.cancel)

        (sent,) = signed
        told = sent.told
        assert sent.method in {"POST", "DELETE"}
        assert "None" not in told
        assert ("THEIR-ID" if exchange == "coinbase" else row.sent_as(OURS)) in told
        assert "clientOrderId" not in sent.fields


@pytest.mark.parametrize(
    ("exchange", "field", "value"),
    [("okx", "timeOut", "30"), ("kraken", "timeout", "30"), ("bybit", "product", "SPOT")],
)
async def test_a_dead_mans_switch_is_of_the_spot_market(
    exchange: str, field: str, value: str
) -> None:
    async with a_client(exchange) as (client, signed):
        with pytest.raises(Caught):
            await client.cancel_all_orders_after(30_000, CAPABILITIES[exchange].dead_man)

        assert signed[0].fields[field] == [value]


@each_exchange
def test_the_other_exchanges_have_no_dead_mans_switch(exchange: str) -> None:
    has_one = CAPABILITIES[exchange].dead_man is not None

    assert has_one == (exchange in {"okx", "kraken", "bybit"})
    assert bool(make_client(exchange).has.get("cancelAllOrdersAfter")) == has_one


@each_exchange
async def test_the_fills_of_one_order_are_asked_for(exchange: str) -> None:
    """By large pages: some give as few as 50 unasked."""
    row = CAPABILITIES[exchange]
    async with a_client(exchange) as (client, signed):
        with pytest.raises(Caught):
            await order_trades(client, row, SYMBOL, OURS, theirs="THEIR-ID", named=["A-TRADE"])

        told = signed[0].told
        assert "None" not in told
        assert ("A-TRADE" if exchange == "kraken" else "THEIR-ID") in told
        for name, value in row.pages.size.items():
            assert signed[0].fields[name] == [value]


@each_exchange
async def test_a_price_that_a_market_would_cut_to_nothing_never_leaves(exchange: str) -> None:
    """A coarse price step in the market data turns 0.5 into 0 or 1 without a word."""
    request = asked(exchange, an_order(LIMIT, Side.BUY, price=Decimal("0.5")))
    async with a_client(exchange, tick=1.0) as (client, signed):
        with pytest.raises((NotAsIntended, ccxt.InvalidOrder)):
            await create(client, request)

        assert signed == []


@pytest.mark.parametrize("bad", ["0", "-1", "NaN", "Infinity"])
@pytest.mark.parametrize("field", ["quantity", "price"])
def test_a_number_that_is_no_amount_is_refused_before_ccxt_sees_it(field: str, bad: str) -> None:
    with pytest.raises(ValueError, match=field):
        asked("binance", replace(an_order(LIMIT), **{field: Decimal(bad)}))


@each_exchange
def test_a_kind_of_order_without_a_row_is_refused_not_sent_as_another(exchange: str) -> None:
    if STOP in CAPABILITIES[exchange].kinds:
        assert exchange in {"binance", "binanceus", "bybit", "kraken"}
        return
    with pytest.raises(NotSupported, match="stop orders"):
        asked(exchange, an_order(STOP))


async def test_a_stop_that_krakens_client_would_send_as_a_market_order_is_stopped() -> None:
    request = asked("kraken", an_order(STOP))
    told = {"clientOrderId": OURS, "deadline": DEADLINE, "oflags": "fciq"}
    wrong = {**told, "triggerPrice": "0.00000045"}
    async with a_client("kraken") as (client, signed):
        with (
            pytest.raises(NotAsIntended, match="ordertype is market, intended was stop-loss"),
            departing(request.expected),
        ):
            await client.create_order(SYMBOL, "market", "sell", "0.00000012", None, wrong)

        assert signed == []


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("kind", sorted(CAPABILITIES["kraken"].kinds))
async def test_kraken_is_asked_to_take_its_fee_in_quote_currency(kind: str, side: Side) -> None:
    """By default a sale pays in what it sells: all of a position could then never be sold."""
    async with a_client("kraken") as (client, signed):
        assert await create(client, asked("kraken", an_order(kind, side)))

        assert signed[0].fields["oflags"] == ["fciq"]


@pytest.mark.parametrize("wrong", ["clientOrderId", "client_oid"])
async def test_an_id_that_coinbases_client_drops_stops_the_order(wrong: str) -> None:
    request = asked("coinbase", an_order(MARKET))
    async with a_client("coinbase") as (client, signed):
        with (
            pytest.raises(NotAsIntended, match="client_order_id is ccxt-"),
            departing(request.expected),
        ):
            await client.create_order(SYMBOL, "market", "sell", "0.00000012", None, {wrong: OURS})

        assert signed == []


@pytest.mark.parametrize(
    ("exchange", "symbol", "amount", "price"),
    [
        ("okx", "BTC/USDT", "0.12345678", "43211"),
        ("bybit", "BTC/USDT", "0.123456", "43210.99"),
        ("kraken", "BTC/USD", "0.12345678", "43211"),
    ],
)
async def test_a_client_with_a_key_keeps_steps_as_text_and_asks_the_wallet_nothing(
    exchange: str, symbol: str, amount: str, price: str
) -> None:
    """A key that may only trade has no right to ask which currencies could be withdrawn."""
    async with an_exchange(exchange, ("a-key", "YS1zZWNyZXQ=", "a-password")) as (client, session):
        await client.load_markets()

        steps = client.markets[symbol]["precision"]
        assert all(isinstance(steps[each], str) for each in ("amount", "price"))
        assert client.amount_to_precision(symbol, "0.123456789") == amount
        assert client.price_to_precision(symbol, "43210.98765") == price
        assert not [url for url in session.asked if "/asset" in url or "Withdraw" in url]


async def test_no_fee_for_the_library_is_agreed_to() -> None:
    client = make_client("hyperliquid")
    try:
        assert client.options["builderFee"] is False
    finally:
        await client.close()


@pytest.mark.parametrize("exchange", ["mexc", "hyperliquid", "upbit", "mexc-b"])
def test_an_exchange_without_a_row_is_for_paper_only(exchange: str) -> None:
    with pytest.raises(LiveRefused, match=f"orders on {exchange} are not supported") as refused:
        row_of(exchange)

    assert refused.value.exit_code == 77
    assert row_of("kraken-b") is CAPABILITIES["kraken"]
