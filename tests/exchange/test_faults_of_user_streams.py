import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ccxt
import pytest

from tests.exchange.loopback import Loopback, loopback, next_within

USER = {"stream": "user"}


@dataclass(slots=True)
class Heard:
    """Every private event that reached the client, in the order in which it came."""

    lab: Loopback
    events: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def told(self) -> list[str]:
        """ "a NEW", "a TRADE", ... of orders only."""
        orders = [each for each in self.events if each["e"] == "executionReport"]
        return [f"{each['C'] or each['c']} {each['x']}" for each in orders]

    async def until(self, is_so: Callable[[list[str]], bool]) -> None:
        async with asyncio.timeout(10):
            while not is_so(self.told):
                self.news.clear()
                await self.news.wait()

    async def subscribe(self) -> None:
        await self.lab.client.ensure_user_data_stream_ws_subscribe_signature()

    async def buy(self, name: str) -> dict[str, Any]:
        order: dict[str, Any] = await self.lab.client.create_order(
            "BTC/USDT", "market", "buy", 0.1, None, {"newClientOrderId": name}
        )
        return order


async def consume(client: Any) -> None:
    """What any user of the stream does; without it ccxt stumbles over balances."""
    while True:
        try:
            await client.watch_orders()
        except ccxt.BaseError:
            await asyncio.sleep(0.05)


@asynccontextmanager
async def hearing(directory: Path) -> AsyncIterator[Heard]:
    """A client with a subscription; what it makes of messages is ccxt's own, we only look on."""
    async with loopback(directory) as lab:
        heard = Heard(lab)
        handle = lab.client.handle_message

        def listen(client: Any, message: Any) -> None:
            if isinstance(message, dict) and isinstance(message.get("event"), dict):
                heard.events.append(message["event"])
                heard.news.set()
            handle(client, message)

        lab.client.handle_message = listen
        await heard.subscribe()
        consumer = asyncio.create_task(consume(lab.client))
        yield heard
        consumer.cancel()
        await asyncio.gather(consumer, return_exceptions=True)


async def test_a_fill_is_not_told_while_everything_else_is(tmp_path: Path) -> None:
    async with hearing(tmp_path) as heard:
        await heard.lab.fault(kind="drop", event="TRADE", times=1, **USER)
        first = await heard.buy("a")
        await heard.buy("b")
        await heard.until(lambda told: "b TRADE" in told)
        found = await heard.lab.client.fetch_order(first["id"], "BTC/USDT")

    assert heard.told == ["a NEW", "b NEW", "b TRADE"]
    assert found["filled"] == 0.1


async def test_a_fifth_of_all_reports_is_lost_by_chance_and_always_the_same(
    tmp_path: Path,
) -> None:
    seen = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        async with hearing(tmp_path / name) as heard:
            await heard.lab.fault(kind="drop", probability=0.2, event="NEW", **USER)
            for number in range(15):
                await heard.buy(f"n{number}")
            await heard.until(lambda told: "n14 TRADE" in told)
            seen.append([each for each in heard.told if each.endswith("NEW")])

    assert 6 <= len(seen[0]) < 15
    assert seen[0] == seen[1]


async def test_every_fill_comes_three_times_with_the_same_trade_id(tmp_path: Path) -> None:
    async with hearing(tmp_path) as heard:
        await heard.lab.fault(kind="burst", count=3, event="TRADE", **USER)
        await heard.buy("a")
        await heard.until(lambda told: told.count("a TRADE") == 3)
        trades = await heard.lab.client.fetch_my_trades("BTC/USDT")

    told = {each["t"] for each in heard.events if each.get("x") == "TRADE"}
    assert told == {int(trades[0]["id"])}
    assert len(trades) == 1


async def test_a_fill_comes_before_the_order_it_belongs_to(tmp_path: Path) -> None:
    async with hearing(tmp_path) as heard:
        await heard.lab.fault(kind="swapped", event="NEW", times=1, **USER)
        await heard.buy("a")
        await heard.until(lambda told: len(told) == 2)

    assert heard.told == ["a TRADE", "a NEW"]


async def test_a_fill_comes_before_the_reply_to_its_order(tmp_path: Path) -> None:
    async with hearing(tmp_path) as heard:
        placing = {"path": "/api/v3/order", "method": "POST"}
        await heard.lab.fault(kind="delay_after", sec=0.5, **placing)
        task = asyncio.create_task(heard.buy("a"))
        await heard.until(lambda told: "a TRADE" in told)
        is_answered = task.done()
        await next_within(task)

    assert not is_answered


