"""What happened after each bar: the outcome by a rule, the return, and when each became known.

Every label states its end, so that a splitter never has to guess; splitting belongs in `splits`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from daemon.core.labels import BarrierUnit, LabelKind, LabelRule
from daemon.layers.features.arithmetic import moments
from daemon.research.series import CLOSE, HIGH, LOW, FloatArray, IntArray, Series

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Outcomes of one symbol's bars, oldest first; all arrays have shape (m,), times are UTC."""

    row: IntArray  # row of the deciding bar in its series
    end_row: IntArray  # row of the last bar the outcome needed
    decided_ns: IntArray  # its close: the outcome is counted from here
    label_end_ns: IntArray  # close of the last bar the outcome needed
    up: IntArray  # 1 where the price rose or the profit came first, else 0
    forward_log_return: FloatArray  # over the whole horizon, as a position is held
    return_end_ns: IntArray  # when that return became known: not before the label
    teaches: BoolArray  # False in the dead zone: predicted and judged, but not learnt from


def labels_of(
    series: Series,
    runs: Sequence[slice],
    horizon_bars: int,
    rule: LabelRule,
    *,
    dead_zone_ratio: float = 0.0,
) -> Labels:
    """Labels by the rule, for every bar whose window and horizon lie inside its own run.

    A move over the horizon no larger than the dead zone teaches nothing: it would not have paid
    either way, and nobody knows before the horizon is over: such labels end with it, wherever the
    outcome was found. What is judged, and what is scored live, is every bar all the same.
    """
    if rule.kind is LabelKind.DIRECTION:
        made = direction(series, runs, horizon_bars)
    else:
        made = triple_barrier(series, runs, horizon_bars, rule)
    closes = series.ohlcv[:, CLOSE]
    moves = np.abs(closes[made.row + horizon_bars] / closes[made.row] - 1.0)
    if not dead_zone_ratio:
        return made
    return replace(made, teaches=moves > dead_zone_ratio, label_end_ns=made.return_end_ns)


def direction(series: Series, runs: Sequence[slice], horizon_bars: int) -> Labels:
    """Whether close[t + horizon] > close[t], for every t whose horizon ends inside its own run.

    Ties are dropped: they are neither outcome, and how many there are depends on the tick size.
    """
    rows = _rows(runs, 0, horizon_bars)
    ends = rows + horizon_bars
    closes = series.ohlcv[:, CLOSE]
    moved = closes[rows] != closes[ends]
    up = (closes[ends] > closes[rows]).astype(np.int64)
    return _labels(series, rows[moved], ends[moved], up[moved], horizon_bars)


def triple_barrier(
    series: Series, runs: Sequence[slice], horizon_bars: int, rule: LabelRule
) -> Labels:
    """Which of profit and stop is reached first (López de Prado 2018, chapter 3), by high and low.

    Where a bar reaches both, the stop counts. Where the horizon is over before either, the
    direction of the close counts, and a tie is dropped. A label ends with the bar that decided it.
    Barriers are made of the bars up to the decision, so its window lies in the run as well.
    """
    rows = _rows(runs, rule.past_closes - 1, horizon_bars)
    profit, stop, moves = _barriers(series, rows, horizon_bars, rule)
    up = np.full(len(rows), -1, dtype=np.int64)
    ends = rows + horizon_bars
    for ahead in range(1, horizon_bars + 1):
        bars = series.ohlcv[rows + ahead]
        is_open = up < 0
        stopped = is_open & (bars[:, LOW] <= stop)
        paid = is_open & ~stopped & (bars[:, HIGH] >= profit)
        up[stopped], up[paid] = 0, 1
        ends[stopped | paid] = rows[stopped | paid] + ahead
    start, end = series.ohlcv[rows, CLOSE], series.ohlcv[rows + horizon_bars, CLOSE]
    is_open = up < 0
    up[is_open & (end > start)], up[is_open & (end < start)] = 1, 0
    known = (up >= 0) & moves
    return _labels(series, rows[known], ends[known], up[known], horizon_bars)


def _rows(runs: Sequence[slice], before: int, horizon_bars: int) -> IntArray:
    if horizon_bars < 1:
        raise ValueError("the horizon must be at least one bar")
    return np.concatenate(
        [np.arange(run.start + before, run.stop - horizon_bars, dtype=np.int64) for run in runs]
        or [np.empty(0, dtype=np.int64)]
    )


def _barriers(
    series: Series, rows: IntArray, horizon_bars: int, rule: LabelRule
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Both prices of each row, and whether its window moved at all."""
    close = series.ohlcv[rows, CLOSE]
    distance: FloatArray = np.full(len(rows), 1e-4)
    if rule.unit is BarrierUnit.VOLATILITY and len(rows):
        closes = series.ohlcv[:, CLOSE]
        returns = np.concatenate([[0.0], log_ratio(closes[1:], closes[:-1])])
        places = [returns[rows - back] for back in range(rule.bars - 1, -1, -1)]
        distance = moments(places)[1] * math.sqrt(horizon_bars)
    profit = close * (1.0 + rule.profit * distance)
    return profit, close * (1.0 - rule.stop * distance), distance != 0.0


def _labels(
    series: Series, rows: IntArray, ends: IntArray, up: IntArray, horizon_bars: int
) -> Labels:
    closes = series.ohlcv[:, CLOSE]
    return Labels(
        row=rows,
        end_row=ends,
        decided_ns=series.close_ns[rows],
        label_end_ns=series.close_ns[ends],
        up=up,
        forward_log_return=log_ratio(closes[rows + horizon_bars], closes[rows]),
        return_end_ns=series.close_ns[rows + horizon_bars],
        teaches=np.ones(len(rows), dtype=np.bool_),
    )


def log_ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """log(numerator / denominator) elementwise, (n,), by libm.

    `numpy.log` differs in the last bit between processors, and a model's bytes must not.
    """
    ratios = (numerator / denominator).tolist()
    return np.fromiter(map(math.log, ratios), dtype=np.float64, count=len(ratios))
