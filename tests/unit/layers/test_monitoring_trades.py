"""The verdict on a run: the interval of what trades paid, and a sentence that claims no more."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.layers.monitoring.skill import Skill, auc_with_interval
from daemon.layers.monitoring.trades import NetReturns, Verdict, net_return_interval, run_verdict

SKILLED = Skill(0.56, 0.53, 0.59, 1000, 500)
PAYING = tuple(0.004 + 0.01 * math.sin(k) for k in range(60))


def alone(returns: Sequence[float]) -> NetReturns:
    """The interval where every round trip has a block of time for itself."""
    return net_return_interval(returns, range(len(returns)))


def verdict_alone(skill: Skill, returns: Sequence[float]) -> Verdict:
    return run_verdict(skill, returns, range(len(returns)))


def test_the_interval_is_students() -> None:
    returns = [0.01, -0.02, 0.03, 0.005, 0.0]
    half = 2.776445 * np.std(returns, ddof=1) / math.sqrt(5)

    net = alone(returns)

    assert net.n == 5
    assert net.mean == pytest.approx(0.005)
    assert (net.low, net.high) == pytest.approx((0.005 - half, 0.005 + half), rel=2e-2)


def test_the_interval_covers_the_mean_of_skewed_returns_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(9)
    hits = 0
    for _ in range(2000):
        returns = rng.gamma(4.0, 0.01, 40) - 0.05  # mean -0.01, skewness 1
        net = alone(returns.tolist())
        assert net.low is not None
        assert net.high is not None
        hits += net.low <= -0.01 <= net.high

    assert 0.93 <= hits / 2000 <= 0.97


def test_a_lower_level_gives_a_narrower_interval() -> None:
    wide, narrow = alone(PAYING), net_return_interval(PAYING, range(60), level=0.8)

    assert wide.low is not None
    assert narrow.low is not None
    assert wide.low < narrow.low


def test_few_or_equal_returns_have_no_interval() -> None:
    assert alone([]) == NetReturns(None, None, None, 0)
    assert alone([0.5, 0.25, 0.0, -0.25]) == NetReturns(0.125, None, None, 4)
    assert alone([0.25] * 30) == NetReturns(0.25, None, None, 30)


def test_a_return_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        alone([0.1, math.nan])


def test_skill_and_paying_trades_together_show_an_edge() -> None:
    edge_shown, sentence = verdict_alone(SKILLED, PAYING)

    assert edge_shown
    assert sentence.startswith("An edge is shown on this data")
    for number in ("0.560", "0.530 to 0.590", "n 1000", "n 60", "bps per round trip"):
        assert number in sentence


@pytest.mark.parametrize(
    ("skill", "returns", "missing"),
    [
        (Skill(0.56, 0.49, 0.63, 200, 100), PAYING, "interval covers 0.5"),
        (Skill(0.56, 0.50, 0.63, 200, 100), PAYING, "interval covers 0.5"),
        (Skill(0.44, 0.40, 0.48, 1000, 500), PAYING, "worse than chance"),
        (Skill(0.70, 0.60, 0.80, 99, 99), PAYING, "too few outcomes to judge the model (99"),
        (Skill(None, 0.0, 1.0, 400, 200), PAYING, "all outcomes went the same way"),
        (SKILLED, (), "not one round trip"),
        (SKILLED, PAYING[:19], "too few round trips (19, at least 20 needed)"),
        (SKILLED, [r - 0.004 for r in PAYING], "not shown to pay their costs"),
        (SKILLED, [r - 0.03 for r in PAYING], "lost money after costs"),
        (SKILLED, [0.01] * 30, "not shown to pay their costs"),
    ],
)
def test_whatever_is_missing_is_named_and_no_edge_is_claimed(
    skill: Skill, returns: list[float], missing: str
) -> None:
    edge_shown, sentence = verdict_alone(skill, returns)

    assert not edge_shown
    assert sentence.startswith("No edge shown: ")
    assert missing in sentence


def test_both_reasons_are_told_when_both_are_missing() -> None:
    _, sentence = verdict_alone(Skill(0.5, 0.45, 0.55, 500, 500), [])

    assert "may be guessing and there was not one round trip" in sentence
    assert "AUC 0.500, 95 % interval 0.450 to 0.550, n 500; no round trips" in sentence


@given(st.integers(0, 2**32 - 1))
def test_an_edge_is_never_claimed_on_nothing_but_chance_and_costs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    skill = auc_with_interval(rng.random(300), rng.random(300) < 0.5)

    assert not verdict_alone(skill, rng.normal(-0.003, 0.004, 60).tolist()).edge_shown


def test_symbols_that_move_together_do_not_make_chance_look_like_pay() -> None:
    """Ten symbols in thirty bars that share most of their moves are no 300 observations."""
    rng = np.random.default_rng(1)
    blocks = np.repeat(np.arange(30), 10).tolist()
    shown = 0
    for _ in range(1000):
        together, own = rng.normal(0.0, 0.0084, (30, 1)), rng.normal(0.0, 0.0055, (30, 10))
        returns = (together + own).ravel().tolist()
        shown += run_verdict(SKILLED, returns, blocks).edge_shown

    assert shown <= 40  # one-sided 2.5 %: as if each were alone, 250 of them claim an edge


def test_round_trips_of_too_few_blocks_have_no_interval() -> None:
    returns = [0.01 + 0.001 * math.sin(k) for k in range(40)]

    assert net_return_interval(returns, [k // 10 for k in range(40)]).low is None
    assert net_return_interval(returns, [k // 8 for k in range(40)]).low is not None


def test_every_return_needs_its_block() -> None:
    with pytest.raises(ValueError, match="one block per return: 1 against 2"):
        net_return_interval([0.1, 0.2], [1])
