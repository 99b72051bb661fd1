"""Kernels of volume and liquidity: how much was traded, at what price, and what it cost to trade.

Each says its formula, source, unit, range, and its value when nothing was traded. Belongs here:
formulas that read volume, or estimate what a trade costs. Prices alone belong to `momentum` and
`volatility`.
"""

import math
from collections.abc import Sequence

from daemon.layers.features.arithmetic import (
    V,
    changes,
    choose,
    correlation,
    exponential,
    larger,
    log,
    mean,
    moments,
    ratio,
    root,
    slope,
    smaller,
    total,
)
from daemon.layers.features.kernels.momentum import typical_prices
from daemon.layers.features.registry import feature

MILLION = 1e6
# Less than any price times any real quantity: what is under it was not traded.
LEAST_NOTIONAL = 1e-100
CORWIN_SCHULTZ = 3.0 - 2.0 * math.sqrt(2.0)


@feature(lookback=lambda window: window, least={"window": 2}, arrays=True)
def volume_zscore(volume: Sequence[V], *, window: int = 20) -> V:
    """How many sample deviations the newest volume lies over the mean; 0 when all are equal."""
    del window
    shift, deviation = moments(volume)
    return ratio(-shift, deviation, when_zero=0.0)


@feature(lookback=lambda short, long: max(long, short), arrays=True)
def volume_ratio(volume: Sequence[V], *, short: int = 5, long: int = 50) -> V:
    """Mean volume of the newest `short` bars over that of `long`, 0 and more; 1 without any."""
    return ratio(mean(volume[-short:]), mean(volume[-long:]), when_zero=1.0)


@feature(lookback=lambda window: window + 1, arrays=True)
def mfi(
    high: Sequence[V],
    low: Sequence[V],
    close: Sequence[V],
    volume: Sequence[V],
    *,
    window: int = 14,
) -> V:
    """Money flow index (Quong and Soudack, 1989), 0 to 100: the RSI's form over price · volume.

    100 U/(U + D), with U and D the flows of bars whose typical price rose and fell; 50 without any.
    """
    del window
    prices = typical_prices(high, low, close)
    ups, both = [], []
    for move, price, traded in zip(changes(prices), prices[1:], volume[1:], strict=True):
        flow = price * traded
        none = flow * 0.0
        ups.append(choose(move > 0.0, flow, none))
        both.append(choose(move != 0.0, flow, none))
    return ratio(total(ups), total(both), when_zero=0.5) * 100.0


@feature(lookback=lambda window: window, arrays=True)
def chaikin_flow(
    high: Sequence[V],
    low: Sequence[V],
    close: Sequence[V],
    volume: Sequence[V],
    *,
    window: int = 20,
) -> V:
    """Chaikin money flow, -1 to 1: mean of ((c - l) - (h - c))/(h - l), weighted by volume.

    A bar without range counts as 0, and so does a window without volume.
    """
    del window
    flows = [
        ratio((c - b) - (h - c), h - b, when_zero=0.0) * traded
        for h, b, c, traded in zip(high, low, close, volume, strict=True)
    ]
    return ratio(total(flows), total(volume), when_zero=0.0)


@feature(lookback=lambda window: window + 1, least={"window": 2}, arrays=True)
def obv_slope(close: Sequence[V], volume: Sequence[V], *, window: int = 20) -> V:
    """Least-squares slope of on-balance volume (Granville, 1963) per bar, over the mean volume.

    Between -1 and 1 in steady volume; 0 without volume, and when the price does not move.
    """
    del window
    balance = [close[0] * 0.0]
    for move, traded in zip(changes(close), volume[1:], strict=True):
        signed = choose(move > 0.0, traded, choose(move < 0.0, -traded, traded * 0.0))
        balance.append(balance[-1] + signed)
    return ratio(slope(balance), mean(volume[1:]), when_zero=0.0)


@feature(lookback=lambda window: window, arrays=True)
def vwap_distance(
    high: Sequence[V],
    low: Sequence[V],
    close: Sequence[V],
    volume: Sequence[V],
    *,
    window: int = 24,
) -> V:
    """close_n over the volume-weighted mean of (high + low + close)/3, less 1; 0 without volume."""
    del window
    newest = close[-1]
    above = [price - newest for price in typical_prices(high, low, close)]
    flows = [each * traded for each, traded in zip(above, volume, strict=True)]
    shift = ratio(total(flows), total(volume), when_zero=0.0)
    return ratio(-shift, newest + shift, when_zero=0.0)


@feature(lookback=lambda window: window + 1, least={"window": 3}, arrays=True)
def return_volume_correlation(returns: Sequence[V], volume: Sequence[V], *, window: int = 30) -> V:
    """Pearson correlation of log returns with volume, -1 to 1; 0 where either does not vary."""
    del window
    return correlation(returns, volume[1:])


@feature(lookback=lambda window: window + 1, arrays=True)
def amihud(close: Sequence[V], volume: Sequence[V], returns: Sequence[V], *, window: int = 20) -> V:
    """Amihud's illiquidity (2002): mean |log return| per million of quote currency traded.

    0 and more; over bars in which something was traded, 0 where nothing was.
    """
    del window
    impacts, counted = [], []
    for change, price, traded in zip(returns, close[1:], volume[1:], strict=True):
        notional = price * traded
        known = choose(notional > LEAST_NOTIONAL, notional, notional * 0.0)
        impacts.append(ratio(abs(change) * MILLION, known, when_zero=0.0))
        counted.append(choose(known > 0.0, 1.0, known * 0.0))
    return ratio(total(impacts), total(counted), when_zero=0.0)


@feature(lookback=lambda window: window, least={"window": 2}, arrays=True)
def corwin_schultz(high: Sequence[V], low: Sequence[V], *, window: int = 20) -> V:
    """Corwin and Schultz's spread (2012) from highs and lows, a ratio of the price, 0 to 2.

    Mean over neighbouring pairs of bars, negative ones counted as 0, without the overnight
    adjustment; 0 when flat.
    """
    del window
    ranges = [log(h / b) for h, b in zip(high, low, strict=True)]
    spreads = []
    for place in range(1, len(ranges)):
        one, two = ranges[place - 1], ranges[place]
        both = one * one + two * two
        joint = log(larger(high[place - 1], high[place]) / smaller(low[place - 1], low[place]))
        alpha = (root(both + both) - root(both)) / CORWIN_SCHULTZ - root(
            joint * joint / CORWIN_SCHULTZ
        )
        # 2 (e^a - 1)/(1 + e^a), with the exponent kept negative so that nothing overflows.
        decay = exponential(choose(alpha > 0.0, -alpha, alpha * 0.0))
        spreads.append(2.0 * (1.0 - decay) / (1.0 + decay))
    return mean(spreads)
