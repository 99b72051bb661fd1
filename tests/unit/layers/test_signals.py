import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config import SignalSection
from daemon.core import events as e
from daemon.core.costs import Costs
from daemon.core.instruments import InstrumentId
from daemon.layers.signals import Signals
from tests.builders import (
    BTC,
    CLOSE_NS,
    ETH,
    HOUR_NS,
    MODEL,
    OPEN_NS,
    a_features_refused,
    a_model_activated,
    a_payoff,
    a_position_changed,
    a_prediction,
    predictions,
)

EVEN = a_payoff(win_ratio=0.01, loss_ratio=0.01)
COST_RATIO = 0.003
COSTS = Costs(fee_ratio=COST_RATIO / 2, slippage_ratio=0.0)
DAY_NS = 24 * HOUR_NS


class Desk:
    """Layer 4 as a step drives it: what it emits is applied at once."""

    def __init__(self, *, model: bool = True, horizon_bars: int = 1, **config: Any) -> None:
        section = SignalSection(**({"confidence_min_ratio": 0.2, "cost_margin_bps": 0.0} | config))
        self.signals = Signals(
            section,
            timeframe_ns=HOUR_NS,
            costs=lambda _: COSTS,
            bar_age_max_ns=HOUR_NS // 2,
            model_age_max_ns=45 * DAY_NS,
        )
        if model:
            activated = a_model_activated(
                horizon_bars=horizon_bars, long_payoff=EVEN, short_payoff=EVEN
            )
            self.signals.apply_model_activated(activated)

    def hears(self, event: e.Predictions) -> list[e.Event]:
        heard = list(self.signals.on_predictions(event))
        for each in heard:
            if isinstance(each, e.SignalEmitted):
                self.signals.apply_signal_emitted(each)
        return heard

    def sees(self, probability_up: float, hour: int = 0, **changes: Any) -> list[e.Event]:
        """One prediction on the bar that closes `hour` hours after the first."""
        close_ns = CLOSE_NS + hour * HOUR_NS
        row = a_prediction(
            **{
                "close_ns": close_ns,
                "received_ns": close_ns,
                "probability_up": probability_up,
                "standard_error": 0.0,
            }
            | changes
        )
        return self.hears(predictions(ts_ns=row.received_ns, rows=(row,), refused=()))

    def sees_nothing(
        self,
        hour: int = 0,
        reason: e.FeaturesRefusedReason = e.FeaturesRefusedReason.WINDOW_HAS_HOLE,
    ) -> list[e.Event]:
        close_ns = CLOSE_NS + hour * HOUR_NS
        refused = a_features_refused(instrument=BTC, close_ns=close_ns, reason=reason)
        return self.hears(predictions(ts_ns=close_ns, rows=(), refused=(refused,)))

    def holds(self, instrument: InstrumentId = BTC) -> None:
        self.signals.apply_position_changed(a_position_changed(instrument=instrument))

    def holds_nothing(self) -> None:
        self.signals.apply_position_changed(a_position_changed(closed_return_ratio=0.001))


def told(heard: list[e.Event]) -> list[tuple[str, ...]]:
    """Direction and reason of signals, reason of suppressions."""
    return [
        (each.direction.value, each.reason.value)
        if isinstance(each, e.SignalEmitted)
        else (each.reason.value,)
        for each in heard
        if isinstance(each, e.SignalEmitted | e.SignalSuppressed)
    ]


# --- what becomes a signal ----------------------------------------------------------------------


def test_a_confident_prediction_becomes_a_long_signal_with_its_numbers() -> None:
    desk = Desk(horizon_bars=3)

    (signal,) = desk.sees(0.75)

    assert signal == e.SignalEmitted(
        ts_ns=CLOSE_NS,
        instrument=BTC,
        trace=a_prediction().trace,
        close_ns=CLOSE_NS,
        direction=e.Direction.LONG,
        reason=e.SignalReason.MODEL,
        model=MODEL,
        price=a_prediction().close,
        probability_up=0.75,
        win_probability=0.75,
        confidence=0.5,
        edge_ratio=0.75 * 0.01 - 0.25 * 0.01 - COST_RATIO,
        expires_ns=CLOSE_NS + 3 * HOUR_NS,
    )
    assert desk.signals.desired(BTC) is e.Direction.LONG


