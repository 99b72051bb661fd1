"""Every line the daemon can log: name, level, when it is said, and what each of its fields means.

Belongs here: the registry, of which docs/log-events.md is made (`python -m daemon.logs.registry`).
Filling the fields belongs to `tap` and to whoever emits; the form of a line belongs to `writing`.
"""

import sys
from typing import Final

from msgspec import Struct

from daemon.logs.fields import FIELDS

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
_COMPARED = "shadow_bars? pairs? score_gain? evidence? net_gain_ratio? verdict?"
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
        "slippage_bps_mean? slippage_bps_p95? arrival_slippage_bps_mean? arrival_slippage_bps_p95? "
        "currency? fees_quote fees_other? funding_quote? pnl_quote revaluation_quote? equity_quote "
        f"drawdown_ratio {_AUC} auc_n health halted? edge_shown verdict reason?",
    ),
    _event("daemon.stopping", "info", "a stop was asked for", "reason? unresolved?"),
    _event("daemon.failed", "critical", "a bug ends the daemon; the journal is whole", "error"),
    _event("task.failed", "error", "a library's own task died; its work is watched", "error"),
    _event("history.loading", "info", "progress of fetching history", "done total detail?"),
    _event("history.loaded", "info", "windows are filled", "exchange symbol bars first_bar bar"),
    # the exchange
    _event("exchange.started", "info", "the embedded exchange answers", "exchange rest stream key"),
    _event(
        "exchange.lost", "error", "the exchange is away; nothing is opened there", "exchange? error"
    ),
    _event("exchange.back", "info", "the exchange answers again", "exchange at"),
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
        "fees.drifted", "warning", "fills are charged more than execution.fee_bps says",
        "exchange at expected_bps charged_bps fills",
    ),
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
    # the process itself
    _event(
        "process.sampled", "info", "how the process is: every 15 min, and when a level changes",
        "unwell lag_p99_ms lag_max_ms step_p99_ms? slowest? slowest_p99_ms? queued in_flight "
        "memory_megabytes? memory_growth_megabytes_per_hour? disk_free_megabytes? "
        "journal_megabytes journal_growth_megabytes_per_day? open_files? threads?",
    ),
    _event(
        "process.stuck", "error", "the event loop, or a step, does not go on: where it stands",
        "stage silent_s stack",
    ),
    _event("process.turning", "info", "what was stuck goes on", "stage silent_s"),
    _event(
        "disk.low", "error", "what is decided might not be written: nothing is opened",
        "at free_megabytes limit action",
    ),
    _event("disk.enough", "info", "there is room again", "at free_megabytes limit"),
    # the key of a live account
    _event("key.checked", "info", "the exchange was asked what the key may do: fit", "exchange at"),
    _event("key.remark", "warning", "something to know about the key", "exchange at detail"),
    _event("key.refused", "error", "the key must not be used any more: halted", "exchange error"),
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
        "kelly_used_ratio wanted_ratio allowed_ratio bound_by drawdown_ratio arrival_price?",
    ),
    _event("order.denied", "info", "risk said no", f"{_BAR} reason direction value? limit?"),
    # orders
    _event(
        "quotes.taken", "debug", "the books that were read for a decision",
        "trace exchange symbol at direction bid? ask? levels error?",
    ),
    _event(
        "order.submitted", "info", "the intent is durable and leaves, once",
        f"{_ORDER} side order_type quantity decision_price leg is_exit price? stop_price? "
        "arrival_price?",
    ),
    _event(
        "order.reported", "debug", "the venue spoke of an order",
        "order at outcome source state? reason?",
    ),
    _event("order.accepted", "debug", "the venue has it", f"{_ORDER} venue_order?"),
    _event("order.cancel_requested", "info", "we want it gone", f"{_ORDER} reason"),
    _event("order.refused", "error", "a definite no of the venue", f"{_ORDER} reason"),
    _event("order.not_sent", "error", "it never left; not sent again", f"{_ORDER} reason"),
    _event("order.unknown", "warning", "nobody knows yet; looked for", f"{_ORDER} reason"),
    _event("order.absent", "error", "the venue never had it", f"{_ORDER} reason"),
    _event(
        "order.filled", "info", "one execution",
        f"{_ORDER} side quantity price fee fee_currency slippage_bps leaves_quantity trade_id "
        "is_maker bar_to_fill_ms? arrival_slippage_bps?",
    ),
    _event(
        "order.adopted", "error", "a fill of an order believed dead was booked",
        f"{_ORDER} trade_id quantity",
    ),
    _event("order.completed", "debug", "its end is known", f"{_ORDER} state quantity"),
    _event(
        "order.worked", "info", "nothing more is sent for what was approved",
        "trace exchange symbol bar? is_exit reason wanted_quantity filled_quantity",
    ),
    _event(
        "protection.failed", "error", "the exchange holds no stop for this position: it is closed",
        "trace exchange symbol bar? reason attempts",
    ),
    # the account
    _event(
        "position.changed", "info", "what is held now",
        "trace exchange symbol bar? quantity average_price realized_quote equity_quote "
        "exposure_ratio closed_return_ratio? dust?",
    ),
    _event(
        "funding.charged", "info", "holders of a swap paid each other",
        "at exchange symbol rate price amount?",
    ),
    _event(
        "position.liquidated", "error", "the exchange took a swap away; halts",
        "at exchange symbol price fee",
    ),
    _event(
        "position.dust", "info", "what is left is too little for any order, and no position now",
        "trace exchange symbol bar? quantity price",
    ),
    _event(
        "equity.marked", "debug", "the account at the newest closes",
        "at equity_quote peak_quote drawdown_ratio exposure_ratio fees_quote",
    ),
    _event("books.reconciled", "info", "books and venue agree", "at exchange?"),
    _event(
        "books.differed", "error", "books and venue differ: trading is halted",
        "at exchange? differences foreign?",
    ),
    _event(
        "books.compared", "debug", "books and venue were read and compared while running",
        "exchange equal readings missed_fills",
    ),
    _event(
        "books.unread", "warning", "the account could not be read; asked again", "exchange error"
    ),
    _event("books.restless", "debug", "orders moved at every reading; compared later", "exchange"),
    _event(
        "books.adopted", "warning", "orders that the journal lacked were taken over, as asked",
        "at exchange orders",
    ),
    _event(
        "funds.moved", "warning", "money came or went that is not ours: booked apart",
        "at exchange currency amount detail",
    ),
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
        "at model status reasons auc? auc_low? auc_high? auc_n brier? log_loss? "
        "calibration_slope? policy evidence? evidence_limit? shown? shown_limit? since? "
        "psi_worst? psi_worst_feature? psi_prediction? lost",
    ),
    # a new model
    _event(
        "retraining.opened", "warning", "a new model is asked for",
        "at reason model attempt until detail? value? limit?",
    ),
    _event(
        "candidate.trained", "info", "a training made a model that passed its verdict",
        f"at model {_AUC} baseline_auc trials window_days verdict",
    ),
    _event(
        "training.failed", "warning", "a training gave no model that may be used",
        "at fault reason model?",
    ),
    _event(
        "model.challenger", "info", "a candidate begins to predict in shadow",
        f"at model champion horizon_bars trained_through {_AUC}",
    ),
    _event(
        "model.unfit", "warning", "a candidate cannot be used any more: it predicts nothing",
        "model error",
    ),
    _event(
        "challenger.predicted", "debug", "what a model in shadow says: nothing is traded on it",
        f"{_BAR} model probability_up confidence standard_error raw_probability_up",
    ),
    _event(
        "models.compared", "debug", "a block of bars in which a model in shadow was scored",
        "at model other until outcomes pairs score_gain net_gain_ratio",
    ),
    _event(
        "model.proposed", "warning", "the rule would promote it, and somebody has to say so",
        f"at model champion reason {_COMPARED} command",
    ),
    _event(
        "model.promoted", "warning", "another model takes over",
        f"at model replaced reason who detail? {_COMPARED}",
    ),
    _event(
        "model.rolled_back", "warning", "the model before takes over again",
        f"at model replaced reason who detail? {_COMPARED}",
    ),
    _event(
        "model.dropped", "info", "a candidate will not take over",
        f"at model champion reason {_COMPARED}",
    ),
    _event(
        "model.watch_ended", "info", "what was replaced stops predicting: there is no way back",
        f"at model champion {_COMPARED}",
    ),
    # the trading state
    _event(
        "daemon.halted", "critical", "no new positions; exits go on",
        "at reason detail value? limit? resume",
    ),
    _event("daemon.resumed", "info", "new positions are allowed again", "at reason who"),
    _event(
        "policy.acted", "warning", "something is done about a position in trouble",
        "exchange symbol at trouble action since attempt",
    ),
    _event(
        "exchange.listing", "warning", "the exchange stopped or began to trade a symbol",
        "exchange symbol at is_tradable detail",
    ),
    _event(
        "trading.state", "warning", "what follows from the halts in force; also said at a start",
        "at? state reasons since? probation_trades? resume?",
    ),
    _event("operator.halt_requested", "warning", "somebody asked for a halt", "at reason who"),
    _event(
        "operator.flatten_requested", "warning", "somebody asked for everything to be closed",
        "at reason who",
    ),
    _event(
        "operator.promotion_requested", "warning", "somebody asked for another model",
        "at model reason who",
    ),
    _event(
        "operator.rollback_requested", "warning", "somebody asked for the model before",
        "at model reason who",
    ),
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
