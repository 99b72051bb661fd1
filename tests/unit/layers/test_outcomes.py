"""The outcome ledger: pending, resolved once, lost honestly, and the same after recovery."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.bars import Bar, BarSource, MissCause
from daemon.core.events import (
    BarsClosed,
    BarsMissed,
    Event,
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
from daemon.core.labels import LabelRule
from daemon.core.pipeline import Pipeline, apply, on
from daemon.layers.monitoring.outcomes import MODELS_REMEMBERED_MAX, Outcomes, Scored

DIRECTION = LabelRule()
HOUR_NS = 3_600 * 1_000_000_000
BTC = InstrumentId("embedded", "BTC/USDT")
ETH = InstrumentId("embedded", "ETH/USDT")


def a_ledger(window_outcomes: int = 500) -> tuple[Outcomes, Pipeline]:
    outcomes = Outcomes(timeframe_ns=HOUR_NS, window_outcomes=window_outcomes)
    routes = [
        apply(ModelActivated, outcomes.apply_model_activated),
        apply(HistoryLoaded, outcomes.apply_history_loaded),
        apply(BarsClosed, outcomes.apply_bars_closed),
        apply(BarsMissed, outcomes.apply_bars_missed),
        apply(Predictions, outcomes.apply_predictions),
        apply(PredictionResolved, outcomes.apply_prediction_resolved),
        on(BarsClosed, outcomes.on_bars_closed, PredictionResolved),
        on(HistoryLoaded, outcomes.on_history_loaded, PredictionResolved),
    ]
    return outcomes, Pipeline(routes)


def an_activation(
    model: str = "rf-a", horizon_bars: int = 1, label: LabelRule = DIRECTION
) -> ModelActivated:
    none = Payoff(win_ratio=0.01, loss_ratio=0.01, n=100)
    return ModelActivated(
        ts_ns=0,
        model=model,
        feature_fingerprint="f",
        feature_names=("x",),
        horizon_bars=horizon_bars,
        trained_through_ns=0,
        long_payoff=none,
        short_payoff=none,
        auc=0.55,
        auc_low=0.52,
        auc_high=0.58,
        label=label,
    )


def a_bar(hour: int, close: float = 100.0, instrument: InstrumentId = BTC) -> Bar:
    return Bar(
        instrument=instrument,
        open_ns=(hour - 1) * HOUR_NS,
        close_ns=hour * HOUR_NS,
        open=close,
        high=close,
        low=close,
        close=close,
        volume=1.0,
        received_ns=hour * HOUR_NS,
        source=BarSource.STREAM,
    )


def bars(*each: Bar) -> BarsClosed:
    return BarsClosed(ts_ns=each[0].close_ns, bars=each)


def a_prediction(
    hour: int,
    close: float = 100.0,
    *,
    probability_up: float = 0.6,
    model: str = "rf-a",
    instrument: InstrumentId = BTC,
) -> Predictions:
    row = Prediction(
        instrument=instrument,
        trace=f"trace-{instrument.symbol}-{hour}",
        close_ns=hour * HOUR_NS,
        received_ns=hour * HOUR_NS,
        close=close,
        probability_up=probability_up,
        standard_error=0.01,
        raw_probability_up=probability_up,
    )
    return Predictions(ts_ns=hour * HOUR_NS, model=model, rows=(row,), refused=())


def missed(first_hour: int, count: int, cause: MissCause) -> BarsMissed:
    """The slots that would have closed at `first_hour` and after."""
    return BarsMissed(
        ts_ns=(first_hour + count) * HOUR_NS,
        instrument=BTC,
        first_open_ns=(first_hour - 1) * HOUR_NS,
        count=count,
        cause=cause,
    )


def resolved_by(pipeline: Pipeline, events: Iterable[Event]) -> list[PredictionResolved]:
    return [
        each
        for event in events
        for each in pipeline.step(event).events
        if isinstance(each, PredictionResolved)
    ]


@pytest.mark.parametrize(
    ("close", "outcome", "return_ratio", "reason"),
    [(101.0, 1, 0.01, ""), (99.0, 0, -0.01, ""), (100.0, None, 0.0, "tie")],
)
def test_the_bar_at_the_horizon_says_up_down_or_tie(
    close: float, outcome: int | None, return_ratio: float, reason: str
) -> None:
    _, pipeline = a_ledger()

    (resolved,) = resolved_by(
        pipeline, [an_activation(), a_prediction(5), bars(a_bar(6, close)), bars(a_bar(7, 50.0))]
    )

    assert resolved.return_ratio == pytest.approx(return_ratio)
    assert resolved == PredictionResolved(
        ts_ns=6 * HOUR_NS,
        instrument=BTC,
        trace="trace-BTC/USDT-5",
        model="rf-a",
        predicted_close_ns=5 * HOUR_NS,
        probability_up=0.6,
        outcome=outcome,
        return_ratio=resolved.return_ratio,
        reason=reason,
    )


def test_nothing_is_resolved_before_its_horizon_and_each_only_once() -> None:
    outcomes, pipeline = a_ledger()
    start = [an_activation(horizon_bars=3), a_prediction(5), bars(a_bar(6)), bars(a_bar(7))]

    assert resolved_by(pipeline, start) == []
    assert outcomes.pending_count == 1
    (resolved,) = resolved_by(pipeline, [bars(a_bar(8, 120.0)), bars(a_bar(9)), bars(a_bar(10))])
    assert resolved.return_ratio == pytest.approx(0.2)
    assert outcomes.pending_count == 0


def test_one_instruments_bar_says_nothing_about_another() -> None:
    _, pipeline = a_ledger()
    start = [an_activation(), a_prediction(5), a_prediction(5, instrument=ETH)]

    resolved = resolved_by(pipeline, [*start, bars(a_bar(6, 101.0, ETH))])

    assert [each.instrument for each in resolved] == [ETH]


def test_a_horizon_whose_last_bar_never_came_is_lost() -> None:
    outcomes, pipeline = a_ledger()

    (resolved,) = resolved_by(pipeline, [an_activation(), a_prediction(5), bars(a_bar(7, 200.0))])

    assert (resolved.outcome, resolved.return_ratio, resolved.reason) == (None, None, "hole")
    assert outcomes.scores("rf-a").lost == 1
    assert not outcomes.scores("rf-a").recent


def test_an_outage_inside_the_horizon_loses_the_outcome_though_the_last_bar_is_there() -> None:
    _, pipeline = a_ledger()
    start = [an_activation(horizon_bars=4), a_prediction(4), a_prediction(5), a_prediction(8)]

    resolved = resolved_by(
        pipeline,
        [*start, missed(6, 2, MissCause.OUTAGE), bars(a_bar(8)), bars(a_bar(9)), bars(a_bar(12))],
    )

    told = [(each.predicted_close_ns // HOUR_NS, each.reason) for each in resolved]
    assert told == [(4, "outage"), (5, "outage"), (8, "tie")]


def test_an_outage_just_before_or_just_after_the_horizon_does_no_harm() -> None:
    _, pipeline = a_ledger()
    start = [an_activation(horizon_bars=2), a_prediction(5)]

    before, after = missed(4, 2, MissCause.OUTAGE), missed(8, 1, MissCause.OUTAGE)
    (resolved,) = resolved_by(pipeline, [*start, before, after, bars(a_bar(7, 101.0))])

    assert resolved.outcome == 1


def test_a_slot_without_trades_inside_the_horizon_is_no_outage() -> None:
    _, pipeline = a_ledger()
    start = [an_activation(horizon_bars=3), a_prediction(5), a_prediction(6)]

    quiet = missed(7, 2, MissCause.NO_TRADES)
    resolved = resolved_by(pipeline, [*start, quiet, bars(a_bar(9, 99.0))])

    told = {each.predicted_close_ns // HOUR_NS: each.reason for each in resolved}
    assert told == {5: "hole", 6: ""}


def test_a_swap_starts_a_new_window_and_the_old_model_still_gets_its_outcomes() -> None:
    outcomes, pipeline = a_ledger()

    resolved_by(
        pipeline,
        [
            an_activation("old", horizon_bars=2),
            a_prediction(5, model="old"),
            an_activation("new"),
            a_prediction(6, model="new"),
            bars(a_bar(7, 101.0)),
        ],
    )

    assert [each.close_ns // HOUR_NS for each in outcomes.scores("old").recent] == [5]
    assert [each.close_ns // HOUR_NS for each in outcomes.scores("new").recent] == [6]


def test_activating_the_same_model_again_keeps_its_window() -> None:
    outcomes, pipeline = a_ledger()
    resolved_by(pipeline, [an_activation(), a_prediction(5), bars(a_bar(6, 101.0))])

    resolved_by(pipeline, [an_activation("other"), an_activation()])

    assert outcomes.scores("rf-a").scored == 1
    assert list(outcomes.scores("rf-a").recent) == [Scored(5 * HOUR_NS, 0.6, 1, BTC)]


def test_the_window_keeps_the_newest_and_the_count_goes_on() -> None:
    outcomes, pipeline = a_ledger(window_outcomes=3)
    resolved_by(pipeline, [an_activation()])

    for hour in range(1, 11):
        resolved_by(pipeline, [a_prediction(hour), bars(a_bar(hour + 1, 101.0))])

    scores = outcomes.scores("rf-a")
    assert [each.close_ns // HOUR_NS for each in scores.recent] == [8, 9, 10]
    assert (scores.scored, scores.lost, scores.ties) == (10, 0, 0)


def test_only_a_bounded_number_of_models_is_remembered() -> None:
    outcomes, pipeline = a_ledger()
    resolved_by(pipeline, [an_activation("first"), a_prediction(5, model="first")])

    resolved_by(pipeline, [an_activation(f"m{k}") for k in range(MODELS_REMEMBERED_MAX)])
    (resolved,) = resolved_by(pipeline, [bars(a_bar(6, 101.0))])

    assert resolved.model == "first"
    assert outcomes.pending_count == 0
    with pytest.raises(KeyError):
        outcomes.scores("first")


def test_history_resolves_what_ended_while_nobody_was_running() -> None:
    outcomes, pipeline = a_ledger()
    start = [an_activation(), a_prediction(4), a_prediction(5), a_prediction(9)]

    history = HistoryLoaded(ts_ns=9 * HOUR_NS, bars=(a_bar(6, 101.0), a_bar(8), a_bar(9)))
    resolved = resolved_by(pipeline, [*start, history])

    told = [(each.predicted_close_ns // HOUR_NS, each.outcome, each.reason) for each in resolved]
    assert told == [(4, None, "hole"), (5, 1, "")]
    assert outcomes.pending_count == 1


def test_history_of_another_instrument_resolves_nothing() -> None:
    outcomes, pipeline = a_ledger()
    history = HistoryLoaded(ts_ns=9 * HOUR_NS, bars=(a_bar(9, instrument=ETH),))

    assert resolved_by(pipeline, [an_activation(), a_prediction(5), history]) == []
    assert outcomes.pending_count == 1


def test_outcomes_of_overlapping_horizons_share_a_block() -> None:
    outcomes, pipeline = a_ledger()

    resolved_by(pipeline, [an_activation("one", 1), an_activation("six", 6)])

    assert outcomes.block_ns("one") == HOUR_NS
    assert outcomes.block_ns("six") == 18 * HOUR_NS


closes = st.floats(1.0, 1000.0).map(lambda price: round(price, 1))
slots = st.lists(st.one_of(closes, st.sampled_from(["outage", "quiet"])), min_size=1, max_size=60)


def a_story(market: list[float | str], horizon_bars: int, swap_at: int) -> list[Event]:
    """Bars with a prediction after each, holes, and a model swap on the way."""
    story: list[Event] = [an_activation("m0", horizon_bars)]
    model = "m0"
    for hour, slot in enumerate(market, 1):
        if hour == swap_at:
            model = "m1"
            story.append(an_activation(model, horizon_bars))
        if slot == "outage":
            story.append(missed(hour, 1, MissCause.OUTAGE))
        elif slot == "quiet":
            story.append(missed(hour, 1, MissCause.NO_TRADES))
        else:
            close = float(slot)
            story += [bars(a_bar(hour, close)), a_prediction(hour, close, model=model)]
    return story


@given(slots, st.integers(1, 5), st.integers(1, 60), st.integers(0, 200))
def test_a_ledger_rebuilt_from_the_journal_goes_on_as_if_never_stopped(
    market: list[float | str], horizon_bars: int, swap_at: int, cut: int
) -> None:
    story = a_story(market, horizon_bars, swap_at)
    cut = min(cut, len(story))
    _, never_stopped = a_ledger()
    expected = resolved_by(never_stopped, story)

    _, first = a_ledger()
    journal = [encode(each) for event in story[:cut] for each in first.step(event).events]
    _, second = a_ledger()
    second.recover(map(decode, journal))
    told = [each for each in map(decode, journal) if isinstance(each, PredictionResolved)]

    assert told + resolved_by(second, story[cut:]) == expected


@given(slots, st.integers(1, 5), st.integers(1, 60))
def test_every_prediction_is_scored_lost_tied_or_pending_and_scored_rightly(
    market: list[float | str], horizon_bars: int, swap_at: int
) -> None:
    outcomes, pipeline = a_ledger()
    story = a_story(market, horizon_bars, swap_at)

    resolved = resolved_by(pipeline, story)

    made = sum(isinstance(event, Predictions) for event in story)
    assert len(resolved) + outcomes.pending_count == made
    for each in resolved:
        start = each.predicted_close_ns // HOUR_NS
        window = market[start - 1 : start + horizon_bars]
        is_knowable = "outage" not in window and window[-1] != "quiet"
        assert (each.reason in ("", "tie")) == is_knowable
        if each.outcome is not None:
            assert each.outcome == (float(window[-1]) > float(window[0]))
