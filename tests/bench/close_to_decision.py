"""From closed bars to decisions and orders in process: one step of the daemon's own route table.

Everything that decides is on: the features of the configuration's defaults, a forest of 300 trees
of depth 6, signals, risk, orders and their fills. The journal and the inbox are not part of it. All
symbols close in one cross-section. Aims: an order of one symbol within 130 us (p50) and 1 ms (p99),
500 symbols within 40 ms.
"""

from __future__ import annotations

import sys
import time
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from daemon.app import Core, build_core
from daemon.config import ExecutionSection, RiskSection, Settings, SignalSection
from daemon.core import events as e
from daemon.core.instruments import InstrumentId
from daemon.core.orders import OrderState
from daemon.feature_config import feature_set_of
from daemon.layers.inference.model import ActiveModel, Calibration
from daemon.research.compiling import compile_forest
from tests.builders import (
    HOUR_NS,
    MODEL,
    OPEN_NS,
    a_bar,
    a_fill,
    a_model_activated,
    a_payoff,
    a_run_opened,
    an_account_opened,
    an_instrument,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from daemon.core.bars import Bar
    from daemon.core.pipeline import Step
    from daemon.layers.features.sets import FeatureSet

SLOTS = {1: 2_000, 50: 300, 500: 60}
HISTORY = 60
TREES, DEPTH, LEAF_MIN = 300, 6, 20
TAUGHT_ROWS = 3_000
MARGIN_NS = 100_000_000  # a bar arrives so long after its close
QUOTE_PER_SYMBOL = 10_000


def measure() -> Iterator[dict[str, object]]:
    """The figures, one by one."""
    model = a_model()
    for count in SLOTS:
        yield from _measured(count, model)


def _measured(count: int, model: ActiveModel) -> Iterator[dict[str, object]]:
    market = Market(count)
    core = opened_core(market, model)
    decided_us: list[float] = []
    ordered_us: list[float] = []
    orders = 0
    for slot in range(SLOTS[count]):
        event = market.closed(slot)
        begun_ns = time.perf_counter_ns()
        step = core.pipeline.step(event)
        took_us = (time.perf_counter_ns() - begun_ns) / 1_000
        decided_us.append(took_us)
        # The books are asked for in between, and read by somebody else.
        quotes = [market.quoted(each) for each in step.commands if isinstance(each, e.AskQuotes)]
        begun_ns = time.perf_counter_ns()
        answers = [core.pipeline.step(each) for each in quotes]
        took_us += (time.perf_counter_ns() - begun_ns) / 1_000
        commands = [*step.commands, *(each for answer in answers for each in answer.commands)]
        submitted = [each for each in commands if isinstance(each, e.SubmitOrder)]
        if submitted:
            ordered_us.append(took_us)
        orders += len(submitted)
        for each in submitted:
            core.pipeline.step(market.filled(each, event.ts_ns))
    _require_decisions(step, count, orders)
    yield _figure("close_to_decision_p50", count, _share(decided_us, 0.50))
    yield _figure("close_to_decision_p99", count, _share(decided_us, 0.99))
    yield _figure("close_to_order_p50", count, _share(ordered_us, 0.50))
    yield _figure("close_to_order_p99", count, _share(ordered_us, 0.99))
    yield {"figure": "orders", "symbols": count, "value": orders, "unit": "orders"}


def _figure(name: str, symbols: int, value_us: float) -> dict[str, object]:
    return {"figure": name, "symbols": symbols, "value": round(value_us, 1), "unit": "us"}


def _share(values: list[float], ratio: float) -> float:
    return sorted(values)[min(len(values) - 1, int(ratio * len(values)))]


def _require_decisions(step: Step, count: int, orders: int) -> None:
    """A figure of steps in which nothing was decided would be worth nothing."""
    verdicts = sum(isinstance(each, e.SignalEmitted | e.SignalSuppressed) for each in step.events)
    if verdicts < count or not orders:
        sys.exit(f"close_to_decision: {verdicts} decisions on {count} bars, {orders} orders in all")


class Market:
    """Random walks of so many symbols, from one seed, and fills at the last close."""

    def __init__(self, count: int) -> None:
        self._rng = Random(1)
        self.ids = [InstrumentId("embedded", f"S{number:03d}/USDT") for number in range(count)]
        self._prices = dict.fromkeys(self.ids, 100.0)
        self._trades = 0

    def bars(self, slot: int) -> tuple[Bar, ...]:
        return tuple(self._bar(each, OPEN_NS + slot * HOUR_NS) for each in self.ids)

    def closed(self, slot: int) -> e.BarsClosed:
        bars = self.bars(slot)
        return e.BarsClosed(ts_ns=bars[0].received_ns, bars=bars)

    def quoted(self, question: e.AskQuotes) -> e.QuotesTaken:
        """Books without a spread at the last close, as deep as anybody may want."""
        price = Decimal(repr(self._prices[question.instrument]))
        level = ((price, Decimal(10**6)),)
        return e.QuotesTaken(
            ts_ns=question.ts_ns,
            instrument=question.instrument,
            trace=question.trace,
            direction=question.direction,
            quotes=(
                e.Quote(
                    instrument=question.instrument,
                    taken_ns=question.ts_ns,
                    bids=level,
                    asks=level,
                ),
            ),
        )

    def filled(self, order: e.SubmitOrder, ts_ns: int) -> e.OrderReported:
        self._trades += 1
        price = Decimal(repr(self._prices[order.instrument]))
        fill = a_fill(
            trade_id=str(self._trades),
            price=price,
            quantity=order.quantity,
            fee=order.quantity * price / 1_000,
            ts_ns=ts_ns,
        )
        return e.OrderReported(
            ts_ns=ts_ns,
            client_order_id=order.client_order_id,
            outcome=e.Outcome.ACKNOWLEDGED,
            source=e.ReportSource.REPLY,
            state=OrderState.FILLED,
            venue_order_id=f"v{self._trades}",
            filled_quantity=order.quantity,
            fills=(fill,),
        )

    def _bar(self, instrument: InstrumentId, open_ns: int) -> Bar:
        rng, before = self._rng, self._prices[instrument]
        close = max(1.0, round(before * (1.0 + rng.gauss(0.0, 0.01)), 2))
        self._prices[instrument] = close
        return a_bar(
            instrument=instrument,
            open_ns=open_ns,
            open=before,
            high=max(before, close) + 0.1,
            low=min(before, close) - 0.1,
            close=close,
            volume=round(rng.uniform(50.0, 150.0), 3),
            received_ns=open_ns + HOUR_NS + MARGIN_NS,
        )


def _settings(count: int) -> Settings:
    return Settings(
        signal=SignalSection(confidence_min_ratio=0.0),
        risk=RiskSection(
            allotted_quote=Decimal(QUOTE_PER_SYMBOL * count),
            max_gross_exposure_ratio=1.0,
            max_drawdown_ratio=0.99,
            max_daily_loss_ratio=0.0,
            max_day_notional_quote=Decimal(0),
            max_orders_per_hour=10_000,
            max_orders_per_day=0,
            max_losses_in_a_row=0,
        ),
        execution=ExecutionSection(stop_loss_ratio=0.0),
    )


def opened_core(market: Market, model: ActiveModel | None) -> Core:
    """A core that has its run, its model and its history, and may trade."""
    settings = _settings(len(market.ids))
    features = feature_set_of(settings)
    core = build_core(settings, features, model, market.ids)
    allotted = QUOTE_PER_SYMBOL * len(market.ids)
    instruments = tuple(
        an_instrument(id=each, base=each.symbol.removesuffix("/USDT")) for each in market.ids
    )
    core.pipeline.step(
        a_run_opened(
            ts_ns=OPEN_NS,
            instruments=instruments,
            allotted_quote=Decimal(allotted),
            accounts=(an_account_opened("embedded", allotted),),
        )
    )
    if model is not None:
        core.pipeline.step(_activated(features, settings))
    history = tuple(bar for slot in range(-HISTORY, 0) for bar in market.bars(slot))
    core.pipeline.step(e.HistoryLoaded(ts_ns=OPEN_NS, bars=history))
    core.pipeline.step(e.Reconciled(ts_ns=OPEN_NS, is_clean=True))
    return core


def _activated(features: FeatureSet, settings: Settings) -> e.ModelActivated:
    return a_model_activated(
        ts_ns=OPEN_NS,
        feature_fingerprint=features.fingerprint,
        feature_names=features.names,
        horizon_bars=settings.model.horizon_bars,
        # Of the last slot: no model is too old to trade while this is measured.
        trained_through_ns=OPEN_NS + max(SLOTS.values()) * HOUR_NS,
        long_payoff=a_payoff(win_ratio=0.02, loss_ratio=0.012),
    )


def a_model() -> ActiveModel:
    """A forest fitted on such a market's features and a coin's labels."""
    from sklearn.ensemble import RandomForestClassifier

    features = feature_set_of(_settings(1))
    rows = _feature_rows()
    coin = np.random.default_rng(1).integers(0, 2, len(rows))
    forest = RandomForestClassifier(
        n_estimators=TREES,
        max_depth=DEPTH,
        min_samples_leaf=LEAF_MIN,
        class_weight="balanced",
        random_state=1,
        n_jobs=1,
    ).fit(rows, coin)
    return ActiveModel(
        model_id=MODEL,
        feature_fingerprint=features.fingerprint,
        feature_names=features.names,
        predictor=compile_forest(forest),
        calibration=Calibration((0.0, 1.0), (0.0, 1.0), (0.01, 0.01)),
    )


def _feature_rows() -> NDArray[np.float64]:
    market = Market(1)
    core = opened_core(market, None)
    rows: list[tuple[float, ...]] = []
    for slot in range(TAUGHT_ROWS):
        for event in core.pipeline.step(market.closed(slot)).events:
            if isinstance(event, e.FeatureRows):
                rows += [row.values for row in event.rows]
    return np.array(rows)
