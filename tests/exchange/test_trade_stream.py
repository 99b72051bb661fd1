"""Bars made of an exchange's trades by the real ccxt client: to the bit the exchange's own."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

from daemon.core.bars import Bar, BarSource, RawBar, RawTrade
from daemon.core.clock import MarketClock, WireClock
from daemon.core.events import BarsClosed, BarsMissed, Input
from daemon.core.instruments import InstrumentId
from daemon.core.timeframes import NS_PER_MS
from daemon.embedded.market import Market, MarketBar
from daemon.embedded.synthetic import DEFAULT_FROM_MS, SyntheticMarket
from daemon.layers.ingestion import Feed, FeedConfig, Transport, load_history
from daemon.layers.ingestion.trades import TradeBars, TradeCounts
from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_market import CcxtMarket
from daemon.venues.embedded_link import EmbeddedLink, EmbeddedMarket
from tests.exchange.fake_market import FROM_MS, HOUR_MS, FakeMarket
from tests.exchange.loopback import Loopback, loopback, next_within

BTC = InstrumentId("embedded", "BTC/USDT")
HOUR_NS = HOUR_MS * NS_PER_MS


@asynccontextmanager
async def a_market(
    directory: Path, market: Market, bars_per_s: float | None = None
) -> AsyncIterator[tuple[Loopback, CcxtMarket]]:
    async with loopback(directory, market=market, bars_per_s=bars_per_s) as lab:
        ends = lab.endpoints
        urls = {"rest": ends.rest, "stream": ends.stream, "ws_api": ends.ws_api}
        data = CcxtMarket(make_client("embedded", urls=urls), "embedded", "1h")
        try:
            await data.instruments(["BTC/USDT"])
            yield lab, data
        finally:
            await data.close()


def a_synthetic_market() -> SyntheticMarket:
    return SyntheticMarket(["BTC/USDT"], HOUR_MS, seed=11, history_bars=30)


async def drop_streams(data: CcxtMarket) -> None:
    for socket in list(data._client.clients.values()):
        socket.connection._conn.transport.abort()


def numbers(bar: MarketBar | Bar | RawBar) -> tuple[float, ...]:
    values = (bar.open, bar.high, bar.low, bar.close, bar.volume)
    return tuple(float(value) for value in values)  # type: ignore[arg-type]


class Listener:
    """Everything one watch of trades says, collected by a task."""

    def __init__(self, data: CcxtMarket) -> None:
        self.trades: list[RawTrade] = []
        self._arrived = asyncio.Event()
        self.task = asyncio.create_task(self._listen(data))

    async def _listen(self, data: CcxtMarket) -> None:
        async for trade in data.trades(BTC):
            self.trades.append(trade)
            self._arrived.set()

    async def heard(self, ts_ms: int) -> None:
        """Wait for the trade of that moment."""
        while not (self.trades and self.trades[-1].ts_ms == ts_ms):
            self._arrived.clear()
            await next_within(self._arrived.wait())

    async def first_of(self, lab: Loopback) -> int:
        """Play until trades are heard; the close of the slot they were heard in."""
        for _ in range(100):
            clock = await lab.play(1)
            await asyncio.sleep(0.01)
            if self.trades:
                close_ms: int = clock["market_ms"]
                await self.heard(close_ms - 1)
                return close_ms
        raise AssertionError("no trade was heard")


async def test_every_trade_is_heard_once_and_they_make_the_exchanges_own_bars(
    tmp_path: Path,
) -> None:
    market = a_synthetic_market()
    async with a_market(tmp_path, market) as (lab, data):
        listener = Listener(data)
        first_ms = await listener.first_of(lab)
        await lab.play(40)
        await listener.heard(first_ms + 40 * HOUR_MS - 1)
        listener.task.cancel()

    heard = [trade for trade in listener.trades if int(str(trade.ts_ms)) >= first_ms]
    assert len(heard) == 40 * 17
    assert len({trade.trade_id for trade in heard}) == 40 * 17
    bars = TradeBars(HOUR_MS, TradeCounts())
    said = [raw for trade in listener.trades for raw in bars.take(trade, int(str(trade.ts_ms)))]
    closed = [raw for raw in said if raw.is_closed]
    assert [raw.open_ms for raw in closed] == [first_ms + slot * HOUR_MS for slot in range(39)]
    for raw in closed:
        assert isinstance(raw.open_ms, int)
        theirs = market.bar("BTCUSDT", raw.open_ms)
        assert theirs is not None
        assert numbers(raw) == numbers(theirs)


async def test_what_is_heard_are_copies(tmp_path: Path) -> None:
    market = FakeMarket()
    async with a_market(tmp_path, market) as (lab, data):
        listener = Listener(data)
        await listener.first_of(lab)
        trade = listener.trades[-1]
        for kept in data._client.trades["BTC/USDT"]:
            kept["price"] = kept["amount"] = None
        listener.task.cancel()

    slot = (int(str(trade.ts_ms)) - FROM_MS) // HOUR_MS
    assert (trade.price, trade.quantity) == (50_001.0 + slot, 1.025 if slot % 2 else 0.975)


async def test_a_cut_connection_is_one_error_and_the_next_watch_hears_again(
    tmp_path: Path,
) -> None:
    market = FakeMarket()
    async with a_market(tmp_path, market) as (lab, data):
        for _ in range(3):
            listener = Listener(data)
            await listener.first_of(lab)
            await drop_streams(data)
            done, _ = await asyncio.wait({listener.task}, timeout=5)
            assert "the trade stream ended" in str(done.pop().exception())
            await asyncio.sleep(0.06)


async def fed(
    lab: Loopback, data: CcxtMarket, market: Market, *, slots: int, cuts: tuple[int, ...] = ()
) -> tuple[list[Bar], list[Input], Feed]:
    """A feed of trades beside the running exchange until it has given so many bars."""
    link = EmbeddedLink(lab.endpoints.rest)
    now = await link.clock()
    clock = MarketClock(WireClock(), market_ns=now.market_ns, rate=now.rate)
    embedded = EmbeddedMarket(data, link, clock, HOUR_NS)
    until_ns = market.from_ms * NS_PER_MS
    history = await load_history(
        data,
        BTC,
        timeframe_ns=HOUR_NS,
        since_ns=until_ns - 5 * HOUR_NS,
        until_ns=until_ns,
        page_limit=data.page_limit,
    )
    events: asyncio.Queue[Input] = asyncio.Queue()
    feed = Feed(
        embedded,
        (BTC,),
        timeframe_ns=HOUR_NS,
        market_clock=clock,
        wire=WireClock(),
        publish=events.put,
        rng=random.Random(1),
        config=FeedConfig(transport=Transport.TRADES, market_rate=now.pace, revision_check_s=0.2),
        last={BTC: history.bars[-1]},
    )
    running = asyncio.create_task(feed.run())
    bars: list[Bar] = []
    others: list[Input] = []
    acked = 0
    try:
        if now.pace == 0:
            await next_within(feed.ready.wait())
            await lab.ack("BTC/USDT", market.from_ms)
        while len(bars) < slots:
            event = await next_within(events.get())
            if isinstance(event, BarsClosed):
                bars += event.bars
                if now.pace == 0:
                    await lab.ack("BTC/USDT", event.bars[-1].close_ns // NS_PER_MS)
            else:
                others.append(event)
            if acked < len(cuts) and len(bars) >= cuts[acked]:
                acked += 1
                await drop_streams(data)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await link.close()
    return bars, others, feed


async def test_a_paced_market_is_told_whole_by_its_trades_through_cut_connections(
    tmp_path: Path,
) -> None:
    market = a_synthetic_market()
    async with a_market(tmp_path, market, bars_per_s=10.0) as (lab, data):
        bars, others, feed = await fed(lab, data, market, slots=30, cuts=(8, 16))

    opens = [(bar.open_ns // NS_PER_MS - DEFAULT_FROM_MS) // HOUR_MS for bar in bars]
    assert opens == list(range(len(bars)))
    for bar in bars:
        theirs = market.bar("BTCUSDT", bar.open_ns // NS_PER_MS)
        assert theirs is not None
        assert numbers(bar) == numbers(theirs)
    assert BarSource.STREAM in {bar.source for bar in bars}
    assert not [each for each in others if isinstance(each, BarsMissed)]
    counts = feed.counts(BTC)
    assert counts.trades.taken > 0
    assert counts.revised == 0


async def test_a_market_in_lock_step_goes_on_although_no_trade_says_that_a_bar_is_over(
    tmp_path: Path,
) -> None:
    market = a_synthetic_market()
    async with a_market(tmp_path, market) as (lab, data):
        bars, others, _ = await fed(lab, data, market, slots=15)

    assert [numbers(bar) for bar in bars] == [
        numbers(theirs)
        for slot in range(len(bars))
        if (theirs := market.bar("BTCUSDT", DEFAULT_FROM_MS + slot * HOUR_MS)) is not None
    ]
    assert [type(each).__name__ for each in others] == []


def test_trades_of_few_lots_still_make_up_their_bar() -> None:
    from daemon.embedded.tape import _shares

    prices = tuple(Decimal(each) for each in (5, 7, 6, 2, 4))
    lot = Decimal("0.1")
    for lots in range(12):
        shares = _shares(prices, lots * lot, lot)
        assert sum(shares) == lots * lot
        traded = [price for price, share in zip(prices, shares, strict=True) if share]
        if lots >= 4:
            assert (traded[0], max(traded), min(traded), traded[-1]) == tuple(
                map(Decimal, (5, 7, 2, 4))
            )
        if lots:
            assert traded[-1] == 4
