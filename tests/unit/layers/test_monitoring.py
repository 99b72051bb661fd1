"""Layer 7 as events in, events out: what is UNKNOWN, HEALTHY, WARNING, CRITICAL, and how often."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from daemon.config import HealthSection
from daemon.core.bars import Bar, BarSource, MissCause
from daemon.core.events import (
    BarsClosed,
    BarsMissed,
    Event,
    FeatureRow,
    FeatureRows,
    FeaturesRefused,
    FeaturesRefusedReason,
    HealthSampled,
    HealthStatus,
    HealthTick,
    HistoryLoaded,
    ModelActivated,
    Payoff,
    Prediction,
    PredictionResolved,
    Predictions,
    decode,
    encode,
)
from daemon.core.instruments import InstrumentId
from daemon.core.manifests import Histogram, Placebo
from daemon.core.pipeline import Pipeline, apply, on
from daemon.core.scores import SkillWindow
from daemon.layers.monitoring.drift import reference_histogram
from daemon.layers.monitoring.handler import REFERENCES_REMEMBERED_MAX, Monitoring
from daemon.layers.monitoring.skill import auc_with_interval, brier

HOUR_NS = 3_600 * 1_000_000_000
BTC = InstrumentId("embedded", "BTC/USDT")
ETH = InstrumentId("embedded", "ETH/USDT")
NAMES = ("calm", "wild")
Floats = NDArray[np.float64]


def a_histogram(values: Floats, psi_placebo: float = 0.01, ks_placebo: float = 0.02) -> Histogram:
    reference = reference_histogram(values)
    placebo = Placebo((100,), (psi_placebo,), (ks_placebo,))
    return Histogram(
        reference.edges,
        reference.shares,
        len(values),
        placebo=placebo,
        symbol_placebo=placebo,
    )


def usual(psi_placebo: float = 0.01, ks_placebo: float = 0.02) -> dict[str, Histogram]:
    rng = np.random.default_rng(1)
    return {name: a_histogram(rng.normal(size=5000), psi_placebo, ks_placebo) for name in NAMES}


def usual_probability() -> Histogram:
    return a_histogram(np.random.default_rng(2).uniform(0.3, 0.7, 5000))


def a_monitor(
    *,
    window_outcomes: int = 500,
    has_references: bool = True,
    policy: Literal["sequential", "auc_window", "last_n"] = "sequential",
) -> tuple[Monitoring, Pipeline]:
    config = HealthSection(window_outcomes=window_outcomes, min_resolved=100, policy=policy)
    monitoring = Monitoring(config, timeframe_ns=HOUR_NS)
    if has_references:
        monitoring.use_references("rf-a", usual(), usual_probability())
    return monitoring, Pipeline(
        [
            apply(ModelActivated, monitoring.apply_model_activated),
            apply(FeatureRows, monitoring.apply_feature_rows),
            apply(Predictions, monitoring.apply_predictions),
            apply(BarsMissed, monitoring.apply_bars_missed),
            apply(PredictionResolved, monitoring.apply_prediction_resolved),
            on(BarsClosed, monitoring.on_bars_closed, PredictionResolved),
            on(HistoryLoaded, monitoring.on_history_loaded, PredictionResolved),
            on(HealthTick, monitoring.on_health_tick, HealthSampled),
        ]
    )


def an_activation(model: str = "rf-a", names: tuple[str, ...] = NAMES) -> ModelActivated:
    payoff = Payoff(win_ratio=0.01, loss_ratio=0.01, n=100)
    return ModelActivated(
        ts_ns=0,
        model=model,
        feature_fingerprint="-".join(names),
        feature_names=names,
        horizon_bars=1,
        trained_through_ns=0,
        long_payoff=payoff,
        short_payoff=payoff,
        auc=0.55,
        auc_low=0.52,
        auc_high=0.58,
    )


def bars(hour: int, close: float, instruments: Sequence[InstrumentId]) -> BarsClosed:
    close_ns = hour * HOUR_NS
    each = [
        Bar(
            instrument=instrument,
            open_ns=close_ns - HOUR_NS,
            close_ns=close_ns,
            open=close,
            high=close,
            low=close,
            close=close,
            volume=1.0,
            received_ns=close_ns,
            source=BarSource.STREAM,
        )
        for instrument in instruments
    ]
    return BarsClosed(ts_ns=close_ns, bars=tuple(each))


def feature_rows(hour: int, values: Sequence[float], names: Sequence[str] = NAMES) -> FeatureRows:
    row = FeatureRow(
        instrument=BTC,
        trace=f"t{hour}",
        close_ns=hour * HOUR_NS,
        received_ns=hour * HOUR_NS,
        close=100.0,
        values=tuple(float(each) for each in values),
    )
    return FeatureRows(ts_ns=hour * HOUR_NS, fingerprint="-".join(names), rows=(row,), refused=())


def predictions(
    hour: int,
    close: float,
    probability_up: float,
    instruments: Sequence[InstrumentId],
    model: str = "rf-a",
) -> Predictions:
    each = [
        Prediction(
            instrument=instrument,
            trace=f"t{hour}",
            close_ns=hour * HOUR_NS,
            received_ns=hour * HOUR_NS,
            close=close,
            probability_up=probability_up,
            standard_error=0.01,
            raw_probability_up=0.5,
        )
        for instrument in instruments
    ]
    return Predictions(ts_ns=hour * HOUR_NS, model=model, rows=tuple(each), refused=())


def a_market(
    hours: int,
    *,
    pull: float = 0.0,
    first: int = 1,
    seed: int = 3,
    shift: float = 0.0,
    instruments: Sequence[InstrumentId] = (BTC,),
    model: str = "rf-a",
) -> list[Event]:
    """Hourly bars whose direction follows the probability (`pull` 2) or opposes it (-2)."""
    rng = np.random.default_rng(seed)
    story: list[Event] = []
    close = 100.0
    for hour in range(first, first + hours + 1):
        probability_up = rng.uniform(0.3, 0.7)
        story += [
            bars(hour, close, instruments),
            feature_rows(hour, rng.normal(size=2) + np.array([0.0, shift])),
            predictions(hour, close, probability_up, instruments, model),
        ]
        is_up = rng.random() < 0.5 + pull * (probability_up - 0.5)
        close = close * 1.001 if is_up else close / 1.001
    return story


def run(pipeline: Pipeline, story: Sequence[Event]) -> None:
    for event in story:
        pipeline.step(event)


def sample(pipeline: Pipeline, ts_ns: int = 10**18) -> HealthSampled:
    _, sampled = pipeline.step(HealthTick(ts_ns=ts_ns)).events
    assert isinstance(sampled, HealthSampled)
    return sampled


def nothing(days: float) -> SkillWindow:
    return SkillWindow(
        days=days, n=0, auc=None, auc_low=0.0, auc_high=1.0, brier=None, log_loss=None
    )


def test_a_model_that_gives_no_probability_any_more_is_not_believed_by_its_past() -> None:
    _, pipeline = a_monitor()
    run(pipeline, [an_activation(), *a_market(600, pull=2.0)])
    assert sample(pipeline).status is HealthStatus.HEALTHY

    for hour, reason in enumerate(("warming_up", "no_answer", "no_answer", "no_answer"), 602):
        refused = FeaturesRefused(
            instrument=BTC, trace="t", close_ns=hour * HOUR_NS, reason=FeaturesRefusedReason(reason)
        )
        before = sample(pipeline)
        pipeline.step(Predictions(ts_ns=hour * HOUR_NS, model="rf-a", rows=(), refused=(refused,)))

    silent = sample(pipeline)
    assert before.status is HealthStatus.HEALTHY, "twice may be a process that is started again"
    assert (silent.status, silent.reasons) == (HealthStatus.UNKNOWN, ("no_answer",))
    run(pipeline, a_market(2, first=606))
    assert sample(pipeline).status is HealthStatus.HEALTHY


def test_without_a_model_health_is_unknown() -> None:
    _, pipeline = a_monitor()

    assert sample(pipeline, ts_ns=7) == HealthSampled(
        ts_ns=7,
        model="",
        status=HealthStatus.UNKNOWN,
        reasons=("no_model",),
        auc=None,
        auc_low=0.0,
        auc_high=1.0,
        auc_n=0,
        brier=None,
        psi_worst=None,
        psi_worst_feature=None,
        psi_prediction=None,
        lost=0,
        policy="sequential",
        judged=0.0,
        judged_limit=1080.0,
        evidence=0.0,
        evidence_limit=1080.0,
        shown=0.0,
        shown_limit=20.0,
        windows=(nothing(7.0), nothing(30.0)),
    )


def test_a_good_model_on_usual_features_is_healthy() -> None:
    _, pipeline = a_monitor()
    run(pipeline, [an_activation(), *a_market(600, pull=2.0)])

    sampled = sample(pipeline)

    assert (sampled.status, sampled.reasons) == (HealthStatus.HEALTHY, ())
    assert sampled.auc_low is not None
    assert sampled.auc_low > 0.5
    assert sampled.auc_n == 500
    assert sampled.psi_worst is not None
    assert sampled.psi_worst < 0.1


def test_the_numbers_are_those_of_the_window_that_the_events_tell() -> None:
    monitoring, pipeline = a_monitor(window_outcomes=200)
    told = [
        each
        for event in [an_activation(), *a_market(300, pull=1.0, instruments=(BTC, ETH))]
        for each in pipeline.step(event).events
        if isinstance(each, PredictionResolved)
    ][-200:]
    probabilities = [each.probability_up for each in told]
    ups = [each.outcome for each in told if each.outcome is not None]
    clusters = [each.predicted_close_ns for each in told]

    sampled = sample(pipeline)

    expected = auc_with_interval(probabilities, ups, clusters)
    assert (expected.n, expected.clusters) == (200, 100)
    assert monitoring.skill() == expected
    assert (sampled.auc, sampled.auc_low, sampled.auc_high, sampled.auc_n) == (
        expected.auc,
        expected.low,
        expected.high,
        expected.n,
    )
    assert sampled.brier == brier(probabilities, ups)


def test_under_the_minimum_of_outcomes_health_is_unknown_however_good_it_looks() -> None:
    _, pipeline = a_monitor()

    run(pipeline, [an_activation(), *a_market(99, pull=2.5)])
    early = sample(pipeline)
    run(pipeline, a_market(1, pull=2.5, first=101))
    later = sample(pipeline)

    assert (early.auc_n, early.status) == (99, HealthStatus.UNKNOWN)
    assert early.reasons[0] == "too_few_outcomes"
    assert "too_few_outcomes" not in later.reasons


def test_outcomes_of_one_class_are_unknown_not_healthy() -> None:
    _, pipeline = a_monitor()
    rising = [
        event
        for hour in range(1, 203)
        for event in (
            bars(hour, 100.0 + hour, (BTC,)),
            predictions(hour, 100.0 + hour, 0.3 + 0.4 * (hour % 10) / 10, (BTC,)),
        )
    ]

    run(pipeline, [an_activation(), *rising])
    sampled = sample(pipeline)

    assert sampled.status is HealthStatus.UNKNOWN
    assert sampled.reasons[0] == "one_class"
    assert sampled.auc is None


def test_by_its_interval_a_guessing_model_is_a_warning_and_a_reversed_one_critical() -> None:
    _, guessing = a_monitor(policy="auc_window")
    _, reversed_ = a_monitor(policy="auc_window")

    run(guessing, [an_activation(), *a_market(600)])
    run(reversed_, [an_activation(), *a_market(600, pull=-2.0)])

    assert sample(guessing).status is HealthStatus.WARNING
    assert sample(guessing).reasons == ("skill_not_shown",)
    assert sample(reversed_).status is HealthStatus.CRITICAL
    assert sample(reversed_).reasons == ("skill_lost",)


def test_by_evidence_a_guessing_model_is_found_out_and_a_reversed_one_sooner() -> None:
    _, guessing = a_monitor()
    _, reversed_ = a_monitor()

    run(guessing, [an_activation(), *a_market(1200)])
    run(reversed_, [an_activation(), *a_market(300, pull=-2.0)])

    for pipeline in (guessing, reversed_):
        sampled = sample(pipeline)
        assert (sampled.status, sampled.reasons) == (HealthStatus.CRITICAL, ("skill_lost",))
        assert sampled.skill_lost
        assert sampled.evidence is not None
        assert sampled.evidence_limit is not None
        assert sampled.since_ns is not None
    assert (sample(reversed_).since_ns or 0) < (sample(guessing).since_ns or 0)


def test_a_symbol_in_which_alone_the_skill_is_lost_is_named_and_warned_of() -> None:
    _, pipeline = a_monitor()
    good = a_market(900, pull=2.0)
    bad = [
        replace(event, rows=tuple(replace(row, instrument=ETH) for row in event.rows))
        if isinstance(event, Predictions)
        else replace(event, bars=tuple(replace(bar, instrument=ETH) for bar in event.bars))
        for event in a_market(900, seed=8)
        if isinstance(event, Predictions | BarsClosed)
    ]

    run(pipeline, [an_activation()])
    for event in sorted([*good, *bad], key=lambda each: each.ts_ns):
        pipeline.step(event)
    sampled = sample(pipeline)

    assert [(each.instrument, each.is_lost) for each in sampled.symbols] == [
        (ETH, True),
        (BTC, False),
    ]
    assert "symbol_skill_lost" in sampled.reasons
    assert sampled.status is HealthStatus.WARNING
    assert sampled.symbols[0].n + sampled.symbols[1].n == sampled.auc_n


def test_windows_by_time_hold_what_was_predicted_since() -> None:
    _, pipeline = a_monitor()
    run(pipeline, [an_activation(), *a_market(1_000, pull=1.0)])

    week, month = sample(pipeline, ts_ns=1_001 * HOUR_NS).windows

    assert (week.days, week.n, month.days, month.n) == (7.0, 167, 30.0, 719)
    assert week.auc is not None
    assert week.auc_low < week.auc < week.auc_high
    assert week.brier is not None
    assert week.log_loss is not None


def test_by_the_last_outcomes_a_good_model_is_healthy() -> None:
    _, pipeline = a_monitor(policy="last_n")

    run(pipeline, [an_activation(), *a_market(300, pull=2.5)])

    assert (sample(pipeline).status, sample(pipeline).policy) == (HealthStatus.HEALTHY, "last_n")


@pytest.mark.parametrize("policy", ["auc_window", "last_n", "sequential"])
def test_the_number_that_a_rule_looks_at_stands_in_the_sample_beside_its_limit(
    policy: Literal["sequential", "auc_window", "last_n"],
) -> None:
    _, pipeline = a_monitor(policy=policy)
    run(pipeline, [an_activation(), *a_market(600, pull=-2.0)])

    sampled = sample(pipeline)

    assert sampled.status is HealthStatus.CRITICAL
    assert sampled.judged is not None
    looked_at = {"auc_window": sampled.auc_high, "sequential": sampled.evidence}
    if policy == "last_n":  # of the newest thirty, and neither of these
        assert sampled.judged not in {sampled.auc, sampled.auc_high}
    else:
        assert sampled.judged == looked_at[policy]
    assert sampled.judged_limit is not None
    assert sampled.judged_limit == (sampled.evidence_limit if policy == "sequential" else 0.5)
    assert (sampled.judged > sampled.judged_limit) == (policy == "sequential")


def test_a_feature_that_left_its_place_is_named_and_warned_of() -> None:
    _, pipeline = a_monitor()
    run(pipeline, [an_activation(), *a_market(600, pull=2.0, shift=1.0)])

    sampled = sample(pipeline)

    assert (sampled.status, sampled.reasons) == (HealthStatus.WARNING, ("feature_drift",))
    assert sampled.psi_worst_feature == "wild"
    assert sampled.psi_worst is not None
    assert sampled.psi_worst > 0.25


def test_a_shift_that_training_shows_against_itself_does_not_warn() -> None:
    monitoring, pipeline = a_monitor()
    monitoring.use_references("rf-a", usual(psi_placebo=5.0), usual_probability())

    run(pipeline, [an_activation(), *a_market(600, pull=2.0, shift=1.0)])

    assert sample(pipeline).status is HealthStatus.HEALTHY


def test_what_chance_reaches_in_both_ways_is_no_drift_and_what_only_one_says_is_told() -> None:
    monitoring, pipeline = a_monitor()
    monitoring.use_references("rf-a", usual(ks_placebo=0.9), usual_probability())

    run(pipeline, [an_activation(), *a_market(600, pull=2.0, shift=1.0)])
    sampled = sample(pipeline)

    assert (sampled.status, sampled.reasons) == (HealthStatus.HEALTHY, ())
    worst = next(each for each in sampled.shifts if each.feature == "wild")
    assert (worst.is_disputed, worst.is_drift) == (True, False)
    assert worst.instrument == BTC
    assert worst.psi > (worst.psi_limit or 9.0)
    assert worst.ks < (worst.ks_limit or 0.0)


def test_a_model_that_cannot_tell_what_chance_reaches_leaves_drift_unknown() -> None:
    monitoring, pipeline = a_monitor()
    without = {name: replace(each, symbol_placebo=Placebo())
               for name, each in usual().items()}  # fmt: skip
    monitoring.use_references("rf-a", without, usual_probability())

    run(pipeline, [an_activation(), *a_market(600, pull=2.0, shift=1.0)])

    assert sample(pipeline).reasons == ("no_reference",)


def test_a_wandering_feature_does_not_hide_one_that_warns() -> None:
    monitoring, pipeline = a_monitor()
    references = usual()
    far_away = a_histogram(np.random.default_rng(4).normal(50.0, 1.0, 1000), psi_placebo=20.0)
    monitoring.use_references("rf-a", {**references, "calm": far_away}, usual_probability())

    run(pipeline, [an_activation(), *a_market(600, pull=2.0, shift=1.0)])

    assert sample(pipeline).psi_worst_feature == "wild"


def test_probabilities_that_moved_are_warned_of() -> None:
    monitoring, pipeline = a_monitor()
    bold = a_histogram(np.random.default_rng(5).uniform(0.6, 0.9, 5000))
    monitoring.use_references("rf-a", usual(), bold)

    run(pipeline, [an_activation(), *a_market(600, pull=2.0)])
    sampled = sample(pipeline)

    assert sampled.reasons == ("prediction_drift",)
    assert sampled.psi_prediction is not None
    assert sampled.psi_prediction > 0.25


def test_skill_without_a_reference_to_measure_drift_is_unknown() -> None:
    _, never_given = a_monitor(has_references=False)
    monitoring, partly_given = a_monitor()
    monitoring.use_references("rf-a", {"calm": usual()["calm"]}, usual_probability())

    for pipeline in (never_given, partly_given):
        run(pipeline, [an_activation(), *a_market(600, pull=2.0)])
        sampled = sample(pipeline)

        assert (sampled.status, sampled.reasons) == (HealthStatus.UNKNOWN, ("no_reference",))
        assert sampled.psi_worst is None


def test_too_few_feature_rows_leave_drift_unmeasured() -> None:
    _, pipeline = a_monitor()
    without_rows = [each for each in a_market(600, pull=2.0) if not isinstance(each, FeatureRows)]

    run(pipeline, [an_activation(), *without_rows])
    sampled = sample(pipeline)

    assert (sampled.status, sampled.reasons) == (HealthStatus.UNKNOWN, ("too_few_rows",))
    assert sampled.psi_prediction is not None


def test_rows_of_other_features_do_not_count() -> None:
    _, pipeline = a_monitor()
    foreign = [feature_rows(hour, (1.0, 2.0, 3.0), ("a", "b", "c")) for hour in range(700, 900)]

    run(pipeline, [an_activation(), *a_market(600, pull=2.0), *foreign])

    assert sample(pipeline).status is HealthStatus.HEALTHY


def test_a_swap_starts_over_and_old_predictions_count_for_the_old_model() -> None:
    monitoring, pipeline = a_monitor()
    monitoring.use_references("rf-b", usual(), usual_probability())
    run(pipeline, [an_activation(), *a_market(300, pull=2.0)])

    run(pipeline, [an_activation("rf-b"), bars(302, 1.0, (BTC,))])
    sampled = sample(pipeline)

    assert (sampled.model, sampled.status, sampled.auc_n) == ("rf-b", HealthStatus.UNKNOWN, 0)
    assert sampled.psi_prediction is None
    assert sampled.psi_worst is not None
    assert monitoring.outcomes.scores("rf-a").scored == 301


def test_predictions_of_another_model_do_not_move_the_active_ones_window() -> None:
    monitoring, pipeline = a_monitor()
    run(pipeline, [an_activation("shadow"), an_activation(), *a_market(300, pull=2.0)])
    before = sample(pipeline)

    run(pipeline, [predictions(hour, 1.0, 0.9, (BTC,), "shadow") for hour in range(400, 600)])
    run(pipeline, [Predictions(ts_ns=0, model="shadow", rows=(), refused=())])

    assert sample(pipeline) == before
    assert monitoring.outcomes.pending_count == 201


def test_new_feature_columns_start_a_new_window_of_rows() -> None:
    _, pipeline = a_monitor()
    run(pipeline, [an_activation(), *a_market(300)])

    run(pipeline, [an_activation("rf-a", ("wild", "calm"))])

    assert sample(pipeline).psi_worst is None


def test_lost_predictions_are_counted_and_never_scored() -> None:
    _, pipeline = a_monitor()
    outage = BarsMissed(
        ts_ns=302 * HOUR_NS,
        instrument=BTC,
        first_open_ns=301 * HOUR_NS,
        count=1,
        cause=MissCause.OUTAGE,
    )

    run(pipeline, [an_activation(), *a_market(300, pull=2.0), outage, bars(303, 500.0, (BTC,))])
    sampled = sample(pipeline)

    assert (sampled.auc_n, sampled.lost) == (300, 1)


def test_what_ended_during_a_stop_is_resolved_by_the_history_of_the_next_start() -> None:
    monitoring, pipeline = a_monitor()
    run(pipeline, [an_activation(), *a_market(5)])

    missing = bars(7, 500.0, (BTC,)).bars
    pipeline.step(HistoryLoaded(ts_ns=9 * HOUR_NS, bars=missing))

    assert monitoring.outcomes.scores("rf-a").scored == 6


def test_a_monitor_rebuilt_from_the_journal_samples_the_same() -> None:
    story = [an_activation(), *a_market(400, pull=0.5, shift=0.3, instruments=(BTC, ETH))]
    _, never_stopped = a_monitor()
    run(never_stopped, story)
    _, first = a_monitor()
    journal = [encode(each) for event in story[:700] for each in first.step(event).events]
    _, second = a_monitor()

    second.recover(map(decode, journal))
    run(second, story[700:])

    assert sample(second) == sample(never_stopped)
    assert decode(encode(sample(second))) == sample(second)


def test_a_second_tick_samples_again_and_changes_nothing() -> None:
    _, pipeline = a_monitor()
    run(pipeline, [an_activation(), *a_market(300, pull=1.0)])

    assert sample(pipeline, 5) == replace(sample(pipeline, 6), ts_ns=5)


def test_only_a_bounded_number_of_references_is_kept() -> None:
    monitoring, pipeline = a_monitor()

    for k in range(REFERENCES_REMEMBERED_MAX):
        monitoring.use_references(f"m{k}", usual(), usual_probability())
    run(pipeline, [an_activation(), *a_market(300, pull=2.0)])

    assert "no_reference" in sample(pipeline).reasons
