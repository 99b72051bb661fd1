"""One instrument's way out of layer 1: turns candles into bars in order, holes told, refusals told.

Belongs here: what is published and in which order. When to ask for candles belongs to `feed`.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import msgspec

from daemon.core.bars import Bar, BarQuality, BarRejectReason, BarSource, MissCause
from daemon.core.errors import ExchangeUnreachable
from daemon.core.events import (
    BarRevised,
    BarsClosed,
    BarsMissed,
    FeedRecovered,
    FeedStale,
    Input,
)
from daemon.core.timeframes import NS_PER_S
from daemon.layers.ingestion.gate import (
    SPOILING_REASONS,
    Refusal,
    accept,
    open_time_ns,
    raw_of,
    rejected,
    same_numbers,
    slot_of,
    told,
)
from daemon.layers.ingestion.grid import missing_slots
from daemon.layers.ingestion.history import pages, read_on
from daemon.layers.ingestion.second_read import (
    REVISION_MAX,
    SECOND_READ_WAITS_S,
    is_near,
    judged,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from daemon.core.bars import RawBar
    from daemon.core.clock import Clock
    from daemon.core.ports import MarketData
    from daemon.layers.ingestion.feed_config import FeedConfig
    from daemon.layers.ingestion.suspicion import Doubt
    from daemon.layers.ingestion.track import Track

READINGS_MAX = 1_000


class Publisher:
    """Everything that leaves layer 1 about one instrument passes here, one call at a time."""

    def __init__(
        self,
        track: Track,
        market_data: MarketData,
        *,
        timeframe_ns: int,
        market_clock: Clock,
        publish: Callable[[Input], Awaitable[None]],
        config: FeedConfig,
    ) -> None:
        self._track = track
        self._market_data = market_data
        self._timeframe_ns = timeframe_ns
        self._market_clock = market_clock
        self._publish = publish
        self._config = config
        self._readings: dict[int, Bar] = {}  # by open time: other numbers, read once
        # A clock that runs with the market is a little off; one that stands with it is exact.
        grace_s = config.grace_for_s(timeframe_ns)
        self._future_ns = round(grace_s * config.market_rate * NS_PER_S)

    def now_ns(self) -> int:
        """Market time; in lock-step the candles themselves may have shown that it is later."""
        now_ns = self._market_clock.now_ns()
        return max(now_ns, self._track.seen_ns) if self._config.is_lockstep else now_ns

    async def candle(self, raw: RawBar) -> tuple[Bar | None, bool]:
        """Judge a closed candle of the stream: its bar, if any, and whether slots are missing."""
        track = self._track
        bar = self._judge(raw, BarSource.STREAM)
        if isinstance(bar, Refusal):
            await self._refuse(raw, bar, BarSource.STREAM)
            return None, False
        if track.next_open_ns is not None and bar.open_ns < track.next_open_ns:
            track.counts.duplicates += 1
            return None, False
        return bar, track.next_open_ns is not None and bar.open_ns > track.next_open_ns

    async def emit(self, bar: Bar) -> Bar | None:
        """Publish one bar, or what a second read made of it; None when its slot stays without.

        The slot after it is due next, either way.
        """
        doubt = self._track.past.doubt(bar)
        believed = bar if doubt is None else await self._read_again(bar, doubt)
        if believed is None:
            self._track.past.leave(bar)
            await self.miss(bar.close_ns, MissCause.QUARANTINED)
            return None
        await self._publish(BarsClosed(ts_ns=believed.received_ns, bars=(believed,)))
        self._track.advance(believed)
        return believed

    async def _read_again(self, bar: Bar, doubt: Doubt) -> Bar | None:
        """What to believe of a slot whose first bar is suspicious; nothing when nobody answers."""
        second = await self._second_read(bar)
        believed = None if second is None else judged(bar, second, self._track.past.doubt(second))
        if believed is None or not is_near(believed, bar):
            refusal = Refusal(BarRejectReason(doubt.suspicion.value), doubt.detail)
            await self._refuse(raw_of(bar), refusal, bar.source)
        return believed

    async def _second_read(self, bar: Bar) -> Bar | None:
        for wait_s in SECOND_READ_WAITS_S:
            await asyncio.sleep(wait_s)
            try:
                rows = await self._market_data.fetch(bar.instrument, bar.open_ns, 2)
            except ExchangeUnreachable:
                self._track.counts.unanswered += 1
                continue
            for raw in rows:
                if open_time_ns(raw) == bar.open_ns:
                    second = self._judge(raw, BarSource.POLL, is_reread=True)
                    if isinstance(second, Bar):
                        return second
        return None

    async def rows(self, rows: Sequence[RawBar], until_ns: int | None = None) -> list[Bar]:
        """Publish the closed rows of one REST reply, up to the first slot it passes over.

        A slot is believed to be empty, or spoiled, when one more reply passes over it too. With
        `until_ns` the reply is known to have a row that opens then, after all of `rows`.
        """
        published: list[Bar] = []
        for raw in rows:
            open_ns, next_ns = open_time_ns(raw), self._track.next_open_ns
            if open_ns is not None and next_ns is not None and open_ns < next_ns:
                continue
            bar = self._judge(raw, BarSource.BACKFILL)
            if isinstance(bar, Refusal):
                if bar.reason is BarRejectReason.IN_FUTURE:
                    break  # the venue is ahead of our clock; the next reply has it too
                await self._refuse(raw, bar, BarSource.BACKFILL)
                continue
            if not await self._may_pass(bar.open_ns):
                return published
            if bar.close_ns + self._timeframe_ns > bar.received_ns:
                bar = msgspec.structs.replace(bar, source=BarSource.POLL)
            believed = await self.emit(bar)
            published += [] if believed is None else [believed]
        if until_ns is not None:
            await self._may_pass(until_ns)
        return published

    async def _may_pass(self, open_ns: int) -> bool:
        """Tell the slots before `open_ns` as missed, once two replies have passed over them."""
        next_ns = self._track.next_open_ns
        if next_ns is None or next_ns >= open_ns:
            return True
        if not self._track.witness():
            return False
        await self.miss(open_ns)
        return True

    async def miss(self, open_ns: int, cause: MissCause | None = None) -> None:
        """Tell all slots before `open_ns` that have no bar yet as one run that never will."""
        track = self._track
        next_ns = open_ns if track.next_open_ns is None else track.next_open_ns
        slots = missing_slots(next_ns, open_ns, self._timeframe_ns)
        if not slots:
            return
        is_outage = self._config.venue_sends_empty_bars or track.was_blind
        usual = MissCause.OUTAGE if is_outage else MissCause.NO_TRADES
        for is_spoiled, run in itertools.groupby(slots, key=track.spoiled.__contains__):
            opens = list(run)
            # A slot that was told, if only as nonsense, was not without trades.
            why = MissCause.QUARANTINED if is_spoiled else usual
            await self._publish(
                BarsMissed(
                    ts_ns=self.now_ns(),
                    instrument=track.instrument,
                    first_open_ns=opens[0],
                    count=len(opens),
                    cause=why if cause is None else cause,
                )
            )
        track.counts.missed_slots += len(slots)
        track.skip_to(open_ns)

    async def ask(self, until_ns: int) -> list[RawBar] | None:
        """Candles by REST from the next slot up to `until_ns`; None when nobody answers."""
        track = self._track
        track.counts.polls += 1
        if track.next_open_ns is None:
            return []
        try:
            found = await read_on(
                self._market_data,
                track.instrument,
                timeframe_ns=self._timeframe_ns,
                since_ns=track.next_open_ns,
                until_ns=max(until_ns, track.next_open_ns + self._timeframe_ns),
                page_limit=self._config.page_limit,
            )
        except ExchangeUnreachable:
            track.counts.unanswered += 1
            track.was_blind = True
            return None
        for raw in found:
            track.seen_ns = max(track.seen_ns, slot_of(raw, self._timeframe_ns) or 0)
        return found

    async def glance(self) -> list[RawBar] | None:
        """The bar we wait for as REST has it now, finished or not; None when nobody answers."""
        track = self._track
        if track.next_open_ns is None:
            return []
        track.counts.polls += 1
        try:
            return await self._market_data.fetch(track.instrument, track.next_open_ns, 2)
        except ExchangeUnreachable:
            track.counts.unanswered += 1
            return None

    async def reread(self, bars: Sequence[Bar]) -> list[Bar]:
        """Compare bars with what REST tells after the venue has settled them.

        A bar is revised once two readings, one after the other, tell the same other numbers: a
        single odd row must not take the place of a good bar. Returns those that have to be read
        again, for that or because the reply has no believable row; ExchangeUnreachable without one.
        """
        left = {bar.open_ns: bar for bar in bars}
        async for page in pages(
            self._market_data,
            self._track.instrument,
            timeframe_ns=self._timeframe_ns,
            since_ns=min(left),
            until_ns=max(left) + self._timeframe_ns,
            page_limit=self._config.page_limit,
        ):
            for raw in page:
                was = left.get(open_time_ns(raw) or 0)
                if was is None:
                    continue
                bar = self._judge(raw, BarSource.POLL, is_reread=True)
                if isinstance(bar, Bar) and self._is_settled(bar, was):
                    del left[was.open_ns]
                    await self._compare(bar, was)
        return list(left.values())

    def _is_settled(self, bar: Bar, was: Bar) -> bool:
        """Whether a reading repeats the published bar, or the reading before it."""
        before = self._readings.pop(bar.open_ns, None)
        if same_numbers(bar, was) or (before is not None and same_numbers(bar, before)):
            return True
        if len(self._readings) >= READINGS_MAX:
            del self._readings[next(iter(self._readings))]
        self._readings[bar.open_ns] = bar
        return False

    async def _compare(self, bar: Bar, was: Bar) -> None:
        is_same = same_numbers(bar, was)
        if was.source is BarSource.STREAM:
            self._track.note_compared(is_same=is_same)
        if not is_near(bar, was, REVISION_MAX):
            # Nobody restates a price by so much: which of the two is wrong, nobody can tell.
            detail = f"revised far from close {was.close!r}"
            refusal = Refusal(BarRejectReason.CONFLICTING, detail)
            await self._refuse(raw_of(bar), refusal, bar.source)
        elif not is_same:
            revised = msgspec.structs.replace(bar, quality=BarQuality.REVISED)
            self._track.revise(revised)
            await self._publish(BarRevised(ts_ns=bar.received_ns, bar=revised, was=was))

    async def stale(self, silent_s: float, action: str) -> None:
        self._track.is_stale = self._track.was_blind = True
        self._track.behind_since_s = None
        await self._publish(
            FeedStale(
                ts_ns=self.now_ns(),
                instrument=self._track.instrument,
                silent_s=round(silent_s, 3),
                action=action,
            )
        )

    async def recovered(self) -> None:
        self._track.is_stale = False
        await self._publish(FeedRecovered(ts_ns=self.now_ns(), instrument=self._track.instrument))

    def _judge(self, raw: RawBar, source: BarSource, *, is_reread: bool = False) -> Bar | Refusal:
        return accept(
            raw,
            None if is_reread else self._track.last,
            instrument=self._track.instrument,
            timeframe_ns=self._timeframe_ns,
            now_ns=self.now_ns(),
            source=source,
            grace_ns=self._future_ns,
        )

    async def _refuse(self, raw: RawBar, refusal: Refusal, source: BarSource) -> None:
        track = self._track
        if refusal.reason in SPOILING_REASONS:
            track.spoil(open_time_ns(raw))
        if refusal.reason is BarRejectReason.DUPLICATE:
            track.counts.duplicates += 1
        elif track.is_news(refusal.reason, told(raw)):
            await self._publish(rejected(track.instrument, raw, refusal, source, self.now_ns()))
