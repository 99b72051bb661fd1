"""Health: which status skill and drift add up to, and how often CRITICAL is wrong or late."""

from statistics import NormalDist

import numpy as np
import pytest

from daemon.core.events import HealthStatus
from daemon.layers.monitoring.health import (
    HealthReason,
    by_evidence,
    by_interval,
    by_last,
    judge,
)
from daemon.layers.monitoring.sequential import SkillTest
from daemon.layers.monitoring.skill import Skill, auc_with_interval


@pytest.mark.parametrize(
    ("skill", "drift", "status", "reasons"),
    [
        (Skill(0.4, 0.3, 0.49, 200, 200), (), HealthStatus.CRITICAL, "skill_lost"),
        (Skill(0.4, 0.3, 0.50, 200, 200), (), HealthStatus.WARNING, "skill_not_shown"),
        (Skill(0.6, 0.5, 0.70, 200, 200), (), HealthStatus.WARNING, "skill_not_shown"),
        (Skill(0.5, 0.0, 1.0, 200, 200), (), HealthStatus.WARNING, "skill_not_shown"),
        (
            Skill(0.4, 0.3, 0.49, 99, 99),
            (HealthReason.FEATURE_DRIFT,),
            HealthStatus.UNKNOWN,
            "too_few_outcomes feature_drift",
        ),
        (
            Skill(0.4, 0.3, 0.49, 200, 99),
            (HealthReason.NO_REFERENCE,),
            HealthStatus.CRITICAL,
            "skill_lost no_reference",
        ),
        (
            Skill(0.6, 0.51, 0.7, 200, 99),
            (HealthReason.FEATURE_DRIFT, HealthReason.TOO_FEW_ROWS),
            HealthStatus.WARNING,
            "feature_drift too_few_rows",
        ),
    ],
)
def test_the_worst_that_is_known_decides_and_every_reason_is_told(
    skill: Skill, drift: tuple[HealthReason, ...], status: HealthStatus, reasons: str
) -> None:
    judged, told = judge(by_interval(skill, 100), drift)

    assert (judged, " ".join(told)) == (status, reasons)


SOME = Skill(0.6, 0.55, 0.65, 200, 200)
ONE_CLASS = Skill(None, 0.0, 1.0, 200, 200)
FEW = Skill(0.6, 0.55, 0.65, 99, 99)


@pytest.mark.parametrize(
    ("test", "skill", "status", "reason"),
    [
        (SkillTest(shown_ns=5), SOME, HealthStatus.HEALTHY, None),
        (SkillTest(), SOME, HealthStatus.UNKNOWN, "skill_not_shown"),
        (SkillTest(shown_ns=5), FEW, HealthStatus.UNKNOWN, "too_few_outcomes"),
        (SkillTest(shown_ns=5), ONE_CLASS, HealthStatus.UNKNOWN, "one_class"),
        (SkillTest(shown_ns=5, doubted_ns=7), SOME, HealthStatus.WARNING, "skill_doubtful"),
        (SkillTest(doubted_ns=7), SOME, HealthStatus.WARNING, "skill_doubtful"),
        (SkillTest(doubted_ns=7), FEW, HealthStatus.UNKNOWN, "too_few_outcomes"),
        (SkillTest(doubted_ns=7, lost_ns=8), SOME, HealthStatus.CRITICAL, "skill_lost"),
        (SkillTest(doubted_ns=7, lost_ns=8), FEW, HealthStatus.CRITICAL, "skill_lost"),
    ],
)
def test_lost_skill_counts_at_once_and_shown_skill_only_with_enough_outcomes(
    test: SkillTest, skill: Skill, status: HealthStatus, reason: str | None
) -> None:
    assert by_evidence(test, skill, 100) == (status, reason)


@pytest.mark.parametrize(
    ("auc", "n", "status", "reason"),
    [
        (0.49, 30, HealthStatus.CRITICAL, "skill_lost"),
        (0.50, 30, HealthStatus.HEALTHY, None),
        (0.49, 29, HealthStatus.UNKNOWN, "too_few_outcomes"),
        (None, 30, HealthStatus.UNKNOWN, "one_class"),
    ],
)
def test_the_rule_of_the_reference_text_looks_at_the_last_outcomes_only(
    auc: float | None, n: int, status: HealthStatus, reason: str | None
) -> None:
    assert by_last(auc, n, 30) == (status, reason)


def ever_critical(auc: float, paths: int) -> tuple[float, float]:
    """Share of CRITICAL at the last check, and at any check, of 1000 bars sampled every 24."""
    rng = np.random.default_rng(11)
    distance = NormalDist().inv_cdf(auc) * 2**0.5
    last = ever = 0
    for _ in range(paths):
        ups = (rng.random(1000) < 0.5).astype(float)
        scores = rng.normal(size=1000) + distance * ups
        criticals = [
            by_interval(
                auc_with_interval(scores[max(0, end - 500) : end], ups[max(0, end - 500) : end]),
                100,
            )[0]
            is HealthStatus.CRITICAL
            for end in range(24, 1001, 24)
        ]
        last += criticals[-1]
        ever += any(criticals)
    return last / paths, ever / paths


def test_critical_fires_as_seldom_on_good_models_as_the_docs_say() -> None:
    """By auc_window: at one check 2.3 %, 0.03 %, 0; in 1000 bars 19 %, 0.5 %, 0."""
    at_chance, weak, good = (ever_critical(auc, paths=120) for auc in (0.50, 0.55, 0.60))

    assert at_chance[0] <= 0.06
    assert 0.09 <= at_chance[1] <= 0.30
    assert weak[0] <= 0.01
    assert weak[1] <= 0.03
    assert good == (0.0, 0.0)


def test_critical_finds_a_model_that_turned_against_us() -> None:
    """By auc_window: AUC 0.40 is found in all of 800 paths, 97 % of them at one check."""
    at_one_check, within_1000_bars = ever_critical(0.40, paths=60)

    assert at_one_check >= 0.9
    assert within_1000_bars == 1.0
