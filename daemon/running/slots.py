"""What has come of every slot of a run: from committed steps to the newest bars and what is owed.

Belongs here: counting slots. What a slot without a bar means belongs to layer 1.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from daemon.core.bars import MissCause
from daemon.core.events import BarsClosed, BarsMissed, Event, HistoryLoaded
from daemon.layers.ingestion.suspicion import PAST_BARS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daemon.core.bars import Bar
    from daemon.core.instruments import InstrumentId


class Slots:
    """Of each instrument: its newest bars, and up to when every slot has a bar or was missed."""

    def __init__(self, instruments: Sequence[InstrumentId], timeframe_ns: int) -> None:
        self._instruments = instruments
        self._timeframe_ns = timeframe_ns
        self.last: dict[InstrumentId, Bar] = {}
        self.recent: dict[InstrumentId, deque[Bar]] = {}
        self.accounted_ns: dict[InstrumentId, int] = {}

    def note(self, first: Event) -> None:
        """Hear of the first event of a step, committed now or found in the journal."""
        if isinstance(first, BarsClosed | HistoryLoaded):
            for bar in first.bars:
                self.last[bar.instrument] = bar
                recent = self.recent.setdefault(bar.instrument, deque(maxlen=PAST_BARS))
                recent.append(bar)
                self.accounted_ns[bar.instrument] = bar.close_ns
        elif isinstance(first, BarsMissed):
            after_ns = first.first_open_ns + first.count * self._timeframe_ns
            self.accounted_ns[first.instrument] = after_ns

    @property
    def newest_close_ns(self) -> int | None:
        """Close of the newest bar that is known, of any instrument."""
        return max((bar.close_ns for bar in self.last.values()), default=None)

    def are_over(self, end_ns: int) -> bool:
        """Every slot that closes by `end_ns` is accounted for, of every instrument."""
        return all(self.accounted_ns.get(each, 0) >= end_ns for each in self._instruments)

    def missed(self, end_ns: int, ts_ns: int) -> Iterator[BarsMissed]:
        """The slots before `end_ns` that nothing came for, once no more bar comes."""
        for instrument, after_ns in sorted(self.accounted_ns.items()):
            if after_ns < end_ns:
                yield BarsMissed(
                    ts_ns=ts_ns,
                    instrument=instrument,
                    first_open_ns=after_ns,
                    count=(end_ns - after_ns) // self._timeframe_ns,
                    cause=MissCause.OUTAGE,
                )
