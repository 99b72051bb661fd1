import numpy as np
import pytest

from daemon.research.payoffs import measure_payoffs

# 40 rows: confident longs win 2 % or lose 1 %, timid ones win 0.2 % or lose 0.1 %.
CONFIDENT = np.log1p(np.tile([0.02, -0.01], 20))
TIMID = np.log1p(np.tile([0.002, -0.001], 20))
RETURNS = np.concatenate([CONFIDENT, TIMID])


def test_payoffs_are_average_gross_outcomes_of_the_rows_that_would_be_traded() -> None:
    probability = np.concatenate([np.full(40, 0.6), np.full(40, 0.51)])

    up = measure_payoffs(probability, RETURNS, 0.1).up

    assert (up.n, up.wins, up.losses, up.basis) == (40, 20, 20, "threshold")
    assert up.win_ratio == pytest.approx(0.02)
    assert up.loss_ratio == pytest.approx(0.01)


def test_a_fall_is_the_gain_of_a_short() -> None:
    probability = np.concatenate([np.full(40, 0.4), np.full(40, 0.49)])

    down = measure_payoffs(probability, RETURNS, 0.1).down

    assert down.basis == "threshold"
    assert down.win_ratio == pytest.approx(0.01)
    assert down.loss_ratio == pytest.approx(0.02)


def test_with_too_few_confident_rows_all_of_the_direction_count() -> None:
    probability = np.concatenate([np.full(4, 0.6), np.full(36, 0.51), np.full(40, 0.49)])

    payoffs = measure_payoffs(probability, RETURNS, 0.1)

    assert payoffs.up.basis == "direction"
    assert payoffs.up.n == 40
    assert payoffs.down.basis == "direction"
    assert payoffs.down.win_ratio == pytest.approx(0.001)


def test_a_direction_that_was_never_predicted_is_measured_on_all_rows() -> None:
    payoffs = measure_payoffs(np.full(80, 0.51), RETURNS, 0.1)

    assert payoffs.down.basis == "all"
    assert payoffs.down.n == 80
    assert payoffs.down.win_ratio == pytest.approx((0.01 + 0.001) / 2)


def test_prices_that_only_rose_give_no_payoff() -> None:
    with pytest.raises(ValueError, match="one direction only"):
        measure_payoffs(np.full(20, 0.6), np.full(20, 0.01), 0.1)
