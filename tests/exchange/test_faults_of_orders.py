import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest

from tests.exchange.fake_market import StandingWireClock
from tests.exchange.loopback import Loopback, exact, loopback

PLACING = {"path": "/api/v3/order", "method": "POST"}
MINE = {"newClientOrderId": "mine"}
BY_MINE = {"clientOrderId": "mine"}


async def buy(lab: Loopback, amount: float = 0.1) -> dict[str, Any]:
    order: dict[str, Any] = await lab.client.create_order(
        "BTC/USDT", "market", "buy", amount, None, MINE
    )
    return order


async def rest(lab: Loopback, price: float = 40_000, amount: float = 0.2) -> dict[str, Any]:
    order: dict[str, Any] = await lab.client.create_order(
        "BTC/USDT", "limit", "buy", amount, price, MINE
    )
    return order


async def mine(lab: Loopback) -> dict[str, Any]:
    order: dict[str, Any] = await lab.client.fetch_order(None, "BTC/USDT", BY_MINE)
    return order


async def arrived(lab: Loopback) -> dict[str, Any]:
    """The one order, once the exchange has it."""
    async with asyncio.timeout(5):
        while not (orders := (await lab.get("ledger"))["orders"]):  # noqa: ASYNC110  # a poll
            await asyncio.sleep(0.02)
    order: dict[str, Any] = orders[0]
    return order


async def test_a_503_comes_at_once_and_the_order_is_accepted_later(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="late_accept", sec=0.3, **PLACING)
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await buy(lab)
        with pytest.raises(ccxt.OrderNotFound):
            await mine(lab)
        order = await arrived(lab)
        found = await mine(lab)

    assert order["client_order_id"] == "mine"
    assert (found["status"], found["filled"]) == ("closed", 0.1)


async def test_an_order_that_was_on_its_way_for_longer_than_it_is_valid_never_arrives(
    tmp_path: Path,
) -> None:
    wire = StandingWireClock()
    async with loopback(tmp_path, wire=wire) as lab:
        await lab.client.load_time_difference()
        await lab.fault(kind="late_accept", sec=0.1, **PLACING)
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await buy(lab)
        wire.pass_s(60)
        await asyncio.sleep(0.3)
        ledger = await lab.get("ledger")

    assert ledger["orders"] == []


async def test_an_order_that_nobody_answered_is_accepted_after_the_client_gave_up(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="delay_before", sec=0.5, **PLACING)
        lab.client.timeout = 100
        with pytest.raises(ccxt.RequestTimeout):
            await buy(lab)
        lab.client.timeout = 5_000
        orders = (await lab.get("ledger"))["orders"]
        order = await arrived(lab)

    assert orders == []
    assert (order["client_order_id"], order["status"]) == ("mine", "filled")


async def test_a_reply_with_nothing_but_ids_shows_a_filled_order_as_if_nothing_had_filled(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="bare_reply", **PLACING)
        order = await buy(lab)
        found = await mine(lab)

    assert order["id"] == found["id"]
    # ccxt makes a number of what was not said: 0.0 is not to be believed without a status.
    assert (order["status"], order["amount"], order["filled"]) == (None, None, 0.0)
    assert (found["status"], found["filled"]) == ("closed", 0.1)


async def test_a_reply_of_nulls_hides_even_the_id(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="null_reply", **PLACING)
        order = await buy(lab)
        found = await mine(lab)

    assert (order["id"], order["clientOrderId"], order["status"]) == (None, None, None)
    assert found["filled"] == 0.1


@pytest.mark.parametrize("body", ["", "null", "<html>welcome</html>", "[]", '{"symbol":"BTC'])
async def test_a_body_that_is_no_order_raises_nothing_and_the_order_exists(
    tmp_path: Path, body: str
) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="body_after", body=body, **PLACING)
        order = await buy(lab)
        found = await mine(lab)

    assert order["id"] is None
    assert found["filled"] == 0.1


@pytest.mark.parametrize(
    ("body", "raised"),
    [
        ('{"orderId":7,"fills":[null]}', TypeError),
        ('{"orderId":7,"price":"much","status":5}', ValueError),
    ],
)
async def test_a_body_the_library_stumbles_over_raises_after_the_order_was_accepted(
    tmp_path: Path, body: str, raised: type[Exception]
) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="body_after", body=body, **PLACING)
        with pytest.raises(raised):
            await buy(lab)
        found = await mine(lab)

    assert found["filled"] == 0.1


