"""What happened after each bar: direction over a horizon, the return, and when it became known.

Every label states its end, so that a splitter never has to guess; splitting belongs in `splits`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daemon.research.series import CLOSE, FloatArray, IntArray, Series


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Outcomes of one symbol's bars, oldest first; all arrays have shape (m,), times are UTC."""

    row: IntArray  # row of the deciding bar in its series
    end_row: IntArray  # row of the last bar the outcome needed
    decided_ns: IntArray  # its close: the outcome is counted from here
    label_end_ns: IntArray  # close of the last bar the outcome needed
    up: IntArray  # 1 where the price rose, 0 where it fell
    forward_log_return: FloatArray


def direction(series: Series, runs: Sequence[slice], horizon_bars: int) -> Labels:
    """Whether close[t + horizon] > close[t], for every t whose horizon ends inside its own run.

    Ties are dropped: they are neither outcome, and how many there are depends on the tick size.
    """
    if horizon_bars < 1:
        raise ValueError("the horizon must be at least one bar")
    rows = np.concatenate(
        [np.arange(run.start, run.stop - horizon_bars, dtype=np.int64) for run in runs]
        or [np.empty(0, dtype=np.int64)]
    )
    now = series.ohlcv[rows, CLOSE]
    then = series.ohlcv[rows + horizon_bars, CLOSE]
    moved = now != then
    rows, now, then = rows[moved], now[moved], then[moved]
    return Labels(
        row=rows,
        end_row=rows + horizon_bars,
        decided_ns=series.close_ns[rows],
        label_end_ns=series.close_ns[rows + horizon_bars],
        up=(then > now).astype(np.int64),
        forward_log_return=log_ratio(then, now),
    )


def log_ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """log(numerator / denominator) elementwise, (n,), by libm.

    `numpy.log` differs in the last bit between processors, and a model's bytes must not.
    """
    ratios = (numerator / denominator).tolist()
    return np.fromiter(map(math.log, ratios), dtype=np.float64, count=len(ratios))
