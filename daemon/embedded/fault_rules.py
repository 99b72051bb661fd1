"""Fault scripts as text: turns JSON or TOML into rules, or into one line that says what is wrong.

Belongs here: which kinds there are and what may be said with each. When a rule strikes belongs in
faults, what it then does in rest, candle_faults, stream_faults and server.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import orjson
from msgspec import Meta, Struct, ValidationError, convert, field
from msgspec.structs import fields

from daemon.core.timeframes import NS_PER_MS, parse_time


class Face(StrEnum):
    """Where a rule listens, and so what it counts."""

    REQUEST = "a request"
    PAGE = "a page of candles by REST"
    BAR = "a bar, wherever it is told"
    MESSAGE = "a message of a market stream"
    SUBSCRIPTION = "a subscription"
    CONNECTION = "a connection"


class FaultKind(StrEnum):
    """What goes wrong; "before" means that the exchange never sees the request."""

    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    DELAY_BEFORE = "delay_before"
    DELAY_AFTER = "delay_after"
    STATUS = "status"
    STATUS_AFTER = "status_after"
    BODY_AFTER = "body_after"
    UNKNOWN_WORDS = "unknown_words"

    PAGE_SHORT = "page_short"
    PAGE_DESCENDING = "page_descending"
    PAGE_DOUBLED = "page_doubled"
    PAGE_SHIFTED = "page_shifted"
    PAGE_UNLIMITED = "page_unlimited"
    PAGE_FROZEN = "page_frozen"

    BAR_MISSING = "bar_missing"
    BAR_VALUE = "bar_value"
    BAR_SWAPPED = "bar_swapped"
    BAR_CURRENT_PRICE = "bar_current_price"
    BAR_UNSETTLED = "bar_unsettled"

    DROP = "drop"
    STALL = "stall"
    REPEAT = "repeat"
    LATE = "late"
    OLD = "old"
    UNFLAGGED = "unflagged"
    BURST = "burst"
    FRAME = "frame"
    CLOSE = "close"

    DEAF = "deaf"

    REFUSED = "refused"
    NO_PONG = "no_pong"
    PONG_WITHIN = "pong_within"
    STREAMS_MAX = "streams_max"


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

    @property
    def face(self) -> Face:
        return MEANING[self.kind][0]


ALWAYS = frozenset({"kind", "from", "until", "nth", "every", "probability", "times"})
REQUEST = frozenset({"path", "method"})
BAR = frozenset({"symbol", "told"})
MESSAGE = frozenset({"symbol", "stream", "candle"})
# Kind: where it listens, what has to be said with it, what may be said besides.
MEANING: Mapping[FaultKind, tuple[Face, frozenset[str], frozenset[str]]] = {
    FaultKind.DROP_BEFORE: (Face.REQUEST, frozenset({"path"}), REQUEST),
    FaultKind.DROP_AFTER: (Face.REQUEST, frozenset({"path"}), REQUEST),
    FaultKind.DELAY_BEFORE: (Face.REQUEST, frozenset({"path", "sec"}), REQUEST),
    FaultKind.DELAY_AFTER: (Face.REQUEST, frozenset({"path", "sec"}), REQUEST),
    FaultKind.STATUS: (Face.REQUEST, frozenset({"path"}), REQUEST | {"status", "body"}),
    FaultKind.STATUS_AFTER: (Face.REQUEST, frozenset({"path"}), REQUEST | {"status", "body"}),
    FaultKind.BODY_AFTER: (Face.REQUEST, frozenset({"path"}), REQUEST | {"body"}),
    FaultKind.UNKNOWN_WORDS: (Face.REQUEST, frozenset({"path"}), REQUEST),
    FaultKind.PAGE_SHORT: (Face.PAGE, frozenset(), frozenset({"symbol", "count"})),
    FaultKind.PAGE_DESCENDING: (Face.PAGE, frozenset(), frozenset({"symbol"})),
    FaultKind.PAGE_DOUBLED: (Face.PAGE, frozenset(), frozenset({"symbol"})),
    FaultKind.PAGE_SHIFTED: (Face.PAGE, frozenset({"bars"}), frozenset({"symbol"})),
    FaultKind.PAGE_UNLIMITED: (Face.PAGE, frozenset(), frozenset({"symbol"})),
    FaultKind.PAGE_FROZEN: (Face.PAGE, frozenset({"from"}), frozenset({"symbol"})),
    FaultKind.BAR_MISSING: (Face.BAR, frozenset(), BAR),
    FaultKind.BAR_VALUE: (Face.BAR, frozenset({"field"}), BAR | {"value"}),
    FaultKind.BAR_SWAPPED: (Face.BAR, frozenset(), BAR),
    FaultKind.BAR_CURRENT_PRICE: (Face.BAR, frozenset(), BAR),
    FaultKind.BAR_UNSETTLED: (Face.BAR, frozenset(), BAR),
    FaultKind.DROP: (Face.MESSAGE, frozenset(), MESSAGE | {"bars"}),
    FaultKind.STALL: (Face.MESSAGE, frozenset(), MESSAGE),
    FaultKind.REPEAT: (Face.MESSAGE, frozenset(), MESSAGE),
    FaultKind.LATE: (Face.MESSAGE, frozenset({"sec"}), MESSAGE),
    FaultKind.OLD: (Face.MESSAGE, frozenset({"bars"}), MESSAGE),
    FaultKind.UNFLAGGED: (Face.MESSAGE, frozenset(), MESSAGE),
    FaultKind.BURST: (Face.MESSAGE, frozenset({"count"}), MESSAGE),
    FaultKind.FRAME: (Face.MESSAGE, frozenset(), MESSAGE | {"text", "hex"}),
    FaultKind.CLOSE: (Face.MESSAGE, frozenset(), MESSAGE | {"code", "bars"}),
    FaultKind.DEAF: (Face.SUBSCRIPTION, frozenset({"bars"}), frozenset({"symbol", "stream"})),
    FaultKind.REFUSED: (Face.CONNECTION, frozenset(), frozenset({"status"})),
    FaultKind.NO_PONG: (Face.CONNECTION, frozenset(), frozenset()),
    FaultKind.PONG_WITHIN: (Face.CONNECTION, frozenset({"sec"}), frozenset()),
    FaultKind.STREAMS_MAX: (Face.CONNECTION, frozenset({"count"}), frozenset()),
}
NAMES = {each.name: each.encode_name for each in fields(FaultRule)}
WHERE = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<where>[^`]*)`)?$", re.DOTALL)
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
        if where == "kind":
            what = f"expected one of {', '.join(FaultKind)}"
        raise _refused(number, where, what[:1].lower() + what[1:]) from None
    assert isinstance(row, Mapping)
    _check_meaning(number, rule, set(row))
    _check_numbers(number, rule)
    return rule


def _plain(value: object) -> object:
    # TOML has times of its own.
    return value.isoformat() if isinstance(value, datetime) else value


def _check_meaning(number: int, rule: FaultRule, said: set[str]) -> None:
    _, needed, allowed = MEANING[rule.kind]
    lacking = sorted(needed - said)
    if lacking:
        raise _refused(number, lacking[0], f"expected with kind {rule.kind}, missing")
    odd = sorted(said - ALWAYS - needed - allowed)
    if odd:
        known = ", ".join(sorted(needed | allowed)) or "nothing else"
        raise _refused(number, odd[0], f"means nothing with kind {rule.kind}, expected {known}")
    if len(said & {"nth", "every", "probability"}) > 1:
        raise _refused(number, "probability", "set at most one of nth, every and probability")
    if rule.kind is FaultKind.FRAME and (rule.text is None) == (rule.hex is None):
        raise _refused(number, "text", "expected text or hex with kind frame")


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


def _refused(number: int, where: str | None, what: str) -> ValueError:
    return ValueError(f"rule {number}: {where}: {what}" if where else f"rule {number}: {what}")


def moment_ms(moment: Moment | None, from_ms: int, timeframe_ms: int) -> int | None:
    """Market time of a rule's `from` or `until`."""
    if isinstance(moment, str):
        return parse_time(moment) // NS_PER_MS
    return None if moment is None else from_ms + moment * timeframe_ms
