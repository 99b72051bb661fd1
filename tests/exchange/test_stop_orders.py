import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest

from tests.exchange.fake_market import FROM_MS, HOUR_MS
from tests.exchange.loopback import Loopback, exact, loopback, next_within

# The first bar opens at 50000, goes up to 50003, down to 49997 and closes at 50001.
STOP = {"newClientOrderId": "guard"}


async def place(
    lab: Loopback, kind: str, side: str, price: float | None = None, **params: object
) -> Any:
    return await lab.client.create_order("BTC/USDT", kind, side, 0.2, price, STOP | params)


@pytest.mark.parametrize(
    ("asked", "params", "sent"),
    [
        (("market", "sell", None), {"stopPrice": 49_998}, "STOP_LOSS"),
        (("market", "sell", None), {"triggerPrice": 49_998}, "STOP_LOSS"),
        (("market", "sell", None), {"stopLossPrice": 49_998}, "STOP_LOSS"),
        (("STOP_LOSS", "sell", None), {"stopPrice": 49_998}, "STOP_LOSS"),
        (("limit", "sell", 49_000), {"stopPrice": 49_998}, "STOP_LOSS_LIMIT"),
        (("STOP_LOSS_LIMIT", "sell", 49_000), {"triggerPrice": 49_998}, "STOP_LOSS_LIMIT"),
        (("market", "buy", None), {"takeProfitPrice": 49_998}, "TAKE_PROFIT"),
        (("limit", "buy", 51_000), {"takeProfitPrice": 49_998}, "TAKE_PROFIT_LIMIT"),
        (("market", "buy", None), {"stopLossPrice": 50_003}, "STOP_LOSS"),
    ],
)
async def test_every_way_to_say_a_stop_in_ccxt_waits_here_and_fills_on_the_path(
    tmp_path: Path, asked: tuple[str, str, float | None], params: dict[str, Any], sent: str
) -> None:
    async with loopback(tmp_path) as lab:
        placed = await place(lab, *asked, **params)
        waiting = await lab.client.fetch_order(None, "BTC/USDT", {"clientOrderId": "guard"})
        await lab.play(1)
        done = await lab.client.fetch_order(placed["id"], "BTC/USDT")
        trades = await lab.client.fetch_my_trades("BTC/USDT")

    assert (waiting["id"], waiting["status"], waiting["filled"]) == (placed["id"], "open", 0)
    assert waiting["info"]["type"] == sent
    assert waiting["triggerPrice"] == next(iter(params.values()))
    assert (waiting["info"]["isWorking"], waiting["info"]["workingTime"]) == (False, -1)
    assert (done["status"], done["filled"]) == ("closed", 0.2)
    assert done["info"]["isWorking"] is True
    assert [each["takerOrMaker"] for each in trades] == ["taker"]


