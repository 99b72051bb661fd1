"""Which committed event becomes which log line, and what stands in it.

Belongs here: the fields of lines, made from events alone. Names and meanings belong to
`registry`, writing belongs to `writing`.
"""

from collections.abc import Iterator
from decimal import Decimal

from daemon.core import events as e
from daemon.core.instruments import InstrumentId, plain
from daemon.core.timeframes import NS_PER_MS, rfc3339
from daemon.logs import parts
from daemon.logs.parts import Fields, Memory

RESUME_COMMAND = "tradingd resume --reason R --confirm"


# --- bars ---------------------------------------------------------------------------------------


def history_loaded(event: e.HistoryLoaded, _: Memory) -> Iterator[Fields]:
    closes: dict[InstrumentId, list[int]] = {}
    for bar in event.bars:
        closes.setdefault(bar.instrument, []).append(bar.close_ns)
    for instrument, its_closes in closes.items():
        yield {
            **parts.named(instrument),
            "bars": len(its_closes),
            "first_bar": rfc3339(min(its_closes)),
            "bar": rfc3339(max(its_closes)),
        }


def bar_closed(event: e.BarsClosed, _: Memory) -> Iterator[Fields]:
    for bar in event.bars:
        yield {
            **parts.own_bar(bar),
            "close": parts.decimal(bar.close),
            "volume": parts.decimal(bar.volume),
            "late_ms": (bar.received_ns - bar.close_ns) // NS_PER_MS,
            "source": bar.source,
            "quality": bar.quality,
        }


def bar_revised(event: e.BarRevised, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.own_bar(event.bar),
        "close": parts.decimal(event.bar.close),
        "was_close": parts.decimal(event.was.close),
        "volume": parts.decimal(event.bar.volume),
        "was_volume": parts.decimal(event.was.volume),
        "source": event.bar.source,
    }


def feed_gap(event: e.BarsMissed, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.named(event.instrument),
        **parts.at(event),
        "first_open": rfc3339(event.first_open_ns),
        "count": event.count,
        "cause": event.cause,
    }


def feed_stale(event: e.FeedStale, _: Memory) -> Iterator[Fields]:
    yield {**_feed(event), "silent_s": round(event.silent_s, 3), "action": event.action}


def feed_recovered(event: e.FeedRecovered, _: Memory) -> Iterator[Fields]:
    yield _feed(event)


def _feed(event: e.FeedStale | e.FeedRecovered) -> Fields:
    return {**parts.named(event.instrument), **parts.at(event)}


# --- from bar to order --------------------------------------------------------------------------


def features_computed(event: e.FeatureRows, _: Memory) -> Iterator[Fields]:
    for row in event.rows:
        yield {
            **parts.bar(row.instrument, row.trace, row.close_ns),
            "fingerprint": event.fingerprint,
            "columns": len(row.values),
            "values": [parts.ratio(value) for value in row.values],
        }


def features_refused(event: e.FeatureRows, _: Memory) -> Iterator[Fields]:
    for row in event.refused:
        yield {**parts.bar(row.instrument, row.trace, row.close_ns), "reason": row.reason}


def model_predicted(event: e.Predictions | e.ChallengerPredictions, _: Memory) -> Iterator[Fields]:
    for row in event.rows:
        yield {
            **parts.bar(row.instrument, row.trace, row.close_ns),
            "model": event.model,
            "probability_up": parts.probability(row.probability_up),
            "confidence": parts.probability(row.confidence),
            "standard_error": parts.probability(row.standard_error),
            "raw_probability_up": parts.probability(row.raw_probability_up),
        }


def signal_emitted(event: e.SignalEmitted, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.bar(event.instrument, event.trace, event.close_ns),
        "direction": event.direction,
        "reason": event.reason,
        "price": parts.decimal(event.price),
        "probability_up": parts.probability(event.probability_up),
        "win_probability": parts.probability(event.win_probability),
        "confidence": parts.probability(event.confidence),
        "edge_ratio": parts.ratio(event.edge_ratio),
        "expires": None if event.expires_ns is None else rfc3339(event.expires_ns),
    }


