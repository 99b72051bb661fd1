import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.core.labels import (
    BarrierUnit,
    LabelKind,
    LabelRule,
    barriers,
    risen,
    touched,
)
from daemon.research.labels import direction, labels_of
from daemon.research.series import CLOSE, HIGH, LOW, Series, unbroken
from tests.unit.research.markets import HOUR_NS, a_random_walk, a_series, without


def test_the_label_of_a_bar_is_the_direction_of_the_close_that_follows() -> None:
    series = a_series(np.array([100.0, 101.0, 100.5, 102.0]))

    labels = direction(series, unbroken(series), horizon_bars=1)

    assert labels.up.tolist() == [1, 0, 1]
    assert labels.decided_ns.tolist() == series.close_ns[:3].tolist()
    assert labels.label_end_ns.tolist() == series.close_ns[1:].tolist()
    assert labels.forward_log_return[0] == math.log(1.01)


def test_ties_are_neither_up_nor_down_and_are_dropped() -> None:
    series = a_series(np.array([100.0, 100.0, 101.0, 101.0]))

    assert direction(series, unbroken(series), horizon_bars=1).row.tolist() == [1]


def test_a_horizon_of_no_bars_is_refused() -> None:
    series = a_random_walk(5, seed=1)

    with pytest.raises(ValueError, match="horizon"):
        direction(series, unbroken(series), horizon_bars=0)


@given(
    st.integers(2, 60),
    st.integers(1, 5),
    st.sets(st.integers(0, 59)),
    st.integers(0, 2**32 - 1),
)
def test_no_label_reaches_over_a_hole_and_none_is_lost(
    bars: int, horizon: int, holes: set[int], seed: int
) -> None:
    series = without(a_random_walk(bars, seed), sorted(holes))
    at = {int(ns): i for i, ns in enumerate(series.close_ns)}

    labels = direction(series, unbroken(series), horizon)

    whole = [
        row
        for row, close_ns in enumerate(series.close_ns.tolist())
        if all(close_ns + HOUR_NS * ahead in at for ahead in range(1, horizon + 1))
    ]
    closes = series.ohlcv[:, CLOSE]
    assert labels.row.tolist() == [r for r in whole if closes[r] != closes[r + horizon]]
    assert (labels.label_end_ns - labels.decided_ns == horizon * HOUR_NS).all()
    assert (labels.up == (labels.forward_log_return > 0)).all()


TRIPLE = LabelRule(kind=LabelKind.TRIPLE_BARRIER, profit=1.5, stop=1.0, bars=5)
FIXED = LabelRule(kind=LabelKind.TRIPLE_BARRIER, unit=BarrierUnit.BPS, profit=80.0, stop=40.0)


def slowly(series: Series, horizon: int, rule: LabelRule) -> list[tuple[int, int, int]]:
    """Row, end and outcome, bar by bar, with the arithmetic of live scoring."""
    told = []
    for run in unbroken(series):
        for row in range(run.start + rule.past_closes - 1, run.stop - horizon):
            closes = series.ohlcv[: row + 1, CLOSE][-rule.past_closes :].tolist()
            prices = barriers(rule, horizon, closes)
            if prices is None:
                continue
            outcome, end = None, row + horizon
            for bar in range(row + 1, row + horizon + 1):
                outcome = touched(*prices, series.ohlcv[bar, HIGH], series.ohlcv[bar, LOW])
                if outcome is not None:
                    end = bar
                    break
            if outcome is None:
                outcome = risen(closes[-1], float(series.ohlcv[end, CLOSE]))
            if outcome is not None:
                told.append((row, end, outcome))
    return told


@given(
    st.integers(2, 70),
    st.integers(1, 8),
    st.sets(st.integers(0, 69)),
    st.integers(0, 2**32 - 1),
    st.sampled_from([TRIPLE, FIXED]),
)
def test_barriers_are_met_where_a_slow_reading_of_the_bars_meets_them(
    bars: int, horizon: int, holes: set[int], seed: int, rule: LabelRule
) -> None:
    series = without(a_random_walk(bars, seed), sorted(holes))

    labels = labels_of(series, unbroken(series), horizon, rule)

    found = list(zip(labels.row.tolist(), labels.end_row.tolist(), labels.up.tolist(), strict=True))
    assert found == slowly(series, horizon, rule)
    assert (labels.label_end_ns == series.close_ns[labels.end_row]).all()
    assert (labels.decided_ns < labels.label_end_ns).all()
    assert (labels.label_end_ns <= labels.return_end_ns).all()
    assert (labels.return_end_ns - labels.decided_ns == horizon * HOUR_NS).all()


def test_later_bars_change_no_label_that_has_ended() -> None:
    series = a_random_walk(120, seed=5)
    changed = series.ohlcv.copy()
    changed[80:] *= 1.5
    other = Series(series.symbol, series.open_ns, changed, series.timeframe_ns)

    labels, again = (labels_of(one, unbroken(one), 6, TRIPLE) for one in (series, other))

    ended = labels.end_row < 80
    assert ended.sum() > 60
    assert labels.up[ended].tolist() == again.up[again.end_row < 80].tolist()


def test_a_wider_stop_is_met_less_often() -> None:
    series = a_random_walk(400, seed=6)
    runs = unbroken(series)
    shares = [
        labels_of(series, runs, 10, replace(FIXED, stop=stop)).up.mean() for stop in (20, 80, 320)
    ]

    assert shares == sorted(shares)
    assert shares[0] < shares[-1] - 0.2


def test_the_return_is_that_of_the_whole_horizon_whatever_is_touched() -> None:
    series = a_random_walk(60, seed=8)

    labels = labels_of(series, unbroken(series), 5, FIXED)

    closes = series.ohlcv[:, CLOSE]
    assert labels.forward_log_return.tolist() == [
        math.log(closes[row + 5] / closes[row]) for row in labels.row
    ]


def test_moves_in_the_dead_zone_teach_nothing_and_are_labelled_all_the_same() -> None:
    series = a_random_walk(200, seed=9)
    runs = unbroken(series)

    plain = labels_of(series, runs, 1, LabelRule())
    zoned = labels_of(series, runs, 1, LabelRule(), dead_zone_ratio=0.003)

    moves = np.abs(np.expm1(plain.forward_log_return))
    assert plain.teaches.all()
    assert zoned.up.tolist() == plain.up.tolist()
    assert zoned.teaches.tolist() == (moves > 0.003).tolist()
    assert 20 < zoned.teaches.sum() < 180


def test_equal_closes_have_no_volatility_and_so_no_barriers() -> None:
    series = a_series(np.full(30, 100.0))

    assert len(labels_of(series, unbroken(series), 3, TRIPLE).row) == 0
    assert barriers(TRIPLE, 3, [100.0] * 6) is None
