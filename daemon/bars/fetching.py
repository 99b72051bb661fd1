"""Fetches the missing part of a series from an exchange into the store, as far as it gets.

Belongs here: what to ask for, in which pieces, and what the answers say about holes. Judging a
candle belongs to layer 1, printing to `cli.data_fetch`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec.structs import replace

from daemon.core.bars import MissCause
from daemon.core.timeframes import floor_to_grid, timeframe_ns
from daemon.layers.ingestion.history import load_history
from daemon.running.bar_keeper import keep_refused
from daemon.running.world.embedded import SYNTHETIC, embedded_key
from daemon.store.gaps import Gap, clipped, untold, without_bars

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.core.instruments import InstrumentId
    from daemon.core.ports import MarketData
    from daemon.store.bars import BarStore
    from daemon.store.gaps import Span

PAGES_PER_COMMIT = 4


@dataclass(slots=True, kw_only=True)
class Source:
    """Where candles come from; `market_key` names them in the store as a run would."""

    market_key: str
    market_data: MarketData
    instrument: InstrumentId
    page_limit: int
    sends_empty_bars: bool
    length_ns: int
    until_ns: int  # the newest slot that has closed ends here


@dataclass(slots=True)
class Fetched:
    """What came of it so far."""

    slots: int = 0  # asked for
    added: int = 0
    known: int = 0
    revised: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    gaps: int = 0  # newly recorded


async def open_source(exchange: str, symbol: str, timeframe: str, url: str | None) -> Source:
    """A public client of an exchange; ValueError for what it does not list, ExchangeUnreachable."""
    from daemon.venues.ccxt_client import make_client
    from daemon.venues.ccxt_market import CcxtMarket
    from daemon.venues.embedded_link import EmbeddedLink

    length_ns = timeframe_ns(timeframe)
    market_key, now_ns, urls = exchange, None, None
    if url is not None:
        rest = url.rstrip("/")
        link = EmbeddedLink(rest)
        try:
            clock = await link.clock()
        finally:
            await link.close()
        market = SYNTHETIC if clock.label.startswith("SYNTHETIC") else clock.label
        now_ns, market_key = clock.market_ns, embedded_key(exchange, market, clock.fingerprint)
        stream = rest.replace("http", "ws", 1)
        urls = {"rest": rest, "stream": f"{stream}/stream", "ws_api": f"{stream}/ws-api/v3"}
    client = make_client(exchange, urls=urls)
    try:
        market_data = CcxtMarket(client, exchange, timeframe)
        (instrument,) = await market_data.instruments((symbol,))
        until_ns = floor_to_grid(now_ns or await market_data.server_ns(), length_ns)
    except BaseException:
        await client.close()
        raise
    return Source(
        market_key=market_key,
        market_data=market_data,
        instrument=instrument.id,
        page_limit=market_data.page_limit,
        sends_empty_bars=market_data.sends_empty_bars,
        length_ns=length_ns,
        until_ns=until_ns,
    )


async def fetch(
    source: Source,
    store: BarStore,
    since_ns: int,
    until_ns: int,
    *,
    again: bool,
    told: Fetched,
    progress: Callable[[int, int], None],
) -> None:
    """All bars with since_ns <= open and close <= until_ns that the store lacks, or all `again`.

    A piece is stored as soon as it is there, so a run that is cut off is gone on with by the same
    call. Fills `told` as it goes. ExchangeUnreachable when a page cannot be read.
    """
    spans = _wanted(source, store, since_ns, until_ns, again=again)
    length_ns = source.length_ns
    told.slots = sum(until - since for since, until in spans) // length_ns
    done = 0
    progress(0, told.slots)
    proven: list[Span] = []
    doubted: list[Gap] = []
    try:
        for since, until in spans:
            is_linked = False
            for piece in _pieces(since, until, source):
                history = await load_history(
                    source.market_data,
                    source.instrument,
                    timeframe_ns=length_ns,
                    since_ns=piece[0],
                    until_ns=piece[1],
                    page_limit=source.page_limit,
                    venue_sends_empty_bars=source.sends_empty_bars,
                )
                appended = store.append(source.market_key, length_ns, history.bars)
                keep_refused(store, source.market_key, length_ns, history.rejected)
                told.added += appended.added
                told.known += appended.known
                told.revised += appended.revised
                doubted += [Gap(each, 1, MissCause.QUARANTINED) for each in history.doubted]
                told.rejected.update(each.reason.value for each in history.rejected)
                # An exchange that keeps a short history answers with what it has: slots before its
                # first bar are not proven empty by that.
                if is_linked:
                    proven.append(piece)
                elif history.bars:
                    proven.append((history.bars[0].open_ns, piece[1]))
                    is_linked = True
                done += (piece[1] - piece[0]) // length_ns
                progress(done, told.slots)
    finally:
        told.gaps = _record_gaps(source, store, proven, doubted)


def _wanted(
    source: Source, store: BarStore, since_ns: int, until_ns: int, *, again: bool
) -> list[Span]:
    """What to ask for: each stretch with its neighbours, whose bars show that the answer reaches
    across it; stretches less than a page apart in one.
    """
    if again:
        return [(since_ns, until_ns)]
    length_ns = source.length_ns
    opens, _ = store.read_arrays(
        source.market_key, source.instrument.symbol, length_ns, since_ns, until_ns
    )
    near_ns = source.page_limit * length_ns
    spans: list[Span] = []
    for first_ns, after_ns in without_bars(opens, since_ns, until_ns, length_ns):
        span = (max(since_ns, first_ns - length_ns), min(until_ns, after_ns + length_ns))
        if spans and span[0] - spans[-1][1] < near_ns:
            spans[-1] = (spans[-1][0], span[1])
        else:
            spans.append(span)
    return spans


def _pieces(since_ns: int, until_ns: int, source: Source) -> list[Span]:
    width_ns = PAGES_PER_COMMIT * source.page_limit * source.length_ns
    return list(pairwise([*range(since_ns, until_ns, width_ns), until_ns]))


def _record_gaps(source: Source, store: BarStore, proven: list[Span], doubted: list[Gap]) -> int:
    """Note the holes that answers have shown to be holes; returns how many were new."""
    if not proven:
        return 0
    length_ns = source.length_ns
    series = (source.market_key, source.instrument.symbol, length_ns)
    opens, _ = store.read_arrays(*series)
    new = clipped(untold(opens, store.gaps(*series), length_ns), proven, length_ns)
    usual = MissCause.OUTAGE if source.sends_empty_bars else MissCause.NO_TRADES
    store.add_gaps(*series, [replace(gap, cause=usual) for gap in new])
    holes = [(gap.first_open_ns, gap.until_ns(length_ns)) for gap in new]
    store.add_gaps(*series, clipped(doubted, holes, length_ns))
    return len(new)
