"""Judges a model: turns its skill and its drift into a status and the reasons for it.

By the rule `sequential`, the default: CRITICAL while the promised skill is refuted, WARNING while
that is doubtful, UNKNOWN under `min_resolved` outcomes, with a single class, or until skill is
shown, and else HEALTHY. By `auc_window`: CRITICAL when the whole 95 % interval of the AUC is below
0.5, WARNING when it contains 0.5, else HEALTHY. By `last_n`, the rule of the reference text:
CRITICAL when the AUC of the last n outcomes is below 0.5, else HEALTHY. Drift makes a HEALTHY model
a WARNING, and an UNKNOWN one while it is not measured. How often each rule is wrong, and how late
it is, is simulated by `make soak SOAK=skill`, told in docs/health.md and held by tests.

Belongs here: what HEALTHY means. The statistics belong to `sequential`, `skill` and `shifts`,
the windows to `handler`, and what to do about bad health to risk.
"""

from enum import StrEnum

from daemon.core.events import HealthStatus
from daemon.layers.monitoring.sequential import SkillTest
from daemon.layers.monitoring.shifts import Drift
from daemon.layers.monitoring.skill import Skill

NO_SKILL_AUC = 0.5


class HealthReason(StrEnum):
    NO_MODEL = "no_model"
    NO_ANSWER = "no_answer"
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


BySkill = tuple[HealthStatus, HealthReason | None]


def judge(
    by_skill: BySkill,
    drift: tuple[HealthReason, ...],
    *,
    is_symbol_lost: bool = False,
    is_silent: bool = False,
) -> tuple[HealthStatus, tuple[HealthReason, ...]]:
    """The status, and every reason why it is not better than that.

    One that says nothing any more has no outcomes to be judged by: what was shown is of the past.
    """
    status, reason = by_skill
    if is_silent:
        silent, skill = (HealthReason.NO_ANSWER,), () if reason is None else (reason,)
        is_lost = status is HealthStatus.CRITICAL
        return status if is_lost else HealthStatus.UNKNOWN, (*silent, *skill, *drift)
    is_worth_saying = is_symbol_lost and reason is not HealthReason.SKILL_LOST
    others = ((HealthReason.SYMBOL_SKILL_LOST,) if is_worth_saying else ()) + drift
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


def by_drift(drift: Drift) -> tuple[HealthReason, ...]:
    """What drifts, and why it is not known whether anything does."""
    found = (
        (HealthReason.FEATURE_DRIFT, any(each.is_drift for each in drift.features)),
        (HealthReason.PREDICTION_DRIFT, any(each.is_drift for each in drift.prediction)),
        (HealthReason.NO_REFERENCE, not drift.has_reference),
        (HealthReason.TOO_FEW_ROWS, not drift.has_rows),
    )
    return tuple(reason for reason, is_so in found if is_so)


def _unknown(skill: Skill, min_resolved: int) -> HealthReason | None:
    if skill.n < min_resolved:
        return HealthReason.TOO_FEW_OUTCOMES
    return HealthReason.ONE_CLASS if skill.auc is None else None
