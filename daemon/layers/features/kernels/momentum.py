"""Kernels of direction: how far, how steadily and from where the close has come.

Each says its formula, source, unit, range, and its value when nothing moves. Bars are counted from
the oldest (0) to the newest (n). Belongs here: formulas over prices. Their spread belongs to
`volatility`.
"""

from collections.abc import Sequence
from functools import lru_cache

from daemon.layers.features.arithmetic import (
    V,
    changes,
    choose,
    highest,
    log,
    lowest,
    moments,
    offsets,
    ratio,
    slope,
    total,
    weighted,
)
from daemon.layers.features.registry import feature

# An average with weights (1 - a)^k never forgets; cut after three spans it has lost 0.25 % of its
# weight, and what is left is scaled to one. Wilder's a = 1/period is cut after five periods, 0.7 %.
EMA_SPANS = 3
WILDER_PERIODS = 5


@feature(lookback=lambda lag: lag + 2, least={"lag": 0}, arrays=True)
def log_return(returns: Sequence[V], *, lag: int = 0) -> V:
    """ln(close_{n-lag}/close_{n-lag-1}): the return so many bars back, as a ratio; 0 when flat."""
    del lag
    return returns[0]


@feature(lookback=lambda period: period + 1, arrays=True)
def rsi(close: Sequence[V], *, period: int = 14) -> V:
    """Relative strength index in Cutler's form (plain means), 0 to 100; 50 when nothing moved.

    100 G/(G + L) with G and L the sums of rises and of falls. Wilder's smoothed form depends on
    every earlier bar; see `wilder_rsi`.
    """
    del period
    moves = changes(close)
    sizes = [abs(move) for move in moves]
    rises = total([move + size for move, size in zip(moves, sizes, strict=True)]) * 0.5
    return ratio(rises, total(sizes), when_zero=0.5) * 100.0


@feature(lookback=lambda period: WILDER_PERIODS * period + 1, arrays=True)
def wilder_rsi(close: Sequence[V], *, period: int = 14) -> V:
    """Wilder's RSI (New Concepts in Technical Trading Systems, 1978) over a fixed window, 0 to 100.

    As `rsi` with weights (1 - 1/period)^k, cut after five periods; 50 when nothing moved.
    """
    moves = changes(close)
    sizes = [abs(move) for move in moves]
    weights = decaying(1.0 / period, len(moves))
    rises = weighted([move + size for move, size in zip(moves, sizes, strict=True)], weights) * 0.5
    return ratio(rises, weighted(sizes, weights), when_zero=0.5) * 100.0


@feature(lookback=lambda window: window + 1, arrays=True)
def roc(close: Sequence[V], *, window: int = 24) -> V:
    """Rate of change close_n/close_0 - 1 over `window` bars, a ratio above -1; 0 when flat."""
    del window
    return close[-1] / close[0] - 1.0


@feature(lookback=lambda window: window, least={"window": 2}, arrays=True)
def sma_distance(close: Sequence[V], *, window: int = 50) -> V:
    """close_n/mean(close) - 1, a ratio above -1; exactly 0 when flat."""
    del window
    shift, _ = moments(close)
    return -shift / (close[-1] + shift)


@feature(lookback=lambda span: EMA_SPANS * span, least={"span": 2}, arrays=True)
def ema_distance(close: Sequence[V], *, span: int = 20) -> V:
    """close_n/EMA - 1, a ratio above -1; exactly 0 when flat.

    The EMA has weights (1 - a)^k with a = 2/(span + 1), cut after three spans and scaled to one.
    """
    above = _above_newest(close, 2.0 / (span + 1))
    return -above / (close[-1] + above)


@feature(
    lookback=lambda fast, slow: EMA_SPANS * max(fast, slow),
    least={"fast": 2, "slow": 2},
    arrays=True,
)
def macd(close: Sequence[V], *, fast: int = 12, slow: int = 26) -> V:
    """(EMA_fast - EMA_slow)/close_n, EMAs as in `ema_distance` (Appel, 1979); 0 when flat."""
    quick = _above_newest(close[-EMA_SPANS * fast :], 2.0 / (fast + 1))
    calm = _above_newest(close[-EMA_SPANS * slow :], 2.0 / (slow + 1))
    return (quick - calm) / close[-1]


@feature(
    lookback=lambda fast, slow, signal: EMA_SPANS * (max(fast, slow) + signal) - 1,
    least={"fast": 2, "slow": 2, "signal": 2},
    arrays=True,
)
def macd_histogram(close: Sequence[V], *, fast: int = 12, slow: int = 26, signal: int = 9) -> V:
    """MACD less its own EMA of `signal` bars, over close_n; all weights as in `ema_distance`.

    All three averages are linear, so they are one weighted sum over the window; 0 when flat.
    """
    newest = close[-1]
    above = [value - newest for value in close]
    return weighted(above, _histogram_weights(fast, slow, signal)) / newest


@feature(lookback=lambda window: window, least={"window": 2}, arrays=True)
def trend_slope(close: Sequence[V], *, window: int = 20) -> V:
    """Least-squares slope of the close per bar, over close_n; 0 when flat."""
    del window
    return slope(close) / close[-1]


@feature(lookback=lambda window: window + 1, least={"window": 2}, arrays=True)
def return_zscore(returns: Sequence[V], *, window: int = 20) -> V:
    """How many sample deviations the newest log return lies over the mean; 0 when all are equal."""
    del window
    shift, deviation = moments(returns)
    return ratio(-shift, deviation, when_zero=0.0)


