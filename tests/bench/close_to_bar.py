"""From the close of a slot to the last published bar, over many symbols, on loopback.

An embedded exchange in a process of its own, its paced market, the real ccxt client and the feed as
the daemon runs it; what is measured ends where a bar would enter the queue. The exchange says what
its market time is, so its own work at a close is part of the figure. Aim: 250 ms for 500 symbols.
"""

from __future__ import annotations

import asyncio
import random
import resource
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.core.clock import MarketClock, WireClock
from daemon.core.events import BarsClosed
from daemon.core.timeframes import NS_PER_MS
from daemon.layers.ingestion.feed import Feed
from daemon.layers.ingestion.feed_config import FeedConfig
from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_market import CcxtMarket
from daemon.venues.embedded_link import EmbeddedLink, EmbeddedMarket
from tests.exchange.processes import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.core.events import Input

SYMBOLS = (1, 50, 500)
SLOTS = 2
SLOT_MIN_S = 4.0
SLOT_PER_SYMBOL_S = 0.06  # 17 messages each: about as many a second as Binance sends for 500
MINUTE_NS = 60_000_000_000
GIVE_UP_S = 300.0


def measure() -> Iterator[dict[str, object]]:
    """The figures, one by one."""
    for count in SYMBOLS:
        yield from asyncio.run(_measured(count))


async def _measured(count: int) -> list[dict[str, object]]:
    symbols = [f"S{number:03d}/USDT" for number in range(count)]
    arguments = ["--symbols", ",".join(symbols), "--timeframe", "1m", "--history-bars", "60"]
    with tempfile.TemporaryDirectory() as folder:
        begun_s = time.monotonic()
        slot_s = max(SLOT_MIN_S, SLOT_PER_SYMBOL_S * count)
        async with serving(
            Path(folder), *arguments, "--speed", str(1 / slot_s), "--seed", "1"
        ) as child:
            sys.stderr.write(f"close_to_bar: {count} symbols are served\n")
            served_s = time.monotonic() - begun_s
            ready_s, late_ms = await _late_ms(child.ready, symbols, slot_s)
    last = [max(each) for each in late_ms]
    middle = sorted(value for each in late_ms for value in each)
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    return [
        _figure("exchange_ready", count, served_s, "s"),
        _figure("feed_ready", count, ready_s, "s"),
        _figure("close_to_bar_p50", count, middle[len(middle) // 2], "ms"),
        _figure("close_to_last_bar", count, sorted(last)[len(last) // 2], "ms"),
        _figure("close_to_last_bar_worst", count, max(last), "ms"),
        _figure("rss", count, rss_mb, "MB"),
    ]


def _figure(name: str, symbols: int, value: float, unit: str) -> dict[str, object]:
    return {"figure": name, "symbols": symbols, "value": round(value, 1), "unit": unit}


async def _late_ms(
    ready: dict[str, str], symbols: list[str], slot_s: float
) -> tuple[float, list[list[float]]]:
    """Seconds until the feed was ready, and of each slot how late every bar was published."""
    link = EmbeddedLink(ready["rest"])
    urls = {name: ready[name] for name in ("rest", "stream", "ws_api")}
    now = await link.clock()
    clock = MarketClock(WireClock(), market_ns=now.market_ns, rate=now.rate)
    inner = CcxtMarket(make_client("embedded", urls=urls), "embedded", "1m")
    market = EmbeddedMarket(inner, link, clock, MINUTE_NS)
    came_s: dict[int, dict[str, float]] = defaultdict(dict)

    async def publish(event: Input) -> None:
        if isinstance(event, BarsClosed):
            for bar in event.bars:
                came_s[bar.close_ns // NS_PER_MS][bar.instrument.symbol] = time.monotonic()

    instruments = await market.instruments(symbols)
    feed = Feed(
        market,
        [each.id for each in instruments],
        timeframe_ns=MINUTE_NS,
        market_clock=clock,
        wire=WireClock(),
        publish=publish,
        rng=random.Random(1),
        config=FeedConfig(market_rate=60 / slot_s),
        last={},
    )
    begun_s = time.monotonic()
    running = asyncio.gather(feed.run(), _followed(clock, link))
    try:
        async with asyncio.timeout(GIVE_UP_S):
            await feed.ready.wait()
            ready_s = time.monotonic() - begun_s
            closes = await _closes(link, slot_s)
            while not all(len(came_s[each]) == len(symbols) for each in closes):  # noqa: ASYNC110
                await asyncio.sleep(0.2)  # a figure is waited for, nothing is tested
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await market.close()
    late = [
        [(at_s - close_s) * 1_000 for at_s in came_s[close_ms].values()]
        for close_ms, close_s in closes.items()
    ]
    return ready_s, late


async def _followed(clock: MarketClock, link: EmbeddedLink) -> None:
    """The market clock on the exchange's, as the daemon keeps it."""
    while True:
        now = await link.clock()
        clock.anchor(now.market_ns, now.rate)
        await asyncio.sleep(1.0)


async def _closes(link: EmbeddedLink, slot_s: float) -> dict[int, float]:
    """The next slots' closes: market ms, and when that is on this machine's monotonic clock.

    Asked in the middle of each slot, where the exchange's answer is exact; the first slot that
    began before the feed was ready is left out.
    """
    closes: dict[int, float] = {}
    first: int | None = None
    while len(closes) < SLOTS:
        sent_s = time.monotonic()
        now = await link.clock()
        middle_s = (sent_s + time.monotonic()) / 2
        if now.rate > 0:
            close_ms = now.slot_open_ms + now.timeframe_ms
            first = close_ms if first is None else first
            left_ms = close_ms - now.market_ms
            if close_ms > first and left_ms > now.timeframe_ms / 8:
                closes[close_ms] = middle_s + left_ms / now.rate / 1_000
        await asyncio.sleep(slot_s / 10)
    return closes
