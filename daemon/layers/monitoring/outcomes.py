"""The outcome ledger: turns predictions, and the bars that follow them, into scored outcomes.

Each prediction is pending until the bar that decides it arrives: by its model's label, the one that
closes one horizon later, or the first that reaches a barrier. Belongs here: what became of a
prediction, per model. How good that is belongs to `skill` and `handler`.
"""

from __future__ import annotations

from collections import Counter, deque
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from daemon.core.bars import MissCause
from daemon.core.events import PredictionResolved
from daemon.core.instruments import InstrumentId
from daemon.core.labels import LabelKind, LabelRule, barriers, risen, touched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from daemon.core.bars import Bar
    from daemon.core.events import (
        BarsClosed,
        BarsMissed,
        ChallengerOpened,
        ChallengerPredictions,
        HistoryLoaded,
        ModelActivated,
        Prediction,
        Predictions,
    )

MODELS_REMEMBERED_MAX = 16
PENDING_PER_INSTRUMENT_MAX = 20_000
# Outcomes of overlapping horizons depend on each other. Blocks of three horizons hold nine tenths
# of the variance that this adds; blocks of one would hold two thirds.
BLOCK_HORIZONS = 3


class Unscored(StrEnum):
    """Why a resolved prediction has no outcome: all but a tie are lost."""

    TIE = "tie"
    HOLE = "hole"
    OUTAGE = "outage"
    NO_BARRIERS = "no_barriers"


class Pending(Struct, gc=False):
    """A prediction whose horizon has not passed; `lost` says why it never will."""

    instrument: InstrumentId
    trace: str
    model: str
    close_ns: int
    due_ns: int
    close: float
    probability_up: float
    lost: Unscored | None = None
    is_shadow: bool = False
    barriers: tuple[float, float] | None = None  # profit and stop, where the label has them


class Scored(Struct, frozen=True, gc=False):
    """A probability and what came true: outcome 1 is up, 0 down."""

    close_ns: int
    probability_up: float
    outcome: int
    instrument: InstrumentId


class Scores(Struct):
    """What one model has to show: its newest outcomes, and counts since it was first activated."""

    horizon_bars: int
    rule: LabelRule
    recent: deque[Scored]  # enough for every window
    scored: int = 0
    ties: int = 0
    lost: int = 0


