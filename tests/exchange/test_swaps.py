"""Perpetual swaps through the unmodified ccxt class of Binance USDⓈ-M."""

import asyncio
import contextlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest

from daemon.config import load
from daemon.core.errors import LiveRefused, TradingdError, UsageRefused
from daemon.running.world.exchange_process import attached
from tests.exchange.fake_market import FROM_MS, HOUR_MS, FakeMarket, StandingWireClock
from tests.exchange.loopback import Loopback, is_loopback, next_within, swap_loopback, urls_of

BTC = "BTC/USDT:USDT"
MINE: dict[str, Any] = {"newClientOrderId": "mine"}
START = Decimal(10_000)
# The first bar opens at 50000, goes up to 50003, down to 49997 and closes at 50001.


async def trade(
    lab: Loopback, side: str, amount: float, price: float | None = None, **params: Any
) -> dict[str, Any]:
    kind = "market" if price is None else "limit"
    order: dict[str, Any] = await lab.client.create_order(BTC, kind, side, amount, price, params)
    return order


async def position(lab: Loopback) -> dict[str, Any] | None:
    found = await lab.client.fetch_positions([BTC])
    return dict(found[0]) if found else None


async def assert_books_close(lab: Loopback) -> dict[str, Any]:
    """Start, incomes, money and wallets agree to the last digit, and so do fills and positions."""
    ledger = await lab.get("ledger")
    held = {each["symbol"]: each for each in ledger["positions"]}
    has = Decimal(ledger["money"]["USDT"]) + sum(Decimal(each["wallet"]) for each in held.values())
    assert has == START + sum(Decimal(each["amount"]) for each in ledger["incomes"])
    signed: dict[str, Decimal] = {}
    for fill in ledger["fills"]:
        sign = 1 if fill["side"] == "buy" else -1
        signed[fill["symbol"]] = signed.get(fill["symbol"], Decimal(0)) + sign * Decimal(
            fill["quantity"]
        )
    assert {name: each for name, each in signed.items() if each} == {
        name: Decimal(each["quantity"]) for name, each in held.items() if Decimal(each["quantity"])
    }
    return dict(ledger)


async def test_no_url_of_the_client_leads_outside(tmp_path: Path) -> None:
    async with swap_loopback(tmp_path) as lab:
        urls = list(urls_of(lab.client))

    assert len(urls) > 30
    assert all(is_loopback(each) for each in urls)


@pytest.mark.parametrize(("mode", "refusal"), [("live", LiveRefused), ("paper", UsageRefused)])
async def test_a_daemon_that_is_attached_to_it_is_refused_in_one_line_with_what_to_do(
    tmp_path: Path, mode: str, refusal: type[TradingdError]
) -> None:
    settings = load(None, {"run.mode": mode, "data.symbols": (BTC,)}, {})
    async with swap_loopback(tmp_path) as lab:
        with pytest.raises(refusal, match=r"lists swaps, .* not traded live: a swap can be backte"):
            await attached(lab.endpoints.rest, settings)


async def test_the_market_is_one_of_linear_perpetuals_with_the_same_prices(tmp_path: Path) -> None:
    async with swap_loopback(tmp_path) as lab:
        market = lab.client.markets[BTC]
        rows = await lab.client.fetch_ohlcv(BTC, "1h", limit=2)
        book = await lab.client.fetch_order_book(BTC, 5)
        rate = await lab.client.fetch_funding_rate(BTC)
        past = await lab.client.fetch_funding_rate_history(BTC, limit=3)
        clock = await lab.get("clock")

    assert (market["linear"], market["swap"], market["settle"]) == (True, True, "USDT")
    assert (market["precision"]["price"], market["limits"]["cost"]["min"]) == (0.01, 5)
    assert [row[4] for row in rows] == [50_000, 50_000]
    assert (book["bids"][0], book["asks"][0]) == ([49_999.99, 0.5], [50_000.01, 0.5])
    assert rate["fundingTimestamp"] == FROM_MS + 8 * HOUR_MS
    assert [each["timestamp"] for each in past] == [FROM_MS - n * 8 * HOUR_MS for n in (2, 1, 0)]
    assert clock["awaiting"] == ["BTC/USDT:USDT", "ETH/USDT:USDT"]


