"""Which log events are told to people, how urgently, and what they can do: one table.

Belongs here: the table, and the words of a message. When it is sent belongs to `alerts.desk`, where
to to `alerts.addresses`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Final, TypeAlias

from msgspec import Struct

Fields: TypeAlias = Mapping[str, object]

RESUME = "tradingd resume --reason R --confirm"
STATUS = "tradingd status"
VALUE_LENGTH_MAX = 400
# Said in the first line, or of no use to a person.
UNSAID = {"trace", "resume", "stack", "at"}


class Severity(Enum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class Alert(Struct, frozen=True, kw_only=True):
    """One message, ready to be sent."""

    severity: Severity
    title: str
    body: str


class Rule(Struct, frozen=True, kw_only=True):
    """One row: an event that is told, and what to do about it.

    Two alerts are the same when event and `where` are. With `after_s` it is told only when none of
    `ends` came by then; what was told and ends is told, too.
    """

    event: str
    severity: Severity
    says: str
    do: str
    where: tuple[str, ...] = ("exchange", "symbol")
    when: Callable[[Fields], bool] = lambda _fields: True
    after_s: float = 0.0
    ends: tuple[str, ...] = ()

    def key(self, fields: Fields) -> tuple[str, ...]:
        return (self.event, *(str(fields.get(name) or "") for name in self.where))


def _is_no_use(fields: Fields) -> bool:
    reasons = fields.get("reasons")
    told = reasons if isinstance(reasons, Iterable) else ()
    return fields.get("status") == "critical" or "no_answer" in told


def _is_silent(fields: Fields) -> bool:
    return fields.get("reason") == "silent"


def _is_unwell(fields: Fields) -> bool:
    """What the process itself tells of without an event of its own."""
    unwell = fields.get("unwell")
    told = unwell if isinstance(unwell, Iterable) else ()
    return any(not str(each).startswith("disk critical") for each in told)


def _is_not_traded(fields: Fields) -> bool:
    return fields.get("is_tradable") is False


_OK, _WARN, _BAD = Severity.INFO, Severity.WARNING, Severity.CRITICAL

RULES: Final = (
    # trading stops, or somebody must look
    Rule(
        event="daemon.halted", severity=_BAD, where=("reason",),
        says="trading is halted: nothing is opened, exits go on",
        do=f"see why ({STATUS}); when the cause is gone: {RESUME}",
    ),
    Rule(
        event="books.differed", severity=_BAD, where=("exchange",),
        says="our books and the exchange's differ",
        do=f"tradingd reconcile names every difference; when it is clean: {RESUME}",
    ),
    Rule(
        event="position.liquidated", severity=_BAD,
        says="the exchange took a position away",
        do=f"look at the account; lower risk.max_leverage before {RESUME}",
    ),
    Rule(
        event="protection.failed", severity=_BAD,
        says="the exchange holds no stop for a position: it is being closed",
        do=f"see that it closes ({STATUS}); else tradingd flatten --confirm",
    ),
    Rule(
        event="key.refused", severity=_BAD, where=("exchange",),
        says="the API key must not be used any more",
        do="replace the key (docs/safety.md) and start again",
    ),
    Rule(
        event="policy.acted", severity=_WARN,
        says="a position is in trouble and something is done about it",
        do=f"see what is left of it: {STATUS}; [policy] says what is done",
    ),
    Rule(
        event="operator.flatten_requested", severity=_WARN, where=(),
        says="somebody asked for everything to be closed",
        do=f"if it was not you, look who has access; to trade again: {RESUME}",
    ),
    Rule(
        event="daemon.resumed", severity=_OK, where=(),
        says="trading is resumed",
        do="nothing; if it was not you: tradingd halt --reason R",
    ),
    # real money
    Rule(
        event="canary.begun", severity=_WARN, where=("exchange",),
        says="real orders are armed, and begin small",
        do="if it was not you: tradingd golive disarm, then tradingd halt --reason R",
    ),
    Rule(
        event="canary.stepped", severity=_WARN, where=("exchange",),
        says="the size of real orders has changed",
        do="nothing; tradingd golive status says by what it grows and falls back",
    ),
    # orders
    Rule(
        event="order.unknown", severity=_WARN, where=("order",), after_s=60.0,
        ends=("order.accepted", "order.filled", "order.completed", "order.refused", "order.absent"),
        says="nobody knows what became of an order",
        do="it is looked for; if it lasts: tradingd reconcile, and look at the account",
    ),
    Rule(
        event="order.absent", severity=_WARN,
        says="the exchange never had an order that was sent",
        do=f"nothing was bought or sold; if it repeats: {STATUS}",
    ),
    Rule(
        event="order.adopted", severity=_BAD, where=("order",),
        says="an order believed dead was filled",
        do=f"compare the account: tradingd reconcile; then {RESUME}",
    ),
    Rule(
        event="order.refused", severity=_WARN, where=("exchange",),
        says="the exchange refuses orders",
        do="read the reason: balance, limits of the account, or a symbol that is not traded",
    ),
    Rule(
        event="order.not_sent", severity=_WARN, where=("exchange",),
        says="an order never left, and is not sent again",
        do="read the reason; a HALT file and a lost connection are the usual ones",
    ),
    # the exchange and its data
    Rule(
        event="exchange.lost", severity=_BAD, where=("exchange",), after_s=60.0,
        ends=("exchange.back",),
        says="an exchange does not answer: nothing is opened there",
        do="look at its status page and at this machine's network; stops on the exchange stay",
    ),
    Rule(
        event="feed.stale", severity=_WARN, after_s=300.0, ends=("feed.recovered",),
        says="no bars come any more",
        do="nothing is opened there; look at the exchange's status page and at the network",
    ),
    Rule(
        event="data.distrusted", severity=_WARN,
        says="too much of a symbol's data is not believed: opens nothing today",
        do="look at what was refused: tradingd data quarantine",
    ),
    Rule(
        event="exchange.listing", severity=_WARN, when=_is_not_traded,
        says="the exchange stopped to trade a symbol",
        do="[policy] delisted says what becomes of the position; take it out of data.symbols",
    ),
    Rule(
        event="fees.drifted", severity=_WARN, where=("exchange",),
        says="fills are charged more than execution.fee_bps says",
        do="put what is charged into execution.fee_bps: decisions count on it",
    ),
    Rule(
        event="clock.off", severity=_WARN, where=("exchange",), ends=("clock.agrees",),
        says="this machine's clock is off: nothing is opened",
        do="set it by NTP: timedatectl set-ntp true",
    ),
    # the model
    Rule(
        event="health.sampled", severity=_BAD, where=("model",), when=_is_no_use,
        says="the model has lost its skill, or answers nothing: nothing is opened with it",
        do="see why: tradingd health --explain; a new one is trained where [retraining] allows",
    ),
    Rule(
        event="features.differ", severity=_BAD, where=("feature", "symbol"),
        says="the model was fed other numbers than the stored bars give",
        do="what it says means nothing, so nothing is opened (risk.halt_on_features_differ): "
        "tradingd parity says whether it was the code, tradingd data verify whether it was the "
        "bars; then tradingd resume",
    ),
    Rule(
        event="features.unchecked", severity=_WARN, where=("error",),
        says="the day's feature rows could not be checked against the stored bars",
        do="read the error; the next night checks them with its own",
    ),
    Rule(
        event="drift.found", severity=_WARN, where=("model", "feature", "symbol"),
        says="what the model is fed, or what it says, is not as in training any more",
        do="see what it rests on: tradingd health --explain; if it lasts a new model is asked for, "
        "where retraining.on_drift allows",
    ),
    Rule(
        event="retraining.opened", severity=_OK, where=("model",),
        says="a new model is being trained",
        do="nothing; it is judged before it may do anything",
    ),
    Rule(
        event="training.failed", severity=_WARN, where=("fault",),
        says="a training gave no model that may be used",
        do="it is tried again later; the reason is above, tradingd models list shows what there is",
    ),
    Rule(
        event="candidate.trained", severity=_OK, where=("model",),
        says="a new model passed its verdict",
        do="nothing; it predicts beside the active one until it has shown more",
    ),
    Rule(
        event="model.proposed", severity=_WARN, where=("model",),
        says="a model would be promoted, and somebody has to say so",
        do="tradingd models diff compares them; then tradingd models promote ID --reason R",
    ),
    Rule(
        event="model.promoted", severity=_WARN, where=("model",),
        says="another model decides from now on",
        do="nothing; tradingd models rollback --reason R takes the old one back",
    ),
    Rule(
        event="model.rolled_back", severity=_BAD, where=("model",),
        says="a promoted model did worse: the old one is back",
        do="tradingd models show says what it promised",
    ),
    Rule(
        event="model.unfit", severity=_WARN, where=("model",),
        says="a model in use or in shadow cannot be loaded any more: it is let go",
        do="nothing for now: where it was the active one, a new one is trained at this start; "
        "see what became of its files",
    ),
    Rule(
        event="model.dropped", severity=_WARN, where=("model",), when=_is_silent,
        says="a model in shadow gave no probability any more: it is let go",
        do="nothing for now, the active model decides; see why its process ends",
    ),
    Rule(
        event="model.unarmed", severity=_WARN, where=("exchange", "model"),
        says="real orders are decided by another model than the one that was armed",
        do="tradingd models show says how it came to that; if it shall not: tradingd halt",
    ),
    # the process
    Rule(
        event="process.stuck", severity=_BAD, where=(), ends=("process.turning",),
        says="the daemon stands still: no bar is decided on, no order followed",
        do="systemd restarts it; by hand: end it and tradingd run --resume last",
    ),
    Rule(
        event="disk.low", severity=_BAD, where=(), ends=("disk.enough",),
        says="the disk is nearly full: nothing is opened",
        do="make room: tradingd data prune, or move runs away",
    ),
    Rule(
        event="process.sampled", severity=_WARN, where=(), when=_is_unwell,
        says="something about the process is not as it should be",
        do="tradingd status --json has all figures; docs/process-health.md says what they mean",
    ),
    Rule(
        event="queue.overflow", severity=_WARN, where=(),
        says="bars come faster than they can be decided on",
        do="fewer symbols, or a longer timeframe; tradingd status --json names what takes long",
    ),
    Rule(
        event="task.failed", severity=_WARN, where=("error",),
        says="a part of a library died; its work is watched",
        do="look at the log around it; if it repeats, start again",
    ),
    # the run
    Rule(
        event="run.started", severity=_OK, where=("pid",),
        says="the daemon has started", do=f"nothing; {STATUS} shows how it is",
    ),
    Rule(
        event="run.unclean", severity=_WARN, where=(),
        says="the daemon before this one ended without a stop: killed, crashed or cut off",
        do="books were compared before anything was decided; journalctl says what ended it",
    ),
    Rule(
        event="run.finished", severity=_OK, where=(),
        says="the daemon has stopped as it was asked to",
        do="nothing; positions and their stops stay; start with: tradingd run --resume last",
    ),
    Rule(
        event="daemon.ended", severity=_BAD, where=(),
        says="an error has ended the daemon",
        do="remove the cause; then tradingd run --resume last; stops on the exchange stay",
    ),
    Rule(
        event="daemon.failed", severity=_BAD, where=(),
        says="a bug has ended the daemon; the journal is whole",
        do="tradingd run --resume last goes on; please report it with the log",
    ),
)  # fmt: skip

BY_EVENT: Final = {rule.event: rule for rule in RULES}
ENDED_BY: Final = {
    ending: tuple(rule for rule in RULES if ending in rule.ends)
    for ending in sorted({each for rule in RULES for each in rule.ends})
}
# Fields of a run's first and last line that a message has room for.
SHOWN = {
    "run.started": ("mode", "market", "label", "symbols", "timeframe", "version"),
    "run.finished": ("bars", "orders", "fills", "round_trips", "pnl_quote", "equity_quote",
                     "currency", "drawdown_ratio", "health", "halted", "verdict"),
}  # fmt: skip


def numbers(rule: Rule, fields: Fields) -> list[str]:
    """What the event says, a line each."""
    names = SHOWN.get(rule.event, tuple(fields))
    told = ((name, fields.get(name)) for name in names if name not in UNSAID)
    return [
        f"{name}: {_text(value)}" for name, value in told if value not in (None, "", [], (), {})
    ]


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        text = ", ".join(f"{name} {_text(each)}" for name, each in value.items())
    elif isinstance(value, list | tuple):
        text = ", ".join(_text(each) for each in value)
    else:
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
    flat = " ".join(text.split())
    return flat if len(flat) <= VALUE_LENGTH_MAX else flat[:VALUE_LENGTH_MAX] + " ..."


def table() -> list[tuple[str, str, str, str]]:
    """Event, severity, what it says and what to do, for people."""
    return [(rule.event, rule.severity.value, rule.says + _held(rule), rule.do) for rule in RULES]


def _held(rule: Rule) -> str:
    return f" (for {rule.after_s:.0f} s)" if rule.after_s else ""