def signal_suppressed(event: e.SignalSuppressed, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.bar(event.instrument, event.trace, event.close_ns),
        "reason": event.reason,
        "probability_up": parts.probability(event.probability_up),
        "confidence": parts.probability(event.confidence),
        "edge_ratio": parts.ratio(event.edge_ratio),
        "limit": parts.ratio(event.limit),
    }


def risk_sized(event: e.OrderApproved, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.bar(event.instrument, event.trace, event.close_ns),
        "side": event.side,
        "quantity": plain(event.quantity),
        "notional_quote": plain(_shown(event.notional_quote)),
        "decision_price": plain(event.decision_price),
        "is_exit": event.is_exit,
        "equity_quote": plain(_shown(event.equity_quote)),
        "kelly_full_ratio": parts.ratio(event.kelly_full_ratio),
        "kelly_used_ratio": parts.ratio(event.kelly_used_ratio),
        "wanted_ratio": parts.ratio(event.wanted_ratio),
        "allowed_ratio": parts.ratio(event.allowed_ratio),
        "bound_by": event.bound_by,
        "drawdown_ratio": parts.ratio(event.drawdown_ratio),
        "arrival_price": parts.price(event.arrival_price),
    }


def order_denied(event: e.OrderDenied, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.bar(event.instrument, event.trace, event.close_ns),
        "reason": event.reason,
        "direction": event.direction,
        "value": event.value or None,
        "limit": event.limit or None,
    }


# --- the account --------------------------------------------------------------------------------


def _shown(value: Decimal) -> Decimal:
    """Exact to the digit in the journal, readable in a line."""
    return round(value, 8)


def position_changed(event: e.PositionChanged, closes: Memory) -> Iterator[Fields]:
    yield {
        **parts.decided(event.instrument, event.trace, closes),
        "quantity": plain(event.quantity),
        "average_price": plain(_shown(event.average_price)),
        "realized_quote": plain(_shown(event.realized_quote)),
        "equity_quote": plain(_shown(event.equity_quote)),
        "exposure_ratio": parts.ratio(event.exposure_ratio),
        "closed_return_ratio": parts.ratio(event.closed_return_ratio),
        "dust": plain(event.dust) if event.dust else None,
    }


def dust_set_aside(event: e.DustSetAside, closes: Memory) -> Iterator[Fields]:
    yield {
        **parts.decided(event.instrument, event.trace, closes),
        "quantity": plain(event.quantity),
        "price": plain(event.price),
    }


def equity_marked(event: e.EquityMarked, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.at(event),
        "equity_quote": plain(_shown(event.equity_quote)),
        "peak_quote": plain(_shown(event.peak_quote)),
        "drawdown_ratio": parts.ratio(event.drawdown_ratio),
        "exposure_ratio": parts.ratio(event.exposure_ratio),
        "fees_quote": plain(_shown(event.fees_quote)),
    }


# --- the model and the trading state ------------------------------------------------------------


def model_activated(event: e.ModelActivated, _: Memory) -> Iterator[Fields]:
    yield {
        "model": event.model,
        "horizon_bars": event.horizon_bars,
        "trained_through": rfc3339(event.trained_through_ns),
        "auc": parts.probability(event.auc),
        "auc_low": parts.probability(event.auc_low),
        "auc_high": parts.probability(event.auc_high),
    }


def outcome_resolved(event: e.PredictionResolved, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.bar(event.instrument, event.trace, event.predicted_close_ns),
        "model": event.model,
        "probability_up": parts.probability(event.probability_up),
        "outcome": event.outcome,
        "return_ratio": parts.ratio(event.return_ratio),
        "reason": event.reason or None,
    }


