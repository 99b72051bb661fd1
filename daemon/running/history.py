"""Brings the history of a run's instruments into the store, and the newest of it to the run.

Belongs here: which instruments, how many at once, what is kept. Reading pages and judging bars
belongs to `layers.ingestion.history`, bars made of finer ones to `fine_bars`.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from daemon.core.errors import TradingdError
from daemon.layers.ingestion.history import History, load_history
from daemon.running.bar_keeper import keep_refused
from daemon.running.fine_bars import load_fine
from daemon.store.gaps import Gap

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.core.bars import Bar
    from daemon.core.instruments import InstrumentId
    from daemon.running.world.sites import Site, World
    from daemon.store.bars import BarStore

    Report = Callable[[str, int, int, str], None]

FETCHED_AT_ONCE = 8


async def load_bars(
    world: World,
    store: BarStore,
    *,
    timeframe_ns: int,
    fetched_ns: int,
    history_bars: int,
    keep: int,
    spike_scale: float,
    report: Report,
) -> tuple[Bar, ...]:
    """All bars before the first streamed slot into the store; returns the last `keep` of each
    instrument.

    Several instruments are fetched beside each other; how many requests may leave at once, and
    when, is the budget's to say.
    """
    newest: list[Bar] = []
    until_ns = world.first_open_ns
    since_ns = until_ns - history_bars * timeframe_ns
    wanted = list(world.each_instrument())
    at_once = asyncio.Semaphore(FETCHED_AT_ONCE)
    done_of: dict[InstrumentId, int] = {}

    def note(instrument: InstrumentId, done: int, total: int) -> None:
        done_of[instrument] = done
        what = world.names[instrument] if len(wanted) == 1 else f"{len(wanted)} symbols"
        report("history", sum(done_of.values()), total * len(wanted), what)

    async def load(site: Site, instrument: InstrumentId) -> None:
        async with at_once:
            history = await _fetched(
                site,
                store,
                instrument,
                fetched_ns=fetched_ns,
                timeframe_ns=timeframe_ns,
                since_ns=since_ns,
                until_ns=until_ns,
                spike_scale=spike_scale,
                progress=partial(note, instrument),
            )
            if not history.bars:
                name = world.names[instrument]
                msg = f"{name}: {site.market} has no bars before the first streamed one"
                raise TradingdError(msg)
            store.append(site.market_key, timeframe_ns, history.bars)
            keep_refused(store, site.market_key, fetched_ns, history.rejected)
            gaps = [Gap(each.first_open_ns, each.count, each.cause) for each in history.missed]
            store.add_gaps(site.market_key, instrument.symbol, timeframe_ns, gaps)
            newest.extend(history.bars[-keep:])

    tasks = [asyncio.ensure_future(load(site, each.id)) for site, each in wanted]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return tuple(sorted(newest, key=lambda bar: (bar.close_ns, bar.instrument)))


async def _fetched(
    site: Site,
    store: BarStore,
    instrument: InstrumentId,
    *,
    fetched_ns: int,
    timeframe_ns: int,
    since_ns: int,
    until_ns: int,
    spike_scale: float,
    progress: Callable[[int, int], None],
) -> History:
    """One instrument's history, as the exchange gives it or made of finer bars."""
    if fetched_ns == timeframe_ns:
        return await load_history(
            site.history_data,
            instrument,
            timeframe_ns=timeframe_ns,
            since_ns=since_ns,
            until_ns=until_ns,
            page_limit=site.page_limit,
            venue_sends_empty_bars=site.sends_empty_bars,
            spike_scale=spike_scale,
            progress=progress,
        )
    return await load_fine(
        site,
        store,
        instrument,
        fine_ns=fetched_ns,
        coarse_ns=timeframe_ns,
        since_ns=since_ns,
        until_ns=until_ns,
        spike_scale=spike_scale,
        progress=progress,
    )
