"""Health: which status skill and drift add up to, and how often CRITICAL is wrong or late."""

from statistics import NormalDist

import numpy as np
import pytest

from daemon.core.events import HealthStatus
from daemon.layers.monitoring.health import Drift, HealthReason, judge
from daemon.layers.monitoring.skill import Skill, auc_with_interval


@pytest.mark.parametrize(
    ("skill", "drift", "status", "reasons"),
    [
        (Skill(0.4, 0.3, 0.49, 200, 200), (), HealthStatus.CRITICAL, "skill_below_chance"),
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
            "skill_below_chance no_reference",
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
    judged, told = judge(skill, Drift(reasons=drift), 100)

    assert (judged, " ".join(told)) == (status, reasons)


def ever_critical(auc: float, paths: int) -> tuple[float, float]:
    """Share of CRITICAL at the last check, and at any check, of 1000 bars sampled every 24."""
    rng = np.random.default_rng(11)
    distance = NormalDist().inv_cdf(auc) * 2**0.5
    last = ever = 0
    for _ in range(paths):
        ups = (rng.random(1000) < 0.5).astype(float)
        scores = rng.normal(size=1000) + distance * ups
        criticals = [
            judge(
                auc_with_interval(scores[max(0, end - 500) : end], ups[max(0, end - 500) : end]),
                Drift(),
                100,
            )[0]
            is HealthStatus.CRITICAL
            for end in range(24, 1001, 24)
        ]
        last += criticals[-1]
        ever += any(criticals)
    return last / paths, ever / paths


def test_critical_fires_as_seldom_on_good_models_as_the_docs_say() -> None:
    """The table in `health`: at one check 2.3 %, 0.03 %, 0; in 1000 bars 19 %, 0.5 %, 0."""
    at_chance, weak, good = (ever_critical(auc, paths=120) for auc in (0.50, 0.55, 0.60))

    assert at_chance[0] <= 0.06
    assert 0.09 <= at_chance[1] <= 0.30
    assert weak[0] <= 0.01
    assert weak[1] <= 0.03
    assert good == (0.0, 0.0)


def test_critical_finds_a_model_that_turned_against_us() -> None:
    """The table in `health`: AUC 0.40 is found in all of 800 paths, 97 % of them at one check."""
    at_one_check, within_1000_bars = ever_critical(0.40, paths=60)

    assert at_one_check >= 0.9
    assert within_1000_bars == 1.0
