"""Feature sets: turns a declaration and bars into rows, with the same bits wherever it is asked.

Belongs here: parameters, names, the walk over windows and the proof that bits do not differ.
Formulas belong to `kernels`, the state of live windows to `handler`.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from daemon.core.errors import CheckFailed
from daemon.core.timeframes import bars_per_year, timeframe_ns
from daemon.layers.features.kernels import (
    Array,
    V,
    band_width,
    logarithms,
    newest_zscore,
    rsi,
    volatility,
)

COLUMNS = 5
CLOSE, VOLUME = 3, 4
# Inside these bounds no sum or product over a window overflows; zero is a volume, not a price.
LOWEST = np.array([1e-100, 1e-100, 1e-100, 1e-100, 0.0])
HIGHEST = np.full(COLUMNS, 1e100)
# Few rows are faster as plain floats than as arrays; many are faster as arrays in the CPU's cache.
SCALAR_ROWS_MAX = 8
BLOCK_ROWS = 4_096
GOLDEN_EXTRA_BARS = 44


@dataclass(frozen=True)
class FeatureSet:
    """What is computed from bars, by name and parameters; windows are counted in bars."""

    name: str
    version: str
    bars_per_year: float
    rsi_period: int = 14
    bb_period: int = 20
    volatility_window: int = 10
    volume_window: int = 20
    lags: tuple[int, ...] = (0, 1, 2, 3, 5, 10)

    def __post_init__(self) -> None:
        if self.rsi_period < 1 or min(self._windows) < 2:
            raise ValueError(
                f"feature set {self.name}: a deviation needs a window of 2 or more bars"
            )
        if not self.lags or list(self.lags) != sorted(set(self.lags)) or self.lags[0] < 0:
            raise ValueError(f"feature set {self.name}: lags must rise from 0 or more: {self.lags}")
        if not (math.isfinite(self.bars_per_year) and self.bars_per_year > 0):
            raise ValueError(f"feature set {self.name}: bars_per_year must be positive")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in their order."""
        lags = (f"lag_{lag}" for lag in self.lags)
        return ("rsi", "bb_width", "volatility", "vol_zscore", *lags)

    @cached_property
    def lookback(self) -> int:
        """How many bars one row is made of: exactly these, none before and none after."""
        return max(self.rsi_period, self.bb_period - 1, self.volume_window - 1, self.returns) + 1

    @cached_property
    def returns(self) -> int:
        """How many of the newest log returns a row needs."""
        return max(self.volatility_window, self.lags[-1] + 1)

    @cached_property
    def fingerprint(self) -> str:
        """Hex SHA-256 of the declaration and of the exact numbers it gives on fixed bars.

        A changed parameter, formula or order of operations changes it, and so which models fit.
        """
        told = asdict(self) | {"bars_per_year": float(self.bars_per_year)}
        declaration = json.dumps(told, sort_keys=True, separators=(",", ":"))
        golden = feature_matrix(self, golden_bars(self))
        return hashlib.sha256(declaration.encode() + golden.astype("<f8").tobytes()).hexdigest()

    @property
    def _windows(self) -> tuple[int, int, int]:
        return self.bb_period, self.volatility_window, self.volume_window


def reference_features(timeframe: str) -> FeatureSet:
    """The reference set for bars of this length ("1h"), on a market that never closes."""
    return FeatureSet(
        name="reference", version="1", bars_per_year=bars_per_year(timeframe_ns(timeframe))
    )


def feature_matrix(features: FeatureSet, ohlcv: Array) -> Array:
    """Rows (..., n - lookback + 1, k) of contiguous bars (..., n, 5), which are open, high, low,
    close, volume.

    Row i is made of bars i to i + lookback - 1 and of nothing else, bit for bit whatever surrounds
    them. A row over a bar with a value that is not finite or not positive is NaN throughout; zero
    volume is fine. Fewer than `lookback` bars give no rows. ValueError on other shapes or types.
    """
    if ohlcv.dtype != np.float64 or ohlcv.ndim < 2 or ohlcv.shape[-1] != COLUMNS:
        raise ValueError(f"bars must be float64 (..., n, 5), not {ohlcv.dtype} {ohlcv.shape}")
    *batch, bars, _ = ohlcv.shape
    rows = max(0, bars - features.lookback + 1)
    width = len(features.names)
    series = math.prod(batch)
    if series * rows == 0:
        return np.empty((*batch, rows, width))
    flat = ohlcv.reshape(series, bars, COLUMNS)
    sound = (flat >= LOWEST) & (flat <= HIGHEST)
    if sound.all():
        return _rows(features, flat, rows).reshape(*batch, rows, width)
    broken = np.logical_or.reduce(~sound, axis=-1, keepdims=True)
    out = _rows(features, np.where(broken, 1.0, flat), rows)
    for offset in range(features.lookback):
        np.copyto(out, np.nan, where=broken[:, offset : offset + rows])
    return out.reshape(*batch, rows, width)


