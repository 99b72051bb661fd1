"""Every line the daemon can log: name, level, when it is said, and what each of its fields means.

Belongs here: the registry, of which docs/log-events.md is made (`python -m daemon.logs.registry`).
Filling the fields belongs to `tap` and to whoever emits; the form of a line belongs to `writing`.
"""

import sys
from typing import Final

from msgspec import Struct

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

# Every line has the first four, whatever it says; a run is only missing before it has a name.
COMMON: Final = {
    "ts": "wall time of the line, RFC 3339, UTC, milliseconds",
    "level": "info: the operator's diary; warning: degraded, heals itself; "
    "error: an order or a bar was lost, or somebody must act; critical: halted or dead",
    "event": "name of the event, from this page",
    "run": "id of the run",
    "exception": "traceback, where something unexpected was caught",
}

FIELDS: Final = {
    "action": "what is done about it",
    "allowed_ratio": "share of equity the caps allowed",
    "at": "market time of the event",
    "auc": "area under the ROC curve: 0.5 is a coin",
    "auc_high": "upper end of its 95 % interval",
    "auc_low": "lower end of its 95 % interval",
    "auc_n": "resolved predictions in it",
    "average_price": "average entry price of the position",
    "bar": "close time of the bar, which is the name of the slot",
    "bar_to_fill_ms": "market time from the close of the deciding bar to the fill",
    "bars": "how many bars",
    "baseline_auc": "AUC of minus the last return on the same rows",
    "bound_by": "rule that decided the size",
    "brier": "mean squared error of the probabilities",
    "cause": "no_trades, outage (we or the venue were blind), quarantined (told, not believed)",
    "close": "last price of the bar",
    "closed_return_ratio": "net return of the round trip that ended, as a ratio of its cost",
    "coalesced": "bars that were joined or will be fetched again",
    "columns": "features in the row",
    "confidence": "2 x |probability_up - 0.5|",
    "config_hash": "hash of the effective configuration, secrets left out",
    "count": "slots of the grid; of data.distrusted, candles that were not believed",
    "decision_price": "close of the bar that decided",
    "decisions": "bars for which the model gave a probability",
    "deflated_sharpe": "how sure the Sharpe ratio is above what so many trials show by luck",
    "denied": "signals that risk said no to, by reason",
    "detail": "in words",
    "differences": "where books and venue differ",
    "direction": "desired position: long, short or flat",
    "done": "how much of it is done",
    "drawdown_ratio": "1 - equity / highest equity",
    "edge": "planted predictability: the best possible forecast is right with 0.5 + edge / 2",
    "edge_ratio": "expected net return of the round trip",
    "edge_shown": "whether every test declared for it held, see verdict.md",
    "equity_quote": "value of the allotted capital at the newest closes",
    "error": "what went wrong",
    "error_ms": "how wrong the measurement may be: half its round trip",
    "events": "how many events",
    "exchange": "id of the exchange; in `run.started` where the first embedded one answers",
    "exchanges": "the same of each, where a run has several",
    "expires": "market time from which the signal no longer holds",
    "exposure_ratio": "value of all positions as a ratio of equity",
    "failed": "names of the declared tests that did not hold, see verdict.md",
    "fee": "what the fill cost",
    "fee_currency": "currency of the fee",
    "fees_quote": "fees so far",
    "fills": "executions so far",
    "fingerprint": "hash of the feature definition",
    "first_open": "open time of the first of these slots",
    "first_bar": "close time of the first bar",
    "gaps_traded": "decisions made on a window with a hole; never anything but 0",
    "halted": "halts in force, by reason",
    "health": "unknown, healthy, warning or critical",
    "holes": "outages",
    "horizon_bars": "bars ahead that the model predicts",
    "is_exit": "whether it closes a position",
    "is_maker": "whether our order waited in the book",
    "kelly_full_ratio": "stake that would maximise growth",
    "kelly_used_ratio": "the part of it that the configuration uses",
    "jumped_s": "by how much wall time moved against monotonic time",
    "key": "API key of the embedded exchange; never that of a real one",
    "label": "the market in words; says SYNTHETIC or REPLAY where it is one",
    "late_ms": "market time from the close of the bar to its arrival",
    "leaves_quantity": "what is left of the order",
    "leg": "which order of the decision it is",
    "limit": "the limit that was met",
    "logger": "library that said it",
    "lost": "predictions that can never be resolved",
    "market": "synthetic, a recording, or the id of an exchange",
    "message": "what it said",
    "mode": "paper or live",
    "model": "id of the model",
    "notional_quote": "value of the order",
    "offset_ms": "the exchange's wire time minus ours",
    "order": "our id of the order, derived from the decision",
    "order_type": "market or limit",
    "orders": "orders that were sent",
    "outage_slots": "slots of the grid without a bar, through outages",
    "outcome": "1: up, by the model's label, 0: down; absent where never known, or a tie",
    "peak_quote": "highest equity so far",
    "pid": "process id",
    "pnl_quote": "profit or loss so far, net of fees",
    "price": "price in quote currency",
    "probability_up": "calibrated probability that the close is higher after the horizon",
    "psi_prediction": "population stability index of the prediction",
    "psi_worst": "population stability index of the feature that moved most",
    "psi_worst_feature": "that feature",
    "quality": "ok, no_trades or revised",
    "quarantined_slots": "slots without a bar, because what was told of them is not believed",
    "quantity": "in base units",
    "raw": "what was received, cut",
    "raw_probability_up": "the forest's own probability, before calibration",
    "realized_quote": "realized profit or loss of the account so far, net of fees",
    "reason": "why",
    "reasons": "why, all of them",
    "rejected": "candles that were not believed, by reason",
    "repeated": "how many times since it was last said",
    "rest": "address of the REST interface",
    "resume": "command that ends the halt",
    "return_ratio": "return from the prediction to its outcome",
    "round_trips": "positions that came back to nothing",
    "rows": "labelled rows it learnt from",
    "seed": "of market and training",
    "shuffled_auc": "AUC of the same forests on shuffled outcomes",
    "side": "buy or sell",
    "signals": "desired positions that differ from the one held",
    "silent_s": "seconds without a sign of life",
    "slippage_bps": "fill against decision price; positive is worse for us",
    "source": "who told us: stream, poll, backfill or recording; reply, stream or lookup",
    "speed": "bars per second, or max",
    "standard_error": "of the calibrated probability",
    "state": "state of the order, or directory of the state",
    "status": "unknown, healthy, warning or critical",
    "steps": "committed steps in the journal",
    "stream": "address of the WebSocket interface",
    "suppressed": "bars without a signal, by reason",
    "symbol": "what is traded, on its exchange",
    "symbols": "all that is traded",
    "timeframe": "length of a bar",
    "total": "how much there is to do",
    "trace": "32 hex digits that name one bar's decision, equal in backtest, paper and live",
    "trade_id": "the venue's id of the fill",
    "trained_through": "end of the last label the model has seen",
    "unresolved": "orders whose end is not known",
    "until": "market time at which it is over",
    "value": "the value that met the limit",
    "values": "the features, in the model's order",
    "venue_order": "the venue's id of the order",
    "verdict": "what the numbers say, in a sentence",
    "version": "version of the program",
    "volume": "base units traded in the bar",
    "waiting": "inputs in the queue",
    "wanted_ratio": "share of equity the stake asked for",
    "was_close": "close before the revision",
    "was_volume": "volume before the revision",
    "who": "who asked",
    "win_probability": "of the desired direction, calibrated and shrunk by its uncertainty",
}


