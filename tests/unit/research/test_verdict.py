from itertools import product

import numpy as np
import pytest

from daemon.core.manifests import NetReturn
from daemon.layers.monitoring.skill import Skill
from daemon.research.net_returns import NetReturns
from daemon.research.verdict import ENTRIES_MIN, Verdict, bootstrap_net_return, judge


def a_skill(low: float, auc: float = 0.56) -> Skill:
    return Skill(auc, low, 0.6, 1_000, 1_000)


def a_net(low: float = 1e-4, entries: int = ENTRIES_MIN) -> NetReturn:
    return NetReturn(2e-4, low, 3e-4, 0.2, 1_000, entries)


def judged(
    low: float = 0.53, baseline: float = 0.52, net_low: float = 1e-4, entries: int = ENTRIES_MIN
) -> Verdict:
    return judge(a_skill(low), a_skill(0.0, auc=baseline), a_net(net_low, entries), cost_bps=15.0)


def returns_of(ratio: "np.typing.NDArray[np.float64]", entries: int = 100) -> NetReturns:
    return NetReturns(np.arange(len(ratio)), ratio, entries)


def test_an_edge_is_shown_only_where_every_declared_test_holds() -> None:
    for low, baseline, net_low, entries in product(
        (0.53, 0.49), (0.52, 0.54), (1e-4, -1e-4), (ENTRIES_MIN, ENTRIES_MIN - 1)
    ):
        holds = low == 0.53 and baseline == 0.52 and net_low > 0 and entries == ENTRIES_MIN
        verdict = judged(low, baseline, net_low, entries)
        assert verdict.edge_shown is holds
        assert verdict.sentence.startswith("Edge shown" if holds else "No edge shown")


def test_the_sentence_says_which_test_did_not_hold() -> None:
    assert "above 0.5 and above the 0.520 of minus the last return" in judged().sentence
    assert "not surely above 0.5" in judged(low=0.49).sentence
    assert "not surely above the 0.540" in judged(baseline=0.54).sentence
    assert "do not surely pay" in judged(net_low=-1e-4).sentence
    assert "29 trades are too few to judge" in judged(entries=29).sentence
    assert "at 15 bps a side no predicted move was worth its costs" in judged(entries=0).sentence
    assert judged().sentence.count(".") > 0
    assert "\n" not in judged().sentence


def test_without_a_known_auc_nothing_is_shown() -> None:
    unknown = Skill(None, 0.0, 1.0, 0, 0)

    assert not judge(unknown, unknown, a_net(), cost_bps=15.0).edge_shown


def test_the_bootstrap_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        noise = rng.standard_t(4, 601) * 0.01
        made = bootstrap_net_return(
            returns_of(1e-3 + noise[1:] + 0.5 * noise[:-1]), horizon_bars=1, seed=seed
        )
        held += made.per_bar_low <= 1e-3 <= made.per_bar_high

    assert 175 <= held <= 199


def test_bars_that_hang_together_widen_the_interval() -> None:
    steps = np.random.default_rng(1).normal(size=50)
    alone = bootstrap_net_return(
        returns_of(np.random.default_rng(2).permutation(np.repeat(steps, 10))),
        horizon_bars=1,
        seed=1,
    )
    together = bootstrap_net_return(returns_of(np.repeat(steps, 10)), horizon_bars=5, seed=1)

    width = together.per_bar_high - together.per_bar_low
    assert width > 2.0 * (alone.per_bar_high - alone.per_bar_low)


def test_the_same_returns_and_seed_give_the_same_interval() -> None:
    returns = returns_of(np.random.default_rng(1).normal(size=100))

    first = bootstrap_net_return(returns, horizon_bars=1, seed=9)

    assert bootstrap_net_return(returns, horizon_bars=1, seed=9) == first
    assert first.total_ratio == pytest.approx(100 * first.per_bar_ratio)
    assert (first.bars, first.entries) == (100, 100)


def test_never_trading_earns_exactly_nothing() -> None:
    made = bootstrap_net_return(returns_of(np.zeros(3), entries=0), horizon_bars=1, seed=1)

    assert (made.per_bar_ratio, made.per_bar_low, made.per_bar_high) == (0.0, 0.0, 0.0)
