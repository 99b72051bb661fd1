"""Bars for the tests of layers 2 and 3: random walks with what breaks careless code in them."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from daemon.core.bars import Bar, BarQuality, BarSource
from daemon.core.instruments import InstrumentId
from daemon.core.timeframes import timeframe_ns

Array = NDArray[np.float64]
HOUR_NS = timeframe_ns("1h")
BTC = InstrumentId("embedded", "BTC/USDT")
ETH = InstrumentId("embedded", "ETH/USDT")
STRETCHES = ("move", "flat", "steady_volume", "no_volume", "price_spike", "volume_spike")


def a_walk(bars: int, seed: int = 1, scale: float = 100.0) -> Array:
    """(n, 5) bars of a random walk that moves about one per cent a bar."""
    random = np.random.default_rng(seed)
    close = scale * np.exp(np.cumsum(random.normal(0.0, 0.01, bars)))
    volume = random.lognormal(2.0, 1.0, bars)
    return np.stack([close * 0.999, close * 1.01, close * 0.99, close, volume], axis=-1)


@st.composite
def rough_walks(draw: st.DrawFn, bars_min: int = 20, bars_max: int = 160) -> Array:
    """(n, 5) bars with flat stretches, equal volumes, and prices and volumes far off."""
    bars = draw(st.integers(bars_min, bars_max))
    scale = draw(st.sampled_from([1e-8, 0.07, 1.0, 31_415.9, 1e9]))
    ohlcv = a_walk(bars, draw(st.integers(0, 2**32 - 1)), scale)
    for _ in range(draw(st.integers(0, 4))):
        first = draw(st.integers(0, bars - 1))
        stretch = ohlcv[first : first + draw(st.integers(1, 40))]
        match draw(st.sampled_from(STRETCHES)):
            case "flat":
                stretch[:, :4] = stretch[0, 3]
            case "steady_volume":
                stretch[:, 4] = stretch[0, 4]
            case "no_volume":
                stretch[:, 4] = 0.0
            case "price_spike":
                stretch[0, :4] *= 1e6
            case "volume_spike":
                stretch[0, 4] = 1e15
    return ohlcv


def a_bar(
    slot: int,
    values: Array,
    instrument: InstrumentId = BTC,
    quality: BarQuality = BarQuality.OK,
) -> Bar:
    """The hourly bar of grid slot `slot` with (open, high, low, close, volume) `values`."""
    first, high, low, close, volume = values.tolist()
    return Bar(
        instrument=instrument,
        open_ns=slot * HOUR_NS,
        close_ns=(slot + 1) * HOUR_NS,
        open=first,
        high=high,
        low=low,
        close=close,
        volume=volume,
        received_ns=(slot + 1) * HOUR_NS + 7,
        source=BarSource.STREAM,
        quality=quality,
    )