class LogEvent(Struct, frozen=True):
    """One row of the registry."""

    name: str
    level: str
    when: str
    required: frozenset[str]
    optional: frozenset[str]
    fields: tuple[str, ...]

    @property
    def level_number(self) -> int:
        return LEVELS[self.level]


def _event(name: str, level: str, when: str, fields: str) -> LogEvent:
    """A row; `fields` are names in the order of the line, a ? marks one that may be absent."""
    named = fields.split()
    names = tuple(each.rstrip("?") for each in named)
    unknown = [each for each in names if each not in FIELDS]
    assert level in LEVELS, f"{name}: there is no level {level}"
    assert not unknown, f"{name}: {', '.join(unknown)} has no meaning yet"
    optional = frozenset(each[:-1] for each in named if each.endswith("?"))
    return LogEvent(name, level, when, frozenset(names) - optional, optional, names)


_BAR = "trace exchange symbol bar"
_ORDER = "trace exchange symbol bar? order"
_AUC = "auc auc_low auc_high"
_REFUSED = "exchange symbol at reason detail? raw source?"

ROWS: Final = (
    # the run
    _event(
        "run.started", "info", "the first line: who runs on what, enough to do it again",
        "pid mode market label? symbols? timeframe? seed edge speed? bars? config_hash state "
        "exchange exchanges? version?",
    ),
    _event("run.resumed", "info", "a killed run goes on where its journal ends", "events steps"),
    _event(
        "run.finished", "info", "the last line: what came of it",
        "mode market label? symbols exchanges? bars decisions signals suppressed denied "
        "rejected? quarantined_slots? orders fills round_trips holes outage_slots gaps_traded "
        "fees_quote pnl_quote equity_quote "
        f"drawdown_ratio {_AUC} auc_n health halted? edge_shown verdict reason?",
    ),
    _event("daemon.stopping", "info", "a stop was asked for", "reason? unresolved?"),
    _event("daemon.failed", "critical", "a bug ends the daemon; the journal is whole", "error"),
    _event("task.failed", "error", "a library's own task died; its work is watched", "error"),
    _event("history.loading", "info", "progress of fetching history", "done total detail?"),
    _event("history.loaded", "info", "windows are filled", "exchange symbol bars first_bar bar"),
    # the exchange
    _event("exchange.started", "info", "the embedded exchange answers", "exchange rest stream key"),
    _event("exchange.lost", "error", "the exchange is away; waiting for it", "exchange? error"),
    _event(
        "queue.overflow", "warning", "inputs come faster than steps", "waiting coalesced symbol?"
    ),
    # bars
    _event(
        "bar.closed", "info", "a bar was believed and its step committed",
        f"{_BAR} close volume late_ms source quality",
    ),
    _event("bar.rejected", "warning", "a bar was not believed", _REFUSED),
    _event("bar.repeated", "debug", "a bar came again", _REFUSED),
    _event(
        "data.distrusted", "error", "too much of a symbol's data is not believed: opens nothing",
        "exchange symbol at count limit until",
    ),
    _event(
        "bar.revised", "warning", "the venue changed a bar after it was believed",
        f"{_BAR} close was_close volume was_volume source",
    ),
    _event(
        "feed.gap", "warning", "slots that will never have a bar",
        "exchange symbol at first_open count cause",
    ),
    _event("feed.stale", "warning", "no sign of life", "exchange symbol at silent_s action"),
    _event("feed.recovered", "info", "it speaks again", "exchange symbol at"),
    # the clock
    _event(
        "clock.measured", "debug", "an exchange's clock against ours",
        "exchange offset_ms error_ms limit",
    ),
    _event(
        "clock.drifted", "warning", "our clock is off; signatures are corrected",
        "exchange offset_ms error_ms limit action",
    ),
    _event(
        "clock.jumped", "warning", "this machine slept, stopped or was set to another time",
        "exchange jumped_s silent_s action",
    ),
    _event(
        "clock.off", "error", "off by too much, or not measured: no new positions",
        "exchange at offset_ms? error_ms? limit action",
    ),
    _event(
        "clock.agrees", "info", "the clock is believed again",
        "exchange at offset_ms error_ms limit",
    ),
    # from bar to order
    _event("features.computed", "debug", "a feature row", f"{_BAR} fingerprint columns values"),
    _event("features.refused", "debug", "no feature row", f"{_BAR} reason"),
    _event(
        "model.predicted", "info", "a probability",
        f"{_BAR} model probability_up confidence standard_error raw_probability_up",
    ),
    _event(
        "signal.emitted", "info", "a desired position, not an order",
        f"{_BAR} direction reason price probability_up? win_probability? confidence? edge_ratio? "
        "expires?",
    ),
    _event(
        "signal.suppressed", "info", "no signal, and why",
        f"{_BAR} reason probability_up? confidence? edge_ratio? limit?",
    ),
    _event(
        "risk.sized", "info", "risk said yes: the numbers that made the size",
        f"{_BAR} side quantity notional_quote decision_price is_exit equity_quote kelly_full_ratio "
        "kelly_used_ratio wanted_ratio allowed_ratio bound_by drawdown_ratio",
    ),
    _event("order.denied", "info", "risk said no", f"{_BAR} reason direction value? limit?"),
    # orders
    _event(
        "order.submitted", "info", "the intent is durable and leaves, once",
        f"{_ORDER} side order_type quantity decision_price leg is_exit",
    ),
    _event(
        "order.reported", "debug", "the venue spoke of an order",
        "order at outcome source state? reason?",
    ),
    _event("order.accepted", "debug", "the venue has it", f"{_ORDER} venue_order?"),
    _event("order.refused", "error", "a definite no of the venue", f"{_ORDER} reason"),
    _event("order.not_sent", "error", "it never left; not sent again", f"{_ORDER} reason"),
    _event("order.unknown", "warning", "nobody knows yet; looked for", f"{_ORDER} reason"),
    _event("order.absent", "error", "the venue never had it", f"{_ORDER} reason"),
    _event(
        "order.filled", "info", "one execution",
        f"{_ORDER} side quantity price fee fee_currency slippage_bps leaves_quantity trade_id "
        "is_maker bar_to_fill_ms?",
    ),
    _event(
        "order.adopted", "error", "a fill of an order believed dead was booked",
        f"{_ORDER} trade_id quantity",
    ),
    _event("order.completed", "debug", "its end is known", f"{_ORDER} state quantity"),
    # the account
    _event(
        "position.changed", "info", "what is held now",
        "trace exchange symbol bar? quantity average_price realized_quote equity_quote "
        "exposure_ratio closed_return_ratio?",
    ),
    _event(
        "equity.marked", "debug", "the account at the newest closes",
        "at equity_quote peak_quote drawdown_ratio exposure_ratio fees_quote",
    ),
    _event("books.reconciled", "info", "books and venue agree", "at"),
    _event("books.differed", "error", "books and venue differ", "at differences"),
    # the model watched
    _event("model.training", "info", "progress of a training", "done total detail?"),
    _event(
        "model.trained", "info", "a model was made",
        f"model rows {_AUC} baseline_auc? shuffled_auc? deflated_sharpe edge_shown failed verdict",
    ),
    _event(
        "model.activated", "info", "decisions use this model",
        f"model horizon_bars trained_through {_AUC}",
    ),
    _event(
        "outcome.resolved", "debug", "a prediction met its outcome",
        f"{_BAR} model probability_up outcome? return_ratio? reason?",
    ),
    _event(
        "health.sampled", "info", "the model's own skill, now",
        "at model status reasons auc? auc_low? auc_high? auc_n brier? psi_worst? "
        "psi_worst_feature? psi_prediction? lost",
    ),
    # the trading state
    _event(
        "daemon.halted", "critical", "no new positions; exits go on",
        "at reason detail value? limit? resume",
    ),
    _event("daemon.resumed", "info", "new positions are allowed again", "at reason who"),
    _event("operator.halt_requested", "warning", "somebody asked for a halt", "at reason who"),
    _event("operator.resume_requested", "info", "somebody asked to go on", "at reason who"),
    # the lines themselves
    _event("library.warned", "warning", "a library warned", "logger message"),
    _event("library.failed", "error", "a library reported an error", "logger message"),
    _event(
        "log.repeated", "warning", "a library goes on saying the same", "logger message repeated"
    ),
)  # fmt: skip