@feature(lookback=lambda window: window, arrays=True)
def stochastic_k(high: Sequence[V], low: Sequence[V], close: Sequence[V], *, window: int = 14) -> V:
    """Lane's fast %K: 100 (close_n - lowest low)/(highest high - lowest low), 0 to 100.

    50 when there is no range at all.
    """
    del window
    bottom = lowest(low)
    return ratio(close[-1] - bottom, highest(high) - bottom, when_zero=0.5) * 100.0


@feature(lookback=lambda window: window, arrays=True)
def williams_r(high: Sequence[V], low: Sequence[V], close: Sequence[V], *, window: int = 14) -> V:
    """Williams %R: -100 (highest high - close_n)/(highest high - lowest low), -100 to 0.

    -50 when there is no range at all.
    """
    del window
    top = highest(high)
    return ratio(top - close[-1], top - lowest(low), when_zero=0.5) * -100.0


@feature(lookback=lambda window: window, least={"window": 2}, arrays=True)
def cci(high: Sequence[V], low: Sequence[V], close: Sequence[V], *, window: int = 20) -> V:
    """Commodity channel index (Lambert, 1980): (p_n - mean p)/(0.015 · mean |p - mean p|).

    p = (high + low + close)/3; without unit, mostly within ±200; 0 when p does not move.
    """
    offs = offsets(typical_prices(high, low, close))
    spread = total([abs(off) for off in offs]) / window
    return ratio(offs[-1], spread * 0.015, when_zero=0.0)


@feature(lookback=lambda window: window + 1, arrays=True)
def efficiency_ratio(close: Sequence[V], *, window: int = 10) -> V:
    """Kaufman's (1995): |close_n - close_0| over the sum of |moves|, 0 to 1; 0 when flat."""
    del window
    way = total([abs(move) for move in changes(close)])
    return ratio(abs(close[-1] - close[0]), way, when_zero=0.0)


@feature(lookback=lambda window: window + 1, arrays=True)
def donchian_position(
    high: Sequence[V], low: Sequence[V], close: Sequence[V], *, window: int = 20
) -> V:
    """Where the close stands in the channel of the `window` bars before: 0 bottom, 1 top.

    Outside 0 to 1 on a breakout; 0.5 when the channel has no width.
    """
    del window
    bottom = lowest(low[:-1])
    return ratio(close[-1] - bottom, highest(high[:-1]) - bottom, when_zero=0.5)


@feature(lookback=lambda window: window + 1, arrays=True)
def aroon(high: Sequence[V], low: Sequence[V], *, window: int = 25) -> V:
    """Aroon oscillator (Chande, 1995): 100 (age of the low - age of the high)/window, ±100.

    Of equal extremes the newest counts, so 0 when flat.
    """
    return (_age_of_lowest(low) - _age_of_lowest([-value for value in high])) / window * 100.0


@feature(lookback=lambda window: window + 1, arrays=True)
def streak(close: Sequence[V], *, window: int = 10) -> V:
    """How many bars in a row closed in the newest bar's direction, negative for falls; ±window.

    0 when the newest bar did not move.
    """
    del window
    signs = [
        choose(move > 0.0, 1.0, choose(move < 0.0, -1.0, move * 0.0)) for move in changes(close)
    ]
    newest = signs[-1]
    going = newest * newest
    length = going
    for sign in signs[-2::-1]:
        going = choose(sign == newest, going, going * 0.0)
        length = length + going
    return newest * length


@feature(lookback=lambda window: window + 1, arrays=True)
def relative_strength(close: Sequence[V], reference_close: Sequence[V], *, window: int = 24) -> V:
    """Log return over `window` bars less that of the reference, a ratio; 0 when both are flat."""
    del window
    return log(close[-1] / close[0]) - log(reference_close[-1] / reference_close[0])


def typical_prices(high: Sequence[V], low: Sequence[V], close: Sequence[V]) -> list[V]:
    """(high + low + close)/3 of every bar."""
    return [(h + b + c) / 3.0 for h, b, c in zip(high, low, close, strict=True)]


@lru_cache(maxsize=256)
def decaying(alpha: float, length: int) -> tuple[float, ...]:
    """Weights (1 - alpha)^k, oldest first, k = 0 the newest, scaled to a sum of one."""
    powers = [1.0]
    for _ in range(length - 1):
        powers.append(powers[-1] * (1.0 - alpha))
    whole = total(powers)
    return tuple(power / whole for power in reversed(powers))


@lru_cache(maxsize=256)
def _histogram_weights(fast: int, slow: int, signal: int) -> tuple[float, ...]:
    length = EMA_SPANS * max(fast, slow)
    quick = decaying(2.0 / (fast + 1), EMA_SPANS * fast)
    calm = decaying(2.0 / (slow + 1), EMA_SPANS * slow)
    of_macd = [0.0] * length
    for weights, sign in ((quick, 1.0), (calm, -1.0)):
        for place, weight in enumerate(weights, length - len(weights)):
            of_macd[place] += sign * weight
    averaging = decaying(2.0 / (signal + 1), EMA_SPANS * signal)
    whole = [0.0] * (length + len(averaging) - 1)
    for start, share in enumerate(averaging):
        for place, weight in enumerate(of_macd):
            whole[start + place] -= share * weight
    for place, weight in enumerate(of_macd, len(averaging) - 1):
        whole[place] += weight
    return tuple(whole)


def _above_newest(close: Sequence[V], alpha: float) -> V:
    """How far the weighted mean lies above the newest close: exactly 0 where all are equal."""
    newest = close[-1]
    return weighted([value - newest for value in close], decaying(alpha, len(close)))


def _age_of_lowest(values: Sequence[V]) -> V:
    bottom = values[-1]
    age = bottom * 0.0
    for bars_ago, value in enumerate(values[-2::-1], 1):
        is_lower = value < bottom
        bottom = choose(is_lower, value, bottom)
        age = choose(is_lower, float(bars_ago), age)
    return age
