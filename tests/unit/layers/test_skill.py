"""Skill against scikit-learn, against its own promise of coverage, and where nothing is known."""

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from daemon.layers.monitoring.skill import (
    CLUSTERS_MIN,
    Skill,
    auc,
    auc_gap,
    auc_with_interval,
    brier,
    calibration_slope,
    student_quantile,
)

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator], tuple[Floats, Floats, NDArray[np.int64] | None]]

pairs = st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=2, max_size=80).filter(
    lambda rows: len({is_up for _, is_up in rows}) == 2
)


def split(rows: list[tuple[int, bool]]) -> tuple[Floats, Floats]:
    return (
        np.array([score / 40 for score, _ in rows]),
        np.array([float(is_up) for _, is_up in rows]),
    )


def normal_scores(n: int, distance: float) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[Floats, Floats, None]:
        ups = (rng.random(n) < 0.5).astype(float)
        return rng.normal(size=n) + distance * ups, ups, None

    return draw


def symbols_at_one_bar(bars: int, symbols: int, pull: float) -> Draw:
    """Scores and outcomes that both share a market factor within a bar."""

    def draw(rng: np.random.Generator) -> tuple[Floats, Floats, NDArray[np.int64]]:
        def shared() -> Floats:
            own = math.sqrt(0.4) * rng.normal(size=(bars, symbols))
            return np.asarray(math.sqrt(0.6) * rng.normal(size=(bars, 1)) + own)

        scores = shared()
        ups = (shared() + pull * scores > 0).astype(float)
        return scores.ravel(), ups.ravel(), np.repeat(np.arange(bars), symbols)

    return draw


def coverage(draw: Draw, truth: float, runs: int, *, is_clustered: bool = True) -> float:
    rng = np.random.default_rng(20240101)
    hits = 0
    for _ in range(runs):
        scores, ups, clusters = draw(rng)
        skill = auc_with_interval(scores, ups, clusters if is_clustered else None)
        hits += skill.low <= truth <= skill.high
    return hits / runs


@given(pairs)
def test_auc_equals_scikit_learn_with_and_without_ties(rows: list[tuple[int, bool]]) -> None:
    scores, ups = split(rows)

    assert auc(scores, ups) == pytest.approx(roc_auc_score(ups, scores), abs=1e-12)
    assert auc_with_interval(scores, ups).auc == pytest.approx(auc(scores, ups), abs=1e-12)


@given(pairs)
def test_a_monotone_change_of_the_scores_changes_nothing(rows: list[tuple[int, bool]]) -> None:
    scores, ups = split(rows)
    clusters = np.arange(len(rows)) // 2

    bent = auc_with_interval(np.exp(3 * scores) - 7, ups, clusters)

    assert bent == auc_with_interval(scores, ups, clusters)


@given(pairs)
def test_turning_the_scores_round_mirrors_the_interval(rows: list[tuple[int, bool]]) -> None:
    scores, ups = split(rows)

    plain, turned = auc_with_interval(scores, ups), auc_with_interval(-scores, ups)

    assert plain.auc is not None
    assert turned.auc == pytest.approx(1 - plain.auc)
    assert (turned.low, turned.high) == pytest.approx((1 - plain.high, 1 - plain.low))


@given(pairs)
def test_the_order_of_the_outcomes_does_not_matter(rows: list[tuple[int, bool]]) -> None:
    order = np.arange(len(rows))
    np.random.default_rng(len(rows)).shuffle(order)
    scores, ups = split(rows)
    clusters = np.arange(len(rows)) // 3

    mixed = auc_with_interval(scores[order], ups[order], clusters[order])

    straight = auc_with_interval(scores, ups, clusters)
    assert (mixed.low, mixed.high) == pytest.approx((straight.low, straight.high), abs=1e-9)


def test_the_interval_of_independent_outcomes_covers_the_truth_95_times_in_100() -> None:
    truth = NormalDist().cdf(0.25 / math.sqrt(2))

    assert 0.93 <= coverage(normal_scores(500, 0.0), 0.5, 1500) <= 0.97
    assert 0.93 <= coverage(normal_scores(500, 0.25), truth, 1500) <= 0.97
    assert 0.93 <= coverage(normal_scores(100, 0.25), truth, 1500) <= 0.97


