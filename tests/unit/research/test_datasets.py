from dataclasses import replace

import numpy as np
import pytest

from daemon.core.bars import ZeroVolume
from daemon.layers.features import feature_matrix, reference_features
from daemon.research.datasets import TrainingRefused, labelled_rows
from daemon.research.series import CLOSE, VOLUME, Series
from tests.unit.research.markets import HOUR_NS, a_random_walk, without

FEATURES = reference_features("1h")
LOOKBACK = FEATURES.lookback


def test_rows_of_all_symbols_stand_in_the_order_of_time() -> None:
    a, b = a_random_walk(100, seed=1, symbol="A/Q"), a_random_walk(80, seed=2, symbol="B/Q")

    made = labelled_rows([a, b], FEATURES, horizon_bars=1)

    assert (np.diff(made.decided_ns) >= 0).all()
    assert len(made) == 100 - LOOKBACK + 80 - LOOKBACK
    assert made.symbol[:4].tolist() == [0, 1, 0, 1]
    assert made.symbols == ("A/Q", "B/Q")


def test_each_row_is_exactly_what_the_live_window_of_its_bar_would_give() -> None:
    series = without(a_random_walk(120, seed=3), [40, 41, 90])

    made = labelled_rows([series], FEATURES, horizon_bars=2)

    for place, bar in enumerate(made.bar.tolist()):
        window = series.ohlcv[bar + 1 - LOOKBACK : bar + 1]
        assert feature_matrix(FEATURES, window).tobytes() == made.features[place].tobytes()
        span = series.open_ns[bar + 1 - LOOKBACK : bar + 3]
        assert (np.diff(span) == HOUR_NS).all()
        closes = series.ohlcv[:, CLOSE]
        assert made.up[place] == (closes[bar + 2] > closes[bar])
        assert made.last_log_return[place] == pytest.approx(np.log(closes[bar] / closes[bar - 1]))
        assert made.decided_ns[place] == series.close_ns[bar]
        assert made.label_end_ns[place] == series.close_ns[bar + 2]


def test_a_hole_costs_a_whole_window_and_the_labels_before_it() -> None:
    whole = a_random_walk(100, seed=4)

    made = labelled_rows([without(whole, [50])], FEATURES, horizon_bars=1)

    assert len(made) == (50 - LOOKBACK) + (49 - LOOKBACK)


def test_a_bar_without_volume_is_learnt_from_stands_in_windows_or_breaks_them() -> None:
    series = a_random_walk(100, seed=5)
    series.ohlcv[50, VOLUME] = 0.0

    accepted, flagged, rejected = (
        labelled_rows([series], FEATURES, horizon_bars=1, zero_volume=each) for each in ZeroVolume
    )

    assert len(accepted) == 100 - LOOKBACK
    assert set(accepted.bar.tolist()) - set(flagged.bar.tolist()) == {49, 50}
    assert len(rejected) == (50 - LOOKBACK) + (49 - LOOKBACK)


def test_series_that_cannot_teach_are_refused_with_a_reason() -> None:
    series = a_random_walk(60, seed=6)
    longer = Series("B/Q", series.open_ns * 2, series.ohlcv, HOUR_NS * 2)

    for offered, reason in (
        ([], "no series"),
        ([series, series], "twice"),
        ([series, longer], "same timeframe"),
        ([series.closed_by(0)], "no bars"),
        ([replace(series, open_ns=series.open_ns[:20], ohlcv=series.ohlcv[:20])], "long enough"),
    ):
        with pytest.raises(TrainingRefused, match=reason):
            labelled_rows(offered, FEATURES, horizon_bars=1)
