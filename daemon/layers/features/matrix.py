"""Rows of feature sets: walks windows over bars, with the same bits wherever a row is asked for.

Belongs here: which bars a formula sees, and how few or many windows are computed at once. Formulas
belong to `kernels`, the state of live windows to `handler`.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import cast

import numpy as np
from numpy.typing import NDArray

from daemon.core.timeframes import NS_PER_S
from daemon.layers.features.arithmetic import Array, V, log
from daemon.layers.features.plans import Key, Plan, plan_of, values_of
from daemon.layers.features.registry import BASE_COLUMNS, SPANNING_COLUMNS, TIME_COLUMN
from daemon.layers.features.sets import FeatureSet

COLUMNS = len(BASE_COLUMNS)
# Inside these bounds no sum or product over a window overflows; zero is a volume, not a price.
LOWEST = np.array([1e-100, 1e-100, 1e-100, 1e-100, 0.0])
HIGHEST = np.full(COLUMNS, 1e100)
# Few rows are faster as plain floats than as arrays; many are faster as arrays in the CPU's cache.
SCALAR_ROWS_MAX = 8
BLOCK_ROWS = 4_096

# Bars (series, n, 5) of one's own under None, and of each reference under its symbol.
Parts = dict[str | None, Array]
NO_REFERENCES: Mapping[str, Array] = {}


def feature_matrix(
    features: FeatureSet,
    ohlcv: Array,
    close_time_s: Array | None = None,
    references: Mapping[str, Array] = NO_REFERENCES,
) -> Array:
    """Rows (..., n - lookback + 1, k) of contiguous bars (..., n, 5), which are open, high, low,
    close, volume.

    `close_time_s` (..., n) is needed by sets that read it; `references` holds for each symbol the
    set reads the bars (..., n, 5) of the same slots, NaN where there is none.

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
    shape = (series, bars, COLUMNS)
    parts = {None: ohlcv.reshape(shape), **_beside(features, ohlcv, references, shape)}
    times = _times(features, ohlcv, close_time_s)
    broken = _mask_broken(parts)
    plan = plan_of(features)
    if series * rows <= SCALAR_ROWS_MAX:
        out = _rows_as_floats(plan, parts, times, rows)
    else:
        out = _rows_as_arrays(plan, parts, times, rows)
    if broken is not None:
        for offset in range(features.lookback):
            np.copyto(out, np.nan, where=broken[:, offset : offset + rows])
    return out.reshape(*batch, rows, width)


