from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest

from daemon.embedded.fault_rules import read_script
from tests.exchange.fake_market import HOUR_MS, StandingWireClock
from tests.exchange.loopback import BALANCES, Loopback, exact, loopback, next_within

MINE = {"newClientOrderId": "mine"}


async def buy(lab: Loopback, amount: float = 0.1) -> Any:
    return await lab.client.create_order("BTC/USDT", "market", "buy", amount, None, MINE)


async def test_balances_are_shown_as_they_were_a_while_ago(tmp_path: Path) -> None:
    wire = StandingWireClock()
    async with loopback(tmp_path, wire=wire) as lab:
        await lab.client.load_time_difference()
        await lab.fault(kind="balance_lag", sec=30)
        await buy(lab)
        shown = []
        for passed_s in (0, 29, 1):
            wire.pass_s(passed_s)
            await lab.client.load_time_difference()
            shown.append((await lab.client.fetch_balance())["total"]["BTC"])

    assert shown == [1, 1, 1.0999]


async def test_money_comes_and_goes_without_a_trade_and_is_written_down(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="deposit", asset="USDT", amount="250.5")
        await lab.fault(kind="withdrawal", asset="ETH", amount="50")
        total = (await lab.client.fetch_balance())["total"]
        ledger = await lab.get("ledger")

    # No more can be withdrawn than there is.
    assert (total["USDT"], total["ETH"]) == (100_250.5, 0)
    assert [(each["asset"], each["amount"]) for each in ledger["flows"]] == [
        ("USDT", "250.5"),
        ("ETH", "-10"),
    ]
    assert [each["kind"] for each in ledger["incidents"]] == ["deposit", "withdrawal"]


async def test_a_script_that_is_read_again_does_nothing_twice(tmp_path: Path) -> None:
    script = read_script(
        b'[{"kind": "deposit", "asset": "USDT", "amount": 10, "every": 2},'
        b' {"kind": "deposit", "asset": "BTC", "amount": "0.5", "from": 1}]'
    )
    shown = []
    for _ in range(2):
        async with loopback(tmp_path) as lab:
            lab.faults.add_script(script)
            await lab.play(3)
            shown.append((await lab.client.fetch_balance())["total"])

    # Six bars were played: every second one brought ten, and the single coin came once.
    assert [(each["USDT"], each["BTC"]) for each in shown] == [(100_010, 1.5), (100_030, 1.5)]


