import math
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given

from daemon.layers.features.arithmetic import log
from daemon.layers.features.catalog import reference_features
from daemon.layers.features.kernels import momentum
from daemon.layers.features.kernels import volatility as spread
from daemon.layers.features.kernels import volume as traded
from daemon.layers.features.matrix import feature_matrix
from tests.unit.layers.walks import Array, rough_walks

HOURLY = reference_features("1h")
rsi = momentum.rsi.function
band_width = spread.bollinger_width.function
newest_zscore = traded.volume_zscore.function


def volatility(returns: Any, bars_per_year: float) -> Any:
    return spread.volatility.function(returns, bars_per_year=bars_per_year)


def a_slow_row(window: Array) -> list[float]:
    """The reference features by their textbook formulas in fifty decimal digits."""
    with localcontext(prec=50):
        closes = [Decimal(value) for value in window[:, 3].tolist()]
        volumes = [Decimal(value) for value in window[:, 4].tolist()]
        returns = [(new / old).ln() for old, new in pairwise(closes)]
        moves = [new - old for old, new in pairwise(closes)][-14:]
        gain = sum((max(move, Decimal(0)) for move in moves), Decimal(0)) / 14
        loss = sum((max(-move, Decimal(0)) for move in moves), Decimal(0)) / 14
        index = Decimal(50) if gain == loss == 0 else Decimal(100)
        if loss != 0:
            index = 100 - 100 / (1 + gain / loss)
        middle, deviation = a_slow_mean_and_deviation(closes[-20:])
        width = ((middle + 2 * deviation) - (middle - 2 * deviation)) / middle
        _, spread = a_slow_mean_and_deviation(returns[-10:])
        mean_volume, volume_deviation = a_slow_mean_and_deviation(volumes[-20:])
        zscore = Decimal(0)
        if volume_deviation != 0:
            zscore = (volumes[-1] - mean_volume) / volume_deviation
        row = [index, width, spread * Decimal(8760).sqrt(), zscore]
        row += [returns[-1 - lag] for lag in (0, 1, 2, 3, 5, 10)]
        return [float(value) for value in row]


def a_slow_mean_and_deviation(values: list[Decimal]) -> tuple[Decimal, Decimal]:
    mean = sum(values, Decimal(0)) / len(values)
    if len(set(values)) == 1:
        return values[0], Decimal(0)
    squares = sum(((value - mean) ** 2 for value in values), Decimal(0))
    return mean, (squares / (len(values) - 1)).sqrt()


@given(rough_walks(bars_max=60))
def test_every_row_is_what_the_textbook_formulas_give(ohlcv: Array) -> None:
    rows = feature_matrix(HOURLY, ohlcv)

    for start, row in enumerate(rows.tolist()):
        slow = a_slow_row(ohlcv[start : start + 20])
        for name, fast, exact in zip(HOURLY.names, row, slow, strict=True):
            assert math.isclose(fast, exact, rel_tol=1e-9, abs_tol=1e-9), (name, start)


def test_a_market_that_only_rises_has_an_rsi_of_exactly_100() -> None:
    assert rsi([0.1 * step for step in range(1, 16)]) == 100.0


def test_a_market_that_only_falls_has_an_rsi_of_exactly_0() -> None:
    assert rsi([0.1 * step for step in range(16, 1, -1)]) == 0.0


def test_a_market_that_does_not_move_has_an_rsi_of_50() -> None:
    assert rsi([64.1] * 15) == 50.0


def test_two_steps_up_and_one_down_of_equal_length_have_an_rsi_of_two_thirds() -> None:
    assert rsi([1.0, 2.0, 3.0, 2.0]) == 100.0 * (2.0 / 3.0)


def test_the_band_width_is_the_distance_of_both_bands_over_the_middle() -> None:
    # Mean 4, sample deviation 2: the bands are 0 and 8.
    assert band_width([2.0, 4.0, 6.0]) == 2.0


def test_equal_closes_have_no_width_at_all() -> None:
    assert band_width([0.1] * 20) == 0.0


def test_the_same_volume_throughout_has_a_zscore_of_exactly_0() -> None:
    """Around the plain mean of twenty times 3.1, rounding alone would give a z-score near one."""
    assert newest_zscore([3.1] * 20) == 0.0
    assert newest_zscore([0.0] * 20) == 0.0


def test_a_volume_one_bit_above_the_others_is_seen() -> None:
    others = [100_000_000.0] * 19

    zscore = newest_zscore([*others, math.nextafter(others[0], math.inf)])

    assert math.isclose(zscore, 0.95 * math.sqrt(20))


def test_volatility_is_scaled_by_the_square_root_of_the_bars_in_a_year() -> None:
    returns = [0.01, -0.01, 0.02]

    assert volatility(returns, 4.0) == 2.0 * volatility(returns, 1.0)


def test_floats_and_arrays_give_the_same_bits() -> None:
    walk = (100.0 + np.random.default_rng(3).normal(0.0, 1.0, (200, 20))).tolist()
    columns = [np.array(column) for column in zip(*walk, strict=True)]

    assert rsi(columns).tolist() == [rsi(window) for window in walk]
    assert band_width(columns).tolist() == [band_width(window) for window in walk]
    assert newest_zscore(columns).tolist() == [newest_zscore(window) for window in walk]
    assert volatility(columns, 7.0).tolist() == [volatility(window, 7.0) for window in walk]


def test_logarithms_are_libm_s_in_every_bit() -> None:
    ratios = np.random.default_rng(4).lognormal(0.0, 0.5, (50, 40))

    logs = log(ratios)

    assert logs.tolist() == [[math.log(ratio) for ratio in row] for row in ratios.tolist()]
