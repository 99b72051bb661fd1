"""The tables of a run: everything a report shows as plain rows, for people, CSV, Parquet and JSON.

Belongs here: names of tables and columns. Money and quantities are exact decimal text, times RFC
3339 UTC, ratios fractions. Writing them to files belongs to `exports`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from daemon.core.instruments import plain
from daemon.core.timeframes import rfc3339
from daemon.reports.figures import (
    Interval,
    buy_and_hold,
    costs,
    drifts,
    figures,
    monthly,
    not_traded,
    reliability,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from decimal import Decimal

    from daemon.core.manifests import Manifest
    from daemon.reports.facts import Facts, Trade

Row: TypeAlias = dict[str, object]


def tables(facts: Facts, manifest: Manifest | None, window: int) -> Mapping[str, list[Row]]:
    """Every table by name, in the order of the report; `window` is that of rolling skill."""
    made: dict[str, Callable[[Facts], Iterable[Row]]] = {
        "bars": _bars,
        "fills": _fills,
        "trades": _trades,
        "equity": _equity,
        "buy_and_hold": _held,
        "auc": _auc,
        "monthly": _monthly,
        "reliability": _reliability,
        "outcomes": _outcomes,
        "costs": _costs,
        "rules": _rules,
        "halts": _halts,
        "holes": _holes,
    }
    trials = 1 if manifest is None else manifest.net_return.trials
    rows = {"figures": list(_figures(facts, trials))}
    rows |= {name: list(make(facts)) for name, make in made.items()}
    rows["psi"] = [
        {"feature": each.feature, "psi": each.psi, "placebo_psi": each.placebo_psi}
        for each in drifts(facts, manifest, window)
    ]
    return rows


def _figures(facts: Facts, trials: int) -> Iterable[Row]:
    known = figures(facts, trials)
    intervals = {
        "net_return_ratio": known.net_return,
        "sharpe": known.sharpe,
        "deflated_sharpe": Interval(known.deflated_sharpe),
        "drawdown_ratio": Interval(known.drawdown_ratio),
        "trades": Interval(float(known.trades)),
        "win_ratio": known.win_ratio,
        "trade_return_ratio": known.trade_return,
        "cost_share_of_gross_ratio": Interval(known.costs.share_of_gross),
        "auc": known.auc,
    }
    for name, each in intervals.items():
        yield {"figure": name, "value": each.value, "low": each.low, "high": each.high}


def _bars(facts: Facts) -> Iterable[Row]:
    for instrument, bars in sorted(facts.bars.items()):
        for bar in bars:
            yield {
                "exchange": instrument.exchange,
                "symbol": instrument.symbol,
                "open_time": rfc3339(bar.open_ns),
                "close_time": rfc3339(bar.close_ns),
                "open": bar.open,
                "high": bar.high,
                "low": bar.low,
                "close": bar.close,
                "volume": bar.volume,
                "source": bar.source.value,
                "quality": bar.quality.value,
            }


def _fills(facts: Facts) -> Iterable[Row]:
    for each, fee_quote in zip(facts.fills, facts.fees_quote, strict=True):
        yield {
            "ts": rfc3339(each.ts_ns),
            "exchange": each.instrument.exchange,
            "symbol": each.instrument.symbol,
            "side": each.side.value,
            "quantity": plain(each.quantity),
            "price": plain(each.price),
            "decision_price": plain(each.decision_price),
            "slippage_bps": each.slippage_bps,
            "arrival_price": None if each.arrival_price is None else plain(each.arrival_price),
            "arrival_slippage_bps": each.arrival_slippage_bps,
            "fee": plain(each.fee),
            "fee_currency": each.fee_currency,
            "fee_quote": plain(fee_quote),
            "is_maker": each.is_maker,
            "client_order_id": each.client_order_id,
            "trade_id": each.trade_id,
            "trace": each.trace,
        }


def _price(value: Decimal | None) -> str | None:
    return None if value is None else plain(round(value, 10))


def trade_row(trade: Trade) -> Row:
    """One round trip; what is still open has no exit and no return."""
    is_over = trade.return_ratio is not None
    return {
        "opened": rfc3339(trade.opened_ns),
        "closed": rfc3339(trade.closed_ns) if is_over else None,
        "exchange": trade.instrument.exchange,
        "symbol": trade.instrument.symbol,
        "direction": trade.direction,
        "quantity": plain(trade.entry_quantity),
        "entry_price": _price(trade.entry_price),
        "exit_price": _price(trade.exit_price),
        "fees_quote": plain(trade.fees_quote),
        "slippage_quote": plain(trade.slippage_quote),
        "return_ratio": trade.return_ratio,
        "entry_trace": trade.entry_trace,
        "exit_trace": trade.exit_trace or None,
    }


def _trades(facts: Facts) -> Iterable[Row]:
    return (trade_row(each) for each in facts.trades)


def _equity(facts: Facts) -> Iterable[Row]:
    for each in facts.equity:
        yield {
            "ts": rfc3339(each.ts_ns),
            "currency": facts.run.currency,
            "equity_quote": facts.run.shown(each.equity_quote),
            "peak_quote": facts.run.shown(each.peak_quote),
            "drawdown_ratio": each.drawdown_ratio,
            "exposure_ratio": each.exposure_ratio,
            "fees_quote": facts.run.shown(each.fees_quote),
        }


def _held(facts: Facts) -> Iterable[Row]:
    return ({"ts": rfc3339(ts_ns), "value_quote": value} for ts_ns, value in buy_and_hold(facts))


def _auc(facts: Facts) -> Iterable[Row]:
    for each in facts.samples:
        yield {
            "ts": rfc3339(each.ts_ns),
            "model": each.model,
            "auc": each.auc,
            "auc_low": each.auc_low,
            "auc_high": each.auc_high,
            "n": each.auc_n,
            "brier": each.brier,
            "health": each.status.value,
            "psi_worst": each.psi_worst,
            "psi_worst_feature": each.psi_worst_feature,
            "psi_prediction": each.psi_prediction,
        }


def _monthly(facts: Facts) -> Iterable[Row]:
    for year, month, ratio in monthly(facts):
        yield {"month": f"{year}-{month:02}", "return_ratio": ratio}


def _reliability(facts: Facts) -> Iterable[Row]:
    for each in reliability(facts):
        yield {
            "probability_from": each.low,
            "probability_to": each.high,
            "n": each.n,
            "said": each.said,
            "came": each.came,
            "came_low": each.came_low,
            "came_high": each.came_high,
        }


def _outcomes(facts: Facts) -> Iterable[Row]:
    for each in facts.outcomes:
        yield {
            "bar": rfc3339(each.predicted_close_ns),
            "symbol": each.instrument.symbol,
            "model": each.model,
            "probability_up": each.probability_up,
            "outcome": each.outcome,
            "return_ratio": each.return_ratio,
            "reason": each.reason or None,
            "trace": each.trace,
        }


def _costs(facts: Facts) -> Iterable[Row]:
    known = costs(facts)
    parts = {"gross": known.gross, "fees": -known.fees, "slippage": -known.slippage}
    for name, amount in {**parts, "net": known.net}.items():
        yield {"part": name, "quote": plain(amount)}


def _rules(facts: Facts) -> Iterable[Row]:
    for what, counts in not_traded(facts).items():
        for rule, times in counts:
            yield {"what": what, "rule": rule, "times": times}


def _halts(facts: Facts) -> Iterable[Row]:
    for each in facts.halts:
        reason = each.reason.value if hasattr(each.reason, "value") else each.reason
        yield {"ts": rfc3339(each.ts_ns), "event": type(each).__name__, "reason": reason}


def _holes(facts: Facts) -> Iterable[Row]:
    length_ns = facts.run.timeframe_ns
    for each in facts.missed:
        yield {
            "symbol": each.instrument.symbol,
            "first_open_time": rfc3339(each.first_open_ns),
            "until": rfc3339(each.first_open_ns + each.count * length_ns),
            "count": each.count,
            "cause": each.cause.value,
        }