def golden_bars(features: FeatureSet) -> Array:
    """Fixed bars (n, 5): moves, a flat stretch, equal volumes and a spike, without randomness."""
    bars = features.lookback + GOLDEN_EXTRA_BARS
    out = np.empty((bars, COLUMNS))
    for k in range(bars):
        is_flat = bars - 34 <= k < bars - 10
        close = 64.0 if is_flat else 64.0 + (k * k * 37 % 211) / 16 + (500.0 if k == 9 else 0.0)
        volume = 3.1 if bars - 30 <= k < bars - 6 else float(k * k * 101 % 997)
        out[k] = close - 0.25, close + 0.5, close - 0.5, close, volume
    return out


def golden_check(features: FeatureSet) -> None:
    """Prove on fixed bars that every way of asking for rows gives the same bits on this machine.

    Raises `CheckFailed` naming the way that differs. Takes milliseconds; run it at every start.
    """
    bars = golden_bars(features)
    span = features.lookback
    whole = feature_matrix(features, bars)
    starts = range(len(whole))
    windows = np.stack([bars[start : start + span] for start in starts])
    ways = {
        "one window at a time": np.concatenate([feature_matrix(features, one) for one in windows]),
        "all windows as one batch": feature_matrix(features, windows)[:, 0],
        "column-major storage": feature_matrix(features, np.asfortranarray(bars)),
        "the second half alone": np.concatenate(
            [whole[: span // 2], feature_matrix(features, bars[span // 2 :])]
        ),
    }
    for way, rows in ways.items():
        if rows.tobytes() != whole.tobytes():
            raise CheckFailed(
                f"feature set {features.name}: {way} gives other numbers than in full"
            )


def _rows(features: FeatureSet, flat: Array, rows: int) -> Array:
    if len(flat) * rows <= SCALAR_ROWS_MAX:
        return _rows_as_floats(features, flat, rows)
    return _rows_as_arrays(features, flat, rows)


def _rows_as_floats(features: FeatureSet, flat: Array, rows: int) -> Array:
    span = features.lookback
    out: list[list[float]] = []
    for bars in flat.tolist():
        closes: list[float] = [bar[CLOSE] for bar in bars]
        volumes: list[float] = [bar[VOLUME] for bar in bars]
        recent = closes[span - 1 - features.returns :]
        returns = [math.log(new / old) for old, new in pairwise(recent)]
        for i in range(rows):
            window = closes[i : i + span], returns[i : i + features.returns], volumes[i : i + span]
            out.append(_row(features, *window))
    return np.array(out).reshape(len(flat), rows, -1)


def _rows_as_arrays(features: FeatureSet, flat: Array, rows: int) -> Array:
    # Time comes first, so that the same place of all windows lies together in memory.
    closes = np.ascontiguousarray(flat[..., CLOSE].T)
    volumes = np.ascontiguousarray(flat[..., VOLUME].T)
    recent = closes[features.lookback - 1 - features.returns :]
    returns = logarithms(recent[1:] / recent[:-1])
    out = np.empty((len(flat), rows, len(features.names)))
    step = max(1, BLOCK_ROWS // len(flat))
    for first in range(0, rows, step):
        stop = min(rows, first + step)
        columns = _row(
            features,
            _places(closes, first, stop, features.lookback),
            _places(returns, first, stop, features.returns),
            _places(volumes, first, stop, features.lookback),
        )
        for i, column in enumerate(columns):
            out[:, first:stop, i] = column.T
    return out


def _places(values: Array, first: int, stop: int, span: int) -> list[Array]:
    return [values[first + offset : stop + offset] for offset in range(span)]


def _row(
    features: FeatureSet, closes: Sequence[V], returns: Sequence[V], volumes: Sequence[V]
) -> list[V]:
    row = [
        rsi(closes[-features.rsi_period - 1 :]),
        band_width(closes[-features.bb_period :]),
        volatility(returns[-features.volatility_window :], features.bars_per_year),
        newest_zscore(volumes[-features.volume_window :]),
    ]
    row.extend([returns[-1 - lag] for lag in features.lags])
    return row
