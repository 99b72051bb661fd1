"""Measures skill: turns probabilities and their outcomes into AUC with an interval, Brier, slope.

Belongs here: statistics of pairs (probability, outcome). Which pairs count belongs to `outcomes`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

OUTCOMES_MIN = 10
CLUSTERS_MIN = 5
PROBABILITY_MIN = 1e-6
NEWTON_STEPS_MAX = 50
NEWTON_TOLERANCE = 1e-9
CURVATURE_MIN = 1e-12

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Skill:
    """AUC and its interval; `auc` is None with one class, and low 0, high 1 mean nothing is known.

    `n` counts the scored outcomes, `clusters` the independent groups they came in. `effective_n`
    independent outcomes would tell as much of the AUC: fewer where those of a group are alike.
    """

    auc: float | None
    low: float
    high: float
    n: int
    clusters: int
    effective_n: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether the interval says anything at all."""
        return self.auc is not None and (self.low > 0.0 or self.high < 1.0)


@dataclass(frozen=True, slots=True)
class Gap:
    """How much more one score has of AUC than another on the same outcomes.

    `value` is None with one class, and low -1, high 1 mean nothing is known.
    """

    value: float | None
    low: float
    high: float


def auc(probabilities: ArrayLike, outcomes: ArrayLike) -> float | None:
    """Chance that a random up had a higher probability than a random down, ties counting half.

    Both are (n,), outcomes are 0 or 1. Mann-Whitney by midranks, O(n log n). None when only one
    class is there; ValueError for lengths that differ, non-finite numbers or other outcomes.
    """
    scores, is_up = _checked(probabilities, outcomes)
    ups = int(is_up.sum())
    downs = len(scores) - ups
    if ups == 0 or downs == 0:
        return None
    return float((_midranks(scores)[is_up].sum() - ups * (ups + 1) / 2) / (ups * downs))


def auc_with_interval(
    probabilities: ArrayLike,
    outcomes: ArrayLike,
    clusters: ArrayLike | Sequence[Any] | None = None,
    level: float = 0.95,
) -> Skill:
    """AUC with a two-sided interval that holds when outcomes inside a cluster depend on each other.

    `clusters` (n,) names the group of each outcome, for example its bar close when several symbols
    share a bar, or a block of bars when horizons overlap; None means all are independent. The
    variance sums DeLong's structural components by cluster (DeLong 1988, Obuchowski 1997), with
    Student's quantile over the clusters; the interval is made on the logit scale. With one class,
    no variance, under OUTCOMES_MIN outcomes or CLUSTERS_MIN clusters it is honest: 0 to 1.
    """
    scores, is_up = _checked(probabilities, outcomes)
    n = len(scores)
    groups = _group_ids(clusters, n)
    count = int(groups.max()) + 1 if n else 0
    ups = int(is_up.sum())
    downs = n - ups
    if ups == 0 or downs == 0:
        return Skill(None, 0.0, 1.0, n, count)
    up_parts, down_parts, area = _structural_components(scores, is_up)
    fewest = min(_group_counts(groups, is_up))
    influence = _influence(up_parts, down_parts, area, groups, is_up)
    error = math.sqrt(float((influence**2).sum()))
    if n < OUTCOMES_MIN or fewest < CLUSTERS_MIN or error <= 0.0 or not 0.0 < area < 1.0:
        return Skill(area, 0.0, 1.0, n, count)
    alone = _influence(up_parts, down_parts, area, np.arange(n, dtype=np.int64), is_up)
    effective_n = min(float(n), n * float((alone**2).sum()) / error**2)
    quantile = student_quantile(0.5 + level / 2, fewest - 1)
    centre = math.log(area / (1.0 - area))
    half = quantile * error / (area * (1.0 - area))
    low, high = _logistic(centre - half), _logistic(centre + half)
    return Skill(area, low, high, n, count, effective_n)


