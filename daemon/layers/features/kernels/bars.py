"""Kernels of a bar itself and of what stands beside it: its shape, its hour, other instruments.

Each says its formula, unit, range, and its value when nothing moves. A reference is another
instrument, bar by bar beside one's own. Belongs here: formulas over one bar, its close time, or
a reference. Windows of one's own prices belong to `momentum` and `volatility`.
"""

import math
from collections.abc import Sequence

from daemon.layers.features.arithmetic import (
    V,
    correlation,
    cosine,
    larger,
    ratio,
    remainder,
    sine,
    smaller,
)
from daemon.layers.features.registry import feature

DAY_S = 86_400.0
WEEK_S = 7.0 * DAY_S
# The epoch was a Thursday; three days more make the week begin on a Monday.
MONDAY_S = 3.0 * DAY_S


@feature(lookback=1, arrays=True)
def body_ratio(open: Sequence[V], high: Sequence[V], low: Sequence[V], close: Sequence[V]) -> V:  # noqa: A002  # the column's name
    """(close - open)/(high - low), -1 to 1; 0 for a bar without range."""
    return ratio(close[-1] - open[-1], high[-1] - low[-1], when_zero=0.0)


@feature(lookback=1, arrays=True)
def upper_wick_ratio(
    open: Sequence[V],  # noqa: A002  # the column's name
    high: Sequence[V],
    low: Sequence[V],
    close: Sequence[V],
) -> V:
    """(high - max(open, close))/(high - low), 0 to 1; 0 for a bar without range."""
    return ratio(high[-1] - larger(open[-1], close[-1]), high[-1] - low[-1], when_zero=0.0)


@feature(lookback=1, arrays=True)
def lower_wick_ratio(
    open: Sequence[V],  # noqa: A002  # the column's name
    high: Sequence[V],
    low: Sequence[V],
    close: Sequence[V],
) -> V:
    """(min(open, close) - low)/(high - low), 0 to 1; 0 for a bar without range."""
    return ratio(smaller(open[-1], close[-1]) - low[-1], high[-1] - low[-1], when_zero=0.0)


@feature(lookback=1, arrays=True)
def range_ratio(high: Sequence[V], low: Sequence[V], close: Sequence[V]) -> V:
    """(high - low)/close of the newest bar, 0 and more; 0 for a bar without range."""
    return (high[-1] - low[-1]) / close[-1]


@feature(lookback=2, arrays=True)
def gap(gaps: Sequence[V]) -> V:
    """ln(open/close before) of the newest bar, a ratio; 0 where it opened at the last close."""
    return gaps[-1]


@feature(lookback=1, arrays=True)
def hour_sin(close_time_s: Sequence[V]) -> V:
    """Sine of the close's time of day (UTC), -1 to 1: 0 at midnight, 1 at 06:00."""
    return sine(_turn(close_time_s[-1], DAY_S))


@feature(lookback=1, arrays=True)
def hour_cos(close_time_s: Sequence[V]) -> V:
    """Cosine of the close's time of day (UTC), -1 to 1: 1 at midnight, -1 at noon."""
    return cosine(_turn(close_time_s[-1], DAY_S))


@feature(lookback=1, arrays=True)
def weekday_sin(close_time_s: Sequence[V]) -> V:
    """Sine of the close's time of week (UTC), -1 to 1: 0 as Monday begins, falling after it rose
    until Tuesday evening.
    """
    return sine(_turn(close_time_s[-1] + MONDAY_S, WEEK_S))


@feature(lookback=1, arrays=True)
def weekday_cos(close_time_s: Sequence[V]) -> V:
    """Cosine of the close's time of week (UTC), -1 to 1: 1 as Monday begins, -1 Thursday noon."""
    return cosine(_turn(close_time_s[-1] + MONDAY_S, WEEK_S))


@feature(lookback=lambda lag: lag + 2, least={"lag": 0}, arrays=True)
def reference_return(reference_returns: Sequence[V], *, lag: int = 0) -> V:
    """The reference's log return `lag` bars back, a ratio; 0 when it is flat."""
    del lag
    return reference_returns[0]


@feature(lookback=lambda window: window + 1, least={"window": 3}, arrays=True)
def reference_correlation(
    returns: Sequence[V], reference_returns: Sequence[V], *, window: int = 50
) -> V:
    """Pearson correlation of log returns with the reference's, -1 to 1; 0 where one is flat."""
    del window
    return correlation(returns, reference_returns)


@feature(lookback=lambda window, lag: window + lag + 1, least={"window": 3}, arrays=True)
def lead_lag(
    returns: Sequence[V], reference_returns: Sequence[V], *, window: int = 50, lag: int = 1
) -> V:
    """Pearson correlation of log returns with the reference's `lag` bars before, -1 to 1.

    Above 0 the reference led; 0 where one is flat.
    """
    del window
    return correlation(returns[lag:], reference_returns[:-lag])


def _turn(time_s: V, period_s: float) -> V:
    """The angle of a moment in its period, 0 to 2π; exact in the seconds before it is scaled."""
    return remainder(time_s, period_s) / period_s * (2.0 * math.pi)
