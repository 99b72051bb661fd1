import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import ccxt
import pytest

from tests.exchange.fake_market import FROM_MS, HOUR_MS, FakeMarket
from tests.exchange.loopback import Loopback, loopback, next_within


class Tap:
    """Every kline message of a client, closed flag included, which ccxt itself drops."""

    def __init__(self, client: Any) -> None:
        self.klines: list[dict[str, Any]] = []
        self.arrived = asyncio.Event()
        original = client.handle_ohlcv

        def handle(connection: Any, message: Any) -> None:
            self.klines.append(message["k"])
            self.arrived.set()
            original(connection, message)

        client.handle_ohlcv = handle

    def closed(self) -> list[tuple[str, int]]:
        """Symbol id and slot of every closed bar, in order of arrival."""
        return [
            (kline["s"], (kline["t"] - FROM_MS) // HOUR_MS) for kline in self.klines if kline["x"]
        ]

    async def wait_closed(self, number: int) -> None:
        async with asyncio.timeout(10):
            while len(self.closed()) < number:
                self.arrived.clear()
                await self.arrived.wait()


async def watched(lab: Loopback, *symbols: str) -> tuple[Tap, asyncio.Task[None]]:
    """Subscribe once and keep the client reading."""
    tap = Tap(lab.client)
    pairs = [[symbol, "1h"] for symbol in symbols]

    async def read() -> None:
        while True:
            await lab.client.watch_ohlcv_for_symbols(pairs)

    task = asyncio.create_task(read())
    async with asyncio.timeout(10):
        while len(tap.klines) < len(symbols):
            tap.arrived.clear()
            await tap.arrived.wait()
    return tap, task


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_bars_close_one_by_one_as_they_are_acknowledged(tmp_path: Path) -> None:
    market = FakeMarket()
    async with loopback(tmp_path, market=market) as lab:
        tap, task = await watched(lab, "BTC/USDT", "ETH/USDT")
        for slot in range(30):
            await lab.ack_all(FROM_MS + slot * HOUR_MS)
            await tap.wait_closed(2 * (slot + 1))
        await stopped(task)

    assert tap.closed() == [
        (symbol, slot) for slot in range(30) for symbol in ("BTCUSDT", "ETHUSDT")
    ]
    for kline in tap.klines:
        bar = market.bar(kline["s"], kline["t"])
        assert bar is not None
        if kline["x"]:
            assert [float(kline[name]) for name in "ohlcv"] == [
                float(value) for value in (bar.open, bar.high, bar.low, bar.close, bar.volume)
            ]
        else:
            assert kline["v"] == "0.00000000"
            assert {kline[name] for name in "ohlc"} == {kline["o"]}


async def test_the_market_stands_while_one_symbol_is_not_acknowledged(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        first = await lab.ack("BTC/USDT", FROM_MS)
        again = await lab.ack("BTC/USDT", FROM_MS)
        older = await lab.ack("BTC/USDT", FROM_MS - HOUR_MS)
        rows = await lab.client.fetch_ohlcv("BTC/USDT", "1h", limit=1)
        both = await lab.ack("ETH/USDT", FROM_MS)

    assert first["awaiting"] == again["awaiting"] == older["awaiting"] == ["ETH/USDT"]
    assert rows[0][0] == first["market_ms"] == FROM_MS
    assert both["market_ms"] == FROM_MS + HOUR_MS
    assert both["awaiting"] == ["BTC/USDT", "ETH/USDT"]


async def test_acknowledgements_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        url = f"{lab.endpoints.rest}/embedded/ack"
        codes = []
        for body in (
            {"run": "r", "symbol": "DOGE/USDT", "bar": FROM_MS},
            {"run": "r", "symbol": "BTC/USDT", "bar": FROM_MS + HOUR_MS},
            {"run": "r", "symbol": "BTC/USDT", "bar": "yesterday"},
            {"run": "r", "symbol": "BTC/USDT"},
        ):
            async with lab.session.post(url, json=body) as reply:
                codes.append((reply.status, (await reply.json())["code"]))

        assert codes == [(400, -1121), (400, -1130), (400, -1130), (400, -1102)]
        assert (await lab.get("clock"))["awaiting"] == ["BTC/USDT", "ETH/USDT"]


async def test_an_outage_streams_nothing_and_slots_of_nobody_are_passed_over(
    tmp_path: Path,
) -> None:
    holes = {("ETHUSDT", 1), ("ETHUSDT", 2), ("BTCUSDT", 2), ("ETHUSDT", 3), ("BTCUSDT", 3)}
    market = FakeMarket(holes=frozenset(holes), ends_after=6)
    async with loopback(tmp_path, market=market) as lab:
        tap, task = await watched(lab, "BTC/USDT", "ETH/USDT")
        await lab.play(2)
        in_outage = await lab.get("clock")
        with pytest.raises(ccxt.MarketClosed):
            await lab.client.create_order("ETH/USDT", "market", "buy", 1)
        await lab.client.create_order("BTC/USDT", "market", "buy", 0.1)
        after = await lab.play(1)
        await lab.client.create_order("ETH/USDT", "market", "buy", 1)
        last = await lab.play(1)
        end = await lab.play(1)
        await tap.wait_closed(7)
        rows = await lab.client.fetch_ohlcv("ETH/USDT", "1h", FROM_MS)
        await stopped(task)

    assert in_outage["awaiting"] == ["BTC/USDT"]
    # Slots 2 and 3 have no bar at all, so slot 4 follows slot 1.
    assert after["slot_open_ms"] == FROM_MS + 4 * HOUR_MS
    assert (after["ended"], last["ended"], end["ended"]) == (False, True, True)
    assert end["awaiting"] == []
    assert tap.closed() == [
        *(("BTCUSDT", 0), ("ETHUSDT", 0), ("BTCUSDT", 1), ("BTCUSDT", 4), ("ETHUSDT", 4)),
        *(("BTCUSDT", 5), ("ETHUSDT", 5)),
    ]
    assert [(row[0] - FROM_MS) // HOUR_MS for row in rows] == [0, 4, 5]


async def test_whoever_subscribes_again_learns_where_the_market_is(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        before = await greeting(lab)
        await lab.play(3)
        after = await greeting(lab)

    assert [(kline["x"], kline["t"]) for kline in before] == [(False, FROM_MS)]
    assert [(kline["x"], kline["t"]) for kline in after] == [
        (True, FROM_MS + 2 * HOUR_MS),
        (False, FROM_MS + 3 * HOUR_MS),
    ]
    assert after[1]["o"] == after[0]["c"] == "50003.00000000"


async def greeting(lab: Loopback) -> list[dict[str, Any]]:
    """What a new subscriber gets before it asks for anything else."""
    url = f"ws://127.0.0.1:{lab.endpoints.port}/stream/ws/7"
    async with lab.session.ws_connect(url) as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@kline_1h"], "id": 1})
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 2})
        assert await next_within(socket.receive_json()) == {"result": None, "id": 1}
        klines = []
        while (message := await next_within(socket.receive_json())).get("id") != 2:
            klines.append(message["k"])
        assert message["result"] == ["btcusdt@kline_1h"]
        return klines


async def test_combined_streams_wrap_each_message_in_the_name_of_its_stream(
    tmp_path: Path,
) -> None:
    async with loopback(tmp_path) as lab:
        url = f"{lab.endpoints.stream}?streams=btcusdt@kline_4h/ethusdt@aggTrade"
        async with lab.session.ws_connect(url) as socket:
            first = await next_within(socket.receive_json())
            await lab.play(4)
            messages = [await next_within(socket.receive_json()) for _ in range(21)]

    assert first["stream"] == "btcusdt@kline_4h"
    trades = [each["data"] for each in messages if each["stream"] == "ethusdt@aggTrade"]
    assert [trade["p"] for trade in trades[:4]] == [
        f"{price}.00000000" for price in (3_000, 3_003, 2_997, 3_001)
    ]
    closed = [
        each["data"]["k"]
        for each in messages
        if each["stream"] == "btcusdt@kline_4h" and each["data"]["k"]["x"]
    ]
    assert [(kline["t"], kline["o"], kline["v"]) for kline in closed] == [
        (FROM_MS, "50000.00000000", "16.00000000")
    ]


async def test_a_stream_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        url = f"ws://127.0.0.1:{lab.endpoints.port}/ws"
        async with lab.session.ws_connect(url) as socket:
            for stream in (
                "btcusdt@nothing",
                "dogeusdt@trade",
                "btcusdt@kline_7m",
                "BTCUSDT@trade",
            ):
                await socket.send_json({"method": "SUBSCRIBE", "params": [stream], "id": stream})
                answer = await next_within(socket.receive_json())
                assert (answer["id"], answer["error"]["code"]) == (stream, 2)
            await socket.send_str("no json")
            assert (await next_within(socket.receive_json()))["error"]["code"] == 3
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await lab.session.ws_connect(f"{url}/btcusdt@nothing")


async def test_the_own_endpoints_answer_to_the_name_of_loopback_alone(tmp_path: Path) -> None:
    async with loopback(tmp_path) as lab:
        url = f"{lab.endpoints.rest}/embedded/clock"
        async with lab.session.get(url, headers={"Host": "rebound.example"}) as reply:
            assert reply.status == 403
        async with lab.session.get(f"{lab.endpoints.rest}/embedded/nothing") as reply:
            assert reply.status == 404
