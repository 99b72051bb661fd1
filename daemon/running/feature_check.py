"""Checks every night whether the model was fed what it was taught: rows of the day, recomputed.

Belongs here: when, and how it is told. The comparison belongs to `research.live_rows`, what a
difference does to risk.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.core.bars import ZeroVolume
from daemon.core.events import BarsClosed, Event, FeaturesChecked, JournalThinned
from daemon.core.timeframes import DAY_NS, timeframe_ns
from daemon.research.live_rows import Compared, RowsChecked, check_live_rows
from daemon.store.bars import BarStore
from daemon.store.journal_reader import JournalReader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.config import Settings
    from daemon.layers.features.sets import FeatureSet
    from daemon.running.world.sites import World
    from daemon.store.runs import RunPaths

    Check = Callable[[int], Awaitable[RowsChecked]]


class FeatureCheck:
    """Posts one FeaturesChecked a UTC day of market time, with the first bar of the next day.

    All rows since the last one are checked, so no row is left out when a night is. A journal that
    was thinned since has other steps: what is left in it is checked again, once.
    """

    def __init__(
        self,
        check: Check | None,
        publish: Callable[[FeaturesChecked], Awaitable[None]],
    ) -> None:
        """Without a check there is none."""
        self._check = check
        self._publish = publish
        self._day: int | None = None  # of the newest bar at the last check, or of the first bar
        self._newest_day = 0
        self._through_step = 0
        self._thinnings = 0
        self._due_ns: int | None = None
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def is_due(self) -> bool:
        """True from the moment a check is owed until its result is in the queue."""
        return self._due_ns is not None

    def recall(self, event: Event) -> None:
        """Hear of an event that an earlier process committed; what it owed comes with the next
        bar.
        """
        if isinstance(event, BarsClosed):
            self._newest_day = max(self._newest_day, _day(event))
            self._day = self._newest_day if self._day is None else self._day
        elif isinstance(event, FeaturesChecked):
            self._day = self._newest_day
            self._through_step = event.through_step if event.thinnings == self._thinnings else 0
        elif isinstance(event, JournalThinned):  # the first of a journal, before all else
            self._thinnings += 1

    def note(self, events: tuple[Event, ...]) -> None:
        """Hear of a committed step."""
        first = events[0]
        if not isinstance(first, BarsClosed) or self._check is None:
            return
        day = _day(first)
        if self._day is None:
            self._day = day
        elif day > self._day and self._due_ns is None:
            self._day, self._due_ns = day, first.ts_ns
            self._idle.clear()
            self._wake.set()

    async def settled(self) -> None:
        """Until nothing is due."""
        await self._idle.wait()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._due_ns is not None:
                told = await self._told(self._due_ns)
                self._through_step = told.through_step
                await self._publish(told)
                self._due_ns = None
                self._idle.set()

    async def _told(self, ts_ns: int) -> FeaturesChecked:
        try:
            assert self._check is not None
            found = await self._check(self._through_step)
        except Exception as error:  # noqa: BLE001  # whatever it is, trading does not hang on it
            # What could not be checked tonight is checked with the next night's.
            return FeaturesChecked(
                ts_ns=ts_ns,
                through_step=self._through_step,
                thinnings=self._thinnings,
                error=f"{error}" or repr(error),
            )
        first = found.first
        return FeaturesChecked(
            ts_ns=ts_ns,
            rows=found.rows,
            differing=found.differing,
            revised=found.revised,
            through_step=found.through_step,
            thinnings=self._thinnings,
            from_ns=found.from_ns,
            until_ns=found.until_ns,
            instrument=None if first is None else first.instrument,
            close_ns=None if first is None else first.close_ns,
            feature="" if first is None else first.feature,
            live=None if first is None else first.live,
            stored=None if first is None else first.stored,
        )


def check_of(
    paths: RunPaths, world: World, settings: Settings, features: FeatureSet
) -> Check | None:
    """The check of a run, in a thread: it reads and computes for seconds where rows are many.

    None where `health.check_features` says so.
    """
    if not settings.health.check_features:
        return None
    ids = [instrument.id for _, instrument in world.each_instrument()]
    compared = Compared(
        features=features,
        series=dict(zip(ids, world.training_series(), strict=True)),
        timeframe_ns=timeframe_ns(settings.data.timeframe),
        zero_volume=ZeroVolume(settings.data.zero_volume),
    )

    def checked(after_step: int) -> RowsChecked:
        store = BarStore.open(paths.bars, read_only=True)
        try:
            return check_live_rows(JournalReader(paths.journal), store, compared, after_step)
        finally:
            store.close()

    return lambda after_step: asyncio.to_thread(checked, after_step)


def _day(event: BarsClosed) -> int:
    """The UTC day of its newest bar; one that closes at midnight belongs to the day before."""
    return (max(bar.close_ns for bar in event.bars) - 1) // DAY_NS
