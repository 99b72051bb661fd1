"""Two exchanges and their books answer as slowly as chance will have it, to a core that asks for
more at every answer: what it hears, and in which order, must not be chance.
"""

import asyncio
import contextlib
import random
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.core.clock import ManualClock
from daemon.core.events import (
    AskQuotes,
    CancelOrder,
    Direction,
    LookUpOrder,
    OrderReported,
    QuotesTaken,
    SubmitOrder,
)
from daemon.core.instruments import InstrumentId
from daemon.core.ports import Book
from daemon.running.quotes import QuoteDesk
from daemon.venues.outbox import Outbox
from daemon.venues.turns import Turns
from tests.fakes import FakeVenue, Fate
from tests.unit.venues.orders import (
    BTC,
    ETH,
    NOW_NS,
    a_cancel,
    a_look_up,
    a_resting_order,
    an_order,
)
from tests.virtual_time import run_virtual

THERE = InstrumentId("elsewhere", BTC.symbol)
INSTRUMENTS = (BTC, ETH, THERE)
STEPS = 60
SILENCE_S = 600.0
FATES = (Fate.FILLS, Fate.RESTS, Fate.REPLY_LOST, Fate.REFUSED, Fate.RAISES)


class Chance:
    """How long things take."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    async def pass_by(self) -> None:
        await asyncio.sleep(self._rng.choice((0.0, 0.001, 0.01, 0.3)))


class SlowVenue:
    """A venue to and from which every way takes its time."""

    def __init__(self, venue: FakeVenue, chance: Chance) -> None:
        self._venue = venue
        self._chance = chance

    async def submit(self, order: SubmitOrder) -> OrderReported:
        return await self._there_and_back(self._venue.submit, order)

    async def cancel(self, order: CancelOrder) -> OrderReported:
        return await self._there_and_back(self._venue.cancel, order)

    async def look_up(self, order: LookUpOrder) -> OrderReported:
        return await self._there_and_back(self._venue.look_up, order)

    async def _there_and_back(self, ask: Any, order: Any) -> OrderReported:
        await self._chance.pass_by()
        try:
            report: OrderReported = await ask(order)
            return report
        finally:
            await self._chance.pass_by()


class Story:
    """Some exchanges and a core that is told by one seed what to ask for next."""

    def __init__(self, seed: int, chance: Chance, turns: Turns) -> None:
        self.heard: list[str] = []
        self._chance = chance
        self._rng = random.Random(seed)
        self._answers: asyncio.Queue[OrderReported | QuotesTaken] = asyncio.Queue()
        self._orders: list[tuple[str, InstrumentId]] = []
        self.venues = {
            exchange: FakeVenue(*(self._rng.choice(FATES) for _ in range(STEPS)))
            for exchange in (BTC.exchange, THERE.exchange)
        }
        self.outboxes = {
            exchange: Outbox(
                SlowVenue(venue, chance),  # type: ignore[arg-type]
                self._answers.put,  # type: ignore[arg-type]
                turns=turns,
                is_listening=False,
                is_following=False,
            )
            for exchange, venue in self.venues.items()
        }
        sites: Any = {
            exchange: SimpleNamespace(market_data=self, clock=ManualClock(NOW_NS))
            for exchange in self.venues
        }
        self.desk = QuoteDesk(sites, self._answers.put, within_s=60.0, turns=turns)

    async def book(self, _instrument: InstrumentId, _levels: int) -> Book:
        await self._chance.pass_by()
        return Book(bids=(), asks=())

    async def play(self) -> None:
        work = [self.desk.run(), *(each.run() for each in self.outboxes.values())]
        running = [asyncio.create_task(each) for each in work]
        for _ in range(3):
            self._ask_for_more()
        with contextlib.suppress(TimeoutError):
            while True:
                async with asyncio.timeout(SILENCE_S):
                    answer = await self._answers.get()
                self.heard.append(_told(answer))
                await self._chance.pass_by()  # its step is committed
                if len(self.heard) < STEPS:
                    for _ in range(self._rng.choice((0, 1, 1, 2, 3))):
                        self._ask_for_more()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _ask_for_more(self) -> None:
        kind = self._rng.randrange(5)
        if kind > 2 or not self._orders:
            name, instrument = f"td{len(self._orders)}", self._rng.choice(INSTRUMENTS)
            make = self._rng.choice((an_order, a_resting_order))
            order = make(name, instrument=instrument)
            self._orders.append((name, instrument))
            self.outboxes[instrument.exchange].post(order)
        elif kind == 0:
            self._ask_for_a_book()
        else:
            name, instrument = self._rng.choice(self._orders)
            command = (a_cancel if kind == 1 else a_look_up)(name, instrument)
            self.outboxes[instrument.exchange].post(command)

    def _ask_for_a_book(self) -> None:
        instrument = self._rng.choice(INSTRUMENTS)
        self.desk.post(
            AskQuotes(
                ts_ns=NOW_NS,
                instrument=instrument,
                trace=f"t{self._rng.randrange(3)}",
                direction=self._rng.choice((Direction.LONG, Direction.FLAT)),
                instruments=(instrument,),
                notional_quote=an_order().quantity,
            )
        )


def _told(answer: OrderReported | QuotesTaken) -> str:
    if isinstance(answer, QuotesTaken):
        return f"book {answer.trace} {answer.instrument}"
    return f"{answer.client_order_id} {answer.outcome} {answer.state} {answer.source}"


def told(seed: int, chance: int, *, is_ordered: bool) -> tuple[list[str], list[list[str]]]:
    """What the core heard, and what each exchange was asked, in order."""

    async def run() -> Story:
        story = Story(seed, Chance(chance), Turns(is_ordered=is_ordered))
        await story.play()
        return story

    story = run_virtual(run())
    asked = [[*each.sent, *each.cancelled, *each.asked] for each in story.venues.values()]
    return story.heard, asked


@pytest.mark.parametrize("seed", range(4))
def test_the_same_seed_hears_the_same_whatever_the_order_of_replies_would_be(seed: int) -> None:
    first, *others = (told(seed, chance, is_ordered=True) for chance in range(6))

    assert len(first[0]) >= STEPS
    for other in others:
        assert other == first


def test_without_turns_chance_decides() -> None:
    """Else the test above would show nothing."""
    assert told(1, 1, is_ordered=False) != told(1, 2, is_ordered=False)


def test_a_place_that_is_left_unused_holds_up_nobody() -> None:
    async def run() -> list[str]:
        turns, entered = Turns(is_ordered=True), list[str]()
        first, second, third = turns.place(), turns.place(), turns.place()

        async def enter(name: str, place: Any) -> None:
            async with place:
                entered.append(name)

        cancelled = asyncio.create_task(enter("second", second))
        last = asyncio.create_task(enter("third", third))
        await asyncio.sleep(1)
        cancelled.cancel()
        await asyncio.sleep(1)
        assert not entered
        first.leave()
        await last
        return entered

    assert run_virtual(run()) == ["third"]
