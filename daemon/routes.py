"""Makes the route table of a core: the list that is the architecture diagram.

Belongs here: who applies and who decides on each event, and what comes of it. Which objects there
are belongs to `app`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.core import events as e
from daemon.core.pipeline import Route, apply, on

if TYPE_CHECKING:
    from daemon.app import Core

# What several rows cause together.
CHILD = (e.OrderIntended, e.SubmitOrder)
CANCEL = (e.OrderCancelRequested, e.CancelOrder)
TICK = (*CHILD, *CANCEL, e.AskQuotes, e.ParentEnded)


def routes(core: Core) -> list[Route]:
    """The architecture: all rows, in the order in which they see an event."""
    return [
        # One that takes over decides on the bar with which it does.
        *model_routes(core),
        *run_routes(core),
        *bar_routes(core),
        *decision_routes(core),
        *answer_routes(core),
        *fill_routes(core),
        *position_routes(core),
        *watch_routes(core),
        *state_routes(core),
    ]


def model_routes(core: Core) -> list[Route]:
    """One step holds all of a swap: what was compared, who takes over, and its activation."""
    roles, retraining, challenger = core.roles, core.retraining, core.challenger
    outcomes = core.monitoring.outcomes
    # fmt: off
    verdicts = (
        e.PromotionProposed, e.ModelPromoted, e.ModelRolledBack, e.ChallengerDropped, e.WatchEnded,
    )
    return [
        apply(e.ModelActivated, roles.apply_model_activated),
        apply(e.ModelActivated, retraining.apply_model_activated),
        apply(e.ModelActivated, challenger.apply_model_activated),

        # when a new one is asked for
        apply(e.RunOpened, retraining.apply_run_opened),
        apply(e.Started, retraining.apply_started),
        on(e.Started, retraining.on_started, e.StartTraining),
        apply(e.StopRequested, retraining.apply_stop_requested),
        apply(e.HistoryLoaded, retraining.apply_history_loaded),
        apply(e.BarsClosed, retraining.apply_bars_closed),
        on(e.BarsClosed, retraining.on_bars_closed, e.RetrainingOpened),
        apply(e.HealthSampled, retraining.apply_health_sampled),
        on(e.HealthSampled, retraining.on_health_sampled, e.RetrainingOpened),
        apply(e.RetrainingOpened, retraining.apply_retraining_opened),
        on(e.RetrainingOpened, retraining.on_retraining_opened, e.StartTraining),
        apply(e.CandidateTrained, retraining.apply_candidate_trained),
        apply(e.TrainingFailed, retraining.apply_training_failed),
        apply(e.ChallengerDropped, retraining.apply_challenger_dropped),

        # what becomes of it: in shadow, compared, promoted or dropped, and the way back
        on(e.CandidateTrained, challenger.on_candidate_trained,
           e.ChallengerDropped, e.ChallengerOpened),
        on(e.ModelUnfit, challenger.on_model_unfit, e.ChallengerDropped, e.WatchEnded),
        apply(e.ChallengerOpened, roles.apply_challenger_opened),
        apply(e.ChallengerOpened, outcomes.apply_challenger_opened),
        apply(e.ChallengerOpened, challenger.apply_challenger_opened),
        apply(e.Predictions, challenger.apply_predictions),
        apply(e.ChallengerPredictions, outcomes.apply_challenger_predictions),
        apply(e.ChallengerPredictions, challenger.apply_challenger_predictions),
        apply(e.PredictionResolved, challenger.apply_prediction_resolved),
        apply(e.HealthSampled, challenger.apply_health_sampled),
        apply(e.BarsClosed, challenger.apply_bars_closed),
        on(e.BarsClosed, challenger.on_bars_closed, e.ModelsCompared, *verdicts),
        apply(e.ModelsCompared, challenger.apply_models_compared),
        on(e.ModelsCompared, challenger.on_models_compared, *verdicts),
        apply(e.PromotionProposed, challenger.apply_promotion_proposed),
        apply(e.ChallengerDropped, roles.apply_challenger_dropped),
        apply(e.WatchEnded, roles.apply_watch_ended),
        on(e.PromotionRequested, challenger.on_promotion_requested, e.ModelPromoted),
        on(e.RollbackRequested, challenger.on_rollback_requested, e.ModelRolledBack),
        apply(e.ModelPromoted, roles.apply_model_promoted),
        apply(e.ModelPromoted, challenger.apply_model_promoted),
        on(e.ModelPromoted, challenger.on_model_promoted, e.ModelActivated),
        on(e.ModelPromoted, core.risk.halts.on_model_promoted, e.TradingResumed),
        apply(e.ModelRolledBack, roles.apply_model_rolled_back),
        on(e.ModelRolledBack, challenger.on_model_rolled_back, e.ModelActivated),
    ]
    # fmt: on


def run_routes(core: Core) -> list[Route]:
    """A run begins, and what it begins with is compared and adopted."""
    book, blotter, signals, risk = core.book, core.blotter, core.signals, core.risk
    inference, execution, monitoring = core.inference, core.execution, core.monitoring
    # fmt: off
    return [
        apply(e.RunOpened, blotter.listings.apply_run_opened),
        apply(e.RunOpened, book.apply_run_opened),
        apply(e.RunOpened, core.costs.apply_run_opened),
        apply(e.RunOpened, core.repute.apply_run_opened),
        apply(e.RunOpened, execution.apply_run_opened),
        apply(e.RunOpened, risk.apply_run_opened),
        apply(e.RunOpened, risk.policy.apply_run_opened),
        apply(e.RunOpened, risk.swaps.apply_run_opened),
        apply(e.ModelActivated, inference.apply_model_activated),
        apply(e.ModelActivated, signals.apply_model_activated),
        apply(e.ModelActivated, risk.apply_model_activated),
        apply(e.ModelActivated, risk.policy.apply_model_activated),
        apply(e.ModelActivated, monitoring.apply_model_activated),
        apply(e.Started, risk.apply_started),
        apply(e.Started, risk.policy.apply_started),
        apply(e.Started, execution.apply_started),
        apply(e.Started, signals.apply_started),
        apply(e.Started, core.features.apply_started),
        apply(e.Reconciled, risk.apply_reconciled),
        apply(e.Reconciled, execution.apply_reconciled),
        on(e.Reconciled, risk.halts.on_reconciled, e.TradingHalted),
        on(e.Reconciled, execution.on_reconciled, *CANCEL, e.ParentEnded),
        apply(e.CanaryBegun, risk.canary.apply_canary_begun),
        apply(e.CanaryStepped, risk.canary.apply_canary_stepped),
        apply(e.FundsMoved, core.flows.apply_funds_moved),
        apply(e.BooksAdopted, core.flows.apply_books_adopted),
        apply(e.BooksAdopted, execution.apply_books_adopted),
        on(e.BooksAdopted, execution.on_books_adopted,
           e.OrderIntended, e.OrderCancelRequested, e.CancelOrder),
    ]
    # fmt: on


def bar_routes(core: Core) -> list[Route]:
    """L1 -> L7 resolve -> L5 mark -> L2 -> L3 -> L4 -> L5."""
    book, signals, risk, features = core.book, core.signals, core.risk, core.features
    inference, execution, monitoring = core.inference, core.execution, core.monitoring
    # fmt: off
    return [
        apply(e.HistoryLoaded, features.apply_history_loaded),
        apply(e.HistoryLoaded, book.apply_history_loaded),
        apply(e.HistoryLoaded, risk.apply_history_loaded),
        apply(e.HistoryLoaded, monitoring.apply_history_loaded),
        on(e.HistoryLoaded, monitoring.on_history_loaded, e.PredictionResolved),
        apply(e.BarsMissed, features.apply_bars_missed),
        on(e.BarsMissed, features.on_bars_missed, e.FeatureRows),
        apply(e.BarsMissed, monitoring.apply_bars_missed),
        apply(e.BarRejected, risk.apply_bar_rejected),
        on(e.BarRejected, risk.on_bar_rejected, e.DataDistrusted),
        apply(e.DataDistrusted, risk.apply_data_distrusted),
        apply(e.BarRevised, features.apply_bar_revised),
        apply(e.BarsClosed, features.apply_bars_closed),
        apply(e.BarsClosed, book.apply_bars_closed),
        apply(e.BarsClosed, risk.apply_bars_closed),
        apply(e.BarsClosed, risk.policy.apply_bars_closed),
        apply(e.BarsClosed, monitoring.apply_bars_closed),
        on(e.BarsClosed, monitoring.on_bars_closed, e.PredictionResolved),
        on(e.BarsClosed, execution.on_bars_closed, *TICK),
        on(e.BarsClosed, risk.flattening.on_bars_closed, e.SignalEmitted),
        on(e.BarsClosed, risk.on_bars_closed, e.EquityMarked, e.OrderDenied),
        on(e.BarsClosed, risk.policy.on_bars_closed, e.PolicyActed),
        on(e.BarsClosed, risk.canary.on_bars_closed, e.CanaryStepped),
        on(e.BarsClosed, risk.swaps.on_bars_closed, e.SignalEmitted),
        on(e.BarsClosed, features.on_bars_closed, e.FeatureRows),
        apply(e.FeatureRows, features.apply_feature_rows),
        on(e.FeatureRows, inference.on_feature_rows, e.Predictions, e.ChallengerPredictions),
        apply(e.FeatureRows, monitoring.apply_feature_rows),
        apply(e.Predictions, monitoring.apply_predictions),
        on(e.Predictions, signals.on_predictions, e.SignalEmitted, e.SignalSuppressed),
        apply(e.SignalEmitted, signals.apply_signal_emitted),
        apply(e.SignalEmitted, risk.apply_signal_emitted),
        apply(e.SignalEmitted, risk.flattening.apply_signal_emitted),
        on(e.SignalEmitted, risk.on_signal_emitted, e.OrderDenied, e.AskQuotes),
    ]
    # fmt: on


def decision_routes(core: Core) -> list[Route]:
    """L5 on the book as it stands, then L6."""
    blotter, risk, execution, monitoring = core.blotter, core.risk, core.execution, core.monitoring
    # fmt: off
    return [
        apply(e.QuotesTaken, execution.apply_quotes_taken),
        on(e.QuotesTaken, risk.on_quotes_taken, e.OrderApproved, e.OrderDenied),
        on(e.QuotesTaken, execution.on_quotes_taken, *CHILD, e.ParentEnded),
        apply(e.OrderApproved, blotter.apply_order_approved),
        apply(e.OrderApproved, risk.apply_order_approved),
        apply(e.OrderApproved, monitoring.results.apply_order_approved),
        on(e.OrderApproved, execution.on_order_approved, *CHILD, *CANCEL, e.ParentEnded),
        apply(e.OrderDenied, risk.apply_order_denied),
        on(e.OrderDenied, risk.holdings.on_order_denied, e.DustSetAside),
        apply(e.OrderIntended, blotter.apply_order_intended),
        apply(e.OrderIntended, core.pace.apply_order_intended),
        apply(e.OrderFilled, core.turnover.apply_order_filled),
        apply(e.OrderIntended, execution.apply_order_intended),
    ]
    # fmt: on


def answer_routes(core: Core) -> list[Route]:
    """What an exchange says of an order, until it has filled or ended."""
    blotter, execution = core.blotter, core.execution
    # fmt: off
    return [
        on(e.OrderReported, execution.on_order_reported,
           e.OrderAccepted, e.OrderRefused, e.OrderNotSent, e.OrderOutcomeUnknown, e.OrderAbsent,
           e.OrderFilled, e.OrderCompleted, e.TradingHalted, e.LookUpOrder, *CANCEL),
        apply(e.OrderCancelRequested, blotter.apply_order_cancel_requested),
        apply(e.OrderAccepted, blotter.apply_order_accepted),
        apply(e.OrderAccepted, execution.apply_order_accepted),
        apply(e.OrderAccepted, core.repute.apply_order_accepted),
        apply(e.OrderRefused, blotter.apply_order_refused),
        apply(e.OrderRefused, execution.apply_order_refused),
        apply(e.OrderRefused, core.repute.apply_order_refused),
        on(e.OrderRefused, execution.on_order_refused,
           *CHILD, e.AskQuotes, e.ParentEnded, e.ProtectionFailed),
        apply(e.OrderNotSent, blotter.apply_order_not_sent),
        apply(e.OrderNotSent, execution.apply_order_not_sent),
        on(e.OrderNotSent, execution.on_order_not_sent,
           *CHILD, e.AskQuotes, e.ParentEnded, e.ProtectionFailed),
        apply(e.OrderOutcomeUnknown, blotter.apply_order_outcome_unknown),
        apply(e.OrderAbsent, blotter.apply_order_absent),
        apply(e.OrderAbsent, execution.apply_order_absent),
        on(e.OrderAbsent, execution.on_order_absent,
           *CHILD, e.AskQuotes, e.ParentEnded, e.ProtectionFailed),
    ]
    # fmt: on


def fill_routes(core: Core) -> list[Route]:
    """What was filled, and how orders and their parents end."""
    book, blotter, risk, execution = core.book, core.blotter, core.risk, core.execution
    monitoring = core.monitoring
    # fmt: off
    return [
        apply(e.OrderFilled, blotter.apply_order_filled),
        apply(e.OrderFilled, book.apply_order_filled),
        apply(e.OrderFilled, core.costs.apply_order_filled),
        apply(e.OrderFilled, monitoring.results.apply_order_filled),
        apply(e.OrderFilled, risk.canary.apply_order_filled),
        on(e.OrderFilled, core.costs.on_order_filled, e.FeesDrifted),
        apply(e.FeesDrifted, core.costs.apply_fees_drifted),
        on(e.OrderFilled, risk.holdings.on_order_filled, e.PositionChanged),
        on(e.OrderFilled, risk.halts.on_order_filled, e.TradingHalted),
        apply(e.OrderCompleted, blotter.apply_order_completed),
        # What ends by itself has ended before a halt could end it.
        on(e.OrderCompleted, execution.on_order_completed,
           *CHILD, e.AskQuotes, e.ParentEnded),
        on(e.OrderCompleted, risk.holdings.on_order_completed, e.EquityMarked, e.DustSetAside),
        apply(e.ParentEnded, blotter.apply_parent_ended),
        apply(e.ParentEnded, risk.canary.apply_parent_ended),
        on(e.ParentEnded, risk.holdings.on_parent_ended, e.DustSetAside),
        on(e.ParentEnded, execution.on_parent_ended, *CHILD, *CANCEL),
        apply(e.ProtectionFailed, blotter.apply_protection_failed),
        # What is being bought ends first: beside it no exit would be let through.
        on(e.ProtectionFailed, execution.on_protection_failed, *CANCEL, e.ParentEnded),
        on(e.ProtectionFailed, risk.on_protection_failed, e.SignalEmitted),
    ]
    # fmt: on


def position_routes(core: Core) -> list[Route]:
    """What time, policy, funding and fills do to a position."""
    book, signals, risk, execution = core.book, core.signals, core.risk, core.execution
    monitoring = core.monitoring
    # fmt: off
    return [
        on(e.OrdersTicked, execution.on_orders_ticked, *TICK),
        on(e.OrdersTicked, risk.policy.on_orders_ticked, e.PolicyActed),
        apply(e.PolicyActed, core.blotter.apply_policy_acted),
        apply(e.PolicyActed, risk.policy.apply_policy_acted),
        apply(e.PolicyActed, execution.apply_policy_acted),
        # As above: what is being bought ends first.
        on(e.PolicyActed, execution.on_policy_acted, *CHILD, *CANCEL, e.ParentEnded),
        on(e.PolicyActed, risk.policy.on_policy_acted, e.SignalEmitted),
        apply(e.FundingCharged, book.apply_funding_charged),
        on(e.FundingCharged, risk.swaps.on_funding_charged, e.EquityMarked),
        apply(e.PositionLiquidated, book.apply_position_liquidated),
        on(e.PositionLiquidated, risk.holdings.on_position_liquidated, e.PositionChanged),
        on(e.PositionLiquidated, risk.swaps.on_position_liquidated, e.TradingHalted),
        on(e.OrdersTicked, risk.flattening.on_orders_ticked, e.SignalEmitted),
        apply(e.DustSetAside, book.apply_dust_set_aside),
        on(e.DustSetAside, risk.holdings.on_dust_set_aside, e.PositionChanged),
        apply(e.PositionChanged, signals.apply_position_changed),
        apply(e.PositionChanged, risk.apply_position_changed),
        apply(e.PositionChanged, risk.halts.apply_position_changed),
        apply(e.PositionChanged, risk.policy.apply_position_changed),
        apply(e.PositionChanged, execution.apply_position_changed),
        apply(e.PositionChanged, monitoring.results.apply_position_changed),
        on(e.PositionChanged, risk.halts.on_position_changed, e.TradingStateChanged),
        apply(e.PositionChanged, book.apply_position_changed),
    ]
    # fmt: on


def watch_routes(core: Core) -> list[Route]:
    """The account, the model, and the ways to the market watched."""
    book, signals, risk, features = core.book, core.signals, core.risk, core.features
    execution, monitoring = core.execution, core.monitoring
    # fmt: off
    return [
        apply(e.EquityMarked, book.apply_equity_marked),
        on(e.EquityMarked, risk.halts.on_equity_marked, e.TradingHalted),
        apply(e.PredictionResolved, monitoring.apply_prediction_resolved),
        on(e.HealthTick, monitoring.on_health_tick, e.HealthSampled),
        on(e.FeaturesChecked, risk.halts.on_features_checked, e.TradingHalted),
        apply(e.HealthSampled, risk.apply_health_sampled),
        apply(e.HealthSampled, risk.policy.apply_health_sampled),
        on(e.HealthSampled, risk.halts.on_health_sampled, e.TradingHalted),
        apply(e.FeedStale, risk.apply_feed_stale),
        apply(e.FeedStale, risk.policy.apply_feed_stale),
        apply(e.FeedStale, execution.apply_feed_stale),
        apply(e.FeedStale, signals.apply_feed_stale),
        apply(e.FeedStale, features.apply_feed_stale),
        on(e.FeedStale, features.on_feed_stale, e.FeatureRows),
        apply(e.FeedRecovered, risk.apply_feed_recovered),
        apply(e.FeedRecovered, risk.policy.apply_feed_recovered),
        apply(e.FeedRecovered, execution.apply_feed_recovered),
        apply(e.FeedRecovered, signals.apply_feed_recovered),
        apply(e.FeedRecovered, features.apply_feed_recovered),
        apply(e.ClockChecked, risk.apply_clock_checked),
        apply(e.ClockChecked, execution.apply_clock_checked),
        apply(e.DiskChecked, risk.apply_disk_checked),
        apply(e.ExchangeLost, risk.apply_exchange_lost),
        apply(e.ExchangeLost, risk.policy.apply_exchange_lost),
        apply(e.ExchangeLost, execution.apply_exchange_lost),
        apply(e.ExchangeBack, risk.apply_exchange_back),
        apply(e.ExchangeBack, risk.policy.apply_exchange_back),
        apply(e.ExchangeBack, execution.apply_exchange_back),
        apply(e.ListingChanged, risk.apply_listing_changed),
        apply(e.ListingChanged, risk.policy.apply_listing_changed),
        apply(e.RulesChanged, book.apply_rules_changed),
    ]
    # fmt: on


def state_routes(core: Core) -> list[Route]:
    """Who may stop trading, and who lets it go on."""
    book, risk, execution = core.book, core.risk, core.execution
    # fmt: off
    return [
        on(e.HaltRequested, risk.halts.on_halt_requested, e.TradingHalted),
        apply(e.FlattenRequested, risk.halts.apply_flatten_requested),
        apply(e.FlattenRequested, risk.flattening.apply_flatten_requested),
        apply(e.FlattenRequested, execution.apply_flatten_requested),
        on(e.FlattenRequested, risk.halts.on_flatten_requested, e.TradingHalted),
        on(e.FlattenRequested, execution.on_flatten_requested, *CANCEL),
        on(e.FlattenRequested, risk.flattening.on_flatten_requested, e.SignalEmitted),
        apply(e.StopRequested, execution.apply_stop_requested),
        on(e.StopRequested, execution.on_stop_requested, *CANCEL, e.ParentEnded),
        on(e.ResumeRequested, risk.halts.on_resume_requested, e.TradingResumed),
        apply(e.TradingHalted, risk.halts.apply_trading_halted),
        apply(e.TradingHalted, risk.policy.apply_trading_halted),
        on(e.TradingHalted, risk.halts.on_trading_halted, e.TradingStateChanged),
        apply(e.TradingHalted, book.apply_trading_halted),
        apply(e.TradingHalted, execution.apply_trading_halted),
        on(e.TradingHalted, execution.on_trading_halted, *CANCEL, e.ParentEnded),
        apply(e.TradingResumed, risk.halts.apply_trading_resumed),
        apply(e.TradingResumed, risk.policy.apply_trading_resumed),
        apply(e.TradingResumed, risk.flattening.apply_trading_resumed),
        on(e.TradingResumed, risk.halts.on_trading_resumed, e.TradingStateChanged),
        apply(e.TradingStateChanged, risk.halts.apply_trading_state_changed),
        apply(e.TradingResumed, book.apply_trading_resumed),
        apply(e.TradingResumed, execution.apply_trading_resumed),
    ]
    # fmt: on
