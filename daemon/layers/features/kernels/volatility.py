"""Kernels of spread: how far prices and returns range, in several estimators, and how returns hang
together.

Each says its formula, source, unit, range, and its value when nothing moves. Annualised ones are
scaled by √(bars per year) of the set. Belongs here: formulas over ranges and returns. Direction
belongs to `momentum`, volume to `volume`.
"""

import math
from collections.abc import Sequence

from daemon.layers.features.arithmetic import (
    V,
    choose,
    correlation,
    larger,
    mean,
    moments,
    offsets,
    ratio,
    root,
    smaller,
    total,
)
from daemon.layers.features.registry import feature

PARKINSON = 4.0 * math.log(2.0)
GARMAN_KLASS = 2.0 * math.log(2.0) - 1.0


@feature(lookback=lambda period: period, least={"period": 2}, arrays=True)
def bollinger_width(close: Sequence[V], *, period: int = 20) -> V:
    """(upper - lower)/middle, bands two sample deviations off the mean; 0 and more, 0 when flat."""
    del period
    shift, deviation = moments(close)
    return 4.0 * deviation / (close[-1] + shift)


@feature(lookback=lambda window: window + 1, least={"window": 2}, arrays=True)
def volatility(returns: Sequence[V], *, window: int = 10, bars_per_year: float) -> V:
    """Sample deviation of log returns, annualised, 0 and more; 0 when all are equal."""
    del window
    _, deviation = moments(returns)
    return deviation * math.sqrt(bars_per_year)


@feature(
    lookback=lambda short, long: max(short, long) + 1,
    least={"short": 2, "long": 2},
    arrays=True,
)
def volatility_ratio(returns: Sequence[V], *, short: int = 10, long: int = 50) -> V:
    """Deviation of the newest `short` log returns over that of `long`, 0 and more; 1 when flat."""
    _, recent = moments(returns[-short:])
    _, usual = moments(returns[-long:])
    return ratio(recent, usual, when_zero=1.0)


@feature(lookback=2, arrays=True)
def true_range_ratio(high: Sequence[V], low: Sequence[V], close: Sequence[V]) -> V:
    """Wilder's true range of the newest bar over the close before it, 0 and more; 0 when flat."""
    return _true_ranges(high, low, close)[0] / close[0]


@feature(lookback=lambda window: window + 1, arrays=True)
def atr_ratio(high: Sequence[V], low: Sequence[V], close: Sequence[V], *, window: int = 14) -> V:
    """Plain mean of `window` true ranges over close_n, 0 and more; 0 when flat."""
    del window
    return mean(_true_ranges(high, low, close)) / close[-1]


@feature(lookback=lambda window: window, arrays=True)
def parkinson(
    log_high: Sequence[V], log_low: Sequence[V], *, window: int = 20, bars_per_year: float
) -> V:
    """Parkinson's volatility (1980): √(mean ln²(high/low)/(4 ln 2)), annualised; 0 when flat."""
    del window
    ranges = [h - b for h, b in zip(log_high, log_low, strict=True)]
    squares = mean([each * each for each in ranges])
    return root(squares / PARKINSON) * math.sqrt(bars_per_year)


@feature(lookback=lambda window: window, arrays=True)
def garman_klass(
    log_high: Sequence[V],
    log_low: Sequence[V],
    log_close: Sequence[V],
    *,
    window: int = 20,
    bars_per_year: float,
) -> V:
    """Garman and Klass (1980): √ mean(½ ln²(h/l) - (2 ln 2 - 1) ln²(c/o)), annualised.

    0 when flat, and where the mean is negative, which only bars that contradict themselves show.
    """
    del window
    terms = []
    for h, b, c in zip(log_high, log_low, log_close, strict=True):
        spread = h - b
        terms.append(0.5 * (spread * spread) - GARMAN_KLASS * (c * c))
    return _annual_root(mean(terms), bars_per_year)


@feature(lookback=lambda window: window, arrays=True)
def rogers_satchell(
    log_high: Sequence[V],
    log_low: Sequence[V],
    log_close: Sequence[V],
    *,
    window: int = 20,
    bars_per_year: float,
) -> V:
    """Rogers and Satchell (1991): √ mean(ln(h/o) ln(h/c) + ln(l/o) ln(l/c)), annualised.

    Free of drift. 0 when flat, and where the mean is negative, as in `garman_klass`.
    """
    del window
    return _annual_root(mean(_rogers_satchell(log_high, log_low, log_close)), bars_per_year)