def test_the_interval_covers_the_truth_when_the_symbols_of_a_bar_move_together() -> None:
    draw = symbols_at_one_bar(bars=100, symbols=5, pull=0.2)
    scores, ups, _ = symbols_at_one_bar(60_000, 5, 0.2)(np.random.default_rng(3))
    truth = auc(scores, ups)

    assert truth is not None
    assert 0.93 <= coverage(draw, truth, 1500) <= 0.97
    assert coverage(draw, truth, 400, is_clustered=False) < 0.90


def test_the_variance_without_clusters_is_that_of_delong() -> None:
    rng = np.random.default_rng(5)
    ups, downs = rng.normal(0.4, 1, 40).round(1), rng.normal(0, 1, 60).round(1)
    beats = (ups[:, None] > downs[None, :]) + 0.5 * (ups[:, None] == downs[None, :])
    variance = beats.mean(1).var(ddof=1) / 40 + beats.mean(0).var(ddof=1) / 60
    area = beats.mean()
    half = student_quantile(0.975, 39) * math.sqrt(variance) / (area * (1 - area))

    skill = auc_with_interval(np.r_[ups, downs], np.r_[np.ones(40), np.zeros(60)])

    assert skill.auc == pytest.approx(area)
    logit = math.log(area / (1 - area))
    assert skill.low == pytest.approx(1 / (1 + math.exp(half - logit)))
    assert skill.high == pytest.approx(1 / (1 + math.exp(-half - logit)))


def test_one_cluster_repeated_many_times_adds_no_certainty() -> None:
    rng = np.random.default_rng(6)
    scores, ups, _ = normal_scores(60, 0.5)(rng)

    once = auc_with_interval(scores, ups)
    copied = auc_with_interval(np.tile(scores, 8), np.tile(ups, 8), np.tile(np.arange(60), 8))

    assert (copied.low, copied.high) == pytest.approx((once.low, once.high))
    assert (copied.n, copied.clusters) == (480, 60)


def test_one_class_has_no_auc_and_an_interval_that_says_nothing() -> None:
    assert auc([0.1, 0.9], [1, 1]) is None
    assert auc_with_interval([0.1, 0.9], [0, 0]) == Skill(None, 0.0, 1.0, 2, 2)
    assert auc_with_interval([], []) == Skill(None, 0.0, 1.0, 0, 0)
    assert not auc_with_interval([], []).is_known


def test_too_few_or_too_equal_or_too_perfect_outcomes_claim_nothing() -> None:
    nine = auc_with_interval(np.arange(9) / 9, [0, 1, 0, 1, 0, 1, 0, 1, 1])
    equal = auc_with_interval(np.full(50, 0.6), [0, 1] * 25)
    perfect = auc_with_interval(np.arange(50) / 50, [0] * 25 + [1] * 25)
    crowded = auc_with_interval(np.arange(50) / 50, [0, 1] * 25, np.arange(50) % (CLUSTERS_MIN - 1))

    assert equal.auc == 0.5
    assert perfect.auc == 1.0
    for skill in (nine, equal, perfect, crowded):
        assert (skill.low, skill.high, skill.is_known) == (0.0, 1.0, False)


def test_an_extreme_area_keeps_its_interval_inside_0_and_1() -> None:
    scores = np.r_[np.zeros(1), np.arange(1, 400)] / 400
    ups = np.r_[1, np.zeros(199), np.ones(200)]

    skill = auc_with_interval(scores, ups)

    assert skill.is_known
    assert 0.0 < skill.low < skill.high < 1.0


