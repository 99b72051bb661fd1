"""Plans: turns a feature set into functions of slices of columns, made once and used for every row.

Belongs here: which columns a set reads, how deep, and what is put around a formula: longer bars, a
user's plain formula asked window by window. Walking over bars belongs to `matrix`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from daemon.layers.features.arithmetic import V, highest, log, lowest, total
from daemon.layers.features.kernels import BUILT_IN
from daemon.layers.features.registry import (
    REFERENCE_PREFIX,
    SPANNING_COLUMNS,
    Kernel,
)
from daemon.layers.features.sets import Feature, FeatureSet, column_base

# Whose column it is (None: one's own), and which.
Key = tuple[str | None, str]


@dataclass(frozen=True, eq=False)
class Value:
    """A feature as a function of slices of the columns."""

    function: Callable[..., Any]
    slices: tuple[tuple[int, slice], ...]  # which column, and its newest values


@dataclass(frozen=True, eq=False)
class Plan:
    lookback: int
    columns: tuple[Key, ...]
    depths: tuple[int, ...]  # bars that the deepest reader of each column needs
    values: tuple[Value, ...]


def plan_of(features: FeatureSet, *, is_guarded: bool = True) -> Plan:
    """The plan of a set; without guards, what a user's formula raises is raised."""
    return _planned(_Same(features), is_guarded)


@dataclass(frozen=True, eq=False)
class _Same:
    """A set compared by identity: two sets may look alike and hold other formulas."""

    features: FeatureSet

    def __hash__(self) -> int:
        return id(self.features)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.features is self.features


@lru_cache(maxsize=256)
def _planned(same: _Same, is_guarded: bool) -> Plan:
    features = same.features
    depths: dict[Key, int] = {}
    reads: list[tuple[Feature, list[Key]]] = []
    for each in features.features:
        keys = _keys(features.kernels[each.kernel], each)
        reads.append((each, keys))
        for key in keys:
            depths[key] = max(depths.get(key, 0), features.lookback_of(each))
    columns = tuple(depths)
    places = {key: place for place, key in enumerate(columns)}
    values = []
    for each, keys in reads:
        need = features.lookback_of(each)
        slices = tuple((places[key], _newest(key, need, depths[key])) for key in keys)
        values.append(Value(_function(features, each, is_guarded), slices))
    return Plan(features.lookback, columns, tuple(depths.values()), tuple(values))


def _keys(kernel: Kernel, feature: Feature) -> list[Key]:
    """What is read: on longer bars the bars themselves, since everything else follows from them."""
    if feature.every_bars == 1:
        return [_key(name, feature) for name in kernel.reads]
    found = dict.fromkeys(
        _key(prefix + base, feature)
        for name in kernel.reads
        for prefix in [REFERENCE_PREFIX if name.startswith(REFERENCE_PREFIX) else ""]
        for base in _made_of(column_base(name))
    )
    return list(found)


def _key(name: str, feature: Feature) -> Key:
    is_reference = name.startswith(REFERENCE_PREFIX)
    return (feature.reference if is_reference else None), column_base(name)


def _made_of(base: str) -> tuple[str, ...]:
    made_of = {
        "returns": ("close",),
        "gaps": ("open", "close"),
        "log_high": ("open", "high"),
        "log_low": ("open", "low"),
        "log_close": ("open", "close"),
    }
    return made_of.get(base, (base,))


def _newest(key: Key, need: int, depth: int) -> slice:
    return slice(depth - need, values_of(key, depth))


def values_of(key: Key, bars: int) -> int:
    """A column that spans two bars holds one value less than its bars."""
    return bars - 1 if key[1] in SPANNING_COLUMNS else bars


def _function(features: FeatureSet, feature: Feature, is_guarded: bool) -> Callable[..., Any]:
    kernel = features.kernels[feature.kernel]
    parameters: dict[str, Any] = dict(feature.parameters)
    if kernel.takes_context:
        parameters["bars_per_year"] = features.bars_per_year / feature.every_bars
    function: Callable[..., Any] = partial(kernel.function, **parameters)
    if is_guarded and kernel.is_plain:
        function = partial(_one_window_at_a_time, function)
    elif is_guarded and kernel.name not in BUILT_IN:
        function = partial(_guarded, function)
    if feature.every_bars > 1:
        keys = _keys(kernel, feature)
        function = partial(_on_longer_bars, function, kernel, feature, keys)
    return function


# --- formulas that need help ----------------------------------------------------------------------


def _one_window_at_a_time(function: Callable[..., Any], *columns: Sequence[Any]) -> Any:
    """A formula for plain floats, asked for every window there is."""
    first = columns[0][0]
    if isinstance(first, float):
        return _as_float(function, [list(column) for column in columns])
    flat = [np.stack([place.ravel() for place in column], axis=-1).tolist() for column in columns]
    values = [_as_float(function, windows) for windows in zip(*flat, strict=True)]
    return np.array(values).reshape(first.shape)


def _as_float(function: Callable[..., Any], windows: Sequence[list[float]]) -> float:
    # Somebody else's formula may do anything with a window it was not written for. What it cannot
    # compute is no number, so the bar is refused and the daemon lives; check-features says why.
    try:
        return float(function(*windows))
    except Exception:  # noqa: BLE001  # whatever it is, there is no value
        return math.nan


def _guarded(function: Callable[..., Any], *columns: Sequence[Any]) -> Any:
    first = columns[0][0]
    try:
        with np.errstate(all="ignore"):
            value = function(*columns)
            if isinstance(first, float):
                return float(value)
            return np.broadcast_to(np.asarray(value, dtype=np.float64), first.shape)
    except Exception:  # noqa: BLE001  # as in _as_float
        return math.nan if isinstance(first, float) else np.full(first.shape, math.nan)


def _on_longer_bars(
    function: Callable[..., Any],
    kernel: Kernel,
    feature: Feature,
    keys: Sequence[Key],
    *columns: Sequence[Any],
) -> Any:
    """The formula on bars of `every_bars` bars, the last of which ends with the newest bar."""
    longer: dict[Key, list[Any]] = {
        key: _joined(key[1], column, feature.every_bars)
        for key, column in zip(keys, columns, strict=True)
    }
    return function(*(_column(_key(name, feature), longer) for name in kernel.reads))


def _joined(base: str, column: Sequence[V], every: int) -> list[V]:
    pieces = [column[start : start + every] for start in range(0, len(column), every)]
    if base == "open":
        return [piece[0] for piece in pieces]
    if base == "high":
        return [highest(piece) for piece in pieces]
    if base == "low":
        return [lowest(piece) for piece in pieces]
    if base == "volume":
        return [total(piece) for piece in pieces]
    return [piece[-1] for piece in pieces]  # close, and when it closed


def _column(key: Key, bars: Mapping[Key, Sequence[V]]) -> Sequence[V]:
    """One column as values of each bar, made of the bars where it is not one of them."""
    whose, base = key
    if base in SPANNING_COLUMNS:
        newer = bars[whose, "close" if base == "returns" else "open"][1:]
        return [log(new / old) for new, old in zip(newer, bars[whose, "close"], strict=False)]
    if base in {"log_high", "log_low", "log_close"}:
        ends, starts = bars[whose, base.removeprefix("log_")], bars[whose, "open"]
        return [log(end / start) for end, start in zip(ends, starts, strict=True)]
    return bars[key]
