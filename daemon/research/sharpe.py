"""Sharpe ratios of returns per bar, and how much of one the number of trials explains away.

Formulas belong here; which returns they are given belongs in `net_returns`, and intervals belong in
`bootstrap`.
"""

import math
from statistics import NormalDist

import numpy as np

from daemon.research.series import FloatArray

EULER_MASCHERONI = 0.5772156649015329
# Below this share of the returns' size a deviation is rounding: nothing was risked.
DEVIATION_MIN = 1e-12

_NORMAL = NormalDist()


def sharpe_ratio(returns: FloatArray) -> float:
    """Mean over standard deviation of `returns` (n,), per bar; 0 where nothing was risked.

    Sharpe (1994), with the cash of a flat book earning nothing. Multiply by the root of the bars in
    a year to annualise it.
    """
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    if deviation <= DEVIATION_MIN * float(np.abs(returns).max(initial=0.0)):
        return 0.0
    return float(returns.mean()) / deviation


def probability_above(
    ratio: float, benchmark: float, *, bars: int, skewness: float, kurtosis: float
) -> float:
    """Probability that a true Sharpe ratio per bar is above `benchmark` when `ratio` was measured.

    Bailey and López de Prado, The Sharpe Ratio Efficient Frontier (2012), equation 11: normal, with
    the standard error of Mertens (2002), which takes skewness and fat tails (`kurtosis` is 3 for a
    normal) into account and presumes that returns of different bars do not depend on each other.
    """
    spread = 1.0 - skewness * ratio + (kurtosis - 1.0) / 4.0 * ratio**2
    # Kurtosis is at least 1 + skewness², so this is not positive by rounding only.
    spread = max(spread, DEVIATION_MIN)
    return _NORMAL.cdf((ratio - benchmark) * math.sqrt((bars - 1) / spread))


def best_of_nothing(trials: int, deviation: float) -> float:
    """The Sharpe ratio per bar that the best of `trials` without any edge is expected to show.

    Bailey and López de Prado, The Deflated Sharpe Ratio (2014), equation 6. `deviation` is that of
    the Sharpe ratios among the trials. 0 for one trial, which nobody has picked.
    """
    if trials < 1:
        raise ValueError(f"the number of trials is at least 1, not {trials}")
    if trials == 1:
        return 0.0
    most = _NORMAL.inv_cdf(1.0 - 1.0 / trials)
    more = _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return deviation * ((1.0 - EULER_MASCHERONI) * most + EULER_MASCHERONI * more)


def deflated_sharpe(returns: FloatArray, trials: int) -> float:
    """Probability that `returns` (n,) have a Sharpe ratio above what the best of `trials` has.

    Bailey and López de Prado (2014), equation 9. The ratios of the trials that were not kept are
    not known, so their deviation is taken as 1 / sqrt(n - 1), that of an estimate where there is no
    edge: right for trials that share nothing, and too strict for those that resemble each other.
    0 where nothing was risked.
    """
    ratio = sharpe_ratio(returns)
    if ratio == 0.0:
        return 0.0
    bars = len(returns)
    standard = (returns - returns.mean()) / returns.std()
    return probability_above(
        ratio,
        best_of_nothing(trials, 1.0 / math.sqrt(bars - 1)),
        bars=bars,
        skewness=float((standard**3).mean()),
        kurtosis=float((standard**4).mean()),
    )
