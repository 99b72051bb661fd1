"""Models whose label is a triple barrier are scored live by that label, and by no other."""

from itertools import pairwise

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.core.bars import Bar, MissCause
from daemon.core.events import (
    BarsMissed,
    Event,
    HistoryLoaded,
    ModelActivated,
    PredictionResolved,
    decode,
    encode,
)
from daemon.core.labels import BarrierUnit, LabelKind, LabelRule
from daemon.core.pipeline import Pipeline
from daemon.layers.monitoring.outcomes import Outcomes
from daemon.research.labels import labels_of
from daemon.research.series import Series, unbroken
from tests.unit.layers.test_outcomes import (
    BTC,
    HOUR_NS,
    a_bar,
    a_ledger,
    a_prediction,
    an_activation,
    bars,
)
from tests.unit.research.markets import a_random_walk

BPS = LabelRule(kind=LabelKind.TRIPLE_BARRIER, unit=BarrierUnit.BPS, profit=100.0, stop=50.0)
VOLATILITY = replace(BPS, unit=BarrierUnit.VOLATILITY, profit=1.0, stop=0.7, bars=4)


def opened(rule: LabelRule = BPS, horizon_bars: int = 3) -> tuple[Outcomes, Pipeline]:
    outcomes, pipeline = a_ledger()
    pipeline.step(an_activation(horizon_bars=horizon_bars, label=rule))
    pipeline.step(bars(a_bar(1)))
    pipeline.step(a_prediction(1))
    return outcomes, pipeline


def a_wide_bar(hour: int, high: float, low: float, close: float = 100.0) -> Bar:
    return replace(a_bar(hour, close), high=high, low=low)


