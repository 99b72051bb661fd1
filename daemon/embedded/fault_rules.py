"""Fault scripts as text: turns JSON or TOML into rules, or into one line that says what is wrong.

Belongs here: reading and refusing. Which kinds there are belongs in fault_kinds, when a rule
strikes in faults.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import orjson
from msgspec import Meta, Struct, ValidationError, convert, field
from msgspec.structs import fields

from daemon.core.timeframes import NS_PER_MS, parse_time
from daemon.embedded.account import Side
from daemon.embedded.fault_kinds import (
    MEANING,
    ON_USER_STREAM,
    USER_EVENTS,
    USER_STREAM,
    Face,
    FaultKind,
    named_with,
)
from daemon.embedded.params import CLIENT_ID


class Field(StrEnum):
    """What of a candle is spoiled."""

    TIME = "time"
    OPEN = "open"
    HIGH = "high"
    LOW = "low"
    CLOSE = "close"
    VOLUME = "volume"
    PRICES = "prices"
    ALL = "all"


class Told(StrEnum):
    """By which way a spoiled bar is told."""

    REST = "rest"
    STREAM = "stream"


class Ended(StrEnum):
    """How the exchange ends an open order."""

    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"


class Candle(StrEnum):
    """Which candle messages of a stream are meant."""

    PARTIAL = "partial"
    CLOSED = "closed"


Moment = int | str
FromOne = Annotated[int, Meta(ge=1)]


class FaultRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule of a fault script; of `nth`, `every` and `probability` at most one is set.

    `since` and `until` are market time (RFC 3339) or a number of bars after the first streamed one;
    `nth` counts from 1; with none of the three the rule always strikes. `times` limits how often,
    for bars how often each of them. What the others mean is told by `MEANING`.
    """

    kind: FaultKind
    path: str | None = None
    method: str | None = None
    symbol: str | None = None
    stream: str | None = None
    candle: Candle | None = None
    told: Told | None = None
    since: Moment | None = field(default=None, name="from")
    until: Moment | None = None
    nth: tuple[FromOne, ...] = ()
    every: FromOne | None = None
    probability: Annotated[float, Meta(ge=0, le=1)] | None = None
    times: FromOne | None = None
    status: Annotated[int, Meta(ge=100, le=599)] = 503
    body: str = ""
    sec: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    bars: FromOne | None = None
    count: FromOne = 1
    code: int = 1006
    part: Field | None = field(default=None, name="field")
    value: float | str | None = None
    text: str | None = None
    hex: Annotated[str, Meta(pattern="^([0-9a-fA-F]{2})*$")] | None = None
    event: str | None = None
    ahead_sec: Annotated[float, Meta(ge=-86_400, le=86_400)] = 0.0
    ratio: Decimal = Decimal(1)
    tick: Decimal | None = None
    lot: Decimal | None = None
    minimum_quantity: Decimal | None = None
    minimum_notional: Decimal | None = None
    taker_bps: Decimal = Decimal(0)
    maker_bps: Decimal = Decimal(0)
    bps: Decimal = Decimal(0)
    asset: str = ""
    amount: Decimal = Decimal(1)
    side: Side | None = None
    price: Decimal | None = None
    client_id: Annotated[str, Meta(pattern=CLIENT_ID)] | None = None
    says: Ended = Ended.CANCELED
    allows: str = ""
    any_ip: bool = False

    @property
    def frame(self) -> bytes:
        return bytes.fromhex(self.hex) if self.hex is not None else (self.text or "").encode()

    @property
    def face(self) -> Face:
        return MEANING[self.kind][0]


NAMES = {each.name: each.encode_name for each in fields(FaultRule)}
WHERE = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<where>[^`]*)`)?$", re.DOTALL)
WORDS: Mapping[str, type[StrEnum]] = {
    "kind": FaultKind,
    "candle": Candle,
    "told": Told,
    "field": Field,
    "side": Side,
    "says": Ended,
}
AMOUNTS = ("amount", "price", "tick", "lot", "minimum_quantity", "minimum_notional", "ratio")
FEES = ("taker_bps", "maker_bps", "bps")
BPS_MAX = 1_000
CLOSE_CODES = frozenset({*range(1000, 1004), *range(1006, 1016), *range(3000, 5000)})


class Script(Struct, frozen=True):
    """Rules in their order, and a seed when the script has one."""

    rules: tuple[FaultRule, ...]
    seed: int | None = None


def read_script(text: bytes, *, is_toml: bool = False) -> Script:
    """A script of JSON (a rule, a list of them, or {"seed", "rules"}) or TOML (`[[rules]]`).

    ValueError in one line: which rule, which field, what was expected.
    """
    try:
        raw: object = tomllib.loads(text.decode()) if is_toml else orjson.loads(text)
    except ValueError as error:
        raise ValueError(f"not {'TOML' if is_toml else 'JSON'}: {error}") from None
    return script_of(raw)


