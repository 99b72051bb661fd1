import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.research.labels import direction
from daemon.research.series import CLOSE, unbroken
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
