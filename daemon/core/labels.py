"""What is meant by a prediction coming true: the rule of a label, and its slow, exact definition.

Belongs here: the words and the arithmetic that live scoring and research share, on plain numbers.
Labelling whole series belongs to `research.labels`, keeping score to layer 7.
"""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import pairwise

from msgspec import Struct


class LabelKind(StrEnum):
    DIRECTION = "direction"  # whether the close is higher when the horizon is over
    TRIPLE_BARRIER = "triple_barrier"  # whether a profit is reached before a loss


class BarrierUnit(StrEnum):
    VOLATILITY = "volatility"  # deviations of the log return over the horizon, from past bars
    BPS = "bps"


class LabelRule(Struct, frozen=True, kw_only=True):
    """How an outcome is found; seen from somebody who is long. `bars` is for VOLATILITY alone."""

    kind: LabelKind = LabelKind.DIRECTION
    unit: BarrierUnit = BarrierUnit.VOLATILITY
    profit: float = 2.0
    stop: float = 2.0
    bars: int = 20

    @property
    def past_closes(self) -> int:
        """How many closes, the decision's included, the barriers are made of."""
        if self.kind is LabelKind.DIRECTION:
            return 0
        return self.bars + 1 if self.unit is BarrierUnit.VOLATILITY else 1


def rule_of(settings: Mapping[str, int | float | str | bool]) -> LabelRule:
    """The rule in the settings of a training; those of older models say nothing of it."""
    usual = LabelRule()
    return LabelRule(
        kind=LabelKind(str(settings.get("label", usual.kind))),
        unit=BarrierUnit(str(settings.get("barrier_unit", usual.unit))),
        profit=float(settings.get("profit_barrier", usual.profit)),
        stop=float(settings.get("stop_barrier", usual.stop)),
        bars=int(settings.get("barrier_bars", usual.bars)),
    )


def barriers(
    rule: LabelRule, horizon_bars: int, closes: Sequence[float]
) -> tuple[float, float] | None:
    """Profit and stop prices, from the newest `past_closes` closes; None where nothing moved."""
    close = closes[-1]
    distance = 1e-4
    if rule.unit is BarrierUnit.VOLATILITY:
        returns = [math.log(newer / older) for older, newer in pairwise(closes)]
        distance = deviation(returns) * math.sqrt(horizon_bars)
    if distance == 0.0:
        return None
    return close * (1.0 + rule.profit * distance), close * (1.0 - rule.stop * distance)


def touched(profit: float, stop: float, high: float, low: float) -> int | None:
    """1 for the profit, 0 for the stop and where a bar reaches both: the worse is assumed."""
    if low <= stop:
        return 0
    return 1 if high >= profit else None


def risen(start: float, end: float) -> int | None:
    """1 up, 0 down, None for a tie."""
    return None if end == start else int(end > start)


def deviation(values: Sequence[float]) -> float:
    """Sample deviation, two passes around the newest value, added from left to right."""
    newest = values[-1]
    above = [value - newest for value in values[:-1]]
    shift = _total(above) / len(values)
    squares = _total([(value - shift) * (value - shift) for value in above]) + shift * shift
    return math.sqrt(squares / (len(values) - 1))


def _total(values: Sequence[float]) -> float:
    # Builtin sum compensates for rounding since Python 3.12: research would get other bits.
    added = values[0]
    for value in values[1:]:
        added = added + value
    return added
