"""Market data over the wire: the real ccxt client against an exchange in this process."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from daemon.core.bars import Bar, RawBar
from daemon.core.clock import ManualClock, WireClock
from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import BarsClosed, BarsMissed, Input
from daemon.core.instruments import Instrument, InstrumentId
from daemon.core.timeframes import NS_PER_MS
from daemon.embedded.market import Market
from daemon.layers.ingestion import Feed, FeedConfig, load_history
from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_market import CcxtMarket, instrument_of
from tests.exchange.fake_market import FROM_MS, HOUR_MS, FakeMarket
from tests.exchange.loopback import Loopback, loopback, next_within

BTC = InstrumentId("embedded", "BTC/USDT")
ETH = InstrumentId("embedded", "ETH/USDT")
HOUR_NS = HOUR_MS * NS_PER_MS
FROM_NS = FROM_MS * NS_PER_MS


def urls_of(lab: Loopback) -> dict[str, str]:
    ends = lab.endpoints
    return {"rest": ends.rest, "stream": ends.stream, "ws_api": ends.ws_api}


@asynccontextmanager
async def a_market(
    directory: Path, market: Market | None = None
) -> AsyncIterator[tuple[Loopback, CcxtMarket]]:
    async with loopback(directory, market=market) as lab:
        data = CcxtMarket(make_client("embedded", urls=urls_of(lab)), "embedded", "1h")
        try:
            yield lab, data
        finally:
            await data.close()


async def drop_streams(data: CcxtMarket) -> None:
    """Cut every stream of the client below ccxt, as a network would."""
    for socket in list(data._client.clients.values()):
        socket.connection._conn.transport.abort()


# --- REST -----------------------------------------------------------------------------------------


async def test_instruments_have_exact_steps_and_limits(tmp_path: Path) -> None:
    async with a_market(tmp_path) as (_, data):
        (btc,) = await data.instruments(["BTC/USDT"])

        assert btc == Instrument(
            id=BTC,
            base="BTC",
            quote="USDT",
            tick=Decimal("0.01"),
            lot=Decimal("0.00001"),
            minimum_quantity=Decimal("0.00001"),
            minimum_notional=Decimal(5),
            maximum_quantity=Decimal(1_000_000),  # at the market; a limit order may be of more
            maximum_notional=Decimal(900_000_000),
        )


async def test_an_unknown_symbol_is_refused_with_a_guess(tmp_path: Path) -> None:
    async with a_market(tmp_path) as (_, data):
        with pytest.raises(ValueError, match=r"does not list BTC/USD; did you mean BTC/USDT"):
            await data.instruments(["BTC/USD"])


async def test_a_timeframe_the_exchange_lacks_is_refused(tmp_path: Path) -> None:
    async with a_market(tmp_path) as (lab, _):
        client = make_client("embedded", urls=urls_of(lab))
        with pytest.raises(ValueError, match="has no candles of 7h; it has 1s, 1m"):
            CcxtMarket(client, "embedded", "7h")
        await client.close()


async def test_history_by_pages_of_the_exchanges_own_limit_is_whole(tmp_path: Path) -> None:
    async with a_market(tmp_path, FakeMarket(history_bars=2_345)) as (_, data):
        assert data.page_limit == 1_000
        history = await load_history(
            data,
            BTC,
            timeframe_ns=HOUR_NS,
            since_ns=FROM_NS - 2_345 * HOUR_NS,
            until_ns=FROM_NS,
            page_limit=data.page_limit,
        )

        assert len(history.bars) == 2_345
        assert history.bars[-1].close_ns == FROM_NS
        assert history.bars[-1].close == 50_000.0
        assert history.missed == ()
        assert history.rejected == ()


async def test_the_book_is_exact(tmp_path: Path) -> None:
    async with a_market(tmp_path) as (_, data):
        book = await data.book(BTC, 3)

        assert book.asks == (
            (Decimal("50000.01"), Decimal("0.5")),
            (Decimal("50000.02"), Decimal("0.5")),
            (Decimal("50000.03"), Decimal("0.5")),
        )
        assert book.bids[0] == (Decimal("49999.99"), Decimal("0.5"))


async def test_the_exchanges_clock_is_wire_time(tmp_path: Path) -> None:
    async with a_market(tmp_path) as (_, data):
        assert abs(await data.server_ns() - WireClock().now_ns()) < 60 * 10**9


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503, "body": "<html>"},
        {"kind": "body_after", "body": ""},
        {"kind": "body_after", "body": '{"code":0}'},
        {"kind": "body_after", "body": "<html>maintenance</html>"},
        {"kind": "body_after", "body": "[[1,2]]"},
        {"kind": "drop_before"},
        {"kind": "status", "status": 500, "body": '{"code":-1000,"msg":"odd"}'},
    ],
)
async def test_a_reading_that_fails_once_is_repeated(tmp_path: Path, fault: dict[str, Any]) -> None:
    async with a_market(tmp_path) as (lab, data):
        await data.instruments(["BTC/USDT"])
        lab.faults.add({"path": "/api/v3/klines", "nth": [1], **fault})

        rows = await data.fetch(BTC, FROM_NS - 3 * HOUR_NS, 2)

        assert [raw.open_ms for raw in rows] == [FROM_MS - 3 * HOUR_MS, FROM_MS - 2 * HOUR_MS]


async def test_a_banned_client_stays_silent_for_as_long_as_it_is_told() -> None:
    asked = 0

    async def answer(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        body = {"code": -1003, "msg": "Way too much request weight used; IP banned."}
        return web.json_response(body, status=418, headers={"Retry-After": "120"})

    async with a_server(answer) as urls:
        data = CcxtMarket(make_client("embedded", urls=urls), "embedded", "1h")
        with pytest.raises(ExchangeUnreachable):
            await data.instruments(["BTC/USDT"])
        before = asked
        with pytest.raises(ExchangeUnreachable, match="asked for silence"):
            await data.server_ns()

        assert asked == before == 1
        await data.close()


async def test_an_exchange_that_is_not_there_is_unreachable_within_the_bound() -> None:
    async with a_server(None) as urls:
        pass
    data = CcxtMarket(make_client("embedded", urls=urls), "embedded", "1h")

    with pytest.raises(ExchangeUnreachable, match="embedded gives no instruments"):
        await next_within(data.instruments(["BTC/USDT"]), 15.0)
    await data.close()


async def test_an_exchange_that_never_answers_is_unreachable_within_the_bound() -> None:
    async def answer(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with a_server(answer) as urls:
        data = CcxtMarket(
            make_client("embedded", urls=urls), "embedded", "1h", first_contact_within_s=1.0
        )

        with pytest.raises(ExchangeUnreachable, match="no answer"):
            await next_within(data.instruments(["BTC/USDT"]), 5.0)
        await data.close()


@asynccontextmanager
async def a_server(answer: Any) -> AsyncIterator[dict[str, str]]:
    """The urls of a server that answers every path alike, or that is gone afterwards."""
    application = web.Application()
    if answer is not None:
        application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        here = f"127.0.0.1:{port}"
        yield {
            "rest": f"http://{here}",
            "stream": f"ws://{here}/stream",
            "ws_api": f"ws://{here}/ws-api/v3",
        }
    finally:
        await runner.cleanup()


# --- streams --------------------------------------------------------------------------------------


class Heard:
    """What one watch says, collected by a task."""

    def __init__(self, data: CcxtMarket, instrument: InstrumentId) -> None:
        self.said: asyncio.Queue[RawBar] = asyncio.Queue()
        self.task = asyncio.create_task(self._listen(data, instrument))

    async def _listen(self, data: CcxtMarket, instrument: InstrumentId) -> None:
        async for raw in data.watch(instrument):
            self.said.put_nowait(raw)

    async def next(self) -> RawBar:
        raw: RawBar = await next_within(self.said.get())
        return raw

    async def closed(self) -> RawBar:
        while True:
            raw = await self.next()
            if raw.is_closed:
                return raw

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def test_candles_come_with_the_closed_flag_and_as_the_exchanges_own_text(
    tmp_path: Path,
) -> None:
    async with a_market(tmp_path) as (lab, data):
        await data.instruments(["BTC/USDT", "ETH/USDT"])
        btc, eth = Heard(data, BTC), Heard(data, ETH)
        first = await btc.next()
        await eth.next()
        await lab.ack_all(FROM_MS)
        closed = await btc.closed()

        assert first.is_closed is False
        assert closed.open_ms == FROM_MS
        assert (closed.open, closed.close) == ("50000.00000000", "50001.00000000")
        assert (await eth.closed()).close == "3001.00000000"
        await btc.stop()
        await eth.stop()


async def test_one_request_subscribes_to_all_symbols(tmp_path: Path) -> None:
    async with a_market(tmp_path) as (_, data):
        await data.instruments(["BTC/USDT", "ETH/USDT"])
        btc, eth = Heard(data, BTC), Heard(data, ETH)
        await btc.next()
        await eth.next()
        (socket,) = data._client.clients.values()

        assert len(socket.subscriptions) == 2
        assert {each["id"] for each in socket.subscriptions.values()} == {1}
        await btc.stop()
        await eth.stop()


async def test_no_bar_is_lost_when_all_symbols_close_at_once_for_many_slots(tmp_path: Path) -> None:
    async with a_market(tmp_path) as (lab, data):
        await data.instruments(["BTC/USDT", "ETH/USDT"])
        btc, eth = Heard(data, BTC), Heard(data, ETH)
        await btc.next()
        await eth.next()
        for slot in range(50):
            await lab.ack_all(FROM_MS + slot * HOUR_MS)
            assert (await btc.closed()).open_ms == FROM_MS + slot * HOUR_MS
            assert (await eth.closed()).open_ms == FROM_MS + slot * HOUR_MS
        await btc.stop()
        await eth.stop()


async def test_a_cut_connection_ends_the_watch_and_the_next_one_works(tmp_path: Path) -> None:
    async with a_market(tmp_path) as (lab, data):
        await data.instruments(["BTC/USDT", "ETH/USDT"])
        for _ in range(3):
            btc, eth = Heard(data, BTC), Heard(data, ETH)
            await btc.next()
            await eth.next()
            await drop_streams(data)
            for heard in (btc, eth):
                with pytest.raises(ExchangeUnreachable, match="the candle stream ended"):
                    await next_within(heard.task)
            await asyncio.sleep(0.06)
        btc = Heard(data, BTC)
        await btc.next()
        await lab.ack_all(FROM_MS)

        assert (await btc.closed()).open_ms == FROM_MS
        await btc.stop()


async def test_a_watch_left_and_taken_up_again_uses_a_new_connection(tmp_path: Path) -> None:
    async with a_market(tmp_path) as (_, data):
        await data.instruments(["BTC/USDT"])
        btc = Heard(data, BTC)
        await btc.next()
        (before,) = data._client.clients.values()
        await btc.stop()
        btc = Heard(data, BTC)
        await btc.next()

        (after,) = data._client.clients.values()
        assert after is not before
        assert before.connection.closed
        await btc.stop()


@pytest.mark.parametrize("frame", ['{"e":"kline"', "[]", '{"e":"kline","s":"BTCUSDT"}', "\xff"])
async def test_a_frame_that_cannot_be_read_ends_the_watch_instead_of_hanging_it(
    tmp_path: Path, frame: str
) -> None:
    async with a_market(tmp_path) as (lab, data):
        await data.instruments(["BTC/USDT"])
        btc = Heard(data, BTC)
        await btc.next()
        (socket,) = data._client.clients.values()
        socket.handle_message(a_frame(frame))
        with pytest.raises(ExchangeUnreachable):
            await next_within(btc.task)
        await asyncio.sleep(0.06)
        btc = Heard(data, BTC)
        await btc.next()
        await lab.ack_all(FROM_MS)

        assert (await btc.closed()).open_ms == FROM_MS
        await btc.stop()


def a_frame(text: str) -> Any:
    import aiohttp

    if text == "\xff":
        return aiohttp.WSMessage(aiohttp.WSMsgType.BINARY, b"\xff\xfe", None)
    return aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, text, None)


# --- the feed over the wire -----------------------------------------------------------------------


async def test_the_feed_gives_every_bar_once_through_cut_connections_and_holes(
    tmp_path: Path,
) -> None:
    holes = frozenset(("BTCUSDT", slot) for slot in (7, 8, 9)) | {("ETHUSDT", 12)}
    async with a_market(tmp_path, FakeMarket(holes=holes)) as (lab, data):
        await data.instruments(["BTC/USDT", "ETH/USDT"])
        events: asyncio.Queue[Input] = asyncio.Queue()
        history = [
            await load_history(
                data,
                each,
                timeframe_ns=HOUR_NS,
                since_ns=FROM_NS - 5 * HOUR_NS,
                until_ns=FROM_NS,
                page_limit=data.page_limit,
            )
            for each in (BTC, ETH)
        ]
        feed = Feed(
            data,
            (BTC, ETH),
            timeframe_ns=HOUR_NS,
            market_clock=ManualClock(FROM_NS),
            wire=WireClock(),
            publish=events.put,
            rng=random.Random(1),
            config=FeedConfig(market_rate=0.0, lockstep_silence_s=0.3),
            last={each.bars[-1].instrument: each.bars[-1] for each in history},
        )
        running = asyncio.create_task(feed.run())
        await next_within(feed.ready.wait())
        bars: dict[InstrumentId, list[Bar]] = {BTC: [], ETH: []}
        missed: list[tuple[str, int, int]] = []
        for slot in range(20):
            if slot in (3, 8, 15):
                await drop_streams(data)
            await lab.ack_all(FROM_MS + slot * HOUR_MS)
            while len(bars[BTC]) + len(bars[ETH]) < expected_bars(slot, holes):
                event = await next_within(events.get())
                if isinstance(event, BarsClosed):
                    bars[event.bars[0].instrument].extend(event.bars)
                elif isinstance(event, BarsMissed):
                    first = (event.first_open_ns - FROM_NS) // HOUR_NS
                    missed.append((event.instrument.symbol, first, event.count))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        opened = [(bar.open_ns - FROM_NS) // HOUR_NS for bar in bars[BTC]]
        assert opened == [slot for slot in range(20) if slot not in (7, 8, 9)]
        opened = [(bar.open_ns - FROM_NS) // HOUR_NS for bar in bars[ETH]]
        assert opened == [slot for slot in range(20) if slot != 12]
        assert sorted(missed) == [("BTC/USDT", 7, 3), ("ETH/USDT", 12, 1)]


def expected_bars(slot: int, holes: frozenset[tuple[str, int]]) -> int:
    """How many bars of both symbols there are up to and with this slot."""
    return 2 * (slot + 1) - sum(1 for _, hole in holes if hole <= slot)


def test_decimal_places_and_tick_sizes_give_the_same_instrument() -> None:
    import ccxt

    listed = {"symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "limits": {}}
    ticks = {**listed, "precision": {"price": 0.01, "amount": 1e-05}}
    places = {**listed, "precision": {"price": 2, "amount": 5}}

    by_ticks = instrument_of("x", ticks, ccxt.TICK_SIZE)
    by_places = instrument_of("x", places, ccxt.DECIMAL_PLACES)

    assert by_ticks == by_places
    assert (by_ticks.tick, by_ticks.lot) == (Decimal("0.01"), Decimal("0.00001"))
    with pytest.raises(ValueError, match="price step"):
        instrument_of("x", places, ccxt.SIGNIFICANT_DIGITS)
