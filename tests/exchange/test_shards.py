"""More symbols than one connection carries: several, each on its own, through the real client."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from aiohttp import web

from daemon.core.instruments import InstrumentId
from daemon.embedded.market import MarketSymbol
from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_market import CcxtMarket
from daemon.venues.stream_limits import StreamLimits
from tests.exchange.fake_market import FakeMarket
from tests.exchange.feeding import PATIENT, Feeding, feeding
from tests.exchange.loopback import Loopback, loopback, next_within

NAMES = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG", "HHH")
WIDE = tuple(InstrumentId("embedded", f"{each}/USDT") for each in NAMES)
THREE = StreamLimits(streams=3, streams_per_message=2)
BASES = {f"{each}USDT": 100 * (number + 1) for number, each in enumerate(NAMES)}
ONLY_THREE = {"kind": "streams_max", "count": 3}


class WideMarket(FakeMarket):
    """Eight symbols whose bars one can compute by head."""

    @property
    def symbols(self) -> Mapping[str, MarketSymbol]:
        step, least = Decimal("0.01"), Decimal("0.0001")
        return {
            f"{name}USDT": MarketSymbol(
                f"{name}/USDT", f"{name}USDT", name, "USDT", step, least, least, Decimal(5)
            )
            for name in NAMES
        }


def subscribers(lab: Loopback) -> list[int]:
    """How many streams each connection has, as the exchange counts them."""
    everyone: Any = lab.exchange.listener
    streams = everyone._listeners[0]
    held = [each for found in streams._subscribers.values() for each in found]
    return sorted(Counter(held).values())


def sockets(data: CcxtMarket) -> list[Any]:
    """The open connection of each shard."""
    found = [client.clients for _, client in sorted(data._clients._all.items())]
    assert all(len(each) == 1 for each in found)
    return [next(iter(each.values())) for each in found]


async def test_symbols_beyond_one_connections_budget_are_spread_and_all_get_their_bars(
    tmp_path: Path,
) -> None:
    wide = feeding(
        tmp_path, ONLY_THREE, config=PATIENT, market=WideMarket(base=BASES), ids=WIDE, limits=THREE
    )
    async with wide as fed:
        await fed.reach(8)

        assert subscribers(fed.lab) == [2, 3, 3]
        assert not fed.stale()
        fed.assert_true_to_the_exchange(8)
        assert {id(each.markets) for each in fed.data._clients._all.values()} == {
            id(fed.data._client.markets)
        }
        assert {id(each.budget) for each in fed.data._clients._all.values()} == {
            id(fed.data._client.budget)
        }


def on_shard(fed: Feeding, place: int) -> set[InstrumentId]:
    return {InstrumentId("embedded", each) for each in fed.data._spread.on(place)}


async def test_one_connection_that_ends_is_opened_anew_alone_and_its_hole_is_filled(
    tmp_path: Path,
) -> None:
    wide = feeding(
        tmp_path, ONLY_THREE, config=PATIENT, market=WideMarket(base=BASES), ids=WIDE, limits=THREE
    )
    async with wide as fed:
        await fed.reach(3)
        before = sockets(fed.data)

        before[1].connection._conn.transport.abort()
        await fed.until(lambda: len(fed.kinds() & {"FeedStale", "FeedRecovered"}) == 2)
        reached = max(map(fed.reached, WIDE))
        await fed.reach(reached + 3)
        await fed.until(lambda: subscribers(fed.lab) == [2, 3, 3])

        after = sockets(fed.data)
        assert [a is b for a, b in zip(before, after, strict=True)] == [True, False, True]
        told = {each.instrument for each in fed.stale()}
        assert told <= on_shard(fed, 1)
        assert told
        fed.assert_true_to_the_exchange(reached + 3)
        anew = {each: fed.feed.counts(each).reconnects for each in WIDE}
        assert {each for each, count in anew.items() if count} == on_shard(fed, 1)


@contextlib.asynccontextmanager
async def a_listener() -> AsyncIterator[tuple[str, list[tuple[int, float, list[str]]]]]:
    """A stream url whose server notes (connection, when, streams) of each message."""
    heard: list[tuple[int, float, list[str]]] = []
    connections = 0

    async def listen(request: web.Request) -> web.WebSocketResponse:
        nonlocal connections
        number, connections = connections, connections + 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            told = json.loads(message.data)
            at_s = asyncio.get_running_loop().time()
            heard.append((number, at_s, sorted(told["params"])))
            await socket.send_json({"result": None, "id": told["id"]})
        return socket

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", listen)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}/stream", heard
    finally:
        await runner.cleanup()


async def test_subscriptions_leave_in_chunks_at_the_exchanges_pace_also_after_a_reconnect(
    tmp_path: Path,
) -> None:
    async with (
        loopback(tmp_path, market=WideMarket(base=BASES)) as lab,
        a_listener() as (stream, heard),
    ):
        urls = {"rest": lab.endpoints.rest, "stream": stream, "ws_api": lab.endpoints.ws_api}
        client = make_client("embedded", urls=urls)
        data = CcxtMarket(client, "embedded", "1h", limits=StreamLimits(streams_per_message=3))
        await data.instruments([each.symbol for each in WIDE])

        async def subscribed(times: int) -> None:
            watches = [asyncio.ensure_future(anext(aiter(data.watch(each)))) for each in WIDE]
            while len(heard) < 3 * times:
                await asyncio.wait(watches, timeout=0.05)
            for socket in client.clients.values():
                socket.connection._conn.transport.abort()
            await next_within(asyncio.wait(watches))
            for each in watches:
                assert each.exception() is not None

        await next_within(subscribed(1))
        await next_within(subscribed(2))
        await data.close()

    wanted = sorted(f"{each.lower()}usdt@kline_1h" for each in NAMES)
    for number in (0, 1):
        sent = [(at_s, streams) for found, at_s, streams in heard if found == number]
        assert [len(streams) for _, streams in sent] == [3, 3, 2]
        assert sorted(each for _, streams in sent for each in streams) == wanted
        assert sent[-1][0] - sent[0][0] > 0.2  # a burst would take a few ms