REGISTRY: Final = {row.name: row for row in ROWS}


def page() -> str:
    """The registry as a page of Markdown."""
    lines = [
        "# Log events",
        "",
        "Made by `python -m daemon.logs.registry > docs/log-events.md`; a test compares the two.",
        "",
        "`tradingd run` writes one JSON object per line on stdout. Money and quantities are",
        "decimal strings, ratios are fractions, times are RFC 3339 in UTC. A field with a ? may be",
        "absent.",
        "",
        "## Every line",
        "",
        *_table("field", "meaning", [(f"`{name}`", text) for name, text in COMMON.items()]),
        "",
        "## Events",
        "",
        "| event | level | when | fields |",
        "| --- | --- | --- | --- |",
        *(f"| `{row.name}` | {row.level} | {row.when} | {_named(row)} |" for row in ROWS),
        "",
        "## Fields",
        "",
        *_table("field", "meaning", [(f"`{name}`", FIELDS[name]) for name in sorted(FIELDS)]),
    ]
    return "\n".join(lines) + "\n"


def _named(row: LogEvent) -> str:
    return " ".join(f"`{each}`{'?' if each in row.optional else ''}" for each in row.fields)


def _table(left: str, right: str, rows: list[tuple[str, str]]) -> list[str]:
    body = [f"| {name} | {text.replace('|', chr(92) + '|')} |" for name, text in rows]
    return [f"| {left} | {right} |", "| --- | --- |", *body]


if __name__ == "__main__":
    sys.stdout.write(page())