def resolved(pipeline: Pipeline, *each: Bar) -> list[tuple[int, int | None, str]]:
    """Hour, outcome and reason of what was resolved, bar by bar."""
    return [
        (bar.close_ns // HOUR_NS, event.outcome, event.reason)
        for bar in each
        for event in pipeline.step(bars(bar)).events
        if isinstance(event, PredictionResolved)
    ]


def test_the_first_bar_that_reaches_the_profit_resolves_it() -> None:
    _, pipeline = opened()

    assert resolved(pipeline, a_wide_bar(2, 100.9, 99.6), a_wide_bar(3, 101.0, 99.6)) == [
        (3, 1, "")
    ]


def test_a_bar_that_reaches_both_counts_as_a_stop() -> None:
    _, pipeline = opened()

    assert resolved(pipeline, a_wide_bar(2, 103.0, 99.5)) == [(2, 0, "")]


def test_when_neither_is_reached_the_close_at_the_horizon_decides() -> None:
    _, pipeline = opened()
    quiet = [a_wide_bar(hour, 100.9, 99.6) for hour in (2, 3)]

    assert resolved(pipeline, *quiet, a_wide_bar(4, 100.9, 99.6, close=99.9)) == [(4, 0, "")]


def test_a_slot_without_a_bar_before_the_end_makes_it_unknown() -> None:
    _, pipeline = opened()
    pipeline.step(
        BarsMissed(
            ts_ns=2 * HOUR_NS,
            instrument=BTC,
            first_open_ns=HOUR_NS,
            count=1,
            cause=MissCause.NO_TRADES,
        )
    )

    assert resolved(pipeline, a_wide_bar(3, 105.0, 99.9)) == [(3, None, "hole")]


def test_without_enough_closes_there_are_no_barriers_and_no_outcome() -> None:
    outcomes, pipeline = opened(VOLATILITY)

    assert resolved(pipeline, a_wide_bar(2, 105.0, 99.9)) == [(2, None, "no_barriers")]
    assert outcomes.scores("rf-a").lost == 1


def test_history_resolves_by_the_first_bar_that_reached_a_barrier() -> None:
    _, pipeline = opened()
    later = (a_wide_bar(2, 100.1, 99.4), a_wide_bar(3, 105.0, 99.9), a_bar(4))

    step = pipeline.step(HistoryLoaded(ts_ns=9, bars=later))

    assert [each.outcome for each in step.events if isinstance(each, PredictionResolved)] == [0]


def test_history_with_a_hole_before_the_end_leaves_it_unknown() -> None:
    _, pipeline = opened()

    step = pipeline.step(HistoryLoaded(ts_ns=9, bars=(a_wide_bar(3, 105.0, 99.9), a_bar(4))))

    (each,) = [event for event in step.events if isinstance(event, PredictionResolved)]
    assert (each.outcome, each.reason) == (None, "hole")


def test_an_activation_of_an_older_journal_means_direction() -> None:
    text = encode(an_activation())
    label = b',"label":' + msgspec.json.encode(LabelRule())

    heard = decode(text.replace(label, b""))

    assert label in text
    assert isinstance(heard, ModelActivated)
    assert heard.label == LabelRule()


def as_bars(series: Series) -> list[Bar]:
    return [
        replace(
            a_bar(0),
            open_ns=int(open_ns),
            close_ns=int(open_ns) + HOUR_NS,
            open=bar[0],
            high=bar[1],
            low=bar[2],
            close=bar[3],
        )
        for open_ns, bar in zip(series.open_ns, series.ohlcv.tolist(), strict=True)
    ]


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from([BPS, VOLATILITY]))
def test_live_scores_exactly_what_research_labels(
    seed: int, horizon_bars: int, rule: LabelRule
) -> None:
    series = a_random_walk(40, seed)
    outcomes, pipeline = a_ledger()
    events: list[Event] = list(
        pipeline.step(an_activation(horizon_bars=horizon_bars, label=rule)).events
    )
    for bar in as_bars(series):
        events += pipeline.step(bars(bar)).events
        events += pipeline.step(at(bar)).events

    live = {
        each.predicted_close_ns: each.outcome
        for each in events
        if isinstance(each, PredictionResolved) and each.outcome is not None
    }
    labels = labels_of(series, unbroken(series), horizon_bars, rule)
    made = dict(zip(labels.decided_ns.tolist(), labels.up.tolist(), strict=True))
    # Live, the newest ones may be known before their horizon is over.
    assert {when: live[when] for when in made} == made
    assert all(when > max(made) for when in live.keys() - made.keys())
    assert outcomes.pending_count <= horizon_bars
    assert all(older < newer for older, newer in pairwise(labels.decided_ns.tolist()))


def at(bar: Bar) -> Event:
    made = a_prediction(1, bar.close)
    return replace(made, rows=(replace(made.rows[0], close_ns=bar.close_ns),))


def test_what_is_scored_survives_a_restart() -> None:
    series = a_random_walk(40, seed=7)
    _, pipeline = a_ledger()
    journal: list[Event] = []
    for event in [an_activation(horizon_bars=4, label=VOLATILITY)]:
        journal += pipeline.step(event).events
    for bar in as_bars(series)[:30]:
        journal += pipeline.step(bars(bar)).events
        journal += pipeline.step(at(bar)).events
    again, recovered = a_ledger()
    recovered.recover(iter([decode(encode(each)) for each in journal]))

    for bar in as_bars(series)[30:]:
        assert recovered.step(bars(bar)).events == pipeline.step(bars(bar)).events
        assert recovered.step(at(bar)).events == pipeline.step(at(bar)).events
    assert again.scores("rf-a").scored > 0


def test_bars_are_kept_only_for_as_long_as_barriers_need() -> None:
    outcomes, pipeline = a_ledger()
    pipeline.step(an_activation(label=VOLATILITY))
    for hour in range(1, 30):
        pipeline.step(bars(a_bar(hour)))
    plain, other = a_ledger()
    other.step(an_activation())
    other.step(bars(a_bar(1)))

    assert len(outcomes._closes[BTC]) == 5
    assert plain._closes == {}
    assert np.isfinite([close for _, close in outcomes._closes[BTC]]).all()
