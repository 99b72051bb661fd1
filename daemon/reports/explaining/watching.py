"""Lets a core decide once more what it decided, and notes what signals and risk look at.

Belongs here: rows for the route table that emit nothing, and the steps to repeat. Building the core
belongs to the caller, since only the edge can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from daemon.core import events as e
from daemon.core.orders import Side
from daemon.core.pipeline import on
from daemon.layers.risk.readings import Judgement, judgement
from daemon.layers.signals import Asked, Desired, Weighing
from daemon.research.parity import first_difference, steps_of
from daemon.research.replaying import named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.core.pipeline import Pipeline, Route
    from daemon.layers.risk import Risk
    from daemon.layers.signals import Signals
    from daemon.reports.explaining.evidence import Evidence
    from daemon.store.journal_reader import JournalReader


class Seen(Struct, kw_only=True):
    """What the journal does not hold of one decision."""

    asked: tuple[Asked, ...] = ()  # what layer 4 asked the prediction
    weighing: Weighing | None = None
    desired: Desired | None = None  # what the last signal before it asked for
    held: e.Direction | None = None
    judgements: list[Judgement] = field(default_factory=list)


class Recomputed(Struct, kw_only=True):
    """What today's code makes of the same inputs; `seen` is None where it could not be asked."""

    seen: Seen | None = None
    steps: int = 0
    why_not: str = ""
    difference: dict[str, object] | None = None
    recorded_by: str = ""
    code: str = ""


class Watch:
    """Put `routes` behind those of a core, and let it decide the steps of the trace again."""

    def __init__(self, trace: str, signals: Signals, risk: Risk) -> None:
        self.seen = Seen()
        self._trace = trace
        self._signals = signals
        self._risk = risk

    def routes(self) -> list[Route]:
        return [
            on(e.Predictions, self.on_predictions),
            on(e.SignalEmitted, self.on_signal_emitted),
            on(e.QuotesTaken, self.on_quotes_taken),
        ]

    def on_predictions(self, event: e.Predictions) -> Iterable[e.Event]:
        """Before the signals that come of it are applied."""
        instruments = {each.trace: each.instrument for each in event.refused}
        for row in event.rows:
            instruments[row.trace] = row.instrument
            if row.trace == self._trace:
                self.seen.asked = tuple(self._signals.asked(row, event))
                self.seen.weighing = self._signals.weighing(row)
        if self._trace in instruments:
            known = self._signals.standing(instruments[self._trace])
            self.seen.desired, self.seen.held = known
        return ()

    def on_signal_emitted(self, event: e.SignalEmitted) -> Iterable[e.Event]:
        if event.trace == self._trace:
            self.seen.judgements.append(judgement(self._risk, event, None))
        return ()

    def on_quotes_taken(self, event: e.QuotesTaken) -> Iterable[e.Event]:
        """As `Risk.on_quotes_taken` does: the verdict that counts."""
        signal = self._risk.asked.get((event.trace, event.direction))
        if event.trace == self._trace and signal is not None:
            quote = event.best(Side.BUY if self._risk.is_buy(signal) else Side.SELL)
            now = replace(signal, ts_ns=event.ts_ns)
            self.seen.judgements.append(judgement(self._risk, now, quote))
        return ()


def decide_again(
    watch: Watch,
    pipeline: Pipeline,
    journal: JournalReader,
    found: Evidence,
    recomputed: Recomputed,
) -> None:
    """The steps of the decision once more, on the state that everything before them left."""
    first, last = found.decided_steps
    for number, recorded in steps_of(journal.read(last)):
        if number < first:
            pipeline.recover(recorded)
            continue
        computed = pipeline.step(recorded[0]).events
        recomputed.steps += 1
        difference = first_difference(number, recorded, computed)
        if difference is not None and recomputed.difference is None:
            recomputed.difference = named(difference, found.run.timeframe)
    recomputed.seen = watch.seen