async def test_a_long_is_opened_reduced_and_closed_and_the_books_close(tmp_path: Path) -> None:
    async with swap_loopback(tmp_path) as lab:
        await lab.client.set_leverage(10, BTC)
        order = await trade(lab, "buy", 0.1, **MINE)
        found = await lab.client.fetch_order(None, BTC, {"clientOrderId": "mine"})
        held = await position(lab)
        balance = await lab.client.fetch_balance()
        await lab.play(2)
        await trade(lab, "sell", 0.04, reduceOnly=True)
        part = await position(lab)
        await trade(lab, "sell", 0.06, reduceOnly=True)
        trades = await lab.client.fetch_my_trades(BTC)
        ledger = await assert_books_close(lab)
        gone = await position(lab)

    assert (order["status"], found["average"], found["filled"]) == ("closed", 50_000.01, 0.1)
    assert held is not None
    assert (held["side"], held["contracts"], held["leverage"]) == ("long", 0.1, 10)
    assert (held["marginMode"], held["entryPrice"]) == ("isolated", 50_000.01)
    assert held["liquidationPrice"] == pytest.approx(45_180.73, abs=0.01)
    assert balance["USDT"]["free"] == pytest.approx(10_000 - 500.0001 - 2.5, abs=0.001)
    assert part is not None
    assert part["contracts"] == 0.06
    assert gone is None
    realized = [Decimal(each["info"]["realizedPnl"]) for each in trades]
    assert realized[0] == 0
    assert realized[1] > 0
    kinds = {each["kind"] for each in ledger["incomes"]}
    assert kinds == {"commission", "realized_pnl"}


async def test_a_short_pays_or_gets_funding_every_eight_hours(tmp_path: Path) -> None:
    async with swap_loopback(tmp_path) as lab:
        await trade(lab, "sell", 0.2)
        await lab.play(17)
        paid = await lab.client.fetch_funding_history(BTC)
        rates = await lab.client.fetch_funding_rate_history(BTC, since=FROM_MS + 1)
        ledger = await assert_books_close(lab)

    assert [each["timestamp"] for each in paid] == [FROM_MS + n * 8 * HOUR_MS for n in (1, 2)]
    # A short gets what a positive rate says, of what the position is worth at that moment.
    worth = [0.2 * (50_000 + 8), 0.2 * (50_000 + 16)]
    expected = [each * rate["fundingRate"] for each, rate in zip(worth, rates, strict=True)]
    assert [each["amount"] for each in paid] == pytest.approx(expected, abs=1e-6)
    assert sum(each["kind"] == "funding_fee" for each in ledger["incomes"]) == 2


async def test_a_position_whose_margin_is_gone_is_liquidated_by_the_exchange(
    tmp_path: Path,
) -> None:
    market = FakeMarket(base={"BTCUSDT": 50_000, "ETHUSDT": 3_000})
    async with swap_loopback(tmp_path, market=market) as lab:
        await lab.client.set_leverage(100, BTC)
        await trade(lab, "sell", 0.9)
        resting = await trade(lab, "buy", 0.1, 40_000)
        held = await position(lab)
        # Every bar closes one higher: by and by a short at a hundredfold loses its margin.
        for _ in range(400):
            if await position(lab) is None:
                break
            await lab.play(5)
        ended = await lab.client.fetch_order(resting["id"], BTC)
        orders = await lab.client.fetch_orders(BTC)
        ledger = await assert_books_close(lab)

    assert held is not None
    assert held["liquidationPrice"] == pytest.approx(50_300, abs=30)
    assert ended["status"] == "expired"
    assert orders[-1]["clientOrderId"].startswith("autoclose-")
    kinds = [each["kind"] for each in ledger["incomes"]]
    assert "insurance_clear" in kinds
    lost = sum(
        Decimal(each["amount"])
        for each in ledger["incomes"]
        if each["kind"] in {"realized_pnl", "insurance_clear"}
    )
    assert Decimal(-451) < lost < Decimal(-200)


async def test_a_stop_waits_apart_and_makes_an_order_of_its_own_that_only_reduces(
    tmp_path: Path,
) -> None:
    async with swap_loopback(tmp_path) as lab:
        await trade(lab, "buy", 0.1)
        guard: dict[str, Any] = {
            "stopLossPrice": 49_998,
            "reduceOnly": True,
            "newClientOrderId": "guard",
        }
        stop = await trade(lab, "sell", 0.2, **guard)
        waiting = await lab.client.fetch_open_orders(BTC, params={"trigger": True})
        resting = await lab.client.fetch_open_orders(BTC)
        await lab.play(1)
        by_id = {"trigger": True, "clientOrderId": "guard"}
        triggered = await lab.client.fetch_order(None, BTC, by_id)
        made = await lab.client.fetch_order(None, BTC, {"clientOrderId": "guard"})
        held = await position(lab)
        ledger = await assert_books_close(lab)

    assert [(each["id"], each["triggerPrice"]) for each in waiting] == [(stop["id"], 49_998)]
    assert resting == []
    assert triggered["info"]["algoStatus"] == "TRIGGERED"
    assert triggered["info"]["actualOrderId"] == made["id"]
    # No more than the position, at the step that came below the stop price.
    assert (made["status"], made["filled"], made["average"]) == ("closed", 0.1, 49_996.99)
    assert held is None
    assert ledger["algos"][0]["order_id"] == int(made["id"])


