"""The one bounded queue: all that enters the daemon, in the order in which it will be believed.

A bar that was let in is never taken out again, so its instrument's order is the journal's. When
there is no room the feed waits, one bar per instrument; what its stream says meanwhile coalesces in
the feed, which fetches what it let go (`layers/ingestion/waiting`). Order reports, operator
commands and ticks have room of their own and go first. A bar that waited is stamped with the moment
it is taken, so that it is not decided on as if it were fresh.
Belongs here: order and room. What an input means belongs to the layers.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from daemon.core.events import (
    BarRejected,
    BarRevised,
    BarsClosed,
    BarsMissed,
    FeedRecovered,
    FeedStale,
    HistoryLoaded,
    Input,
)

if TYPE_CHECKING:
    from daemon.core.bars import Bar
    from daemon.core.instruments import InstrumentId

MARKET_MAX = 4_096
URGENT_MAX = 65_536
MARKET_EVENTS = (
    BarsClosed,
    BarsMissed,
    BarRejected,
    BarRevised,
    FeedStale,
    FeedRecovered,
    HistoryLoaded,
)


class Inbox:
    """Two lanes, one consumer."""

    def __init__(
        self, market_max: int = MARKET_MAX, now_ns: Callable[[BarsClosed], int] | None = None
    ) -> None:
        """`now_ns` is the market time of these bars; without it they keep their own stamp, as in
        lock-step, where the market stands while they wait.
        """
        self._market_max = market_max
        self._now_ns = now_ns
        self._market: deque[Input] = deque()
        self._urgent: deque[Input] = deque()
        self._arrived = asyncio.Event()
        self._for_room: deque[tuple[Input, asyncio.Future[None]]] = deque()
        self.waits_for_room = 0

    def __len__(self) -> int:
        return len(self._market) + len(self._urgent)

    @property
    def depths(self) -> dict[str, tuple[int, int]]:
        """Of each lane how many wait and how many may, and who waits for room."""
        return {
            "market": (len(self._market), self._market_max),
            "urgent": (len(self._urgent), URGENT_MAX),
            "for_room": (len(self._for_room), self._market_max),
        }

    async def put(self, event: Input) -> None:
        """Queue one input; waits while the market lane is full, never for anything else."""
        if isinstance(event, MARKET_EVENTS):
            if self._for_room or len(self._market) >= self._market_max:
                await self._wait_for_room(event)
            else:
                self._market.append(event)
        else:
            assert len(self._urgent) < URGENT_MAX, (
                "order reports pile up: the daemon cannot keep up"
            )
            self._urgent.append(event)
        self._arrived.set()

    async def get(self) -> Input:
        """The next input; waiting bars of one slot become one cross-section, none is waited for."""
        while not (self._urgent or self._market):
            self._arrived.clear()
            await self._arrived.wait()
        if self._urgent:
            return self._urgent.popleft()
        event = self._market.popleft()
        if isinstance(event, BarsClosed):
            event = self._stamped(self._join(event))
        self._let_in()
        return event

    async def _wait_for_room(self, event: Input) -> None:
        """In the order of coming: whoever waits is let in before anybody who comes later."""
        self.waits_for_room += 1
        let_in = asyncio.get_running_loop().create_future()
        self._for_room.append((event, let_in))
        await let_in

    def _let_in(self) -> None:
        while self._for_room and len(self._market) < self._market_max:
            event, let_in = self._for_room.popleft()
            if not let_in.done():  # else whoever waited was cancelled
                self._market.append(event)
                let_in.set_result(None)

    def _stamped(self, event: BarsClosed) -> BarsClosed:
        if self._now_ns is None:
            return event
        return replace(event, ts_ns=max(event.ts_ns, self._now_ns(event)))

    def _join(self, first: BarsClosed) -> BarsClosed:
        bars: dict[InstrumentId, Bar] = {bar.instrument: bar for bar in first.bars}
        slots = {bar.close_ns for bar in first.bars}
        ts_ns = first.ts_ns
        while self._market and isinstance(following := self._market[0], BarsClosed):
            # How far the queue has run ahead is chance; what one cross-section holds must not be.
            if any(bar.instrument in bars or bar.close_ns not in slots for bar in following.bars):
                break
            self._market.popleft()
            bars.update((bar.instrument, bar) for bar in following.bars)
            ts_ns = max(ts_ns, following.ts_ns)
        if len(bars) == len(first.bars):
            return first
        joined = tuple(sorted(bars.values(), key=lambda bar: bar.instrument))
        return BarsClosed(ts_ns=ts_ns, bars=joined)
