"""Lines about the life of models: a new one is asked for, is made, or is not.

Belongs here: as in `lines`, the fields of lines, made from events alone.
"""

from collections.abc import Iterator

from daemon.core import events as e
from daemon.core.timeframes import rfc3339
from daemon.logs import parts
from daemon.logs.parts import Fields, Memory


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