async def test_a_stop_for_the_whole_position_and_its_cancel(tmp_path: Path) -> None:
    async with swap_loopback(tmp_path) as lab:
        await trade(lab, "sell", 0.1)
        whole = {"stopLossPrice": 50_002, "closePosition": True, "clientAlgoId": "all"}
        await lab.client.create_order(BTC, "market", "buy", None, None, whole)
        far = await trade(lab, "buy", 0.1, stopLossPrice=60_000, reduceOnly=True)
        await lab.client.cancel_order(far["id"], BTC, {"trigger": True})
        with pytest.raises(ccxt.OrderNotFound):
            await lab.client.cancel_order(far["id"], BTC, {"trigger": True})
        await lab.play(1)
        held = await position(lab)
        ledger = await assert_books_close(lab)

    assert held is None
    assert [each["status"] for each in ledger["algos"]] == ["triggered", "canceled"]


async def test_what_is_not_allowed_is_refused_with_the_codes_of_the_exchange(
    tmp_path: Path,
) -> None:
    order = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.1"}
    limit = {**order, "type": "LIMIT", "price": "50000", "timeInForce": "GTC"}
    algo = {**order, "algoType": "CONDITIONAL", "type": "STOP_MARKET", "triggerPrice": "49000"}
    refused = [
        ("Order", {**order, "reduceOnly": "true"}, -2022),
        ("Order", {**order, "quantity": "20"}, -2019),
        ("Order", {**order, "type": "STOP_MARKET", "stopPrice": "1"}, -4120),
        ("Order", {**order, "positionSide": "LONG"}, -4061),
        ("Order", {**order, "quantity": "0.000015"}, -4023),
        ("Order", {**order, "quantity": "0.00001"}, -4164),
        ("Order", {**limit, "price": "50000.001"}, -4014),
        ("Order", {**limit, "timeInForce": "GTX", "price": "49000"}, -5022),
        ("Order", {**limit, "timeInForce": "FOK", "quantity": "1", "price": "49999.99"}, -5021),
        ("AlgoOrder", {**algo, "triggerPrice": "50001"}, -2021),
        ("AlgoOrder", {**algo, "closePosition": "true"}, -4136),
        ("Leverage", {"symbol": "BTCUSDT", "leverage": "126"}, -4028),
        ("MarginType", {"symbol": "BTCUSDT", "marginType": "CROSSED"}, -4048),
        ("PositionSideDual", {"dualSidePosition": "true"}, -4084),
    ]
    async with swap_loopback(tmp_path) as lab:
        for path, params, code in refused:
            with pytest.raises(ccxt.BaseError):
                await getattr(lab.client, f"fapiPrivatePost{path}")(dict(params))
            assert json.loads(lab.client.last_http_response)["code"] == code, (path, params)
        ledger = await lab.get("ledger")

    assert (ledger["orders"], ledger["algos"]) == ([], [])


async def test_the_account_is_told_of_orders_fills_positions_and_money(tmp_path: Path) -> None:
    async with swap_loopback(tmp_path) as lab:
        client = lab.client
        watched = (client.watch_orders(), client.watch_my_trades(), client.watch_positions())
        tasks = [asyncio.create_task(each) for each in watched]
        async with asyncio.timeout(10):
            while not any("listenKey" in url for url in client.clients):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            await next(each for url, each in client.clients.items() if "listenKey" in url).connected
        await trade(lab, "buy", 0.1, **MINE)
        orders, trades, positions = await next_within(asyncio.gather(*tasks))
        stop = asyncio.create_task(client.watch_orders())
        await trade(lab, "sell", 0.1, stopLossPrice=49_000, reduceOnly=True, clientAlgoId="guard")
        waiting = (await next_within(stop))[-1]

    assert (orders[-1]["clientOrderId"], orders[-1]["status"]) in {
        ("mine", "open"),
        ("mine", "closed"),
    }
    assert [(each["amount"], each["price"]) for each in trades] == [(0.1, 50_000.01)]
    assert [(each["side"], each["contracts"]) for each in positions] == [("long", 0.1)]
    assert waiting["clientOrderId"] in {"guard", "mine"}


