"""Reads order books for decisions: from the core's question to one answer that always comes.

Belongs here: which book is asked where, for how long, and how much of it is told. What a quote
means for an order belongs to risk and execution.
"""

from __future__ import annotations

import asyncio
from collections import deque
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from daemon.core.errors import TradingdError
from daemon.core.events import Direction, Quote, QuotesTaken

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from daemon.core.events import AskQuotes
    from daemon.core.instruments import InstrumentId
    from daemon.core.ports import Book
    from daemon.running.world.sites import Site
    from daemon.venues.turns import Place, Turns

LEVELS = 50
AT_ONCE_MAX = 20
TOLD_NOTIONALS = 10  # levels that hold so many times what is wanted say enough
LOCKSTEP_WITHIN_S = 120.0  # that market waits for us

Levels = tuple[tuple[Decimal, Decimal], ...]


class QuoteDesk:
    """Answers questions of all exchanges; where `turns` are ordered, one after the other as they
    came, between the orders that were asked for before and after.

    Else so many at once, and those for exits beside them: an exit waits for no entry.
    """

    def __init__(
        self,
        sites: Mapping[str, Site],
        put: Callable[[QuotesTaken], Awaitable[None]],
        *,
        within_s: float,
        turns: Turns,
    ) -> None:
        self._sites = sites
        self._put = put
        self._within_s = LOCKSTEP_WITHIN_S if turns.is_ordered else within_s
        self._turns = turns
        self._asked: deque[tuple[AskQuotes, Place]] = deque()
        self._open: set[tuple[str, Direction]] = set()
        self._posted = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def in_flight(self) -> int:
        return len(self._asked) + len(self._tasks)

    def post(self, question: AskQuotes) -> None:
        """Take a question; one that is being answered already is not asked twice, except in turn:
        whether its answer has come is chance.
        """
        key = (question.trace, question.direction)
        if key not in self._open or self._turns.is_ordered:
            self._open.add(key)
            self._asked.append((question, self._turns.place()))
            self._posted.set()

    async def run(self) -> None:
        """Until cancelled; what is asked and not answered by then is given up by the core."""
        try:
            while True:
                await self._posted.wait()
                self._posted.clear()
                self._start()
        finally:
            for _, place in self._asked:
                place.leave()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self) -> None:
        """Answer what may be answered now, in the order of asking."""
        waiting, self._asked = self._asked, deque()
        for question, place in waiting:
            is_urgent = question.direction is Direction.FLAT or self._turns.is_ordered
            if is_urgent or len(self._tasks) < AT_ONCE_MAX:
                task = asyncio.create_task(self._answer_in(place, question))
                self._tasks.add(task)
                task.add_done_callback(partial(self._done, place))
            else:
                self._asked.append((question, place))

    def _done(self, place: Place, task: asyncio.Task[None]) -> None:
        place.leave()  # one that was cancelled before it began has not
        self._tasks.discard(task)
        self._posted.set()

    async def _answer_in(self, place: Place, question: AskQuotes) -> None:
        try:
            async with place:
                await self._answer(question)
        finally:
            self._open.discard((question.trace, question.direction))

    async def _answer(self, question: AskQuotes) -> None:
        quotes = [self._quote(each, question) for each in question.instruments]
        taken = tuple(await asyncio.gather(*quotes))
        now_ns = max(self._sites[each.instrument.exchange].clock.now_ns() for each in taken)
        await self._put(
            QuotesTaken(
                ts_ns=max(question.ts_ns, now_ns),
                instrument=question.instrument,
                trace=question.trace,
                direction=question.direction,
                quotes=taken,
            )
        )

    async def _quote(self, instrument: InstrumentId, question: AskQuotes) -> Quote:
        site = self._sites[instrument.exchange]
        book, error = None, ""
        try:
            async with asyncio.timeout(self._within_s):
                book = await site.market_data.book(instrument, LEVELS)
        except TimeoutError:
            error = f"no book within {self._within_s:g} s"
        except TradingdError as refused:
            error = str(refused)
        except Exception as odd:  # noqa: BLE001  # an exit must have an answer, whatever happened
            error = f"the book cannot be read ({type(odd).__name__})"
        return _told(instrument, site.clock.now_ns(), book, error, question.notional_quote)


def _told(
    instrument: InstrumentId, taken_ns: int, book: Book | None, error: str, notional: Decimal
) -> Quote:
    if book is None:
        return Quote(instrument=instrument, taken_ns=taken_ns, error=error)
    return Quote(
        instrument=instrument,
        taken_ns=taken_ns,
        bids=enough(book.bids, notional),
        asks=enough(book.asks, notional),
    )


def enough(levels: Levels, notional: Decimal) -> Levels:
    """The first levels, best first, that hold many times what is wanted."""
    told: list[tuple[Decimal, Decimal]] = []
    held = Decimal(0)
    for price, quantity in levels:
        told.append((price, quantity))
        held += price * quantity
        if held >= TOLD_NOTIONALS * notional:
            break
    return tuple(told)
