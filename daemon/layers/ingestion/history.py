"""History: turns pages of candles by REST into an unbroken list of bars, with every hole stated.

Belongs here: paging and what came of it. Judging one candle belongs to `gate`, the live stream to
`feed`.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.bars import Bar, BarRejectReason, BarSource, MissCause
from daemon.core.errors import TradingdError
from daemon.core.events import BarRejected, BarsMissed
from daemon.layers.ingestion.gate import (
    SPOILING_REASONS,
    Refusal,
    accept,
    open_time_ns,
    raw_of,
    rejected,
    slot_of,
)
from daemon.layers.ingestion.grid import missing_slots, slots_between
from daemon.layers.ingestion.second_read import confirmed, is_near
from daemon.layers.ingestion.sieve import sift
from daemon.layers.ingestion.suspicion import SPIKE_SCALE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Container, Sequence

    from daemon.core.bars import RawBar
    from daemon.core.instruments import InstrumentId
    from daemon.core.ports import MarketData
    from daemon.layers.ingestion.sieve import Sifted

PAGES_MAX = 10_000
STILL_MAX = 3  # pages in a row that bring nothing newer than the one before
REPEATS_KEPT = 100  # a candle that is refused again is told once
SECOND_READS_MAX = 50  # with more spikes than that, it is not the market that is wild
ROWS_MIN = 10  # some venues give a row or two less than asked, or begin a little earlier


class History(Struct, frozen=True, kw_only=True):
    """Closed bars in order, the holes between them, and the candles that were refused.

    `doubted` are the open times of slots, inside and at both ends, that were told and stay without
    a bar all the same: nobody may call them quiet.
    """

    bars: tuple[Bar, ...]
    missed: tuple[BarsMissed, ...]
    rejected: tuple[BarRejected, ...]
    doubted: frozenset[int] = frozenset()


async def load_history(
    market_data: MarketData,
    instrument: InstrumentId,
    *,
    timeframe_ns: int,
    since_ns: int,
    until_ns: int,
    page_limit: int,
    venue_sends_empty_bars: bool = True,
    spike_scale: float = SPIKE_SCALE,
    progress: Callable[[int, int], None] | None = None,
) -> History:
    """All bars that open at or after `since_ns` and close by `until_ns` (ns UTC, market time).

    `until_ns` must not lie in the future, or an unfinished candle would pass for a closed one.
    Slots before the first and after the last bar are not called missing: the venue may not have
    listed the instrument yet, and what follows is the feed's to tell. ExchangeUnreachable when a
    page cannot be read.
    """
    reading = _Reading(instrument, timeframe_ns, until_ns)
    total = slots_between(since_ns, until_ns, timeframe_ns)
    ask = partial(pages, market_data, instrument, timeframe_ns=timeframe_ns, page_limit=page_limit)
    async for page in ask(since_ns=since_ns, until_ns=until_ns):
        reading.take(page, since_ns, until_ns)
        if progress is not None and reading.told:
            newest_ns = max(reading.told) + timeframe_ns
            progress(slots_between(since_ns, newest_ns, timeframe_ns), total)
    cause = MissCause.OUTAGE if venue_sends_empty_bars else MissCause.NO_TRADES
    # One reply proves no hole: what is missing or spoiled is asked for once more.
    bars = reading.bars()
    holes = [
        (hole.first_open_ns, hole.first_open_ns + hole.count * timeframe_ns)
        for hole in holes_between(bars, timeframe_ns, cause, until_ns)
    ]
    if bars:
        near_ns = ROWS_MIN * timeframe_ns
        ends = ((since_ns, bars[0].open_ns), (bars[-1].close_ns, until_ns))
        holes += [(begin, end) for begin, end in ends if 0 < end - begin <= near_ns]
    for begin_ns, end_ns in holes:
        async for page in ask(since_ns=begin_ns, until_ns=end_ns):
            reading.take(page, begin_ns, end_ns)
    sifted = await _sifted(market_data, reading, timeframe_ns, until_ns, spike_scale)
    believed = {bar.open_ns for bar in sifted.bars}
    doubted = frozenset(
        each.open_ns
        for each in reading.rejected
        if each.open_ns is not None
        and each.reason in SPOILING_REASONS
        and each.open_ns not in believed
    )
    return History(
        bars=sifted.bars,
        missed=holes_between(sifted.bars, timeframe_ns, cause, until_ns, doubted),
        rejected=tuple(reading.rejected),
        doubted=doubted,
    )


async def _sifted(
    market_data: MarketData,
    reading: _Reading,
    timeframe_ns: int,
    until_ns: int,
    spike_scale: float,
) -> Sifted:
    """What is believable of all that was read; each spike is asked for a second time first."""
    asked: set[int] = set()
    while True:
        sifted = sift(reading.bars(), timeframe_ns=timeframe_ns, spike_scale=spike_scale)
        spikes = [
            bar
            for bar, refusal in sifted.doubted
            if refusal.reason is BarRejectReason.SPIKE and bar.open_ns not in asked
        ]
        if not spikes or len(asked) >= SECOND_READS_MAX:
            break
        for bar in spikes[: SECOND_READS_MAX - len(asked)]:
            asked.add(bar.open_ns)
            rows = await market_data.fetch(bar.instrument, bar.open_ns, 2)
            reading.take_again(bar, rows)
    for bar, refusal in sifted.doubted:
        rejection = rejected(bar.instrument, raw_of(bar), refusal, bar.source, until_ns)
        reading.rejected.append(rejection)
    return sifted


class _Reading:
    """What was read of one instrument so far, in whatever order the pages came."""

    def __init__(self, instrument: InstrumentId, timeframe_ns: int, until_ns: int) -> None:
        self.told: dict[int, Bar] = {}
        self.rejected: list[BarRejected] = []
        self._instrument = instrument
        self._timeframe_ns = timeframe_ns
        self._until_ns = until_ns

    def take(self, page: Sequence[RawBar], since_ns: int, until_ns: int) -> None:
        """Judge the candles that open at or after `since_ns` and close by `until_ns`."""
        for raw in page:
            open_ns = open_time_ns(raw)
            if open_ns is not None and not since_ns <= open_ns <= until_ns - self._timeframe_ns:
                continue
            bar = accept(
                raw,
                None if open_ns is None else self.told.get(open_ns),
                instrument=self._instrument,
                timeframe_ns=self._timeframe_ns,
                now_ns=self._until_ns,
                source=BarSource.BACKFILL,
            )
            if isinstance(bar, Bar):
                self.told[bar.open_ns] = bar
            elif bar.reason is not BarRejectReason.DUPLICATE:
                rejection = rejected(self._instrument, raw, bar, BarSource.BACKFILL, self._until_ns)
                if rejection not in self.rejected[-REPEATS_KEPT:]:
                    self.rejected.append(rejection)

    def take_again(self, was: Bar, rows: Sequence[RawBar]) -> None:
        """Mark a bar that is told alike once more as confirmed; one told otherwise replaces it."""
        del self.told[was.open_ns]
        same_slot = [raw for raw in rows if open_time_ns(raw) == was.open_ns]
        self.take(same_slot, was.open_ns, was.close_ns)
        now = self.told.get(was.open_ns)
        if now is None or is_near(now, was):
            self.told[was.open_ns] = was if now is None else confirmed(now)
        else:
            detail = "told otherwise when it was asked for again"
            refusal = Refusal(BarRejectReason.SPIKE, detail)
            event = rejected(was.instrument, raw_of(was), refusal, was.source, self._until_ns)
            self.rejected.append(event)

    def bars(self) -> tuple[Bar, ...]:
        return tuple(self.told[open_ns] for open_ns in sorted(self.told))


async def pages(
    market_data: MarketData,
    instrument: InstrumentId,
    *,
    timeframe_ns: int,
    since_ns: int,
    until_ns: int,
    page_limit: int,
) -> AsyncIterator[list[RawBar]]:
    """Pages of candles, oldest first, until one reaches the slot that closes by `until_ns`.

    Pages may overlap, be shorter than asked for, or descend inside. A page that is empty twice is
    stepped over by its own width, since some venues answer for a window rather than from a time on.
    One that begins later than asked for is asked for again: where that was a lapse, its rows come
    twice. Pages that bring nothing newer than the one before end the paging after a few.
    """
    cursor_ns = since_ns
    still = 0
    was_empty = was_late = False
    for _ in range(PAGES_MAX):
        if cursor_ns + timeframe_ns > until_ns:
            return
        slots = slots_between(cursor_ns, until_ns, timeframe_ns)
        wanted = min(page_limit, max(slots + 1, ROWS_MIN))
        page = await market_data.fetch(instrument, cursor_ns, wanted)
        page.sort(key=lambda raw: open_time_ns(raw) or 0)
        newest_ns = max((slot_of(raw, timeframe_ns) or 0 for raw in page), default=None)
        if newest_ns is None:
            cursor_ns += wanted * timeframe_ns * was_empty
            was_empty = not was_empty
            continue
        was_empty = False
        yield page
        still = still + 1 if newest_ns < cursor_ns else 0
        if still == STILL_MAX:
            return
        was_late = (open_time_ns(page[0]) or 0) > cursor_ns and not was_late
        if not still and not was_late:
            cursor_ns = newest_ns + timeframe_ns
    msg = f"candles of {instrument} need more than {PAGES_MAX} pages; ask for a shorter time"
    raise TradingdError(msg)


async def read_on(
    market_data: MarketData,
    instrument: InstrumentId,
    *,
    timeframe_ns: int,
    since_ns: int,
    until_ns: int,
    page_limit: int,
) -> list[RawBar]:
    """All pages of a market that moves on meanwhile, oldest candle first.

    The newest candle of a page may not have been finished yet, and a later page makes it look so:
    then it counts as that page tells it, or as it is told when it is asked for once more.
    """
    found: list[RawBar] = []
    open_ns: int | None = None  # of the newest candle of the page before
    async for page in pages(
        market_data,
        instrument,
        timeframe_ns=timeframe_ns,
        since_ns=since_ns,
        until_ns=until_ns,
        page_limit=page_limit,
    ):
        newest_ns = max(slot_of(raw, timeframe_ns) or 0 for raw in page)
        if open_ns is not None and newest_ns >= open_ns:
            found = [raw for raw in found if open_time_ns(raw) != open_ns]
            if not any(open_time_ns(raw) == open_ns for raw in page):
                again = await market_data.fetch(instrument, open_ns, 2)
                found += [raw for raw in again if open_time_ns(raw) == open_ns]
        found += page
        open_ns = max(newest_ns, open_ns or 0)
    return sorted(found, key=lambda raw: open_time_ns(raw) or 0)


def holes_between(
    bars: Sequence[Bar],
    timeframe_ns: int,
    cause: MissCause,
    ts_ns: int,
    doubted: Container[int] = (),
) -> tuple[BarsMissed, ...]:
    """The slots between bars, as runs of one cause: `cause`, or what was told is not believed."""
    holes: list[BarsMissed] = []
    for before, after in itertools.pairwise(bars):
        slots = missing_slots(before.close_ns, after.open_ns, timeframe_ns)
        for is_doubted, run in itertools.groupby(slots, key=lambda open_ns: open_ns in doubted):
            opens = list(run)
            holes.append(
                BarsMissed(
                    ts_ns=ts_ns,
                    instrument=after.instrument,
                    first_open_ns=opens[0],
                    count=len(opens),
                    cause=MissCause.QUARANTINED if is_doubted else cause,
                )
            )
    return tuple(holes)
