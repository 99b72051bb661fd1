"""Builds the decision core: the same objects for backtest, replay, paper and live.

Belongs here: which objects exist. Who sees which event belongs to `routes`, starting and stopping
to `session`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.core.bars import ZeroVolume
from daemon.core.blotter import Blotter
from daemon.core.book import Book
from daemon.core.costs import CostEstimate, Schedule
from daemon.core.edges import TradeRule
from daemon.core.flows import ExternalFlows
from daemon.core.listings import Listings
from daemon.core.pace import Pace
from daemon.core.pipeline import Pipeline
from daemon.core.repute import Repute, Tolerance
from daemon.core.roles import Roles
from daemon.core.timeframes import DAY_NS, timeframe_ns
from daemon.core.turnover import Turnover
from daemon.layers.execution import Execution
from daemon.layers.features.handler import Features
from daemon.layers.inference.handler import Inference
from daemon.layers.monitoring.challenger import Challenger
from daemon.layers.monitoring.handler import Monitoring
from daemon.layers.monitoring.retraining import Retraining
from daemon.layers.risk import Policy, Risk
from daemon.layers.signals import Signals
from daemon.routes import routes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.config import ExecutionSection, RiskSection, Settings
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
    repute: Repute
    pace: Pace
    turnover: Turnover
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
    repute = Repute(_tolerance(settings.risk), blotter)
    limits = settings.risk
    pace = Pace(book, hourly=limits.max_orders_per_hour, daily=limits.max_orders_per_day)
    risk = _risk(settings, book, blotter, costs, repute, pace=pace)
    execution = Execution(
        settings.execution,
        blotter,
        book,
        repute,
        pace=pace,
        price_collar_bps=limits.price_collar_bps,
    )
    core = Core(
        pipeline=Pipeline(()),
        book=book,
        blotter=blotter,
        costs=costs,
        flows=ExternalFlows(),
        roles=roles,
        repute=repute,
        pace=pace,
        turnover=Turnover(book),
        features=features,
        inference=inference,
        signals=signals,
        risk=risk,
        execution=execution,
        monitoring=Monitoring(settings.health, timeframe_ns=length_ns),
        retraining=Retraining(settings.retraining, timeframe_ns=length_ns),
        challenger=_challenger(settings, roles, costs),
    )
    core.pipeline = Pipeline(routes(core))
    return core


def _risk(
    settings: Settings,
    book: Book,
    blotter: Blotter,
    costs: CostEstimate,
    repute: Repute,
    *,
    pace: Pace,
) -> Risk:
    policy = Policy(settings.policy, book, blotter, model_age_max_ns=_age_max_ns(settings))
    return Risk(
        settings.risk,
        book,
        blotter,
        costs=costs.of,
        repute=repute,
        pace=pace,
        quarantine_max_per_day=settings.data.quarantine_max_per_day,
        stop_loss_ratio=settings.execution.stop_loss_ratio,
        policy=policy,
    )


def _tolerance(config: RiskSection) -> Tolerance:
    return Tolerance(
        unresolved_max=config.max_unresolved_orders,
        refusals_max=config.max_refusals_in_a_row,
        refusal_pause_bars=config.refusal_pause_bars,
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