async def test_a_new_order_does_not_exist_for_a_while(tmp_path: Path) -> None:
    wire = StandingWireClock()
    async with loopback(tmp_path, wire=wire) as lab:
        await lab.client.load_time_difference()
        await lab.fault(kind="order_lag", sec=3)
        placed = await rest(lab)
        with pytest.raises(ccxt.OrderNotFound):
            await mine(lab)
        with pytest.raises(ccxt.OrderNotFound):
            await lab.client.cancel_order(placed["id"], "BTC/USDT")
        hidden = await lab.client.fetch_open_orders("BTC/USDT")
        hidden += await lab.client.fetch_orders("BTC/USDT")
        wire.pass_s(3)
        await lab.client.load_time_difference()
        found = await mine(lab)
        still_open = await lab.client.fetch_open_orders("BTC/USDT")

    assert hidden == []
    assert (found["id"], found["status"]) == (placed["id"], "open")
    assert [each["id"] for each in still_open] == [placed["id"]]


async def test_the_trades_of_an_order_are_listed_later_than_the_order(tmp_path: Path) -> None:
    wire = StandingWireClock()
    async with loopback(tmp_path, wire=wire) as lab:
        await lab.client.load_time_difference()
        await lab.fault(kind="trades_lag", sec=5, nth=[2])
        first = await lab.client.create_order("BTC/USDT", "market", "buy", 0.2)
        second = await buy(lab)
        early = await lab.client.fetch_my_trades("BTC/USDT")
        found = await mine(lab)
        wire.pass_s(5)
        await lab.client.load_time_difference()
        late = await lab.client.fetch_my_trades("BTC/USDT")

    assert [each["order"] for each in early] == [first["id"]]
    assert (found["status"], found["filled"]) == ("closed", 0.1)
    assert [each["order"] for each in late] == [first["id"], second["id"]]


async def test_a_filled_order_is_denied_once_and_its_trades_tell_the_truth(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="denied", times=1)
        order = await buy(lab)
        denied = await mine(lab)
        trades = await lab.client.fetch_my_trades("BTC/USDT")
        again = await mine(lab)

    assert (denied["id"], denied["status"], denied["filled"]) == (order["id"], "canceled", 0)
    assert [each["amount"] for each in trades] == [0.1]
    assert (again["status"], again["filled"]) == ("closed", 0.1)


@pytest.mark.parametrize(
    ("word", "status"),
    [("REJECTED", "rejected"), ("EXPIRED", "expired"), ("PENDING_NEW", "PENDING_NEW")],
)
async def test_a_status_comes_in_any_word_the_script_likes(
    tmp_path: Path, word: str, status: str
) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="worded", text=word, nth=[1])
        await rest(lab)
        worded = await mine(lab)
        again = await mine(lab)

    assert (worded["status"], again["status"]) == (status, "open")


async def test_a_market_order_fills_in_part_and_the_rest_of_it_expires(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="part_filled", ratio=0.37, symbol="BTC/USDT")
        order = await buy(lab, 0.1)
        balance = await lab.client.fetch_balance()

    assert (order["status"], order["filled"], order["remaining"]) == ("expired", 0.037, 0.063)
    assert exact(balance["total"]["BTC"]) == 1 + Decimal("0.037") * Decimal("0.999")


async def test_a_limit_order_fills_in_part_and_the_rest_of_it_later(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="part_filled", ratio=0.5, times=1)
        order = await rest(lab, 50_000.01)
        await lab.play(1)
        later = await mine(lab)
        trades = await lab.client.fetch_my_trades("BTC/USDT")

    assert (order["status"], order["filled"]) == ("open", 0.1)
    assert (later["status"], later["filled"]) == ("closed", 0.2)
    assert [each["amount"] for each in trades] == [0.1, 0.1]


async def test_a_part_that_filled_stays_when_the_exchange_ends_the_rest(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="part_filled", ratio=0.5)
        await rest(lab, 50_000.01)
        await lab.fault(kind="orders_ended", says="EXPIRED")
        ended = await mine(lab)
        balance = await lab.client.fetch_balance()

    assert (ended["status"], ended["filled"]) == ("expired", 0.1)
    assert (balance["used"]["USDT"], balance["total"]["BTC"]) == (0, 1.0999)


async def test_a_cancel_loses_the_race_against_the_fill(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="filled_first")
        order = await rest(lab)
        with pytest.raises(ccxt.OrderNotFound):
            await lab.client.cancel_order(order["id"], "BTC/USDT")
        found = await mine(lab)
        trades = await lab.client.fetch_my_trades("BTC/USDT")

    assert (found["status"], found["filled"], found["average"]) == ("closed", 0.2, 40_000)
    assert [each["takerOrMaker"] for each in trades] == ["maker"]


async def test_a_cancel_finds_a_part_filled_on_its_way(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="filled_first", ratio=0.25)
        order = await rest(lab)
        canceled = await lab.client.cancel_order(order["id"], "BTC/USDT")
        found = await mine(lab)

    assert (canceled["status"], found["status"]) == ("canceled", "canceled")
    assert (canceled["filled"], found["filled"]) == (0.05, 0.05)


