"""The separate health task: asks the core for a sample of its own skill, in bars and in market
time.

Belongs here: when to sample. What a sample says is computed inside the step, so that a replay says
the same.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.core.events import BarsClosed, Event, HealthTick
from daemon.core.timeframes import DAY_NS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class HealthTask:
    """Posts a HealthTick every `every_bars` slots of market time, or once a day of it, whichever is
    first.
    """

    def __init__(
        self,
        publish: Callable[[HealthTick], Awaitable[None]],
        *,
        every_bars: int,
        timeframe_ns: int,
    ) -> None:
        self._publish = publish
        self._every_ns = min(every_bars * timeframe_ns, max(DAY_NS, timeframe_ns))
        self._last_ns: int | None = None
        self._due_ns: int | None = None
        self._wake = asyncio.Event()

    @property
    def is_due(self) -> bool:
        """True from the moment a sample is owed until its tick is in the queue."""
        return self._due_ns is not None

    def recall(self, event: Event) -> None:
        """Hear of an event that an earlier process committed, in the order of the journal.

        So samples fall on the same bars whether a run was interrupted or not; one that was owed
        when it ended comes first.
        """
        if isinstance(event, HealthTick):
            self._due_ns = None
        else:
            self.note((event,))

    def note(self, events: tuple[Event, ...]) -> None:
        """Hear of a committed step."""
        first = events[0]
        if not isinstance(first, BarsClosed):
            return
        # Counted on the grid: a bar that arrives a little earlier than the last one still counts.
        close_ns = max(bar.close_ns for bar in first.bars)
        if self._last_ns is None:
            self._last_ns = close_ns
        elif close_ns - self._last_ns >= self._every_ns:
            self._last_ns, self._due_ns = close_ns, first.ts_ns
            self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._due_ns is not None:
                await self._publish(HealthTick(ts_ns=self._due_ns))
                self._due_ns = None
