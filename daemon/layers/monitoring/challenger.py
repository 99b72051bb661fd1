"""Decides which model is the active one: by comparing those in shadow with it, or as it is asked.

A candidate predicts in shadow until the rule promotes it or it is dropped; what it replaced then
predicts in shadow until the way back to it is closed. Belongs here: the rule, which
docs/retraining.md states with its rates of error. What is compared belongs to `shadowing`, how
strong it is to `pairing`, and who has which part to `core.roles`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from daemon.core.events import (
    ChallengerDropped,
    ChallengerOpened,
    Comparison,
    DropReason,
    HealthStatus,
    ModelActivated,
    ModelPromoted,
    ModelRolledBack,
    PromotionProposed,
    PromotionReason,
    WatchEnded,
)
from daemon.layers.monitoring.pairing import Record
from daemon.layers.monitoring.shadowing import Shadowing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from daemon.config import PromotionSection
    from daemon.core.costs import Costs
    from daemon.core.edges import TradeRule
    from daemon.core.events import (
        BarsClosed,
        CandidateTrained,
        ChallengerPredictions,
        Event,
        HealthSampled,
        ModelsCompared,
        ModelUnfit,
        PredictionResolved,
        Predictions,
        PromotionRequested,
        RollbackRequested,
    )
    from daemon.core.instruments import InstrumentId
    from daemon.core.roles import Roles, Shadow

BY_RULE = "rule"


class Challenger:
    """At most one candidate is judged at a time; all of it is rebuilt from the journal."""

    def __init__(
        self,
        config: PromotionSection,
        roles: Roles,
        rule: TradeRule,
        *,
        costs: Callable[[InstrumentId], Costs],
        timeframe_ns: int,
        model_age_max_ns: int,
    ) -> None:
        self._config = config
        self._roles = roles
        self._timeframe_ns = timeframe_ns
        self._model_age_max_ns = model_age_max_ns
        self._shadowing = Shadowing(roles, rule, costs=costs, timeframe_ns=timeframe_ns)
        self._records: dict[str, Record] = {}
        self._active = ""
        self._is_critical = False
        self._proposed = ""
        self._now_ns = 0  # close of the newest bar

    def comparison(self, shadow: Shadow) -> Comparison:
        """What is known of a model in shadow so far."""
        return compared(self._records[shadow.model], self._bars(shadow))

    @property
    def is_dead(self) -> bool:
        """The active model is no standard: it is critical, or too old to be used."""
        active = self._roles.active
        return active is None or self._is_critical or self._is_expired(active)

    # --- applying -----------------------------------------------------------------------------

    def apply_model_activated(self, event: ModelActivated) -> None:
        if event.model != self._active:
            self._active = event.model
            self._is_critical = False
            self._proposed = ""
            self._shadowing.forget_other()

    def apply_health_sampled(self, event: HealthSampled) -> None:
        if event.model == self._active:
            self._is_critical = event.status is HealthStatus.CRITICAL

    def apply_bars_closed(self, event: BarsClosed) -> None:
        self._now_ns = max(self._now_ns, *(bar.close_ns for bar in event.bars))

    def apply_predictions(self, event: Predictions) -> None:
        active = self._roles.active
        if active is not None and event.model == active.model and self._roles.shadows():
            self._shadowing.note(active, event.rows)

    def apply_challenger_predictions(self, event: ChallengerPredictions) -> None:
        for shadow in self._roles.shadows():
            if shadow.model == event.model:
                self._shadowing.note(shadow.activation, event.rows)
                self._shadowing.listen(event)

    def apply_prediction_resolved(self, event: PredictionResolved) -> None:
        self._shadowing.resolve(event)

    def apply_challenger_opened(self, event: ChallengerOpened) -> None:
        self._begin(event.model)
        self._proposed = ""

    def apply_model_promoted(self, event: ModelPromoted) -> None:
        if event.is_watched:
            self._begin(event.replaced)

    def apply_models_compared(self, event: ModelsCompared) -> None:
        if event.model in self._records:
            self._records[event.model].add(event)
            self._shadowing.close(event)

    def apply_promotion_proposed(self, event: PromotionProposed) -> None:
        self._proposed = event.model

    # --- deciding -----------------------------------------------------------------------------

    def on_candidate_trained(self, event: CandidateTrained) -> Iterator[Event]:
        """A candidate becomes the challenger, unless it cannot be compared or one does well."""
        champion, now = self._active, self._roles.challenger
        why = self._unfit(event.activation)
        if why is not None:
            yield ChallengerDropped(
                ts_ns=event.ts_ns, model=event.model, champion=champion, reason=why
            )
            return
        if now is not None:
            yield self._dropped(event.ts_ns, now, DropReason.REPLACED)
        yield ChallengerOpened(ts_ns=event.ts_ns, activation=event.activation, champion=champion)

    def on_model_unfit(self, event: ModelUnfit) -> Iterator[Event]:
        """Nothing that cannot predict may take over, now or later."""
        for shadow in self._roles.shadows():
            if shadow.model == event.model:
                yield self._let_go(event.ts_ns, shadow, DropReason.UNFIT)

    def on_bars_closed(self, event: BarsClosed) -> Iterator[Event]:
        """Blocks that are over are compared; who is in shadow for too long is let go."""
        shadows = self._roles.shadows()
        blocks = [
            block
            for shadow in shadows
            for block in self._shadowing.over(shadow, event.ts_ns, self._now_ns)
        ]
        yield from blocks
        if blocks:
            return  # each is judged on when it is applied
        for shadow in shadows:
            verdicts = list(self._judged(shadow, event.ts_ns))
            yield from verdicts
            if verdicts:
                return  # who has which part may be another from here on

    def on_models_compared(self, event: ModelsCompared) -> Iterator[Event]:
        for shadow in self._roles.shadows():
            if shadow.model == event.model:
                yield from self._judged(shadow, event.ts_ns)

    def on_promotion_requested(self, event: PromotionRequested) -> Iterator[Event]:
        """Somebody knows better, whatever the comparison says; of the active one it is no news."""
        if event.model != self._active:
            challenger = self._roles.challenger
            is_known = challenger is not None and challenger.model == event.model
            yield ModelPromoted(
                ts_ns=event.ts_ns,
                activation=event.activation,
                replaced=self._active,
                reason=PromotionReason.OPERATOR,
                is_watched=self._is_worth_watching,
                who=event.who,
                detail=event.reason,
                comparison=self.comparison(challenger) if is_known and challenger else None,
            )

    def on_rollback_requested(self, event: RollbackRequested) -> Iterator[Event]:
        if event.model != self._active:
            previous = self._roles.previous
            is_known = previous is not None and previous.model == event.model
            yield ModelRolledBack(
                ts_ns=event.ts_ns,
                activation=event.activation,
                replaced=self._active,
                reason=PromotionReason.OPERATOR,
                who=event.who,
                detail=event.reason,
                comparison=self.comparison(previous) if is_known and previous else None,
            )

    def on_model_promoted(self, event: ModelPromoted) -> Iterator[ModelActivated]:
        """In the same step: between two bars, here and in every replay."""
        yield replace(event.activation, ts_ns=event.ts_ns)

    def on_model_rolled_back(self, event: ModelRolledBack) -> Iterator[ModelActivated]:
        yield replace(event.activation, ts_ns=event.ts_ns)

    # --- the rule -----------------------------------------------------------------------------

    def _judged(self, shadow: Shadow, ts_ns: int) -> Iterator[Event]:
        challenger = self._roles.challenger
        if challenger is not None and shadow.model == challenger.model:
            yield from self._judge_challenger(challenger, ts_ns)
        else:
            yield from self._judge_previous(shadow, ts_ns)

    def _judge_challenger(self, shadow: Shadow, ts_ns: int) -> Iterator[Event]:
        reason = self._merit(shadow)
        why = self._failing(shadow)
        if why is not None:
            yield self._dropped(ts_ns, shadow, why)
        elif reason is None:
            if self._bars(shadow) >= self._config.shadow_max_bars:
                yield self._dropped(ts_ns, shadow, DropReason.UNDECIDED)
        elif self._config.by == BY_RULE:
            yield ModelPromoted(
                ts_ns=ts_ns,
                activation=shadow.activation,
                replaced=self._active,
                reason=reason,
                is_watched=self._is_worth_watching,
                who=BY_RULE,
                comparison=self.comparison(shadow),
            )
        elif self._proposed != shadow.model:
            yield PromotionProposed(
                ts_ns=ts_ns,
                model=shadow.model,
                champion=self._active,
                reason=reason,
                comparison=self.comparison(shadow),
            )

    def _judge_previous(self, shadow: Shadow, ts_ns: int) -> Iterator[Event]:
        record = self._records[shadow.model]
        evidence = (record.better.value + record.better_net.value) / 2.0
        if (
            self._is_expired(shadow.activation)
            or self._bars(shadow) >= self._config.rollback_bars
            or self._shadowing.is_silent(shadow.model)
        ):
            yield self._watched(ts_ns, shadow)
        elif evidence >= 1.0 / self._config.rollback_error_rate:
            yield ModelRolledBack(
                ts_ns=ts_ns,
                activation=shadow.activation,
                replaced=self._active,
                reason=PromotionReason.WORSE,
                who=BY_RULE,
                comparison=self.comparison(shadow),
            )

    def _merit(self, shadow: Shadow) -> PromotionReason | None:
        """Why it should take over; a model whose trades would lose has to wait."""
        record, config = self._records[shadow.model], self._config
        if (
            record.pairs >= config.min_outcomes
            and record.better.value >= 1.0 / config.error_rate
            and record.net_sum >= 0.0
        ):
            return PromotionReason.BETTER
        if (
            self.is_dead
            and record.outcomes >= config.min_outcomes
            and record.skilled.value >= 1.0 / config.error_rate_when_dead
            and record.own_net_sum >= 0.0
        ):
            return PromotionReason.SKILLED
        return None

    def _failing(self, shadow: Shadow) -> DropReason | None:
        record, needed = self._records[shadow.model], 1.0 / self._config.error_rate
        if self._is_expired(shadow.activation):
            return DropReason.EXPIRED
        if self._shadowing.is_silent(shadow.model):
            return DropReason.SILENT
        if record.unskilled.value >= needed:
            return DropReason.UNSKILLED
        return DropReason.WORSE if record.worse.value >= needed else None

    def _unfit(self, candidate: ModelActivated) -> DropReason | None:
        active, now = self._roles.active, self._roles.challenger
        taken = {each.model for each in self._roles.shadows()} | {self._active}
        if candidate.model in taken:
            return DropReason.IN_USE
        if active is not None and candidate.feature_fingerprint != active.feature_fingerprint:
            return DropReason.OTHER_FEATURES
        if active is not None and _aim(candidate) != _aim(active):
            return DropReason.OTHER_LABEL
        return DropReason.BUSY if now is not None and self._is_promising(now) else None

    def _is_promising(self, shadow: Shadow) -> bool:
        """It has had no time yet, or shows no less than it began with."""
        record = self._records[shadow.model]
        if self._bars(shadow) < self._config.min_outcomes:
            return True
        return max(record.better.value, record.skilled.value if self.is_dead else 0.0) >= 1.0

    @property
    def _is_worth_watching(self) -> bool:
        """Nothing leads back to a model that is dead."""
        return self._config.rollback_bars > 0 and not self.is_dead

    # --- parts --------------------------------------------------------------------------------

    def _begin(self, model: str) -> None:
        known = {each.model for each in self._roles.shadows()}
        self._records = {name: each for name, each in self._records.items() if name in known}
        self._records[model] = Record()
        self._shadowing.begin(model)

    def _dropped(self, ts_ns: int, shadow: Shadow, reason: DropReason) -> ChallengerDropped:
        return ChallengerDropped(
            ts_ns=ts_ns,
            model=shadow.model,
            champion=self._active,
            reason=reason,
            comparison=self.comparison(shadow),
        )

    def _watched(self, ts_ns: int, shadow: Shadow) -> WatchEnded:
        return WatchEnded(
            ts_ns=ts_ns,
            model=shadow.model,
            active=self._active,
            comparison=self.comparison(shadow),
        )

    def _let_go(self, ts_ns: int, shadow: Shadow, reason: DropReason) -> Event:
        if shadow is self._roles.challenger:
            return self._dropped(ts_ns, shadow, reason)
        return self._watched(ts_ns, shadow)

    def _bars(self, shadow: Shadow) -> int:
        return max(0, self._now_ns - shadow.since_ns) // self._timeframe_ns

    def _is_expired(self, model: ModelActivated) -> bool:
        return self._now_ns - model.trained_through_ns > self._model_age_max_ns


def compared(record: Record, bars: int) -> Comparison:
    """A record as it is told."""
    pairs, outcomes = max(1, record.pairs), max(1, record.outcomes)
    return Comparison(
        other=record.other,
        bars=bars,
        pairs=record.pairs,
        score_gain=record.score_sum / pairs,
        evidence=record.better.value,
        evidence_worse=record.worse.value,
        net_gain_ratio=record.net_sum / pairs,
        trades=record.trades,
        other_trades=record.other_trades,
        outcomes=record.outcomes,
        chance_gain=record.chance_sum / outcomes,
        evidence_skill=record.skilled.value,
        net_ratio=record.own_net_sum / outcomes,
    )


def _aim(model: ModelActivated) -> tuple[object, ...]:
    return model.horizon_bars, model.label