def auc_gap(
    first: ArrayLike,
    second: ArrayLike,
    outcomes: ArrayLike,
    clusters: ArrayLike | Sequence[Any] | None = None,
    level: float = 0.95,
) -> Gap:
    """AUC of `first` minus that of `second`, with a two-sided interval for paired scores.

    All are (n,) and of the same outcomes, so that what both scores share cancels out: the variance
    is that of the difference of their structural components, summed by cluster (DeLong 1988,
    section 3, Obuchowski 1997), with Student's quantile over the clusters.
    """
    one, is_up = _checked(first, outcomes)
    other, _ = _checked(second, outcomes)
    if is_up.all() or not is_up.any():
        return Gap(None, -1.0, 1.0)
    groups = _group_ids(clusters, len(one))
    parts = [_structural_components(scores, is_up) for scores in (one, other)]
    value = parts[0][2] - parts[1][2]
    influences = [_influence(*part, groups, is_up) for part in parts]
    fewest = min(_group_counts(groups, is_up))
    error = math.sqrt(float(((influences[0] - influences[1]) ** 2).sum()))
    if len(one) < OUTCOMES_MIN or fewest < CLUSTERS_MIN or error <= 0.0:
        return Gap(value, -1.0, 1.0)
    half = student_quantile(0.5 + level / 2, fewest - 1) * error
    return Gap(value, value - half, value + half)


def brier(probabilities: ArrayLike, outcomes: ArrayLike) -> float | None:
    """Mean squared distance of probability and outcome (Brier 1950); None without outcomes."""
    scores, is_up = _checked(probabilities, outcomes)
    if len(scores) == 0:
        return None
    return float(np.mean((scores - is_up) ** 2))


def log_loss(probabilities: ArrayLike, outcomes: ArrayLike) -> float | None:
    """Mean surprise of the outcomes, in nats: 0.693 is that of a coin; None without outcomes."""
    scores, is_up = _checked(probabilities, outcomes)
    if len(scores) == 0:
        return None
    clipped = np.clip(scores, PROBABILITY_MIN, 1.0 - PROBABILITY_MIN)
    return float(-np.log(np.where(is_up, clipped, 1.0 - clipped)).mean())


def calibration_slope(probabilities: ArrayLike, outcomes: ArrayLike) -> float | None:
    """Slope of the logistic regression of outcomes on logit(probability) (Cox 1958).

    1 is calibrated, below 1 too sure of itself, above 1 too timid, negative wrong way round. None
    when it has no finite answer: one class, equal probabilities, perfect separation.
    """
    scores, is_up = _checked(probabilities, outcomes)
    if len(scores) == 0 or is_up.all() or not is_up.any():
        return None
    clipped = np.clip(scores, PROBABILITY_MIN, 1.0 - PROBABILITY_MIN)
    logits = np.log(clipped / (1.0 - clipped))
    spread = float(logits.std())
    if spread < NEWTON_TOLERANCE:
        return None
    slope = _logistic_slope((logits - logits.mean()) / spread, is_up.astype(np.float64))
    return None if slope is None else slope / spread


def student_quantile(share: float, freedom: int) -> float:
    """Quantile of Student's t with at least 4 degrees of freedom.

    Expansion around the normal quantile (Abramowitz and Stegun 26.7.5), good to 0.3 % from 4
    degrees on and to 0.001 % from 19 on at the shares used for intervals.
    """
    if freedom < CLUSTERS_MIN - 1:
        raise ValueError(f"Student's quantile needs 4 degrees of freedom, not {freedom}")
    z = NormalDist().inv_cdf(share)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + first / freedom + second / freedom**2 + third / freedom**3 + fourth / freedom**4


