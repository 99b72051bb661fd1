"""Golden bars: fixed bars that hold what is hard to compute, and the proof that bits do not differ.

Belongs here: what is checked at every start, for built-in and for a user's own features alike.
Checking a set on real bars belongs to research.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from daemon.core.errors import CheckFailed
from daemon.layers.features.arithmetic import Array
from daemon.layers.features.matrix import COLUMNS, feature_matrix, unguarded_value
from daemon.layers.features.sets import FeatureSet

EXTRA_BARS = 70
FIRST_CLOSE_S = 1_704_070_800.0  # 2024-01-01T01:00Z, a Monday
HOUR_S = 3_600.0


def golden_bars(bars: int, shift: int = 0) -> Array:
    """Fixed bars (n, 5): moves, a flat stretch, equal volumes, none, and a spike, not random.

    `shift` makes another instrument of it.
    """
    out = np.empty((bars, COLUMNS))
    before = 64.0
    for k in range(bars):
        is_flat = bars - 34 <= k < bars - 10
        spike = 500.0 if k == 9 + shift else 0.0
        close = 64.0 if is_flat else 64.0 + ((k + shift) ** 2 * 37 % 211) / 16 + spike
        opened = close if is_flat else before + (k % 3) * 0.125
        reach = 0.0 if is_flat else 0.25 + (k * k * 11 % 7) / 8
        high, low = max(opened, close) + reach, min(opened, close) - reach * 0.75
        volume = 3.1 if bars - 30 <= k < bars - 6 else float((k + shift) ** 2 * 101 % 997)
        volume = 0.0 if bars - 60 <= k < bars - 34 else volume
        out[k] = opened, high, low, close, volume
        before = close
    return out


def golden_rows(features: FeatureSet) -> Array:
    """The set's rows over all golden bars, (EXTRA_BARS + 1, k)."""
    return _rows(features, *_inputs(features))


def golden_check(features: FeatureSet) -> None:
    """Prove on fixed bars that every way of asking for rows gives the same bits on this machine,
    and that every feature is a finite number there.

    Raises `CheckFailed` naming the feature and the way. Takes milliseconds; run it at every start.
    """
    bars, times, others = _inputs(features)
    whole = _rows(features, bars, times, others)
    for way, rows in _ways(features, bars, times, others, whole):
        if rows.tobytes() != whole.tobytes():
            column = _first_column(rows, whole)
            raise CheckFailed(
                f"feature set {features.name}: {way} gives other numbers for "
                f"{features.names[column]} than in full"
            )
    problem = _not_a_number(features, whole)
    if problem:
        raise CheckFailed(f"feature set {features.name}: {problem}")


def formula_problem(features: FeatureSet) -> str:
    """What a formula raises on the golden bars, or that it has no value there; empty when fine."""
    return _not_a_number(features, golden_rows(features))


def _not_a_number(features: FeatureSet, whole: Array) -> str:
    if np.isfinite(whole).all():
        return ""
    row, column = np.argwhere(~np.isfinite(whole))[0].tolist()
    alone = features.alone(features.features[column])
    bars, times, others = _inputs(features)
    part = slice(row + features.lookback - alone.lookback, row + features.lookback)
    beside = {symbol: other[part] for symbol, other in others.items()}
    try:
        unguarded_value(alone, bars[part], times[part], beside)
    except Exception as error:  # noqa: BLE001  # the formula is somebody else's
        found = f"raises {type(error).__name__}: {error}"
    else:
        found = f"is {whole[row, column]}"
    return (
        f"{features.names[column]} {found}, on the golden bars, which hold a flat stretch and bars "
        "without volume"
    )


def _ways(
    features: FeatureSet, bars: Array, times: Array, others: Mapping[str, Array], whole: Array
) -> Iterator[tuple[str, Array]]:
    span = features.lookback
    starts = range(len(whole))

    def cut(first: int, stop: int) -> Array:
        parts = {symbol: part[first:stop] for symbol, part in others.items()}
        return _rows(features, bars[first:stop], times[first:stop], parts)

    yield "one window at a time", np.concatenate([cut(start, start + span) for start in starts])
    # Backwards, so that whoever counts on its neighbours or on earlier calls is found.
    backwards = list(reversed(starts))
    batch = feature_matrix(
        features,
        np.stack([bars[start : start + span] for start in backwards]),
        np.stack([times[start : start + span] for start in backwards]),
        {
            symbol: np.stack([part[start : start + span] for start in backwards])
            for symbol, part in others.items()
        },
    )
    yield "all windows as one batch, backwards,", batch[::-1, 0]
    turned = {symbol: np.asfortranarray(part) for symbol, part in others.items()}
    yield "column-major storage", _rows(features, np.asfortranarray(bars), times, turned)
    half = min(span // 2, EXTRA_BARS // 2)
    yield "the second half alone", np.concatenate([whole[:half], cut(half, len(bars))])


def _inputs(features: FeatureSet) -> tuple[Array, Array, dict[str, Array]]:
    count = features.lookback + EXTRA_BARS
    bars = golden_bars(count)
    times: Array = FIRST_CLOSE_S + HOUR_S * np.arange(count, dtype=np.float64)
    others = {
        symbol: golden_bars(count, shift) for shift, symbol in enumerate(features.references, 1)
    }
    return bars, times, others


def _rows(features: FeatureSet, bars: Array, times: Array, others: Mapping[str, Array]) -> Array:
    return feature_matrix(features, bars, times, others)


def _first_column(rows: Array, whole: Array) -> int:
    different = rows.view(np.uint64) != whole.view(np.uint64)
    column: int = int(np.argmax(different.any(axis=0)))
    return column