def test_the_threshold_is_met_by_what_equals_it() -> None:
    assert told(Desk(confidence_min_ratio=0.5).sees(0.75)) == [("long", "model")]
    assert told(Desk(confidence_min_ratio=0.5).sees(0.7499)) == [("low_confidence",)]


def test_a_suppression_says_what_was_seen_and_the_limit() -> None:
    (suppressed,) = Desk(confidence_min_ratio=0.5).sees(0.6)

    assert isinstance(suppressed, e.SignalSuppressed)
    assert suppressed.limit == 0.5
    assert suppressed.confidence == pytest.approx(0.2)
    assert suppressed.probability_up == 0.6


def test_an_edge_that_costs_eat_up_is_no_signal() -> None:
    """At even payoffs of 1 % a probability of 0.65 earns 0.30 % gross, which is the cost."""
    at_cost = Desk().sees(0.649)
    above = Desk().sees(0.66)
    with_margin = Desk(cost_margin_bps=5.0).sees(0.66)

    assert told(at_cost) == told(with_margin) == [("below_cost",)]
    assert told(above) == [("long", "model")]


def test_a_probability_is_trusted_one_standard_error_less() -> None:
    (signal,) = Desk().sees(0.8, standard_error=0.05)
    doubtful = Desk().sees(0.8, standard_error=0.2)

    assert isinstance(signal, e.SignalEmitted)
    assert signal.win_probability == pytest.approx(0.75)
    assert signal.edge_ratio == pytest.approx(0.75 * 0.01 - 0.25 * 0.01 - COST_RATIO)
    assert told(doubtful) == [("below_cost",)]


def test_every_instrument_of_a_cross_section_gets_its_own_answer() -> None:
    desk = Desk()
    rows = (
        a_prediction(probability_up=0.8, standard_error=0.0),
        a_prediction(instrument=ETH, probability_up=0.52),
    )

    heard = desk.hears(predictions(rows=rows, refused=()))

    assert told(heard) == [("long", "model"), ("low_confidence",)]
    assert desk.signals.desired(ETH) is e.Direction.FLAT


@given(st.floats(0.0, 1.0), st.floats(0.0, 0.5))
def test_every_prediction_gets_exactly_one_answer_and_no_signal_loses_on_average(
    probability_up: float, standard_error: float
) -> None:
    heard = Desk().sees(probability_up, standard_error=standard_error)

    assert len(heard) == 1
    signal = heard[0]
    if isinstance(signal, e.SignalEmitted):
        assert signal.edge_ratio is not None
        assert signal.edge_ratio > 0
        assert signal.win_probability is not None
        assert 0.5 <= signal.win_probability <= probability_up


# --- what is refused ----------------------------------------------------------------------------


def test_the_same_bar_decides_once() -> None:
    desk = Desk()
    desk.sees(0.8, hour=1)

    assert told(desk.sees(0.8, hour=1)) == [("duplicate_bar",)]
    assert told(desk.sees(0.8, hour=0)) == [("duplicate_bar",)]
    assert told(desk.sees(0.8, hour=2)) == [("long", "model")]


def test_bars_are_counted_per_instrument() -> None:
    desk = Desk()
    desk.sees(0.8, hour=5)

    assert told(desk.sees(0.8, hour=1, instrument=ETH)) == [("long", "model")]


def test_a_bar_that_came_too_late_is_not_acted_on() -> None:
    late_ns = CLOSE_NS + HOUR_NS // 2

    assert told(Desk().sees(0.8, received_ns=late_ns)) == [("long", "model")]
    assert told(Desk().sees(0.8, received_ns=late_ns + 1)) == [("stale_bar",)]


