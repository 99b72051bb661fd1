"""Which committed event becomes which log line, and what stands in it.

Belongs here: the fields of lines, made from events alone. Names and meanings belong to
`registry`, writing belongs to `writing`.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, TypeAlias

from daemon.core import events as e
from daemon.core.bars import Bar
from daemon.core.ids import trace_for
from daemon.core.instruments import InstrumentId, plain
from daemon.core.timeframes import NS_PER_MS, NS_PER_S, SECONDS, rfc3339

Fields: TypeAlias = dict[str, object]
Memory: TypeAlias = dict[str, int]  # trace of a decision -> close of its bar

RESUME_COMMAND = "tradingd resume --reason R --confirm"


# --- parts of lines -----------------------------------------------------------------------------


def _timeframe(length_ns: int) -> str:
    """The largest unit that fits, as the configuration writes it."""
    seconds = length_ns // NS_PER_S
    unit = next(each for each in ("d", "h", "m", "s") if seconds % SECONDS[each] == 0)
    return f"{seconds // SECONDS[unit]}{unit}"


def _named(instrument: InstrumentId) -> Fields:
    return {"exchange": instrument.exchange, "symbol": instrument.symbol}


def _bar(instrument: InstrumentId, trace: str, close_ns: int) -> Fields:
    return {"trace": trace, **_named(instrument), "bar": rfc3339(close_ns)}


def _own_bar(bar: Bar) -> Fields:
    timeframe = _timeframe(bar.close_ns - bar.open_ns)
    return _bar(bar.instrument, trace_for(bar.instrument, timeframe, bar.close_ns), bar.close_ns)


def _decided(instrument: InstrumentId, trace: str, closes: Memory) -> Fields:
    close_ns = closes.get(trace)
    bar = None if close_ns is None else rfc3339(close_ns)
    return {"trace": trace, **_named(instrument), "bar": bar}


def _order(event: Any, closes: Memory) -> Fields:
    return {**_decided(event.instrument, event.trace, closes), "order": event.client_order_id}


def _at(event: e.Event) -> Fields:
    return {"at": rfc3339(event.ts_ns)}


def _decimal(value: float) -> str:
    """A price or volume of a bar as plain decimal text, exactly."""
    return plain(Decimal(repr(value)))


def _ratio(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _probability(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


# --- bars ---------------------------------------------------------------------------------------


def history_loaded(event: e.HistoryLoaded, _: Memory) -> Iterator[Fields]:
    closes: dict[InstrumentId, list[int]] = {}
    for bar in event.bars:
        closes.setdefault(bar.instrument, []).append(bar.close_ns)
    for instrument, its_closes in closes.items():
        yield {
            **_named(instrument),
            "bars": len(its_closes),
            "first_bar": rfc3339(min(its_closes)),
            "bar": rfc3339(max(its_closes)),
        }


def bar_closed(event: e.BarsClosed, _: Memory) -> Iterator[Fields]:
    for bar in event.bars:
        yield {
            **_own_bar(bar),
            "close": _decimal(bar.close),
            "volume": _decimal(bar.volume),
            "late_ms": (bar.received_ns - bar.close_ns) // NS_PER_MS,
            "source": bar.source,
            "quality": bar.quality,
        }


def bar_revised(event: e.BarRevised, _: Memory) -> Iterator[Fields]:
    yield {
        **_own_bar(event.bar),
        "close": _decimal(event.bar.close),
        "was_close": _decimal(event.was.close),
        "volume": _decimal(event.bar.volume),
        "was_volume": _decimal(event.was.volume),
        "source": event.bar.source,
    }


def feed_gap(event: e.BarsMissed, _: Memory) -> Iterator[Fields]:
    yield {
        **_named(event.instrument),
        **_at(event),
        "first_open": rfc3339(event.first_open_ns),
        "count": event.count,
        "cause": event.cause,
    }


def feed_stale(event: e.FeedStale, _: Memory) -> Iterator[Fields]:
    yield {**_feed(event), "silent_s": round(event.silent_s, 3), "action": event.action}


def feed_recovered(event: e.FeedRecovered, _: Memory) -> Iterator[Fields]:
    yield _feed(event)


def _feed(event: e.FeedStale | e.FeedRecovered) -> Fields:
    return {**_named(event.instrument), **_at(event)}


# --- from bar to order --------------------------------------------------------------------------


def features_computed(event: e.FeatureRows, _: Memory) -> Iterator[Fields]:
    for row in event.rows:
        yield {
            **_bar(row.instrument, row.trace, row.close_ns),
            "fingerprint": event.fingerprint,
            "columns": len(row.values),
            "values": [_ratio(value) for value in row.values],
        }


def features_refused(event: e.FeatureRows, _: Memory) -> Iterator[Fields]:
    for row in event.refused:
        yield {**_bar(row.instrument, row.trace, row.close_ns), "reason": row.reason}


def model_predicted(event: e.Predictions, _: Memory) -> Iterator[Fields]:
    for row in event.rows:
        yield {
            **_bar(row.instrument, row.trace, row.close_ns),
            "model": event.model,
            "probability_up": _probability(row.probability_up),
            "confidence": _probability(row.confidence),
            "standard_error": _probability(row.standard_error),
            "raw_probability_up": _probability(row.raw_probability_up),
        }


def signal_emitted(event: e.SignalEmitted, _: Memory) -> Iterator[Fields]:
    yield {
        **_bar(event.instrument, event.trace, event.close_ns),
        "direction": event.direction,
        "reason": event.reason,
        "price": _decimal(event.price),
        "probability_up": _probability(event.probability_up),
        "win_probability": _probability(event.win_probability),
        "confidence": _probability(event.confidence),
        "edge_ratio": _ratio(event.edge_ratio),
        "expires": None if event.expires_ns is None else rfc3339(event.expires_ns),
    }


def signal_suppressed(event: e.SignalSuppressed, _: Memory) -> Iterator[Fields]:
    yield {
        **_bar(event.instrument, event.trace, event.close_ns),
        "reason": event.reason,
        "probability_up": _probability(event.probability_up),
        "confidence": _probability(event.confidence),
        "edge_ratio": _ratio(event.edge_ratio),
        "limit": _ratio(event.limit),
    }


def risk_sized(event: e.OrderApproved, _: Memory) -> Iterator[Fields]:
    yield {
        **_bar(event.instrument, event.trace, event.close_ns),
        "side": event.side,
        "quantity": plain(event.quantity),
        "notional_quote": plain(event.notional_quote),
        "decision_price": plain(event.decision_price),
        "is_exit": event.is_exit,
        "equity_quote": plain(event.equity_quote),
        "kelly_full_ratio": _ratio(event.kelly_full_ratio),
        "kelly_used_ratio": _ratio(event.kelly_used_ratio),
        "wanted_ratio": _ratio(event.wanted_ratio),
        "allowed_ratio": _ratio(event.allowed_ratio),
        "bound_by": event.bound_by,
        "drawdown_ratio": _ratio(event.drawdown_ratio),
    }


def order_denied(event: e.OrderDenied, _: Memory) -> Iterator[Fields]:
    yield {
        **_bar(event.instrument, event.trace, event.close_ns),
        "reason": event.reason,
        "direction": event.direction,
        "value": event.value or None,
        "limit": event.limit or None,
    }


# --- orders -------------------------------------------------------------------------------------


def order_submitted(event: e.OrderIntended, closes: Memory) -> Iterator[Fields]:
    yield {
        **_order(event, closes),
        "side": event.side,
        "order_type": event.order_type,
        "quantity": plain(event.quantity),
        "decision_price": plain(event.decision_price),
        "leg": event.leg,
        "is_exit": event.is_exit,
    }


def order_reported(event: e.OrderReported, _: Memory) -> Iterator[Fields]:
    yield {
        "order": event.client_order_id,
        **_at(event),
        "outcome": event.outcome,
        "source": event.source,
        "state": event.state,
        "reason": event.reason or None,
    }


def order_accepted(event: e.OrderAccepted, closes: Memory) -> Iterator[Fields]:
    yield {**_order(event, closes), "venue_order": event.venue_order_id}


def order_ended(
    event: e.OrderRefused | e.OrderNotSent | e.OrderOutcomeUnknown | e.OrderAbsent, closes: Memory
) -> Iterator[Fields]:
    yield {**_order(event, closes), "reason": event.reason}


def order_filled(event: e.OrderFilled, closes: Memory) -> Iterator[Fields]:
    close_ns = closes.get(event.trace)
    yield {
        **_order(event, closes),
        "side": event.side,
        "quantity": plain(event.quantity),
        "price": plain(event.price),
        "fee": plain(event.fee),
        "fee_currency": event.fee_currency,
        "slippage_bps": round(event.slippage_bps, 2),
        "leaves_quantity": plain(event.leaves_quantity),
        "trade_id": event.trade_id,
        "is_maker": event.is_maker,
        "bar_to_fill_ms": None if close_ns is None else (event.ts_ns - close_ns) // NS_PER_MS,
    }


def order_adopted(event: e.OrderFilled, closes: Memory) -> Iterator[Fields]:
    if event.is_adopted:
        quantity = plain(event.quantity)
        yield {**_order(event, closes), "trade_id": event.trade_id, "quantity": quantity}


def order_completed(event: e.OrderCompleted, closes: Memory) -> Iterator[Fields]:
    quantity = plain(event.filled_quantity)
    yield {**_order(event, closes), "state": event.state, "quantity": quantity}


# --- the account --------------------------------------------------------------------------------


def _shown(value: Decimal) -> Decimal:
    """Exact to the digit in the journal, readable in a line."""
    return round(value, 8)


def position_changed(event: e.PositionChanged, closes: Memory) -> Iterator[Fields]:
    yield {
        **_decided(event.instrument, event.trace, closes),
        "quantity": plain(event.quantity),
        "average_price": plain(_shown(event.average_price)),
        "realized_quote": plain(_shown(event.realized_quote)),
        "equity_quote": plain(event.equity_quote),
        "exposure_ratio": _ratio(event.exposure_ratio),
        "closed_return_ratio": _ratio(event.closed_return_ratio),
    }


def equity_marked(event: e.EquityMarked, _: Memory) -> Iterator[Fields]:
    yield {
        **_at(event),
        "equity_quote": plain(event.equity_quote),
        "peak_quote": plain(event.peak_quote),
        "drawdown_ratio": _ratio(event.drawdown_ratio),
        "exposure_ratio": _ratio(event.exposure_ratio),
        "fees_quote": plain(event.fees_quote),
    }


def books_reconciled(event: e.Reconciled, _: Memory) -> Iterator[Fields]:
    if event.is_clean:
        yield _at(event)


def books_differed(event: e.Reconciled, _: Memory) -> Iterator[Fields]:
    if not event.is_clean:
        yield {**_at(event), "differences": list(event.differences)}


# --- the model and the trading state ------------------------------------------------------------


def model_activated(event: e.ModelActivated, _: Memory) -> Iterator[Fields]:
    yield {
        "model": event.model,
        "horizon_bars": event.horizon_bars,
        "trained_through": rfc3339(event.trained_through_ns),
        "auc": _probability(event.auc),
        "auc_low": _probability(event.auc_low),
        "auc_high": _probability(event.auc_high),
    }


def outcome_resolved(event: e.PredictionResolved, _: Memory) -> Iterator[Fields]:
    yield {
        **_bar(event.instrument, event.trace, event.predicted_close_ns),
        "model": event.model,
        "probability_up": _probability(event.probability_up),
        "outcome": event.outcome,
        "return_ratio": _ratio(event.return_ratio),
        "reason": event.reason or None,
    }


def health_sampled(event: e.HealthSampled, _: Memory) -> Iterator[Fields]:
    yield {
        **_at(event),
        "model": event.model,
        "status": event.status,
        "reasons": list(event.reasons),
        "auc": _probability(event.auc),
        "auc_low": _probability(event.auc_low),
        "auc_high": _probability(event.auc_high),
        "auc_n": event.auc_n,
        "brier": _probability(event.brier),
        "psi_worst": _probability(event.psi_worst),
        "psi_worst_feature": event.psi_worst_feature,
        "psi_prediction": _probability(event.psi_prediction),
        "lost": event.lost,
    }


def daemon_halted(event: e.TradingHalted, _: Memory) -> Iterator[Fields]:
    yield {
        **_at(event),
        "reason": event.reason,
        "detail": event.detail,
        "value": _ratio(event.value),
        "limit": _ratio(event.limit),
        "resume": RESUME_COMMAND,
    }


def asked(
    event: e.TradingResumed | e.HaltRequested | e.ResumeRequested, _: Memory
) -> Iterator[Fields]:
    yield {**_at(event), "reason": event.reason, "who": event.who}
