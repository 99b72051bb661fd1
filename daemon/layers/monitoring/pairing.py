"""Compares two models that predict the same bars: block by block, with a stated rate of error.

Belongs here: what is kept of a comparison, and how strong its evidence is. What follows from it
belongs to `challenger`.

A block is as long as outcomes of overlapping horizons depend on each other. In each, the mean
difference of the log score (and of the net return that trading on the predictions would have
brought) is one number, and evidence is the wealth of a bettor who stakes fixed shares on the next
number being above zero. While the first model is not better, that is while no block's expected
number, cut at twice their usual size, is above zero given what came before, the wealth is a
supermartingale that starts at 1: it ever reaches 1 / rate with a chance of `rate` at most, however
often it is looked at (Ville 1939; for the betting, Waudby-Smith and Ramdas 2024; for scores of
forecasts, Choe and Ramdas 2024).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from daemon.core.events import Comparison, ModelsCompared

STAKES = (0.1, 0.2, 0.4)
BLOCKS_BEFORE_BETS = 10
CUT_DEVIATIONS = 2.0
WEALTH_MAX = 1e12
BPS = 10_000.0
PROBABILITY_MIN = 0.02  # beyond it a log score says more of one surprise than of a model


class Evidence(Struct):
    """Of numbers that come one by one: for their being above zero."""

    wealth: tuple[float, ...] = (1.0,) * len(STAKES)
    squares: float = 0.0
    count: int = 0

    @property
    def value(self) -> float:
        """1 where nothing is known; 20 is five in a hundred."""
        return math.fsum(self.wealth) / len(self.wealth)

    def add(self, number: float) -> None:
        """How large numbers usually are is taken from those before this one."""
        if self.count >= BLOCKS_BEFORE_BETS and self.squares > 0.0:
            size = CUT_DEVIATIONS * math.sqrt(self.squares / self.count)
            cut = max(-1.0, min(1.0, number / size))
            self.wealth = tuple(
                min(WEALTH_MAX, wealth * (1.0 + stake * cut))
                for wealth, stake in zip(self.wealth, STAKES, strict=True)
            )
        self.squares += number * number
        self.count += 1


class Record(Struct):
    """All that is known of one model in shadow: alone, and beside the model `other`."""

    other: str = ""
    pairs: int = 0
    score_sum: float = 0.0  # log score beyond the other's
    net_sum: float = 0.0  # net return beyond the other's
    trades: int = 0
    other_trades: int = 0
    better: Evidence = field(default_factory=Evidence)
    worse: Evidence = field(default_factory=Evidence)
    better_net: Evidence = field(default_factory=Evidence)
    outcomes: int = 0
    ups: int = 0
    chance_sum: float = 0.0  # log score beyond that of a constant
    own_net_sum: float = 0.0
    skilled: Evidence = field(default_factory=Evidence)
    unskilled: Evidence = field(default_factory=Evidence)

    def add(self, block: ModelsCompared) -> None:
        """A pair with another model than before is a new comparison; what it is alone stays."""
        if block.other != self.other:
            self._begin(block.other)
        if block.outcomes:
            self._add_alone(block)
        if not block.pairs:
            return
        self.pairs += block.pairs
        self.score_sum += block.pairs * block.score_gain
        self.net_sum += block.pairs * block.net_gain_ratio
        self.trades += block.trades
        self.other_trades += block.other_trades
        self.better.add(block.score_gain)
        self.worse.add(-block.score_gain)
        self.better_net.add(block.net_gain_ratio)

    def _begin(self, other: str) -> None:
        self.other = other
        self.pairs = self.trades = self.other_trades = 0
        self.score_sum = self.net_sum = 0.0
        self.better, self.worse, self.better_net = Evidence(), Evidence(), Evidence()

    def _add_alone(self, block: ModelsCompared) -> None:
        """Against the share of ups so far, which is all that somebody without a model knows."""
        share = (self.ups + 1) / (self.outcomes + 2)
        ups, downs = block.ups, block.outcomes - block.ups
        constant = (ups * math.log(share) + downs * math.log(1.0 - share)) / block.outcomes
        gain = block.log_score - constant
        self.outcomes += block.outcomes
        self.ups += ups
        self.chance_sum += block.outcomes * gain
        self.own_net_sum += block.outcomes * block.net_ratio
        self.skilled.add(gain)
        self.unskilled.add(-gain)


def sentence(told: Comparison) -> str:
    """A comparison in words: beside the other model, then alone."""
    if not told.outcomes:
        return f"nothing is scored yet, {told.bars} bars in shadow"
    return (
        f"beside {told.other or 'none'} on {told.pairs} predictions: "
        f"{told.score_gain:+.4f} nats each, evidence {told.evidence:.3g} for better and "
        f"{told.evidence_worse:.3g} for worse, net {told.net_gain_ratio * BPS:+.2f} bps each "
        f"({told.trades} and {told.other_trades} trades); alone on {told.outcomes}: "
        f"{told.chance_gain:+.4f} nats over a constant, evidence {told.evidence_skill:.3g}, "
        f"net {told.net_ratio * BPS:+.2f} bps each"
    )


def log_score(probability_up: float, outcome: int) -> float:
    """Nats, never above zero; nearer to it is better."""
    kept = max(PROBABILITY_MIN, min(1.0 - PROBABILITY_MIN, probability_up))
    return math.log(kept if outcome else 1.0 - kept)
