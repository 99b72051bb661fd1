"""Feature rows with their labels, of all symbols together, in the order of time.

How rows are made and lined up belongs here; what is learnt from them belongs in `walkforward`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daemon.core.bars import ZeroVolume
from daemon.core.errors import TradingdError
from daemon.layers.features.sets import FeatureSet, feature_matrix
from daemon.research.labels import direction, log_ratio
from daemon.research.series import CLOSE, VOLUME, FloatArray, IntArray, Series, unbroken


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
    label_end_ns: IntArray  # (m,)
    symbol: IntArray  # (m,) place in `symbols`
    bar: IntArray  # (m,) row of the deciding bar in its series

    def __len__(self) -> int:
        return len(self.up)


def labelled_rows(
    series: Sequence[Series],
    feature_set: FeatureSet,
    *,
    horizon_bars: int,
    zero_volume: ZeroVolume = ZeroVolume.FLAG,
) -> Dataset:
    """Every bar whose window and label lie inside one unbroken run and whose features are finite.

    Where `zero_volume` is FLAG, bars in which nobody traded stand in windows, but none is decided
    at and none is an outcome: nobody could have traded at their prices.
    Raises `TrainingRefused` where the series do not belong together or give no row at all.
    """
    _require_one_market(series)
    parts = [
        _rows_of(one, number, feature_set, horizon_bars, zero_volume)
        for number, one in enumerate(series)
    ]
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
    series: Series,
    number: int,
    feature_set: FeatureSet,
    horizon_bars: int,
    zero_volume: ZeroVolume,
) -> "dict[str, FloatArray | IntArray]":
    runs = unbroken(series, accepts_zero_volume=zero_volume is not ZeroVolume.REJECT)
    labels = direction(series, runs, horizon_bars)
    # The baseline needs the bar before, so a lookback of one bar would still need two.
    rows = np.full((len(series.open_ns), len(feature_set.names)), np.nan)
    for run in runs:
        first = run.start + max(feature_set.lookback, 2) - 1
        if first < run.stop:
            window = series.ohlcv[first + 1 - feature_set.lookback : run.stop]
            rows[first : run.stop] = feature_matrix(feature_set, window)
    usable = np.isfinite(rows[labels.row]).all(axis=1)
    if zero_volume is ZeroVolume.FLAG:
        volumes = series.ohlcv[:, VOLUME]
        usable &= (volumes[labels.row] > 0) & (volumes[labels.row + horizon_bars] > 0)
    bar = labels.row[usable]
    closes = series.ohlcv[:, CLOSE]
    return {
        "features": rows[bar],
        "up": labels.up[usable],
        "forward_log_return": labels.forward_log_return[usable],
        "last_log_return": log_ratio(closes[bar], closes[bar - 1]),
        "decided_ns": labels.decided_ns[usable],
        "label_end_ns": labels.label_end_ns[usable],
        "symbol": np.full(len(bar), number, dtype=np.int64),
        "bar": bar,
    }