def _checked(probabilities: ArrayLike, outcomes: ArrayLike) -> tuple[FloatArray, NDArray[np.bool_]]:
    scores = np.asarray(probabilities, dtype=np.float64)
    values = np.asarray(outcomes, dtype=np.float64)
    if scores.ndim != 1 or scores.shape != values.shape:
        raise ValueError(f"one outcome per probability: {scores.shape} against {values.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("a probability is not finite")
    is_up = values == 1.0
    if not (is_up | (values == 0.0)).all():
        raise ValueError("an outcome is neither 0 nor 1")
    return scores, is_up


def _midranks(scores: FloatArray) -> FloatArray:
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks: FloatArray = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


def _structural_components(
    scores: FloatArray, is_up: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray, float]:
    # The component of one up is the share of downs it beats, and the other way round (Sun and Xu
    # 2014): ranks among all minus ranks among its own kind count exactly these.
    ranks = _midranks(scores)
    ups, downs = scores[is_up], scores[~is_up]
    up_parts = (ranks[is_up] - _midranks(ups)) / len(downs)
    down_parts = 1.0 - (ranks[~is_up] - _midranks(downs)) / len(ups)
    return up_parts, down_parts, float(up_parts.mean())


def _group_counts(groups: NDArray[np.int64], is_up: NDArray[np.bool_]) -> tuple[int, int]:
    return len(np.unique(groups[is_up])), len(np.unique(groups[~is_up]))


def _influence(
    up_parts: FloatArray,
    down_parts: FloatArray,
    area: float,
    groups: NDArray[np.int64],
    is_up: NDArray[np.bool_],
) -> FloatArray:
    # What each cluster adds to the area's error. With every outcome its own cluster the squares
    # sum to DeLong's variance exactly. The small-sample factors enter as roots, so that the cross
    # term cannot make the sum negative.
    count = int(groups.max()) + 1
    up_groups, down_groups = (max(each, 2) for each in _group_counts(groups, is_up))
    up_scale = math.sqrt(up_groups / (up_groups - 1)) / len(up_parts)
    down_scale = math.sqrt(down_groups / (down_groups - 1)) / len(down_parts)
    parts = np.empty(len(groups))
    parts[is_up] = (up_parts - area) * up_scale
    parts[~is_up] = (down_parts - area) * down_scale
    return np.bincount(groups, weights=parts, minlength=count).astype(np.float64)


def _group_ids(clusters: ArrayLike | Sequence[Any] | None, n: int) -> NDArray[np.int64]:
    if clusters is None:
        return np.arange(n, dtype=np.int64)
    named = np.asarray(clusters)
    if named.shape != (n,):
        raise ValueError(f"one cluster per outcome: {named.shape} against {(n,)}")
    _, places = np.unique(named, return_inverse=True)
    return places.astype(np.int64)


def _logistic(x: float) -> float:
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    grown = math.exp(max(x, -700.0))
    return grown / (1.0 + grown)


def _logistic_slope(x: FloatArray, outcomes: FloatArray) -> float | None:
    # Newton's method with the two by two system solved in place. When the classes can be parted
    # the likelihood has no maximum: the curvature vanishes before the steps do.
    intercept = slope = 0.0
    curvature, steps = math.inf, 0
    while curvature > CURVATURE_MIN and steps < NEWTON_STEPS_MAX:
        fitted = 1.0 / (1.0 + np.exp(-np.clip(intercept + slope * x, -500.0, 500.0)))
        spread, error = fitted * (1.0 - fitted), outcomes - fitted
        h00, h01, h11 = float(spread.sum()), float((spread * x).sum()), float((spread * x**2).sum())
        g0, g1 = float(error.sum()), float((error * x).sum())
        curvature = max(h00 * h11 - h01 * h01, CURVATURE_MIN)
        moves = (h11 * g0 - h01 * g1) / curvature, (h00 * g1 - h01 * g0) / curvature
        intercept, slope, steps = intercept + moves[0], slope + moves[1], steps + 1
        if curvature > CURVATURE_MIN and max(map(abs, moves)) < NEWTON_TOLERANCE:
            return slope
    return None
