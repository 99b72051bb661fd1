import numpy as np
import pytest

from daemon.core.manifests import NetReturn
from daemon.research.bootstrap import ENTRIES_MIN, bootstrap_net_return
from daemon.research.net_returns import NetReturns
from daemon.research.series import FloatArray
from daemon.research.sharpe import sharpe_ratio
from tests.unit.research.markets import HOUR_NS


def bootstrapped(
    ratio: FloatArray, *, entries: int = 100, horizon_bars: int = 1, seed: int = 1
) -> NetReturn:
    return bootstrap_net_return(
        NetReturns(np.arange(len(ratio)), ratio, entries),
        timeframe_ns=HOUR_NS,
        horizon_bars=horizon_bars,
        trials=1,
        seed=seed,
    )


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(200):
        noise = np.random.default_rng(seed).standard_t(4, 601) * 0.01
        made = bootstrapped(1e-3 + noise[1:] + 0.5 * noise[:-1], seed=seed)
        held += made.per_bar_low <= 1e-3 <= made.per_bar_high

    assert 175 <= held <= 199


def test_the_sharpe_interval_holds_the_true_ratio_about_as_often_as_it_says() -> None:
    truth = 0.05 * np.sqrt(365 * 24)
    held = 0
    for seed in range(200):
        made = bootstrapped(0.05 + np.random.default_rng(seed).normal(size=800), seed=seed)
        held += made.sharpe_low <= truth <= made.sharpe_high

    assert 178 <= held <= 199


def test_the_sharpe_ratio_is_that_of_a_year_of_bars_that_never_pause() -> None:
    ratio = np.random.default_rng(1).normal(size=300) + 0.02

    made = bootstrapped(ratio)

    assert made.sharpe == pytest.approx(sharpe_ratio(ratio) * np.sqrt(8_760), rel=1e-12)
    assert made.sharpe_low < made.sharpe < made.sharpe_high


def test_bars_that_hang_together_widen_the_interval() -> None:
    steps = np.random.default_rng(1).normal(size=50)
    alone = bootstrapped(np.random.default_rng(2).permutation(np.repeat(steps, 10)))
    together = bootstrapped(np.repeat(steps, 10), horizon_bars=5)

    width = together.per_bar_high - together.per_bar_low
    assert width > 2.0 * (alone.per_bar_high - alone.per_bar_low)


def test_the_same_returns_and_seed_give_the_same_interval() -> None:
    returns = np.random.default_rng(1).normal(size=100)

    first = bootstrapped(returns, seed=9)

    assert bootstrapped(returns, seed=9) == first
    assert bootstrapped(returns, seed=8) != first
    assert first.total_ratio == pytest.approx(100 * first.per_bar_ratio)
    assert (first.bars, first.entries, first.trials) == (100, 100, 1)


def test_a_few_trades_never_surely_pay() -> None:
    returns = np.zeros(200)
    returns[::8] = 0.01 + 0.001 * np.random.default_rng(1).normal(size=25)

    few = bootstrapped(returns, entries=ENTRIES_MIN - 1)
    enough = bootstrapped(returns, entries=ENTRIES_MIN)

    assert (few.per_bar_low, few.sharpe_low) == (0.0, 0.0)
    assert enough.per_bar_low > 0.0
    assert enough.sharpe_low > 0.0


def test_never_trading_earns_exactly_nothing() -> None:
    made = bootstrapped(np.zeros(3), entries=0)

    assert (made.per_bar_ratio, made.per_bar_low, made.per_bar_high) == (0.0, 0.0, 0.0)
    assert (made.sharpe, made.sharpe_low, made.sharpe_high) == (0.0, 0.0, 0.0)
    assert made.deflated_sharpe == 0.0