async def test_a_stop_sells_at_the_step_that_reaches_it_not_at_the_close(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        await place(lab, "market", "sell", stopPrice=49_998)
        await lab.play(1)
        done = await lab.client.fetch_order(None, "BTC/USDT", {"clientOrderId": "guard"})
        balance = await lab.client.fetch_balance()

    # The path falls from 50003 to 49997 in one step; the bar itself closes at 50001.
    assert done["average"] == 49_996.99
    sold = Decimal("0.2") * Decimal("49996.99")
    assert exact(balance["free"]["USDT"]) == 100_000 + sold * Decimal("0.999")
    assert (balance["used"]["BTC"], balance["free"]["BTC"]) == (0, 0.8)


async def test_a_waiting_stop_is_an_open_order_that_locks_and_is_on_no_book(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path) as lab:
        before = await lab.client.fetch_order_book("BTC/USDT")
        placed = await place(lab, "limit", "sell", 50_000.5, stopPrice=40_000)
        still_open = await lab.client.fetch_open_orders("BTC/USDT")
        book = await lab.client.fetch_order_book("BTC/USDT")
        balance = await lab.client.fetch_balance()
        ledger = await lab.get("ledger")
        canceled = await lab.client.cancel_order(placed["id"], "BTC/USDT")
        freed = await lab.client.fetch_balance()

    assert [order["id"] for order in still_open] == [placed["id"]]
    assert (balance["used"]["BTC"], freed["used"]["BTC"]) == (0.2, 0)
    assert book["asks"] == before["asks"]
    row = ledger["orders"][0]
    assert (row["type"], row["stop_price"], row["locked"]) == ("stop_loss_limit", "40000", "0.2")
    assert row["working_ms"] is None
    assert (canceled["status"], canceled["triggerPrice"]) == ("canceled", 40_000)


async def test_a_stop_that_would_trigger_at_once_is_refused_with_the_words_of_the_exchange(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path) as lab:
        with pytest.raises(ccxt.OrderImmediatelyFillable, match="would trigger immediately"):
            await place(lab, "market", "sell", stopPrice=50_001)
        with pytest.raises(ccxt.InvalidOrder, match="PRICE_FILTER"):
            await lab.client.private_post_order(
                {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_LOSS", "quantity": "0.2"}
                | {"stopPrice": "49000.001"}
            )
        ledger = await lab.get("ledger")

    assert ledger["orders"] == []


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"type": "STOP_LOSS", "quantity": "0.2"}, -1102),
        ({"type": "STOP_LOSS", "quantity": "0.2", "stopPrice": "1", "price": "1"}, -1106),
        ({"type": "STOP_LOSS", "quantity": "0.2", "stopPrice": "1", "timeInForce": "GTC"}, -1106),
        ({"type": "STOP_LOSS_LIMIT", "quantity": "0.2", "stopPrice": "1", "price": "1"}, -1102),
        ({"type": "MARKET", "quantity": "0.2", "stopPrice": "1"}, -1106),
        ({"type": "STOP_LOSS", "quantity": "0.2", "trailingDelta": "100"}, -2010),
    ],
)
async def test_parameters_that_do_not_fit_a_stop_are_refused(
    tmp_path: Path, params: dict[str, str], code: int
) -> None:
    async with loopback(tmp_path) as lab:
        with pytest.raises(ccxt.ExchangeError, match=str(code)):
            await lab.client.private_post_order({"symbol": "BTCUSDT", "side": "SELL", **params})


async def test_the_user_stream_tells_of_the_stop_of_its_trigger_and_of_its_fill(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path) as lab:
        states: list[dict[str, Any]] = []

        async def watch() -> None:
            while not states or states[-1]["X"] != "FILLED":
                states.extend(each["info"] for each in await lab.client.watch_orders())

        await lab.client.ensure_user_data_stream_ws_subscribe_signature()
        task = asyncio.create_task(watch())
        await place(lab, "market", "sell", stopPrice=49_998)
        await lab.play(1)
        await next_within(task)

    last = states[-1]
    assert {each["o"] for each in states} == {"STOP_LOSS"}
    assert (states[0]["x"], states[0]["w"], states[0]["P"]) == ("NEW", False, "49998.00000000")
    assert "W" not in states[0]
    assert (last["x"], last["c"], last["W"]) == ("TRADE", "guard", FROM_MS + HOUR_MS)


async def test_all_open_orders_of_a_symbol_are_canceled_at_once_stops_included(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path) as lab:
        await place(lab, "market", "sell", stopPrice=49_998)
        await lab.client.create_order("BTC/USDT", "limit", "buy", 0.1, 40_000)
        canceled = await lab.client.cancel_all_orders("BTC/USDT")
        still_open = await lab.client.fetch_open_orders("BTC/USDT")

    assert {order["status"] for order in canceled} == {"canceled"}
    assert (len(canceled), still_open) == (2, [])


async def test_a_stop_waits_on_after_the_exchange_was_started_again(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        placed = await place(lab, "market", "sell", stopPrice=49_998)
    async with loopback(tmp_path) as lab:
        waiting = await lab.client.fetch_open_orders("BTC/USDT")
        used = (await lab.client.fetch_balance())["used"]["BTC"]
        await lab.play(1)
        done = await lab.client.fetch_order(placed["id"], "BTC/USDT")

    assert [(each["id"], each["triggerPrice"]) for each in waiting] == [(placed["id"], 49_998)]
    assert used == 0.2
    assert (done["status"], done["average"]) == ("closed", 49_996.99)


async def test_what_a_stop_took_inside_a_bar_is_back_when_the_bar_has_closed(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path) as lab:
        await lab.client.create_order(
            "BTC/USDT", "market", "sell", 0.4, None, {"stopPrice": 49_998}
        )
        await lab.play(1)
        book = await lab.client.fetch_order_book("BTC/USDT")
    async with loopback(tmp_path) as lab:
        again = await lab.client.fetch_order_book("BTC/USDT")

    assert (book["bids"], book["asks"]) == (again["bids"], again["asks"])
    assert book["bids"][0] == [50_000.99, 0.5]