def script_of(raw: object) -> Script:
    """A script as a parser gives it; ValueError as `read_script`."""
    seed = None
    if isinstance(raw, Mapping) and ("rules" in raw or "seed" in raw):
        odd = sorted(set(raw) - {"seed", "rules"})
        if odd:
            raise ValueError(f"{odd[0]}: expected only seed and rules beside each other")
        seed, raw = raw.get("seed"), raw.get("rules", [])
        if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
            raise ValueError(f"seed: expected a whole number, got {seed!r}")
        if not isinstance(raw, list):
            raise ValueError("rules: expected a list of rules")
    rows = raw if isinstance(raw, list) else [raw]
    return Script(tuple(_rule(number, row) for number, row in enumerate(rows, 1)), seed)


def _rule(number: int, row: object) -> FaultRule:
    if isinstance(row, Mapping):
        row = {name: _plain(value) for name, value in row.items()}
    try:
        rule = convert(row, FaultRule)
    except ValidationError as error:
        found = WHERE.match(str(error))
        where = found["where"] if found is not None else None
        what = found["what"] if found is not None else str(error)
        if where is not None and where in WORDS:
            what = f"expected one of {', '.join(WORDS[where])}"
        raise _refused(number, where, what[:1].lower() + what[1:]) from None
    assert isinstance(row, Mapping)
    _check_meaning(number, rule, set(row))
    _check_stream(number, rule)
    _check_numbers(number, rule)
    _check_amounts(number, rule)
    return rule


def _plain(value: object) -> object:
    # TOML has times of its own.
    return value.isoformat() if isinstance(value, datetime) else value


def _check_meaning(number: int, rule: FaultRule, said: set[str]) -> None:
    needed, allowed = named_with(rule.kind)
    lacking = sorted(needed - said)
    if lacking:
        raise _refused(number, lacking[0], f"expected with kind {rule.kind}, missing")
    odd = sorted(said - allowed)
    if odd:
        known = ", ".join(sorted(allowed - {"kind"}))
        raise _refused(number, odd[0], f"means nothing with kind {rule.kind}, expected {known}")
    if len(said & {"nth", "every", "probability"}) > 1:
        raise _refused(number, "probability", "set at most one of nth, every and probability")
    _check_said(number, rule, said)


def _check_said(number: int, rule: FaultRule, said: set[str]) -> None:
    if rule.kind is FaultKind.FRAME and (rule.text is None) == (rule.hex is None):
        raise _refused(number, "text", "expected text or hex with kind frame")
    if rule.kind is FaultKind.RULES and not said & set(AMOUNTS):
        raise _refused(number, "lot", "expected tick, lot, minimum_quantity or minimum_notional")


def _check_stream(number: int, rule: FaultRule) -> None:
    is_user = rule.stream == USER_STREAM
    if is_user and rule.kind not in ON_USER_STREAM:
        raise _refused(number, "stream", f"kind {rule.kind} is not for the user stream")
    if is_user and (rule.candle is not None or rule.bars is not None):
        raise _refused(number, "stream", "candle and bars mean nothing on the user stream")
    if rule.face is Face.CONNECTION and rule.stream not in (None, USER_STREAM):
        raise _refused(number, "stream", "expected user, or none for market streams")
    if rule.kind in (FaultKind.SWAPPED, FaultKind.TERMINATED) and not is_user:
        raise _refused(number, "stream", f"kind {rule.kind} is for the user stream: user")
    if rule.event is not None and (not is_user or rule.event not in USER_EVENTS):
        raise _refused(number, "event", f"expected stream user and one of {', '.join(USER_EVENTS)}")


def _check_numbers(number: int, rule: FaultRule) -> None:
    for name in ("since", "until"):
        moment = getattr(rule, name)
        if isinstance(moment, str):
            try:
                parse_time(moment)
            except ValueError as error:
                raise _refused(number, NAMES[name], str(error)) from None
    if rule.code not in CLOSE_CODES:
        raise _refused(number, "code", f"expected a close code as 1000 or 1006, got {rule.code}")


def _check_amounts(number: int, rule: FaultRule) -> None:
    for name in AMOUNTS:
        amount: Decimal | None = getattr(rule, name)
        if amount is not None and not (amount.is_finite() and amount > 0):
            raise _refused(number, name, f"expected more than zero, got {amount}")
    if rule.ratio > 1:
        raise _refused(number, "ratio", f"expected at most 1, got {rule.ratio}")
    for name in FEES:
        bps: Decimal = getattr(rule, name)
        if not bps.is_finite() or abs(bps) > BPS_MAX:
            raise _refused(number, name, f"expected -{BPS_MAX} to {BPS_MAX}, got {bps}")
    if not set(rule.allows.split(",")) <= {"", "read", "trade", "withdraw"}:
        raise _refused(number, "allows", f"expected read,trade,withdraw, got {rule.allows}")


def _refused(number: int, where: str | None, what: str) -> ValueError:
    return ValueError(f"rule {number}: {where}: {what}" if where else f"rule {number}: {what}")


def moment_ms(moment: Moment | None, from_ms: int, timeframe_ms: int) -> int | None:
    """Market time of a rule's `from` or `until`."""
    if isinstance(moment, str):
        return parse_time(moment) // NS_PER_MS
    return None if moment is None else from_ms + moment * timeframe_ms
