"""Every line the daemon can log: name, level, when it is said, and what each of its fields means.

Belongs here: the registry, of which docs/log-events.md is made (`python -m daemon.logs.registry`).
Filling the fields belongs to `tap` and to whoever emits; the form of a line belongs to `writing`.
"""

import sys
from typing import Final

from daemon.logs.fields import FIELDS
from daemon.logs.model_rows import MODEL_ROWS
from daemon.logs.rows import AUC, BAR, LogEvent, row

# Every line has the first four, whatever it says; a run is only missing before it has a name.
COMMON: Final = {
    "ts": "wall time of the line, RFC 3339, UTC, milliseconds",
    "level": "info: the operator's diary; warning: degraded, heals itself; "
    "error: an order or a bar was lost, or somebody must act; critical: halted or dead",
    "event": "name of the event, from this page",
    "run": "id of the run",
    "exception": "traceback, where something unexpected was caught",
}


_ORDER = "trace exchange symbol bar? order"
_REFUSED = "exchange symbol at reason detail? raw source?"

ROWS: Final = (
    # the run
    row(
        "run.started", "info", "the first line: who runs on what, enough to do it again",
        "pid mode market label? symbols? timeframe? seed edge speed? bars? config_hash state "
        "exchange exchanges? version?",
    ),
    row(
        "run.unclean", "warning", "the process before was killed, crashed or cut off", "steps"
    ),
    row("run.resumed", "info", "a killed run goes on where its journal ends", "events steps"),
    row(
        "run.finished", "info", "the last line: what came of it",
        "mode market label? symbols exchanges? bars decisions signals suppressed denied "
        "rejected? quarantined_slots? orders fills round_trips holes outage_slots gaps_traded "
        "slippage_bps_mean? slippage_bps_p95? arrival_slippage_bps_mean? arrival_slippage_bps_p95? "
        "currency? fees_quote fees_other? funding_quote? pnl_quote revaluation_quote? equity_quote "
        f"drawdown_ratio {AUC} auc_n health halted? edge_shown verdict reason?",
    ),
    row("daemon.stopping", "info", "a stop was asked for", "reason? unresolved? unprotected?"),
    row("daemon.ended", "error", "an error that is no bug ends the daemon", "error"),
    row("daemon.failed", "critical", "a bug ends the daemon; the journal is whole", "error"),
    row("task.failed", "error", "a library's own task died; its work is watched", "error"),
    row("history.loading", "info", "progress of fetching history", "done total detail?"),
    row("history.loaded", "info", "windows are filled", "exchange symbol bars first_bar bar"),
    # the exchange
    row("exchange.started", "info", "the embedded exchange answers", "exchange rest stream key"),
    row(
        "exchange.lost", "error", "the exchange is away; nothing is opened there", "exchange? error"
    ),
    row("exchange.back", "info", "the exchange answers again", "exchange at"),
    row(
        "queue.overflow", "warning", "inputs come faster than steps", "waiting coalesced symbol?"
    ),
    # bars
    row(
        "bar.closed", "info", "a bar was believed and its step committed",
        f"{BAR} close volume late_ms source quality",
    ),
    row("bar.rejected", "warning", "a bar was not believed", _REFUSED),
    row("bar.repeated", "debug", "a bar came again", _REFUSED),
    row(
        "fees.drifted", "warning", "fills are charged more than execution.fee_bps says",
        "exchange at expected_bps charged_bps fills",
    ),
    row(
        "data.distrusted", "error", "too much of a symbol's data is not believed: opens nothing",
        "exchange symbol at count limit until",
    ),
    row(
        "bar.revised", "warning", "the venue changed a bar after it was believed",
        f"{BAR} close was_close volume was_volume source",
    ),
    row(
        "feed.gap", "warning", "slots that will never have a bar",
        "exchange symbol at first_open count cause",
    ),
    row("feed.stale", "warning", "no sign of life", "exchange symbol at silent_s action"),
    row("feed.recovered", "info", "it speaks again", "exchange symbol at"),
    # the clock
    row(
        "clock.measured", "debug", "an exchange's clock against ours",
        "exchange offset_ms error_ms limit",
    ),
    row(
        "clock.drifted", "warning", "our clock is off; signatures are corrected",
        "exchange offset_ms error_ms limit action",
    ),
    row(
        "clock.jumped", "warning", "this machine slept, stopped or was set to another time",
        "exchange jumped_s silent_s action",
    ),
    row(
        "clock.off", "error", "off by too much, or not measured: no new positions",
        "exchange at offset_ms? error_ms? limit action",
    ),
    row(
        "clock.agrees", "info", "the clock is believed again",
        "exchange at offset_ms error_ms limit",
    ),
    # the process itself
    row(
        "process.sampled", "info", "how the process is: every 15 min, and when a level changes",
        "unwell lag_p99_ms lag_max_ms step_p99_ms? slowest? slowest_p99_ms? queued in_flight "
        "memory_megabytes? memory_growth_megabytes_per_hour? disk_free_megabytes? "
        "journal_megabytes journal_growth_megabytes_per_day? open_files? threads?",
    ),
    row(
        "process.stuck", "error", "the event loop, or a step, does not go on: where it stands",
        "stage silent_s stack",
    ),
    row("process.turning", "info", "what was stuck goes on", "stage silent_s"),
    row(
        "status.failed", "warning", "the status file cannot be written, and shows what was",
        "error",
    ),
    row(
        "disk.low", "error", "what is decided might not be written: nothing is opened",
        "at free_megabytes limit action",
    ),
    row("disk.enough", "info", "there is room again", "at free_megabytes limit"),
    # messages to people
    row("alerts.on", "info", "where alerts are sent to", "addresses"),
    row("alerts.off", "warning", "alerts are asked for and cannot be sent", "reason"),
    row("alerts.failed", "warning", "an address takes no alerts; tried again", "address error"),
    row("alerts.back", "info", "it takes them again", "address lost"),
    # the key of a live account
    row("key.checked", "info", "the exchange was asked what the key may do: fit", "exchange at"),
    row("key.remark", "warning", "something to know about the key", "exchange at detail"),
    row("key.refused", "error", "the key must not be used any more: halted", "exchange error"),
    # from bar to order
    row("features.computed", "debug", "a feature row", f"{BAR} fingerprint columns values"),
    row("features.refused", "debug", "no feature row", f"{BAR} reason"),
    row(
        "model.predicted", "info", "a probability",
        f"{BAR} model probability_up confidence standard_error raw_probability_up",
    ),
    row(
        "signal.emitted", "info", "a desired position, not an order",
        f"{BAR} direction reason price probability_up? win_probability? confidence? edge_ratio? "
        "expires?",
    ),
    row(
        "signal.suppressed", "info", "no signal, and why",
        f"{BAR} reason probability_up? confidence? edge_ratio? limit?",
    ),
    row(
        "risk.sized", "info", "risk said yes: the numbers that made the size",
        f"{BAR} side quantity notional_quote decision_price is_exit equity_quote kelly_full_ratio "
        "kelly_used_ratio wanted_ratio allowed_ratio bound_by drawdown_ratio arrival_price?",
    ),
    row("order.denied", "info", "risk said no", f"{BAR} reason direction value? limit?"),
    # orders
    row(
        "quotes.taken", "debug", "the books that were read for a decision",
        "trace exchange symbol at direction bid? ask? levels error?",
    ),
    row(
        "order.submitted", "info", "the intent is durable and leaves, once",
        f"{_ORDER} side order_type quantity decision_price leg is_exit price? stop_price? "
        "arrival_price?",
    ),
    row(
        "order.reported", "debug", "the venue spoke of an order",
        "order at outcome source state? reason?",
    ),
    row("order.accepted", "debug", "the venue has it", f"{_ORDER} venue_order?"),
    row("order.cancel_requested", "info", "we want it gone", f"{_ORDER} reason"),
    row("order.refused", "error", "a definite no of the venue", f"{_ORDER} reason"),
    row("order.not_sent", "error", "it never left; not sent again", f"{_ORDER} reason"),
    row("order.unknown", "warning", "nobody knows yet; looked for", f"{_ORDER} reason"),
    row("order.absent", "error", "the venue never had it", f"{_ORDER} reason"),
    row(
        "order.filled", "info", "one execution",
        f"{_ORDER} side quantity price fee fee_currency slippage_bps leaves_quantity trade_id "
        "is_maker bar_to_fill_ms? arrival_slippage_bps?",
    ),
    row(
        "order.adopted", "error", "a fill of an order believed dead was booked",
        f"{_ORDER} trade_id quantity",
    ),
    row("order.completed", "debug", "its end is known", f"{_ORDER} state quantity"),
    row(
        "order.worked", "info", "nothing more is sent for what was approved",
        "trace exchange symbol bar? is_exit reason wanted_quantity filled_quantity",
    ),
    row(
        "protection.failed", "error", "the exchange holds no stop for this position: it is closed",
        "trace exchange symbol bar? reason attempts",
    ),
    # the account
    row(
        "position.changed", "info", "what is held now",
        "trace exchange symbol bar? quantity average_price realized_quote equity_quote "
        "exposure_ratio closed_return_ratio? dust?",
    ),
    row(
        "funding.charged", "info", "holders of a swap paid each other",
        "at exchange symbol rate price amount?",
    ),
    row(
        "position.liquidated", "error", "the exchange took a swap away; halts",
        "at exchange symbol price fee",
    ),
    row(
        "position.dust", "info", "what is left is too little for any order, and no position now",
        "trace exchange symbol bar? quantity price",
    ),
    row(
        "equity.marked", "debug", "the account at the newest closes",
        "at equity_quote peak_quote drawdown_ratio exposure_ratio fees_quote",
    ),
    row("books.reconciled", "info", "books and venue agree", "at exchange?"),
    row(
        "books.differed", "error", "books and venue differ: trading is halted",
        "at exchange? differences foreign?",
    ),
    row(
        "books.compared", "debug", "books and venue were read and compared while running",
        "exchange equal readings missed_fills",
    ),
    row(
        "books.unread", "warning", "the account could not be read; asked again", "exchange error"
    ),
    row(
        "books.unsettled", "warning",
        "orders or money moved at every reading of the start; nothing is opened until compared",
        "exchange",
    ),
    row("books.restless", "debug", "orders moved at every reading; compared later", "exchange"),
    row(
        "books.adopted", "warning", "orders that the journal lacked were taken over, as asked",
        "at exchange orders",
    ),
    row(
        "funds.moved", "warning", "money came or went that is not ours: booked apart",
        "at exchange currency amount detail",
    ),
    *MODEL_ROWS,
    # the trading state
    row(
        "daemon.halted", "critical", "no new positions; exits go on",
        "at reason detail value? limit? resume",
    ),
    row("daemon.resumed", "info", "new positions are allowed again", "at reason who"),
    row(
        "canary.begun", "info", "real orders were armed, and begin small",
        "exchange at size_ratio canary_steps canary_days paper_orders paper_slippage_bps? "
        "paper_fill_ratio?",
    ),
    row(
        "canary.stepped", "warning", "the size of real orders grows by a step, or falls back",
        "exchange at reason size_ratio was_size_ratio canary_step canary_steps measured_orders "
        "slippage_bps? slippage_limit_bps? fill_ratio? fill_limit_ratio?",
    ),
    row(
        "policy.acted", "warning", "something is done about a position in trouble",
        "exchange symbol at trouble action since attempt",
    ),
    row(
        "exchange.listing", "warning", "the exchange stopped or began to trade a symbol",
        "exchange symbol at is_tradable detail",
    ),
    row(
        "exchange.rules", "warning", "the exchange changed a symbol's steps or limits",
        "exchange symbol at detail",
    ),
    row(
        "trading.state", "warning", "what follows from the halts in force; also said at a start",
        "at? state reasons since? probation_trades? resume?",
    ),
    row("operator.halt_requested", "warning", "somebody asked for a halt", "at reason who"),
    row(
        "operator.flatten_requested", "warning", "somebody asked for everything to be closed",
        "at reason who",
    ),
    row(
        "operator.promotion_requested", "warning", "somebody asked for another model",
        "at model reason who",
    ),
    row(
        "operator.rollback_requested", "warning", "somebody asked for the model before",
        "at model reason who",
    ),
    row("operator.resume_requested", "info", "somebody asked to go on", "at reason who"),
    # the lines themselves
    row("library.warned", "warning", "a library warned", "logger message"),
    row("library.failed", "error", "a library reported an error", "logger message"),
    row(
        "log.repeated", "warning", "a library goes on saying the same", "logger message repeated"
    ),
)  # fmt: skip

REGISTRY: Final = {each.name: each for each in ROWS}


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
        *(f"| `{one.name}` | {one.level} | {one.when} | {_named(one)} |" for one in ROWS),
        "",
        "## Fields",
        "",
        *_table("field", "meaning", [(f"`{name}`", FIELDS[name]) for name in sorted(FIELDS)]),
    ]
    return "\n".join(lines) + "\n"


def _named(one: LogEvent) -> str:
    return " ".join(f"`{each}`{'?' if each in one.optional else ''}" for each in one.fields)


def _table(left: str, right: str, rows: list[tuple[str, str]]) -> list[str]:
    body = [f"| {name} | {text.replace('|', chr(92) + '|')} |" for name, text in rows]
    return [f"| {left} | {right} |", "| --- | --- |", *body]


if __name__ == "__main__":
    sys.stdout.write(page())
