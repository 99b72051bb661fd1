"""Tests a model's skill after every block of outcomes: turns outcomes into two fortunes of bettors.

Every week somebody new comes with one unit and bets, block by block, that the model is worth less
than `kept_ratio` of what its probabilities promise; all that they own together is `against`. While
the promise holds, no bet wins on average, so after w weeks they own w units on average, and the
chance that it ever was w / alarm_ratio is at most `alarm_ratio`: that is the limit at which the
skill is lost. Somebody else bets for the model, against its being no better than a constant, with
one unit in all, so without skill he ever owns 1 / shown_ratio with at most that chance: then the
skill is shown. Neither needs a fixed number of outcomes: both hold at every moment at once (Ville
1939; Shafer 2021; Shin, Ramdas and Rinaldo 2022 for the sum over starts).

Of an outcome y and a probability p around its usual value m, the promise is q = m + kept (p - m),
and the bet gains -(q - m)(y - q) / (q (1 - q)): the likelihood of "knows nothing" over that of the
promise, less 1. Outcomes of one block, all symbols and overlapping horizons, depend on each other,
so they make one bet on their mean, which is fair whatever the dependence. How large it may be is
learned from how much such means varied before, which is fair too, being known beforehand.

Belongs here: the evidence. Which status it leads to belongs to `health`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from daemon.core.timeframes import DAY_NS

if TYPE_CHECKING:
    from daemon.config import HealthSection

WEEK_NS = 7 * DAY_NS
DOUBT_SHARE = 0.2  # of the limit at which the skill is lost
PRIOR_OUTCOMES = 50  # half of them up: what is usual before there is anything
PRIOR_BLOCKS = 30
STAKE_MAX_RATIO = 0.5  # of a fortune, on one block
SIZE_MAX = 50.0  # of a bet, in units of that on a single outcome
FORTUNE_LIMITS_MAX = 10.0  # a fortune beyond this many limits proves nothing more
KEPT_WITHIN = 1e-3  # of 0 and 1


class Rules(Struct, frozen=True):
    """How sure is sure; made from the configuration."""

    kept_ratio: float
    limit: float
    shown_limit: float


def rules_of(config: HealthSection) -> Rules:
    """The limits for which the false alarms are as seldom as the configuration asks."""
    weeks = -(-config.false_alarm_days // 7) + 1  # a year touches 53 or 54 weeks of the calendar
    return Rules(
        kept_ratio=config.skill_kept_ratio,
        limit=weeks / config.false_alarm_ratio,
        shown_limit=1.0 / config.false_health_ratio,
    )


class Block(Struct, gc=False):
    """Sums over the outcomes of one block, while it may still get more of them."""

    n: int = 0
    ups: int = 0
    probability: float = 0.0
    gain: float = 0.0
    expected: float = 0.0
    risked: float = 0.0
    gain_for: float = 0.0
    risked_for: float = 0.0


class SkillTest(Struct):
    """The evidence about one model; `add` is all that changes it, so a journal suffices."""

    block_ns: int = 1
    against: float = 0.0
    in_favour: float = 0.0
    weeks: int = 0
    blocks: int = 0
    doubted_ns: int | None = None
    lost_ns: int | None = None
    shown_ns: int | None = None
    late: int = 0
    week: int = -1
    now_ns: int = -1
    settled: int = -1
    unsettled: dict[int, Block] = field(default_factory=dict)
    n: float = PRIOR_OUTCOMES
    ups: float = PRIOR_OUTCOMES / 2
    probability: float = PRIOR_OUTCOMES / 2
    expected: float = 0.0
    varied: float = 0.0

    def add(self, rules: Rules, ts_ns: int, close_ns: int, chance_up: float, outcome: int) -> None:
        """Take an outcome that became known at `ts_ns`, of a prediction made at `close_ns`.

        Blocks are settled in order once the next but one has begun, and never while outcomes of the
        same moment are still coming: after a stop they come instrument by instrument.
        """
        if ts_ns > self.now_ns:
            self.now_ns = ts_ns
            self._settle(rules)
        number = close_ns // self.block_ns
        if number <= self.settled:
            self.late += 1
            return
        usual = self.probability / self.n
        ups = self.ups / self.n
        lean = rules.kept_ratio * (chance_up - usual)
        said = min(max(usual + lean, KEPT_WITHIN), 1.0 - KEPT_WITHIN)
        lean = said - usual
        block = self.unsettled.setdefault(number, Block())
        block.n += 1
        block.ups += outcome
        block.probability += chance_up
        block.gain -= lean * (outcome - said) / (said * (1.0 - said))
        block.expected += lean * lean / (said * (1.0 - said))
        block.risked += lean / said if lean > 0.0 else -lean / (1.0 - said)
        block.gain_for += lean * (outcome - ups) / (ups * (1.0 - ups))
        block.risked_for += lean / (1.0 - ups) if lean > 0.0 else -lean / ups

    @property
    def independent(self) -> float:
        """How many independent outcomes a block is worth, as far as its variation tells."""
        prior = PRIOR_BLOCKS * self.expected / self.blocks if self.blocks else 1.0
        if self.varied + prior <= 0.0:
            return 1.0
        return min(max((self.expected + prior) / (self.varied + prior), 1.0), SIZE_MAX)

    def _settle(self, rules: Rules) -> None:
        newest = max(self.unsettled, default=0)
        for number in sorted(self.unsettled):
            if number + 1 < newest:
                self._settle_block(rules, self.unsettled.pop(number), number * self.block_ns)
                self.settled = number

    def _settle_block(self, rules: Rules, block: Block, begins_ns: int) -> None:
        if begins_ns // WEEK_NS != self.week:
            self.week = begins_ns // WEEK_NS
            self.weeks += 1
            self.against += 1.0
            self.in_favour += 1.0 / (self.weeks * (self.weeks + 1))  # together 1, however long
        size = self.independent
        self.against *= _grown(size, block.gain / block.n, block.risked / block.n)
        self.in_favour *= _grown(size, block.gain_for / block.n, block.risked_for / block.n)
        self.against = min(self.against, FORTUNE_LIMITS_MAX * rules.limit)
        self.in_favour = min(self.in_favour, FORTUNE_LIMITS_MAX * rules.shown_limit)
        self.blocks += 1
        self.n += block.n
        self.ups += block.ups
        self.probability += block.probability
        self.expected += block.expected / block.n
        self.varied += (block.gain / block.n) ** 2
        self._mark(rules)

    def _mark(self, rules: Rules) -> None:
        if self.against < DOUBT_SHARE * rules.limit:
            self.doubted_ns = self.lost_ns = None
        elif self.doubted_ns is None:
            self.doubted_ns = self.now_ns
        if self.against >= rules.limit and self.lost_ns is None:
            self.lost_ns = self.now_ns
        if self.in_favour >= rules.shown_limit and self.shown_ns is None:
            self.shown_ns = self.now_ns


def _grown(size: float, gain: float, risked: float) -> float:
    return 1.0 + (min(size, STAKE_MAX_RATIO / risked) if risked > 0.0 else 0.0) * gain