async def test_candles_books_and_trades_are_streamed(tmp_path: Path) -> None:
    async with swap_loopback(tmp_path) as lab:
        candles = await next_within(lab.client.watch_ohlcv(BTC, "1h"))
        book = await next_within(lab.client.watch_order_book(BTC))
        first = book["bids"][0][0]
        changed = await lab.play_until(lab.client.watch_order_book(BTC))
        again = await lab.play_until(lab.client.watch_order_book(BTC))
        trades = await lab.play_until(lab.client.watch_trades(BTC))

    assert candles[-1][0] == FROM_MS
    assert changed["bids"][0][0] != first
    assert again["nonce"] > 0
    assert trades[0]["symbol"] == BTC


async def test_a_listen_key_ends_after_an_hour_unless_it_is_kept_alive(tmp_path: Path) -> None:
    wire = StandingWireClock()
    async with swap_loopback(tmp_path, wire=wire) as lab:
        key = (await lab.client.fapiPrivatePostListenKey())["listenKey"]
        url = f"ws://127.0.0.1:{lab.endpoints.port}/private/ws?listenKey={key}"
        async with lab.session.ws_connect(url) as socket:
            wire.pass_s(3_000)
            await lab.client.fapiPrivatePutListenKey()
            wire.pass_s(3_599)
            await lab.play(1)
            is_there = not socket.closed
            wire.pass_s(1)
            await lab.client.load_time_difference()
            await trade(lab, "buy", 0.1)
            told = (await next_within(socket.receive_json()))["e"]
        with pytest.raises(ccxt.BaseError, match="-1125"):
            await lab.client.fapiPrivatePutListenKey()
        other = (await lab.client.fapiPrivatePostListenKey())["listenKey"]

    assert is_there
    assert (told, other == key) == ("listenKeyExpired", False)


async def test_everything_is_there_after_the_exchange_was_started_again(tmp_path: Path) -> None:
    async with swap_loopback(tmp_path) as lab:
        await lab.client.set_leverage(25, BTC)
        await trade(lab, "buy", 0.7)
        await trade(lab, "sell", 0.1, 60_000, reduceOnly=True)
        await trade(lab, "sell", 0.7, stopLossPrice=40_000, reduceOnly=True, clientAlgoId="guard")
        await lab.play(9)
        before = await assert_books_close(lab)
        held = await position(lab)
        book = await lab.client.fetch_order_book(BTC, 5)
    async with swap_loopback(tmp_path) as lab:
        after = await assert_books_close(lab)
        again = await position(lab)
        waiting = await lab.client.fetch_open_orders(BTC, params={"trigger": True})
        resting = await lab.client.fetch_open_orders(BTC)
        book_again = await lab.client.fetch_order_book(BTC, 5)
        await lab.play(8)
        funded = await lab.client.fetch_funding_history(BTC)

    assert after == before
    assert again == held
    assert (len(waiting), len(resting)) == (1, 1)
    assert (book["bids"], book["asks"]) == (book_again["bids"], book_again["asks"])
    assert len(funded) == 2


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "drop_after"},
        {"kind": "body_after", "body": "<html></html>"},
        {"kind": "late_accept", "sec": 0.0},
    ],
)
async def test_the_faults_of_orders_are_the_same_as_on_spot(
    tmp_path: Path, rule: dict[str, Any]
) -> None:
    async with swap_loopback(tmp_path) as lab:
        await lab.fault(path="/fapi/v1/order", method="POST", times=1, **rule)
        with contextlib.suppress(ccxt.NetworkError):
            await trade(lab, "buy", 0.1, **MINE)
        await asyncio.sleep(0.05)
        found = await lab.client.fetch_order(None, BTC, {"clientOrderId": "mine"})
        await lab.fault(kind="denied", times=1)
        denied = await lab.client.fetch_order(found["id"], BTC)
        await lab.fault(kind="part_filled", ratio=0.5, times=1)
        part = await trade(lab, "sell", 0.1, reduceOnly=True)
        await lab.fault(kind="deposit", asset="USDT", amount="50")
        await lab.fault(kind="foreign_order", symbol=BTC, side="SELL", amount="0.05")
        ledger = await assert_books_close(lab)

    assert (found["status"], denied["status"], denied["filled"]) == ("closed", "canceled", 0)
    assert (part["status"], part["filled"]) == ("expired", 0.05)
    assert [each["kind"] for each in ledger["incidents"]] == ["deposit", "foreign_order"]
    assert {Decimal(each["quantity"]) for each in ledger["positions"]} == {Decimal(0)}