def test_without_a_model_nothing_is_decided() -> None:
    assert told(Desk(model=False).sees(0.8)) == [("no_model",)]


def test_a_model_that_is_too_old_opens_nothing() -> None:
    oldest = (OPEN_NS + 45 * DAY_NS - CLOSE_NS) // HOUR_NS

    assert told(Desk().sees(0.8, hour=oldest)) == [("long", "model")]
    assert told(Desk().sees(0.8, hour=oldest + 1)) == [("model_too_old",)]


def test_a_short_is_suppressed_where_it_is_not_allowed() -> None:
    assert told(Desk().sees(0.2)) == [("short_not_allowed",)]


def test_a_short_that_is_allowed_is_judged_in_its_own_direction() -> None:
    (signal,) = Desk(allow_short=True).sees(0.2, standard_error=0.02)

    assert isinstance(signal, e.SignalEmitted)
    assert signal.direction is e.Direction.SHORT
    assert signal.win_probability == pytest.approx(0.78)


def test_two_opposite_wishes_in_a_row_are_too_soon() -> None:
    desk = Desk(min_interval_bars=3, allow_short=True)
    desk.sees(0.8, hour=0)

    assert told(desk.sees(0.2, hour=2)) == [("too_soon",)]
    assert told(desk.sees(0.2, hour=3)) == [("short", "model")]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -0.1])
def test_what_is_no_probability_or_no_error_never_becomes_a_signal(bad: float) -> None:
    assert told(Desk(allow_short=True).sees(bad)) == [("not_finite",)]
    assert told(Desk().sees(0.8, standard_error=bad)) in ([("not_finite",)], [("below_cost",)])


@pytest.mark.parametrize("reason", list(e.FeaturesRefusedReason))
def test_a_refused_window_is_passed_on_with_its_reason(reason: e.FeaturesRefusedReason) -> None:
    assert told(Desk().sees_nothing(reason=reason)) == [(reason.value,)]


# --- holding and letting go ---------------------------------------------------------------------


def test_while_it_is_held_the_same_direction_extends_and_pays_no_second_round_trip() -> None:
    desk = Desk()
    desk.sees(0.8)
    desk.holds()

    (extended,) = desk.sees(0.62, hour=1)

    assert isinstance(extended, e.SignalEmitted)
    assert extended.reason is e.SignalReason.EXTENDED
    assert extended.edge_ratio == pytest.approx(0.24 * 0.01)
    assert extended.expires_ns == CLOSE_NS + 2 * HOUR_NS


def test_a_signal_whose_order_never_filled_is_not_extended() -> None:
    desk = Desk()
    desk.sees(0.8)

    assert told(desk.sees(0.8, hour=1)) == [("long", "model")]
    assert told(desk.sees(0.62, hour=2)) == [("below_cost",)]


def test_an_opposite_prediction_goes_flat() -> None:
    desk = Desk()
    desk.sees(0.8)
    desk.holds()

    assert told(desk.sees(0.2, hour=1)) == [("flat", "opposite")]
    assert desk.signals.desired(BTC) is e.Direction.FLAT


def test_where_shorts_are_allowed_an_opposite_prediction_still_goes_flat_first() -> None:
    """On spot the short would be denied, and the position would never be closed."""
    desk = Desk(allow_short=True, horizon_bars=5)
    desk.sees(0.8)
    desk.holds()

    assert told(desk.sees(0.2, hour=1)) == [("flat", "opposite")]
    desk.holds_nothing()
    assert told(desk.sees(0.2, hour=2)) == [("short", "model")]


def test_a_weak_opposite_prediction_lets_the_position_run_to_its_horizon() -> None:
    desk = Desk(horizon_bars=3)
    desk.sees(0.8)
    desk.holds()

    assert told(desk.sees(0.45, hour=1)) == [("low_confidence",)]
    assert told(desk.sees(0.45, hour=2)) == [("low_confidence",)]
    assert told(desk.sees(0.45, hour=3)) == [("low_confidence",), ("flat", "horizon")]


