"""What a trade on a probability is worth: the rule of layer 4, for whoever asks what it would do.

Belongs here: the arithmetic of expected return, and which way it points. Whether a signal is given
now belongs to layer 4, which also knows what is held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.events import Payoff
from daemon.core.reasons import Direction

if TYPE_CHECKING:
    from daemon.core.events import ModelActivated, Prediction

# A probability is trusted only after one standard error is taken off its distance from one half.
SHRINK_STANDARD_ERRORS = 1.0


class TradeRule(Struct, frozen=True, kw_only=True):
    """What a probability must show before it is traded on."""

    confidence_min_ratio: float
    margin_ratio: float  # that must be expected beyond costs
    allow_short: bool


class Edge(Struct, frozen=True, gc=False):
    """Which way a prediction points, how sure that is after shrinking, and what a trade would
    bring before costs.
    """

    direction: Direction
    win_probability: float
    payoff: Payoff
    gross_ratio: float


def edge_of(row: Prediction, model: ModelActivated) -> Edge:
    """The expected gross return of trading on it, by the payoffs its model has shown."""
    is_long = row.probability_up > 0.5
    probability = row.probability_up if is_long else 1.0 - row.probability_up
    shrunk = max(0.5, probability - SHRINK_STANDARD_ERRORS * row.standard_error)
    payoff = model.long_payoff if is_long else model.short_payoff
    gross_ratio = shrunk * payoff.win_ratio - (1.0 - shrunk) * payoff.loss_ratio
    direction = Direction.LONG if is_long else Direction.SHORT
    return Edge(direction, shrunk, payoff, gross_ratio)


def wanted(
    row: Prediction, model: ModelActivated, rule: TradeRule, round_trip_ratio: float
) -> Direction:
    """Which way somebody who holds nothing would trade on it; FLAT where it is not worth it."""
    edge = edge_of(row, model)
    is_sure = row.confidence >= rule.confidence_min_ratio
    is_allowed = edge.direction is Direction.LONG or rule.allow_short
    pays = edge.gross_ratio - (round_trip_ratio + rule.margin_ratio) > 0.0
    return edge.direction if is_sure and is_allowed and pays else Direction.FLAT