async def test_one_of_all_orders_fills_while_all_of_them_are_canceled(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="filled_first", nth=[2])
        for price in (40_000, 41_000, 42_000):
            await lab.client.create_order("BTC/USDT", "limit", "buy", 0.2, price)
        canceled = await lab.client.cancel_all_orders("BTC/USDT")
        statuses = [each["status"] for each in await lab.client.fetch_orders("BTC/USDT")]

    assert [each["price"] for each in canceled] == [40_000, 42_000]
    assert statuses == ["canceled", "closed", "canceled"]


async def test_a_stop_is_triggered_while_its_cancel_is_on_the_way(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="filled_first")
        params = {"stopPrice": 49_000, **MINE}
        stop = await lab.client.create_order("BTC/USDT", "market", "sell", 0.2, None, params)
        with pytest.raises(ccxt.OrderNotFound):
            await lab.client.cancel_order(stop["id"], "BTC/USDT")
        found = await mine(lab)
        balance = await lab.client.fetch_balance()

    assert (found["status"], found["average"]) == ("closed", 49_999.99)
    assert (balance["total"]["BTC"], balance["used"]["BTC"]) == (0.8, 0)


async def test_all_orders_of_a_lost_cancel_reply_are_gone_all_the_same(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="drop_after", path="/api/v3/order", method="DELETE", times=1)
        order = await rest(lab)
        # aiohttp repeats an idempotent request by itself: the second one finds nothing to cancel.
        with pytest.raises((ccxt.OrderNotFound, ccxt.NetworkError)):
            await lab.client.cancel_order(order["id"], "BTC/USDT")
        found = await mine(lab)

    assert found["status"] == "canceled"


@pytest.mark.parametrize(
    ("body", "raised"),
    [
        (
            '{"code":-2010,"msg":"Account has insufficient balance for requested action."}',
            ccxt.InsufficientFunds,
        ),
        ('{"code":-1013,"msg":"Filter failure: PERCENT_PRICE_BY_SIDE"}', ccxt.InvalidOrder),
    ],
)
async def test_an_order_like_the_one_before_is_refused_in_the_middle_of_a_run(
    tmp_path: Path, body: str, raised: type[Exception]
) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="status", status=400, body=body, nth=[2], **PLACING)
        await buy(lab)
        with pytest.raises(raised):
            await buy(lab)
        ledger = await lab.get("ledger")

    assert len(ledger["orders"]) == 1


async def test_the_rules_of_a_symbol_change_while_its_position_is_open(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.client.create_order("BTC/USDT", "market", "buy", 0.00123)
        await lab.fault(kind="rules", symbol="BTC/USDT", lot="0.001", minimum_notional="60")
        with pytest.raises(ccxt.InvalidOrder, match="LOT_SIZE"):
            await lab.client.create_order("BTC/USDT", "market", "sell", 0.00122)
        with pytest.raises(ccxt.BadRequest, match="NOTIONAL"):
            await lab.client.create_order("BTC/USDT", "market", "sell", 0.001)
        await lab.client.create_order("ETH/USDT", "market", "sell", 0.01)
        told = (await lab.client.load_markets(True))["BTC/USDT"]

    assert (told["precision"]["amount"], told["limits"]["cost"]["min"]) == (0.001, 60)
    assert told["limits"]["amount"]["min"] == 0.001


async def test_a_coarser_tick_refuses_the_prices_of_before(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="rules", tick="0.5")
        with pytest.raises(ccxt.InvalidOrder, match="PRICE_FILTER"):
            await rest(lab, 40_000.01)
        order = await rest(lab, 40_000.5)

    assert order["status"] == "open"


async def test_a_market_that_closes_takes_no_orders_and_fills_none_until_it_opens_again(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path) as lab:
        await rest(lab, 49_998.5)
        await lab.fault(kind="market_closed", symbol="BTC/USDT", until=2)
        told = (await lab.client.load_markets(True))["BTC/USDT"]
        with pytest.raises(ccxt.ExchangeError, match="Market is closed"):
            await lab.client.create_order("BTC/USDT", "market", "sell", 0.1)
        await lab.client.create_order("ETH/USDT", "market", "sell", 0.1)
        await lab.play(1)
        after_a_bar = await mine(lab)
        await lab.play(1)
        after_two = await mine(lab)
        told_again = (await lab.client.load_markets(True))["BTC/USDT"]
        sold = await lab.client.create_order("BTC/USDT", "market", "sell", 0.1)

    assert (told["active"], told["info"]["status"]) == (False, "BREAK")
    assert told_again["active"] is True
    # Both bars went below the order's price.
    assert (after_a_bar["status"], after_two["status"]) == ("open", "closed")
    assert sold["status"] == "closed"


async def test_an_order_in_a_closed_market_can_still_be_canceled(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        order = await rest(lab)
        await lab.fault(kind="market_closed")
        canceled = await lab.client.cancel_order(order["id"], "BTC/USDT")

    assert canceled["status"] == "canceled"
