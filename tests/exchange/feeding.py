"""A feed over the real ccxt client against an exchange with faults, for the tests of faults.

Belongs here: joining them as the daemon does, and words for what came out. Faults themselves belong
to the tests.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from daemon.core.bars import Bar, BarRejectReason, MissCause
from daemon.core.clock import WireClock
from daemon.core.events import BarRejected, BarRevised, BarsClosed, BarsMissed, FeedStale, Input
from daemon.core.instruments import InstrumentId
from daemon.core.timeframes import NS_PER_MS
from daemon.embedded.stage import Stage
from daemon.layers.ingestion import Feed, FeedConfig, load_history
from daemon.running.process.strays import Strays
from daemon.venues.ccxt_client import make_client
from daemon.venues.ccxt_market import CcxtMarket
from daemon.venues.stream_limits import StreamLimits
from tests.exchange.fake_market import FROM_MS, HOUR_MS, FakeMarket
from tests.exchange.loopback import Loopback, loopback

BTC = InstrumentId("embedded", "BTC/USDT")
ETH = InstrumentId("embedded", "ETH/USDT")
HOUR_NS = HOUR_MS * NS_PER_MS
FROM_NS = FROM_MS * NS_PER_MS
BARS_PER_S = 10.0
WITHIN_S = 20.0  # far more than needed: the machine may be busy
QUICK = FeedConfig(
    market_rate=BARS_PER_S * HOUR_MS / 1_000,
    stale_after_s=0.5,
    poll_min_s=0.05,
    poll_max_s=0.5,
    reconnect_max_s=0.5,
    ready_after_s=2.0,
    ask_limit_s=60.0,
)
PATIENT = replace(QUICK, stale_after_s=30.0)
IDS = (BTC, ETH)


class ExchangeTime:
    """The exchange's own market clock, which lives in this process."""

    def __init__(self, exchange: Stage) -> None:
        self._exchange = exchange

    def now_ns(self) -> int:
        return self._exchange.clock.market_ms() * NS_PER_MS


@dataclass
class Feeding:
    """A running feed, the exchange it listens to, and everything it published."""

    lab: Loopback
    data: CcxtMarket
    feed: Feed
    market: FakeMarket
    ids: Sequence[InstrumentId] = IDS
    events: list[Input] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)

    def bars(self, instrument: InstrumentId = BTC) -> list[Bar]:
        closed = [event for event in self.events if isinstance(event, BarsClosed)]
        return [bar for event in closed for bar in event.bars if bar.instrument == instrument]

    def slots(self, instrument: InstrumentId = BTC) -> list[int]:
        return [slot_of(bar.open_ns) for bar in self.bars(instrument)]

    def missed(self, instrument: InstrumentId = BTC) -> list[tuple[int, int, MissCause]]:
        return [
            (slot_of(each.first_open_ns), each.count, each.cause)
            for each in self.events
            if isinstance(each, BarsMissed) and each.instrument == instrument
        ]

    def refused(self, instrument: InstrumentId = BTC) -> set[BarRejectReason]:
        told = [each for each in self.events if isinstance(each, BarRejected)]
        return {each.reason for each in told if each.instrument == instrument}

    def revised(self) -> list[BarRevised]:
        return [each for each in self.events if isinstance(each, BarRevised)]

    def stale(self) -> list[FeedStale]:
        return [each for each in self.events if isinstance(each, FeedStale)]

    def kinds(self) -> set[str]:
        return {type(event).__name__ for event in self.events}

    def reached(self, instrument: InstrumentId) -> int:
        """The first slot that is neither a bar nor told as missed yet."""
        slots = [slot + 1 for slot in self.slots(instrument)]
        slots += [first + count for first, count, _ in self.missed(instrument)]
        return max(slots, default=0)

    async def reach(self, slot: int) -> None:
        """Wait until every slot before `slot` is accounted for."""
        await self.until(lambda: all(self.reached(each) >= slot for each in self.ids))

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not is_so():  # noqa: ASYNC110  # many things may make it so
                await asyncio.sleep(0.02)

    def assert_true_to_the_exchange(self, slots: int) -> None:
        """Each slot of each symbol exactly once, in order, with the exchange's own numbers."""
        for instrument in self.ids:
            found = [slot for slot in self.slots(instrument) if slot < slots]
            assert found == list(range(slots)), instrument
            for bar in self.bars(instrument):
                symbol_id = instrument.symbol.replace("/", "")
                true = self.market.bar(symbol_id, bar.open_ns // NS_PER_MS)
                assert true is not None
                prices = (true.open, true.high, true.low, true.close)
                assert (bar.open, bar.high, bar.low, bar.close) == tuple(map(float, prices)), bar
        assert self.strays == []


def slot_of(open_ns: int) -> int:
    return (open_ns - FROM_NS) // HOUR_NS


@contextlib.asynccontextmanager
async def feeding(
    directory: Path,
    *rules: dict[str, Any],
    config: FeedConfig = QUICK,
    market: FakeMarket | None = None,
    late_slots: int = 0,
    publish: Callable[[Input], Awaitable[None]] | None = None,
    prepare: Callable[[CcxtMarket], None] | None = None,
    ids: Sequence[InstrumentId] = IDS,
    limits: StreamLimits | None = None,
) -> AsyncIterator[Feeding]:
    """A feed of `ids` at ten bars a second, with `rules` in force from the start.

    With lock-step (a market rate of 0) the test plays the slots; so many of `late_slots` pass
    between the history and the subscription. `publish` stands between the feed and the list of
    events, `prepare` may change the client before it connects.
    """
    market = market or FakeMarket()
    bars_per_s = None if config.is_lockstep else BARS_PER_S
    async with loopback(directory, market=market, bars_per_s=bars_per_s) as lab:
        ends = lab.endpoints
        urls = {"rest": ends.rest, "stream": ends.stream, "ws_api": ends.ws_api}
        client = make_client("embedded", urls=urls)
        data = CcxtMarket(client, "embedded", "1h", limits=limits)
        if prepare is not None:
            prepare(data)
        await data.instruments([each.symbol for each in ids])
        last = {each: await _last_bar(data, each) for each in ids}
        await lab.play(late_slots)
        lab.faults.add(list(rules))
        made = Feeding(lab, data, None, market, ids)  # type: ignore[arg-type]  # it needs our list

        async def note(event: Input) -> None:
            if publish is not None:
                await publish(event)
            made.events.append(event)

        made.feed = Feed(
            data,
            ids,
            timeframe_ns=HOUR_NS,
            market_clock=ExchangeTime(lab.exchange),
            wire=WireClock(),
            publish=note,
            rng=random.Random(1),
            config=config,
            last=last,
        )
        Strays(made.strays.append).listen(asyncio.get_running_loop())
        running = asyncio.create_task(made.feed.run())
        try:
            yield made
            assert not running.done(), running.exception()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await data.close()


async def _last_bar(data: CcxtMarket, instrument: InstrumentId) -> Bar:
    history = await load_history(
        data,
        instrument,
        timeframe_ns=HOUR_NS,
        since_ns=FROM_NS - 5 * HOUR_NS,
        until_ns=FROM_NS,
        page_limit=data.page_limit,
    )
    return history.bars[-1]