@pytest.mark.parametrize(
    ("scores", "ups", "complaint"),
    [
        ([0.1, 0.2], [1], "one outcome per probability"),
        ([0.1, math.nan], [0, 1], "not finite"),
        ([0.1, 0.2], [0, 2], "neither 0 nor 1"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    scores: list[float], ups: list[float], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        auc(scores, ups)


def test_clusters_must_name_every_outcome() -> None:
    with pytest.raises(ValueError, match="one cluster per outcome"):
        auc_with_interval([0.1, 0.2], [0, 1], [7])


def test_brier_is_the_mean_squared_distance() -> None:
    assert brier([0.0, 0.5, 0.8], [0, 1, 1]) == pytest.approx((0 + 0.25 + 0.04) / 3)
    assert brier([], []) is None


def test_the_calibration_slope_is_that_of_an_unpenalised_logistic_regression() -> None:
    rng = np.random.default_rng(8)
    shown = rng.uniform(0.2, 0.8, 3000)
    logits = np.log(shown / (1 - shown))
    ups = (rng.random(3000) < 1 / (1 + np.exp(-0.5 * logits))).astype(float)

    slope = calibration_slope(shown, ups)

    peer = LogisticRegression(C=np.inf, tol=1e-10).fit(logits[:, None], ups)
    assert slope == pytest.approx(peer.coef_[0, 0], abs=1e-5)
    assert slope == pytest.approx(0.5, abs=0.1)


def test_a_slope_without_a_finite_answer_is_none() -> None:
    assert calibration_slope([], []) is None
    assert calibration_slope([0.2, 0.8], [1, 1]) is None
    assert calibration_slope([0.6, 0.6], [0, 1]) is None
    assert calibration_slope([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]) is None


def test_students_quantile_matches_its_tables() -> None:
    tables = {4: 2.77645, 5: 2.57058, 9: 2.26216, 19: 2.09302, 39: 2.02269, 999: 1.96234}

    for freedom, expected in tables.items():
        assert student_quantile(0.975, freedom) == pytest.approx(expected, rel=3e-3)
    assert student_quantile(0.975, 19) == pytest.approx(2.093024, rel=1e-5)
    with pytest.raises(ValueError, match="4 degrees"):
        student_quantile(0.975, 3)


def paired(n: int, seed: int, better: float) -> tuple[Floats, Floats, Floats]:
    """Two scores that share most of their noise, and outcomes the first knows more of."""
    rng = np.random.default_rng(seed)
    ups = (rng.random(n) < 0.5).astype(float)
    shared = rng.normal(size=n)
    first = shared + 0.3 * rng.normal(size=n) + (0.5 + better) * ups
    second = shared + 0.3 * rng.normal(size=n) + 0.5 * ups
    return first, second, ups


def test_the_gap_has_delongs_variance_of_a_difference_by_hand() -> None:
    first, second, ups = paired(60, seed=1, better=0.3)
    is_up = ups == 1.0

    def parts(scores: Floats) -> tuple[Floats, Floats]:
        beats = (scores[is_up][:, None] > scores[~is_up][None, :]).astype(float)
        return beats.mean(axis=1), beats.mean(axis=0)

    (up_first, down_first), (up_second, down_second) = parts(first), parts(second)
    variance = (up_first - up_second).var(ddof=1) / is_up.sum()
    variance += (down_first - down_second).var(ddof=1) / (~is_up).sum()
    gap = auc_gap(first, second, ups)

    assert gap.value == pytest.approx(up_first.mean() - up_second.mean(), rel=1e-12)
    fewest = min(int(is_up.sum()), int((~is_up).sum()))
    half = student_quantile(0.975, fewest - 1) * math.sqrt(variance)
    assert gap.high - gap.low == pytest.approx(2.0 * half, rel=1e-9)


def test_the_gap_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    # N(d, s) against N(0, s) is told apart with probability Phi(d / (s sqrt 2)).
    size = math.sqrt(2.0 * 1.09)
    truth = NormalDist().cdf(0.8 / size) - NormalDist().cdf(0.5 / size)

    held = sum(
        gap.low <= truth <= gap.high
        for gap in (auc_gap(*paired(400, seed, better=0.3)) for seed in range(200))
    )

    assert 180 <= held <= 198


def test_what_both_scores_share_does_not_blur_their_gap() -> None:
    first, second, ups = paired(2_000, seed=2, better=0.1)
    alone = auc_with_interval(first, ups)

    gap = auc_gap(first, second, ups)

    assert gap.high - gap.low < 0.6 * (alone.high - alone.low)
    assert auc_gap(first, first, ups).value == 0.0
    assert (auc_gap(first, first, ups).low, auc_gap(first, first, ups).high) == (-1.0, 1.0)


def test_nothing_is_known_of_a_gap_without_both_outcomes_or_enough_of_them() -> None:
    first, second, ups = paired(9, seed=3, better=0.3)

    assert auc_gap(first, second, np.ones(9)).value is None
    assert (auc_gap(first, second, ups).low, auc_gap(first, second, ups).high) == (-1.0, 1.0)
