"""A loop that cannot keep up: the queue fills, bars coalesce in the feed, and nothing is lost."""

import asyncio
import random

from daemon.core.bars import Bar
from daemon.core.events import BarsClosed, BarsMissed, Input
from daemon.core.inbox import Inbox
from daemon.core.instruments import InstrumentId
from daemon.layers.ingestion import Feed, FeedConfig
from daemon.layers.ingestion.waiting import WAITING_MAX
from tests.builders import a_halt_requested, a_health_tick, an_order_reported
from tests.fakes import FakeMarketData
from tests.unit.layers.candles import BTC, ETH, HOUR_NS, a_bar, a_raw, open_of
from tests.virtual_time import VirtualMarket, VirtualWire, run_virtual

HOUR_S = 3_600.0
SLOTS = 4 * WAITING_MAX
ROOM = 4


class Desk:
    """A feed of two instruments before a queue with little room; nobody takes until told."""

    def __init__(self) -> None:
        self.data = FakeMarketData()
        self.clock = self.data.clock = VirtualMarket(open_of(0))
        self.inbox = Inbox(market_max=ROOM, now_ns=lambda _event: self.clock.now_ns())
        self.feed = Feed(
            self.data,
            (BTC, ETH),
            timeframe_ns=HOUR_NS,
            market_clock=self.clock,
            wire=VirtualWire(),
            publish=self.inbox.put,
            rng=random.Random(7),
            config=FeedConfig(),
            last={BTC: a_bar(-1), ETH: a_bar(-1, instrument=ETH)},
        )
        self.taken: list[Input] = []

    async def play(self, slots: int) -> None:
        """The market goes on, with its stream and its REST, whoever takes its bars."""
        for slot in range(slots):
            await asyncio.sleep(HOUR_S)
            for each in (BTC, ETH):
                self.data.rows.setdefault(each, []).append(a_raw(slot))
                self.data.say(each, a_raw(slot, is_closed=True))

    async def take(self) -> None:
        while True:
            self.taken.append(await self.inbox.get())

    def bars(self, instrument: InstrumentId) -> list[Bar]:
        closed = [event for event in self.taken if isinstance(event, BarsClosed)]
        return [bar for event in closed for bar in event.bars if bar.instrument == instrument]

    def slots(self, instrument: InstrumentId) -> list[int]:
        return [(bar.open_ns - open_of(0)) // HOUR_NS for bar in self.bars(instrument)]


def stopped_for(slots: int) -> tuple[Desk, int]:
    """The desk after nobody took anything for so many slots, and how much had waited by then."""

    async def scenario() -> tuple[Desk, int]:
        desk = Desk()
        running = [asyncio.create_task(desk.feed.run())]
        await desk.play(slots)
        waited = len(desk.inbox)
        running.append(asyncio.create_task(desk.take()))
        await asyncio.sleep(HOUR_S / 2)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return desk, waited

    return run_virtual(scenario())


def test_when_the_queue_is_full_bars_coalesce_and_every_one_comes_after_all_in_order() -> None:
    desk, waited = stopped_for(SLOTS)

    assert waited == ROOM
    assert desk.feed.dropped > SLOTS
    assert desk.inbox.waits_for_room >= 2
    assert desk.slots(BTC) == desk.slots(ETH) == list(range(SLOTS))
    assert not [event for event in desk.taken if isinstance(event, BarsMissed)]


def test_a_bar_that_waited_in_the_queue_is_stamped_with_the_moment_it_is_taken() -> None:
    desk, _ = stopped_for(10)

    first = next(event for event in desk.taken if isinstance(event, BarsClosed))
    assert first.bars[0].close_ns == open_of(1)
    assert first.ts_ns == open_of(10)
    assert first.bars[0].received_ns < open_of(2)


async def test_a_full_queue_of_bars_keeps_nothing_waiting_that_is_not_a_bar() -> None:
    inbox = Inbox(market_max=2)
    late = [
        asyncio.create_task(inbox.put(BarsClosed(ts_ns=open_of(n), bars=(a_bar(n),))))
        for n in range(5)
    ]
    await asyncio.sleep(0)

    for event in (an_order_reported(), a_halt_requested(), a_health_tick()):
        async with asyncio.timeout(1):
            await inbox.put(event)
    first = [type(await inbox.get()).__name__ for _ in range(3)]
    rest = [await inbox.get() for _ in range(5)]

    await asyncio.gather(*late)
    assert first == ["OrderReported", "HaltRequested", "HealthTick"]
    assert [event.ts_ns for event in rest] == [open_of(n) for n in range(5)]


async def test_whoever_stops_waiting_for_room_leaves_it_to_the_next() -> None:
    inbox = Inbox(market_max=1)
    await inbox.put(BarsClosed(ts_ns=open_of(0), bars=(a_bar(0),)))
    given_up = asyncio.create_task(inbox.put(BarsClosed(ts_ns=open_of(1), bars=(a_bar(1),))))
    patient = asyncio.create_task(inbox.put(BarsClosed(ts_ns=open_of(2), bars=(a_bar(2),))))
    await asyncio.sleep(0)

    given_up.cancel()
    taken = [await inbox.get(), await inbox.get()]

    await asyncio.gather(given_up, patient, return_exceptions=True)
    assert [event.ts_ns for event in taken] == [open_of(0), open_of(2)]
    assert len(inbox) == 0
