import asyncio
from pathlib import Path
from typing import Any

from daemon.embedded.signing import sign
from tests.exchange.fake_market import FROM_MS, HOUR_MS
from tests.exchange.loopback import CREDENTIALS, Loopback, loopback, next_within


def signed(lab: Loopback, **params: object) -> dict[str, object]:
    params = {
        "apiKey": CREDENTIALS.key,
        "timestamp": lab.client.milliseconds(),
        "recvWindow": 5_000,
        **params,
    }
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return params | {"signature": sign(CREDENTIALS.secret, payload)}


async def test_ccxt_hears_every_fill_and_the_last_state_of_the_order(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        fills: list[dict[str, Any]] = []
        states: list[str] = []

        async def watch_fills() -> None:
            while len(fills) < 3:
                fills.extend(dict(each) for each in await lab.client.watch_my_trades())

        async def watch_orders() -> None:
            while "closed" not in states:
                states.extend(each["status"] for each in await lab.client.watch_orders())

        # The server has confirmed the subscription when this returns.
        await lab.client.ensure_user_data_stream_ws_subscribe_signature()
        tasks = [asyncio.create_task(watch_fills()), asyncio.create_task(watch_orders())]
        await lab.client.create_order(
            "BTC/USDT", "market", "buy", 1.2, None, {"newClientOrderId": "mine"}
        )
        await next_within(asyncio.gather(*tasks))

    assert [(fill["price"], fill["amount"]) for fill in fills] == [
        (50_000.01, 0.5),
        (50_000.02, 0.5),
        (50_000.03, 0.2),
    ]
    assert {fill["info"]["c"] for fill in fills} == {"mine"}
    assert {fill["fee"]["currency"] for fill in fills} == {"BTC"}


async def test_a_resting_order_that_fills_later_is_reported_with_the_market_time(
    tmp_path: Path,
) -> None:
    async with (
        loopback(tmp_path) as lab,
        lab.session.ws_connect(lab.endpoints.ws_api) as socket,
    ):
        await socket.send_json(
            {"id": 1, "method": "userDataStream.subscribe.signature", "params": signed(lab)}
        )
        assert (await next_within(socket.receive_json()))["result"] == {"subscriptionId": 0}
        await lab.client.create_order(
            "BTC/USDT", "limit", "buy", 0.2, 49_998.5, {"newClientOrderId": "rests"}
        )
        await lab.play(1)
        events = [(await next_within(socket.receive_json()))["event"] for _ in range(4)]

    kinds = [(event["e"], event.get("x"), event.get("X")) for event in events]
    assert kinds == [
        ("executionReport", "NEW", "NEW"),
        ("outboundAccountPosition", None, None),
        ("executionReport", "TRADE", "FILLED"),
        ("outboundAccountPosition", None, None),
    ]
    assert events[1]["B"] == [{"a": "USDT", "f": "90000.30000000", "l": "9999.70000000"}]
    trade = events[2]
    assert (trade["c"], trade["L"], trade["m"]) == ("rests", "49998.50000000", True)
    assert trade["T"] == trade["E"] == FROM_MS + HOUR_MS


async def test_orders_go_over_the_socket_too(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        placed = await lab.client.create_order_ws(
            "BTC/USDT", "limit", "buy", 0.1, 40_000, {"newClientOrderId": "ws"}
        )
        found = await lab.client.fetch_order_ws(placed["id"], "BTC/USDT")
        still_open = await lab.client.fetch_open_orders_ws("BTC/USDT")
        balance = await lab.client.fetch_balance_ws()
        canceled = await lab.client.cancel_order_ws(placed["id"], "BTC/USDT")
        later = await lab.client.fetch_open_orders("BTC/USDT")

    assert (placed["clientOrderId"], found["status"]) == ("ws", "open")
    assert [order["id"] for order in still_open] == [placed["id"]]
    # ccxt 4.5.90 leaves the parsed part of this reply empty, on the real exchange too.
    locked = {each["asset"]: each["locked"] for each in balance["info"]["balances"]}
    assert locked["USDT"] == "4000.00000000"
    assert (canceled["status"], later) == ("canceled", [])


async def test_a_session_that_logged_on_need_not_sign_again(tmp_path: Path) -> None:
    async with (
        loopback(tmp_path) as lab,
        lab.session.ws_connect(lab.endpoints.ws_api) as socket,
    ):

        async def ask(method: str, params: dict[str, object]) -> dict[str, Any]:
            await socket.send_json({"id": method, "method": method, "params": params})
            answer: dict[str, Any] = await next_within(socket.receive_json())
            assert answer["id"] == method
            return answer

        refused = await ask("userDataStream.subscribe", {})
        logged_on = await ask("session.logon", signed(lab))
        subscribed_to = await ask("userDataStream.subscribe", {})
        account = await ask("account.status", {"timestamp": lab.client.milliseconds()})
        ended = await ask("userDataStream.unsubscribe", {})
        unknown = await ask("make.money", {})

    assert (refused["status"], refused["error"]["code"]) == (401, -2014)
    assert logged_on["result"]["apiKey"] == CREDENTIALS.key
    assert subscribed_to["result"] == {"subscriptionId": 0}
    assert account["result"]["canWithdraw"] is False
    assert account["rateLimits"][0]["count"] > 0
    assert (ended["status"], unknown["status"]) == (200, 400)


async def test_a_forged_subscription_gets_nothing(tmp_path: Path) -> None:
    async with (
        loopback(tmp_path) as lab,
        lab.session.ws_connect(lab.endpoints.ws_api) as socket,
    ):
        forged = signed(lab) | {"signature": "0" * 64}
        await socket.send_json(
            {"id": 1, "method": "userDataStream.subscribe.signature", "params": forged}
        )
        answer = await next_within(socket.receive_json())
        await lab.client.create_order("BTC/USDT", "market", "buy", 0.1)
        await socket.send_json({"id": 2, "method": "ping"})
        next_answer = await next_within(socket.receive_json())

    assert (answer["status"], answer["error"]["code"]) == (400, -1022)
    assert next_answer["id"] == 2
