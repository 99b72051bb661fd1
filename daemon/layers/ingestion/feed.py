"""Layer 1's coroutine: turns one exchange's stream and REST candles into closed bars without gaps.

Belongs here: waiting and asking. Judging one candle belongs to `gate`, one instrument's state to
`track`, what goes out and in which order to `publisher`, paging to `history`.
"""

from __future__ import annotations

import asyncio
import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from daemon.core.errors import ExchangeUnreachable
from daemon.core.timeframes import NS_PER_MS, floor_to_grid
from daemon.layers.ingestion.feed_config import Transport
from daemon.layers.ingestion.gate import open_time_ns, slot_of
from daemon.layers.ingestion.grid import closed_rows
from daemon.layers.ingestion.publisher import Publisher
from daemon.layers.ingestion.track import Track
from daemon.layers.ingestion.trades import TradeBars
from daemon.layers.ingestion.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
    from random import Random

    from daemon.core.bars import Bar, RawBar
    from daemon.core.clock import Clock
    from daemon.core.events import Input
    from daemon.core.instruments import InstrumentId
    from daemon.core.ports import MarketData
    from daemon.layers.ingestion.feed_config import FeedConfig, FeedCounts

WAKE_MAX_S = 5.0  # the machine may have slept, or the market clock been put right
STOP_STREAM_S = 5.0


class Monotonic(Protocol):
    """The wire clock as the feed needs it."""

    def monotonic_s(self) -> float: ...


class Feed:
    """Closed bars of all instruments of one exchange; each is published once, in order.

    `last` are the newest bars that are known already, per instrument: everything after them is
    fetched before the stream's bars are let through. `ready` is set once every stream has said
    something. `recent` bars, oldest first, are what the next ones are believable beside.
    """

    def __init__(
        self,
        market_data: MarketData,
        instruments: Sequence[InstrumentId],
        *,
        timeframe_ns: int,
        market_clock: Clock,
        wire: Monotonic,
        publish: Callable[[Input], Awaitable[None]],
        rng: Random,
        config: FeedConfig,
        last: Mapping[InstrumentId, Bar],
        recent: Mapping[InstrumentId, Iterable[Bar]] = MappingProxyType({}),
    ) -> None:
        self.ready = asyncio.Event()
        self._followers = {
            instrument: _Follower(
                Track(
                    instrument,
                    timeframe_ns,
                    last.get(instrument),
                    config,
                    rng,
                    recent=recent.get(instrument, ()),
                ),
                market_data,
                timeframe_ns=timeframe_ns,
                market_clock=market_clock,
                wire=wire,
                publish=publish,
                config=config,
                on_ready=self._on_ready,
            )
            for instrument in instruments
        }

    def counts(self, instrument: InstrumentId) -> FeedCounts:
        """What became of the instrument's candles so far."""
        return self._followers[instrument].track.counts

    @property
    def dropped(self) -> int:
        """Stream messages let go because nobody took them; their bars are fetched again."""
        return sum(each.track.counts.dropped for each in self._followers.values())

    def look_again(self) -> None:
        """We were blind for a while and nobody noticed: ask REST for everything since the last
        bar.
        """
        for follower in self._followers.values():
            follower.look_again()

    async def run(self) -> None:
        """Until cancelled; an exchange that is away is waited for, never a reason to end."""
        async with asyncio.TaskGroup() as tasks:
            for follower in self._followers.values():
                tasks.create_task(follower.run(tasks))

    def _on_ready(self) -> None:
        if all(each.track.is_ready for each in self._followers.values()):
            self.ready.set()


