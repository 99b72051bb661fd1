"""Judges a model: turns its skill and its drift into a status and the reasons for it.

By the rule `sequential`, the default: CRITICAL while the promised skill is refuted, WARNING while
that is doubtful, UNKNOWN under `min_resolved` outcomes, with a single class, or until skill is
shown, and else HEALTHY. By `auc_window`: CRITICAL when the whole 95 % interval of the AUC is below
0.5, WARNING when it contains 0.5, else HEALTHY. By `last_n`, the rule of the reference text:
CRITICAL when the AUC of the last n outcomes is below 0.5, else HEALTHY. Drift makes a HEALTHY model
a WARNING, and an UNKNOWN one while it is not measured. How often each rule is wrong, and how late
it is, is simulated by `make soak SOAK=skill`, told in docs/health.md and held by tests.

Belongs here: what HEALTHY means. The statistics belong to `sequential`, `skill` and `drift`, the
windows to `handler`, and what to do about bad health to risk.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import numpy as np
from msgspec import Struct

from daemon.core.events import HealthStatus
from daemon.core.manifests import Histogram
from daemon.layers.monitoring.drift import psi
from daemon.layers.monitoring.sequential import SkillTest
from daemon.layers.monitoring.skill import Skill

PLACEBO_FACTOR = 2.0
NO_SKILL_AUC = 0.5


class HealthReason(StrEnum):
    NO_MODEL = "no_model"
    TOO_FEW_OUTCOMES = "too_few_outcomes"
    ONE_CLASS = "one_class"
    SKILL_LOST = "skill_lost"
    SKILL_DOUBTFUL = "skill_doubtful"
    SKILL_NOT_SHOWN = "skill_not_shown"
    SYMBOL_SKILL_LOST = "symbol_skill_lost"
    FEATURE_DRIFT = "feature_drift"
    PREDICTION_DRIFT = "prediction_drift"
    NO_REFERENCE = "no_reference"
    TOO_FEW_ROWS = "too_few_rows"


WARNINGS = frozenset(
    {
        HealthReason.SYMBOL_SKILL_LOST,
        HealthReason.FEATURE_DRIFT,
        HealthReason.PREDICTION_DRIFT,
    }
)


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


BySkill = tuple[HealthStatus, HealthReason | None]


def judge(
    by_skill: BySkill, drift: Drift, *, is_symbol_lost: bool = False
) -> tuple[HealthStatus, tuple[HealthReason, ...]]:
    """The status, and every reason why it is not better than that."""
    status, reason = by_skill
    is_worth_saying = is_symbol_lost and reason is not HealthReason.SKILL_LOST
    others = ((HealthReason.SYMBOL_SKILL_LOST,) if is_worth_saying else ()) + drift.reasons
    if reason is not None:
        return status, (reason, *others)
    if WARNINGS & set(others):
        return HealthStatus.WARNING, others
    return (HealthStatus.UNKNOWN if others else HealthStatus.HEALTHY), others


def by_evidence(test: SkillTest, skill: Skill, min_resolved: int) -> BySkill:
    """The rule `sequential`: what is refuted is refuted with however few outcomes."""
    if test.lost_ns is not None:
        return HealthStatus.CRITICAL, HealthReason.SKILL_LOST
    unknown = _unknown(skill, min_resolved)
    if unknown is not None:
        return HealthStatus.UNKNOWN, unknown
    if test.doubted_ns is not None:
        return HealthStatus.WARNING, HealthReason.SKILL_DOUBTFUL
    if test.shown_ns is None:
        return HealthStatus.UNKNOWN, HealthReason.SKILL_NOT_SHOWN
    return HealthStatus.HEALTHY, None


def by_interval(skill: Skill, min_resolved: int) -> BySkill:
    """The rule `auc_window`."""
    unknown = _unknown(skill, min_resolved)
    if unknown is not None:
        return HealthStatus.UNKNOWN, unknown
    if skill.high < NO_SKILL_AUC:
        return HealthStatus.CRITICAL, HealthReason.SKILL_LOST
    if skill.low <= NO_SKILL_AUC:
        return HealthStatus.WARNING, HealthReason.SKILL_NOT_SHOWN
    return HealthStatus.HEALTHY, None


def by_last(last_auc: float | None, last: int, last_n: int) -> BySkill:
    """The rule `last_n`; unlike in the reference text, what is not known is not healthy."""
    if last < last_n:
        return HealthStatus.UNKNOWN, HealthReason.TOO_FEW_OUTCOMES
    if last_auc is None:
        return HealthStatus.UNKNOWN, HealthReason.ONE_CLASS
    if last_auc < NO_SKILL_AUC:
        return HealthStatus.CRITICAL, HealthReason.SKILL_LOST
    return HealthStatus.HEALTHY, None


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


def _unknown(skill: Skill, min_resolved: int) -> HealthReason | None:
    if skill.n < min_resolved:
        return HealthReason.TOO_FEW_OUTCOMES
    return HealthReason.ONE_CLASS if skill.auc is None else None


def _warns(level: float, reference: Histogram, psi_warn: float) -> bool:
    return level > max(psi_warn, PLACEBO_FACTOR * (reference.placebo_psi or 0.0))
