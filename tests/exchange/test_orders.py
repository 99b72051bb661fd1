from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest

from tests.exchange.fake_market import FROM_MS
from tests.exchange.loopback import BALANCES, Loopback, ccxt_client, exact, loopback


async def balances_of(lab: Loopback) -> dict[str, Decimal]:
    balance = await lab.client.fetch_balance()
    return {asset: exact(balance["total"][asset]) for asset in BALANCES}


def after_fills(fills: list[dict[str, Any]]) -> dict[str, Decimal]:
    """What the start balances and these ledger fills come to."""
    expected = dict(BALANCES)
    for fill in fills:
        base, quote = fill["symbol"].split("/")
        sign = 1 if fill["side"] == "buy" else -1
        expected[base] += sign * Decimal(fill["quantity"])
        expected[quote] -= sign * Decimal(fill["quantity"]) * Decimal(fill["price"])
        expected[fill["fee_currency"]] -= Decimal(fill["fee"])
    return expected


async def test_a_market_order_fills_over_several_levels_and_the_ledger_agrees(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path) as lab:
        order = await lab.client.create_order(
            "BTC/USDT", "market", "buy", 1.2, None, {"newClientOrderId": "mine"}
        )
        trades = await lab.client.fetch_my_trades("BTC/USDT")
        ledger = await lab.get("ledger")
        balances = await balances_of(lab)

    levels = [(trade["price"], trade["amount"]) for trade in order["trades"]]
    assert levels == [(50_000.01, 0.5), (50_000.02, 0.5), (50_000.03, 0.2)]
    assert (order["status"], order["filled"], order["clientOrderId"]) == ("closed", 1.2, "mine")
    assert [
        (fill["price"], fill["quantity"], fill["fee"], fill["ts_ms"]) for fill in ledger["fills"]
    ] == [
        ("50000.01", "0.5", "0.0005", FROM_MS),
        ("50000.02", "0.5", "0.0005", FROM_MS),
        ("50000.03", "0.2", "0.0002", FROM_MS),
    ]
    assert {trade["id"] for trade in trades} == {str(each["trade_id"]) for each in ledger["fills"]}
    assert {each["client_order_id"] for each in ledger["fills"]} == {"mine"}
    assert balances == after_fills(ledger["fills"])


