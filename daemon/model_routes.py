"""The rows of the route table about a model's life: asked for, judged, promoted, taken back.

Belongs here: who sees these events. Where they stand among all rows is said in `app`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core import events as e
from daemon.core.pipeline import Route, apply, on

if TYPE_CHECKING:
    from daemon.app import Core


def model_routes(core: Core) -> list[Route]:
    """One step holds all of a swap: what was compared, who takes over, and its activation."""
    roles, retraining, challenger = core.roles, core.retraining, core.challenger
    outcomes = core.monitoring.outcomes
    # fmt: off
    verdicts = (
        e.PromotionProposed, e.ModelPromoted, e.ModelRolledBack, e.ChallengerDropped, e.WatchEnded,
    )
    return [
        apply(e.ModelActivated, roles.apply_model_activated),
        apply(e.ModelActivated, retraining.apply_model_activated),
        apply(e.ModelActivated, challenger.apply_model_activated),

        # when a new one is asked for
        apply(e.RunOpened, retraining.apply_run_opened),
        apply(e.Started, retraining.apply_started),
        on(e.Started, retraining.on_started, e.StartTraining),
        apply(e.StopRequested, retraining.apply_stop_requested),
        apply(e.HistoryLoaded, retraining.apply_history_loaded),
        apply(e.BarsClosed, retraining.apply_bars_closed),
        on(e.BarsClosed, retraining.on_bars_closed, e.RetrainingOpened),
        apply(e.HealthSampled, retraining.apply_health_sampled),
        on(e.HealthSampled, retraining.on_health_sampled, e.RetrainingOpened),
        apply(e.RetrainingOpened, retraining.apply_retraining_opened),
        on(e.RetrainingOpened, retraining.on_retraining_opened, e.StartTraining),
        apply(e.CandidateTrained, retraining.apply_candidate_trained),
        apply(e.TrainingFailed, retraining.apply_training_failed),
        apply(e.ChallengerDropped, retraining.apply_challenger_dropped),

        # what becomes of it: in shadow, compared, promoted or dropped, and the way back
        on(e.CandidateTrained, challenger.on_candidate_trained,
           e.ChallengerDropped, e.ChallengerOpened),
        apply(e.ChallengerOpened, roles.apply_challenger_opened),
        apply(e.ChallengerOpened, outcomes.apply_challenger_opened),
        apply(e.ChallengerOpened, challenger.apply_challenger_opened),
        apply(e.Predictions, challenger.apply_predictions),
        apply(e.ChallengerPredictions, outcomes.apply_challenger_predictions),
        apply(e.ChallengerPredictions, challenger.apply_challenger_predictions),
        apply(e.PredictionResolved, challenger.apply_prediction_resolved),
        apply(e.HealthSampled, challenger.apply_health_sampled),
        apply(e.BarsClosed, challenger.apply_bars_closed),
        on(e.BarsClosed, challenger.on_bars_closed, e.ModelsCompared, *verdicts),
        apply(e.ModelsCompared, challenger.apply_models_compared),
        on(e.ModelsCompared, challenger.on_models_compared, *verdicts),
        apply(e.PromotionProposed, challenger.apply_promotion_proposed),
        apply(e.ChallengerDropped, roles.apply_challenger_dropped),
        apply(e.WatchEnded, roles.apply_watch_ended),
        on(e.PromotionRequested, challenger.on_promotion_requested, e.ModelPromoted),
        on(e.RollbackRequested, challenger.on_rollback_requested, e.ModelRolledBack),
        apply(e.ModelPromoted, roles.apply_model_promoted),
        apply(e.ModelPromoted, challenger.apply_model_promoted),
        on(e.ModelPromoted, challenger.on_model_promoted, e.ModelActivated),
        on(e.ModelPromoted, core.risk.halts.on_model_promoted, e.TradingResumed),
        apply(e.ModelRolledBack, roles.apply_model_rolled_back),
        on(e.ModelRolledBack, challenger.on_model_rolled_back, e.ModelActivated),
    ]
    # fmt: on
