"""What a right and a wrong direction were worth, before costs, on rows the model had not seen.

Averages of outcomes belong here; subtracting costs and sizing belong in `layers/risk`.
"""

import math

import numpy as np
import numpy.typing as npt

from daemon.core.manifests import PayoffEstimate, Payoffs, SurestCalls
from daemon.layers.monitoring.skill import CLUSTERS_MIN, student_quantile
from daemon.research.series import FloatArray, IntArray
from daemon.research.walkforward import WalkForward

WINS_MIN = 10
LOSSES_MIN = 10
SUREST_SHARE = 0.1

BoolArray = npt.NDArray[np.bool_]


def measure_payoffs(
    probability_up: FloatArray,
    forward_log_return: FloatArray,
    up: IntArray,
    confidence_min_ratio: float,
) -> Payoffs:
    """Average gross win and loss of both directions, as ratios of the entry price.

    `probability_up` is calibrated, (n,), of rows out of sample; `forward_log_return` (n,) is over
    the horizon, for which a position is held; `up` (n,) is the outcome that is predicted. A win is
    what was earned on average where the predicted outcome came, so that probability times win less
    the rest times loss is the mean return, whatever the label. Rows count where confidence
    2·|p - 0.5| reaches the minimum; see `PayoffEstimate.basis` for what is taken where those are
    fewer than WINS_MIN wins and LOSSES_MIN losses. Raises `ValueError` where there are none, or
    where the one does not earn and the other not lose.
    """
    ratio = np.expm1(forward_log_return)
    is_confident = 2.0 * np.abs(probability_up - 0.5) >= confidence_min_ratio
    return Payoffs(
        confidence_min_ratio=confidence_min_ratio,
        up=_of_direction(ratio, up == 1, probability_up > 0.5, is_confident),
        down=_of_direction(-ratio, up == 0, probability_up < 0.5, is_confident),
    )


def surest_calls(walked: WalkForward) -> SurestCalls | None:
    """What the surest tenth of the calls was worth before costs; None where there are too few.

    A fold's calls are sure when they are farther from one half than nine tenths of those of the
    folds before it, so the first fold has none. The interval is Student's over the clusters of
    outcomes that may depend on each other, whose residuals are summed (Liang and Zeger 1986).
    """
    sureness = np.abs(walked.raw - 0.5)
    is_sure = np.zeros(len(sureness), dtype=np.bool_)
    for number in range(1, len(walked.folds)):
        limit = float(np.quantile(sureness[walked.fold < number], 1.0 - SUREST_SHARE))
        is_sure |= (walked.fold == number) & (sureness > limit)
    ratio = np.expm1(walked.dataset.forward_log_return[walked.tested[is_sure]])
    gain = np.where(walked.raw[is_sure] > 0.5, ratio, -ratio)
    _, place = np.unique(walked.clusters[is_sure], return_inverse=True)
    count = int(place.max()) + 1 if len(place) else 0
    if count < CLUSTERS_MIN:
        return None
    mean = float(gain.mean())
    sums = np.bincount(place, gain - mean)
    error = math.sqrt(count / (count - 1) * float((sums**2).sum())) / len(gain)
    half = student_quantile(0.975, count - 1) * error
    return SurestCalls(len(gain), mean, mean - half, mean + half)


def _of_direction(
    gain: FloatArray, is_right: BoolArray, is_predicted: BoolArray, is_confident: BoolArray
) -> PayoffEstimate:
    everything = np.ones(len(gain), dtype=np.bool_)
    choices = (
        ("threshold", is_predicted & is_confident),
        ("direction", is_predicted),
        ("all", everything),
    )
    for basis, chosen in choices:
        wins, losses = gain[chosen & is_right], -gain[chosen & ~is_right]
        if not (len(wins) and len(losses) and wins.mean() > 0.0 and losses.mean() > 0.0):
            continue
        is_enough = len(wins) >= WINS_MIN and len(losses) >= LOSSES_MIN
        if is_enough or basis == "all":
            return PayoffEstimate(
                n=int(chosen.sum()),
                wins=len(wins),
                losses=len(losses),
                win_ratio=float(wins.mean()),
                loss_ratio=float(losses.mean()),
                basis=basis,
            )
    raise ValueError(
        "prices moved in one direction only, or an outcome of this label earns nothing over its "
        "horizon: a payoff needs wins and losses"
    )