class Outcomes:
    """Pending predictions and scores per model; only `apply_*` change them: a journal suffices."""

    def __init__(self, *, timeframe_ns: int, window_outcomes: int) -> None:
        self._timeframe_ns = timeframe_ns
        self._window_outcomes = window_outcomes
        self._pending: dict[InstrumentId, dict[tuple[str, int], Pending]] = {}
        self._scores: dict[str, Scores] = {}
        # Close times and closes, as many as the barriers of the remembered models are made of.
        self._closes: dict[InstrumentId, deque[tuple[int, float]]] = {}
        self._closes_kept = 0

    @property
    def pending_count(self) -> int:
        return sum(len(each) for each in self._pending.values())

    def pending(self, model: str) -> Counter[InstrumentId]:
        """How many predictions of a model wait for their outcome, by instrument."""
        return Counter(
            each.instrument
            for waiting in self._pending.values()
            for each in waiting.values()
            if each.model == model
        )

    def models(self) -> tuple[str, ...]:
        """Those of which scores are kept, the active one last."""
        return tuple(self._scores)

    def scores(self, model: str) -> Scores:
        """KeyError for a model that was never activated, or long ago."""
        return self._scores[model]

    def block_ns(self, model: str) -> int:
        """Outcomes of bars in the same block of this length count as one cluster."""
        return block_length_ns(self._timeframe_ns, self._scores[model].horizon_bars)

    # --- applying -----------------------------------------------------------------------------

    def apply_model_activated(self, event: ModelActivated) -> None:
        """Open the model's window, or take up the one it had; other models' stay as they are."""
        self._open(event)

    def apply_challenger_opened(self, event: ChallengerOpened) -> None:
        """A model in shadow is scored like any other, and brings its window along."""
        self._open(event.activation)

    def _open(self, event: ModelActivated) -> None:
        known = self._scores.pop(event.model, None)
        fresh = Scores(event.horizon_bars, event.label, deque(maxlen=self._window_outcomes))
        self._scores[event.model] = known or fresh
        if event.label.past_closes > self._closes_kept:
            self._closes_kept = event.label.past_closes
            for instrument, closes in self._closes.items():
                self._closes[instrument] = deque(closes, maxlen=self._closes_kept)
        if len(self._scores) > MODELS_REMEMBERED_MAX:
            del self._scores[next(iter(self._scores))]

    def apply_history_loaded(self, event: HistoryLoaded) -> None:
        self._keep(event.bars)

    def apply_bars_closed(self, event: BarsClosed) -> None:
        self._keep(event.bars)

    def apply_predictions(self, event: Predictions) -> None:
        self._await(event.model, event.rows, is_shadow=False)

    def apply_challenger_predictions(self, event: ChallengerPredictions) -> None:
        self._await(event.model, event.rows, is_shadow=True)

    def _await(self, model: str, rows: tuple[Prediction, ...], *, is_shadow: bool) -> None:
        scores = self._scores[model]
        horizon_ns = scores.horizon_bars * self._timeframe_ns
        for row in rows:
            waiting = self._pending.setdefault(row.instrument, {})
            assert len(waiting) < PENDING_PER_INSTRUMENT_MAX, "bars resolve what is pending"
            made = waiting[model, row.close_ns] = Pending(
                row.instrument,
                row.trace,
                model,
                row.close_ns,
                row.close_ns + horizon_ns,
                row.close,
                row.probability_up,
                is_shadow=is_shadow,
            )
            if scores.rule.kind is LabelKind.TRIPLE_BARRIER:
                made.barriers = self._barriers(row.instrument, row.close_ns, scores)
                made.lost = None if made.barriers else Unscored.NO_BARRIERS

    def apply_bars_missed(self, event: BarsMissed) -> None:
        """Mark what can never be known: an outage before the end, or no bar at the end itself."""
        first_close_ns = event.first_open_ns + self._timeframe_ns
        last_close_ns = event.first_open_ns + event.count * self._timeframe_ns
        for each in self._pending.get(event.instrument, {}).values():
            if event.cause is not MissCause.NO_TRADES:
                if first_close_ns <= each.due_ns and last_close_ns > each.close_ns:
                    each.lost = Unscored.OUTAGE
            elif first_close_ns <= each.due_ns and (
                # Only the last bar decides on a direction; any may reach a barrier.
                each.due_ns <= last_close_ns
                or (each.barriers is not None and last_close_ns > each.close_ns)
            ):
                each.lost = each.lost or Unscored.HOLE

    def apply_prediction_resolved(self, event: PredictionResolved) -> None:
        key = (event.model, event.predicted_close_ns)
        waiting = self._pending.get(event.instrument, {})
        waiting.pop(key, None)
        if not waiting:
            self._pending.pop(event.instrument, None)
        scores = self._scores.get(event.model)
        if scores is None:
            return
        if event.outcome is not None:
            scores.scored += 1
            scores.recent.append(
                Scored(
                    event.predicted_close_ns,
                    event.probability_up,
                    event.outcome,
                    event.instrument,
                )
            )
        elif event.reason == Unscored.TIE:
            scores.ties += 1
        else:
            scores.lost += 1

    # --- deciding -----------------------------------------------------------------------------

    def on_bars_closed(self, event: BarsClosed) -> Iterator[PredictionResolved]:
        """Resolve what these bars decide, oldest prediction first."""
        for bar in event.bars:
            for each in self._pending.get(bar.instrument, {}).values():
                if _is_decided(each, bar):
                    yield _resolved(event.ts_ns, each, bar)

    def on_history_loaded(self, event: HistoryLoaded) -> Iterator[PredictionResolved]:
        """Resolve what was still pending when the last run ended and has become known since."""
        bars: dict[InstrumentId, dict[int, Bar]] = {}
        for bar in event.bars:
            bars.setdefault(bar.instrument, {})[bar.close_ns] = bar
        for instrument, closed in bars.items():
            newest = closed[max(closed)]
            for each in self._pending.get(instrument, {}).values():
                decisive, lost = closed.get(each.due_ns, newest), each.lost
                if each.barriers is not None and lost is None:
                    decisive, lost = self._first_touch(each, closed, decisive)
                pending = replace(each, lost=lost)
                if _is_decided(pending, decisive):
                    yield _resolved(event.ts_ns, pending, decisive)

    # --- barriers -----------------------------------------------------------------------------

    def _keep(self, bars: Iterable[Bar]) -> None:
        if not self._closes_kept:
            return
        for bar in bars:
            closes = self._closes.setdefault(bar.instrument, deque(maxlen=self._closes_kept))
            if not closes or bar.close_ns > closes[-1][0]:
                closes.append((bar.close_ns, bar.close))

    def _barriers(
        self, instrument: InstrumentId, close_ns: int, scores: Scores
    ) -> tuple[float, float] | None:
        """None where the closes have a hole, or do not reach back far enough, or did not move."""
        count = scores.rule.past_closes
        newest = list(self._closes.get(instrument, ()))[-count:]
        span_ns = (count - 1) * self._timeframe_ns
        if len(newest) < count or newest[-1][0] != close_ns or newest[0][0] != close_ns - span_ns:
            return None
        return barriers(scores.rule, scores.horizon_bars, [close for _, close in newest])

    def _first_touch(
        self, pending: Pending, closed: Mapping[int, Bar], newest: Bar
    ) -> tuple[Bar, Unscored | None]:
        """The first bar that reaches a barrier, else the last one; lost where a bar is missing."""
        until_ns = min(pending.due_ns, newest.close_ns)
        step_ns = self._timeframe_ns
        for close_ns in range(pending.close_ns + step_ns, until_ns + 1, step_ns):
            bar = closed.get(close_ns)
            if bar is None:
                return newest, Unscored.HOLE
            if _touch(pending, bar) is not None:
                return bar, None
        return newest, None


