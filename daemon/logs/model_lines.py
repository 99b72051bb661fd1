"""Lines about the life of models: a new one is asked for, is made, is compared, takes over.

Belongs here: as in `lines`, the fields of lines, made from events alone.
"""

from collections.abc import Iterator

from daemon.core import events as e
from daemon.core.scores import Shift
from daemon.core.timeframes import rfc3339
from daemon.layers.monitoring.pairing import sentence
from daemon.logs import parts
from daemon.logs.parts import Fields, Memory


def drift_found(event: e.HealthSampled, _: Memory) -> Iterator[Fields]:
    yield from (_shift(event, each) for each in event.shifts if each.is_drift)


def drift_disputed(event: e.HealthSampled, _: Memory) -> Iterator[Fields]:
    yield from (_shift(event, each) for each in event.shifts if each.is_disputed)


def _shift(event: e.HealthSampled, shift: Shift) -> Fields:
    return {
        **parts.at(event),
        "model": event.model,
        "feature": shift.feature or "prediction",
        "exchange": None if shift.instrument is None else shift.instrument.exchange,
        "symbol": parts.place(shift.instrument),
        "rows": shift.n,
        "psi": parts.probability(shift.psi),
        "psi_limit": parts.probability(shift.psi_limit),
        "ks": parts.probability(shift.ks),
        "ks_limit": parts.probability(shift.ks_limit),
    }


def features_checked(event: e.FeaturesChecked, _: Memory) -> Iterator[Fields]:
    if not event.error and not event.differing:
        yield {
            **parts.at(event),
            "rows": event.rows,
            "revised": event.revised or None,
            "first_bar": rfc3339(event.from_ns) if event.rows else None,
            "until": rfc3339(event.until_ns) if event.rows else None,
        }


def features_differ(event: e.FeaturesChecked, _: Memory) -> Iterator[Fields]:
    if event.differing and event.instrument is not None:
        yield {
            **parts.at(event),
            "rows": event.rows,
            "differing": event.differing,
            "revised": event.revised or None,
            **parts.named(event.instrument),
            "bar": rfc3339(event.close_ns or 0),
            "feature": event.feature,
            "live": event.live,
            "stored": event.stored,
        }


def features_unchecked(event: e.FeaturesChecked, _: Memory) -> Iterator[Fields]:
    if event.error:
        yield {**parts.at(event), "error": event.error}


def retraining_opened(event: e.RetrainingOpened, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.at(event),
        "reason": event.reason,
        "model": event.model,
        "attempt": event.attempt,
        "until": rfc3339(event.until_ns),
        "detail": event.detail or None,
        "value": parts.ratio(event.value),
        "limit": parts.ratio(event.limit),
    }


def candidate_trained(event: e.CandidateTrained, _: Memory) -> Iterator[Fields]:
    held_out = event.held_out
    yield {
        **parts.at(event),
        "model": event.model,
        "auc": parts.probability(held_out.auc),
        "auc_low": parts.probability(held_out.auc_low),
        "auc_high": parts.probability(held_out.auc_high),
        "baseline_auc": parts.probability(held_out.baseline_auc),
        "trials": held_out.trials,
        "window_days": held_out.window_days,
        "verdict": event.verdict,
    }


def training_failed(event: e.TrainingFailed, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.at(event),
        "fault": event.fault,
        "reason": event.reason,
        "model": event.model or None,
    }


def model_unfit(event: e.ModelUnfit, _: Memory) -> Iterator[Fields]:
    yield {**parts.at(event), "model": event.model, "error": event.error}


def challenger_opened(event: e.ChallengerOpened, _: Memory) -> Iterator[Fields]:
    model = event.activation
    yield {
        **parts.at(event),
        "model": event.model,
        "champion": event.champion,
        "horizon_bars": model.horizon_bars,
        "trained_through": rfc3339(model.trained_through_ns),
        "auc": parts.probability(model.auc),
        "auc_low": parts.probability(model.auc_low),
        "auc_high": parts.probability(model.auc_high),
    }


def models_compared(event: e.ModelsCompared, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.at(event),
        "model": event.model,
        "other": event.other,
        "until": rfc3339(event.until_ns),
        "outcomes": event.outcomes,
        "pairs": event.pairs,
        "score_gain": parts.ratio(event.score_gain),
        "net_gain_ratio": parts.ratio(event.net_gain_ratio),
    }


def promotion_proposed(event: e.PromotionProposed, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.at(event),
        "model": event.model,
        "champion": event.champion,
        "reason": event.reason,
        **_compared(event.comparison),
        "command": f"tradingd models promote {event.model} --reason R",
    }


def model_promoted(event: e.ModelPromoted | e.ModelRolledBack, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.at(event),
        "model": event.model,
        "replaced": event.replaced,
        "reason": event.reason,
        "who": event.who,
        "detail": event.detail or None,
        **_compared(event.comparison),
    }


def challenger_dropped(event: e.ChallengerDropped, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.at(event),
        "model": event.model,
        "champion": event.champion,
        "reason": event.reason,
        **_compared(event.comparison),
    }


def watch_ended(event: e.WatchEnded, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.at(event),
        "model": event.model,
        "champion": event.active,
        **_compared(event.comparison),
    }


def swap_asked(event: e.PromotionRequested | e.RollbackRequested, _: Memory) -> Iterator[Fields]:
    yield {**parts.at(event), "model": event.model, "reason": event.reason, "who": event.who}


def _compared(told: e.Comparison | None) -> Fields:
    if told is None:
        return {}
    return {
        "shadow_bars": told.bars,
        "pairs": told.pairs,
        "score_gain": parts.ratio(told.score_gain),
        "evidence_better": parts.ratio(told.evidence),
        "net_gain_ratio": parts.ratio(told.net_gain_ratio),
        "verdict": sentence(told),
    }
