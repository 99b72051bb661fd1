"""Events and their parts with every field filled in: a test names only what it is about.

Belongs here: plausible values of the vocabulary. Doubles of ports belong to `fakes`.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from daemon.core import events as e
from daemon.core.bars import Bar, BarQuality, BarRejectReason, BarSource, MissCause
from daemon.core.ids import trace_for
from daemon.core.instruments import Instrument, InstrumentId
from daemon.core.orders import Fill, Leg, OrderState, OrderType, Side
from daemon.core.scores import Shift
from daemon.core.timeframes import NS_PER_MS, parse_time

S = TypeVar("S", bound=Struct)

HOUR_NS: Final = 3_600_000_000_000
OPEN_NS: Final = parse_time("2024-01-01T00:00Z")
CLOSE_NS: Final = OPEN_NS + HOUR_NS
RECEIVED_NS: Final = CLOSE_NS + 412 * NS_PER_MS
BTC: Final = InstrumentId("binance", "BTC/USDT")
ETH: Final = InstrumentId("binance", "ETH/USDT")
TRACE: Final = trace_for(BTC, "1h", CLOSE_NS)
RUN: Final = "20240101T000000-3fa2"
MODEL: Final = "forest-20231231-7c1e0a55"
CHALLENGER: Final = "rf-20240103-0123abcd"
ORDER: Final = "tdk7q2m5xw3a1b2c3d4e5f6g7h"
NAMES: Final = ("rsi_14", "bb_width_20", "log_return_1")


def an_instrument(**changes: Any) -> Instrument:
    made = Instrument(
        id=BTC,
        base="BTC",
        quote="USDT",
        tick=Decimal("0.01"),
        lot=Decimal("0.00001"),
        minimum_quantity=Decimal("0.00001"),
        minimum_notional=Decimal(5),
    )
    return replace(made, **changes)


def a_bar(**changes: Any) -> Bar:
    """An hour of BTC/USDT; its close and arrival follow `open_ns` unless they are given."""
    open_ns = changes.get("open_ns", OPEN_NS)
    made = Bar(
        instrument=BTC,
        open_ns=open_ns,
        close_ns=open_ns + HOUR_NS,
        open=42_000.5,
        high=42_310.0,
        low=41_905.25,
        close=42_103.6,
        volume=412.75,
        received_ns=changes.get("close_ns", open_ns + HOUR_NS) + RECEIVED_NS - CLOSE_NS,
        source=BarSource.STREAM,
    )
    return replace(made, **changes)


def a_payoff(**changes: Any) -> e.Payoff:
    return replace(e.Payoff(win_ratio=0.0061, loss_ratio=0.0058, n=812), **changes)


def a_feature_row(**changes: Any) -> e.FeatureRow:
    made = e.FeatureRow(
        instrument=BTC,
        trace=TRACE,
        close_ns=CLOSE_NS,
        received_ns=RECEIVED_NS,
        close=42_103.6,
        values=(58.2, 0.031, -0.1 / 3),
    )
    return replace(made, **changes)


def a_features_refused(**changes: Any) -> e.FeaturesRefused:
    made = e.FeaturesRefused(
        instrument=ETH,
        trace=trace_for(ETH, "1h", CLOSE_NS),
        close_ns=CLOSE_NS,
        reason=e.FeaturesRefusedReason.WINDOW_HAS_HOLE,
    )
    return replace(made, **changes)


def a_prediction(**changes: Any) -> e.Prediction:
    made = e.Prediction(
        instrument=BTC,
        trace=TRACE,
        close_ns=CLOSE_NS,
        received_ns=RECEIVED_NS,
        close=42_103.6,
        probability_up=0.71234567,
        standard_error=0.0213,
        raw_probability_up=0.6987,
    )
    return replace(made, **changes)


def a_fill(**changes: Any) -> Fill:
    made = Fill(
        trade_id="90210",
        price=Decimal("42124.65"),
        quantity=Decimal("0.01582"),
        fee=Decimal("0.6664"),
        fee_currency="USDT",
        ts_ns=RECEIVED_NS + 233 * NS_PER_MS,
    )
    return replace(made, **changes)


def _filled(kind: Callable[..., S], defaults: dict[str, Any], changes: dict[str, Any]) -> S:
    return kind(**{"ts_ns": RECEIVED_NS, **defaults, **changes})


def _of_bar() -> dict[str, Any]:
    return {"instrument": BTC, "trace": TRACE, "close_ns": CLOSE_NS}


def _of_order() -> dict[str, Any]:
    return {"client_order_id": ORDER, "instrument": BTC, "trace": TRACE}


# --- inputs -------------------------------------------------------------------------------------


def a_run_opened(**changes: Any) -> e.RunOpened:
    defaults = {
        "run": RUN,
        "bot": "tradingd",
        "mode": "paper",
        "market": "synthetic",
        "account": "instance-1",
        "timeframe": "1h",
        "timeframe_ns": HOUR_NS,
        "instruments": (an_instrument(), an_instrument(id=ETH, base="ETH")),
        "allotted_quote": Decimal(10_000),
        "balances": (e.Balance("USDT", Decimal("12345.678901234567890123")),),
        "config_hash": "5f2e",
        "first_open_ns": OPEN_NS,
        "end_ns": OPEN_NS + 600 * HOUR_NS,
    }
    return _filled(e.RunOpened, defaults, changes)


def an_account_opened(exchange: str, quote: int, **changes: Any) -> e.AccountOpened:
    """Its share of the capital is all it holds."""
    defaults: dict[str, Any] = {
        "exchange": exchange,
        "market": exchange,
        "market_key": exchange,
        "account": f"account-{exchange}",
        "allotted_quote": Decimal(quote),
        "balances": (e.Balance("USDT", Decimal(quote)),),
    }
    return e.AccountOpened(**defaults | changes)


def a_model_activated(**changes: Any) -> e.ModelActivated:
    defaults = {
        "model": MODEL,
        "feature_fingerprint": "f00d",
        "feature_names": NAMES,
        "horizon_bars": 1,
        "trained_through_ns": OPEN_NS,
        "long_payoff": a_payoff(),
        "short_payoff": a_payoff(win_ratio=0.0055),
        "auc": 0.5712,
        "auc_low": 0.5501,
        "auc_high": 0.5923,
    }
    return _filled(e.ModelActivated, defaults, changes)


def a_history_loaded(**changes: Any) -> e.HistoryLoaded:
    bars = tuple(a_bar(open_ns=OPEN_NS - n * HOUR_NS) for n in (3, 2, 1))
    return _filled(e.HistoryLoaded, {"bars": bars}, changes)


def a_bars_closed(**changes: Any) -> e.BarsClosed:
    return _filled(
        e.BarsClosed, {"bars": (a_bar(), a_bar(instrument=ETH, close=2_301.07))}, changes
    )


def a_bars_missed(**changes: Any) -> e.BarsMissed:
    defaults = {"instrument": BTC, "first_open_ns": OPEN_NS, "count": 3, "cause": MissCause.OUTAGE}
    return _filled(e.BarsMissed, defaults, changes)


def a_bar_rejected(**changes: Any) -> e.BarRejected:
    defaults = {
        "instrument": BTC,
        "reason": BarRejectReason.NOT_FINITE,
        "raw": '[1704067200000, "NaN", null]',
    }
    return _filled(e.BarRejected, defaults, changes)


def a_bar_revised(**changes: Any) -> e.BarRevised:
    revised = a_bar(close=42_104.0, quality=BarQuality.REVISED, source=BarSource.BACKFILL)
    return _filled(e.BarRevised, {"bar": revised, "was": a_bar()}, changes)


def a_feed_stale(**changes: Any) -> e.FeedStale:
    defaults = {"instrument": BTC, "silent_s": 92.5, "action": "reconnect"}
    return _filled(e.FeedStale, defaults, changes)


def a_clock_checked(**changes: Any) -> e.ClockChecked:
    defaults = {
        "exchange": BTC.exchange,
        "is_trusted": False,
        "offset_ms": 3_612_000.0,
        "error_ms": 1.5,
        "limit_ms": 2_500.0,
    }
    return _filled(e.ClockChecked, defaults, changes)


def a_disk_checked(**changes: Any) -> e.DiskChecked:
    defaults = {"is_enough": False, "free_megabytes": 90, "limit_megabytes": 256}
    return _filled(e.DiskChecked, defaults, changes)


def a_key_checked(**changes: Any) -> e.KeyChecked:
    defaults = {"exchange": BTC.exchange, "remarks": ("the key expires in 9 days",)}
    return _filled(e.KeyChecked, defaults, changes)


def an_exchange_lost(**changes: Any) -> e.ExchangeLost:
    return _filled(e.ExchangeLost, {"exchange": BTC.exchange, "error": "no route"}, changes)


def an_exchange_back(**changes: Any) -> e.ExchangeBack:
    return _filled(e.ExchangeBack, {"exchange": BTC.exchange}, changes)


def a_feed_recovered(**changes: Any) -> e.FeedRecovered:
    return _filled(e.FeedRecovered, {"instrument": BTC}, changes)


def an_order_reported(**changes: Any) -> e.OrderReported:
    defaults = {
        "client_order_id": ORDER,
        "outcome": e.Outcome.ACKNOWLEDGED,
        "source": e.ReportSource.REPLY,
        "state": OrderState.FILLED,
        "venue_order_id": "4711",
        "filled_quantity": Decimal("0.01582"),
        "fills": (a_fill(),),
    }
    return _filled(e.OrderReported, defaults, changes)


def a_quote(instrument: InstrumentId = BTC, bid: str = "42103.5", ask: str = "42103.7") -> e.Quote:
    """One level on each side, deep enough for every order of the tests."""
    deep = Decimal(1_000)
    return e.Quote(
        instrument=instrument,
        taken_ns=RECEIVED_NS,
        bids=((Decimal(bid), deep),),
        asks=((Decimal(ask), deep),),
    )


def quotes_taken(**changes: Any) -> e.QuotesTaken:
    defaults = {
        "instrument": BTC,
        "trace": TRACE,
        "direction": e.Direction.LONG,
        "quotes": (a_quote(),),
    }
    return _filled(e.QuotesTaken, defaults, changes)


def orders_ticked(**changes: Any) -> e.OrdersTicked:
    return _filled(e.OrdersTicked, {}, changes)


def a_reconciled(**changes: Any) -> e.Reconciled:
    return _filled(e.Reconciled, {"is_clean": True}, changes)


def a_start(**changes: Any) -> e.Started:
    return _filled(e.Started, {}, changes)


def funds_that_moved(**changes: Any) -> e.FundsMoved:
    defaults = {"exchange": BTC.exchange, "currency": "USDT", "amount": Decimal(5), "reason": "r"}
    return _filled(e.FundsMoved, defaults, changes)


def an_adopted_order(**changes: Any) -> e.AdoptedOrder:
    defaults: dict[str, Any] = {
        "client_order_id": "tdadoptedorder0000",
        "instrument": BTC,
        "side": Side.BUY,
        "order_type": OrderType.MARKET,
        "quantity": Decimal("0.01582"),
        "price": Decimal(63_000),
    }
    return e.AdoptedOrder(**defaults | changes)


def books_adopted(**changes: Any) -> e.BooksAdopted:
    defaults = {"exchange": BTC.exchange, "orders": (an_adopted_order(),)}
    return _filled(e.BooksAdopted, defaults, changes)


def a_health_tick(**changes: Any) -> e.HealthTick:
    return _filled(e.HealthTick, {}, changes)


def a_halt_requested(**changes: Any) -> e.HaltRequested:
    return _filled(e.HaltRequested, {"reason": "maintenance", "who": "uid 1000"}, changes)


def a_resume_requested(**changes: Any) -> e.ResumeRequested:
    return _filled(e.ResumeRequested, {"reason": "looked at", "who": "uid 1000"}, changes)


def a_flatten_requested(**changes: Any) -> e.FlattenRequested:
    return _filled(e.FlattenRequested, {"reason": "get out", "who": "uid 1000"}, changes)


def a_stop_requested(**changes: Any) -> e.StopRequested:
    return _filled(e.StopRequested, {}, changes)


def a_run_closed(**changes: Any) -> e.RunClosed:
    return _filled(e.RunClosed, {}, changes)


def a_journal_thinned(**changes: Any) -> e.JournalThinned:
    defaults = {
        "events": 12,
        "chain": "00ff",
        "through_step": 3,
        "bars": {"binance": 2},
        "decisions": 2,
        "suppressed": {"low_confidence": 1},
    }
    return _filled(e.JournalThinned, defaults, changes)


# --- facts --------------------------------------------------------------------------------------


def feature_rows(**changes: Any) -> e.FeatureRows:
    defaults = {
        "fingerprint": "f00d",
        "rows": (a_feature_row(),),
        "refused": (a_features_refused(),),
    }
    return _filled(e.FeatureRows, defaults, changes)


def predictions(**changes: Any) -> e.Predictions:
    defaults = {"model": MODEL, "rows": (a_prediction(),), "refused": (a_features_refused(),)}
    return _filled(e.Predictions, defaults, changes)


def a_signal(**changes: Any) -> e.SignalEmitted:
    defaults = _of_bar() | {
        "direction": e.Direction.LONG,
        "reason": e.SignalReason.MODEL,
        "model": MODEL,
        "price": 42_103.6,
        "probability_up": 0.71234567,
        "win_probability": 0.691,
        "confidence": 0.42469134,
        "edge_ratio": 0.00123,
        "expires_ns": CLOSE_NS + HOUR_NS,
    }
    return _filled(e.SignalEmitted, defaults, changes)


def a_suppression(**changes: Any) -> e.SignalSuppressed:
    defaults = _of_bar() | {
        "reason": e.SuppressReason.LOW_CONFIDENCE,
        "probability_up": 0.552,
        "confidence": 0.104,
        "limit": 0.3,
    }
    return _filled(e.SignalSuppressed, defaults, changes)


def an_approval(**changes: Any) -> e.OrderApproved:
    defaults = _of_bar() | {
        "side": Side.BUY,
        "quantity": Decimal("0.01582"),
        "decision_price": Decimal("42103.60"),
        "is_exit": False,
        "bound_by": e.BoundBy.MAX_POSITION_RATIO,
        "kelly_full_ratio": 0.4925,
        "kelly_used_ratio": 0.123125,
        "wanted_ratio": 0.123125,
        "allowed_ratio": 0.1,
        "notional_quote": Decimal("666.078952"),
        "equity_quote": Decimal("10143.20"),
        "drawdown_ratio": 0.021,
    }
    return _filled(e.OrderApproved, defaults, changes)


def a_denial(**changes: Any) -> e.OrderDenied:
    defaults = _of_bar() | {
        "reason": e.DenyReason.BELOW_MINIMUM,
        "direction": e.Direction.LONG,
        "value": "4.2",
        "limit": "5",
    }
    return _filled(e.OrderDenied, defaults, changes)


def an_intent(**changes: Any) -> e.OrderIntended:
    defaults = (_of_order() | _of_bar()) | {
        "leg": Leg.ENTRY,
        "ordinal": 0,
        "side": Side.BUY,
        "order_type": OrderType.MARKET,
        "quantity": Decimal("0.01582"),
        "decision_price": Decimal("42103.60"),
        "is_exit": False,
    }
    return _filled(e.OrderIntended, defaults, changes)


def an_acceptance(**changes: Any) -> e.OrderAccepted:
    return _filled(e.OrderAccepted, _of_order() | {"venue_order_id": "4711"}, changes)


def a_refusal(**changes: Any) -> e.OrderRefused:
    return _filled(e.OrderRefused, _of_order() | {"reason": "insufficient balance"}, changes)


def an_order_not_sent(**changes: Any) -> e.OrderNotSent:
    return _filled(e.OrderNotSent, _of_order() | {"reason": "no connection"}, changes)


def an_unknown_outcome(**changes: Any) -> e.OrderOutcomeUnknown:
    return _filled(e.OrderOutcomeUnknown, _of_order() | {"reason": "timed out"}, changes)


def an_absence(**changes: Any) -> e.OrderAbsent:
    return _filled(e.OrderAbsent, _of_order() | {"reason": "looked for 41 s"}, changes)


def a_cancel_requested(**changes: Any) -> e.OrderCancelRequested:
    return _filled(e.OrderCancelRequested, _of_order() | {"reason": "it rested long"}, changes)


def a_parent_ended(**changes: Any) -> e.ParentEnded:
    defaults = {
        "instrument": BTC,
        "trace": TRACE,
        "is_exit": False,
        "reason": e.ParentEnd.FILLED,
        "wanted_quantity": Decimal("0.01582"),
        "filled_quantity": Decimal("0.01582"),
    }
    return _filled(e.ParentEnded, defaults, changes)


def a_protection_failed(**changes: Any) -> e.ProtectionFailed:
    defaults = {
        "instrument": BTC,
        "trace": TRACE,
        "close_ns": CLOSE_NS,
        "reason": "it would trigger immediately",
        "attempts": 1,
    }
    return _filled(e.ProtectionFailed, defaults, changes)


def an_order_filled(**changes: Any) -> e.OrderFilled:
    defaults = _of_order() | {
        "ts_ns": RECEIVED_NS + 233 * NS_PER_MS,
        "side": Side.BUY,
        "trade_id": "90210",
        "price": Decimal("42124.65"),
        "quantity": Decimal("0.01582"),
        "fee": Decimal("0.6664"),
        "fee_currency": "USDT",
        "is_maker": False,
        "decision_price": Decimal("42103.60"),
        "slippage_bps": 4.99957,
        "leaves_quantity": Decimal(0),
        "is_adopted": False,
    }
    return _filled(e.OrderFilled, defaults, changes)


def an_order_completed(**changes: Any) -> e.OrderCompleted:
    defaults = _of_order() | {"state": OrderState.FILLED, "filled_quantity": Decimal("0.01582")}
    return _filled(e.OrderCompleted, defaults, changes)


def a_position_changed(**changes: Any) -> e.PositionChanged:
    defaults = {
        "instrument": BTC,
        "trace": TRACE,
        "quantity": Decimal("0.01582"),
        "average_price": Decimal("42124.65"),
        "realized_quote": Decimal("-0.6664"),
        "equity_quote": Decimal("10141.68"),
        "exposure_ratio": 0.0657,
        "closed_return_ratio": None,
    }
    return _filled(e.PositionChanged, defaults, changes)


def a_funding(**changes: Any) -> e.FundingCharged:
    defaults = {"instrument": BTC, "rate": Decimal("0.0001"), "price": Decimal("42103.6")}
    return _filled(e.FundingCharged, defaults, changes)


def a_liquidation(**changes: Any) -> e.PositionLiquidated:
    defaults = {"instrument": BTC, "price": Decimal("28083.1"), "fee": Decimal(0)}
    return _filled(e.PositionLiquidated, defaults, changes)


def a_dust(**changes: Any) -> e.DustSetAside:
    defaults = {
        "instrument": BTC,
        "trace": TRACE,
        "quantity": Decimal("0.00009"),
        "price": Decimal("42124.65"),
    }
    return _filled(e.DustSetAside, defaults, changes)


def an_equity_mark(**changes: Any) -> e.EquityMarked:
    defaults = {
        "equity_quote": Decimal("10141.68"),
        "peak_quote": Decimal("10360.77"),
        "drawdown_ratio": 0.021146,
        "exposure_ratio": 0.0657,
        "fees_quote": Decimal("41.07"),
    }
    return _filled(e.EquityMarked, defaults, changes)


def a_resolution(**changes: Any) -> e.PredictionResolved:
    defaults = {
        "instrument": BTC,
        "trace": TRACE,
        "model": MODEL,
        "predicted_close_ns": CLOSE_NS,
        "probability_up": 0.71234567,
        "outcome": 1,
        "return_ratio": 0.0021,
    }
    return _filled(e.PredictionResolved, defaults, changes)


def a_features_checked(**changes: Any) -> e.FeaturesChecked:
    defaults = {"rows": 48, "through_step": 99, "from_ns": OPEN_NS, "until_ns": CLOSE_NS}
    return _filled(e.FeaturesChecked, defaults, changes)


def a_feature_difference(**changes: Any) -> e.FeaturesChecked:
    defaults = {
        "differing": 2, "instrument": BTC, "close_ns": CLOSE_NS, "feature": "rsi_14",
        "live": 51.25, "stored": 51.5,
    }  # fmt: skip
    return a_features_checked(**(defaults | changes))


def a_shift(**changes: Any) -> Shift:
    defaults: dict[str, Any] = {
        "feature": "bb_width_20", "instrument": BTC, "n": 480, "psi": 0.412, "psi_limit": 0.25,
        "ks": 0.31, "ks_limit": 0.22, "is_drift": True, "is_disputed": False,
    }  # fmt: skip
    return Shift(**(defaults | changes))


def a_health_sample(**changes: Any) -> e.HealthSampled:
    defaults = {
        "model": MODEL,
        "status": e.HealthStatus.UNKNOWN,
        "reasons": ("too few outcomes",),
        "auc": 0.5612,
        "auc_low": 0.4711,
        "auc_high": 0.6513,
        "auc_n": 120,
        "brier": 0.2461,
        "psi_worst": 0.081,
        "psi_worst_feature": "bb_width_20",
        "psi_prediction": None,
        "lost": 0,
    }
    return _filled(e.HealthSampled, defaults, changes)


def a_retraining_opened(**changes: Any) -> e.RetrainingOpened:
    defaults = {
        "reason": e.RetrainReason.SKILL,
        "model": MODEL,
        "attempt": 1,
        "until_ns": CLOSE_NS,
        "detail": "skill_below_chance",
        "value": 0.4711,
        "limit": 0.5,
    }
    return _filled(e.RetrainingOpened, defaults, changes)


def a_held_out(**changes: Any) -> e.HeldOut:
    defaults: dict[str, Any] = {
        "from_ns": OPEN_NS,
        "until_ns": CLOSE_NS,
        "n": 480,
        "auc": 0.6712,
        "auc_low": 0.6101,
        "auc_high": 0.7123,
        "baseline_auc": 0.5123,
        "net_per_bar_ratio": 0.0004,
        "net_per_bar_low": 0.0001,
        "entries": 61,
        "trials": 3,
        "window_days": 30.0,
    }
    return e.HeldOut(**defaults | changes)


def a_candidate_trained(**changes: Any) -> e.CandidateTrained:
    defaults = {
        "opened_ns": CLOSE_NS,
        "activation": a_model_activated(model=CHALLENGER),
        "held_out": a_held_out(),
        "verdict": "Edge shown on this data, which promises nothing about others.",
    }
    return _filled(e.CandidateTrained, defaults, changes)


def a_training_failed(**changes: Any) -> e.TrainingFailed:
    defaults = {
        "opened_ns": CLOSE_NS,
        "fault": e.TrainingFault.CANDIDATE,
        "reason": "No edge shown: the model may be guessing.",
        "model": "rf-20240103-0123abcd",
    }
    return _filled(e.TrainingFailed, defaults, changes)


def an_unfit_model(**changes: Any) -> e.ModelUnfit:
    defaults = {"model": CHALLENGER, "error": "model.npz is missing (No such file or directory)"}
    return _filled(e.ModelUnfit, defaults, changes)


def a_comparison(**changes: Any) -> e.Comparison:
    defaults: dict[str, Any] = {
        "other": MODEL,
        "bars": 480,
        "pairs": 471,
        "score_gain": 0.0123,
        "evidence": 21.3,
        "evidence_worse": 0.02,
        "net_gain_ratio": 0.00012,
        "trades": 31,
        "other_trades": 28,
        "outcomes": 473,
        "chance_gain": 0.0041,
        "evidence_skill": 3.1,
        "net_ratio": 0.00004,
    }
    return e.Comparison(**defaults | changes)


def a_challenger_opened(**changes: Any) -> e.ChallengerOpened:
    defaults = {"activation": a_model_activated(model=CHALLENGER), "champion": MODEL}
    return _filled(e.ChallengerOpened, defaults, changes)


def challenger_predictions(**changes: Any) -> e.ChallengerPredictions:
    defaults = {"model": CHALLENGER, "rows": (a_prediction(),), "refused": ()}
    return _filled(e.ChallengerPredictions, defaults, changes)


def models_compared(**changes: Any) -> e.ModelsCompared:
    defaults = {
        "model": CHALLENGER,
        "other": MODEL,
        "until_ns": CLOSE_NS,
        "outcomes": 2,
        "ups": 1,
        "log_score": -0.6812,
        "net_ratio": 0.0002,
        "trades": 1,
        "pairs": 2,
        "score_gain": 0.0112,
        "net_gain_ratio": 0.0002,
        "other_trades": 0,
    }
    return _filled(e.ModelsCompared, defaults, changes)


def a_promotion_proposed(**changes: Any) -> e.PromotionProposed:
    defaults = {
        "model": CHALLENGER,
        "champion": MODEL,
        "reason": e.PromotionReason.BETTER,
        "comparison": a_comparison(),
    }
    return _filled(e.PromotionProposed, defaults, changes)


def a_promotion(**changes: Any) -> e.ModelPromoted:
    defaults = {
        "activation": a_model_activated(model=CHALLENGER),
        "replaced": MODEL,
        "reason": e.PromotionReason.BETTER,
        "is_watched": True,
        "who": "rule",
        "comparison": a_comparison(),
    }
    return _filled(e.ModelPromoted, defaults, changes)


def a_rollback(**changes: Any) -> e.ModelRolledBack:
    defaults = {
        "activation": a_model_activated(),
        "replaced": CHALLENGER,
        "reason": e.PromotionReason.WORSE,
        "who": "rule",
        "comparison": a_comparison(other=CHALLENGER),
    }
    return _filled(e.ModelRolledBack, defaults, changes)


def a_challenger_dropped(**changes: Any) -> e.ChallengerDropped:
    defaults = {
        "model": CHALLENGER,
        "champion": MODEL,
        "reason": e.DropReason.WORSE,
        "comparison": a_comparison(score_gain=-0.01, evidence=0.1, evidence_worse=22.0),
    }
    return _filled(e.ChallengerDropped, defaults, changes)


def a_watch_ended(**changes: Any) -> e.WatchEnded:
    defaults = {
        "model": MODEL,
        "active": CHALLENGER,
        "comparison": a_comparison(other=CHALLENGER),
    }
    return _filled(e.WatchEnded, defaults, changes)


def a_promotion_requested(**changes: Any) -> e.PromotionRequested:
    defaults = {
        "activation": a_model_activated(model=CHALLENGER),
        "reason": "better on paper",
        "who": "uid 1000",
    }
    return _filled(e.PromotionRequested, defaults, changes)


def a_rollback_requested(**changes: Any) -> e.RollbackRequested:
    defaults = {"activation": a_model_activated(), "reason": "odd", "who": "uid 1000"}
    return _filled(e.RollbackRequested, defaults, changes)


def a_distrust(**changes: Any) -> e.DataDistrusted:
    defaults = {
        "ts_ns": RECEIVED_NS,
        "instrument": BTC,
        "until_ns": CLOSE_NS + 24 * HOUR_NS,
        "count": 11,
        "limit": 10,
    }
    return _filled(e.DataDistrusted, defaults, changes)


def a_fee_drift(**changes: Any) -> e.FeesDrifted:
    defaults = {
        "ts_ns": RECEIVED_NS,
        "exchange": BTC.exchange,
        "expected_bps": 10.0,
        "charged_bps": 11.0,
        "fills": 10,
    }
    return _filled(e.FeesDrifted, defaults, changes)


def a_halt(**changes: Any) -> e.TradingHalted:
    defaults = {
        "reason": e.HaltReason.DRAWDOWN,
        "detail": "drawdown 15.03 % of 15 %",
        "value": 0.1503,
        "limit": 0.15,
    }
    return _filled(e.TradingHalted, defaults, changes)


def a_resumption(**changes: Any) -> e.TradingResumed:
    return _filled(e.TradingResumed, {"reason": "looked at", "who": "uid 1000"}, changes)


def a_canary_begun(**changes: Any) -> e.CanaryBegun:
    """A fortnight in three steps from a quarter, after a month of paper."""
    defaults = {
        "exchange": BTC.exchange,
        "armed_ns": CLOSE_NS,
        "days": 15.0,
        "ratio": 0.25,
        "steps": 3,
        "min_orders": 5,
        "paper_orders": 100,
        "paper_slippage_mean_bps": 2.0,
        "paper_slippage_sd_bps": 3.0,
        "paper_parents": 100,
        "paper_fill_ratio": 1.0,
    }
    return _filled(e.CanaryBegun, defaults, changes)


def a_canary_step(**changes: Any) -> e.CanaryStepped:
    defaults = {
        "exchange": BTC.exchange,
        "step": 1,
        "steps": 3,
        "was_ratio": 0.25,
        "ratio": 0.5,
        "reason": e.CanaryReason.AS_ON_PAPER,
        "orders": 6,
        "slippage_bps": 2.4,
        "slippage_limit_bps": 5.2,
        "fill_ratio": 1.0,
        "fill_limit_ratio": 0.88,
    }
    return _filled(e.CanaryStepped, defaults, changes)


def a_policy_act(**changes: Any) -> e.PolicyActed:
    defaults = {
        "trouble": e.Trouble.DELISTED,
        "instrument": BTC,
        "action": e.PolicyAction.CLOSE,
        "since_ns": CLOSE_NS,
        "attempt": 1,
        "stop_ratio": 0.1,
    }
    return _filled(e.PolicyActed, defaults, changes)


def a_listing_change(**changes: Any) -> e.ListingChanged:
    defaults = {"instrument": BTC, "is_tradable": False, "detail": "BREAK"}
    return _filled(e.ListingChanged, defaults, changes)


def a_rules_change(**changes: Any) -> e.RulesChanged:
    defaults = {"instrument": an_instrument(), "detail": "lot 0.0001 -> 0.00001"}
    return _filled(e.RulesChanged, defaults, changes)


def a_state_change(**changes: Any) -> e.TradingStateChanged:
    defaults = {
        "state": e.TradingState.HALTED,
        "reasons": (e.HaltReason.DRAWDOWN,),
        "probation_trades": 0,
    }
    return _filled(e.TradingStateChanged, defaults, changes)


# --- commands -----------------------------------------------------------------------------------


def a_submission(**changes: Any) -> e.SubmitOrder:
    defaults = {
        "client_order_id": ORDER,
        "instrument": BTC,
        "side": Side.BUY,
        "order_type": OrderType.MARKET,
        "quantity": Decimal("0.01582"),
        "decision_price": Decimal("42103.60"),
    }
    return _filled(e.SubmitOrder, defaults, changes)


def a_look_up(**changes: Any) -> e.LookUpOrder:
    defaults = {
        "client_order_id": ORDER,
        "instrument": BTC,
        "intended_ns": CLOSE_NS,
        "reason": "timed out",
    }
    return _filled(e.LookUpOrder, defaults, changes)


def a_training_start(**changes: Any) -> e.StartTraining:
    defaults = {
        "opened_ns": CLOSE_NS,
        "reason": e.RetrainReason.SKILL,
        "model": MODEL,
        "attempt": 1,
        "until_ns": CLOSE_NS,
        "start": 1,
    }
    return _filled(e.StartTraining, defaults, changes)


JOURNALED_BUILDERS: Final[tuple[Callable[..., e.Event], ...]] = (
    a_run_opened, a_model_activated, a_history_loaded, a_bars_closed, a_bars_missed, a_bar_rejected,
    a_bar_revised, a_feed_stale, a_feed_recovered, a_clock_checked,
    a_disk_checked, a_key_checked,
    an_exchange_lost, an_exchange_back, an_order_reported, quotes_taken,
    orders_ticked, a_start, a_reconciled, funds_that_moved,
    books_adopted,
    a_health_tick, a_features_checked, a_candidate_trained, a_training_failed, an_unfit_model,
    a_promotion_requested, a_rollback_requested, a_halt_requested,
    a_resume_requested, a_flatten_requested,
    a_stop_requested, a_run_closed, feature_rows, predictions,
    a_signal, a_suppression, a_distrust, a_fee_drift, an_approval, a_denial, an_intent,
    an_acceptance, a_refusal, an_order_not_sent, a_cancel_requested, an_unknown_outcome,
    an_absence, an_order_filled, an_order_completed, a_parent_ended, a_protection_failed,
    a_position_changed, an_equity_mark, a_resolution, a_health_sample,
    a_retraining_opened,
    a_challenger_opened, challenger_predictions, models_compared, a_promotion_proposed,
    a_promotion, a_rollback, a_challenger_dropped, a_watch_ended,
    a_halt, a_resumption,
    a_journal_thinned, a_dust, a_state_change, a_listing_change, a_rules_change,
    a_policy_act,
    a_funding, a_liquidation, a_canary_begun, a_canary_step,
)  # fmt: skip


def one_of_each() -> tuple[e.Event, ...]:
    """One event of every type that a journal can hold, in the order of `JOURNALED`."""
    return tuple(build() for build in JOURNALED_BUILDERS)
