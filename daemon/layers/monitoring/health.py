"""Judges a model: turns its skill and its drift into a status and the reasons for it.

UNKNOWN: no model, under `min_resolved` outcomes, a single class, or a good AUC beside unmeasured
drift. CRITICAL: the whole 95 % interval of the AUC is below 0.5. WARNING: the interval contains
0.5, or a PSI is above `psi_warn` and above twice what training shows against itself. HEALTHY: the
interval is above 0.5 and no PSI warns. Belongs here: what HEALTHY means. The statistics belong to
`skill` and `drift`, the windows to `handler`, and what to do about bad health to risk.

How often CRITICAL fires for one instrument with the defaults (window 500, at least 100 outcomes,
a sample every 24 bars), from 3000 windows and 800 paths; a smaller simulation is a test:

    true AUC   at one check of a full window   at any check in 1000 bars   median delay, bars
    0.40       97 %                            100 %                       144
    0.45       49 %                            90 %                        336
    0.50       2.3 %                           19 %
    0.55       0.03 %                          0.5 %
    0.60       0 of 3000                       0 of 800
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import numpy as np
from msgspec import Struct

from daemon.core.events import HealthStatus
from daemon.core.manifests import Histogram
from daemon.layers.monitoring.drift import psi
from daemon.layers.monitoring.skill import Skill

PLACEBO_FACTOR = 2.0
NO_SKILL_AUC = 0.5


class HealthReason(StrEnum):
    NO_MODEL = "no_model"
    TOO_FEW_OUTCOMES = "too_few_outcomes"
    ONE_CLASS = "one_class"
    SKILL_BELOW_CHANCE = "skill_below_chance"
    SKILL_NOT_SHOWN = "skill_not_shown"
    FEATURE_DRIFT = "feature_drift"
    PREDICTION_DRIFT = "prediction_drift"
    NO_REFERENCE = "no_reference"
    TOO_FEW_ROWS = "too_few_rows"


WARNINGS = frozenset({HealthReason.FEATURE_DRIFT, HealthReason.PREDICTION_DRIFT})


class References(Struct, frozen=True):
    """What was usual: features in training, and the calibrated probability out of sample."""

    features: Mapping[str, Histogram]
    probability: Histogram


class Drift(Struct, frozen=True):
    """PSI of the worst feature and of the prediction; None where it could not be measured."""

    worst: float | None = None
    worst_feature: str | None = None
    prediction: float | None = None
    reasons: tuple[HealthReason, ...] = ()


def judge(
    skill: Skill, drift: Drift, min_resolved: int
) -> tuple[HealthStatus, tuple[HealthReason, ...]]:
    """The status, and every reason why it is not better than that."""
    status, reason = _by_skill(skill, min_resolved)
    if reason is not None:
        return status, (reason, *drift.reasons)
    if WARNINGS & set(drift.reasons):
        return HealthStatus.WARNING, drift.reasons
    return (HealthStatus.UNKNOWN if drift.reasons else HealthStatus.HEALTHY), drift.reasons


def measure_drift(
    references: References | None,
    names: Sequence[str],
    rows: Iterable[Sequence[float]],
    probabilities: Iterable[float],
    psi_warn: float,
) -> Drift:
    """PSI of feature rows, each in the order of `names`, and of calibrated probabilities.

    The worst feature is the highest among those that warn, else the highest of all: a feature that
    wanders by nature does not hide one that has left its place.
    """
    if references is None or any(name not in references.features for name in names):
        return Drift(reasons=(HealthReason.NO_REFERENCE,))
    table = np.array(list(rows), dtype=np.float64)
    recent = np.array(list(probabilities), dtype=np.float64)
    prediction = psi(references.probability, recent)
    reasons = []
    worst: tuple[bool, float, str] | None = None
    for column, name in enumerate(names):
        reference = references.features[name]
        level = psi(reference, table[:, column]) if len(table) else None
        if level is not None:
            found = (_warns(level, reference, psi_warn), level, name)
            worst = max(worst or found, found)
    if worst is not None and worst[0]:
        reasons.append(HealthReason.FEATURE_DRIFT)
    if prediction is not None and _warns(prediction, references.probability, psi_warn):
        reasons.append(HealthReason.PREDICTION_DRIFT)
    if worst is None or prediction is None:
        reasons.append(HealthReason.TOO_FEW_ROWS)
    if worst is None:
        return Drift(prediction=prediction, reasons=tuple(reasons))
    return Drift(worst[1], worst[2], prediction, tuple(reasons))


def _by_skill(skill: Skill, min_resolved: int) -> tuple[HealthStatus, HealthReason | None]:
    if skill.n < min_resolved:
        return HealthStatus.UNKNOWN, HealthReason.TOO_FEW_OUTCOMES
    if skill.auc is None:
        return HealthStatus.UNKNOWN, HealthReason.ONE_CLASS
    if skill.high < NO_SKILL_AUC:
        return HealthStatus.CRITICAL, HealthReason.SKILL_BELOW_CHANCE
    if skill.low <= NO_SKILL_AUC:
        return HealthStatus.WARNING, HealthReason.SKILL_NOT_SHOWN
    return HealthStatus.HEALTHY, None


def _warns(level: float, reference: Histogram, psi_warn: float) -> bool:
    return level > max(psi_warn, PLACEBO_FACTOR * (reference.placebo_psi or 0.0))
