"""Feature rows with their labels, of all symbols together, in the order of time.

How rows are made and lined up belongs here; what is learnt from them belongs in `walkforward`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from daemon.core.bars import ZeroVolume
from daemon.core.errors import TradingdError
from daemon.core.labels import LabelRule
from daemon.layers.features.matrix import close_times_s, feature_matrix
from daemon.layers.features.sets import FeatureSet
from daemon.research.labels import BoolArray, Labels, labels_of, log_ratio
from daemon.research.series import CLOSE, VOLUME, FloatArray, IntArray, Series, unbroken

DIRECTION = LabelRule()


class TrainingRefused(TradingdError):
    """There is nothing in this data that a model could honestly be made of; the text says why."""

    exit_code = 78


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """One line per labelled bar, sorted by decision time and then by symbol; times are UTC."""

    symbols: tuple[str, ...]
    timeframe_ns: int
    features: FloatArray  # (m, k)
    up: IntArray  # (m,) 1 or 0
    forward_log_return: FloatArray  # (m,) over the horizon
    last_log_return: FloatArray  # (m,) of the deciding bar: minus this is the baseline's score
    decided_ns: IntArray  # (m,)
    label_end_ns: IntArray  # (m,) when the outcome became known
    return_end_ns: IntArray  # (m,) when the return over the horizon became known
    teaches: BoolArray  # (m,) whether the row may be learnt from
    symbol: IntArray  # (m,) place in `symbols`
    bar: IntArray  # (m,) row of the deciding bar in its series

    def __len__(self) -> int:
        return len(self.up)


def labelled_rows(
    series: Sequence[Series],
    feature_set: FeatureSet,
    *,
    horizon_bars: int,
    rule: LabelRule = DIRECTION,
    dead_zone_ratio: float = 0.0,
    zero_volume: ZeroVolume = ZeroVolume.FLAG,
) -> Dataset:
    """Every bar whose window and label lie inside one unbroken run and whose features are finite.

    Where `zero_volume` is FLAG, bars in which nobody traded stand in windows, but none is decided
    at and none is an outcome: nobody could have traded at their prices.
    Raises `TrainingRefused` where the series do not belong together or give no row at all.
    """
    _require_one_market(series)
    by_name = {one.symbol: one for one in series}
    parts = []
    for number, one in enumerate(series):
        references = {
            symbol: reference_of(one, symbol, by_name) for symbol in feature_set.references
        }
        runs = unbroken(one, accepts_zero_volume=zero_volume is not ZeroVolume.REJECT)
        rows = feature_rows(one, runs, feature_set, references, zero_volume=zero_volume)
        labels = labels_of(one, runs, horizon_bars, rule, dead_zone_ratio=dead_zone_ratio)
        parts.append(_rows_of(one, number, labels, rows, zero_volume))
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if len(whole["up"]) == 0:
        raise TrainingRefused(
            f"no unbroken run is long enough for {feature_set.lookback} bars of features "
            f"and a horizon of {horizon_bars}"
        )
    order = np.lexsort((whole["symbol"], whole["decided_ns"]))
    return Dataset(
        symbols=tuple(one.symbol for one in series),
        timeframe_ns=series[0].timeframe_ns,
        **{name: column[order] for name, column in whole.items()},
    )


def reference_of(reader: Series, symbol: str, by_name: Mapping[str, Series]) -> Series:
    """The symbol's bars of the reader's exchange, which is in the names where there are several."""
    exchange, mark, _ = reader.symbol.partition(":")
    # A swap has a colon of its own, behind its slash.
    name = f"{exchange}:{symbol}" if mark and "/" not in exchange else symbol
    if name not in by_name:
        raise TrainingRefused(f"the features read {name}, and there are no bars of it")
    return by_name[name]


def feature_rows(
    series: Series,
    runs: Sequence[slice],
    feature_set: FeatureSet,
    references: Mapping[str, Series],
    *,
    zero_volume: ZeroVolume,
) -> FloatArray:
    """The features of every bar, (n, k): NaN where its window leaves its run, or a reference's.

    The baseline needs the bar before, so a lookback of one bar still needs two.
    """
    others = {
        symbol: beside(series, reference, zero_volume) for symbol, reference in references.items()
    }
    times_s = close_times_s(series.close_ns)
    rows = np.full((len(series.open_ns), len(feature_set.names)), np.nan)
    for run in runs:
        first = run.start + max(feature_set.lookback, 2) - 1
        if first < run.stop:
            part = slice(first + 1 - feature_set.lookback, run.stop)
            rows[first : run.stop] = feature_matrix(
                feature_set,
                series.ohlcv[part],
                times_s[part],
                {symbol: ohlcv[part] for symbol, ohlcv in others.items()},
            )
    return rows


def beside(series: Series, reference: Series, zero_volume: ZeroVolume) -> FloatArray:
    """The reference's bar of each slot of the series, (n, 5); NaN where it may not be looked at."""
    ohlcv = np.full((len(series.open_ns), 5), np.nan)
    usable = np.ones(len(reference.open_ns), dtype=np.bool_)
    if zero_volume is ZeroVolume.REJECT:
        usable = reference.ohlcv[:, VOLUME] > 0
    _, mine, theirs = np.intersect1d(
        series.open_ns, reference.open_ns[usable], assume_unique=True, return_indices=True
    )
    ohlcv[mine] = reference.ohlcv[usable][theirs]
    return ohlcv


def _require_one_market(series: Sequence[Series]) -> None:
    if not series:
        raise TrainingRefused("there is no series to learn from")
    for one in series:
        if len(one.open_ns) == 0:
            raise TrainingRefused(f"{one.symbol} has no bars")
    if len({one.timeframe_ns for one in series}) > 1:
        raise TrainingRefused("all series must have the same timeframe")
    if len({one.symbol for one in series}) < len(series):
        raise TrainingRefused("a symbol is there twice; join its parts first")


def _rows_of(
    series: Series, number: int, labels: Labels, rows: FloatArray, zero_volume: ZeroVolume
) -> "dict[str, FloatArray | IntArray | BoolArray]":
    usable = np.isfinite(rows[labels.row]).all(axis=1)
    if zero_volume is ZeroVolume.FLAG:
        volumes = series.ohlcv[:, VOLUME]
        usable &= (volumes[labels.row] > 0) & (volumes[labels.end_row] > 0)
    bar = labels.row[usable]
    closes = series.ohlcv[:, CLOSE]
    return {
        "features": rows[bar],
        "up": labels.up[usable],
        "forward_log_return": labels.forward_log_return[usable],
        "last_log_return": log_ratio(closes[bar], closes[bar - 1]),
        "decided_ns": labels.decided_ns[usable],
        "label_end_ns": labels.label_end_ns[usable],
        "return_end_ns": labels.return_end_ns[usable],
        "teaches": labels.teaches[usable],
        "symbol": np.full(len(bar), number, dtype=np.int64),
        "bar": bar,
    }