def block_length_ns(timeframe_ns: int, horizon_bars: int) -> int:
    """How long a block of outcomes is that depend on each other."""
    return timeframe_ns * (horizon_bars if horizon_bars == 1 else horizon_bars * BLOCK_HORIZONS)


def _touch(pending: Pending, bar: Bar) -> int | None:
    if pending.barriers is None or not pending.close_ns < bar.close_ns <= pending.due_ns:
        return None
    return touched(*pending.barriers, bar.high, bar.low)


def _is_decided(pending: Pending, bar: Bar) -> bool:
    is_over = bar.close_ns >= pending.due_ns or pending.lost is not None
    return is_over or _touch(pending, bar) is not None


def _resolved(ts_ns: int, pending: Pending, bar: Bar) -> PredictionResolved:
    outcome: int | None = None
    return_ratio: float | None = None
    reason = pending.lost
    if reason is None and bar.close_ns > pending.due_ns:
        reason = Unscored.HOLE
    if reason is None:
        return_ratio = bar.close / pending.close - 1.0
        outcome = _touch(pending, bar)
        if outcome is None:
            outcome = risen(pending.close, bar.close)
        if outcome is None:
            reason = Unscored.TIE
    return PredictionResolved(
        ts_ns=ts_ns,
        instrument=pending.instrument,
        trace=pending.trace,
        model=pending.model,
        predicted_close_ns=pending.close_ns,
        probability_up=pending.probability_up,
        outcome=outcome,
        return_ratio=return_ratio,
        reason="" if reason is None else reason.value,
        is_shadow=pending.is_shadow,
    )