async def test_a_sale_pays_its_fee_in_quote(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        order = await lab.client.create_order("ETH/USDT", "market", "sell", 0.4)
        ledger = await lab.get("ledger")
        balances = await balances_of(lab)

    assert order["fee"] == {"currency": "USDT", "cost": 1.199996}
    assert balances["USDT"] == 100_000 + Decimal("1199.996") - Decimal("1.199996")
    assert balances == after_fills(ledger["fills"])


async def test_a_resting_order_is_found_everywhere_and_fills_when_the_path_crosses(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path) as lab:
        placed = await lab.client.create_order(
            "BTC/USDT", "limit", "buy", 0.2, 49_998.5, {"newClientOrderId": "rests"}
        )
        found = await lab.client.fetch_order(None, "BTC/USDT", {"clientOrderId": "rests"})
        still_open = await lab.client.fetch_open_orders("BTC/USDT")
        locked = (await lab.client.fetch_balance())["used"]["USDT"]
        # The first bar goes down to 49997 on its way.
        await lab.play(1)
        done = await lab.client.fetch_order(placed["id"], "BTC/USDT")
        trades = await lab.client.fetch_my_trades("BTC/USDT", params={"orderId": placed["id"]})
        listed = await lab.client.fetch_orders("BTC/USDT")
        balances = await balances_of(lab)
        ledger = await lab.get("ledger")

    assert (placed["status"], found["id"]) == ("open", placed["id"])
    assert [order["id"] for order in still_open] == [placed["id"]]
    assert locked == 9_999.7
    assert (done["status"], done["average"], done["filled"]) == ("closed", 49_998.5, 0.2)
    assert [(trade["takerOrMaker"], trade["price"]) for trade in trades] == [("maker", 49_998.5)]
    assert [order["status"] for order in listed] == ["closed"]
    assert balances == after_fills(ledger["fills"])


async def test_a_cancel_frees_the_money_and_a_second_one_finds_nothing(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        placed = await lab.client.create_order("BTC/USDT", "limit", "buy", 0.2, 40_000)
        canceled = await lab.client.cancel_order(placed["id"], "BTC/USDT")
        with pytest.raises(ccxt.OrderNotFound):
            await lab.client.cancel_order(placed["id"], "BTC/USDT")
        free = (await lab.client.fetch_balance())["free"]["USDT"]
        shown = await lab.client.fetch_order(placed["id"], "BTC/USDT")

    assert canceled["status"] == "canceled"
    assert (shown["status"], free) == ("canceled", 100_000)


async def test_all_orders_of_a_symbol_are_canceled_at_once(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        for price in (40_000, 41_000):
            await lab.client.create_order("BTC/USDT", "limit", "buy", 0.2, price)
        await lab.client.cancel_all_orders("BTC/USDT")
        with pytest.raises(ccxt.OrderNotFound):
            await lab.client.cancel_all_orders("BTC/USDT")

        assert await lab.client.fetch_open_orders() == []


async def test_a_refusal_has_the_class_that_ccxt_gives_it(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        create = lab.client.create_order
        with pytest.raises(ccxt.InvalidOrder, match="LOT_SIZE"):
            await create("BTC/USDT", "market", "buy", 9_500_000)
        with pytest.raises(ccxt.InvalidOrder, match="PRICE_FILTER"):
            await create("BTC/USDT", "limit", "buy", 0.1, 20_000_000)
        with pytest.raises(ccxt.BadRequest, match="NOTIONAL"):
            await create("BTC/USDT", "market", "buy", 0.00005)
        with pytest.raises(ccxt.InsufficientFunds):
            await create("BTC/USDT", "market", "buy", 2.5)
        with pytest.raises(ccxt.InvalidOrder, match="immediately match"):
            await create("BTC/USDT", "limit", "buy", 0.1, 60_000, {"postOnly": True})
        with pytest.raises(ccxt.BadRequest, match="Illegal characters"):
            await create("BTC/USDT", "market", "buy", 0.1, None, {"newClientOrderId": "no spaces"})
        with pytest.raises(ccxt.OrderNotFound):
            await lab.client.fetch_order("77", "BTC/USDT")
        with pytest.raises(ccxt.BadSymbol):
            await lab.client.public_get_klines({"symbol": "DOGEUSDT", "interval": "1h"})
        ledger = await lab.get("ledger")

    assert (ledger["orders"], ledger["fills"]) == ([], [])


async def test_a_client_id_is_refused_while_its_order_is_open_and_only_then(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path) as lab:
        mine = {"newClientOrderId": "once"}
        placed = await lab.client.create_order("BTC/USDT", "limit", "buy", 0.1, 40_000, mine)
        with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
            await lab.client.create_order("BTC/USDT", "limit", "buy", 0.1, 40_000, mine)
        await lab.client.cancel_order(placed["id"], "BTC/USDT")
        again = await lab.client.create_order("BTC/USDT", "market", "buy", 0.1, None, mine)

        assert again["status"] == "closed"


async def test_a_market_order_for_money_spends_that_money(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        order = await lab.client.create_market_buy_order_with_cost("BTC/USDT", 1_000)

    assert 999 < order["cost"] <= 1_000


async def test_a_test_order_is_checked_and_not_placed(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.client.create_order("BTC/USDT", "market", "buy", 0.1, None, {"test": True})
        with pytest.raises(ccxt.InsufficientFunds):
            await lab.client.create_order("BTC/USDT", "market", "buy", 2.5, None, {"test": True})

        assert (await lab.get("ledger"))["orders"] == []


async def test_wrong_keys_late_requests_and_bad_signatures_are_refused(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        from daemon.embedded.signing import Credentials

        stranger = ccxt_client(lab.endpoints, Credentials("other", "secret"))
        forger = ccxt_client(lab.endpoints, Credentials("lab-key", "guess"))
        late = ccxt_client(lab.endpoints)
        late.nonce = lambda: lab.client.milliseconds() - 60_000
        try:
            for client in (stranger, forger):
                with pytest.raises(ccxt.AuthenticationError):
                    await client.fetch_balance()
            with pytest.raises(ccxt.InvalidNonce):
                await late.fetch_balance()
        finally:
            for client in (stranger, forger, late):
                await client.close()


async def test_fees_and_the_right_to_withdraw_are_stated(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        fees = await lab.client.fetch_trading_fees()
        account = await lab.client.private_get_account()

    assert (fees["BTC/USDT"]["maker"], fees["BTC/USDT"]["taker"]) == (0.001, 0.001)
    assert account["canWithdraw"] is False