class _Follower:
    """One instrument: subscribes, fetches what happened meanwhile, then takes what comes."""

    def __init__(
        self,
        track: Track,
        market_data: MarketData,
        *,
        timeframe_ns: int,
        market_clock: Clock,
        wire: Monotonic,
        publish: Callable[[Input], Awaitable[None]],
        config: FeedConfig,
        on_ready: Callable[[], None],
    ) -> None:
        self.track = track
        self._market_data = market_data
        self._timeframe_ns = timeframe_ns
        self._wire = wire
        self._config = config
        self._on_ready = on_ready
        self._speakers = "neither stream nor REST" if config.has_stream else "nobody"
        # Where every slot has a candle, a finished one has another behind it.
        self._is_followed = config.venue_sends_empty_bars and not config.is_lockstep
        self._waiting = Waiting(track.counts)
        self._tasks: asyncio.TaskGroup
        self._rereading: asyncio.Task[None] | None = None
        self._publisher = Publisher(
            track,
            market_data,
            timeframe_ns=timeframe_ns,
            market_clock=market_clock,
            publish=publish,
            config=config,
        )

    async def run(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        track, now_s = self.track, self._wire.monotonic_s()
        if track.next_open_ns is None and not self._config.is_lockstep:
            track.next_open_ns = floor_to_grid(self._publisher.now_ns(), self._timeframe_ns)
        track.start(now_s)
        pump = tasks.create_task(self._pump()) if self._config.has_stream else None
        while True:
            wait_s = self._wake_s() - self._wire.monotonic_s()
            message = await self._waiting.get(min(wait_s, WAKE_MAX_S))
            if isinstance(message, str):
                track.note_broken()
                await self._go_stale(message, self._config.patience_s)
            elif message is not None:
                await self._take(message)
            if self._wire.monotonic_s() >= self._wake_s():
                await self._on_timer()
            if pump is not None and self._wire.monotonic_s() >= track.reconnect_at_s:
                pump.cancel()
                await asyncio.wait({pump}, timeout=STOP_STREAM_S)
                track.note_reconnect(self._wire.monotonic_s())
                pump = tasks.create_task(self._pump())

    def look_again(self) -> None:
        if self.track.next_open_ns is not None:
            self.track.was_blind = True
            self.track.poll_at_s = self._wire.monotonic_s()

    async def _pump(self) -> None:
        """Nothing but copying: a consumer that is busy loses stream messages."""
        while True:
            reason = "the stream ended"
            try:
                async for raw in self._candles():
                    self._waiting.put(raw)
            except ExchangeUnreachable as error:
                reason = str(error)
            except Exception as error:  # noqa: BLE001  # whatever a stream raises, it has ended
                reason = f"the stream raised {type(error).__name__}"
            self._waiting.put_broken(reason)
            await asyncio.sleep(self.track.next_backoff_s())

    def _candles(self) -> AsyncIterator[RawBar]:
        if self._config.transport is Transport.TRADES:
            return self._built()
        return self._market_data.watch(self.track.instrument)

    async def _built(self) -> AsyncIterator[RawBar]:
        """Candles made of trades; what one connection has not seen whole is not made up later."""
        bars = TradeBars(self._timeframe_ns // NS_PER_MS, self.track.counts.trades)
        async for trade in self._market_data.trades(self.track.instrument):
            for raw in bars.take(trade, self._publisher.now_ns() // NS_PER_MS):
                yield raw

    async def _take(self, raw: RawBar) -> None:
        """One message of the stream."""
        track, now_s = self.track, self._wire.monotonic_s()
        if not track.is_ready:
            self._set_ready()
            track.poll_at_s = now_s
        if track.note_stream(raw, now_s, self._publisher.now_ns()) and track.is_stale:
            await self._publisher.recovered()
        closed = track.closed_by(raw)
        if closed is None or track.is_distrusted:
            if track.poll_at_s is None and (closed is not None or track.is_past_due(raw)):
                track.poll_at_s = now_s
            return
        if track.is_made_too_late(closed):
            return
        bar, is_after_hole = await self._publisher.candle(closed)
        if bar is None:
            return
        if is_after_hole:
            await self._fill(bar.open_ns)
        believed = await self._publisher.emit(bar)
        if believed is not None:
            track.remember_reread(believed, self._wire.monotonic_s())

    async def _on_timer(self) -> None:
        track, now_s = self.track, self._wire.monotonic_s()
        if now_s >= self._poll_s():
            is_first = not track.is_caught_up
            self._set_ready()
            await self._poll(is_first=is_first)
        if now_s >= track.stale_at_s:
            await self._go_stale(track.behind_why, 0.0)
        if now_s >= track.look_at_s:
            await self._look()
        is_rereading = self._rereading is not None and not self._rereading.done()
        due = {} if is_rereading else track.due_rereads(now_s)
        if due:
            # Beside everything else: a bar that closes now must not wait for one of the past.
            self._rereading = self._tasks.create_task(self._reread(due))

    async def _reread(self, due: dict[Bar, int]) -> None:
        """Compare bars with what REST tells once the venue has settled them."""
        track = self.track
        try:
            left = await self._publisher.reread(list(due))
        except ExchangeUnreachable:
            track.counts.unanswered += 1
            for bar, tries in due.items():
                track.remember_reread(bar, self._wire.monotonic_s(), tries)
            return
        for bar in left:
            track.remember_reread(bar, self._wire.monotonic_s(), due[bar] + 1)

    def _wake_s(self) -> float:
        track = self.track
        is_rereading = self._rereading is not None and not self._rereading.done()
        reread_at_s = math.inf if is_rereading else track.reread_at_s
        due = (track.stale_at_s, track.reconnect_at_s, reread_at_s, track.look_at_s)
        return min(self._poll_s(), *due)

    def _poll_s(self) -> float:
        now_s = self._wire.monotonic_s()
        return self.track.poll_due_s(now_s, self._publisher.now_ns())

    async def _poll(self, *, is_first: bool) -> None:
        """Ask for everything since the last bar; what the stream did not show counts against it."""
        track = self.track
        by_ns = self._publisher.now_ns() - track.settle_ns
        rows = await self._publisher.ask(by_ns)
        published: list[Bar] = []
        if rows is not None:
            track.is_caught_up = True
            # No clock is as good as the venue's own word that the next slot has begun.
            closed_by_ns = 0 if self._is_followed else by_ns
            closed = closed_rows(rows, self._timeframe_ns, closed_by_ns)
            is_current = track.note_reply(
                closed, self._wire.monotonic_s(), self._publisher.now_ns()
            )
            if is_current and track.is_stale:
                await self._publisher.recovered()
            published = await self._publisher.rows(closed)
        now_s, now_ns = self._wire.monotonic_s(), self._publisher.now_ns()
        for bar in published:
            track.remember_reread(bar, now_s)
        if rows is None:
            track.fall_behind(now_s, f"{self._speakers} speaks")
        elif self._config.has_stream and not (is_first or all(map(track.has_told, published))):
            track.fall_behind(now_s, "the stream is behind REST")
        elif not published and track.is_overdue(now_ns):
            track.fall_behind(now_s, f"{self._speakers} has a bar that is due")
        if track.is_in_doubt:
            track.confirm_later(now_s)
        elif not published:
            track.ask_later(now_s, now_ns)

    async def _look(self) -> None:
        """The stream is silent inside a bar: when REST is not, the stream has fallen behind."""
        track = self.track
        heard_s = track.heard_s
        rows = await self._publisher.glance()
        track.looked_s = self._wire.monotonic_s()
        if track.heard_s != heard_s:
            return
        if rows is None:
            track.fall_behind(track.looked_s, "neither stream nor REST speaks")
        elif track.is_overtaken_by(rows):
            track.fall_behind(track.looked_s, "REST moves on and the stream is silent")

    async def _fill(self, open_ns: int) -> None:
        """Fetch every slot before `open_ns`; what the venue does not have is told as missed.

        Only replies that reach `open_ns` prove that a slot before it is empty: one that ends
        earlier may just lag. When nobody answers for `ask_limit_s` the hole is an outage.
        """
        track = self.track
        limit_s = self._wire.monotonic_s() + self._config.ask_limit_s
        while True:
            rows = await self._publisher.ask(open_ns + self._timeframe_ns)
            opens = [slot_of(raw, self._timeframe_ns) or 0 for raw in rows or ()]
            if rows and max(opens) >= open_ns:
                before = [raw for raw in rows if (open_time_ns(raw) or 0) < open_ns]
                await self._publisher.rows(before, open_ns)
                if not track.is_in_doubt:
                    return
                await asyncio.sleep(track.confirm_s)
                continue
            if self._wire.monotonic_s() >= limit_s:
                track.was_blind = True
                break
            if rows is None and not track.is_stale:
                await self._go_stale("bars are missing and REST does not answer", math.inf)
            await asyncio.sleep(track.next_ask_s())
        await self._publisher.miss(open_ns)

    async def _go_stale(self, why: str, reconnect_in_s: float) -> None:
        now_s = self._wire.monotonic_s()
        self.track.was_blind = True
        if not self.track.is_stale:
            if self._config.has_stream:
                self.track.reconnect_at_s = now_s + reconnect_in_s
            silent_s = now_s - self.track.heard_s
            await self._publisher.stale(silent_s, f"{why}; REST is polled until it recovers")

    def _set_ready(self) -> None:
        if not self.track.is_ready:
            self.track.is_ready = True
            self._on_ready()
