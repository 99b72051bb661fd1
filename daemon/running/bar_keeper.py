"""Keeps the bar store in step with a run: its bars, revisions and gaps go there.

Belongs here: which events the store hears of, and catching up after a kill. The store itself is in
`store.bars`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.bars import HARMLESS_REASONS
from daemon.core.events import BarRejected, BarRevised, BarsClosed, BarsMissed
from daemon.store.gaps import Gap
from daemon.store.quarantine import Quarantine, Quarantined

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from daemon.core.bars import Bar
    from daemon.core.events import Event
    from daemon.store.bars import BarStore

BARS_PER_COMMIT = 2_000
UNKNOWN_SOURCE = "unknown"  # journals of before sources were noted


class BarKeeper:
    """An observer of one run's steps; backtests and trainings find its bars in the store.

    `market_keys` say for each exchange under which name its series lie there.
    """

    def __init__(
        self,
        store: BarStore,
        market_keys: Mapping[str, str],
        timeframe_ns: int,
        told_ns: int | None = None,
    ) -> None:
        """`told_ns` is the timeframe of the candles that were told, where bars are made of them."""
        self._told_ns = told_ns or timeframe_ns
        self._store = store
        self._market_keys = market_keys
        self._timeframe_ns = timeframe_ns

    def note(self, events: tuple[Event, ...]) -> None:
        """Hear of a committed step."""
        self._keep(_bars_of(events[0]))
        self._keep_gap(events[0])
        self._keep_refused(events[0])

    def recovered(self, events: Iterator[Event]) -> Iterator[Event]:
        """The journal's events as they pass: a kill may have come between journal and store.

        Many bars share a commit; a story told twice leaves the store as it is.
        """
        waiting: list[Bar] = []
        for event in events:
            waiting += _bars_of(event)
            self._keep_gap(event)
            self._keep_refused(event)
            if len(waiting) >= BARS_PER_COMMIT:
                self._keep(waiting, is_retold=True)
                waiting = []
            yield event
        self._keep(waiting, is_retold=True)

    def _keep(self, bars: list[Bar], *, is_retold: bool = False) -> None:
        by_market: dict[str, list[Bar]] = {}
        for bar in bars:
            by_market.setdefault(self._market_keys[bar.instrument.exchange], []).append(bar)
        for market, its_bars in by_market.items():
            self._store.append(market, self._timeframe_ns, its_bars, is_retold=is_retold)

    def _keep_gap(self, event: Event) -> None:
        if isinstance(event, BarsMissed):
            gap = Gap(event.first_open_ns, event.count, event.cause)
            market, symbol = self._market_keys[event.instrument.exchange], event.instrument.symbol
            self._store.add_gaps(market, symbol, self._timeframe_ns, (gap,))

    def _keep_refused(self, event: Event) -> None:
        if isinstance(event, BarRejected):
            market = self._market_keys[event.instrument.exchange]
            keep_refused(self._store, market, self._told_ns, (event,))


def keep_refused(
    store: BarStore, market: str, timeframe_ns: int, events: Iterable[BarRejected]
) -> None:
    """Candles that were refused go to quarantine; those that are only late or told twice do not."""
    rows = [
        Quarantined(
            market=market,
            symbol=event.instrument.symbol,
            timeframe_ns=timeframe_ns,
            open_ns=event.open_ns,
            reason=event.reason.value,
            detail=event.detail,
            raw=event.raw,
            source=UNKNOWN_SOURCE if event.source is None else event.source.value,
            origin=event.instrument.exchange,
            seen_ns=event.ts_ns,
        )
        for event in events
        if event.reason not in HARMLESS_REASONS
    ]
    Quarantine(store).add(rows)


def _bars_of(event: Event) -> list[Bar]:
    if isinstance(event, BarsClosed):
        return list(event.bars)
    return [event.bar] if isinstance(event, BarRevised) else []
