import math
import statistics

import numpy as np
import pytest

from daemon.research.sharpe import (
    best_of_nothing,
    deflated_sharpe,
    probability_above,
    sharpe_ratio,
)

RETURNS = np.array([0.01, -0.02, 0.03, 0.0, 0.015, -0.005, 0.02])


def test_the_ratio_is_mean_over_sample_deviation() -> None:
    values = RETURNS.tolist()

    expected = statistics.fmean(values) / statistics.stdev(values)
    assert sharpe_ratio(RETURNS) == pytest.approx(expected, rel=1e-12)


def test_where_nothing_was_risked_nothing_is_shown() -> None:
    for returns in (np.zeros(50), np.full(50, 0.001), np.array([0.01]), np.empty(0)):
        assert sharpe_ratio(returns) == 0.0
        assert deflated_sharpe(returns, trials=1) == 0.0


def test_the_example_of_bailey_and_lopez_de_prado_comes_out() -> None:
    # The Deflated Sharpe Ratio (2014), "A numerical example": 100 trials, variance 1/2 a year.
    benchmark = best_of_nothing(100, math.sqrt(0.5 / 250))

    found = probability_above(
        2.5 / math.sqrt(250), benchmark, bars=1_250, skewness=-3.0, kurtosis=10.0
    )

    assert benchmark == pytest.approx(0.1132, abs=5e-5)
    assert found == pytest.approx(0.9004, abs=5e-5)


def test_for_normal_returns_one_trial_is_a_t_test() -> None:
    rng = np.random.default_rng(1)
    returns = 0.05 + rng.normal(size=20_000)

    t = sharpe_ratio(returns) * math.sqrt(len(returns) - 1)

    assert deflated_sharpe(returns * 0.01, 1) == pytest.approx(
        statistics.NormalDist().cdf(t), abs=2e-3
    )


def test_the_best_of_nothing_is_what_simulated_trials_show() -> None:
    rng = np.random.default_rng(1)

    best = float(rng.normal(size=(4_000, 50)).max(axis=1).mean())

    # The formula is an approximation, good to two in a hundred.
    assert best_of_nothing(50, 1.0) == pytest.approx(best, rel=0.03)


def test_more_trials_leave_less_of_the_same_returns() -> None:
    returns = 0.002 + np.random.default_rng(2).normal(size=4_000) * 0.05

    found = [deflated_sharpe(returns, trials) for trials in (1, 2, 10, 1_000)]

    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 4
    with pytest.raises(ValueError, match="at least 1"):
        best_of_nothing(0, 1.0)


def test_one_trial_without_an_edge_passes_one_time_in_twenty() -> None:
    passed = sum(
        deflated_sharpe(np.random.default_rng(seed).standard_t(5, 500), 1) >= 0.95
        for seed in range(400)
    )

    assert 8 <= passed <= 34
