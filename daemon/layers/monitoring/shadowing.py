"""Turns what models say of the same bars, and what became of it, into blocks that are compared.

Belongs here: what waits, what each prediction would have earned, and when a block is over. What
blocks add up to belongs to `pairing`.
"""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING

from msgspec import Struct, field

from daemon.core.edges import wanted
from daemon.core.events import FeaturesRefusedReason, ModelsCompared
from daemon.core.instruments import InstrumentId
from daemon.core.reasons import Direction
from daemon.layers.monitoring.outcomes import block_length_ns
from daemon.layers.monitoring.pairing import log_score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from daemon.core.costs import Costs
    from daemon.core.edges import TradeRule
    from daemon.core.events import (
        ChallengerPredictions,
        ModelActivated,
        Prediction,
        PredictionResolved,
    )
    from daemon.core.roles import Roles, Shadow

NO_ANSWERS = frozenset({FeaturesRefusedReason.NO_MODEL, FeaturesRefusedReason.NO_ANSWER})
SILENT_BARS = 3  # a process that serves a model is started three times, and never again
SIGNS = {Direction.LONG: 1, Direction.SHORT: -1, Direction.FLAT: 0}

Row = tuple[InstrumentId, int]  # of which instrument, at which close


class Trade(Struct, frozen=True, gc=False):
    """What would be traded on a prediction: 1 is long, and what it would cost."""

    sign: int
    cost_ratio: float


class Result(Struct, frozen=True, gc=False):
    """A prediction whose outcome is known, and what trading on it would have brought, net."""

    outcome: int
    log_score: float
    net_ratio: float
    is_trade: bool


class Rows(Struct):
    """Results of one block: of the shadow, and of the active model."""

    own: dict[Row, Result] = field(default_factory=dict)
    other: dict[Row, Result] = field(default_factory=dict)


class Shadowing:
    """Waiting predictions by model, and by shadow the blocks that are not over."""

    def __init__(
        self,
        roles: Roles,
        rule: TradeRule,
        *,
        costs: Callable[[InstrumentId], Costs],
        timeframe_ns: int,
    ) -> None:
        self._roles = roles
        self._rule = rule
        self._costs = costs
        self._timeframe_ns = timeframe_ns
        self._waiting: dict[str, dict[Row, Trade]] = {}
        self._blocks: dict[str, dict[int, Rows]] = {}
        self._silent: dict[str, set[int]] = {}  # closes in a row without an answer

    # --- applying -----------------------------------------------------------------------------

    def begin(self, model: str) -> None:
        """A shadow has begun; what there was of it is over."""
        known = {each.model for each in self._roles.shadows()}
        self._blocks = {name: each for name, each in self._blocks.items() if name in known}
        self._blocks[model] = {}
        self._silent.pop(model, None)

    def forget_other(self) -> None:
        """Another model is active: what the one before it said is not compared any more."""
        for blocks in self._blocks.values():
            for rows in blocks.values():
                rows.other.clear()

    def note(self, model: ModelActivated, rows: tuple[Prediction, ...]) -> None:
        """Predictions of one that has a part."""
        waiting = self._waiting.setdefault(model.model, {})
        for row in rows:
            cost_ratio = self._costs(row.instrument).round_trip_ratio
            sign = SIGNS[wanted(row, model, self._rule, cost_ratio)]
            waiting[row.instrument, row.close_ns] = Trade(sign, cost_ratio)

    def listen(self, event: ChallengerPredictions) -> None:
        """Whether it answers at all: it had rows, and gave no probability for any of them."""
        if event.rows:
            self._silent.pop(event.model, None)
        elif any(each.reason in NO_ANSWERS for each in event.refused):
            closes = self._silent.setdefault(event.model, set())
            if len(closes) < SILENT_BARS:
                closes.update(each.close_ns for each in event.refused)

    def resolve(self, event: PredictionResolved) -> None:
        """An outcome goes into the block of its bar; what can never be known goes nowhere."""
        row = (event.instrument, event.predicted_close_ns)
        waiting = self._waiting.get(event.model, {})
        trade = waiting.pop(row, None)
        if not waiting:
            self._waiting.pop(event.model, None)
        if trade is None or event.outcome is None or event.return_ratio is None:
            return
        net_ratio = trade.sign * event.return_ratio - trade.cost_ratio if trade.sign else 0.0
        score = log_score(event.probability_up, event.outcome)
        result = Result(event.outcome, score, net_ratio, bool(trade.sign))
        active = self._roles.active
        for shadow in self._roles.shadows():
            if event.predicted_close_ns <= shadow.since_ns:
                continue
            is_own = event.model == shadow.model
            if is_own or (active is not None and event.model == active.model):
                number = event.predicted_close_ns // self._length_ns(shadow)
                rows = self._blocks[shadow.model].setdefault(number, Rows())
                (rows.own if is_own else rows.other)[row] = result

    def close(self, event: ModelsCompared) -> None:
        """This block, and what is older, has been told."""
        for shadow in self._roles.shadows():
            if shadow.model == event.model:
                blocks = self._blocks[shadow.model]
                for number in [n for n in blocks if self._end_ns(shadow, n) <= event.until_ns]:
                    del blocks[number]

    # --- deciding -----------------------------------------------------------------------------

    def over(self, shadow: Shadow, ts_ns: int, now_ns: int) -> Iterator[ModelsCompared]:
        """The blocks of which nothing can come any more: a horizon and a bar have passed."""
        blocks, active = self._blocks[shadow.model], self._roles.active
        horizon_ns = shadow.activation.horizon_bars * self._timeframe_ns
        for number in sorted(blocks):
            end_ns = self._end_ns(shadow, number)
            if now_ns < end_ns + horizon_ns:
                return
            if blocks[number].own:
                other = "" if active is None else active.model
                yield _compared(shadow.model, other, blocks[number], ts_ns, end_ns)

    def is_silent(self, model: str) -> bool:
        """It was asked at so many closes in a row in vain that it will answer none any more."""
        return len(self._silent.get(model, ())) >= SILENT_BARS

    def _length_ns(self, shadow: Shadow) -> int:
        return block_length_ns(self._timeframe_ns, shadow.activation.horizon_bars)

    def _end_ns(self, shadow: Shadow, number: int) -> int:
        return (number + 1) * self._length_ns(shadow)


def _compared(model: str, other: str, rows: Rows, ts_ns: int, end_ns: int) -> ModelsCompared:
    own = list(rows.own.values())
    pairs = [(each, rows.other[row]) for row, each in rows.own.items() if row in rows.other]
    count, paired = len(own), max(1, len(pairs))
    return ModelsCompared(
        ts_ns=ts_ns,
        model=model,
        other=other,
        until_ns=end_ns,
        outcomes=count,
        ups=sum(each.outcome for each in own),
        log_score=fsum(each.log_score for each in own) / count,
        net_ratio=fsum(each.net_ratio for each in own) / count,
        trades=sum(each.is_trade for each in own),
        pairs=len(pairs),
        score_gain=fsum(one.log_score - two.log_score for one, two in pairs) / paired,
        net_gain_ratio=fsum(one.net_ratio - two.net_ratio for one, two in pairs) / paired,
        other_trades=sum(two.is_trade for _, two in pairs),
    )
