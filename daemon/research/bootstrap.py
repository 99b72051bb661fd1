"""How sure the mean and the Sharpe ratio of net returns are, by drawing blocks of them anew.

Resampling belongs here; what the intervals mean for the verdict belongs in `verdict`.
"""

import math

import numpy as np

from daemon.core.manifests import NetReturn
from daemon.core.timeframes import bars_per_year
from daemon.research.net_returns import NetReturns
from daemon.research.series import FloatArray
from daemon.research.sharpe import deflated_sharpe, sharpe_ratio

RESAMPLES = 2_000
RESAMPLES_A_STEP = 250
ENTRIES_MIN = 30


def bootstrap_net_return(
    returns: NetReturns,
    *,
    timeframe_ns: int,
    horizon_bars: int,
    trials: int,
    seed: int,
    level: float = 0.95,
) -> NetReturn:
    """Net return and Sharpe ratio with intervals by the circular block bootstrap.

    Politis and Romano (1992), percentiles. Blocks of max(n^(1/3), 2 horizons) bars keep what hangs
    together in time together; all symbols of a bar are one observation, so they stay together too.
    Resamples of a few trades are all alike in what they lack: with fewer than ENTRIES_MIN entries
    the low ends are never above 0.
    """
    ratio = returns.ratio
    bars = len(ratio)
    block = min(bars, max(math.ceil(bars ** (1.0 / 3.0)), 2 * horizon_bars))
    means, sharpes = _resampled(ratio, block, np.random.default_rng(seed))
    year = math.sqrt(bars_per_year(timeframe_ns))
    ends = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    low, high = np.quantile(means, ends).tolist()
    sharpe_low, sharpe_high = (np.quantile(sharpes, ends) * year).tolist()
    if returns.entries < ENTRIES_MIN:
        low, sharpe_low = min(low, 0.0), min(sharpe_low, 0.0)
    return NetReturn(
        per_bar_ratio=float(ratio.mean()),
        per_bar_low=low,
        per_bar_high=high,
        total_ratio=float(ratio.sum()),
        bars=bars,
        entries=returns.entries,
        sharpe=sharpe_ratio(ratio) * year,
        sharpe_low=sharpe_low,
        sharpe_high=sharpe_high,
        deflated_sharpe=deflated_sharpe(ratio, trials),
        trials=trials,
    )


def _resampled(
    values: FloatArray, block: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Mean and Sharpe ratio per bar of every resample, each (RESAMPLES,)."""
    bars = len(values)
    count = math.ceil(bars / block)
    if not values.any():
        return np.zeros(RESAMPLES), np.zeros(RESAMPLES)
    sums, squares = _block_sums(values, block), _block_sums(values**2, block)
    means, sharpes = [], []
    # A few hundred resamples at a time stay in the processor's cache.
    for _ in range(RESAMPLES // RESAMPLES_A_STEP):
        starts = rng.integers(0, bars, size=(RESAMPLES_A_STEP, count))
        mean = sums[starts].sum(axis=1) / (count * block)
        variance = squares[starts].sum(axis=1) / (count * block) - mean**2
        deviation = np.sqrt(np.maximum(variance, 0.0))
        means.append(mean)
        sharpes.append(np.divide(mean, deviation, out=np.zeros_like(mean), where=deviation > 0.0))
    return np.concatenate(means), np.concatenate(sharpes)


def _block_sums(values: FloatArray, block: int) -> FloatArray:
    running = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values[: block - 1]]))])
    sums: FloatArray = running[block:] - running[:-block]
    return sums
