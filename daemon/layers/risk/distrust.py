"""Distrust: counts what is not believed of each instrument's data, a day of market time at a time.

Belongs here: the count and the limit. What follows of it for an order belongs to `gates`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core.bars import HARMLESS_REASONS
from daemon.core.events import BarRejected, DataDistrusted
from daemon.core.timeframes import DAY_NS

if TYPE_CHECKING:
    from daemon.core.instruments import InstrumentId


class Distrust:
    """Candles refused today (UTC), per instrument; `limit` of 0 is off."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._day: dict[InstrumentId, int] = {}
        self._count: dict[InstrumentId, int] = {}
        self._distrusted: dict[InstrumentId, DataDistrusted] = {}

    def note(self, event: BarRejected) -> None:
        """Count a refusal; late candles and repeats are no fault of the data."""
        if event.reason in HARMLESS_REASONS:
            return
        day = event.ts_ns // DAY_NS
        # Market time may be put back a little: a day that was counted does not begin anew.
        if self._day.get(event.instrument, -1) < day:
            self._day[event.instrument] = day
            self._count[event.instrument] = 0
        self._count[event.instrument] += 1

    def verdict(self, event: BarRejected) -> DataDistrusted | None:
        """What to say once the limit is reached, and not again that day."""
        is_told = self._told(event.instrument, event.ts_ns) is not None
        if is_told or event.reason in HARMLESS_REASONS:
            return None
        return self._found(event.instrument, event.ts_ns)

    def keep(self, event: DataDistrusted) -> None:
        self._distrusted[event.instrument] = event

    def of(self, instrument: InstrumentId, ts_ns: int) -> DataDistrusted | None:
        """Why nothing may be opened at `ts_ns`, if that is so."""
        return self._told(instrument, ts_ns) or self._found(instrument, ts_ns)

    def _told(self, instrument: InstrumentId, ts_ns: int) -> DataDistrusted | None:
        event = self._distrusted.get(instrument)
        return event if event is not None and ts_ns < event.until_ns else None

    def _found(self, instrument: InstrumentId, ts_ns: int) -> DataDistrusted | None:
        """By the limit as it is now: a resume may bring another one."""
        count, day = self._count.get(instrument, 0), self._day.get(instrument, -1)
        if not self._limit or count < self._limit or ts_ns // DAY_NS > day:
            return None
        return DataDistrusted(
            ts_ns=ts_ns,
            instrument=instrument,
            until_ns=(day + 1) * DAY_NS,
            count=count,
            limit=self._limit,
        )

    def counts(self) -> dict[InstrumentId, int]:
        """Refused candles of each instrument's newest day with any."""
        return {each: count for each, count in self._count.items() if count}
