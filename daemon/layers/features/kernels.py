"""The reference features as formulas over one window of values, oldest first and newest last.

A value is a float (one window) or an array (the same place of many windows at once). Either way
the same elementary IEEE operations run in the same order on the same window, so the bits are the
same for any length, start and shape of the data.
Belongs here: arithmetic on windows. Which windows and which parameters belongs to `sets`.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
V = TypeVar("V", float, Array)


def rsi(closes: Sequence[V]) -> V:
    """Relative strength index, 0 to 100, of n + 1 closes, in Cutler's form (plain means).

    100 G/(G + L) with G and L the sums of rises and of falls; 50 when nothing moved. Wilder's
    smoothed form depends on every earlier bar, so it cannot be the same live and in batch.
    """
    moves = [newer - older for older, newer in pairwise(closes)]
    sizes = [abs(move) for move in moves]
    rises = _total([move + size for move, size in zip(moves, sizes, strict=True)]) * 0.5
    return _ratio(rises, _total(sizes), when_zero=0.5) * 100.0


def band_width(closes: Sequence[V]) -> V:
    """Bollinger band width: (upper - lower)/middle, bands two sample deviations off the mean."""
    mean_above_newest, deviation = _moments(closes)
    return 4.0 * deviation / (closes[-1] + mean_above_newest)


def volatility(returns: Sequence[V], bars_per_year: float) -> V:
    """Sample deviation of log returns, scaled to a year of `bars_per_year` bars."""
    _, deviation = _moments(returns)
    return deviation * math.sqrt(bars_per_year)


def newest_zscore(values: Sequence[V]) -> V:
    """How many sample deviations the newest value lies over the mean; 0 when all are equal."""
    mean_above_newest, deviation = _moments(values)
    return _ratio(-mean_above_newest, deviation, when_zero=0.0)


def logarithms(ratios: Array) -> Array:
    """Natural logarithms through libm: `numpy.log` differs in the last bit from CPU to CPU."""
    logs = np.fromiter(map(math.log, ratios.ravel().tolist()), np.float64, ratios.size)
    return logs.reshape(ratios.shape)


def _moments(values: Sequence[V]) -> tuple[V, V]:
    # Two passes around the newest value. Without that shift the mean of equal values can differ
    # from them in the last bit, and a constant volume would get a z-score near one, not zero.
    newest = values[-1]
    above = [value - newest for value in values[:-1]]
    mean = _total(above) / len(values)
    offs = [value - mean for value in above]
    squares = _total([off * off for off in offs]) + mean * mean
    return mean, _root(squares / (len(values) - 1))


def _total(values: Sequence[V]) -> V:
    # Builtin sum compensates for rounding since Python 3.12, numpy's sum adds in pairs: neither is
    # the plain left-to-right sum that is the same everywhere.
    total = values[0]
    for value in values[1:]:
        total = total + value  # not in place: the first value may be a view of the caller's bars
    return total


def _root(value: V) -> V:
    if isinstance(value, float):
        return math.sqrt(value)
    root: Array = np.sqrt(value)
    return root


def _ratio(numerator: V, denominator: V, when_zero: float) -> V:
    if isinstance(denominator, float):
        return numerator / denominator if denominator != 0.0 else when_zero
    out = np.full(denominator.shape, when_zero)
    np.divide(numerator, denominator, out=out, where=denominator != 0.0)
    return out
