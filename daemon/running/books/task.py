"""When the books of one running exchange are compared: now and then, and soon after anything that
may have been missed.

Belongs here: the occasions, and saying that there was no answer. Comparing belongs to
`books.watch`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.core.errors import ExchangeUnreachable, LiveRefused
from daemon.core.events import OrderAbsent, OrderAccepted, OrderCompleted, ResumeRequested
from daemon.core.timeframes import NS_PER_S
from daemon.running.books.watch import (
    OVERLAP_S,
    PATIENCES_MAX,
    SETTLED_WITHIN_S,
    BookWatch,
    Hands,
    Restless,
    Rules,
)
from daemon.venues.budget import Use
from daemon.venues.ccxt_budget import using

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.config.sections import ExecutionSection
    from daemon.core.events import Event, Input, LookUpOrder
    from daemon.running.books.reconcile import Books
    from daemon.running.world.sites import Site
    from daemon.venues.outbox import Outbox

    Publish = Callable[[Input], Awaitable[None]]

OVERLAP_BARS = 2
SOON_SHARE = 0.25  # of the usual wait: news seldom come alone, and readings cost the budget
REST_WITHIN_S = 30.0
UNREAD_MAX = 5.0  # usual waits without a comparison, after which nobody knows what is there
LASTS_MIN_S = 120.0  # what one comparison may take at least, however often they are made
NOTHING: dict[str, object] = {}


async def _to_nobody(_why: str) -> None: ...


class BookTask:
    """Compares the books of one site; `rest` waits until every input that has come is a step.

    `on_unread` hears why there was no comparison for long, and an empty text after each one.
    """

    def __init__(
        self,
        site: Site,
        config: ExecutionSection,
        outbox: Outbox,
        *,
        put: Publish,
        rest: Callable[[], Awaitable[None]],
        emit: Callable[..., None],
        on_unread: Callable[[str], Awaitable[None]] = _to_nobody,
    ) -> None:
        self._site = site
        self._config = config
        self._outbox = outbox
        self._rest = rest
        self._emit = emit
        self._watch: BookWatch | None = None
        self._news = asyncio.Event()
        self._on_unread = on_unread
        self._is_unread = False
        self._failing_since_s: float | None = None
        self._turn = asyncio.Lock()
        self._hands = Hands(
            enter=put, look_up=self._look_up, rest=self._at_rest, now_ns=site.clock.now_ns
        )
        site.tell_doubts_to(self.soon)

    def watch(self, books: Books, timeframe_ns: int) -> BookWatch:
        """Make the one that compares; a start uses it first."""
        config = self._config
        bars_s = OVERLAP_BARS * timeframe_ns / NS_PER_S
        self._watch = BookWatch(
            self._site.exchange,
            self._site.venue,
            books,
            Rules(patience_s=config.reconcile_patience_s, foreign=config.foreign),
            overlap_s=max(bars_s, OVERLAP_S * self._site.market_rate),
        )
        return self._watch

    def status(self) -> dict[str, object]:
        return NOTHING if self._watch is None else self._watch.status()

    def soon(self) -> None:
        """Something may have been missed, or an order has come to its end."""
        self._news.set()

    def note(self, events: tuple[Event, ...]) -> None:
        """Hear of a committed step."""
        for event in events:
            if isinstance(event, ResumeRequested) or (
                isinstance(event, OrderCompleted | OrderAbsent | OrderAccepted)
                and event.instrument.exchange == self._site.exchange
            ):
                self.soon()

    async def run(self) -> None:
        """Until cancelled."""
        every_s = self._config.reconcile_every_s
        while True:
            await asyncio.sleep(every_s * SOON_SHARE)
            try:
                async with asyncio.timeout(every_s * (1.0 - SOON_SHARE)):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            await self.compare()

    async def compare(self) -> None:
        """Once; what comes of it is in the journal, the log and the status."""
        async with self._turn:
            await self._compare()

    async def _compare(self) -> None:
        watch = self._watch
        assert watch is not None, "a start compares first"
        began_s = asyncio.get_running_loop().time()
        within_s = self._within_s()
        try:
            # So that it leaves room to orders, and to look-ups of theirs.
            with using(Use.LIVE):
                async with asyncio.timeout(within_s):
                    is_equal = await watch.check(self._hands)
        except Restless:
            self._emit("books.restless", exchange=self._site.exchange)
            await self._missed("its orders moved at every reading", began_s)
        except (ExchangeUnreachable, LiveRefused) as error:
            await self._unread(str(error), began_s)
        except TimeoutError:  # a question that is never answered is as good as no answer
            await self._unread(f"it was not done within {within_s:.0f} s", began_s)
        else:
            self._is_unread, self._failing_since_s = False, None
            await self._on_unread("")
            told = watch.status()
            self._emit(
                "books.compared",
                exchange=self._site.exchange,
                equal=is_equal,
                readings=told["readings"],
                missed_fills=told["missed_fills"],
            )

    def _within_s(self) -> float:
        """One that takes longer hangs: what differs is looked at for its patience and more."""
        lasts_s = self._config.reconcile_patience_s * PATIENCES_MAX + SETTLED_WITHIN_S
        return max(UNREAD_MAX * self._config.reconcile_every_s, LASTS_MIN_S + lasts_s)

    async def _unread(self, why: str, began_s: float) -> None:
        if not self._is_unread:
            self._emit("books.unread", exchange=self._site.exchange, error=why)
        self._is_unread = True
        await self._missed(why, began_s)

    async def _missed(self, why: str, began_s: float) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._failing_since_s is None:
            self._failing_since_s = began_s
        for_s = now_s - self._failing_since_s
        if for_s >= UNREAD_MAX * self._config.reconcile_every_s:
            await self._on_unread(f"no comparison with its account for {for_s:.0f} s: {why}")

    async def _look_up(self, command: LookUpOrder) -> None:
        self._outbox.post(command)

    async def _at_rest(self) -> None:
        try:
            async with asyncio.timeout(REST_WITHIN_S):
                await self._outbox.idle()
                await self._rest()
        except TimeoutError:
            raise Restless from None
