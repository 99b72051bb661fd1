"""Recent returns of every instrument: makes volatilities and correlations of closed bars.

Belongs here: the windows and their statistics. What is too much of either belongs to `gates` and
`sizing`.
Returns are of consecutive bars only: one over a hole would be of another length.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from daemon.core.timeframes import bars_per_year

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.core.bars import Bar
    from daemon.core.instruments import InstrumentId


class Returns:
    """Log returns of the newest `bars` bars; with fewer than half of them nothing is said."""

    def __init__(self, bars: int) -> None:
        self._bars = bars
        self._newest: dict[InstrumentId, Bar] = {}
        self._returns: dict[InstrumentId, deque[tuple[int, float]]] = {}

    def note(self, bars: Iterable[Bar]) -> None:
        for bar in bars:
            before = self._newest.get(bar.instrument)
            if before is not None and bar.close_ns <= before.close_ns:
                continue
            self._newest[bar.instrument] = bar
            if before is not None and before.close_ns == bar.open_ns and before.close > 0.0:
                returns = self._returns.setdefault(bar.instrument, deque(maxlen=self._bars))
                ratio = bar.close / before.close
                returns.append((bar.close_ns, math.log(ratio) if ratio > 0.0 else math.nan))

    def volatility_ratio(self, instrument: InstrumentId) -> float | None:
        """Deviation of a year's return, as a ratio of the price; None where it is not known."""
        returns = [each for _, each in self._returns.get(instrument, ())]
        if not self._is_enough(len(returns)):
            return None
        newest = self._newest[instrument]
        per_year = bars_per_year(newest.close_ns - newest.open_ns)
        variance = _covariance(returns, returns) * per_year
        return math.sqrt(variance) if math.isfinite(variance) else None

    def correlation(self, one: InstrumentId, other: InstrumentId) -> float | None:
        """Of the bars both have; None where it is not known, or one of them did not move."""
        theirs = dict(self._returns.get(other, ()))
        pairs = [
            (ours, theirs[close_ns])
            for close_ns, ours in self._returns.get(one, ())
            if close_ns in theirs
        ]
        if not self._is_enough(len(pairs)):
            return None
        left, right = [each for each, _ in pairs], [each for _, each in pairs]
        spread = _covariance(left, left) * _covariance(right, right)
        if not (math.isfinite(spread) and spread > 0.0):
            return None
        found = _covariance(left, right) / math.sqrt(spread)
        return found if math.isfinite(found) else None

    def _is_enough(self, count: int) -> bool:
        return count >= max(2, self._bars // 2)


def _covariance(left: list[float], right: list[float]) -> float:
    # fsum rounds once, so the order of adding and the version of Python do not matter.
    n = len(left)
    middle, its_middle = math.fsum(left) / n, math.fsum(right) / n
    products = [(a - middle) * (b - its_middle) for a, b in zip(left, right, strict=True)]
    return math.fsum(products) / (n - 1)