async def test_somebody_else_trades_on_the_account_even_with_our_prefix(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        by_hand = {"kind": "foreign_order", "symbol": "BTC/USDT", "side": "SELL"}
        await lab.fault(**by_hand, amount="0.25")
        await lab.fault(**by_hand, amount="0.1", price="60000", client_id="tradingd-1")
        still_open = await lab.client.fetch_open_orders("BTC/USDT")
        total = (await lab.client.fetch_balance())["total"]
        ledger = await lab.get("ledger")

    assert [each["clientOrderId"] for each in still_open] == ["tradingd-1"]
    assert total["BTC"] == 0.75
    assert ledger["orders"][0]["client_order_id"].startswith("web_")


async def test_an_order_by_hand_that_the_exchange_refuses_is_noted(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="foreign_order", symbol="BTC/USDT", side="SELL", amount="50")
        await lab.fault(kind="foreign_order", symbol="NO/SUCH", side="SELL", amount="1")
        ledger = await lab.get("ledger")

    assert ledger["orders"] == []
    assert [each["text"].split(":")[0] for each in ledger["incidents"]] == ["refused", "refused"]


@pytest.mark.parametrize(("says", "status"), [("CANCELED", "canceled"), ("EXPIRED", "expired")])
async def test_open_orders_end_without_anybody_here_having_asked(
    tmp_path: Path, says: str, status: str
) -> None:
    async with loopback(tmp_path) as lab:
        stop = {"stopPrice": 40_000, **MINE}
        await lab.client.create_order("BTC/USDT", "market", "sell", 0.2, None, stop)
        other = await lab.client.create_order("ETH/USDT", "limit", "buy", 1, 1_000)
        await lab.fault(kind="orders_ended", symbol="BTC/USDT", says=says, **{"from": 1})
        before = await lab.client.fetch_order(None, "BTC/USDT", {"clientOrderId": "mine"})
        await lab.play(1)
        ended = await lab.client.fetch_order(None, "BTC/USDT", {"clientOrderId": "mine"})
        still_open = await lab.client.fetch_open_orders()
        used = (await lab.client.fetch_balance())["used"]["BTC"]

    assert (before["status"], ended["status"], used) == ("open", status, 0)
    assert [each["id"] for each in still_open] == [other["id"]]


async def test_the_schedule_of_fees_changes_and_says_so(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="fees", taker_bps="20", maker_bps="-1", asset="ETH", symbol="BTC/USDT")
        told = await lab.client.fetch_trading_fee("BTC/USDT")
        others = await lab.client.fetch_trading_fee("ETH/USDT")
        order = await buy(lab)

    assert (told["taker"], told["maker"], others["taker"]) == (0.002, -0.0001, 0.001)
    assert order["fee"] == {"currency": "ETH", "cost": 0.003_333_33}


async def test_a_fee_is_taken_that_no_schedule_tells(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="fee_drift", bps="1")
        told = await lab.client.fetch_trading_fee("BTC/USDT")
        account = await lab.client.private_get_account()
        order = await buy(lab)

    assert (told["taker"], account["commissionRates"]["taker"]) == (0.001, "0.00100000")
    assert order["fee"] == {"currency": "BTC", "cost": 0.000_11}


async def test_a_key_is_revoked_while_public_data_goes_on(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await buy(lab)
        await lab.fault(kind="key_revoked", **{"from": 1})
        await lab.client.fetch_balance()
        await lab.play(1)
        # ccxt takes it for an overload, because the key was good before.
        with pytest.raises(ccxt.DDoSProtection, match="-2015"):
            await buy(lab)
        with pytest.raises(ccxt.BaseError, match="-2015"):
            await lab.client.create_order_ws("BTC/USDT", "market", "buy", 0.1)
        price = (await lab.client.fetch_ticker("BTC/USDT"))["last"]
        ledger = await lab.get("ledger")

    assert price == 50_001
    assert len(ledger["orders"]) == 1


async def test_what_the_key_may_do_changes_in_the_middle_of_a_run(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        before = await lab.client.sapi_get_account_apirestrictions()
        await lab.fault(kind="key_scope", allows="read,withdraw", any_ip=True)
        after = await lab.client.sapi_get_account_apirestrictions()
        with pytest.raises(ccxt.BaseError, match="-2015"):
            await buy(lab)

    assert (before["enableWithdrawals"], before["ipRestrict"]) == (False, True)
    assert (after["enableWithdrawals"], after["ipRestrict"]) == (True, False)
    assert after["enableSpotAndMarginTrading"] is False


@pytest.mark.parametrize("ahead_sec", [-3, 15])
async def test_clocks_differ_until_the_client_asks_for_the_time(
    tmp_path: Path, ahead_sec: int
) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="clock_ahead", ahead_sec=ahead_sec)
        with pytest.raises(ccxt.InvalidNonce):
            await buy(lab)
        orders = (await lab.get("ledger"))["orders"]
        await lab.client.load_time_difference()
        order = await buy(lab)

    assert orders == []
    assert order["status"] == "closed"


async def test_requests_are_warned_off_and_then_banned_until_a_time_that_is_told(
    tmp_path: Path,
) -> None:
    wire = StandingWireClock()
    async with loopback(tmp_path, wire=wire) as lab:
        await lab.fault(kind="banned", count=2, sec=90)
        answers = []
        for _ in range(4):
            with pytest.raises(ccxt.DDoSProtection, match=r" 4(29|18) .*-1003") as caught:
                await lab.client.fetch_time()
            waits_s = lab.client.last_response_headers["Retry-After"]
            answers.append(("418" if " 418 " in str(caught.value) else "429", waits_s))
        until_ms = wire.ns // 1_000_000 + 90_000
        wire.pass_s(89.9)
        with pytest.raises(ccxt.DDoSProtection, match=f"banned until {until_ms}"):
            await lab.client.fetch_time()
        wire.pass_s(0.1)
        now_ms = await lab.client.fetch_time()

    assert answers == [("429", "90"), ("429", "90"), ("418", "90"), ("418", "90")]
    assert now_ms == until_ms


async def test_maintenance_answers_no_request_but_the_one_for_its_status(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        before = await lab.client.fetch_status()
        await lab.fault(kind="maintenance", until=2)
        for asked in (lab.client.fetch_time, lab.client.fetch_balance, lab.client.load_markets):
            with pytest.raises(ccxt.ExchangeNotAvailable, match="System upgrade"):
                await asked(*([True] if asked == lab.client.load_markets else []))
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await buy(lab)
        with pytest.raises(ccxt.NetworkError):
            await next_within(lab.client.watch_order_book("BTC/USDT"))
        status = await lab.client.fetch_status()
        await lab.play(2)
        order = await buy(lab)

    assert (before["status"], status["status"]) == ("ok", "maintenance")
    assert order["status"] == "closed"


async def test_a_run_of_incidents_leaves_books_that_close(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="deposit", asset="USDT", amount="3", probability=0.5, times=9)
        await lab.fault(
            kind="foreign_order", symbol="ETH/USDT", side="BUY", amount="0.1", every=2, times=9
        )
        await lab.fault(kind="withdrawal", asset="BTC", amount="0.01", nth=[2, 5])
        for _ in range(6):
            await buy(lab, 0.01)
            await lab.play(1)
        ledger = await lab.get("ledger")

    expected = dict(BALANCES)
    for flow in ledger["flows"]:
        expected[flow["asset"]] += Decimal(flow["amount"])
    for fill in ledger["fills"]:
        base, quote = fill["symbol"].split("/")
        expected[base] += Decimal(fill["quantity"])
        expected[quote] -= Decimal(fill["quantity"]) * Decimal(fill["price"])
        expected[fill["fee_currency"]] -= Decimal(fill["fee"])
    assert {asset: exact(each["free"]) for asset, each in ledger["balances"].items()} == expected
    kinds = [each["kind"] for each in ledger["incidents"]]
    assert (kinds.count("withdrawal"), kinds.count("foreign_order")) == (2, 3)
    assert 0 < kinds.count("deposit") < 7
    assert {each["ts_ms"] % HOUR_MS for each in ledger["incidents"]} == {0}
