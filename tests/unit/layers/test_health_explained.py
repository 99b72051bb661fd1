"""The rule of health in words: what it asks, how it errs, and what would change its answer."""

from daemon.config import HealthSection
from daemon.core.events import HealthSampled, HealthStatus
from daemon.core.timeframes import HOUR_NS
from daemon.layers.monitoring.explaining import (
    Explained,
    checked_in_words,
    drift_lines,
    explain,
    why,
)
from daemon.layers.monitoring.health import HealthReason
from tests.builders import (
    a_feature_difference,
    a_features_checked,
    a_health_sample,
    a_model_activated,
    a_shift,
)


def told(sampled: HealthSampled, config: HealthSection | None = None) -> Explained:
    return explain(sampled, a_model_activated(auc=0.61), config or HealthSection(), HOUR_NS)


def a_sample(status: HealthStatus, *reasons: HealthReason, **changes: float) -> HealthSampled:
    return a_health_sample(status=status, reasons=tuple(reasons), policy="sequential", **changes)


def test_the_rule_names_the_limits_it_is_configured_with() -> None:
    words = " ".join(told(a_sample(HealthStatus.HEALTHY)).rule)

    assert "75%" in words
    assert "1,080" in words
    assert "at most 5% of models" in words
    assert "216" in words


def test_how_it_errs_is_that_of_the_model_most_like_this_one() -> None:
    errors = told(a_sample(HealthStatus.HEALTHY))

    assert errors.measured is not None
    assert (errors.measured.auc, errors.measured.horizon_bars) == (0.60, 1)
    assert any(line.startswith("delay when the edge dies: ") for line in errors.errors)
    assert explain(a_sample(HealthStatus.HEALTHY), None, HealthSection(), HOUR_NS).errors == ()


def test_the_other_rules_are_told_with_their_own_errors() -> None:
    by_interval = told(a_sample(HealthStatus.HEALTHY), HealthSection(policy="auc_window"))
    by_last = told(a_sample(HealthStatus.HEALTHY), HealthSection(policy="last_n", last_n=30))

    assert "below 0.5" in by_interval.rule[0]
    assert "last 30" in by_last.rule[0]
    assert by_last.measured is not None
    assert by_last.measured.alarms_ratio == 1.0
    assert any("more than 6,760 bars" in line for line in by_interval.errors)


def test_a_lost_skill_is_told_with_the_number_that_its_rule_looked_at() -> None:
    lost = {"status": HealthStatus.CRITICAL, "reasons": ("skill_lost",)}
    by_last = a_health_sample(**lost, policy="last_n", judged=0.4, judged_limit=0.5, auc=0.61)
    by_interval = a_health_sample(**lost, policy="auc_window", judged=0.49, judged_limit=0.5)

    assert "(AUC of the last outcomes 0.400, limit 0.5)" in " ".join(why(by_last))
    assert "(upper end of the AUC's interval 0.490, limit 0.5)" in " ".join(why(by_interval))


def test_what_would_change_it_is_what_keeps_it_from_being_better_or_worse() -> None:
    healthy = told(a_sample(HealthStatus.HEALTHY, evidence=2.0)).changes
    lost = told(
        a_sample(HealthStatus.CRITICAL, HealthReason.SKILL_LOST, evidence=2_000.0, skill_lost=True)
    ).changes
    not_shown = told(a_sample(HealthStatus.UNKNOWN, HealthReason.SKILL_NOT_SHOWN, shown=3.5))

    assert [each.partition(":")[0] for each in healthy] == ["to WARNING", "to CRITICAL"]
    assert "from 2,000 below 216" in lost[0]
    assert "from 3.5 to 20" in not_shown.changes[0]


def test_what_drifts_is_told_before_what_is_disputed_with_symbol_and_limits() -> None:
    disputed = a_shift(feature=None, instrument=None, is_drift=False, is_disputed=True)
    lines = tuple(drift_lines((disputed, a_shift(), a_shift(is_drift=False, psi_limit=None))))

    assert lines[0] == (
        "DRIFT: bb_width_20 of binance:BTC/USDT, PSI 0.412 (limit 0.250), KS 0.310 (limit 0.220), "
        "480 rows"
    )
    assert lines[1].startswith("disputed: the prediction of all symbols, PSI 0.412")
    assert lines[2].startswith("as usual: ")
    assert "no limit known" in lines[2]


def test_each_reason_is_told_in_words_with_the_number_that_decided() -> None:
    lost = a_sample(
        HealthStatus.CRITICAL, HealthReason.SKILL_LOST, evidence=10_800.0, evidence_limit=1_080.0
    )
    shifts = (a_shift(), a_shift(feature=None, instrument=None, psi=0.6, psi_limit=None))
    drifted = a_health_sample(
        status=HealthStatus.WARNING,
        reasons=(HealthReason.FEATURE_DRIFT, HealthReason.PREDICTION_DRIFT, "of an older version"),
        shifts=shifts,
    )

    assert list(why(lost)) == ["the skill it promised is lost (evidence 10,800, limit 1,080)"]
    fed, said, unknown = why(drifted)
    assert fed.startswith("what it is fed has left its place (PSI of bb_width_20 of binance:BTC/")
    assert fed.endswith("0.412, limit 0.250)")
    assert said.endswith("(PSI of the prediction of all symbols 0.600, no limit known)")
    assert unknown == "of an older version"


def test_the_nightly_check_of_the_features_is_told_in_a_line() -> None:
    same = checked_in_words(a_features_checked(revised=3))
    differs = checked_in_words(a_feature_difference())
    failed = checked_in_words(a_features_checked(error="the bar store is locked"))

    assert same.startswith("48 rows are those of the stored bars, to the bit, at 2024-01-01")
    assert same.endswith("3 more read a bar that was revised since")
    assert differs.startswith("2 of 48 rows are NOT those of the stored bars")
    assert "first rsi_14 of binance:BTC/USDT" in differs
    assert "fed 51.25, stored 51.5" in differs
    assert failed.endswith("the bar store is locked")


def test_everything_else_that_is_missing_is_named() -> None:
    reasons = (
        HealthReason.TOO_FEW_OUTCOMES,
        HealthReason.ONE_CLASS,
        HealthReason.NO_MODEL,
        HealthReason.FEATURE_DRIFT,
        HealthReason.TOO_FEW_ROWS,
        HealthReason.SYMBOL_SKILL_LOST,
    )
    last_n = HealthSection(policy="last_n", last_n=150)

    changes = told(a_sample(HealthStatus.UNKNOWN, *reasons)).changes
    few = told(a_sample(HealthStatus.UNKNOWN, HealthReason.TOO_FEW_OUTCOMES), last_n).changes

    assert len(changes) == 8
    assert few == ("30 more outcomes, until there are 150",)