def test_the_horizon_ends_a_position_whose_features_are_refused() -> None:
    desk = Desk(horizon_bars=2)
    desk.sees(0.8)
    desk.holds()

    assert told(desk.sees_nothing(hour=1)) == [("window_has_hole",)]
    assert told(desk.sees_nothing(hour=2)) == [("window_has_hole",), ("flat", "horizon")]


def test_the_horizon_ends_a_position_at_the_first_bar_after_a_hole() -> None:
    desk = Desk(horizon_bars=2)
    desk.sees(0.8)
    desk.holds()

    assert told(desk.sees_nothing(hour=9)) == [("window_has_hole",), ("flat", "horizon")]


def test_a_late_bar_opens_nothing_and_still_closes() -> None:
    desk = Desk()
    desk.sees(0.8)
    desk.holds()

    late = desk.sees(0.8, hour=1, received_ns=CLOSE_NS + 2 * HOUR_NS)

    assert told(late) == [("stale_bar",), ("flat", "horizon")]


def test_without_a_position_nothing_is_closed() -> None:
    desk = Desk()
    desk.sees(0.8)

    assert told(desk.sees_nothing(hour=5)) == [("window_has_hole",)]


def test_a_position_that_should_be_gone_is_asked_for_on_every_bar() -> None:
    desk = Desk()
    desk.sees(0.8)
    desk.holds()
    desk.sees_nothing(hour=1)

    assert told(desk.sees_nothing(hour=2)) == [("window_has_hole",), ("flat", "overdue")]
    assert told(desk.sees(0.45, hour=3)) == [("low_confidence",), ("flat", "overdue")]
    desk.holds_nothing()
    assert told(desk.sees_nothing(hour=4)) == [("window_has_hole",)]


def test_a_bar_told_twice_does_not_ask_twice() -> None:
    desk = Desk()
    desk.sees(0.8)
    desk.holds()
    desk.sees_nothing(hour=1)

    assert told(desk.sees_nothing(hour=1)) == [("window_has_hole",)]


def test_a_position_that_came_late_is_closed_at_the_horizon_of_its_signal() -> None:
    """The order was believed lost and filled after its horizon had passed."""
    desk = Desk()
    desk.sees(0.8)
    desk.sees(0.45, hour=1)
    desk.holds()

    assert told(desk.sees(0.45, hour=2)) == [("low_confidence",), ("flat", "horizon")]


def test_a_position_that_should_be_gone_is_kept_only_when_it_pays_its_costs_again() -> None:
    desk = Desk()
    desk.sees(0.8)
    desk.holds()
    desk.sees_nothing(hour=1)

    assert told(desk.sees(0.62, hour=2)) == [("below_cost",), ("flat", "overdue")]
    assert told(desk.sees(0.8, hour=3)) == [("long", "model")]
    assert told(desk.sees(0.45, hour=4)) == [("low_confidence",), ("flat", "horizon")]


def test_a_position_the_other_way_round_than_desired_is_let_go() -> None:
    """A lost entry was found filled after the model had changed its mind."""
    desk = Desk(allow_short=True, horizon_bars=5)
    desk.sees(0.8, hour=0)
    desk.sees(0.2, hour=1)
    desk.holds()

    assert told(desk.sees(0.45, hour=2)) == [("low_confidence",), ("flat", "overdue")]
    assert told(desk.sees(0.2, hour=3)) == [("flat", "opposite")]


def test_what_is_desired_and_held_is_rebuilt_from_events_alone() -> None:
    desk, again = Desk(), Desk()
    desk.holds()
    again.holds()
    for heard in desk.sees(0.8):
        assert isinstance(heard, e.SignalEmitted)
        again.signals.apply_signal_emitted(heard)

    assert again.sees_nothing(hour=1) == desk.sees_nothing(hour=1)
