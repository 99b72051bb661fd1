from decimal import Decimal
from pathlib import Path
from typing import Any

from daemon.embedded.fees import Fees
from tests.exchange.loopback import BALANCES, Loopback, exact, loopback

ONE_BP = Decimal("0.0001")


async def assert_books_close(lab: Loopback) -> list[dict[str, Any]]:
    """Start balances and all fills with their fees come to what the account shows, exactly."""
    ledger = await lab.get("ledger")
    expected = dict(BALANCES)
    for fill in ledger["fills"]:
        base, quote = fill["symbol"].split("/")
        sign = 1 if fill["side"] == "buy" else -1
        expected[base] += sign * Decimal(fill["quantity"])
        expected[quote] -= sign * Decimal(fill["quantity"]) * Decimal(fill["price"])
        expected[fill["fee_currency"]] -= Decimal(fill["fee"])
    told = (await lab.client.fetch_balance())["total"]
    assert {asset: exact(told[asset]) for asset in expected} == expected
    fills: list[dict[str, Any]] = ledger["fills"]
    return fills


async def test_a_maker_gets_its_rebate_and_a_taker_pays_its_own_fee(tmp_path: Path) -> None:
    fees = Fees(taker_ratio=5 * ONE_BP, maker_ratio=-2 * ONE_BP)
    async with loopback(tmp_path, fees=fees) as lab:
        await lab.client.create_order("BTC/USDT", "market", "buy", 0.1)
        await lab.client.create_order("BTC/USDT", "limit", "buy", 0.2, 49_998.5)
        await lab.play(1)
        schedule = await lab.client.fetch_trading_fee("BTC/USDT")
        trades = await lab.client.fetch_my_trades("BTC/USDT")
        fills = await assert_books_close(lab)

    assert (schedule["taker"], schedule["maker"]) == (0.0005, -0.0002)
    assert [each["fee"]["cost"] for each in trades] == [0.000_05, -0.000_04]
    assert [each["fee"] for each in fills] == ["0.00005", "-0.00004"]


async def test_a_fee_in_a_third_asset_is_worth_the_same_and_leaves_what_was_traded_whole(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path, fees=Fees(asset="ETH")) as lab:
        order = await lab.client.create_order("BTC/USDT", "market", "buy", 0.1)
        balance = await lab.client.fetch_balance()
        fills = await assert_books_close(lab)

    # A thousandth of 5000.001 USDT, at 3000 USDT for one ETH.
    assert order["fee"] == {"currency": "ETH", "cost": 0.001_666_66}
    assert (fills[0]["fee_currency"], fills[0]["fee"]) == ("ETH", "0.00166666")
    assert balance["total"]["BTC"] == 1.1


async def test_a_fee_in_the_asset_that_is_traded_eats_the_position(tmp_path: Path) -> None:
    async with loopback(tmp_path, fees=Fees(asset="BTC")) as lab:
        await lab.client.create_order("BTC/USDT", "market", "sell", 0.4)
        await lab.client.create_order("BTC/USDT", "limit", "sell", 0.5, 50_002)
        await lab.play(1)
        balance = await lab.client.fetch_balance()
        fills = await assert_books_close(lab)

    assert [(each["fee_currency"], each["fee"]) for each in fills] == [
        ("BTC", "0.0004"),
        ("BTC", "0.0005"),
    ]
    assert balance["total"]["BTC"] == 0.0991


async def test_a_fee_never_takes_what_the_rest_of_an_order_needs(tmp_path: Path) -> None:
    async with loopback(tmp_path, fees=Fees(asset="BTC")) as lab:
        order = await lab.client.create_order("BTC/USDT", "market", "sell", 1.0)
        fills = await assert_books_close(lab)

    assert (order["status"], order["filled"]) == ("closed", 1.0)
    # All of it was sold, so neither part of it could be paid for in BTC.
    assert {each["fee_currency"] for each in fills} == {"USDT"}


async def test_fees_fall_back_on_what_is_received_when_the_asset_for_them_runs_out(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path, fees=Fees(asset="ETH")) as lab:
        await lab.client.create_order("ETH/USDT", "market", "sell", 9.9999)
        await lab.client.create_order("BTC/USDT", "market", "buy", 0.4)
        fills = await assert_books_close(lab)

    assert fills[-1]["fee_currency"] == "BTC"