def health_sampled(event: e.HealthSampled, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.at(event),
        "model": event.model,
        "status": event.status,
        "reasons": list(event.reasons),
        "auc": parts.probability(event.auc),
        "auc_low": parts.probability(event.auc_low),
        "auc_high": parts.probability(event.auc_high),
        "auc_n": event.auc_n,
        "brier": parts.probability(event.brier),
        "log_loss": parts.probability(event.log_loss),
        "calibration_slope": parts.ratio(event.calibration_slope),
        "policy": event.policy,
        "evidence": parts.ratio(event.evidence),
        "evidence_limit": parts.ratio(event.evidence_limit),
        "shown": parts.ratio(event.shown),
        "shown_limit": parts.ratio(event.shown_limit),
        "since": None if event.since_ns is None else rfc3339(event.since_ns),
        "psi_worst": parts.probability(event.psi_worst),
        "psi_worst_feature": event.psi_worst_feature,
        "psi_worst_symbol": parts.place(event.psi_worst_instrument)
        if event.psi_worst_feature
        else None,
        "psi_prediction": parts.probability(event.psi_prediction),
        "lost": event.lost,
        "symbols_lost": [each.instrument.symbol for each in event.symbols if each.is_lost] or None,
        "traded_n": event.trades.outcomes or None,
        "traded_hit_ratio": parts.probability(event.trades.hit_ratio),
        "trades_n": event.trades.round_trips or None,
        "trade_net_ratio": parts.ratio(event.trades.net_ratio),
        "trade_net_low": parts.ratio(event.trades.net_low),
        "trade_net_high": parts.ratio(event.trades.net_high),
    }


def daemon_halted(event: e.TradingHalted, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.at(event),
        "reason": event.reason,
        "detail": event.detail,
        "value": parts.ratio(event.value),
        "limit": parts.ratio(event.limit),
        "resume": RESUME_COMMAND,
    }


def trading_state(event: e.TradingStateChanged, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.at(event),
        "state": event.state,
        "reasons": list(event.reasons),
        "probation_trades": event.probation_trades or None,
        "resume": None if event.state is e.TradingState.ACTIVE else RESUME_COMMAND,
    }


def canary_begun(event: e.CanaryBegun, _: Memory) -> Iterator[Fields]:
    yield {
        "exchange": event.exchange,
        **parts.at(event),
        "size_ratio": event.ratio,
        "canary_steps": event.steps,
        "canary_days": event.days,
        "paper_orders": event.paper_orders,
        "paper_slippage_bps": event.paper_slippage_mean_bps,
        "paper_fill_ratio": event.paper_fill_ratio,
    }


def canary_stepped(event: e.CanaryStepped, _: Memory) -> Iterator[Fields]:
    yield {
        "exchange": event.exchange,
        **parts.at(event),
        "reason": event.reason,
        "size_ratio": event.ratio,
        "was_size_ratio": event.was_ratio,
        "canary_step": event.step,
        "canary_steps": event.steps,
        "measured_orders": event.orders,
        "slippage_bps": event.slippage_bps,
        "slippage_limit_bps": event.slippage_limit_bps,
        "fill_ratio": event.fill_ratio,
        "fill_limit_ratio": event.fill_limit_ratio,
    }


def policy_acted(event: e.PolicyActed, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.named(event.instrument),
        **parts.at(event),
        "trouble": event.trouble,
        "action": event.action,
        "since": rfc3339(event.since_ns),
        "attempt": event.attempt,
    }


def rules_changed(event: e.RulesChanged, _: Memory) -> Iterator[Fields]:
    yield {**parts.named(event.instrument.id), **parts.at(event), "detail": event.detail}


def listing_changed(event: e.ListingChanged, _: Memory) -> Iterator[Fields]:
    yield {
        **parts.named(event.instrument),
        **parts.at(event),
        "is_tradable": event.is_tradable,
        "detail": event.detail,
    }


def asked(
    event: e.TradingResumed | e.HaltRequested | e.ResumeRequested | e.FlattenRequested, _: Memory
) -> Iterator[Fields]:
    yield {**parts.at(event), "reason": event.reason, "who": event.who}
