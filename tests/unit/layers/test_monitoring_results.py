"""What trading made of a model: which outcomes count as traded, and what round trips brought."""

from decimal import Decimal

import pytest

from daemon.core.orders import Side
from daemon.core.scores import TradeFigures
from daemon.layers.monitoring.results import Results
from tests.builders import (
    CLOSE_NS,
    HOUR_NS,
    a_model_activated,
    a_position_changed,
    a_resolution,
    an_approval,
    an_order_filled,
)

MODEL = a_model_activated().model


def results(window: int = 500) -> Results:
    made = Results(window, timeframe_ns=HOUR_NS)
    made.apply_model_activated(a_model_activated())
    return made


def trade(kept: Results, trace: str, side: Side, outcome: int | None) -> None:
    kept.apply_order_approved(an_approval(trace=trace, side=side, is_exit=False))
    for _part in range(2):
        kept.apply_order_filled(an_order_filled(trace=trace, side=side))
    kept.apply_prediction_resolved(a_resolution(trace=trace, model=MODEL, outcome=outcome))


def test_a_long_that_rose_and_a_short_that_fell_are_hits_once_each() -> None:
    kept = results()

    trade(kept, "a", Side.BUY, 1)
    trade(kept, "b", Side.SELL, 0)
    trade(kept, "c", Side.BUY, 0)
    trade(kept, "d", Side.BUY, None)

    assert (kept.figures().outcomes, kept.figures().hit_ratio) == (3, 2 / 3)


def test_what_was_not_filled_or_was_an_exit_is_no_trade_of_the_prediction() -> None:
    kept = results()

    kept.apply_order_approved(an_approval(trace="a", is_exit=False))
    kept.apply_order_approved(an_approval(trace="b", is_exit=True))
    kept.apply_order_filled(an_order_filled(trace="b"))
    for trace in ("a", "b"):
        kept.apply_prediction_resolved(a_resolution(trace=trace, model=MODEL, outcome=1))
    kept.apply_order_filled(an_order_filled(trace="a"))

    assert (kept.figures().outcomes, kept.figures().hit_ratio) == (0, None)


def test_another_model_starts_over_and_the_same_one_goes_on() -> None:
    kept = results()
    trade(kept, "a", Side.BUY, 1)
    kept.apply_position_changed(a_position_changed(closed_return_ratio=0.01))

    kept.apply_model_activated(a_model_activated())
    same = kept.figures()
    kept.apply_model_activated(a_model_activated(model="another"))

    assert (same.outcomes, same.round_trips) == (1, 1)
    assert kept.figures() == TradeFigures()


def test_the_mean_net_return_is_that_of_the_newest_round_trips() -> None:
    kept = results(window=6)
    for hour, ratio in enumerate((0.5, 0.01, -0.02, 0.03, 0.01, 0.02, 0.01)):
        changed = a_position_changed(ts_ns=CLOSE_NS + hour * HOUR_NS, closed_return_ratio=ratio)
        kept.apply_position_changed(changed)
    kept.apply_position_changed(a_position_changed(closed_return_ratio=None, quantity=Decimal(1)))

    told = kept.figures()

    assert told.round_trips == 6
    assert told.net_ratio == pytest.approx(0.01)
    assert told.net_low is not None
    assert told.net_low < 0.01


def test_round_trips_that_close_in_one_bar_are_one_observation() -> None:
    kept = results()
    for number in range(40):
        ts_ns = CLOSE_NS + number // 10 * HOUR_NS + number
        ratio = 0.01 + 0.001 * (number % 7)
        kept.apply_position_changed(a_position_changed(ts_ns=ts_ns, closed_return_ratio=ratio))

    assert (kept.figures().round_trips, kept.figures().net_low) == (40, None)
