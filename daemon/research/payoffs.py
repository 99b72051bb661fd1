"""What a right and a wrong direction were worth, before costs, on rows the model had not seen.

Averages of outcomes belong here; subtracting costs and sizing belong in `layers/risk`.
"""

import numpy as np
import numpy.typing as npt

from daemon.core.manifests import PayoffEstimate, Payoffs
from daemon.research.series import FloatArray

WINS_MIN = 10
LOSSES_MIN = 10

BoolArray = npt.NDArray[np.bool_]


def measure_payoffs(
    probability_up: FloatArray, forward_log_return: FloatArray, confidence_min_ratio: float
) -> Payoffs:
    """Average gross win and loss of both directions, as ratios of the entry price.

    `probability_up` is calibrated, (n,), of rows out of sample; `forward_log_return` (n,) is over
    the label's horizon. Rows count where confidence 2·|p - 0.5| reaches the minimum; see
    `PayoffEstimate.basis` for what is taken where those are fewer than WINS_MIN wins and LOSSES_MIN
    losses. Raises `ValueError` where prices only ever rose or only ever fell.
    """
    ratio = np.expm1(forward_log_return)
    is_confident = 2.0 * np.abs(probability_up - 0.5) >= confidence_min_ratio
    return Payoffs(
        confidence_min_ratio=confidence_min_ratio,
        up=_of_direction(ratio, probability_up > 0.5, is_confident),
        down=_of_direction(-ratio, probability_up < 0.5, is_confident),
    )


def _of_direction(
    gain: FloatArray, is_predicted: BoolArray, is_confident: BoolArray
) -> PayoffEstimate:
    everything = np.ones(len(gain), dtype=np.bool_)
    choices = (
        ("threshold", is_predicted & is_confident),
        ("direction", is_predicted),
        ("all", everything),
    )
    for basis, chosen in choices:
        wins, losses = gain[chosen & (gain > 0)], -gain[chosen & (gain < 0)]
        is_enough = len(wins) >= WINS_MIN and len(losses) >= LOSSES_MIN
        if is_enough or (basis == "all" and len(wins) and len(losses)):
            return PayoffEstimate(
                n=int(chosen.sum()),
                wins=len(wins),
                losses=len(losses),
                win_ratio=float(wins.mean()),
                loss_ratio=float(losses.mean()),
                basis=basis,
            )
    raise ValueError("prices moved in one direction only: a payoff needs wins and losses")
