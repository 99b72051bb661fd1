"""The tasks that keep one exchange of a running daemon: its feed, its outbox, its clock, its
process.

Belongs here: what is done for each exchange by itself, so that one that is away holds up no other.
What they share, queue and loop, belongs to `live`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, TypeVar

from daemon.core.errors import ExchangeUnreachable, TradingdError
from daemon.core.events import BarsClosed, BarsMissed, ExchangeBack, ExchangeLost
from daemon.core.timeframes import timeframe_ns
from daemon.layers.ingestion.feed import Feed
from daemon.layers.ingestion.feed_config import FeedConfig, Transport
from daemon.running.books.task import BookTask
from daemon.running.clock_watch import ClockWatch
from daemon.running.key_watch import KeyWatch
from daemon.running.listing_watch import ListingWatch
from daemon.running.world.exchange_process import ExchangeProcess
from daemon.venues.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
    from pathlib import Path

    from daemon.config import Settings
    from daemon.core.bars import Bar
    from daemon.core.clock import WireClock
    from daemon.core.events import Event, Input
    from daemon.core.instruments import InstrumentId
    from daemon.running.books.reconcile import Books
    from daemon.running.books.watch import BookWatch
    from daemon.running.reporting import Reporter
    from daemon.running.world.live_account import LiveKey
    from daemon.running.world.sites import Site
    from daemon.venues.embedded_link import EmbeddedLink, ExchangeClock
    from daemon.venues.turns import Turns

    Publish = Callable[[Input], Awaitable[None]]

T = TypeVar("T")
CLOCK_EVERY_S = 1.0
SILENCE_MIN_S = 2.0
SILENCE_PER_SYMBOL_S = 0.1  # a slot of many symbols takes its time, on both sides
REVISION_CHECK_S = 5.0
RESTART_AGAIN_S = 5.0
IT, ITS_ACCOUNT = "it", "its account"


class SiteTasks:
    """One exchange at work; `on_over` hears when its market will bring nothing more to this run."""

    def __init__(
        self,
        site: Site,
        settings: Settings,
        *,
        wire: WireClock,
        reporter: Reporter,
        put: Publish,
        stop: asyncio.Event,
        is_quiet: Callable[[], bool],
        rest: Callable[[], Awaitable[None]],
        on_over: Callable[[], None],
        turns: Turns,
        fence: Callable[[bool], str],
    ) -> None:
        self.site = site
        self.outbox = Outbox(
            site.venue,
            put,
            turns=turns,
            # In lock-step the replies tell all, in the order of the requests; what a stream tells
            # beside them comes sooner or later from run to run.
            is_listening=not site.is_lockstep,
            is_following=not site.is_lockstep,
            fence=fence,
        )
        self.is_over = False
        self._missing: set[str] = set()  # what of it is not reached
        self._settings = settings
        self._timeframe_ns = timeframe_ns(settings.data.timeframe)
        self._wire = wire
        self._reporter = reporter
        self._stop = stop
        self._put = put
        self._is_quiet = is_quiet
        self._on_over = on_over
        self._end_ns: int | None = None
        self._feed: Feed | None = None
        self.clock_watch = ClockWatch(
            site.exchange,
            self._wire_ns,
            wire=wire,
            limit_ms=settings.execution.clock_offset_max_ms,
            market_ns=site.clock.now_ns,
            put=put,
            emit=reporter.emit,
            on_time=self._on_wire_time,
            on_jump=self._on_jump,
        )
        self._books = BookTask(
            site,
            settings.execution,
            self.outbox,
            put=put,
            rest=rest,
            emit=reporter.emit,
            on_unread=self._on_unread,
        )
        reporter.watch_clock(site.exchange, self.clock_watch.status)
        reporter.watch_exchange(site.exchange, self.status)

    def feed(
        self,
        publish: Publish,
        last: Mapping[InstrumentId, Bar],
        recent: Mapping[InstrumentId, Iterable[Bar]],
        end_ns: int | None,
    ) -> Feed:
        """Its bars behind `last` into `publish`, up to the one that closes at `end_ns`."""
        self._end_ns = end_ns
        site, data = self.site, self._settings.data
        # The embedded exchange revises nothing, but what is made of its trades is still our work.
        is_checked = site.link is None or site.transport is Transport.TRADES
        config = FeedConfig(
            transport=site.transport,
            market_rate=site.market_rate,
            stale_after_s=data.stale_after_s,
            revision_check_s=REVISION_CHECK_S if is_checked else None,
            lockstep_silence_s=max(SILENCE_MIN_S, SILENCE_PER_SYMBOL_S * len(site.instruments)),
            venue_sends_empty_bars=site.sends_empty_bars,
            page_limit=site.page_limit,
            spike_scale=data.spike_scale,
        )

        async def until_end(event: Input) -> None:
            if not self._is_too_late(event):
                await publish(event)

        self._feed = Feed(
            site.market_data,
            [each.id for each in site.instruments],
            timeframe_ns=timeframe_ns(data.fetched_timeframe),
            market_clock=site.clock,
            wire=self._wire,
            publish=until_end,
            rng=random.Random(self._settings.run.seed),  # noqa: S311  # jitter, not secrets
            config=config,
            last=last,
            recent=recent,
        )
        return self._feed

    @property
    def coalesced(self) -> int:
        """Stream messages let go while the queue had no room."""
        return 0 if self._feed is None else self._feed.dropped

    def work(self) -> list[Coroutine[object, object, None]]:
        """What runs beside the feed until it is cancelled."""
        tasks = [self.outbox.run(), self.clock_watch.run(), self._mind_process()]
        if self.site.paper is not None and not self.site.is_lockstep:  # there each slot looks
            tasks.append(self.site.paper.watch(self._put))
        if not self.site.is_lockstep:  # there slots are counted, and whoever counts them asks
            tasks.append(self._books.run())
            site, put = self.site, self._put
            tasks.append(
                ListingWatch(
                    site.market_data,
                    site.instruments,
                    now_ns=site.clock.now_ns,
                    put=put,
                    untraded=site.untraded,
                ).run()
            )
        if self.site.key is not None:
            tasks.append(self._watch_key(self.site.key))
        return tasks if self.site.link is None else [*tasks, self._follow_clock(self.site.link)]

    def _watch_key(self, key: LiveKey) -> Coroutine[object, object, None]:
        return KeyWatch(
            self.site.exchange,
            key.ask,
            market_ns=self.site.clock.now_ns,
            put=self._put,
            emit=self._reporter.emit,
        ).run(key.remarks)

    @property
    def is_lost(self) -> bool:
        return bool(self._missing)

    def status(self) -> dict[str, object]:
        """For people: whether it answers, and how many orders still wait for its word."""
        state = "lost" if self.is_lost else "over" if self.is_over else "ok"
        told: dict[str, object] = {"state": state, "in_flight": self.outbox.in_flight}
        return told | {"books": self._books.status()}

    def note(self, events: tuple[Event, ...]) -> None:
        """Hear of a committed step."""
        self._books.note(events)

    def watch_books(self, books: Books) -> BookWatch:
        """Whoever compares them, from the start on."""
        return self._books.watch(books, self._timeframe_ns)

    async def compare_books(self) -> None:
        await self._books.compare()

    def compare_soon(self) -> None:
        self._books.soon()

    def on_clock(self, now: ExchangeClock) -> None:
        """Hear what an embedded exchange says of its market time."""
        self.site.clock.anchor(now.market_ns, now.rate)
        is_last = self._end_ns is not None and now.market_ns > self._end_ns + self._timeframe_ns
        if (now.ended or is_last) and self._is_quiet():
            self._end()

    def _is_too_late(self, event: Input) -> bool:
        """Nothing after the last slot of the run enters, and after a stop neither bars nor holes.

        A hole that is told behind bars that were kept out would, after a resume, stand for them.
        """
        if not isinstance(event, BarsClosed | BarsMissed):
            return False
        if self._stop.is_set():
            return True
        if isinstance(event, BarsMissed):
            return False
        if self._end_ns is not None and any(bar.close_ns > self._end_ns for bar in event.bars):
            self._end()
            return True
        return False

    def _end(self) -> None:
        self.is_over = True
        self._on_over()

    def _on_wire_time(self, exchange_ns: int) -> None:
        """A real exchange's market time is its wire time; an embedded one's is its own affair."""
        self.site.on_wire_time(exchange_ns)
        if self.site.link is None:
            self.site.clock.anchor(exchange_ns)

    def _on_jump(self) -> None:
        if self._feed is not None and not self.site.is_lockstep:  # that market has waited
            self._feed.look_again()

    async def _wire_ns(self) -> int:
        return await self._asked(self.site.market_data.server_ns())

    async def _follow_clock(self, link: EmbeddedLink) -> None:
        """Keep the market clock on the exchange's, and hear when its market has ended."""
        while True:
            await asyncio.sleep(CLOCK_EVERY_S)
            with contextlib.suppress(ExchangeUnreachable):
                self.on_clock(await self._asked(link.clock()))

    async def _asked(self, question: Awaitable[T]) -> T:
        try:
            answer = await question
        except ExchangeUnreachable as error:
            if IT not in self._missing:
                await self._lost(str(error))
            raise
        await self._back(IT)
        return answer

    async def _on_unread(self, why: str) -> None:
        """An account that nobody can read is as good as lost, though its exchange tells the time:
        what is ordered there may have been filled, or be gone.
        """
        if not why:
            await self._back(ITS_ACCOUNT)
        elif ITS_ACCOUNT not in self._missing:
            await self._lost(why, ITS_ACCOUNT)

    async def _mind_process(self) -> None:
        """An embedded exchange that dies is started again on its own ledger; the feed finds it by
        itself.
        """
        site = self.site
        if site.process is None or site.state_dir is None:
            return await asyncio.Event().wait()  # type: ignore[return-value]  # never
        while True:
            code = await site.process.died()
            await self._lost(
                "its process has ended" if code is None else f"its process ended with {code}"
            )
            site.process = await self._started_again(site.state_dir, site.process.endpoint.rest)
            self._reporter.exchange_started(site.exchange, site.process.endpoint)

    async def _started_again(self, state_dir: Path, rest: str) -> ExchangeProcess:
        """The exchange on its ledger, where its clients look for it; tried until it is there."""
        while True:
            try:
                process = await ExchangeProcess.start(state_dir, None)
            except TradingdError as error:
                await self._lost(f"it cannot be started again: {str(error) or 'see above'}")
            else:
                if process.endpoint.rest == rest:
                    return process
                await process.stop()
                await self._lost(f"it came back at {process.endpoint.rest} instead of {rest}")
            await asyncio.sleep(RESTART_AGAIN_S)

    async def _lost(self, error: str, what: str = IT) -> None:
        """Tell people each time, and the core when that is news: it opens nothing there then."""
        exchange = self.site.exchange
        self._reporter.emit("exchange.lost", exchange=exchange, error=error)
        is_news = not self.is_lost
        self._missing.add(what)
        if is_news:
            now_ns = self.site.clock.now_ns()
            await self._put(ExchangeLost(ts_ns=now_ns, exchange=exchange, error=error))

    async def _back(self, what: str) -> None:
        was_lost = self.is_lost
        self._missing.discard(what)
        if was_lost and not self.is_lost:
            back = ExchangeBack(ts_ns=self.site.clock.now_ns(), exchange=self.site.exchange)
            await self._put(back)
