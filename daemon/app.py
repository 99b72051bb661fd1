"""Builds the decision core and holds ROUTES, the list that is the architecture diagram.

Belongs here: which objects exist and who sees which event. Starting and stopping belong to
`session`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core import events as e
from daemon.core.bars import ZeroVolume
from daemon.core.blotter import Blotter
from daemon.core.book import Book
from daemon.core.costs import CostEstimate, Schedule
from daemon.core.edges import TradeRule
from daemon.core.flows import ExternalFlows
from daemon.core.listings import Listings
from daemon.core.pipeline import Pipeline, Route, apply, on
from daemon.core.roles import Roles
from daemon.core.timeframes import DAY_NS, timeframe_ns
from daemon.layers.execution import Execution
from daemon.layers.features.handler import Features
from daemon.layers.inference.handler import Inference
from daemon.layers.monitoring.challenger import Challenger
from daemon.layers.monitoring.handler import Monitoring
from daemon.layers.monitoring.retraining import Retraining
from daemon.layers.risk import Policy, Risk
from daemon.layers.signals import Signals
from daemon.model_routes import model_routes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.config import ExecutionSection, Settings
    from daemon.core.instruments import InstrumentId
    from daemon.layers.features.sets import FeatureSet
    from daemon.layers.inference.model import ActiveModel


class Core(Struct):
    """The decision core: the pipeline and the objects its rows belong to."""

    pipeline: Pipeline
    book: Book
    blotter: Blotter
    costs: CostEstimate
    flows: ExternalFlows
    roles: Roles
    features: Features
    inference: Inference
    signals: Signals
    risk: Risk
    execution: Execution
    monitoring: Monitoring
    retraining: Retraining
    challenger: Challenger

    def is_due(self, ts_ns: int) -> bool:
        """True when a tick now would do anything."""
        return (
            self.execution.is_due(ts_ns)
            or self.risk.policy.is_due(ts_ns)
            or self.risk.flattening.is_due(ts_ns)
        )


def build_core(
    settings: Settings,
    feature_set: FeatureSet,
    model: ActiveModel | None,
    instruments: Sequence[InstrumentId],
) -> Core:
    """The same objects and routes for backtest, replay, paper and live; only the edge differs."""
    length_ns = timeframe_ns(settings.data.timeframe)
    listings = Listings()
    book, blotter = Book(), Blotter(listings)
    costs = CostEstimate(_schedule(settings.execution), blotter)
    features = Features(
        feature_set,
        instruments,
        timeframe=settings.data.timeframe,
        zero_volume=ZeroVolume(settings.data.zero_volume),
    )
    roles = Roles()
    inference = Inference(model, roles)
    signals = Signals(
        settings.signal,
        listings,
        timeframe_ns=length_ns,
        costs=costs.of,
        bar_age_max_ns=round(settings.data.max_decision_age_ratio * length_ns),
        model_age_max_ns=_age_max_ns(settings),
    )
    risk = _risk(settings, book, blotter, costs)
    execution = Execution(
        settings.execution, blotter, book, price_collar_bps=settings.risk.price_collar_bps
    )
    monitoring = Monitoring(settings.health, timeframe_ns=length_ns)
    core = Core(
        pipeline=Pipeline(()),
        book=book,
        blotter=blotter,
        costs=costs,
        flows=ExternalFlows(),
        roles=roles,
        features=features,
        inference=inference,
        signals=signals,
        risk=risk,
        execution=execution,
        monitoring=monitoring,
        retraining=Retraining(settings.retraining, timeframe_ns=length_ns),
        challenger=_challenger(settings, roles, costs),
    )
    core.pipeline = Pipeline(routes(core))
    return core


def _risk(settings: Settings, book: Book, blotter: Blotter, costs: CostEstimate) -> Risk:
    policy = Policy(settings.policy, book, blotter, model_age_max_ns=_age_max_ns(settings))
    return Risk(
        settings.risk,
        book,
        blotter,
        costs=costs.of,
        quarantine_max_per_day=settings.data.quarantine_max_per_day,
        policy=policy,
    )


def _challenger(settings: Settings, roles: Roles, costs: CostEstimate) -> Challenger:
    signal = settings.signal
    rule = TradeRule(
        confidence_min_ratio=signal.confidence_min_ratio,
        margin_ratio=signal.cost_margin_bps / 10_000,
        allow_short=signal.allow_short,
    )
    return Challenger(
        settings.promotion,
        roles,
        rule,
        costs=costs.of,
        timeframe_ns=timeframe_ns(settings.data.timeframe),
        model_age_max_ns=_age_max_ns(settings),
    )


def _age_max_ns(settings: Settings) -> int:
    return round(settings.model.max_age_days * DAY_NS)


def _schedule(execution: ExecutionSection) -> Schedule:
    return Schedule(
        taker_bps=execution.fee_bps,
        maker_bps=execution.maker_fee_bps,
        slippage_bps=execution.slippage_bps,
        slippage_prior_fills=execution.cost_prior_fills,
        taker_on=execution.fee_bps_on,
    )


def routes(core: Core) -> list[Route]:
    """The architecture: who applies and who decides on each event, in this order, and what comes of
    it.
    """
    book, blotter, signals, risk = core.book, core.blotter, core.signals, core.risk
    features, inference = core.features, core.inference
    execution, monitoring = core.execution, core.monitoring
    # fmt: off
    child = (e.OrderIntended, e.SubmitOrder)
    cancel = (e.OrderCancelRequested, e.CancelOrder)
    tick = (*child, *cancel, e.AskQuotes, e.ParentEnded)
    return [
        # a model's life comes first: one that takes over decides on the bar with which it does
        *model_routes(core),
        # the run and its model
        apply(e.RunOpened, blotter.listings.apply_run_opened),
        apply(e.RunOpened, book.apply_run_opened),
        apply(e.RunOpened, core.costs.apply_run_opened),
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
        apply(e.Reconciled, risk.apply_reconciled),
        apply(e.Reconciled, execution.apply_reconciled),
        on(e.Reconciled, risk.halts.on_reconciled, e.TradingHalted),
        on(e.Reconciled, execution.on_reconciled, *cancel, e.ParentEnded),
        apply(e.CanaryBegun, risk.canary.apply_canary_begun),
        apply(e.CanaryStepped, risk.canary.apply_canary_stepped),
        apply(e.FundsMoved, core.flows.apply_funds_moved),
        apply(e.BooksAdopted, core.flows.apply_books_adopted),
        apply(e.BooksAdopted, execution.apply_books_adopted),
        on(e.BooksAdopted, execution.on_books_adopted,
           e.OrderIntended, e.OrderCancelRequested, e.CancelOrder),

        # life of a bar: L1 -> L7 resolve -> L5 mark -> L2 -> L3 -> L4 -> L5 -> L6
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
        on(e.BarsClosed, execution.on_bars_closed, *tick),
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

        # life of an order: L5 on the book as it stands, then L6
        apply(e.QuotesTaken, execution.apply_quotes_taken),
        on(e.QuotesTaken, risk.on_quotes_taken, e.OrderApproved, e.OrderDenied),
        on(e.QuotesTaken, execution.on_quotes_taken, *child, e.ParentEnded),
        apply(e.OrderApproved, blotter.apply_order_approved),
        apply(e.OrderApproved, risk.apply_order_approved),
        apply(e.OrderApproved, monitoring.results.apply_order_approved),
        on(e.OrderApproved, execution.on_order_approved, *child, *cancel, e.ParentEnded),
        apply(e.OrderDenied, risk.apply_order_denied),
        on(e.OrderDenied, risk.holdings.on_order_denied, e.DustSetAside),
        apply(e.OrderIntended, blotter.apply_order_intended),
        apply(e.OrderIntended, risk.apply_order_intended),
        apply(e.OrderIntended, execution.apply_order_intended),
        on(e.OrderReported, execution.on_order_reported,
           e.OrderAccepted, e.OrderRefused, e.OrderNotSent, e.OrderOutcomeUnknown, e.OrderAbsent,
           e.OrderFilled, e.OrderCompleted, e.TradingHalted, e.LookUpOrder),
        apply(e.OrderCancelRequested, blotter.apply_order_cancel_requested),
        apply(e.OrderAccepted, blotter.apply_order_accepted),
        apply(e.OrderAccepted, execution.apply_order_accepted),
        apply(e.OrderAccepted, risk.apply_order_accepted),
        apply(e.OrderRefused, blotter.apply_order_refused),
        apply(e.OrderRefused, execution.apply_order_refused),
        apply(e.OrderRefused, risk.apply_order_refused),
        on(e.OrderRefused, execution.on_order_refused,
           *child, e.AskQuotes, e.ParentEnded, e.ProtectionFailed),
        apply(e.OrderNotSent, blotter.apply_order_not_sent),
        apply(e.OrderNotSent, execution.apply_order_not_sent),
        on(e.OrderNotSent, execution.on_order_not_sent,
           *child, e.AskQuotes, e.ParentEnded, e.ProtectionFailed),
        apply(e.OrderOutcomeUnknown, blotter.apply_order_outcome_unknown),
        apply(e.OrderAbsent, blotter.apply_order_absent),
        apply(e.OrderAbsent, execution.apply_order_absent),
        on(e.OrderAbsent, execution.on_order_absent,
           *child, e.AskQuotes, e.ParentEnded, e.ProtectionFailed),
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
           *child, e.AskQuotes, e.ParentEnded),
        on(e.OrderCompleted, risk.holdings.on_order_completed, e.EquityMarked, e.DustSetAside),
        apply(e.ParentEnded, blotter.apply_parent_ended),
        apply(e.ParentEnded, risk.canary.apply_parent_ended),
        on(e.ParentEnded, risk.holdings.on_parent_ended, e.DustSetAside),
        on(e.ParentEnded, execution.on_parent_ended, *child, *cancel),
        on(e.ProtectionFailed, risk.on_protection_failed, e.SignalEmitted),
        on(e.OrdersTicked, execution.on_orders_ticked, *tick),
        on(e.OrdersTicked, risk.policy.on_orders_ticked, e.PolicyActed),
        apply(e.PolicyActed, risk.policy.apply_policy_acted),
        apply(e.PolicyActed, execution.apply_policy_acted),
        on(e.PolicyActed, risk.policy.on_policy_acted, e.SignalEmitted),
        on(e.PolicyActed, execution.on_policy_acted, *child, *cancel),
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
        apply(e.PositionChanged, execution.apply_position_changed),
        apply(e.PositionChanged, monitoring.results.apply_position_changed),
        on(e.PositionChanged, risk.halts.on_position_changed, e.TradingStateChanged),
        apply(e.PositionChanged, book.apply_position_changed),

        # the account and the model watched
        apply(e.EquityMarked, book.apply_equity_marked),
        apply(e.EquityMarked, risk.apply_equity_marked),
        on(e.EquityMarked, risk.halts.on_equity_marked, e.TradingHalted),
        apply(e.PredictionResolved, monitoring.apply_prediction_resolved),
        on(e.HealthTick, monitoring.on_health_tick, e.HealthSampled),
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

        # trading state
        on(e.HaltRequested, risk.halts.on_halt_requested, e.TradingHalted),
        apply(e.FlattenRequested, risk.halts.apply_flatten_requested),
        apply(e.FlattenRequested, risk.flattening.apply_flatten_requested),
        apply(e.FlattenRequested, execution.apply_flatten_requested),
        on(e.FlattenRequested, risk.halts.on_flatten_requested, e.TradingHalted),
        on(e.FlattenRequested, execution.on_flatten_requested, *cancel),
        on(e.FlattenRequested, risk.flattening.on_flatten_requested, e.SignalEmitted),
        apply(e.StopRequested, execution.apply_stop_requested),
        on(e.StopRequested, execution.on_stop_requested, *cancel, e.ParentEnded),
        on(e.ResumeRequested, risk.halts.on_resume_requested, e.TradingResumed),
        apply(e.TradingHalted, risk.halts.apply_trading_halted),
        apply(e.TradingHalted, risk.policy.apply_trading_halted),
        on(e.TradingHalted, risk.halts.on_trading_halted, e.TradingStateChanged),
        apply(e.TradingHalted, book.apply_trading_halted),
        apply(e.TradingHalted, execution.apply_trading_halted),
        on(e.TradingHalted, execution.on_trading_halted, *cancel, e.ParentEnded),
        apply(e.TradingResumed, risk.halts.apply_trading_resumed),
        apply(e.TradingResumed, risk.policy.apply_trading_resumed),
        apply(e.TradingResumed, risk.flattening.apply_trading_resumed),
        on(e.TradingResumed, risk.halts.on_trading_resumed, e.TradingStateChanged),
        apply(e.TradingStateChanged, risk.halts.apply_trading_state_changed),
        apply(e.TradingResumed, book.apply_trading_resumed),
        apply(e.TradingResumed, execution.apply_trading_resumed),
    ]
    # fmt: on
