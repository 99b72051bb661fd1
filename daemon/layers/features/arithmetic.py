"""Arithmetic that gives the same bits for one window and for many at once, whatever their shape.

A value is a float (one window) or an array (the same place of many windows at once). Either way
the same elementary IEEE operations run in the same order on the same window, and what is not
elementary goes through libm one number at a time. Belongs here: operations kernels are made of.
What a feature is belongs to `kernels`.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
V = TypeVar("V", float, Array)


def total(values: Sequence[V]) -> V:
    """The plain left-to-right sum; there has to be a value.

    Builtin sum compensates for rounding since Python 3.12, and numpy's sum adds in pairs: neither
    is the same everywhere.
    """
    added = values[0]
    for value in values[1:]:
        added = added + value  # not in place: the first value may be a view of the caller's bars
    return added


def mean(values: Sequence[V]) -> V:
    """Plain mean; of equal values it may differ from them in the last bit, see `moments`."""
    return total(values) / len(values)


def moments(values: Sequence[V]) -> tuple[V, V]:
    """How far the mean lies above the newest value, and the sample deviation.

    Two passes around the newest value. Without that shift the mean of equal values can differ from
    them in the last bit, and a constant volume would get a z-score near one, not zero.
    """
    newest = values[-1]
    above = [value - newest for value in values[:-1]]
    shift = total(above) / len(values)
    offs = [value - shift for value in above]
    squares = total([off * off for off in offs]) + shift * shift
    return shift, root(squares / (len(values) - 1))


def offsets(values: Sequence[V]) -> list[V]:
    """Distances of all values from their mean, exactly 0 where all are equal."""
    newest = values[-1]
    above = [value - newest for value in values]
    shift = mean(above)
    return [value - shift for value in above]


def slope(values: Sequence[V]) -> V:
    """Least-squares slope per step; exactly 0 where all values are equal."""
    middle = (len(values) - 1) * 0.5
    newest = values[-1]
    steps = [step - middle for step in range(len(values))]
    rise = total([(value - newest) * step for value, step in zip(values, steps, strict=True)])
    return rise / total([step * step for step in steps])


def correlation(one: Sequence[V], other: Sequence[V]) -> V:
    """Pearson's, -1 to 1; 0 where either does not vary."""
    a, b = offsets(one), offsets(other)
    together = total([x * y for x, y in zip(a, b, strict=True)])
    spread = root(total([x * x for x in a])) * root(total([y * y for y in b]))
    return clipped(ratio(together, spread, when_zero=0.0), -1.0, 1.0)


def weighted(values: Sequence[V], weights: Sequence[float]) -> V:
    """Σ weight·value, oldest first."""
    return total([value * weight for value, weight in zip(values, weights, strict=True)])


def highest(values: Sequence[V]) -> V:
    top = values[0]
    for value in values[1:]:
        top = larger(top, value)
    return top


def lowest(values: Sequence[V]) -> V:
    bottom = values[0]
    for value in values[1:]:
        bottom = smaller(bottom, value)
    return bottom


def larger(one: V, other: V) -> V:
    return choose(one > other, one, other)


def smaller(one: V, other: V) -> V:
    return choose(one < other, one, other)


def clipped(value: V, low: float, high: float) -> V:
    return choose(value < low, low, choose(value > high, high, value))


def choose(is_so: Any, yes: V | float, no: V | float) -> V:
    """`yes` where `is_so`, else `no`; both are computed, so neither may divide by zero."""
    if isinstance(is_so, bool):
        return yes if is_so else no  # type: ignore[return-value]  # a float goes with a float
    chosen: Any = np.where(is_so, yes, no)
    return chosen  # type: ignore[no-any-return]  # an array where V is one


def ratio(numerator: V, denominator: V, when_zero: float) -> V:
    """A quotient whose value at a denominator of zero is stated."""
    if isinstance(denominator, float):
        return numerator / denominator if denominator != 0.0 else when_zero
    out = np.full(denominator.shape, when_zero)
    np.divide(numerator, denominator, out=out, where=denominator != 0.0)
    return out


def root(value: V) -> V:
    if isinstance(value, float):
        return math.sqrt(value)
    rooted: Array = np.sqrt(value)
    return rooted


def log(value: V) -> V:
    return _by_libm(math.log, value)


def exponential(value: V) -> V:
    return _by_libm(math.exp, value)


def sine(value: V) -> V:
    return _by_libm(math.sin, value)


def cosine(value: V) -> V:
    return _by_libm(math.cos, value)


def remainder(value: V, period: float) -> V:
    """What is left of a value that is not negative after whole periods; exact for both."""
    if isinstance(value, float):
        return math.fmod(value, period)
    rest: Array = np.fmod(value, period)
    return rest


def changes(values: Sequence[V]) -> list[V]:
    """Each value less the one before it."""
    return [newer - older for older, newer in pairwise(values)]


def _by_libm(function: Callable[[float], float], value: V) -> V:
    # numpy's own versions differ in the last bit from CPU to CPU.
    if isinstance(value, float):
        return function(value)
    out = np.fromiter(map(function, value.ravel().tolist()), np.float64, value.size)
    return out.reshape(value.shape)
