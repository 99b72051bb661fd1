"""Fine bars that coarse ones are made of: fetched by stretches, stored, and found again.

Belongs here: history and restarts where the timeframe that is fetched is not the one decided on.
The arithmetic belongs to `layers.ingestion.aggregation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from daemon.core.bars import MissCause
from daemon.layers.ingestion.aggregation import Aggregation, Aggregator, aggregated
from daemon.layers.ingestion.history import History, holes_between, load_history
from daemon.layers.ingestion.suspicion import PAST_BARS, SPIKE_SCALE
from daemon.running.bar_keeper import BarKeeper
from daemon.store.gaps import Gap

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from daemon.core.bars import Bar
    from daemon.core.events import BarRejected, BarsMissed, Input
    from daemon.core.instruments import InstrumentId
    from daemon.core.ports import MarketData
    from daemon.store.bars import BarStore

STRETCH_BARS = 50_000  # in memory at a time


class FineBars:
    """What a run has to do with its fine bars; `market_keys` say whose series are whose."""

    def __init__(
        self, store: BarStore, market_keys: Mapping[str, str], *, fine_ns: int, coarse_ns: int
    ) -> None:
        self._store = store
        self._market_keys = market_keys
        self._keeper = BarKeeper(store, market_keys, fine_ns)
        self._fine_ns = fine_ns
        self._coarse_ns = coarse_ns

    def entrance(
        self,
        put: Callable[[Input], Awaitable[None]],
        accounted_ns: Mapping[InstrumentId, int],
    ) -> Callable[[Input], Awaitable[None]]:
        """Where feeds of fine bars put their events; coarse ones come out from `accounted_ns` on.

        A fine bar is in the store before anything is made of it.
        """
        return Aggregator(
            accounted_ns,
            fine_ns=self._fine_ns,
            coarse_ns=self._coarse_ns,
            publish=put,
            keep=lambda event: self._keeper.note((event,)),
        ).publish

    def last_parts(self, coarse: Mapping[InstrumentId, Bar]) -> dict[InstrumentId, Bar]:
        """For each coarse bar the newest stored part, for a feed to go on from."""
        return {each: self._last_part(bar) for each, bar in coarse.items()}

    def recent(self, fine: Mapping[InstrumentId, Bar]) -> dict[InstrumentId, list[Bar]]:
        """The newest fine bars, up to those given, beside which the next ones are judged."""
        return {
            each: self._store.tail(
                self._market_keys[each.exchange],
                each,
                self._fine_ns,
                PAST_BARS,
                until_ns=bar.close_ns,
            )
            for each, bar in fine.items()
        }

    def _last_part(self, coarse: Bar) -> Bar:
        market_key = self._market_keys[coarse.instrument.exchange]
        found = self._store.tail(
            market_key, coarse.instrument, self._fine_ns, 1, until_ns=coarse.close_ns
        )
        return found[0] if found else coarse


class Fetched(Protocol):
    """What has to be known of a world to fetch its history."""

    @property
    def market_key(self) -> str: ...

    @property
    def history_data(self) -> MarketData: ...

    @property
    def page_limit(self) -> int: ...

    @property
    def sends_empty_bars(self) -> bool: ...


async def load_fine(
    world: Fetched,
    store: BarStore,
    instrument: InstrumentId,
    *,
    fine_ns: int,
    coarse_ns: int,
    since_ns: int,
    until_ns: int,
    progress: Callable[[int, int], None],
    spike_scale: float = SPIKE_SCALE,
    stretch_bars: int = STRETCH_BARS,
) -> History:
    """Fetch fine history into the store; returns the coarse bars and holes that it makes."""
    made = Aggregation(instrument, fine_ns=fine_ns, coarse_ns=coarse_ns, from_ns=None)
    bars: list[Bar] = []
    missed: list[BarsMissed] = []
    rejected: list[BarRejected] = []
    doubted: set[int] = set()
    last: Bar | None = None
    cause = MissCause.OUTAGE if world.sends_empty_bars else MissCause.NO_TRADES
    step_ns = stretch_bars * fine_ns
    total = (until_ns - since_ns) // fine_ns
    for start_ns in range(since_ns, until_ns, step_ns):
        before = (start_ns - since_ns) // fine_ns
        stretch = await load_history(
            world.history_data,
            instrument,
            timeframe_ns=fine_ns,
            since_ns=start_ns,
            until_ns=min(start_ns + step_ns, until_ns),
            page_limit=world.page_limit,
            venue_sends_empty_bars=world.sends_empty_bars,
            spike_scale=spike_scale,
            progress=lambda done, _, before=before: progress(before + done, total),  # type: ignore[misc]
        )
        rejected += stretch.rejected
        doubted |= stretch.doubted
        if not stretch.bars:
            continue
        first = stretch.bars[0]
        ends = (first,) if last is None else (last, first)
        seam = holes_between(ends, fine_ns, cause, first.received_ns, doubted)
        holes = [*seam, *stretch.missed]
        last = stretch.bars[-1]
        store.append(world.market_key, fine_ns, stretch.bars)
        gaps = [Gap(each.first_open_ns, each.count, each.cause) for each in holes]
        store.add_gaps(world.market_key, instrument.symbol, fine_ns, gaps)
        coarse, missing = aggregated(made, stretch.bars, holes)
        bars += coarse
        missed += missing
    return History(bars=tuple(bars), missed=tuple(missed), rejected=tuple(rejected))