@feature(lookback=lambda window: window + 1, least={"window": 2}, arrays=True)
def yang_zhang(
    gaps: Sequence[V],
    log_high: Sequence[V],
    log_low: Sequence[V],
    log_close: Sequence[V],
    *,
    window: int = 20,
    bars_per_year: float,
) -> V:
    """Yang and Zhang (2000): √(σ²_gap + k σ²_body + (1 - k) σ²_RS), annualised; 0 when flat.

    σ²_gap and σ²_body are sample variances of ln(open/close before) and ln(close/open), σ²_RS is
    that of `rogers_satchell`, k = 0.34/(1.34 + (n + 1)/(n - 1)).
    """
    share = 0.34 / (1.34 + (window + 1) / (window - 1))
    _, gap = moments(gaps)
    _, body = moments(log_close[1:])
    inner = mean(_rogers_satchell(log_high[1:], log_low[1:], log_close[1:]))
    return _annual_root(gap * gap + share * (body * body) + (1.0 - share) * inner, bars_per_year)


@feature(lookback=lambda window: window + 1, least={"window": 3}, arrays=True)
def realised_skew(returns: Sequence[V], *, window: int = 30) -> V:
    """Skewness of log returns, m3/m2^1.5 with population moments; 0 when all are equal."""
    del window
    offs = offsets(returns)
    second = mean([off * off for off in offs])
    third = mean([off * off * off for off in offs])
    return ratio(third, second * root(second), when_zero=0.0)


@feature(lookback=lambda window: window + 1, least={"window": 4}, arrays=True)
def realised_kurtosis(returns: Sequence[V], *, window: int = 30) -> V:
    """Excess kurtosis of log returns, m4/m2² - 3 with population moments; 0 when all are equal."""
    del window
    squares = [off * off for off in offsets(returns)]
    second = mean(squares)
    fourth = mean([square * square for square in squares])
    return ratio(fourth, second * second, when_zero=3.0) - 3.0


@feature(lookback=lambda window: window + 1, arrays=True)
def downside_share(returns: Sequence[V], *, window: int = 20) -> V:
    """Share of falls in the sum of squared log returns, 0 to 1; 0.5 when flat."""
    del window
    squares = [each * each for each in returns]
    falls = [
        choose(each < 0.0, square, square * 0.0)
        for each, square in zip(returns, squares, strict=True)
    ]
    return ratio(total(falls), total(squares), when_zero=0.5)


@feature(lookback=lambda window, lag: window + lag + 1, least={"window": 3}, arrays=True)
def autocorrelation(returns: Sequence[V], *, window: int = 50, lag: int = 1) -> V:
    """Pearson correlation of `window` log returns with those `lag` bars before them, -1 to 1.

    0 where either side does not vary.
    """
    del window
    return correlation(returns[lag:], returns[:-lag])


@feature(lookback=lambda window, step: window + step, least={"window": 2, "step": 2}, arrays=True)
def variance_ratio(returns: Sequence[V], *, window: int = 50, step: int = 4) -> V:
    """Lo and MacKinlay (1988): variance of `window` overlapping `step`-bar returns over `step`
    times that of one bar's; under 1 prices tend back, over 1 they trend; 1 when all are equal.
    """
    offs = offsets(returns)
    sums = [total(offs[start : start + step]) for start in range(window)]
    of_sums = mean([each * each for each in sums])
    of_one = mean([off * off for off in offs])
    return ratio(of_sums, of_one * step, when_zero=1.0)


def _true_ranges(high: Sequence[V], low: Sequence[V], close: Sequence[V]) -> list[V]:
    """The range of every bar but the first, with the close before it counted in."""
    return [
        larger(h, before) - smaller(b, before)
        for h, b, before in zip(high[1:], low[1:], close[:-1], strict=True)
    ]


def _rogers_satchell(
    log_high: Sequence[V], log_low: Sequence[V], log_close: Sequence[V]
) -> list[V]:
    return [h * (h - c) + b * (b - c) for h, b, c in zip(log_high, log_low, log_close, strict=True)]


def _annual_root(variance: V, bars_per_year: float) -> V:
    return root(choose(variance > 0.0, variance, variance * 0.0)) * math.sqrt(bars_per_year)
