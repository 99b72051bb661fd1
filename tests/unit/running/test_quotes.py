import asyncio
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.core.clock import ManualClock
from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import AskQuotes, Direction, QuotesTaken
from daemon.core.instruments import InstrumentId
from daemon.core.ports import Book
from daemon.running.quotes import AT_ONCE_MAX, QuoteDesk, enough
from daemon.venues.turns import Turns
from tests.builders import BTC, CLOSE_NS
from tests.virtual_time import run_virtual

D = Decimal
THERE = InstrumentId("okx", BTC.symbol)
LEVELS = ((D(100), D(1)), (D(101), D(1)), (D(102), D(1)))


class Books:
    """One exchange's books: told when the gate is open, after a moment, or refused."""

    def __init__(self) -> None:
        self.asked: list[InstrumentId] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    async def book(self, instrument: InstrumentId, _levels: int) -> Book:
        self.asked.append(instrument)
        await self.gate.wait()
        await asyncio.sleep(0.1)
        if self.error is not None:
            raise self.error
        return Book(bids=LEVELS, asks=LEVELS)


class Desk:
    """The desk of two exchanges and what it has told."""

    def __init__(self, *, is_ordered: bool = False) -> None:
        self.here, self.there = Books(), Books()
        self.told: list[QuotesTaken] = []
        clock = ManualClock(CLOSE_NS)
        sites: Any = {
            BTC.exchange: SimpleNamespace(market_data=self.here, clock=clock),
            THERE.exchange: SimpleNamespace(market_data=self.there, clock=clock),
        }
        self.turns = Turns(is_ordered=is_ordered)
        self.desk = QuoteDesk(sites, self._put, within_s=2.0, turns=self.turns)

    def asks(self, name: str, direction: Direction = Direction.LONG, *ids: InstrumentId) -> None:
        self.desk.post(
            AskQuotes(
                ts_ns=CLOSE_NS,
                instrument=BTC,
                trace=name,
                direction=direction,
                instruments=ids or (BTC,),
                notional_quote=D(5),
            )
        )

    def traces(self) -> list[str]:
        return [each.trace for each in self.told]

    async def _put(self, event: QuotesTaken) -> None:
        self.told.append(event)


def told_by(
    script: Callable[[Desk], None], *, is_ordered: bool = False, wait_s: float = 5.0
) -> Desk:
    """What the desk has said so long after a script was played to it."""

    async def scenario() -> Desk:
        desk = Desk(is_ordered=is_ordered)
        running = asyncio.create_task(desk.desk.run())
        script(desk)
        await asyncio.sleep(wait_s)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return desk

    return run_virtual(scenario())


def test_a_question_is_answered_with_the_book_of_every_exchange_it_names() -> None:
    desk = told_by(lambda each: each.asks("one", Direction.LONG, BTC, THERE))

    (answer,) = desk.told
    assert (answer.trace, answer.direction, answer.ts_ns) == ("one", Direction.LONG, CLOSE_NS)
    assert [each.instrument for each in answer.quotes] == [BTC, THERE]
    assert all(each.is_complete for each in answer.quotes)
    assert desk.desk.in_flight == 0


def test_an_exchange_that_is_away_is_told_as_such_and_the_other_all_the_same() -> None:
    def script(desk: Desk) -> None:
        desk.there.error = ExchangeUnreachable("nobody answers")
        desk.asks("one", Direction.LONG, BTC, THERE)

    (answer,) = told_by(script).told

    assert [each.is_complete for each in answer.quotes] == [True, False]
    assert answer.quotes[1].error == "nobody answers"


def test_whatever_a_book_raises_there_is_an_answer() -> None:
    def script(desk: Desk) -> None:
        desk.here.error = ZeroDivisionError("odd")
        desk.asks("exit", Direction.FLAT)

    (answer,) = told_by(script).told

    assert answer.quotes[0].error == "the book cannot be read (ZeroDivisionError)"


def test_a_book_that_never_comes_is_given_up_in_time() -> None:
    def script(desk: Desk) -> None:
        desk.here.gate.clear()
        desk.asks("one")

    assert told_by(script, wait_s=1.9).told == []
    (answer,) = told_by(script, wait_s=2.1).told
    assert (answer.quotes[0].is_complete, answer.quotes[0].error) == (False, "no book within 2 s")


def test_asked_twice_it_is_one_question() -> None:
    def script(desk: Desk) -> None:
        desk.asks("one")
        desk.asks("one")

    desk = told_by(script)

    assert desk.traces() == ["one"]
    assert desk.here.asked == [BTC]


def test_in_order_one_is_answered_after_the_other_as_they_came() -> None:
    def script(desk: Desk) -> None:
        for name in ("one", "two", "three"):
            desk.asks(name, Direction.FLAT if name == "three" else Direction.LONG)

    assert told_by(script, is_ordered=True, wait_s=0.15).traces() == ["one"]
    assert told_by(script, is_ordered=True).traces() == ["one", "two", "three"]


def test_an_exit_waits_for_no_entry() -> None:
    def script(desk: Desk) -> None:
        for number in range(3 * AT_ONCE_MAX):
            desk.asks(f"entry-{number}")
        desk.asks("exit", Direction.FLAT)

    first = told_by(script, wait_s=0.15).traces()

    assert len(first) == AT_ONCE_MAX + 1
    assert "exit" in first
    assert len(told_by(script).told) == 3 * AT_ONCE_MAX + 1


@pytest.mark.parametrize("ticks", [0, 1, 2])
def test_a_desk_that_is_stopped_holds_up_nobody_who_waits_behind_it(ticks: int) -> None:
    """Whether the question was taken up, had its task, or neither."""

    async def run() -> bool:
        desk = Desk(is_ordered=True)
        desk.here.gate.clear()
        running = asyncio.create_task(desk.desk.run())
        desk.asks("asked")
        await asyncio.sleep(1)
        desk.asks("not begun")
        behind = desk.turns.place()
        for _ in range(ticks):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        async with asyncio.timeout(1), behind:
            return True

    assert run_virtual(run())


def test_levels_far_beyond_what_is_wanted_are_not_told() -> None:
    assert enough(LEVELS, D(5)) == LEVELS[:1]
    assert enough(LEVELS, D(15)) == LEVELS[:2]
    assert enough(LEVELS, D(10_000)) == LEVELS
