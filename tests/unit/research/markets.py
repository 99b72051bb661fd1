"""Small synthetic markets whose truth is known, for the tests of research."""

import numpy as np

from daemon.research.series import FloatArray, Series

HOUR_NS = 3_600_000_000_000
START_NS = 1_704_067_200_000_000_000  # 2024-01-01T00:00Z


def a_series(closes: FloatArray, volumes: FloatArray | None = None, symbol: str = "A/Q") -> Series:
    """Hourly bars through these closes, each opening at the close before it."""
    opens = np.concatenate([closes[:1], closes[:-1]])
    volume = np.full(len(closes), 10.0) if volumes is None else volumes
    ohlcv = np.column_stack(
        [
            opens,
            np.maximum(opens, closes) * 1.001,
            np.minimum(opens, closes) * 0.999,
            closes,
            volume,
        ]
    )
    open_ns = START_NS + HOUR_NS * np.arange(len(closes), dtype=np.int64)
    return Series(symbol, open_ns, ohlcv, HOUR_NS)


def without(series: Series, rows: list[int]) -> Series:
    """The same bars with some of them missing."""
    kept = np.setdiff1d(np.arange(len(series.open_ns)), rows)
    return Series(series.symbol, series.open_ns[kept], series.ohlcv[kept], series.timeframe_ns)


def a_random_walk(bars: int, seed: int, symbol: str = "A/Q") -> Series:
    """No edge: independent returns with fat tails and clustered volatility."""
    rng = np.random.default_rng(seed)
    volatility = 0.005 * np.exp(0.3 * np.sin(np.arange(bars) / 50.0))
    returns = volatility * rng.standard_t(4, bars)
    return a_series(100.0 * np.exp(np.cumsum(returns)), rng.lognormal(3.0, 0.5, bars), symbol)


def a_market_with_edge(bars: int, seed: int, strength: float = 0.7, symbol: str = "A/Q") -> Series:
    """A planted edge that minus the last return alone cannot see.

    After a bar of high volume the move goes on, after one of low volume it turns round, each with
    probability 0.5 + strength / 2; over all bars that is no autocorrelation at all.
    """
    rng = np.random.default_rng(seed)
    high = rng.random(bars) < 0.5
    follows = np.where(rng.random(bars) < 0.5 + strength / 2, 1.0, -1.0)
    sizes = 0.01 * (0.25 + rng.random(bars))
    signs = np.ones(bars)
    for t in range(1, bars):
        signs[t] = signs[t - 1] * follows[t] * (1.0 if high[t - 1] else -1.0)
    volumes = np.where(high, 100.0, 10.0) * (0.9 + 0.2 * rng.random(bars))
    return a_series(100.0 * np.exp(np.cumsum(signs * sizes)), volumes, symbol)
