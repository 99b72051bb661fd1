"""Turns committed steps into log lines, so that layers need not know that logs exist.

Belongs here: which event becomes which line, and what must be remembered for it. What stands in a
line belongs to `lines`, names and meanings to `registry`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from daemon.core import events as e
from daemon.logs import account_lines, data_lines, lines, model_lines, order_lines
from daemon.logs.clock_lines import (
    clock_agrees,
    clock_off,
    disk_enough,
    disk_low,
    exchange_back,
    key_checked,
    key_remark,
)
from daemon.logs.parts import Fields, Memory

Build: TypeAlias = Callable[[Any, Memory], Iterator[Fields]]

DECISIONS_REMEMBERED_MAX = 10_000
# Events that say nothing by themselves: the edge logs the run, the facts they cause log the rest.
SILENT: tuple[type[e.Event], ...] = (
    e.RunOpened,
    e.Started,
    e.ExchangeLost,
    e.HealthTick,
    e.StopRequested,
    e.RunClosed,
    e.JournalThinned,
    e.OrdersTicked,
)
LINES: dict[type[e.Event], tuple[tuple[str, Build], ...]] = {
    e.HistoryLoaded: (("history.loaded", lines.history_loaded),),
    e.BarsClosed: (("bar.closed", lines.bar_closed),),
    e.BarsMissed: (("feed.gap", lines.feed_gap),),
    e.BarRejected: (
        ("bar.rejected", data_lines.bar_rejected),
        ("bar.repeated", data_lines.bar_repeated),
    ),
    e.BarRevised: (("bar.revised", lines.bar_revised),),
    e.FeedStale: (("feed.stale", lines.feed_stale),),
    e.FeedRecovered: (("feed.recovered", lines.feed_recovered),),
    e.ClockChecked: (("clock.off", clock_off), ("clock.agrees", clock_agrees)),
    e.DiskChecked: (("disk.low", disk_low), ("disk.enough", disk_enough)),
    e.KeyChecked: (("key.checked", key_checked), ("key.remark", key_remark)),
    e.ExchangeBack: (("exchange.back", exchange_back),),
    e.FeatureRows: (
        ("features.computed", lines.features_computed),
        ("features.refused", lines.features_refused),
    ),
    e.Predictions: (("model.predicted", lines.model_predicted),),
    e.SignalEmitted: (("signal.emitted", lines.signal_emitted),),
    e.SignalSuppressed: (("signal.suppressed", lines.signal_suppressed),),
    e.OrderApproved: (("risk.sized", lines.risk_sized),),
    e.OrderDenied: (("order.denied", lines.order_denied),),
    e.QuotesTaken: (("quotes.taken", order_lines.quotes_taken),),
    e.OrderIntended: (("order.submitted", order_lines.order_submitted),),
    e.OrderReported: (("order.reported", order_lines.order_reported),),
    e.OrderCancelRequested: (("order.cancel_requested", order_lines.order_ended),),
    e.OrderAccepted: (("order.accepted", order_lines.order_accepted),),
    e.OrderRefused: (("order.refused", order_lines.order_ended),),
    e.OrderNotSent: (("order.not_sent", order_lines.order_ended),),
    e.OrderOutcomeUnknown: (("order.unknown", order_lines.order_ended),),
    e.OrderAbsent: (("order.absent", order_lines.order_ended),),
    e.OrderFilled: (
        ("order.filled", order_lines.order_filled),
        ("order.adopted", order_lines.order_adopted),
    ),
    e.OrderCompleted: (("order.completed", order_lines.order_completed),),
    e.ParentEnded: (("order.worked", order_lines.order_worked),),
    e.ProtectionFailed: (("protection.failed", order_lines.protection_failed),),
    e.PositionChanged: (("position.changed", lines.position_changed),),
    e.FundingCharged: (("funding.charged", account_lines.funding_charged),),
    e.PositionLiquidated: (("position.liquidated", account_lines.position_liquidated),),
    e.DustSetAside: (("position.dust", lines.dust_set_aside),),
    e.EquityMarked: (("equity.marked", lines.equity_marked),),
    e.Reconciled: (
        ("books.reconciled", account_lines.books_reconciled),
        ("books.differed", account_lines.books_differed),
    ),
    e.BooksAdopted: (("books.adopted", account_lines.books_adopted),),
    e.FundsMoved: (("funds.moved", account_lines.funds_moved),),
    e.ModelActivated: (("model.activated", lines.model_activated),),
    e.PredictionResolved: (("outcome.resolved", lines.outcome_resolved),),
    e.HealthSampled: (
        ("health.sampled", lines.health_sampled),
        ("drift.found", model_lines.drift_found),
        ("drift.disputed", model_lines.drift_disputed),
    ),
    e.FeaturesChecked: (
        ("features.checked", model_lines.features_checked),
        ("features.differ", model_lines.features_differ),
        ("features.unchecked", model_lines.features_unchecked),
    ),
    e.RetrainingOpened: (("retraining.opened", model_lines.retraining_opened),),
    e.CandidateTrained: (("candidate.trained", model_lines.candidate_trained),),
    e.TrainingFailed: (("training.failed", model_lines.training_failed),),
    e.ModelUnfit: (("model.unfit", model_lines.model_unfit),),
    e.ChallengerOpened: (("model.challenger", model_lines.challenger_opened),),
    e.ChallengerPredictions: (("challenger.predicted", lines.model_predicted),),
    e.ModelsCompared: (("models.compared", model_lines.models_compared),),
    e.PromotionProposed: (("model.proposed", model_lines.promotion_proposed),),
    e.ModelPromoted: (("model.promoted", model_lines.model_promoted),),
    e.ModelRolledBack: (("model.rolled_back", model_lines.model_promoted),),
    e.ChallengerDropped: (("model.dropped", model_lines.challenger_dropped),),
    e.WatchEnded: (("model.watch_ended", model_lines.watch_ended),),
    e.FeesDrifted: (("fees.drifted", order_lines.fees_drifted),),
    e.DataDistrusted: (("data.distrusted", data_lines.data_distrusted),),
    e.TradingHalted: (("daemon.halted", lines.daemon_halted),),
    e.ListingChanged: (("exchange.listing", lines.listing_changed),),
    e.RulesChanged: (("exchange.rules", lines.rules_changed),),
    e.CanaryBegun: (("canary.begun", lines.canary_begun),),
    e.CanaryStepped: (("canary.stepped", lines.canary_stepped),),
    e.PolicyActed: (("policy.acted", lines.policy_acted),),
    e.TradingStateChanged: (("trading.state", lines.trading_state),),
    e.TradingResumed: (("daemon.resumed", lines.asked),),
    e.HaltRequested: (("operator.halt_requested", lines.asked),),
    e.FlattenRequested: (("operator.flatten_requested", lines.asked),),
    e.PromotionRequested: (("operator.promotion_requested", model_lines.swap_asked),),
    e.RollbackRequested: (("operator.rollback_requested", model_lines.swap_asked),),
    e.ResumeRequested: (("operator.resume_requested", lines.asked),),
}


class Log(Protocol):
    """What the tap needs of the logs."""

    def is_enabled(self, event: str) -> bool: ...

    def write(self, event: str, fields: Mapping[str, object]) -> None: ...


class Tap:
    """Hears of committed steps. Lines below the level cost one look into a dictionary."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lines = {
            kind: tuple(row for row in rows if log.is_enabled(row[0]))
            for kind, rows in LINES.items()
        }
        self._closes: Memory = {}
        self._reasons: Counter[str] = Counter()

    def __call__(self, events: Sequence[e.Event]) -> None:
        """Log one committed step."""
        self.recall(events)
        for event in events:
            for name, build in self._lines.get(type(event), ()):
                for fields in build(event, self._closes):
                    self._log.write(name, fields)

    def recall(self, events: Iterable[e.Event]) -> None:
        """Learn from events of an earlier life without logging them again."""
        for event in events:
            kind = type(event)
            if kind is e.SignalSuppressed or kind is e.OrderDenied:
                self._reasons[event.reason.value] += 1  # type: ignore[attr-defined]
            elif kind is e.OrderIntended:
                self._closes[event.trace] = event.close_ns  # type: ignore[attr-defined]
                if len(self._closes) > DECISIONS_REMEMBERED_MAX:
                    del self._closes[next(iter(self._closes))]  # the oldest

    def reasons(self) -> dict[str, int]:
        """Why it did not trade: how often each reason was given, most frequent first."""
        return dict(self._reasons.most_common())