async def test_a_report_comes_late_and_so_behind_younger_ones(tmp_path: Path) -> None:
    async with hearing(tmp_path) as heard:
        await heard.lab.fault(kind="late", sec=0.3, event="TRADE", times=1, **USER)
        await heard.buy("a")
        await heard.buy("b")
        await heard.until(lambda told: "a TRADE" in told)

    assert heard.told == ["a NEW", "b NEW", "b TRADE", "a TRADE"]


async def test_the_stream_falls_silent_until_somebody_subscribes_anew(tmp_path: Path) -> None:
    async with hearing(tmp_path) as heard:
        await heard.lab.fault(kind="stall", times=1, **USER)
        await heard.buy("a")
        await heard.buy("b")
        for client in list(heard.lab.client.clients.values()):
            await client.close()
        heard.lab.client.clients.clear()
        await heard.subscribe()
        await heard.buy("c")
        await heard.until(lambda told: "c TRADE" in told)

    assert heard.told == ["c NEW", "c TRADE"]


async def test_the_stream_is_ended_by_the_exchange_with_a_word(tmp_path: Path) -> None:
    async with hearing(tmp_path) as heard:
        await heard.lab.fault(kind="terminated", event="BALANCE", times=1, **USER)
        await heard.buy("a")
        async with asyncio.timeout(10):
            while not heard.events or heard.events[-1]["e"] != "eventStreamTerminated":
                heard.news.clear()
                await heard.news.wait()
        await heard.buy("lost")
        await heard.subscribe()
        await heard.buy("c")
        await heard.until(lambda told: "c TRADE" in told)

    assert heard.told == ["a NEW", "a TRADE", "c NEW", "c TRADE"]


async def test_the_connection_of_the_stream_is_cut_instead_of_a_fill(tmp_path: Path) -> None:
    async with hearing(tmp_path) as heard:
        waiting = asyncio.create_task(heard.lab.client.watch_orders())
        await asyncio.sleep(0)
        await heard.lab.fault(kind="close", event="NEW", code=1001, **USER)
        await heard.buy("a")
        with pytest.raises(ccxt.NetworkError):
            await next_within(waiting)
        trades = await heard.lab.client.fetch_my_trades("BTC/USDT")

    assert heard.told in ([], ["a TRADE"])
    assert len(trades) == 1


async def test_a_frame_nobody_can_read_comes_before_a_report(tmp_path: Path) -> None:
    async with (
        loopback(tmp_path) as lab,
        lab.session.ws_connect(lab.endpoints.ws_api) as socket,
    ):
        # ccxt's reader dies of such a frame, so what was sent is looked at on a bare socket.
        request = lab.client.sign_params({"timestamp": lab.client.milliseconds()})
        await socket.send_json(
            {"id": 1, "method": "userDataStream.subscribe.signature", "params": request}
        )
        await next_within(socket.receive_json())
        await lab.fault(kind="frame", text='{"subscriptionId":0,"ev', event="TRADE", **USER)
        await lab.client.create_order("BTC/USDT", "market", "buy", 0.1)
        frames = [(await next_within(socket.receive())).data for _ in range(3)]

    assert frames[1] == '{"subscriptionId":0,"ev'
    assert '"x":"TRADE"' in frames[2]


async def test_a_deposit_is_told_on_the_user_stream(tmp_path: Path) -> None:
    async with hearing(tmp_path) as heard:
        await heard.lab.fault(kind="deposit", asset="USDT", amount="7.5")
        await heard.buy("a")
        await heard.until(lambda told: "a TRADE" in told)

    flow, balance = heard.events[:2]
    assert (flow["e"], flow["a"], flow["d"]) == ("balanceUpdate", "USDT", "7.50000000")
    assert balance["B"] == [{"a": "USDT", "f": "100007.50000000", "l": "0.00000000"}]


async def test_the_socket_of_the_user_stream_is_refused_while_market_streams_are_served(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path) as lab:
        await lab.fault(kind="refused", status=503, times=2, **USER)
        for _ in range(2):
            with pytest.raises(ccxt.NetworkError):
                await next_within(lab.client.watch_orders())
        candles = await next_within(lab.client.watch_ohlcv("BTC/USDT", "1h"))
        await lab.client.ensure_user_data_stream_ws_subscribe_signature()

    assert candles
    assert lab.faults.strikes == {"refused": 2}
