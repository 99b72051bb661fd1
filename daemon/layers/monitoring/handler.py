"""Layer 7's handler: keeps the windows, and turns every HealthTick into one HealthSampled.

Belongs here: what is remembered. What became of a prediction belongs to `outcomes`, what makes a
model HEALTHY to `health`, and when to sample to the health task.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from daemon.core.events import HealthSampled, HealthStatus
from daemon.layers.monitoring.evidence import Evidence, Tests
from daemon.layers.monitoring.figures import Window, since, window_of
from daemon.layers.monitoring.health import (
    NO_SKILL_AUC,
    BySkill,
    HealthReason,
    by_drift,
    by_evidence,
    by_interval,
    by_last,
    judge,
)
from daemon.layers.monitoring.outcomes import Outcomes
from daemon.layers.monitoring.results import Results
from daemon.layers.monitoring.sequential import rules_of
from daemon.layers.monitoring.shadowing import NO_ANSWERS
from daemon.layers.monitoring.shifts import References, Rules, measure_drift
from daemon.layers.monitoring.skill import Skill, auc, brier, calibration_slope, log_loss
from daemon.layers.monitoring.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from daemon.config import HealthSection
    from daemon.core.events import (
        BarsClosed,
        BarsMissed,
        Event,
        FeatureRows,
        HealthTick,
        HistoryLoaded,
        ModelActivated,
        PredictionResolved,
        Predictions,
    )
    from daemon.core.instruments import InstrumentId
    from daemon.core.manifests import Histogram
    from daemon.core.scores import SkillWindow
    from daemon.layers.monitoring.outcomes import Scored

REFERENCES_REMEMBERED_MAX = 16
UNANSWERED_MIN = 3  # a process that serves a model is started three times, and never again
OUTCOMES_REMEMBERED_MIN = 5_000  # of each model, for windows by time


class Monitoring:
    """Keeps score of the active model; all but the references is rebuilt from the journal."""

    def __init__(self, config: HealthSection, *, timeframe_ns: int) -> None:
        self._config = config
        self.rules = rules_of(config)
        self.evidence = Evidence(self.rules)
        self.results = Results(config.window_outcomes, timeframe_ns=timeframe_ns)
        self.outcomes = Outcomes(
            timeframe_ns=timeframe_ns,
            window_outcomes=max(config.window_outcomes, OUTCOMES_REMEMBERED_MIN),
        )
        self._model: str | None = None
        self._feature_names: tuple[str, ...] = ()
        self._fingerprint = ""
        self._rows = Windows(config.window_outcomes)
        self._probabilities = Windows(config.window_outcomes)
        self._references: dict[str, References] = {}
        self._unanswered = 0  # of the newest cross-sections, those without any probability

    def use_references(
        self, model: str, features: Mapping[str, Histogram], probability: Histogram
    ) -> None:
        """Hand over what was usual in training; `probability` is of calibrated out-of-sample ones.

        Call it before the model's ModelActivated enters, in replay as in live. A model's id is made
        from its content, so the same id always brings the same references.
        """
        self._references.pop(model, None)
        self._references[model] = References(features, probability)
        if len(self._references) > REFERENCES_REMEMBERED_MAX:
            del self._references[next(iter(self._references))]

    @property
    def model(self) -> str | None:
        """The active one."""
        return self._model

    @property
    def window_outcomes(self) -> int:
        return self._config.window_outcomes

    def skill(self) -> Skill:
        """AUC of the active model over its newest outcomes, clustered by bar or block of bars."""
        return self._recent().skill()

    # --- applying -----------------------------------------------------------------------------

    def apply_model_activated(self, event: ModelActivated) -> None:
        """A swap starts a new window of outcomes and of probabilities."""
        self.outcomes.apply_model_activated(event)
        self._remember()
        self.results.apply_model_activated(event)
        if event.model != self._model:
            self._probabilities.clear()
            self._unanswered = 0
        self._model = event.model
        self._feature_names = event.feature_names
        if event.feature_fingerprint != self._fingerprint:
            self._fingerprint = event.feature_fingerprint
            self._rows.clear()

    def apply_feature_rows(self, event: FeatureRows) -> None:
        if event.fingerprint == self._fingerprint:
            for row in event.rows:
                self._rows.add(row.instrument, row.values)

    def apply_predictions(self, event: Predictions) -> None:
        if not event.rows:
            self._unanswered += any(each.reason in NO_ANSWERS for each in event.refused)
            return
        self._unanswered = 0
        self.outcomes.apply_predictions(event)
        if event.model == self._model:
            for row in event.rows:
                self._probabilities.add(row.instrument, (row.probability_up,))

    def apply_history_loaded(self, event: HistoryLoaded) -> None:
        self.outcomes.apply_history_loaded(event)

    def apply_bars_closed(self, event: BarsClosed) -> None:
        self.outcomes.apply_bars_closed(event)

    def apply_bars_missed(self, event: BarsMissed) -> None:
        self.outcomes.apply_bars_missed(event)

    def apply_prediction_resolved(self, event: PredictionResolved) -> None:
        self.outcomes.apply_prediction_resolved(event)
        if not self.evidence.knows(event.model):
            self._remember()  # one that predicts beside the active model
        self.evidence.apply_prediction_resolved(event)
        self.results.apply_prediction_resolved(event)

    # --- deciding -----------------------------------------------------------------------------

    def on_bars_closed(self, event: BarsClosed) -> Iterator[Event]:
        """Resolve the predictions whose horizon ends with these bars."""
        return self.outcomes.on_bars_closed(event)

    def on_history_loaded(self, event: HistoryLoaded) -> Iterator[Event]:
        """Resolve what became known while nobody was running."""
        return self.outcomes.on_history_loaded(event)

    def on_health_tick(self, event: HealthTick) -> Iterator[Event]:
        """Exactly one sample for every tick."""
        recent, tests = self._recent(), self.evidence.of(self._model)
        skill = recent.skill()
        drift = measure_drift(
            self._references.get(self._model or ""),
            self._feature_names,
            self._rows.recent(),
            self._probabilities.recent(),
            Rules(self._config.psi_warn, self._config.drift_rows_min),
        )
        worst = next(iter(drift.features), None)
        is_tested = self._config.policy == "sequential"
        symbols = tests.symbols(self.rules, self._counts()) if is_tested else ()
        is_one_lost = any(each.is_lost for each in symbols)
        by_skill, judged, judged_limit = self._by_skill(tests, skill, recent)
        status, reasons = judge(
            by_skill,
            by_drift(drift),
            is_symbol_lost=is_one_lost,
            is_silent=self._unanswered >= UNANSWERED_MIN,
        )
        if self._model is None:
            status, reasons = HealthStatus.UNKNOWN, (HealthReason.NO_MODEL,)
        yield HealthSampled(
            ts_ns=event.ts_ns,
            model=self._model or "",
            status=status,
            reasons=tuple(reason.value for reason in reasons),
            auc=skill.auc,
            auc_low=skill.low,
            auc_high=skill.high,
            auc_n=skill.n,
            brier=brier(recent.probabilities, recent.outcomes),
            psi_worst=None if worst is None else worst.psi,
            psi_worst_feature=None if worst is None else worst.feature,
            psi_prediction=drift.prediction[0].psi if drift.prediction else None,
            lost=0 if self._model is None else self.outcomes.scores(self._model).lost,
            policy=self._config.policy,
            judged=judged,
            judged_limit=judged_limit,
            skill_lost=HealthReason.SKILL_LOST in reasons,
            evidence=tests.all.against,
            evidence_limit=self.rules.limit,
            shown=tests.all.in_favour,
            shown_limit=self.rules.shown_limit,
            since_ns=tests.all.lost_ns or tests.all.doubted_ns or tests.all.shown_ns,
            log_loss=log_loss(recent.probabilities, recent.outcomes),
            calibration_slope=calibration_slope(recent.probabilities, recent.outcomes),
            windows=self._windows(event.ts_ns),
            symbols=symbols,
            trades=self.results.figures(),
            psi_worst_instrument=None if worst is None else worst.instrument,
            shifts=drift.told,
        )

    def _remember(self) -> None:
        self.evidence.remember(
            (model, self.outcomes.block_ns(model)) for model in self.outcomes.models()
        )

    # --- windows ------------------------------------------------------------------------------

    def _by_skill(
        self, tests: Tests, skill: Skill, recent: Window
    ) -> tuple[BySkill, float | None, float]:
        """What the rule says, the number that it looks at, and its limit."""
        if self._config.policy == "sequential":
            judged = by_evidence(tests.all, skill, self._config.min_resolved)
            return judged, tests.all.against, self.rules.limit
        if self._config.policy == "auc_window":
            return by_interval(skill, self._config.min_resolved), skill.high, NO_SKILL_AUC
        last_n = self._config.last_n
        last = recent.outcomes[-last_n:]
        last_auc = auc(recent.probabilities[-last_n:], last)
        return by_last(last_auc, len(last), last_n), last_auc, NO_SKILL_AUC

    def _recent(self) -> Window:
        return window_of(self._scored()[-self._config.window_outcomes :], self._block_ns())

    def _windows(self, now_ns: int) -> tuple[SkillWindow, ...]:
        scored, block_ns = self._scored(), self._block_ns()
        return tuple(
            window_of(since(scored, now_ns, days), block_ns).told(days)
            for days in self._config.window_days
        )

    def _counts(self) -> Counter[InstrumentId]:
        newest = self._scored()[-self._config.window_outcomes :]
        return Counter(each.instrument for each in newest)

    def _scored(self) -> list[Scored]:
        return [] if self._model is None else list(self.outcomes.scores(self._model).recent)

    def _block_ns(self) -> int:
        return 1 if self._model is None else self.outcomes.block_ns(self._model)
