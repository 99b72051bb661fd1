"""Decides when a new model is asked for: from samples of health and from bars, by declared rules.

Asked for are, in this order: a model for one that has lost its skill, for one whose data has left
its place, for one that has grown old, and one as often as the schedule says. Belongs here: when.
How a candidate is made and judged belongs to research, and what becomes of it to whoever compares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.events import (
    DropReason,
    HealthStatus,
    RetrainingOpened,
    RetrainReason,
    StartTraining,
    TrainingFault,
)
from daemon.core.timeframes import DAY_NS, HOUR_NS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.config import RetrainingSection
    from daemon.core.events import (
        BarsClosed,
        CandidateTrained,
        ChallengerDropped,
        Event,
        HealthSampled,
        HistoryLoaded,
        ModelActivated,
        RunOpened,
        Started,
        StopRequested,
        TrainingFailed,
    )
    from daemon.core.instruments import InstrumentId
    from daemon.core.scores import Shift


BACKTEST = "backtest"
GONE = frozenset({DropReason.UNFIT, DropReason.SILENT})  # which says nothing of how it was made


class _Cause(Struct, frozen=True):
    reason: RetrainReason
    detail: str
    value: float | None = None
    limit: float | None = None


class Retraining:
    """At most one training is open at a time; all of it is rebuilt from the journal."""

    def __init__(self, config: RetrainingSection, *, timeframe_ns: int) -> None:
        self._config = config
        self._timeframe_ns = timeframe_ns
        self._is_manned = True  # somebody is there who can train
        self._is_ending = False
        self._active: ModelActivated | None = None
        self._closes: dict[InstrumentId, int] = {}
        self._drifted = 0  # samples in a row
        self._lost: HealthSampled | None = None  # the newest sample, if the skill is lost by it
        self._open: RetrainingOpened | None = None
        self._starts = 0  # of the daemon, over the open one
        self._failures = 0  # in a row
        self._learned_ns = 0  # the newest bar that the last attempt, or the active model, knew
        self._settled_ns = 0  # when the last attempt ended, or the model came into use
        self._ready_ns = 0

    @property
    def open(self) -> RetrainingOpened | None:
        """The one that has not ended."""
        return self._open

    # --- applying -----------------------------------------------------------------------------

    def apply_run_opened(self, event: RunOpened) -> None:
        """A backtest is given its models by whoever runs it."""
        self._is_manned = event.mode != BACKTEST

    def apply_model_activated(self, event: ModelActivated) -> None:
        if self._active is None or event.model != self._active.model:
            self._drifted = 0
            self._lost = None
            self._failures = 0
            self._settled_ns = event.ts_ns
            self._ready_ns = event.ts_ns + self._gap_ns(0)
            self._learned_ns = event.trained_through_ns
        self._active = event

    def apply_history_loaded(self, event: HistoryLoaded) -> None:
        for bar in event.bars:
            self._closes[bar.instrument] = bar.close_ns

    def apply_bars_closed(self, event: BarsClosed) -> None:
        for bar in event.bars:
            self._closes[bar.instrument] = bar.close_ns

    def apply_health_sampled(self, event: HealthSampled) -> None:
        self._drifted = self._drifted + 1 if self._shift(event) is not None else 0
        is_lost = event.skill_lost or event.status is HealthStatus.CRITICAL
        self._lost = event if is_lost else None

    def apply_retraining_opened(self, event: RetrainingOpened) -> None:
        self._open = event
        self._starts = 1

    def apply_candidate_trained(self, event: CandidateTrained) -> None:
        """It predicts in shadow now, and is given time to show what it is worth."""
        if self._answers(event.opened_ns):
            self._settle(event.ts_ns, round(self._config.shadow_hours * HOUR_NS))

    def apply_challenger_dropped(self, event: ChallengerDropped) -> None:
        """The attempt has failed after all, unless another candidate goes on in its place."""
        if event.reason not in {DropReason.REPLACED, DropReason.BUSY}:
            self._failures += event.reason not in GONE
            self._ready_ns = event.ts_ns + self._gap_ns(max(0, self._failures - 1))

    def apply_training_failed(self, event: TrainingFailed) -> None:
        if not self._answers(event.opened_ns):
            return
        self._failures += 1
        gap_ns = self._gap_ns(self._failures - 1)
        if event.fault is TrainingFault.OPERATOR:  # who cancels one does not want the next at once
            gap_ns = round(self._config.max_gap_hours * HOUR_NS)
        self._settle(event.ts_ns, gap_ns)

    def apply_stop_requested(self, _event: StopRequested) -> None:
        """A stop that was asked for is not the training's doing; nobody would train any more."""
        self._starts = 0
        self._is_ending = True

    def apply_started(self, _event: Started) -> None:
        self._is_ending = False
        if self._open is not None:
            self._starts += 1

    # --- deciding -----------------------------------------------------------------------------

    def on_health_sampled(self, event: HealthSampled) -> Iterator[Event]:
        """By lost skill, else by drift that lasts."""
        config = self._config
        if self._lost is not None:
            if config.on_skill:
                yield from self._opening(event.ts_ns, _by_skill(self._lost))
            return
        shift = self._shift(event)
        if config.on_drift and shift is not None and self._drifted >= config.drift_samples:
            detail = f"PSI of {shift.what} in {self._drifted} samples"
            cause = _Cause(RetrainReason.DRIFT, detail, shift.psi, config.psi_min)
            yield from self._opening(event.ts_ns, cause)

    def on_bars_closed(self, event: BarsClosed) -> Iterator[Event]:
        """By skill that is lost, else by age, else by schedule."""
        cause = self._cause(max(bar.close_ns for bar in event.bars))
        if cause is None:
            return
        if self._lost is not None:
            # Whatever the occasion: the past of a model that is dead must not vouch for the next.
            cause = _by_skill(self._lost)
        yield from self._opening(event.ts_ns, cause)

    def on_retraining_opened(self, event: RetrainingOpened) -> Iterator[StartTraining]:
        yield self._start(event, event.ts_ns)

    def on_started(self, event: Started) -> Iterator[StartTraining]:
        """One that an earlier process left open is begun again."""
        if self._open is not None:
            yield self._start(self._open, event.ts_ns)

    # --- parts --------------------------------------------------------------------------------

    def _cause(self, now_ns: int) -> _Cause | None:
        config, active = self._config, self._active
        if active is None:
            return None
        if self._lost is not None and config.on_skill:
            return _by_skill(self._lost)
        age_days = (now_ns - active.trained_through_ns) / DAY_NS
        if config.after_days and age_days >= config.after_days:
            return _Cause(RetrainReason.AGE, "days old", age_days, config.after_days)
        if config.every_days and self._turn(now_ns) > self._turn(self._settled_ns):
            detail = f"every {config.every_days} days at {config.at_hour:02d}:00"
            return _Cause(RetrainReason.SCHEDULE, detail)
        return None

    def _opening(self, ts_ns: int, cause: _Cause) -> Iterator[RetrainingOpened]:
        until_ns = self._complete_ns()
        new_bars = (until_ns - self._learned_ns) // self._timeframe_ns
        if (
            not (self._config.enabled and self._is_manned)
            or self._is_ending
            or self._active is None
            or self._open is not None
            or ts_ns < self._ready_ns
            or new_bars < self._config.new_bars_min
        ):
            return
        yield RetrainingOpened(
            ts_ns=ts_ns,
            reason=cause.reason,
            model=self._active.model,
            attempt=self._failures + 1,
            until_ns=until_ns,
            detail=cause.detail,
            value=cause.value,
            limit=cause.limit,
        )

    def _start(self, opened: RetrainingOpened, ts_ns: int) -> StartTraining:
        return StartTraining(
            ts_ns=ts_ns,
            opened_ns=opened.ts_ns,
            reason=opened.reason,
            model=opened.model,
            attempt=opened.attempt,
            until_ns=opened.until_ns,
            start=self._starts,
        )

    def _complete_ns(self) -> int:
        """Close of the newest slot that no instrument is still awaited in."""
        newest_ns = max(self._closes.values(), default=0)
        is_whole = all(each == newest_ns for each in self._closes.values())
        return newest_ns if is_whole else newest_ns - self._timeframe_ns

    def _answers(self, opened_ns: int) -> bool:
        return self._open is not None and self._open.ts_ns == opened_ns

    def _settle(self, ts_ns: int, gap_ns: int) -> None:
        assert self._open is not None
        self._learned_ns = self._open.until_ns
        self._settled_ns = ts_ns
        self._ready_ns = ts_ns + gap_ns
        self._open = None

    def _gap_ns(self, failures_before: int) -> int:
        hours = self._config.min_gap_hours * self._config.backoff_factor ** min(failures_before, 64)
        return round(min(hours, self._config.max_gap_hours) * HOUR_NS)

    def _turn(self, ts_ns: int) -> int:
        every_ns = self._config.every_days * DAY_NS
        return (ts_ns - self._config.at_hour * HOUR_NS) // every_ns

    def _shift(self, event: HealthSampled) -> Shift | None:
        """The largest that has drifted and is beyond where a new model is asked for."""
        found = [each for each in event.shifts if each.is_drift]
        worst = max(found, key=lambda each: each.psi, default=None)
        return worst if worst is not None and worst.psi > self._config.psi_min else None


def _by_skill(sample: HealthSampled) -> _Cause:
    detail = ", ".join(sample.reasons)
    return _Cause(RetrainReason.SKILL, detail, sample.evidence, sample.evidence_limit)
