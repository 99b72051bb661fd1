"""What paper trading has shown: turns the journals of paper runs into what a go-live is judged by.

Belongs here: counting what events prove. Whether it is enough belongs to `golive.items`, which runs
count to `golive.gate`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from daemon.core import events as e
from daemon.core.bars import MissCause
from daemon.core.instruments import InstrumentId
from daemon.core.timeframes import DAY_NS
from daemon.layers.monitoring.outcomes import Outcomes
from daemon.layers.monitoring.skill import Skill, auc_with_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from decimal import Decimal


class Scored(Struct):
    """Resolved predictions of one model: what was said, what came, and which share their luck."""

    probabilities: list[float] = field(default_factory=list)
    outcomes: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)

    def skill(self) -> Skill:
        return auc_with_interval(self.probabilities, self.outcomes, self.blocks)


class Slots(Struct):
    """Bars of one instrument, by open time: what was there to be seen, and what was in time."""

    first_ns: int
    last_ns: int
    seen: int = 0


class Record(Struct):
    """All of the paper runs that count, after `since_ns`, market time."""

    since_ns: int
    max_late_ns: int  # later a bar is too old to decide on
    timeframe_ns: int
    days: set[int] = field(default_factory=set)
    newest_ns: int = 0  # close of the newest bar
    slots: dict[InstrumentId, Slots] = field(default_factory=dict)
    returns: list[float] = field(default_factory=list)
    drawdown_ratio: float = 0.0
    marks: int = 0
    comparisons: int = 0
    differences: list[str] = field(default_factory=list)
    clean: dict[str, bool] = field(default_factory=dict)  # by exchange, the newest comparison
    halted_ns: int | None = None  # the newest halt by a person
    flattened_ns: int | None = None  # the newest flatten that closed something and came to its end
    model: str = ""
    scored: dict[str, Scored] = field(default_factory=lambda: defaultdict(Scored))
    thinned: int = 0  # bars that were taken out of journals

    @property
    def expected_bars(self) -> int:
        """From the first bar to the newest one, whether a daemon ran or not."""
        if not self.slots:
            return 0
        first_ns = min(each.first_ns for each in self.slots.values())
        return len(self.slots) * ((self.newest_ns - first_ns) // self.timeframe_ns)

    @property
    def seen_bars(self) -> int:
        return sum(each.seen for each in self.slots.values())

    def read(self, events: Iterable[e.Event]) -> None:
        """Take in one run's events, all of them in order; runs in the order of their start."""
        reading = _Reading(self)
        for event in events:
            take = reading.takers.get(type(event))
            if take is not None:
                take(event)


class _Reading:
    """What is remembered while one journal goes by."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._block_ns: dict[str, int] = {}
        self._held: dict[InstrumentId, Decimal] = {}
        self._asked_ns: int | None = None  # a flatten that found something to close
        self.takers: dict[type[e.Event], Callable[[Any], None]] = {
            e.ModelActivated: self._activated,
            e.BarsClosed: self._closed,
            e.BarsMissed: self._missed,
            e.PositionChanged: self._changed,
            e.EquityMarked: self._marked,
            e.Reconciled: self._reconciled,
            e.HaltRequested: self._halted,
            e.FlattenRequested: self._flatten,
            e.ResumeRequested: self._resumed,
            e.PredictionResolved: self._resolved,
            e.JournalThinned: self._thinned,
        }

    def _counts(self, ts_ns: int) -> bool:
        return ts_ns > self._record.since_ns

    def _activated(self, event: e.ModelActivated) -> None:
        record = self._record
        record.model = event.model
        # Asked of the ledger of outcomes, so that gate and health judge skill by the same clusters.
        ledger = Outcomes(timeframe_ns=record.timeframe_ns, window_outcomes=1)
        ledger.apply_model_activated(event)
        self._block_ns[event.model] = ledger.block_ns(event.model)

    def _closed(self, event: e.BarsClosed) -> None:
        record = self._record
        for bar in event.bars:
            is_in_time = bar.received_ns - bar.close_ns <= record.max_late_ns
            self._slots(bar.instrument, bar.open_ns, 1, seen=is_in_time)
            if is_in_time and self._counts(bar.close_ns):
                record.days.add((bar.close_ns - 1) // DAY_NS)

    def _missed(self, event: e.BarsMissed) -> None:
        """A slot in which nobody traded was seen as well as any other."""
        is_quiet = event.cause is MissCause.NO_TRADES
        self._slots(event.instrument, event.first_open_ns, event.count, seen=is_quiet)

    def _slots(self, instrument: InstrumentId, open_ns: int, count: int, *, seen: bool) -> None:
        record, length_ns = self._record, self._record.timeframe_ns
        close_ns = open_ns + count * length_ns
        if not self._counts(close_ns):
            return
        slots = record.slots.get(instrument)
        if slots is None:
            slots = record.slots[instrument] = Slots(first_ns=open_ns, last_ns=open_ns)
        new = min(count, max(0, (close_ns - slots.last_ns) // length_ns))
        slots.seen += new if seen else 0
        slots.last_ns = max(slots.last_ns, close_ns)
        record.newest_ns = max(record.newest_ns, close_ns)

    def _changed(self, event: e.PositionChanged) -> None:
        self._held[event.instrument] = event.quantity
        if event.closed_return_ratio is not None and self._counts(event.ts_ns):
            self._record.returns.append(event.closed_return_ratio)
        if self._asked_ns is not None and not any(self._held.values()):
            self._record.flattened_ns = event.ts_ns
            self._asked_ns = None

    def _marked(self, event: e.EquityMarked) -> None:
        if self._counts(event.ts_ns):
            self._record.marks += 1
            self._record.drawdown_ratio = max(self._record.drawdown_ratio, event.drawdown_ratio)

    def _reconciled(self, event: e.Reconciled) -> None:
        """One that was clean is told again only after one that was not: it stands."""
        self._record.comparisons += 1
        self._record.clean[event.exchange] = event.is_clean
        if not event.is_clean and self._counts(event.ts_ns):
            self._record.differences.append("; ".join(event.differences))

    def _halted(self, event: e.HaltRequested) -> None:
        self._record.halted_ns = event.ts_ns

    def _flatten(self, event: e.FlattenRequested) -> None:
        self._asked_ns = event.ts_ns if any(self._held.values()) else None

    def _resumed(self, _event: e.ResumeRequested) -> None:
        self._asked_ns = None  # called off before it was flat

    def _resolved(self, event: e.PredictionResolved) -> None:
        if event.outcome is None or event.is_shadow or not self._counts(event.ts_ns):
            return
        scored = self._record.scored[event.model]
        scored.probabilities.append(event.probability_up)
        scored.outcomes.append(event.outcome)
        scored.blocks.append(event.predicted_close_ns // self._block_ns[event.model])

    def _thinned(self, event: e.JournalThinned) -> None:
        self._record.thinned += sum(event.bars.values())
