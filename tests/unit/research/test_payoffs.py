import numpy as np
import pytest

from daemon.research.datasets import Dataset
from daemon.research.payoffs import measure_payoffs, surest_calls
from daemon.research.series import FloatArray
from daemon.research.walkforward import WalkForward
from tests.unit.research.test_net_returns import a_fold

# 40 rows: confident longs win 2 % or lose 1 %, timid ones win 0.2 % or lose 0.1 %.
CONFIDENT = np.log1p(np.tile([0.02, -0.01], 20))
TIMID = np.log1p(np.tile([0.002, -0.001], 20))
RETURNS = np.concatenate([CONFIDENT, TIMID])
UP = (RETURNS > 0).astype(np.int64)


def test_payoffs_are_average_gross_outcomes_of_the_rows_that_would_be_traded() -> None:
    probability = np.concatenate([np.full(40, 0.6), np.full(40, 0.51)])

    up = measure_payoffs(probability, RETURNS, UP, 0.1).up

    assert (up.n, up.wins, up.losses, up.basis) == (40, 20, 20, "threshold")
    assert up.win_ratio == pytest.approx(0.02)
    assert up.loss_ratio == pytest.approx(0.01)


def test_a_fall_is_the_gain_of_a_short() -> None:
    probability = np.concatenate([np.full(40, 0.4), np.full(40, 0.49)])

    down = measure_payoffs(probability, RETURNS, UP, 0.1).down

    assert down.basis == "threshold"
    assert down.win_ratio == pytest.approx(0.01)
    assert down.loss_ratio == pytest.approx(0.02)


def test_with_too_few_confident_rows_all_of_the_direction_count() -> None:
    probability = np.concatenate([np.full(4, 0.6), np.full(36, 0.51), np.full(40, 0.49)])

    payoffs = measure_payoffs(probability, RETURNS, UP, 0.1)

    assert payoffs.up.basis == "direction"
    assert payoffs.up.n == 40
    assert payoffs.down.basis == "direction"
    assert payoffs.down.win_ratio == pytest.approx(0.001)


def test_a_direction_that_was_never_predicted_is_measured_on_all_rows() -> None:
    payoffs = measure_payoffs(np.full(80, 0.51), RETURNS, UP, 0.1)

    assert payoffs.down.basis == "all"
    assert payoffs.down.n == 80
    assert payoffs.down.win_ratio == pytest.approx((0.01 + 0.001) / 2)


def test_prices_that_only_rose_give_no_payoff() -> None:
    with pytest.raises(ValueError, match="one direction only"):
        measure_payoffs(np.full(20, 0.6), np.full(20, 0.01), np.ones(20, dtype=np.int64), 0.1)


def called(raw: FloatArray, forward: FloatArray) -> WalkForward:
    """Two folds of equally many calls, one bar each."""
    n = len(raw)
    bars = np.arange(n, dtype=np.int64)
    dataset = Dataset(
        symbols=("A/Q",),
        timeframe_ns=1,
        features=np.zeros((n, 1)),
        up=(forward > 0).astype(np.int64),
        forward_log_return=forward,
        last_log_return=forward,
        decided_ns=bars,
        label_end_ns=bars + 1,
        return_end_ns=bars + 1,
        teaches=np.ones(n, dtype=np.bool_),
        symbol=np.zeros(n, dtype=np.int64),
        bar=bars,
    )
    folds = (a_fold(0, n // 2 - 1), a_fold(n // 2, n - 1))
    return WalkForward(dataset, bars, (bars >= n // 2).astype(np.int64), raw, bars, folds)


def test_the_surest_calls_of_a_fold_are_those_beyond_nine_tenths_of_the_folds_before() -> None:
    sureness = np.linspace(0.0, 0.2, 101)
    # The second fold calls rises and falls in turn, and each call that is sure comes true.
    raw = np.concatenate([0.5 + sureness, 0.5 + sureness * np.tile([1.0, -1.0], 51)[:101]])
    forward = np.log1p(np.where(raw > 0.5, 0.01, -0.02))
    forward[: 101 + 91] *= -1.0

    surest = surest_calls(called(raw, forward))

    assert surest is not None
    assert surest.n == 10
    gains = [0.02, 0.01] * 5
    mean = sum(gains) / 10
    assert surest.gross_ratio == pytest.approx(mean)
    error = (sum((gain - mean) ** 2 for gain in gains) / 9 / 10) ** 0.5
    # 2.2622 is Student's 97.5 % quantile with 9 degrees of freedom.
    assert surest.gross_high - mean == pytest.approx(2.2622 * error, rel=1e-3)
    assert mean - surest.gross_low == pytest.approx(surest.gross_high - mean)


def test_where_hardly_any_call_is_sure_nothing_is_said_of_the_surest() -> None:
    assert surest_calls(called(np.full(60, 0.5), np.full(60, 0.01))) is None