def close_times_s(close_ns: NDArray[np.int64]) -> Array:
    """Times in ns as whole seconds, which a float holds exactly; the grid has no finer ones."""
    return (close_ns // NS_PER_S).astype(np.float64)


def _beside(
    features: FeatureSet, ohlcv: Array, references: Mapping[str, Array], shape: tuple[int, ...]
) -> Parts:
    for symbol in features.references:
        if symbol not in references or references[symbol].shape != ohlcv.shape:
            raise ValueError(f"feature set {features.name} needs the bars of {symbol} beside")
    return {symbol: references[symbol].reshape(shape) for symbol in features.references}


def _times(features: FeatureSet, ohlcv: Array, close_time_s: Array | None) -> Array | None:
    if not features.reads_time:
        return None
    if close_time_s is None or close_time_s.shape != ohlcv.shape[:-1]:
        raise ValueError(f"feature set {features.name} needs the time each bar closed")
    return close_time_s.reshape(-1, ohlcv.shape[-2])


def _mask_broken(parts: Parts) -> Array | None:
    """Puts ones where a bar cannot be used, and says where that was, (series, n, 1)."""
    broken: Array | None = None
    for symbol, part in parts.items():
        sound = (part >= LOWEST) & (part <= HIGHEST)
        if not sound.all():
            bad = np.logical_or.reduce(~sound, axis=-1, keepdims=True)
            broken = bad if broken is None else broken | bad
            parts[symbol] = np.where(bad, 1.0, part)
    return broken


def unguarded_value(
    features: FeatureSet,
    ohlcv: Array,
    close_time_s: Array,
    references: Mapping[str, Array] = NO_REFERENCES,
) -> object:
    """What the formula of a set of one feature returns, or raises, for one sound window."""
    shape = (1, *ohlcv.shape)
    parts = {None: ohlcv.reshape(shape), **_beside(features, ohlcv, references, shape)}
    plan = plan_of(features, is_guarded=False)
    columns = [
        _floats(base, parts[whose][0].tolist(), close_time_s.tolist(), depth)
        for (whose, base), depth in zip(plan.columns, plan.depths, strict=True)
    ]
    value: object = _values(plan, columns)[0]
    return value


# --- few windows, as floats -----------------------------------------------------------------------


def _rows_as_floats(plan: Plan, parts: Parts, times: Array | None, rows: int) -> Array:
    series = len(parts[None])
    bars = {symbol: part.tolist() for symbol, part in parts.items()}
    clocks = None if times is None else times.tolist()
    out: list[list[float]] = []
    for number in range(series):
        clock = None if clocks is None else clocks[number]
        columns = [
            _floats(base, bars[whose][number], clock, depth + rows - 1)
            for (whose, base), depth in zip(plan.columns, plan.depths, strict=True)
        ]
        out.extend(
            _values(plan, columns if rows == 1 else _from(row, plan, columns))
            for row in range(rows)
        )
    return np.array(out).reshape(series, rows, -1)


def _floats(
    base: str, bars: Sequence[Sequence[float]], clock: Sequence[float] | None, depth: int
) -> list[float]:
    recent = bars[-depth:]
    if base == "returns":
        return [math.log(new[3] / old[3]) for old, new in pairwise(recent)]
    if base == "gaps":
        return [math.log(new[0] / old[3]) for old, new in pairwise(recent)]
    if base == TIME_COLUMN:
        assert clock is not None, "asked for by feature_matrix"
        return list(clock[-depth:])
    if base in BASE_COLUMNS:
        place = BASE_COLUMNS.index(base)
        return [bar[place] for bar in recent]
    place = BASE_COLUMNS.index(base.removeprefix("log_"))
    return [math.log(bar[place] / bar[0]) for bar in recent]


def _from(row: int, plan: Plan, columns: Sequence[list[float]]) -> list[list[float]]:
    return [column[row : row + depth] for column, depth in zip(columns, plan.depths, strict=True)]


def _values(plan: Plan, columns: Sequence[Sequence[V]]) -> list[V]:
    return [
        value.function(*[columns[place][part] for place, part in value.slices])
        for value in plan.values
    ]


# --- many windows, as arrays ----------------------------------------------------------------------


def _rows_as_arrays(plan: Plan, parts: Parts, times: Array | None, rows: int) -> Array:
    # Time comes first, so that the same place of all windows lies together in memory.
    bars: dict[Key, Array] = {}
    columns = []
    for key, depth in zip(plan.columns, plan.depths, strict=True):
        whole = _arrays(key, parts, times, bars)
        columns.append(whole[len(whole) - values_of(key, depth) - rows + 1 :])
    series = len(parts[None])
    out = np.empty((series, rows, len(plan.values)))
    step = max(1, BLOCK_ROWS // series)
    for first in range(0, rows, step):
        stop = min(rows, first + step)
        places = [
            [column[first + place : stop + place] for place in range(len(column) - rows + 1)]
            for column in columns
        ]
        for number, value in enumerate(_values(plan, places)):
            out[:, first:stop, number] = value.T
    return out


def _arrays(key: Key, parts: Parts, times: Array | None, bars: dict[Key, Array]) -> Array:
    if key in bars:
        return bars[key]
    whose, base = key
    if base == TIME_COLUMN:
        made = np.ascontiguousarray(cast("Array", times).T)
    elif base in BASE_COLUMNS:
        made = np.ascontiguousarray(parts[whose][..., BASE_COLUMNS.index(base)].T)
    elif base in SPANNING_COLUMNS:
        newer = _arrays((whose, "close" if base == "returns" else "open"), parts, times, bars)
        made = log(newer[1:] / _arrays((whose, "close"), parts, times, bars)[:-1])
    else:
        ends = _arrays((whose, base.removeprefix("log_")), parts, times, bars)
        made = log(ends / _arrays((whose, "open"), parts, times, bars))
    bars[key] = made
    return made
